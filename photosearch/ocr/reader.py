"""The reader of text in pictures: PP-OCR's networks, as the package `rapidocr` brings and runs them (extra `ocr`).

    picture at GATE_SIZE -> the detector alone: any text?     most photos end here
    picture at SIZE      -> detector, at DETECTED_SIZE -> a crop for each line -> upside down? -> its characters

The networks know Latin letters with their accents, digits, Chinese and Japanese; no Cyrillic, Greek, Arabic or Korean.
They run on the CPU. The package would download a network that is missing: each is named by its file instead, and what
it would download with is kept out.
https://github.com/PaddlePaddle/PaddleOCR, https://github.com/RapidAI/RapidOCR, both Apache-2.0.
"""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from photosearch.errors import InputError, ModelError, first_line
from photosearch.ocr.lines import Box, TextLine, TextWord

VERSION = 1  # of the reader: incremented when the same picture gives other text
NEEDS = "reading text in pictures needs rapidocr: pip install 'photosearch[ocr]'"
FILES = {  # of the package
    "Det": "PP-OCRv6_det_small.onnx", "Cls": "ch_ppocr_mobile_v2.0_cls_mobile.onnx", "Rec": "PP-OCRv6_rec_small.onnx",
}  # fmt: skip
# The longer side in pixels of what the gate sees, of what is cut into lines, and of what lines are searched in. By
# `python -m benchmarks text`.
GATE_SIZE, SIZE, DETECTED_SIZE = 384, 1920, 960
MAX_ENLARGED = 3.0  # times, of a picture that is smaller than what the detector is to see
MIN_SIDE = 10  # pixels; a narrower picture holds no text, and rapidocr would enlarge it to 30
STEP = 32  # pixels: the detector's sides are multiples of it
# The gate looks for lines: areas above this probability, of so many pixels and so many times as long as thick. Of those
# as thick as this share of the picture's shorter side only twice as long ones count: from afar the detector takes a
# whole bird for a character. A picture passes by the mean probability of its surest line.
GATE_PROBABILITY, GATE_PIXELS, GATE_LONG = 0.3, 12, 1.5
GATE_THICK, GATE_LONG_IF_THICK = 0.15, 2.0
MIN_LIKELIHOOD = 0.5
MIN_CONFIDENCE, MIN_CONFIDENCE_ALONE = 0.6, 0.95  # of a line, and of a single character
UPSIDE_DOWN = 0.9  # confidence from which rapidocr turns a line
VERTICAL = 1.5  # times as high as wide: from there on rapidocr reads a line downwards

Pixels = npt.NDArray[np.uint8]
Corners = npt.NDArray[np.float64]  # [4, 2], x and y in pixels


