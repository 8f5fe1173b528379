"""What was read in a picture: lines of words, each word with its place."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

UNITS = 10_000  # of a side, in which places are stored
MAX_CHARACTERS = 20_000  # of one picture; the page of a book has 3,000

Box = tuple[float, float, float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class TextWord:
    """box: x and y of its corners, upper left first and clockwise as the word is read; fractions, 0..1, of the upright
    picture's width and height.
    """

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class TextLine:
    """words: in reading order, one or more. confidence: 0..1, of the whole line."""

    confidence: float
    words: tuple[TextWord, ...]

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    def to_json(self) -> dict[str, object]:
        return {
            "text": self.text, "confidence": self.confidence,
            "words": [{"text": word.text, "box": list(word.box)} for word in self.words],
        }  # fmt: skip


def pack_lines(lines: Sequence[TextLine]) -> tuple[str | None, str | None]:
    """-> (text, boxes), as the library stores them; None, None where there is no line."""
    kept = list(_limit(lines))
    if not kept:
        return None, None
    boxes = [[round(line.confidence, 3), *([round(at * UNITS) for at in word.box] for word in line.words)]
             for line in kept]  # fmt: skip
    return "\n".join(line.text for line in kept), json.dumps(boxes, separators=(",", ":"))


def unpack_lines(text: str | None, boxes: str | None) -> tuple[TextLine, ...]:
    """What pack_lines packed. Raises ValueError, TypeError where text and boxes don't belong together."""
    if text is None or boxes is None:
        return ()
    return tuple(
        TextLine(float(confidence), tuple(
            TextWord(word, _unpack_box(box)) for word, box in zip(line.split(" "), corners, strict=True)
        ))
        for line, (confidence, *corners) in zip(text.split("\n"), json.loads(boxes), strict=True)
    )  # fmt: skip


def _unpack_box(box: Sequence[int]) -> Box:
    a, b, c, d, e, f, g, h = (at / UNITS for at in box)
    return a, b, c, d, e, f, g, h


def _limit(lines: Sequence[TextLine]) -> Iterator[TextLine]:
    """The first lines, up to MAX_CHARACTERS."""
    left = MAX_CHARACTERS
    for line in lines:
        left -= len(line.text) + 1
        if left < 0:
            return
        yield line
