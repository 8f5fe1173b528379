"""Added two-tower models: each quirk of a layout, and each rejection. The toys can be computed in one's head."""

import json
import math
import os
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from toy import COLOURS, toy_tokenizer, write_toy
from two_towers import HALF, ROWS, SIZE, WORDS, immich, put, rclip, reads, sees, transformers_js

from photosearch.errors import ModelError
from photosearch.models import catalog, layouts, two_tower
from photosearch.models.catalog import list_added, read_card, resolve, text_model_for
from photosearch.models.layouts import CLIP_MEAN, CLIP_STD, CLIP_VOCABULARY
from photosearch.models.session import Model
from photosearch.models.text import TextModel
from photosearch.models.two_tower import add_model, remove_model
from photosearch.photos.decode import make_views

RED = np.array([1, -1, -1, 1]) / 2  # after a mean and a deviation of a half
GREEN = np.array([-1, 1, -1, 1]) / 2


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    """The user's models folder."""
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def there(tmp_path):
    return tmp_path / "there" / "clip"


def see(name: str, *pictures: Image.Image) -> np.ndarray:
    model = Model(resolve(name), provider="cpu")
    pixels = [make_views(picture, model.card.input_size, fit=model.card.fit) for picture in pictures]
    given = model.predict(np.stack(pixels))
    assert given.scores is None
    return given.vectors


def read(name: str, *texts: str) -> np.ndarray:
    return TextModel(text_model_for(read_card(resolve(name)).space)).embed(texts)


def plain(colour: str, size: tuple[int, int] = (20, 20)) -> Image.Image:
    return Image.new("RGB", size, COLOURS[colour])


def unit(*values: float) -> np.ndarray:
    return np.array(values) / np.linalg.norm(values)


# ---- the three layouts


@pytest.mark.parametrize("layout", [transformers_js, immich])
def test_added_model_encodes_images_and_texts(layout, there):
    done = add_model(layout(there))
    assert (done.name, done.path, done.layout) == ("clip", list_added()["clip"], layout.__name__.replace("_", "."))
    assert resolve("clip") == done.path
    assert read_card(done.path) == done.image_card
    assert (done.image_card.outputs, done.image_card.dimensions, done.image_card.labels) == (("vectors",), 4, ())
    assert (done.text_card.space, done.text_card.dimensions) == (done.image_card.space, 4)
    assert text_model_for(done.image_card.space) == done.path
    np.testing.assert_allclose(see("clip", plain("red"), plain("green")), [RED, GREEN], atol=1e-6)
    pads = done.text_card.pad_to
    np.testing.assert_allclose(
        read("clip", "red", "blue"), [unit(1, 0, 0, pads - 1), unit(0, 0, 1, pads - 1)], atol=1e-6
    )


def test_add_model_uses_clip_preprocessing_for_rclip(there):
    done = add_model(rclip(there))
    assert (done.layout, done.image_card.fit, done.image_card.input_size, done.text_card.context) == (
        "rclip",
        "crop",
        SIZE,
        7,
    )
    red = (np.array([1, 0, 0]) - CLIP_MEAN) / CLIP_STD
    np.testing.assert_allclose(see("clip", plain("red")), [unit(*red, 1)], atol=1e-6)
    np.testing.assert_allclose(read("clip", "green"), [unit(0, 1, 0, 6)], atol=1e-6)


def test_add_model_reads_rclip_folder_with_merges(there):
    import gzip

    below = there / "ViT-B-32"
    (there / "tokenizer").mkdir(parents=True)
    with gzip.open(there / CLIP_VOCABULARY, "wt") as file:
        file.write("#version: 0.2\nr e\nre d</w>\na b\n")
    sees(below / "visual.onnx", name="input", given="output")
    rows = np.zeros((517, 4), np.float32)  # 256 bytes, 256 that end a word, three pairs, two marks
    rows[:512, 2] = np.arange(512) / 512
    rows[513], rows[515], rows[516] = (0, 1, 0, 0), (0.5, 0, 0, 0), (0, 0, 0, 1)
    reads(below / "textual.onnx", name="input", given="output", shape=("N", 77), rows=rows)
    add_model(there)
    # A mark, one token for the word, a mark; token 0, which fills the row, counts nothing.
    np.testing.assert_allclose(read("clip", " RED "), [unit(0.5, 1, 0, 1)], atol=1e-6)