class TextReader:
    """The loaded networks. May be used from several threads at once, each picture on one core."""

    def __init__(self) -> None:
        """Raises InputError where the package is missing, ModelError where its networks are."""
        with _offline():
            self._cv2, self._ocr = _load()
        self._detector = self._ocr.text_det.session

    def may_have_text(self, picture: Pixels) -> bool:
        """Whether it is worth reading. picture: uint8 [H, W, 3], RGB, upright, of GATE_SIZE or less.

        Raises ValueError where the detector fails.
        """
        return self.weigh(picture) >= MIN_LIKELIHOOD

    def weigh(self, picture: Pixels) -> float:
        """The mean probability, 0..1, of the area that is likeliest a line of text; 0 without any.

        picture, errors: as for may_have_text.
        """
        probabilities = self._detect(picture)
        likely = (probabilities >= GATE_PROBABILITY).astype(np.uint8)
        n, areas, boxes, _ = _run(self._cv2.connectedComponentsWithStats, likely)
        found = 0.0
        for area in range(1, n):  # 0 is the background
            left, top, width, height, pixels = boxes[area]
            if pixels < GATE_PIXELS:
                continue
            inside = areas[top : top + height, left : left + width] == area
            if self._is_line(inside, min(likely.shape)):
                mean = probabilities[top : top + height, left : left + width][inside].mean()
                found = max(found, float(mean))
        return found

    def _is_line(self, inside: npt.NDArray[np.bool_], side: int) -> bool:
        """Whether an area has the shape of a line of text. side: the picture's shorter one, in pixels."""
        points = np.argwhere(inside).astype(np.float32)
        thickness, length = (extent + 1 for extent in sorted(self._cv2.minAreaRect(points)[1]))
        least = GATE_LONG if thickness < GATE_THICK * side else GATE_LONG_IF_THICK
        return bool(length >= least * thickness)

    def _detect(self, picture: Pixels) -> npt.NDArray[np.float32]:
        """The probability of text for each pixel, [H, W], resized to multiples of STEP."""
        scale = _find_scale(picture, GATE_SIZE)
        height, width = (max(STEP, round(side * scale / STEP) * STEP) for side in picture.shape[:2])
        resized = _resize(picture, width, height)
        pixels = resized[..., ::-1].astype(np.float32) / np.float32(127.5) - 1
        found = _run(self._detector, np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis]))
        probabilities: npt.NDArray[np.float32] = np.asarray(found)[0, 0]
        return probabilities

    def read(self, picture: Pixels) -> list[TextLine]:
        """The lines in a picture, from the top down. picture: uint8 [H, W, 3], RGB, upright, of SIZE or less.

        Raises ValueError where it can't be read.
        """
        if min(picture.shape[:2]) < MIN_SIDE:
            return []
        if (scale := _find_scale(picture, DETECTED_SIZE)) > 1:
            picture = _resize(picture, *(round(side * scale) for side in picture.shape[1::-1]))
        height, width = picture.shape[:2]
        image, record = _run(self._ocr.preprocess_img, np.ascontiguousarray(picture[..., ::-1]))
        found = _run(self._ocr.run_ocr_steps, image, record)
        boxes, turned, read = (found[0].boxes, found[1].cls_res, found[2])
        if boxes is None or turned is None or read.txts is None:
            return []
        places = _to_original(boxes, record)
        lines = []
        for place, (label, certainty), text, confidence, info in zip(
            places, turned, read.txts, read.scores, read.word_results, strict=True
        ):
            corners = _order_corners(place, upside_down="180" in label and certainty > UPSIDE_DOWN)
            words = tuple(_place_words(text, info, corners / (width, height)))
            characters = sum(map(str.isalnum, text))
            least = MIN_CONFIDENCE if characters > 1 else MIN_CONFIDENCE_ALONE
            if characters and words and confidence >= least:
                lines.append(TextLine(float(confidence), words))
        return lines


def find_reader() -> str | None:
    """Why text in pictures can't be read here, None where it can. Loads nothing."""
    import importlib.util

    return None if importlib.util.find_spec("rapidocr") is not None else NEEDS


