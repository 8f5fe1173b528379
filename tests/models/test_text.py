"""Texts -> vectors: truncation, padding, rejections. The toy model and its tokenizer can be computed in one's head."""

import hashlib
import math
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto
from toy import sight_card, toy_card, toy_text_card, write_toy, write_toy_text

from photosearch.errors import InputError, ModelError
from photosearch.models.text import TextModel, normalize, tokenize

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return TextModel(write_toy_text(tmp_path_factory.mktemp("text") / "toy-text.onnx"))


def test_embed_puts_word_near_its_photos(reader):
    given = reader.embed(["red", "blue", "red green"])
    half = math.sqrt(0.5)
    np.testing.assert_allclose(given, [[1, 0, 0, 0], [0, 0, 1, 0], [half, half, 0, 0]], atol=1e-6)
    assert given.dtype == np.float32
    assert reader.card == toy_text_card()


def test_embed_is_independent_of_batch(reader):
    """The padding's embedding is (9, 9, 9, 9), so a text that saw it would be elsewhere."""
    texts = ["red", "green green red red blue", "blue", *["black red"] * 40]
    together = reader.embed(texts)
    np.testing.assert_array_equal(together, np.concatenate([reader.embed([text]) for text in texts]))


def test_embed_of_no_texts_is_empty(reader):
    assert reader.embed([]).shape == (0, 4)


def test_embed_truncates_text_at_context(tmp_path):
    reader = TextModel(write_toy_text(tmp_path / "short-text.onnx", toy_text_card(context=2)))
    np.testing.assert_array_equal(reader.embed(["red red blue blue blue"]), [[1, 0, 0, 0]])


def test_embed_pads_to_fixed_length(tmp_path):
    reader = TextModel(write_toy_text(tmp_path / "long-text.onnx", toy_text_card(pad_to=8, pad_id=5)))
    np.testing.assert_array_equal(reader.embed(["red"]), [[1, 0, 0, 0]])
    rows = tokenize(reader._tokenizer, ["red"], reader.card)
    assert rows.ids.tolist() == [[2, 5, 5, 5, 5, 5, 5, 5]]
    assert rows.mask.tolist() == [[1, 0, 0, 0, 0, 0, 0, 0]]


def test_embed_accepts_int32_inputs(tmp_path):
    reader = TextModel(write_toy_text(tmp_path / "narrow-text.onnx", kind=TensorProto.INT32))
    np.testing.assert_array_equal(reader.embed(["blue"]), [[0, 0, 1, 0]])


def test_normalize_applies_every_form():
    text = " Two\t DOGS,  and a caf" + unicodedata.normalize("NFD", "é") + " – “good”! "
    assert normalize(text, "plain") == " Two\t DOGS,  and a café – “good”! "
    assert normalize(text, "spaces") == "Two DOGS, and a café – “good”!"
    assert normalize(text, "lower") == "two dogs, and a café – “good”!"
    assert normalize(text, "canonical") == "two dogs and a café good"


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_embed_rejects_empty_text(reader, text):
    with pytest.raises(InputError, match="the text is empty"):
        reader.embed(["red", text])


def test_normalize_rejects_text_of_punctuation_alone():
    with pytest.raises(InputError, match="no words in this text"):
        normalize("?!…", "canonical")


@pytest.mark.parametrize("text", ["mauve", "🐦", "鳥", "red" * 2000, "red " * 5000, "\ud800", "\0", "\u202e"])
def test_embed_accepts_any_other_text(reader, text):
    assert np.linalg.norm(reader.embed([text])) == pytest.approx(1)


REFUSED = {
    "its tokenizer is gone": (
        lambda p: p.with_suffix(".tokenizer.json").unlink(),
        "can't read the text model's tokenizer",
    ),
    "its tokenizer is no tokenizer": (
        lambda p: p.with_suffix(".tokenizer.json").write_text('{"version": "1.0"}'),
        "can't read the text model's tokenizer",
    ),
    "its tokenizer is bytes": (
        lambda p: p.with_suffix(".tokenizer.json").write_bytes(b"\xff" * 99),
        "can't read the text",
    ),
    "its tokenizer is another's": (
        lambda p: write_toy_text(p, toy_text_card(tokenizer_sha256=hashlib.sha256(b"x").hexdigest())),
        "is not the tokenizer of toy-text",
    ),
    "its card promises more dimensions": (
        lambda p: write_toy_text(p, toy_text_card(dimensions=5)),
        "its space has 5 dimensions",
    ),
    "its card is a photo model's": (lambda p: write_toy_text(p, sight_card().to_json()), "is not a text model"),
    "its card is no card": (lambda p: write_toy_text(p, "{"), "its card is not JSON"),
    "its context is nothing": (
        lambda p: write_toy_text(p, toy_text_card(context=0).to_json()),
        "context must be 1 to 100000",
    ),
    "it pads beyond its context": (lambda p: write_toy_text(p, toy_text_card(pad_to=9).to_json()), "pad_to must be"),
    "its normalization is unknown": (
        lambda p: write_toy_text(p, toy_text_card(text_normalization="loud").to_json()),
        "text_normalization must be one of",
    ),
    "it has floats for words": (lambda p: write_toy(p, toy_card()), "is not a text model"),
    "it is no model": (lambda p: p.write_bytes(b"\0" * 4096), "not an .onnx file"),
    "it is gone": (lambda p: p.unlink(), "can't read this model"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_text_model_rejects_file_in_one_line(what, tmp_path):
    spoil, said = REFUSED[what]
    path = write_toy_text(tmp_path / "toy-text.onnx")
    spoil(path)
    with pytest.raises(ModelError) as refused:
        TextModel(path)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_text_model_opens_no_connection_and_imports_no_hub(tmp_path):
    program = """if True:
        import sys
        def forbid(event, arguments):
            if event.startswith("socket."):
                raise SystemExit(f"{event} {arguments}")
        sys.addaudithook(forbid)
        from photosearch.models.text import TextModel
        print(TextModel(sys.argv[1]).embed(["red"]).tolist())
        print(sorted({"huggingface_hub", "socket", "ssl", "http", "requests", "httpx"} & set(sys.modules)))
    """
    path = write_toy_text(tmp_path / "toy-text.onnx")
    alone = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}  # it imports, too
    python = [sys.executable, "-P", "-c", program, path]
    done = subprocess.run(python, capture_output=True, text=True, cwd=ROOT, env=alone)
    assert done.stdout.splitlines() == ["[[1.0, 0.0, 0.0, 0.0]]", "[]"], done.stderr