def test_build_clip_tokenizer_uses_as_many_merges_as_clip(tmp_path):
    """The file goes on: its 49,408 tokens are 2 x 256 bytes, the first 48,894 pairs and two marks."""
    import gzip
    import itertools

    import tokenizers

    from photosearch.models.layouts import _list_byte_letters, build_clip_tokenizer

    letters = _list_byte_letters()
    pairs = itertools.islice(itertools.product(letters, [f"{x}</w>" for x in letters]), 50_000)
    with gzip.open(tmp_path / "pairs.gz", "wt") as file:
        file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in pairs))
    tokenizer = tokenizers.Tokenizer.from_str(build_clip_tokenizer(tmp_path / "pairs.gz"))
    assert tokenizer.get_vocab_size() == 49_408


# ---- pictures


def photo_of_three() -> Image.Image:
    """24 x 8: blue, red, blue."""
    picture = plain("blue", (24, 8))
    picture.paste(plain("red", (8, 8)), (8, 0))
    return picture


def test_add_model_crops_for_clip(there):
    add_model(transformers_js(there))
    np.testing.assert_allclose(see("clip", photo_of_three()), [RED], atol=1e-6)


def test_add_model_squashes_for_siglip(there):
    done = add_model(transformers_js(there, siglip=True))
    assert done.image_card.fit == "squash"
    vector = see("clip", photo_of_three())[0] / see("clip", photo_of_three())[0][3]
    assert vector == pytest.approx([-1 / 3, -1, 1 / 3, 1], abs=0.1)  # a third red, two thirds blue


def test_add_model_supports_crop_smaller_than_resize(there):
    add_model(transformers_js(there, size={"shortest_edge": 12}))
    framed = plain("blue", (12, 12))
    framed.paste(plain("red", (8, 8)), (2, 2))
    np.testing.assert_allclose(see("clip", framed), [RED], atol=1e-6)


def test_add_model_supports_batch_of_one(there):
    done = add_model(immich(there))
    assert done.remarks[0] == "it encodes one photo at a time, since its file takes no more"
    np.testing.assert_allclose(see("clip", *map(plain, ("red", "green", "red"))), [RED, GREEN, RED], atol=1e-6)


def test_add_model_supports_uint8_channels_last(there):
    done = add_model(immich(there, image={"kind": "uint8", "channels": "last"}))
    assert json.loads((done.path / "card.json").read_text())["image"]["dtype"] == "uint8"
    np.testing.assert_allclose(see("clip", plain("red"), plain("black")), [unit(1, 0, 0, 1), [0, 0, 0, 1]], atol=1e-6)


def test_add_model_assumes_channels_last_for_uint8(there):
    image = {"kind": "uint8", "channels": "last", "size": "S"}
    add_model(immich(there, image=image))
    np.testing.assert_allclose(see("clip", plain("green")), [unit(0, 1, 0, 1)], atol=1e-6)


def test_add_model_supports_float16(there):
    add_model(transformers_js(there, image={"kind": "float16"}))
    np.testing.assert_allclose(see("clip", plain("red")), [RED], atol=1e-3)


def test_add_model_respects_do_normalize_and_do_rescale(there):
    add_model(transformers_js(there, do_normalize=False))
    np.testing.assert_allclose(see("clip", plain("red")), [unit(1, 0, 0, 1)], atol=1e-6)


def test_add_model_limits_batch_if_vectors_depend_on_it(there):
    """As int8 exports do that scale a whole batch at once."""
    done = add_model(transformers_js(there, image={"drift": 0.5}))
    assert "depend on the others in a batch" in done.remarks[0]
    alone = see("clip", plain("red"))
    np.testing.assert_array_equal(see("clip", plain("green"), plain("red"))[1:], alone)


def test_predict_splits_batch_of_added_model(there):
    add_model(transformers_js(there))
    colours = ["red", "green"] * 20
    vectors = see("clip", *map(plain, colours))
    np.testing.assert_allclose(vectors, [RED if c == "red" else GREEN for c in colours], atol=1e-6)


# ---- words


def test_siglip_pads_to_64_tokens_and_reads_padding(there):
    done = add_model(transformers_js(there, siglip=True))
    assert (done.text_card.context, done.text_card.pad_to, done.text_card.pad_id) == (64, 64, 0)
    np.testing.assert_allclose(read("clip", "red"), [unit(1, 0, 0, 63)], atol=1e-6)


