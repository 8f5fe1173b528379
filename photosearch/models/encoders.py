"""A two-tower model that was added: a folder with others' two .onnx files, a tokenizer and card.json.

One file encodes images, the other text, each with a preprocessing of its own: channels first, a mean and a deviation,
rows of 64 tokens. The files stay as they were published, and card.json says what must be done before them: two cards
as in any model, the preprocessing of both encoders, and the SHA-256 of each file, which is checked whenever one is
opened. card.json is hostile input too. two_tower.py writes it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from photosearch.errors import ModelError
from photosearch.models.card import Card, TextCard

CARD_FILE = "card.json"
MAX_CARD_BYTES = 2**24
DTYPES = ("float32", "float16", "uint8")


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    """An image encoder's files, and how its input is prepared.

    file: relative to the folder. weights: further files with its weights. input, output: their names in the graph.
    dtype: of the input. channels: "first" for [N, 3, S, S], "last" for [N, S, S, 3]. size: S, a centre crop of the
    card's input_size. max_batch: 1 if it takes one photo at a time, 0 for any number.
    A pixel x of 0..255 becomes (x * scale - mean) / std, unless the dtype is uint8.
    """

    file: str
    weights: tuple[str, ...]
    input: str
    output: str
    dtype: str
    channels: str
    size: int
    max_batch: int
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A text encoder's files, and how its input is prepared; its card has the rest.

    input: the name of the input for token ids. max_batch: as above. attends_to_padding: it was trained to read the
    padding like words (SigLIP), so the attention mask is 1 there too.
    """

    file: str
    weights: tuple[str, ...]
    tokenizer: str
    input: str
    output: str
    max_batch: int
    attends_to_padding: bool


@dataclass(frozen=True, slots=True)
class TwoTowerModel:
    """card.json. files: name relative to the folder -> SHA-256, 64 hexadecimal digits. source: where it came from."""

    folder: Path
    image_card: Card
    text_card: TextCard
    image: ImageEncoder
    text: TextEncoder
    files: Mapping[str, str]
    source: Mapping[str, object]

    def check_files(self, encoder: ImageEncoder | TextEncoder) -> None:
        """Raises ModelError if an encoder's files are not the ones that were added."""
        for name in (encoder.file, *encoder.weights):
            if sha256(self.folder / name) != self.files[name]:
                raise ModelError(
                    f"{self.folder / name}: changed since {self.image_card.name} was added; "
                    "remove the model and add it again"
                )


def read_encoders(folder: Path) -> TwoTowerModel:
    """Raises ModelError if card.json is not one that `models add` writes."""
    path = folder / CARD_FILE
    try:
        if not path.is_file() or path.stat().st_size > MAX_CARD_BYTES:
            raise ModelError(f"{path}: is not a card that `photosearch models add` wrote")
        return _parse(folder, json.loads(path.read_bytes()))
    except OSError as error:
        raise ModelError(f"{path}: can't read this card: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        reason = str(error)
        if not reason.startswith("its "):
            reason = "its card is not one that `photosearch models add` wrote"
        raise ModelError(f"{path}: {reason}; remove the model and add it again") from None


def write_encoders(model: TwoTowerModel) -> None:
    """Write card.json, which makes the folder a model."""
    values = {
        "image_card": json.loads(model.image_card.to_json()),
        "text_card": json.loads(model.text_card.to_json()),
        "image": asdict(model.image),
        "text": asdict(model.text),
        "files": dict(model.files),
        "source": dict(model.source),
    }
    (model.folder / CARD_FILE).write_text(json.dumps(values, indent=1, sort_keys=True))


def sha256(path: Path) -> str:
    """A file's SHA-256, 64 hexadecimal digits. Raises ModelError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: can't read this file of the model: {error.strerror}") from None


def is_below(name: object) -> bool:
    """Whether this is the relative path of a file in a folder or below it, on every system."""
    if not isinstance(name, str) or not 0 < len(name) <= 1000 or not name.isprintable() or {*"\\:"} & set(name):
        return False
    return not name.startswith("/") and all(part not in ("", ".", "..") for part in name.split("/"))


def _parse(folder: Path, raw: Any) -> TwoTowerModel:
    """Raises ValueError."""
    _expect(isinstance(raw, dict) and {"image_card", "text_card", "image", "text", "files"} <= raw.keys())
    image_card = Card.from_json(json.dumps(raw["image_card"]))
    text_card = TextCard.from_json(json.dumps(raw["text_card"]))
    _expect(image_card.outputs == ("vectors",))
    _expect((image_card.space, image_card.dimensions) == (text_card.space, text_card.dimensions))
    files, source = raw["files"], raw.get("source", {})
    _expect(isinstance(files, dict) and all(is_below(name) and _is_digest(digest) for name, digest in files.items()))
    _expect(isinstance(source, dict))
    image = _parse_image(_select_fields(raw["image"], ImageEncoder), files)
    _expect(image.size <= image_card.input_size)
    text = _parse_text(_select_fields(raw["text"], TextEncoder), files)
    return TwoTowerModel(folder, image_card, text_card, image, text, files, source)


def _parse_image(values: dict[str, Any], files: Mapping[str, str]) -> ImageEncoder:
    _check_encoder(values, files)
    _expect(values["dtype"] in DTYPES and values["channels"] in ("first", "last"))
    _expect(type(values["size"]) is int and values["size"] >= 1)
    _expect(_is_number(values["scale"]))
    for key in ("mean", "std"):
        _expect(isinstance(values[key], list) and len(values[key]) == 3 and all(map(_is_number, values[key])))
    _expect(0 not in values["std"])
    tuples = {key: tuple(values[key]) for key in ("weights", "mean", "std")}
    return ImageEncoder(**{**values, **tuples})


def _parse_text(values: dict[str, Any], files: Mapping[str, str]) -> TextEncoder:
    _check_encoder(values, files)
    _expect(isinstance(values["tokenizer"], str) and values["tokenizer"] in files)
    _expect(isinstance(values["attends_to_padding"], bool))
    return TextEncoder(**{**values, "weights": tuple(values["weights"])})


def _check_encoder(values: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """What both encoders have in common."""
    _expect(isinstance(values["weights"], list))
    _expect(all(isinstance(name, str) and name in files for name in (values["file"], *values["weights"])))
    _expect(isinstance(values["input"], str) and isinstance(values["output"], str))
    _expect(type(values["max_batch"]) is int and 0 <= values["max_batch"] <= 1)


def _select_fields(raw: Any, cls: type) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    _expect(isinstance(raw, dict) and names <= raw.keys())
    return {k: v for k, v in raw.items() if k in names}


def _expect(condition: bool) -> None:
    if not condition:
        raise ValueError


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e6 <= value <= 1e6
