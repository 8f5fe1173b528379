"""What was written down of a foreign model when it was added: a folder with two towers and card.json.

A foreign model is two .onnx files that others made, one that sees and one that reads, with preparations of their own:
channels first, a mean and a deviation, rows of 64 tokens. They are left as they are, and card.json says what must be
done before them: `card` and `text`, which are cards as in any model; `image` and `words`, the preparations; `files`,
the SHA-256 of each file, which is held to whenever one is opened. card.json is hostile input too. Who writes it:
foreign.py.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from photosearch.errors import ModelError
from photosearch.models.card import Card, TextCard

CARD_FILE = "card.json"
MAX_CARD_BYTES = 2**24
KINDS = ("float32", "float16", "uint8")


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    """What must be done before the tower that sees.

    file: below the folder. weights: files that hold its numbers, if they lie apart. input, output: their names in the
    graph. kind: of the input's numbers. channels: "first" for [N, 3, S, S], "last" for [N, S, S, 3]. size: S, cut out
    of the middle of the card's input_size. batch: 1 where it takes one photo at a time, 0 for any number.
    A pixel x of 0..255 becomes (x * scale - mean) / deviation, unless the kind is uint8.
    """

    file: str
    weights: tuple[str, ...]
    input: str
    output: str
    kind: str
    channels: str
    size: int
    batch: int
    scale: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """What must be done before the tower that reads; the rest is in its card.

    ids: the input that takes tokens. batch: as above. sees_padding: the row's end is read like its words (SigLIP), so
    that an attention mask is 1 there too.
    """

    file: str
    weights: tuple[str, ...]
    tokenizer: str
    ids: str
    output: str
    batch: int
    sees_padding: bool


@dataclass(frozen=True, slots=True)
class TwoTowerModel:
    """card.json. files: name below the folder -> SHA-256, 64 hexadecimal digits. source: where it came from."""

    folder: Path
    card: Card
    text: TextCard
    image: ImageEncoder
    words: TextEncoder
    files: Mapping[str, str]
    source: Mapping[str, Any]

    def check_files(self, tower: ImageEncoder | TextEncoder) -> None:
        """Hold a tower's files to what was written down. Raises ModelError."""
        for name in (tower.file, *tower.weights):
            if sha256(self.folder / name) != self.files[name]:
                raise ModelError(
                    f"{self.folder / name}: changed since {self.card.name} was added; remove the model and add it again"
                )


def read_encoders(folder: Path) -> TwoTowerModel:
    """Raises ModelError where card.json is not one that `models add` writes."""
    path = folder / CARD_FILE
    try:
        if not path.is_file() or path.stat().st_size > MAX_CARD_BYTES:
            raise ModelError(f"{path}: is not a card that `photosearch models add` wrote")
        raw = json.loads(path.read_bytes())
        return _towers(folder, raw)
    except OSError as error:
        raise ModelError(f"{path}: can't read this card: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        words = (
            str(error) if str(error).startswith("its ") else "its card is not one that `photosearch models add` wrote"
        )
        raise ModelError(f"{path}: {words}; remove the model and add it again") from None


def write_encoders(towers: TwoTowerModel) -> None:
    """Write card.json, which makes the folder a model."""
    values = {
        "card": json.loads(towers.card.to_json()),
        "text": json.loads(towers.text.to_json()),
        "image": {f.name: getattr(towers.image, f.name) for f in fields(ImageEncoder)},
        "words": {f.name: getattr(towers.words, f.name) for f in fields(TextEncoder)},
        "files": dict(towers.files),
        "source": dict(towers.source),
    }
    (towers.folder / CARD_FILE).write_text(json.dumps(values, indent=1, sort_keys=True))


def sha256(path: Path) -> str:
    """Of a file, 64 hexadecimal digits. Raises ModelError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: can't read this file of the model: {error.strerror}") from None


def is_below(name: object) -> bool:
    """Whether a name is one of a file in a folder or below it, on every system."""
    if not isinstance(name, str) or not 0 < len(name) <= 1000 or not name.isprintable() or {*"\\:"} & set(name):
        return False
    return not name.startswith("/") and all(part not in ("", ".", "..") for part in name.split("/"))


def _towers(folder: Path, raw: Any) -> TwoTowerModel:
    _expect(isinstance(raw, dict) and {"card", "text", "image", "words", "files"} <= raw.keys())
    card, text = Card.from_json(json.dumps(raw["card"])), TextCard.from_json(json.dumps(raw["text"]))
    image, words, files = _values(raw["image"], ImageEncoder), _values(raw["words"], TextEncoder), raw["files"]
    _expect(isinstance(files, dict) and all(is_below(name) and _is_digest(d) for name, d in files.items()))
    for tower in (image, words):
        _expect(isinstance(tower["weights"], list) and all(isinstance(name, str) for name in tower["weights"]))
        tower["weights"] = tuple(tower["weights"])
    named = [image["file"], *image["weights"], words["file"], *words["weights"], words["tokenizer"]]
    _expect(all(isinstance(name, str) and name in files for name in named))
    _expect(all(isinstance(x, str) for x in (image["input"], image["output"], words["ids"], words["output"])))
    _expect(image["kind"] in KINDS and image["channels"] in ("first", "last"))
    _expect(type(image["size"]) is int and 1 <= image["size"] <= card.input_size)
    _expect(all(type(b) is int and 0 <= b <= 1 for b in (image["batch"], words["batch"])))
    _expect(isinstance(words["sees_padding"], bool))
    _expect(_is_number(image["scale"]))
    for key in ("mean", "deviation"):
        _expect(isinstance(image[key], list) and len(image[key]) == 3 and all(map(_is_number, image[key])))
        image[key] = tuple(image[key])
    _expect(0 not in image["deviation"])
    _expect(card.outputs == ("vectors",) and (card.space, card.dimensions) == (text.space, text.dimensions))
    source = raw.get("source", {})
    _expect(isinstance(source, dict))
    return TwoTowerModel(folder, card, text, ImageEncoder(**image), TextEncoder(**words), files, source)


def _values(raw: Any, cls: type) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    _expect(isinstance(raw, dict) and names <= raw.keys())
    return {k: v for k, v in raw.items() if k in names}


def _expect(true: bool) -> None:
    if not true:
        raise ValueError


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e6 <= value <= 1e6
