"""Models of others: each quirk of a layout, and each refusal, with towers that can be computed in one's head."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy import COLOURS, toy_tokenizer, write_toy
from two_towers import HALF, ROWS, SIZE, WORDS, immich, put, rclip, reads, sees, transformers_js

from photosearch.errors import ModelError
from photosearch.models import catalog, two_tower
from photosearch.models.catalog import list_added, read_card, resolve, text_model_for
from photosearch.models.layouts import CLIP_DEVIATION, CLIP_MEAN, CLIP_VOCABULARY
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
    given = model.look(np.stack(pixels))
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
def test_a_model_of_others_sees_and_reads_like_our_own(layout, there):
    done = add_model(layout(there))
    assert (done.name, done.path, done.layout) == ("clip", list_added()["clip"], layout.__name__.replace("_", "."))
    assert resolve("clip") == done.path
    assert read_card(done.path) == done.card
    assert (done.card.outputs, done.card.dimensions, done.card.labels) == (("vectors",), 4, ())
    assert (done.text.space, done.text.dimensions) == (done.card.space, 4)
    assert text_model_for(done.card.space) == done.path
    np.testing.assert_allclose(see("clip", plain("red"), plain("green")), [RED, GREEN], atol=1e-6)
    pads = done.text.pad_to
    np.testing.assert_allclose(
        read("clip", "red", "blue"), [unit(1, 0, 0, pads - 1), unit(0, 0, 1, pads - 1)], atol=1e-6
    )


def test_rclips_layout_has_clips_numbers_built_in(there):
    done = add_model(rclip(there))
    assert (done.layout, done.card.fit, done.card.input_size, done.text.context) == ("rclip", "crop", SIZE, 7)
    red = (np.array([1, 0, 0]) - CLIP_MEAN) / CLIP_DEVIATION
    np.testing.assert_allclose(see("clip", plain("red")), [unit(*red, 1)], atol=1e-6)
    np.testing.assert_allclose(read("clip", "green"), [unit(0, 1, 0, 6)], atol=1e-6)


def test_rclips_own_folder_has_the_towers_below_and_clips_list_of_pairs(there):
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


def test_of_clips_list_as_many_pairs_are_used_as_clip_uses(tmp_path):
    """The file goes on: its 49,408 tokens are 2 x 256 bytes, the first 48,894 pairs and two marks."""
    import gzip
    import itertools

    import tokenizers

    from photosearch.models.layouts import _byte_letters, build_clip_tokenizer

    letters = _byte_letters()
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


def test_clip_crops_the_middle(there):
    add_model(transformers_js(there))
    np.testing.assert_allclose(see("clip", photo_of_three()), [RED], atol=1e-6)


def test_siglip_squashes_the_whole(there):
    done = add_model(transformers_js(there, siglip=True))
    assert done.card.fit == "squash"
    vector = see("clip", photo_of_three())[0] / see("clip", photo_of_three())[0][3]
    assert vector == pytest.approx([-1 / 3, -1, 1 / 3, 1], abs=0.1)  # a third red, two thirds blue


def test_a_crop_may_be_smaller_than_what_it_is_cut_from(there):
    add_model(transformers_js(there, size={"shortest_edge": 12}))
    framed = plain("blue", (12, 12))
    framed.paste(plain("red", (8, 8)), (2, 2))
    np.testing.assert_allclose(see("clip", framed), [RED], atol=1e-6)


def test_a_batch_may_be_fixed_at_one(there):
    done = add_model(immich(there))
    assert done.remarks[0] == "it looks at one photo at a time, since its file takes no more"
    np.testing.assert_allclose(see("clip", *map(plain, ("red", "green", "red"))), [RED, GREEN, RED], atol=1e-6)


def test_pixels_may_be_taken_as_bytes_with_channels_last(there):
    done = add_model(immich(there, image={"kind": "uint8", "channels": "last"}))
    assert json.loads((done.path / "card.json").read_text())["image"]["kind"] == "uint8"
    np.testing.assert_allclose(see("clip", plain("red"), plain("black")), [unit(1, 0, 0, 1), [0, 0, 0, 1]], atol=1e-6)


def test_bytes_of_no_fixed_shape_have_channels_last(there):
    image = {"kind": "uint8", "channels": "last", "size": "S"}
    add_model(immich(there, image=image))
    np.testing.assert_allclose(see("clip", plain("green")), [unit(0, 1, 0, 1)], atol=1e-6)


def test_pixels_may_be_half_as_long(there):
    add_model(transformers_js(there, image={"kind": "float16"}))
    np.testing.assert_allclose(see("clip", plain("red")), [RED], atol=1e-3)


def test_settings_may_turn_the_mean_and_the_scale_off(there):
    add_model(transformers_js(there, do_normalize=False))
    np.testing.assert_allclose(see("clip", plain("red")), [unit(1, 0, 0, 1)], atol=1e-6)


def test_a_vector_that_depends_on_its_neighbours_is_made_alone(there):
    """As int8 exports do that scale a whole batch at once."""
    done = add_model(transformers_js(there, image={"drift": 0.5}))
    assert "depend on what stands beside them" in done.remarks[0]
    alone = see("clip", plain("red"))
    np.testing.assert_array_equal(see("clip", plain("green"), plain("red"))[1:], alone)


def test_a_larger_batch_of_the_cards_own_size_is_looked_at_in_parts(there):
    add_model(transformers_js(there))
    colours = ["red", "green"] * 20
    vectors = see("clip", *map(plain, colours))
    np.testing.assert_allclose(vectors, [RED if c == "red" else GREEN for c in colours], atol=1e-6)


# ---- words


def test_siglip_reads_exactly_64_tokens_and_the_padding_counts(there):
    done = add_model(transformers_js(there, siglip=True))
    assert (done.text.context, done.text.pad_to, done.text.pad_id) == (64, 64, 0)
    np.testing.assert_allclose(read("clip", "red"), [unit(1, 0, 0, 63)], atol=1e-6)


def test_siglips_padding_is_the_token_that_it_names(there):
    transformers_js(there, siglip=True)
    put(there / "tokenizer_config.json", {"pad_token": {"content": "green"}})
    done = add_model(there)
    assert done.text.pad_id == WORDS.index("green")
    np.testing.assert_allclose(read("clip", "red"), [unit(1, 63, 0, 0)], atol=1e-6)


def test_siglip_sees_its_padding_even_where_there_is_a_mask(there):
    add_model(transformers_js(there, siglip=True, text={"mask": True}))
    np.testing.assert_allclose(read("clip", "red"), [unit(1, 0, 0, 63)], atol=1e-6)


def test_a_mask_hides_the_padding_of_all_others(there):
    done = add_model(transformers_js(there, text={"mask": True}))
    assert done.text.pad_to == 0
    np.testing.assert_allclose(read("clip", "red", "blue green green"), [[1, 0, 0, 0], unit(0, 2, 1, 0)], atol=1e-6)


def test_a_text_longer_than_the_context_is_cut(there):
    add_model(immich(there))
    np.testing.assert_allclose(read("clip", "red " * 7 + "blue " * 90), [[1, 0, 0, 0]], atol=1e-6)


def test_the_context_is_what_the_settings_say(there):
    transformers_js(there)
    put(there / "config.json", {"model_type": "clip", "text_config": {"max_position_embeddings": 9}})
    assert add_model(there).text.context == 9


FORMS = {
    "CLIP": ({}, {}, "spaces"),
    "open_clip's canonicalize": ({"tokenizer_kwargs": {"clean": "canonicalize"}}, {}, "canonical"),
    "SigLIP": ({}, {"tokenizer_class": "SiglipTokenizer"}, "canonical"),
    "SigLIP2": ({"hf_tokenizer_name": "timm/ViT-B-32-SigLIP2"}, {"tokenizer_class": "GemmaTokenizerFast"}, "lower"),
    "a tokenizer that says so": ({}, {"do_lower_case": True}, "lower"),
}


@pytest.mark.parametrize("what", FORMS)
def test_the_form_of_a_text_is_that_of(what, there):
    config, words, form = FORMS[what]
    immich(there, config=config)
    put(there / "textual/tokenizer_config.json", {"pad_token": "[PAD]", **words})
    assert add_model(there).text.text_normalization == form


def test_siglip2_reads_lower_case_and_canonicalize_drops_punctuation(there):
    add_model(immich(there, config={"tokenizer_kwargs": {"clean": "canonicalize"}}))
    np.testing.assert_allclose(read("clip", "“Red”, GREEN!"), [unit(1, 1, 0, 5)], atol=1e-6)


# ---- files


def test_weights_may_lie_in_a_file_beside_the_tower(there):
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


def test_the_best_precision_that_is_there_is_taken(there):
    transformers_js(there)
    for name in ("vision_model", "text_model"):
        (there / f"onnx/{name}.onnx").rename(there / f"onnx/{name}_int8.onnx")
    sees(there / "onnx/vision_model_fp16.onnx")
    done = add_model(there)
    assert sorted(p.name for p in (done.path / "onnx").iterdir()) == ["text_model_int8.onnx", "vision_model_fp16.onnx"]


def test_the_models_own_files_are_no_longer_needed_once_it_was_added(there):
    add_model(transformers_js(there))
    before = see("clip", plain("red"))
    for path in sorted(there.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert (see("clip", plain("red")) == before).all()


def test_a_hubs_own_store_of_links_is_read(tmp_path):
    snapshot, blobs = tmp_path / "repo/snapshots/abc", tmp_path / "repo/blobs"
    transformers_js(snapshot)
    blobs.mkdir()
    for i, path in enumerate([p for p in snapshot.rglob("*") if p.is_file()]):
        path.rename(blobs / str(i))
        path.symlink_to(os.path.relpath(blobs / str(i), path.parent))
    assert add_model(snapshot, name="stored").name == "stored"


def test_the_digest_changes_with_what_is_done_before_the_tower(tmp_path):
    add_model(transformers_js(tmp_path / "a"), name="a")
    add_model(transformers_js(tmp_path / "b", image_mean=[0.25] * 3), name="b")
    assert Model(resolve("a")).digest != Model(resolve("b")).digest
    assert len(Model(resolve("a")).digest) == 16


def test_a_model_that_was_added_is_removed_whole(there, shelf):
    add_model(transformers_js(there))
    write_toy(shelf / "file.onnx")
    remove_model("clip")
    remove_model("file")
    assert list(shelf.iterdir()) == []
    with pytest.raises(ModelError, match="can't remove the model clip: none of that name was added"):
        remove_model("clip")
    with pytest.raises(ModelError, match="it came with photosearch and stays"):
        remove_model(next(iter(catalog.list_shipped())))


# ---- refusals


def unlink(name):
    return lambda folder: (folder / name).unlink()


def link_out(folder: Path) -> None:
    (folder / "tokenizer.json").rename(folder.parent / "tokenizer.json")
    (folder / "tokenizer.json").symlink_to("../tokenizer.json")


def weights_from(location: str):
    """The tower wants its weights from there, whatever is there."""

    def spoil(folder: Path) -> None:
        sees(folder / "onnx/vision_model.onnx", outside="weights.bin")
        data = (folder / "onnx/vision_model.onnx").read_bytes()
        assert len(location) == len("weights.bin")
        (folder / "onnx/vision_model.onnx").write_bytes(data.replace(b"weights.bin", location.encode()))

    return spoil


REFUSED = {
    "it is empty": (lambda f: [p.unlink() for p in f.rglob("*") if p.is_file()], "holds no two towers"),
    "it lacks the tower that reads": (unlink("onnx/text_model.onnx"), "but lacks onnx/text_model.onnx"),
    "it lacks the tower that sees": (unlink("onnx/vision_model.onnx"), "but lacks onnx/vision_model.onnx"),
    "it lacks a tokenizer": (unlink("tokenizer.json"), "lacks tokenizer.json"),
    "it lacks the preparation of photos": (unlink("preprocessor_config.json"), "lacks preprocessor_config.json"),
    "it lacks its config": (unlink("config.json"), "lacks config.json"),
    "its config is no JSON": (lambda f: (f / "config.json").write_text("{"), "is not a JSON object"),
    "its config is a list": (lambda f: (f / "config.json").write_text("[]"), "is not a JSON object"),
    "its config nests too deep": (lambda f: (f / "config.json").write_text("[" * 99_999), "is not a JSON object"),
    "its tokenizer is no tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "can't read the text model's"),
    "its tokenizer is another, larger one": (
        lambda f: (f / "tokenizer.json").write_text(toy_tokenizer((*WORDS, "dog"))),
        "is another model's, it knows 9 tokens and the text tower 8",
    ),
    "its tokenizer is another, and no one says so": (
        lambda f: (
            (f / "tokenizer.json").write_text(toy_tokenizer((*WORDS, "dog"))),
            put(f / "config.json", {"model_type": "clip"}),
        ),
        "is another model's, the text tower fails at its token 8",
    ),
    "its tokenizer's words are all alike": (
        lambda f: (
            (f / "tokenizer.json").write_text(toy_tokenizer(WORDS[:6])),
            put(f / "config.json", {"model_type": "clip"}),
        ),
        "gives two sentences that differ the same vector",
    ),
    "its vectors are of two lengths": (
        lambda f: reads(f / "onnx/text_model.onnx", rows=[[*row, 0] for row in ROWS]),
        "gave vectors of shape (1, 5), but its space has 4 dimensions",
    ),
    "it can't tell two pictures apart": (
        lambda f: sees(f / "onnx/vision_model.onnx", blind=True),
        "gives two pictures that differ the same vector",
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
        "can't use its settings",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_folder_is_refused_with_one_line_and_nothing_is_added_where(what, there, shelf):
    spoil, said = REFUSED[what]
    spoil(transformers_js(there))
    with pytest.raises(ModelError) as refused:
        add_model(there)
    assert said in str(refused.value)
    assert str(there) in str(refused.value) or "onnx" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert ".adding" not in str(refused.value)
    assert not shelf.exists() or list(shelf.iterdir()) == []


def test_siglip_is_refused_where_it_does_not_say_what_its_padding_is(there):
    transformers_js(there, siglip=True)
    put(there / "tokenizer_config.json", {})
    with pytest.raises(ModelError, match="doesn't say its pad_token"):
        add_model(there)


@pytest.mark.parametrize("mode", ["longest", 7])
def test_another_way_to_fit_a_photo_is_refused(mode, there):
    with pytest.raises(ModelError, match="not shortest or squash"):
        add_model(immich(there, resize_mode=mode))


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "two words", "x" * 101, "toy-text", "a\nb"])
def test_a_name_that_is_none_is_refused(name, there):
    there = transformers_js(there)
    if name:
        with pytest.raises(ModelError, match="can't be a model's name"):
            add_model(there, name=name)
    else:
        assert add_model(there, name=name).name == "clip"


def test_a_name_that_is_taken_is_refused(there, tmp_path):
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
def test_a_file_that_was_changed_since_is_refused(file, how, there):
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
    "names a tower that is not among its files": lambda raw: {**raw, "image": {**raw["image"], "file": "/etc/passwd"}},
    "names weights that are not among its files": lambda raw: {**raw, "words": {**raw["words"], "weights": ["../x"]}},
    "divides by zero": lambda raw: {**raw, "image": {**raw["image"], "deviation": [0, 1, 1]}},
    "scales by a word": lambda raw: {**raw, "image": {**raw["image"], "scale": "1"}},
    "cuts more than there is": lambda raw: {**raw, "image": {**raw["image"], "size": 9}},
    "has two spaces": lambda raw: {**raw, "text": {**raw["text"], "space": {"name": "other", "dim": 4}}},
    "gives scores": lambda raw: {**raw, "card": {**raw["card"], "outputs": ["scores"], "labels": ["a"]}},
    "has batches of a million": lambda raw: {**raw, "words": {**raw["words"], "batch": 10**6}},
}


@pytest.mark.parametrize("what", CARDS)
def test_a_model_that_was_added_is_refused_where_its_card(what, there):
    done = add_model(transformers_js(there))
    path = done.path / "card.json"
    path.write_text(json.dumps(CARDS[what](json.loads(path.read_text()))))
    for how in (Model, TextModel, read_card):
        with pytest.raises(ModelError, match="card") as refused:
            how(done.path)
        assert "\n" not in str(refused.value)
    with pytest.raises(ModelError, match="no text model for the space"):
        text_model_for(done.card.space)


def test_a_run_that_is_killed_leaves_no_model(there, shelf, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(two_tower, "_check", killed)
    with pytest.raises(KeyboardInterrupt):
        add_model(transformers_js(there))
    assert list(shelf.iterdir()) == []


def test_a_listing_does_not_open_the_towers(there):
    done = add_model(transformers_js(there))
    for path in (done.path / "onnx").iterdir():
        path.write_bytes(b"")
    assert read_card(list_added()["clip"]).name == "clip"
    assert math.isclose(read_card(done.path).min_score, 0)
    assert HALF["mean"] == [0.5] * 3
