"""Which models there are, and their names. No session is started."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import onnx
import pytest
from onnx import helper
from toy import sight_card, toy_card, toy_graph, toy_text_card, write_toy, write_toy_text

from photosearch.errors import ModelError
from photosearch.models import catalog
from photosearch.models.card import CARD_KEY
from photosearch.models.catalog import list_added, list_shipped, read_card, resolve, text_model_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shelves(tmp_path, monkeypatch):
    """(the folder of the shipped models, that of the added ones), both empty."""
    folders = tmp_path / "shipped", tmp_path / "added"
    for folder in folders:
        folder.mkdir()
    monkeypatch.setattr(catalog, "SHIPPED", folders[0])
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(folders[1]))
    return folders


def test_resolve_accepts_name_or_file(shelves, tmp_path):
    for name in (catalog.DEFAULT_MODEL, "other"):
        write_toy(shelves[0] / f"{name}.onnx")
    mine = write_toy(tmp_path / "mine.onnx")
    assert list(list_shipped()) == sorted([catalog.DEFAULT_MODEL, "other"])
    assert resolve(None) == resolve(catalog.DEFAULT_MODEL) == tmp_path / f"shipped/{catalog.DEFAULT_MODEL}.onnx"
    assert resolve("other") == tmp_path / "shipped/other.onnx"
    assert resolve(str(mine)) == mine
    with pytest.raises(
        ModelError, match=rf"no model 'nine': give an .onnx file, or one of {', '.join(list_shipped())}"
    ):
        resolve("nine")


def test_resolve_finds_added_model(shelves):
    mine = write_toy(shelves[1] / "mine.onnx")
    (shelves[1] / ".half-added").mkdir()
    (shelves[1] / "notes").mkdir()
    assert list_added() == list_added(shelves[1]) == {"mine": mine}
    assert resolve("mine") == mine
    assert list_added(shelves[1] / "nowhere") == {}


def test_resolve_rejects_duplicate_name(shelves):
    write_toy(shelves[0] / "twin.onnx")
    write_toy(shelves[1] / "twin.onnx")
    with pytest.raises(ModelError, match=r"two models are called twin: .*shipped.*added.*; rename") as refused:
        resolve("twin")
    assert "\n" not in str(refused.value)


def test_text_model_for_finds_unlisted_text_model_by_space(shelves):
    write_toy(shelves[0] / "toy.onnx", sight_card())
    (shelves[0] / "broken-text.onnx").write_bytes(b"\0" * 100)
    tower = write_toy_text(shelves[0] / "toy-text.onnx")
    other = write_toy_text(shelves[1] / "mine-text.onnx", toy_text_card(space="mine"))
    assert list(list_shipped()) == ["toy"]
    assert list_added() == {}
    assert text_model_for("toy-space") == tower
    assert text_model_for("mine") == other
    assert read_card(tower) == toy_text_card()
    with pytest.raises(ModelError, match="no text model for the space 'elsewhere'"):
        text_model_for("elsewhere")


def test_read_card_imports_no_numpy_or_onnxruntime():
    program = """if True:
        import sys
        from photosearch.models.catalog import list_shipped, read_card
        print(len([read_card(path) for path in list_shipped().values()]))
        print(sorted({"numpy", "onnx", "onnxruntime", "PIL", "tokenizers"} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines() == [str(len(list_shipped())), "[]"]


# ---- what the card's reader refuses


def field(number: int, value: bytes) -> bytes:
    """A protobuf field with a value that has a length below 128."""
    return bytes([number << 3 | 2, len(value)]) + value


ENTRY = field(14, field(1, CARD_KEY.encode()) + field(2, b"{}"))
FILES = {
    "is empty": (b"", "has no card"),
    "is a picture": (b"GIF89a" + bytes(100), "not an .onnx file"),
    "is zeros": (bytes(4096), "not an .onnx file"),
    "promises more than it holds": (b"\x3a\xff\xff\xff\xff\x7f", "it is truncated"),
    "has a length that no file has": (b"\x3a" + b"\xff" * 9 + b"\x01", "it is truncated"),
    "has a number that never ends": (b"\x08" + b"\xff" * 50, "it is truncated"),
    "has groups": (b"\x0b\x0c", "not an .onnx file"),
    "has a million fields": (b"\x08\x01" * 1_000_000, "too many parts"),
    "has two cards": (ENTRY + ENTRY, "two cards"),
    "has bytes for a card": (field(14, field(1, CARD_KEY.encode()) + field(2, b"\xff\xfe")), "not UTF-8"),
    "has a card of 17 MB": (b"\x72" + b"\x80\x80\x80\x09" + bytes(9 << 21), "too long"),
}


@pytest.mark.parametrize("what", FILES)
def test_read_card_rejects_file_in_one_line(what, tmp_path):
    data, said = FILES[what]
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    start = time.process_time()
    with pytest.raises(ModelError) as refused:
        read_card(path)
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)
    assert time.process_time() - start < 1


def test_read_card_rejects_pipe_and_missing_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    for name in ("pipe.onnx", "nothing.onnx"):
        with pytest.raises(ModelError, match="no such model file"):
            read_card(tmp_path / name)
    with pytest.raises(ModelError, match="is not a card that `photosearch models add` wrote"):
        read_card(tmp_path)


def test_read_card_finds_card_anywhere_in_file(tmp_path):
    """protobuf allows any order; and other tools' metadata is passed over."""
    model = toy_graph()
    helper.set_model_props(model, {"someone": "else", CARD_KEY: toy_card(version="9").to_json(), "z": "\u00e9" * 1000})
    first, rest = onnx.ModelProto(), onnx.ModelProto()
    first.metadata_props.extend(model.metadata_props)
    rest.CopyFrom(model)
    rest.ClearField("metadata_props")
    (tmp_path / "m.onnx").write_bytes(first.SerializeToString() + rest.SerializeToString())
    assert onnx.load(tmp_path / "m.onnx") == model
    assert read_card(tmp_path / "m.onnx").version == "9"


def test_read_card_of_truncated_model_is_none_or_whole(tmp_path):
    whole = write_toy(tmp_path / "whole.onnx").read_bytes()
    card, path = read_card(tmp_path / "whole.onnx"), tmp_path / "cut.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with contextlib.suppress(ModelError):
            assert read_card(path) == card