def test_siglip_uses_its_pad_token(there):
    transformers_js(there, siglip=True)
    put(there / "tokenizer_config.json", {"pad_token": {"content": "green"}})
    done = add_model(there)
    assert done.text_card.pad_id == WORDS.index("green")
    np.testing.assert_allclose(read("clip", "red"), [unit(1, 63, 0, 0)], atol=1e-6)


def test_siglip_attends_to_padding_despite_mask(there):
    add_model(transformers_js(there, siglip=True, text={"mask": True}))
    np.testing.assert_allclose(read("clip", "red"), [unit(1, 0, 0, 63)], atol=1e-6)


def test_attention_mask_hides_padding(there):
    done = add_model(transformers_js(there, text={"mask": True}))
    assert done.text_card.pad_to == 0
    np.testing.assert_allclose(read("clip", "red", "blue green green"), [[1, 0, 0, 0], unit(0, 2, 1, 0)], atol=1e-6)


def test_added_model_truncates_text_at_context(there):
    add_model(immich(there))
    np.testing.assert_allclose(read("clip", "red " * 7 + "blue " * 90), [[1, 0, 0, 0]], atol=1e-6)


def test_add_model_reads_context_from_settings(there):
    transformers_js(there)
    put(there / "config.json", {"model_type": "clip", "text_config": {"max_position_embeddings": 9}})
    assert add_model(there).text_card.context == 9


@pytest.mark.parametrize(("most", "context"), [(9, 9), (8, layouts.CLIP_CONTEXT)])
def test_longer_context_than_any_model_has_is_not_believed(there, monkeypatch, most, context):
    monkeypatch.setattr(layouts, "MAX_CONTEXT", most)
    transformers_js(there)
    put(there / "config.json", {"model_type": "clip", "text_config": {"max_position_embeddings": 9}})
    assert layouts.read_context(layouts.find_layout(there), siglip=False) == context


FORMS = {
    "CLIP": ({}, {}, "spaces"),
    "open_clip's canonicalize": ({"tokenizer_kwargs": {"clean": "canonicalize"}}, {}, "canonical"),
    "SigLIP": ({}, {"tokenizer_class": "SiglipTokenizer"}, "canonical"),
    "SigLIP2": ({"hf_tokenizer_name": "timm/ViT-B-32-SigLIP2"}, {"tokenizer_class": "GemmaTokenizerFast"}, "lower"),
    "a tokenizer that says so": ({}, {"do_lower_case": True}, "lower"),
}


@pytest.mark.parametrize("what", FORMS)
def test_add_model_reads_text_normalization(what, there):
    config, words, form = FORMS[what]
    immich(there, config=config)
    put(there / "textual/tokenizer_config.json", {"pad_token": "[PAD]", **words})
    assert add_model(there).text_card.text_normalization == form


def test_siglip2_lowers_case_and_canonicalize_drops_punctuation(there):
    add_model(immich(there, config={"tokenizer_kwargs": {"clean": "canonicalize"}}))
    np.testing.assert_allclose(read("clip", "“Red”, GREEN!"), [unit(1, 1, 0, 5)], atol=1e-6)


# ---- files


def test_add_model_copies_external_weights(there):
    folder = transformers_js(
        there, image={"outside": "vision_model.onnx_data"}, text={"outside": "text_model.onnx_data"}
    )
    done = add_model(folder)
    files = sorted(p.relative_to(done.path).as_posix() for p in done.path.rglob("*") if p.is_file())
    assert files == ["card.json", *(f"onnx/{name}" for name in (
        "text_model.onnx", "text_model.onnx_data", "vision_model.onnx", "vision_model.onnx_data")), "tokenizer.json"
    ]  # fmt: skip
    np.testing.assert_allclose(see("clip", plain("red")), [RED], atol=1e-6)
    np.testing.assert_allclose(read("clip", "red"), [unit(1, 0, 0, 76)], atol=1e-6)


def test_find_layout_prefers_best_precision(there):
    transformers_js(there)
    for name in ("vision_model", "text_model"):
        (there / f"onnx/{name}.onnx").rename(there / f"onnx/{name}_int8.onnx")
    sees(there / "onnx/vision_model_fp16.onnx")
    done = add_model(there)
    assert sorted(p.name for p in (done.path / "onnx").iterdir()) == ["text_model_int8.onnx", "vision_model_fp16.onnx"]


