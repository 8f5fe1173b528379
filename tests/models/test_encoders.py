"""card.json of a foreign model is a stranger's text: what it may say, and that anything else is refused in a line."""

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


def towers(folder: Path) -> TwoTowerModel:
    card = sight_card(outputs=("vectors",), labels=(), pooling={})
    image = ImageEncoder("see.onnx", ("see.data",), "x", "y", "float32", "first", 8, 0, 1 / 255, (0, 0, 0), (1, 1, 1))
    words = TextEncoder("read.onnx", (), "tokenizer.json", "ids", "z", 1, True)
    return TwoTowerModel(folder, card, toy_text_card(), image, words, dict.fromkeys(FILES, ZERO), {"from": "a hub"})


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_encoders(towers(tmp_path))
    assert read_encoders(tmp_path) == towers(tmp_path)


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
    "it lacks a part": leave_out("words"),
    "a tower is no dictionary": put("image", value=["file"]),
    "a tower lacks a value": leave_out("image", "scale"),
    "a tower of words lacks a value": leave_out("words", "sees_padding"),
    "files are a list": put("files", value=list(FILES)),
    "a file lies above": put("files", "../../see.onnx", value=ZERO),
    "a digest is short": put("files", "see.onnx", value=ZERO[1:]),
    "a digest is in capitals": put("files", "see.onnx", value="A" * 64),
    "a digest is a number": put("files", "see.onnx", value=0),
    "weights are one name": put("image", "weights", value="see.data"),
    "weights are numbers": put("image", "weights", value=[1]),
    "a file is not among the files": put("image", "file", value="other.onnx"),
    "the other's file is not among them": put("words", "file", value="other.onnx"),
    "weights are not among them": put("words", "weights", value=["other.data"]),
    "the tokenizer is not among them": put("words", "tokenizer", value="/etc/passwd"),
    "a file is a number": put("image", "file", value=7),
    "an input is a number": put("image", "input", value=7),
    "an output is nothing": put("words", "output", value=None),
    "its numbers are of another kind": put("image", "kind", value="float64"),
    "its channels are nowhere": put("image", "channels", value="middle"),
    "its size is nothing": put("image", "size", value=0),
    "its size is larger than the picture": put("image", "size", value=9),
    "its size is true": put("image", "size", value=True),
    "it takes two at once": put("image", "batch", value=2),
    "the other takes a half": put("words", "batch", value=0.5),
    "padding is perhaps": put("words", "sees_padding", value=1),
    "its scale is a word": put("image", "scale", value="1"),
    "its scale is beyond all": put("image", "scale", value=1e7),
    "its mean is one number": put("image", "mean", value=[0.5]),
    "its mean is a word": put("image", "mean", value="abc"),
    "its mean is words": put("image", "mean", value=["0", "0", "0"]),
    "it divides by zero": put("image", "deviation", value=[1, 0, 1]),
    "it gives scores": put("card", "outputs", value=["scores", "vectors"]),
    "its towers meet in two spaces": put("text", "space", "name", value="elsewhere"),
    "its towers differ in width": put("text", "space", "dim", value=5),
    "it came from a list": put("source", value=[]),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_card_is_refused_in_one_line_where(what: str, tmp_path: Path) -> None:
    write_encoders(towers(tmp_path))
    path = tmp_path / CARD_FILE
    raw = json.loads(path.read_text())
    WRONG[what](raw)
    path.write_text(json.dumps(raw))
    with pytest.raises(ModelError) as refused:
        read_encoders(tmp_path)
    assert str(refused.value).startswith(f"{path}: its ")
    assert str(refused.value).endswith("; remove the model and add it again")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"7", b"null", b"[" * 100_000, b"\xff\xfe", b'{"card": {}}'])
def test_what_is_no_card_is_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_bytes(data)
    with pytest.raises(ModelError, match="remove the model and add it again"):
        read_encoders(tmp_path)


def test_a_card_may_be_16_mib_long_and_no_longer(tmp_path: Path) -> None:
    write_encoders(towers(tmp_path))
    path = tmp_path / CARD_FILE
    path.write_bytes(path.read_bytes().ljust(2**24))
    assert read_encoders(tmp_path) == towers(tmp_path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match="is not a card that `photosearch models add` wrote"):
        read_encoders(tmp_path)


@pytest.mark.parametrize("name", ["a", "a.onnx", "onnx/a.onnx", "a b/ć.onnx", "...", "x" * 1000])
def test_a_name_of_a_file_below_the_folder_is_one(name: str) -> None:
    assert is_below(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../a", "a/../b", "a/./b", "a//b", "a/", "/a", "c:a", "a\\b", "a\nb", "a\0b", "x" * 1001, 7, None],
)
def test_a_name_that_leads_elsewhere_is_none(name: object) -> None:
    assert not is_below(name)
