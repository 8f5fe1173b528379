"""The real reader, where its package is installed: what it reads, and where."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from photosearch.errors import InputError, ModelError
from photosearch.ocr import reader as reading
from photosearch.ocr.lines import TextWord
from photosearch.ocr.reader import TextReader

pytest.importorskip("rapidocr")
WIDTH, HEIGHT = 800, 600


@pytest.fixture(scope="module")
def reader() -> TextReader:
    return TextReader()


def draw(angle: int) -> np.ndarray:
    """GATE over 14 in the middle of a white picture; turned by degrees, counter-clockwise."""
    label = Image.new("RGB", (420, 90), "white")
    ImageDraw.Draw(label).text((30, 10), "GATE 14", fill="black", font=ImageFont.load_default(64))
    label = label.rotate(angle, expand=True, fillcolor="white")
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    picture.paste(label, ((WIDTH - label.width) // 2, (HEIGHT - label.height) // 2))
    return np.asarray(picture)


def centre(word: TextWord) -> tuple[float, float]:
    return sum(word.box[0::2]) / 4 * WIDTH, sum(word.box[1::2]) / 4 * HEIGHT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("angle", "step", "head"),
    [(0, (1, 0), (0, -1)), (90, (0, -1), (-1, 0)), (270, (0, 1), (1, 0)), (180, (-1, 0), (0, 1))],
)
def test_words_have_their_places_as_they_are_read(
    reader: TextReader, angle: int, step: tuple[int, int], head: tuple[int, int]
) -> None:
    picture = draw(angle)
    (line,) = reader.read(picture)
    assert line.text == "GATE 14"
    assert line.confidence > 0.9
    gate, number = (centre(word) for word in line.words)
    moved = np.subtract(number, gate)
    assert np.dot(moved, step) > 120
    assert abs(np.dot(moved, head)) < 20
    x0, y0, *_, x3, y3 = line.words[0].box
    assert np.dot(((x0 - x3) * WIDTH, (y0 - y3) * HEIGHT), head) > 40
    ink = np.argwhere(picture[..., 0] < 128)
    ys, xs = np.array([word.box[1::2] for word in line.words]), np.array([word.box[0::2] for word in line.words])
    assert abs(ys.min() * HEIGHT - ink[:, 0].min()) < 25
    assert abs(xs.max() * WIDTH - ink[:, 1].max()) < 25


@pytest.mark.slow
def test_line_is_kept_from_its_least_confidence_on(reader: TextReader, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = reader.read(draw(0))
    monkeypatch.setattr(reading, "MIN_CONFIDENCE", line.confidence)
    assert reader.read(draw(0)) == [line]
    monkeypatch.setattr(reading, "MIN_CONFIDENCE", np.nextafter(line.confidence, 1))
    assert reader.read(draw(0)) == []


def test_reader_starts_no_threads_of_its_own(reader: TextReader) -> None:
    import cv2

    assert cv2.getNumThreads() == 1


@pytest.mark.slow
def test_gate_tells_text_from_none(reader: TextReader) -> None:
    small = np.asarray(Image.fromarray(draw(0)).resize((384, 288)))
    assert reader.may_have_text(small)
    assert not reader.may_have_text(np.full((288, 384, 3), 200, np.uint8))


@pytest.mark.parametrize(
    ("thickness", "length", "is_line"), [(10, 16, True), (10, 14, False), (40, 64, False), (40, 84, True)]
)
def test_thick_line_is_longer_than_a_thin_one(reader: TextReader, thickness: int, length: int, is_line: bool) -> None:
    """In a picture of 200 pixels a line is thick from 30 on."""
    assert reader._is_line(np.ones((thickness, length), bool), 200) is is_line


@pytest.mark.parametrize("shape", [(1, 1), (1920, 3), (3, 1920), (11, 1920), (29, 29)])
def test_strange_shapes_have_no_text(reader: TextReader, shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 200, np.uint8)
    assert reader.read(picture) == []
    assert not reader.may_have_text(picture)


@pytest.mark.slow
def test_reader_loads_nothing_that_opens_sockets() -> None:
    code = "import sys; from photosearch.ocr.reader import TextReader; TextReader(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert not {"requests", "urllib3", "httpx"} & set(run.stdout.split())


def test_missing_networks_are_named_and_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(reading.FILES, "Rec", "nowhere.onnx")
    with pytest.raises(reading.ModelError, match=r"lacks nowhere\.onnx"):
        TextReader()


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(InputError, match=r"needs rapidocr: pip install 'photosearch\[ocr\]'"):
        TextReader()


def test_networks_that_cannot_be_loaded_are_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import rapidocr

    def fail(params: object) -> None:
        raise RuntimeError("no such provider\nand more")

    monkeypatch.setattr(rapidocr, "RapidOCR", fail)
    with pytest.raises(ModelError, match=r"the text reader can't start: no such provider$"):
        reading._load()


def test_picture_that_the_reader_fails_on_is_said_in_one_line(
    reader: TextReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("no such shape\nand more")

    picture = np.full((96, 96, 3), 200, np.uint8)
    monkeypatch.setattr(reader._ocr, "preprocess_img", fail)
    with pytest.raises(ValueError, match=r"^no such shape$"):
        reader.read(picture)


def test_stand_in_of_a_package_is_gone_after_its_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "requests", raising=False)
    with reading._offline():
        assert sys.modules["requests"].RequestException is OSError
    assert "requests" not in sys.modules
    monkeypatch.setitem(sys.modules, "requests", json)
    with reading._offline():
        assert sys.modules["requests"] is not json
    assert sys.modules["requests"] is json
