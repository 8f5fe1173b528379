"""card.json of an added model is a stranger's text: what it may contain; anything else is rejected in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy import sight_card, toy_text_card

from photosearch.errors import ModelError
from photosearch.models.encoders import (
    CARD_FILE,
    ImageEncoder,
    TextEncoder,
    TwoTowerModel,
    is_below,
    read_encoders,
    write_encoders,
)

FILES = ("see.onnx", "see.data", "read.onnx", "tokenizer.json")
ZERO = "0" * 64


def make_model(folder: Path) -> TwoTowerModel:
    card = sight_card(outputs=("vectors",), labels=(), pooling={})
    image = ImageEncoder("see.onnx", ("see.data",), "x", "y", "float32", "first", 8, 0, 1 / 255, (0, 0, 0), (1, 1, 1))
    text = TextEncoder("read.onnx", (), "tokenizer.json", "ids", "z", 1, True)
    return TwoTowerModel(folder, card, toy_text_card(), image, text, dict.fromkeys(FILES, ZERO), {"from": "a hub"})


def test_read_encoders_returns_what_was_written(tmp_path: Path) -> None:
    write_encoders(make_model(tmp_path))
    assert read_encoders(tmp_path) == make_model(tmp_path)


def put(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(raw: dict[str, Any]) -> None:
        for key in keys[:-1]:
            raw = raw[key]
        raw[keys[-1]] = value

    return change


def leave_out(*keys: str) -> Callable[[dict[str, Any]], None]:
    def change(raw: dict[str, Any]) -> None:
        for key in keys[:-1]:
            raw = raw[key]
        del raw[keys[-1]]

    return change


WRONG = {
    "it lacks a part": leave_out("text"),
    "an encoder is no object": put("image", value=["file"]),
    "the image encoder lacks a value": leave_out("image", "scale"),
    "the text encoder lacks a value": leave_out("text", "attends_to_padding"),
    "files are a list": put("files", value=list(FILES)),
    "a file is above the folder": put("files", "../../see.onnx", value=ZERO),
    "a digest is short": put("files", "see.onnx", value=ZERO[1:]),
    "a digest is in capitals": put("files", "see.onnx", value="A" * 64),
    "a digest is a number": put("files", "see.onnx", value=0),
    "weights are one name": put("image", "weights", value="see.data"),
    "weights are numbers": put("image", "weights", value=[1]),
    "a file is not among the files": put("image", "file", value="other.onnx"),
    "the other's file is not among them": put("text", "file", value="other.onnx"),
    "weights are not among them": put("text", "weights", value=["other.data"]),
    "the tokenizer is not among them": put("text", "tokenizer", value="/etc/passwd"),
    "a file is a number": put("image", "file", value=7),
    "an input is a number": put("image", "input", value=7),
    "an output is nothing": put("text", "output", value=None),
    "its numbers are of another kind": put("image", "dtype", value="float64"),
    "its channels are nowhere": put("image", "channels", value="middle"),
    "its size is nothing": put("image", "size", value=0),
    "its size is larger than the picture": put("image", "size", value=9),
    "its size is true": put("image", "size", value=True),
    "it takes two at once": put("image", "max_batch", value=2),
    "the other takes a half": put("text", "max_batch", value=0.5),
    "padding is perhaps": put("text", "attends_to_padding", value=1),
    "its scale is a word": put("image", "scale", value="1"),
    "its scale is beyond all": put("image", "scale", value=1e7),
    "its mean is one number": put("image", "mean", value=[0.5]),
    "its mean is a word": put("image", "mean", value="abc"),
    "its mean is words": put("image", "mean", value=["0", "0", "0"]),
    "it divides by zero": put("image", "std", value=[1, 0, 1]),
    "it gives scores": put("image_card", "outputs", value=["scores", "vectors"]),
    "its encoders have two spaces": put("text_card", "space", "name", value="elsewhere"),
    "its encoders differ in dimensions": put("text_card", "space", "dim", value=5),
    "it came from a list": put("source", value=[]),
}


@pytest.mark.parametrize("what", WRONG)
def test_read_encoders_rejects_card_in_one_line(what: str, tmp_path: Path) -> None:
    write_encoders(make_model(tmp_path))
    path = tmp_path / CARD_FILE
    raw = json.loads(path.read_text())
    WRONG[what](raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(ModelError) as refused:
        read_encoders(tmp_path)
    assert str(refused.value).startswith(f"{path}: its ")
    assert str(refused.value).endswith("; remove the model and add it again")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"null", b"[" * 100_000, b"\xff\xfe", b'{"image_card": {}}'])
def test_read_encoders_rejects_other_bytes_in_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_bytes(data)
    with pytest.raises(ModelError, match="remove the model and add it again"):
        read_encoders(tmp_path)


def test_read_encoders_limits_card_to_16_mib(tmp_path: Path) -> None:
    write_encoders(make_model(tmp_path))
    path = tmp_path / CARD_FILE
    path.write_bytes(path.read_bytes().ljust(2**24))
    assert read_encoders(tmp_path) == make_model(tmp_path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match="is not a card that `photosearch models add` wrote"):
        read_encoders(tmp_path)


@pytest.mark.parametrize("name", ["a", "a.onnx", "onnx/a.onnx", "a b/ć.onnx", "...", "x" * 1000])
def test_is_below_accepts_relative_names(name: str) -> None:
    assert is_below(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/../b", "a/./b", "a//b", "a/", "/a", "c:a", "a\\b", "a\nb", "a\0b", "x" * 1001, 7, None],
)
def test_is_below_rejects_names_leading_elsewhere(name: object) -> None:
    assert not is_below(name)