def test_added_model_is_independent_of_its_source(there):
    add_model(transformers_js(there))
    before = see("clip", plain("red"))
    for path in sorted(there.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert (see("clip", plain("red")) == before).all()


def test_add_model_reads_hub_cache_of_links(tmp_path):
    snapshot, blobs = tmp_path / "repo/snapshots/abc", tmp_path / "repo/blobs"
    transformers_js(snapshot)
    blobs.mkdir()
    for i, path in enumerate([p for p in snapshot.rglob("*") if p.is_file()]):
        path.rename(blobs / str(i))
        path.symlink_to(os.path.relpath(blobs / str(i), path.parent))
    assert add_model(snapshot, name="stored").name == "stored"
    (tmp_path / "link").symlink_to(snapshot)
    assert add_model(tmp_path / "link", name="linked").name == "linked"


def test_digest_covers_preprocessing(tmp_path):
    add_model(transformers_js(tmp_path / "a"), name="a")
    add_model(transformers_js(tmp_path / "b", image_mean=[0.25] * 3), name="b")
    assert Model(resolve("a")).digest != Model(resolve("b")).digest
    assert len(Model(resolve("a")).digest) == 16


def test_remove_model_deletes_folder(there, shelf):
    add_model(transformers_js(there))
    write_toy(shelf / "file.onnx")
    remove_model("clip")
    remove_model("file")
    assert list(shelf.iterdir()) == []
    with pytest.raises(ModelError, match="can't remove the model clip: no model of that name was added"):
        remove_model("clip")
    with pytest.raises(ModelError, match="it is part of photosearch"):
        remove_model(next(iter(catalog.list_shipped())))


# ---- refusals


def unlink(name):
    return lambda folder: (folder / name).unlink()


def link_out(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder.parent / "tokenizer.json")
    (folder / "tokenizer.json").symlink_to("../tokenizer.json")


def weights_from(location: str):
    """The encoder needs its weights from there, whatever is there."""

    def spoil(folder: Path) -> None:
        sees(folder / "onnx/vision_model.onnx", outside="weights.bin")
        data = (folder / "onnx/vision_model.onnx").read_bytes()
        assert len(location) == len("weights.bin")
        (folder / "onnx/vision_model.onnx").write_bytes(data.replace(b"weights.bin", location.encode()))

    return spoil


REFUSED = {
    "it is empty": (lambda f: [p.unlink() for p in f.rglob("*") if p.is_file()], "has no two-tower model"),
    "it lacks the text encoder": (unlink("onnx/text_model.onnx"), "but lacks onnx/text_model.onnx"),
    "it lacks the image encoder": (unlink("onnx/vision_model.onnx"), "but lacks onnx/vision_model.onnx"),
    "it lacks a tokenizer": (unlink("tokenizer.json"), "lacks tokenizer.json"),
    "it lacks the preparation of photos": (unlink("preprocessor_config.json"), "lacks preprocessor_config.json"),
    "it lacks its config": (unlink("config.json"), "lacks config.json"),
    "its config is no JSON": (lambda f: (f / "config.json").write_text("{"), "is not a JSON object"),
    "its config is endless": (lambda f: os.truncate(f / "config.json", 2**24 + 1), "is too long for settings"),
    "its config is a list": (lambda f: (f / "config.json").write_text("[]"), "is not a JSON object"),
    "its config nests too deep": (lambda f: (f / "config.json").write_text("[" * 99_999), "is not a JSON object"),
    "its tokenizer is no tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "can't read the text model's"),
    "its tokenizer is another, larger one": (
        lambda f: (f / "tokenizer.json").write_text(toy_tokenizer((*WORDS, "dog"))),
        "is another model's: it has 9 tokens, the text encoder expects 8",
    ),
    "its tokenizer is another, and no one says so": (
        lambda f: (
            (f / "tokenizer.json").write_text(toy_tokenizer((*WORDS, "dog"))),
            put(f / "config.json", {"model_type": "clip"}),
        ),
        "is another model's: the text encoder fails at its token 8",
    ),
    "its tokenizer's words are all alike": (
        lambda f: (
            (f / "tokenizer.json").write_text(toy_tokenizer(WORDS[:6])),
            put(f / "config.json", {"model_type": "clip"}),
        ),
        "gives two different sentences the same vector",
    ),
    "its vectors are of two lengths": (
        lambda f: reads(f / "onnx/text_model.onnx", rows=[[*row, 0] for row in ROWS]),
        "gave vectors of shape (1, 5), but its space has 4 dimensions",
    ),
    "it can't tell two pictures apart": (
        lambda f: sees(f / "onnx/vision_model.onnx", blind=True),
        "gives two different images the same vector",
    ),
    "it takes four photos at a time": (
        lambda f: sees(f / "onnx/vision_model.onnx", batch=4),
        "takes exactly 4 at a time",
    ),
    "it takes photos of another size": (
        lambda f: sees(f / "onnx/vision_model.onnx", size=9),
        "takes photos of 9 pixels, its settings say 8",
    ),
    "it takes no photos": (lambda f: reads(f / "onnx/vision_model.onnx"), "must take one batch of pixels"),
    "it takes no words": (lambda f: sees(f / "onnx/text_model.onnx"), "must take rows of tokens"),
    "it is no model": (lambda f: (f / "onnx/vision_model.onnx").write_bytes(bytes(99)), "not an .onnx file"),
    "its weights lie above it": (weights_from("../../x/bin"), "which is not in its folder"),
    "its weights lie anywhere": (weights_from("/etc/passwd"), "which is not in its folder"),
    "its weights are gone": (weights_from("weights.bim"), "lacks onnx/weights.bim"),
    "its tokenizer is a link out of it": (link_out, "is a link out of its folder"),
    "its photos are no square": (
        lambda f: put(f / "preprocessor_config.json", {"size": {"height": 8, "width": 9}}),
        "size must be a square",
    ),
    "its photos are cut larger than they are": (
        lambda f: put(f / "preprocessor_config.json", {"size": {"shortest_edge": 7}, "crop_size": 8}),
        "it cuts 8 pixels out of 7",
    ),
    "its deviation is zero": (
        lambda f: put(f / "preprocessor_config.json", {"size": 8, "image_std": [0, 1, 1]}),
        "it divides by zero",
    ),
    "its mean is a word": (
        lambda f: put(f / "preprocessor_config.json", {"size": 8, "image_mean": "half"}),
        "must be three numbers",
    ),
    "its size is a word": (lambda f: put(f / "preprocessor_config.json", {"size": "8"}), "size must be 1 to 4096"),
    "its size is lists": (
        lambda f: put(f / "preprocessor_config.json", {"size": {"height": [], "width": []}}),
        "can't use its image settings",
    ),
}


@pytest.mark.parametrize(
    ("layout", "image", "text"),
    [(transformers_js, "onnx/vision_model.onnx", "onnx/text_model.onnx"),
     (immich, "visual/model.onnx", "textual/model.onnx"), (rclip, "visual.onnx", "textual.onnx")],
)  # fmt: skip
def test_add_model_names_the_half_that_is_missing(there, layout, image, text):
    for lost, kept in ((image, text), (text, image)):
        layout(there)
        (there / lost).unlink()
        with pytest.raises(ModelError, match=f": has {kept}, but lacks {lost}$"):
            add_model(there)


@pytest.mark.parametrize("what", REFUSED)
def test_add_model_rejects_folder_in_one_line_and_adds_nothing(what, there, shelf):
    spoil, said = REFUSED[what]
    spoil(transformers_js(there))
    with pytest.raises(ModelError) as refused:
        add_model(there)
    assert said in str(refused.value)
    assert str(there) in str(refused.value) or "onnx" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert ".adding" not in str(refused.value)
    assert not shelf.exists() or list(shelf.iterdir()) == []


def test_add_model_rejects_siglip_without_pad_token(there):
    transformers_js(there, siglip=True)
    put(there / "tokenizer_config.json", {})
    with pytest.raises(ModelError, match="has no pad_token"):
        add_model(there)


@pytest.mark.parametrize("mode", ["longest", 7])
def test_add_model_rejects_unknown_resize_mode(mode, there):
    with pytest.raises(ModelError, match="not shortest or squash"):
        add_model(immich(there, resize_mode=mode))


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "two words", "x" * 101, "toy-text", "a\nb"])
def test_add_model_rejects_invalid_name(name, there):
    there = transformers_js(there)
    if name:
        with pytest.raises(ModelError, match="can't be a model's name"):
            add_model(there, name=name)
    else:
        assert add_model(there, name=name).name == "clip"