def check_reader() -> None:
    """Raises InputError where text in pictures can't be read here."""
    if (reason := find_reader()) is not None:
        raise InputError(reason)


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Keep out the package that rapidocr would download with: its import alone opens a socket."""
    stand_in = ModuleType("requests")
    vars(stand_in).update(Response=object, RequestException=OSError)  # named when rapidocr is imported
    before = sys.modules.get("requests")
    sys.modules["requests"] = stand_in
    try:
        yield
    finally:
        del sys.modules["requests"]
        if before is not None:
            sys.modules["requests"] = before


def _load() -> tuple[Any, Any]:
    """OpenCV, and rapidocr with its detector loaded. Raises InputError, ModelError."""
    try:
        import cv2
        import rapidocr
    except ImportError:
        raise InputError(NEEDS) from None
    cv2.setNumThreads(0)  # each picture has a thread of its own
    folder = Path(rapidocr.__file__).parent / "models"
    missing = [name for name in FILES.values() if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder}: lacks {', '.join(missing)}; pip install --force-reinstall 'photosearch[ocr]'")
    paths = {f"{part}.model_path": str(folder / name) for part, name in FILES.items()}
    try:
        ocr = rapidocr.RapidOCR(params={
            **paths, "Global.log_level": "critical", "Global.return_word_box": True, "Global.max_side_len": SIZE,
            "Det.limit_type": "max", "Det.limit_side_len": DETECTED_SIZE,
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        })  # fmt: skip
        ocr(np.zeros((STEP, STEP, 3), np.uint8))
    except Exception as error:
        raise ModelError(f"{folder}: the text reader can't start: {first_line(error)}") from None
    return cv2, ocr


def _run(function: Any, *values: Any) -> Any:
    """What OpenCV and ONNX Runtime raise for a strange picture is its own matter. Raises ValueError."""
    try:
        return function(*values)
    except Exception as error:
        raise ValueError(first_line(error)) from None


def _find_scale(picture: Pixels, size: int) -> float:
    """How many times a small picture is enlarged so that its longer side has `size` pixels, 1 of others."""
    return min(max(1.0, size / int(max(picture.shape[:2]))), MAX_ENLARGED)


def _resize(picture: Pixels, width: int, height: int) -> Pixels:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def _to_original(boxes: npt.NDArray[Any], record: dict[str, Any]) -> Corners:
    """[N, 4, 2], in pixels of the picture before it was enlarged and padded."""
    padding, scale = record.get("padding_1", {"top": 0, "left": 0}), record["preprocess"]
    places = boxes.astype(np.float64) - (padding["left"], padding["top"])
    corners: Corners = places * (scale["ratio_w"], scale["ratio_h"])
    return corners


def _order_corners(corners: Corners, *, upside_down: bool) -> Corners:
    """A line's corners, upper left first as it is read. corners: clockwise from the upper left of the picture."""
    sides = np.linalg.norm(np.roll(corners, -1, 0) - corners, axis=1)
    if max(sides[1], sides[3]) >= VERTICAL * max(sides[0], sides[2]):
        corners = np.roll(corners, -1, 0)  # it is read downwards, its head to the right
    return np.roll(corners, -2, 0) if upside_down else corners


def _place_words(text: str, info: Any, corners: Corners) -> Iterator[TextWord]:
    """The words of a line, each with its part of the line's box. info: rapidocr's columns of the characters.

    corners: fractions of the picture's sides.
    """
    columns = [column for word in info.word_cols for column in word]
    total, first = max(info.line_txt_len, 1e-9), 0
    words = [("".join(c for c in word if c.isprintable()), len(word)) for word in text.split()]
    bounds = []
    for _, length in words:
        own = columns[first : first + length] or [0]
        bounds.append((own[0] - 1, own[-1] + 2))
        first += length
    for i, (word, _) in enumerate(words):
        left = bounds[i][0] if i == 0 else max(bounds[i][0], (bounds[i - 1][1] + bounds[i][0]) / 2)
        right = bounds[i][1] if i + 1 == len(words) else min(bounds[i][1], (bounds[i][1] + bounds[i + 1][0]) / 2)
        if word:
            yield TextWord(word, _cut_box(corners, left / total, right / total))


def _cut_box(corners: Corners, left: float, right: float) -> Box:
    """The part of a line's box between two fractions of its length."""
    left, right = min(max(left, 0.0), 1.0), min(max(right, 0.0), 1.0)
    upper_left, upper_right, lower_right, lower_left = corners
    places: Sequence[npt.NDArray[np.float64]] = (
        upper_left + (upper_right - upper_left) * left, upper_left + (upper_right - upper_left) * right,
        lower_left + (lower_right - lower_left) * right, lower_left + (lower_right - lower_left) * left,
    )  # fmt: skip
    a, b, c, d, e, f, g, h = (float(min(max(at, 0.0), 1.0)) for place in places for at in place)
    return a, b, c, d, e, f, g, h
