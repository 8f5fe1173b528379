"""Text in pictures at the command line: the setting, what a run says, columns, CSV, JSON, status, errors, the page."""

import csv
import io
import json
from collections.abc import Sequence

import numpy as np
import pytest
from cli_env import CliEnv, fail, notes

from photosearch import Library
from photosearch.index import texts
from photosearch.ocr import reader
from photosearch.ocr.lines import TextLine, TextWord
from photosearch.web.responses import TextBox, make_details

BOX = (0.1, 0.2, 0.9, 0.2, 0.9, 0.4, 0.1, 0.4)


class ToyReader:
    """Sees 'gate 14' in red pictures, and fails on white ones."""

    def may_have_text(self, picture: np.ndarray) -> bool:
        return bool(picture[..., 0].mean() > 200)

    def read(self, picture: np.ndarray) -> Sequence[TextLine]:
        if picture.mean() > 200:
            raise ValueError("too bright")
        return [TextLine(0.9, (TextWord("gate", BOX), TextWord("14", BOX)))]


@pytest.fixture
def readable(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> CliEnv:
    monkeypatch.setattr(texts, "TextReader", ToyReader)
    for module in (texts, reader):
        monkeypatch.setattr(module, "find_reader", lambda: None)
    return cli_env


@pytest.mark.slow
@pytest.mark.option("index --ocr", "folders set --ocr")
def test_index_reads_text_and_every_output_has_it(readable: CliEnv) -> None:
    said = notes(readable.index("--ocr", "--verbose"))
    assert any(line.startswith("Reading the text in 3 pictures") for line in said)
    assert any(line.endswith("white.png: its text can't be read: too bright") for line in said)
    assert any(line.startswith("Text found in 1 of 2 pictures, 1 could not be read; ") for line in said)
    found = readable.run("find", 'text:"gate 14"', "--columns", "text").stdout
    assert found.splitlines() == [f"\t{readable.photos / 'red.jpg'}\tgate 14\t"]
    (row,) = csv.DictReader(io.StringIO(readable.run("find", "text:gate", "--csv").stdout))
    assert row["text"] == "gate 14"
    (photo,) = json.loads(readable.run("find", "text:gate", "--json").stdout)["photos"]
    assert photo["text"] == "gate 14"
    assert "text in pictures\t1 of 3 pictures that were read" in readable.run("status").stdout
    assert json.loads(readable.run("status", "--json").stdout)["texts"] == {"read": 3, "found": 1}
    assert "its text: too bright" in readable.run("errors").stdout
    assert "text in pictures: read" in readable.run("folders").stdout
    counts = json.loads(readable.run("index", "--json").stdout)
    assert (counts["texts_read"], counts["texts_failed"]) == (0, 0)
    assert json.loads(readable.run("index", "--retry", "--json").stdout)["texts_failed"] == 1
    readable.run("folders", "set", readable.photos, "--no-ocr")
    readable.run("index")
    assert json.loads(readable.run("status", "--json").stdout)["texts"] == {"read": 0, "found": 0}


def test_details_of_the_page_have_each_line_with_its_rectangle(readable: CliEnv) -> None:
    readable.index("--ocr")
    with Library(readable.library) as library:
        (photo,) = library.find("text:gate")
        details = library.details(photo.image_id)
        assert details is not None
        left, top, right, bottom = min(BOX[::2]), min(BOX[1::2]), max(BOX[::2]), max(BOX[1::2])
        framed = TextBox("gate 14", left, top, pytest.approx(right - left), pytest.approx(bottom - top))
        assert make_details(details, (), {}).texts == [framed]
        assert library.read_texts([photo]) == ["gate 14"]
        assert library.find_words("gate 14 photos") == [photo.path]


def test_index_ocr_without_the_extra_is_refused_before_anything_is_made(
    cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "find_reader", lambda: reader.NEEDS)
    assert fail(cli_env.index("--ocr")) == reader.NEEDS
    assert not cli_env.library.exists()
    cli_env.index()
    assert fail(cli_env.index("--ocr")) == reader.NEEDS
    assert "text in pictures" not in cli_env.run("folders").stdout


def test_folder_that_asks_for_text_is_indexed_without_the_extra(
    readable: CliEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    readable.index()
    readable.run("folders", "set", readable.photos, "--ocr")
    monkeypatch.setattr(texts, "find_reader", lambda: reader.NEEDS)
    said = notes(readable.run("index"))
    assert f"{readable.photos}: {reader.NEEDS}; or, to do without: photosearch index --no-ocr" in said