def test_add_model_rejects_taken_name(there, tmp_path):
    add_model(transformers_js(there))
    for taken in ("clip", next(iter(catalog.list_shipped()))):
        with pytest.raises(ModelError, match=f"there is a model {taken} already"):
            add_model(there, name=taken)


@pytest.mark.parametrize(
    ("file", "how"),
    [
        ("onnx/vision_model.onnx", lambda: Model(resolve("clip"))),
        ("onnx/vision_model.onnx_data", lambda: Model(resolve("clip"))),
        ("onnx/text_model.onnx", lambda: TextModel(resolve("clip"))),
        ("tokenizer.json", lambda: TextModel(resolve("clip"))),
    ],
)
def test_added_model_rejects_changed_file(file, how, there):
    done = add_model(transformers_js(there, image={"outside": "vision_model.onnx_data"}))
    how()
    with (done.path / file).open("ab") as opened:
        opened.write(b" ")
    with pytest.raises(ModelError, match=r"changed since clip was added|is not the tokenizer") as refused:
        how()
    assert str(done.path / file) in str(refused.value)
    (done.path / file).unlink()
    with pytest.raises(ModelError, match="can't read"):
        how()


CARDS = {
    "is empty": lambda raw: None,
    "is a list": lambda raw: [],
    "lacks its files": lambda raw: {k: v for k, v in raw.items() if k != "files"},
    "names a file above": lambda raw: {**raw, "files": {**raw["files"], "../x": "0" * 64}},
    "names an encoder that is not among its files": lambda raw: {
        **raw,
        "image": {**raw["image"], "file": "/etc/passwd"},
    },
    "names weights that are not among its files": lambda raw: {**raw, "text": {**raw["text"], "weights": ["../x"]}},
    "divides by zero": lambda raw: {**raw, "image": {**raw["image"], "std": [0, 1, 1]}},
    "scales by a word": lambda raw: {**raw, "image": {**raw["image"], "scale": "1"}},
    "cuts more than there is": lambda raw: {**raw, "image": {**raw["image"], "size": 9}},
    "has two spaces": lambda raw: {**raw, "text_card": {**raw["text_card"], "space": {"name": "other", "dim": 4}}},
    "gives scores": lambda raw: {**raw, "image_card": {**raw["image_card"], "outputs": ["scores"], "labels": ["a"]}},
    "has batches of a million": lambda raw: {**raw, "text": {**raw["text"], "max_batch": 10**6}},
}


@pytest.mark.parametrize("what", CARDS)
def test_added_model_rejects_card(what, there):
    done = add_model(transformers_js(there))
    path = done.path / "card.json"
    path.write_text(json.dumps(CARDS[what](json.loads(path.read_text()))))
    for how in (Model, TextModel, read_card):
        with pytest.raises(ModelError, match="card") as refused:
            how(done.path)
        assert "\n" not in str(refused.value)
    with pytest.raises(ModelError, match="no text model for the space"):
        text_model_for(done.image_card.space)


def test_add_model_leaves_nothing_when_interrupted(there, shelf, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(two_tower, "_test", killed)
    with pytest.raises(KeyboardInterrupt):
        add_model(transformers_js(there))
    assert list(shelf.iterdir()) == []


def test_add_model_removes_what_was_killed_a_day_ago(there, shelf):
    for name, seconds in ((".clip.0123abcd.part", 90_000), (".clip.4567cdef.part", 60)):
        (shelf / name).mkdir(parents=True)
        os.utime(shelf / name, (time.time() - seconds,) * 2)
    add_model(transformers_js(there))
    assert sorted(os.listdir(shelf)) == [".clip.4567cdef.part", "clip"]


def test_list_added_does_not_open_encoders(there):
    done = add_model(transformers_js(there))
    for path in (done.path / "onnx").iterdir():
        path.write_bytes(b"")
    assert read_card(list_added()["clip"]).name == "clip"
    assert math.isclose(read_card(done.path).min_score, 0)
    assert HALF["mean"] == [0.5] * 3


def test_add_model_refuses_a_loop(there, shelf):
    folder = transformers_js(there)
    path = folder / "onnx/vision_model.onnx"
    model = onnx.load(path)
    i = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    more, go_on = (helper.make_tensor_value_info(name, TensorProto.BOOL, []) for name in ("more", "go on"))
    body = helper.make_graph([helper.make_node("Identity", ["more"], ["go on"])], "body", [i, more], [go_on])
    model.graph.initializer.append(numpy_helper.from_array(np.array(2**62, np.int64), "trips"))
    model.graph.node.append(helper.make_node("Loop", ["trips", ""], [], body=body))
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"vision_model\.onnx: .*its graph loops \(Loop\), so that it may never end"):
        add_model(folder)
    assert not list_added()
