"""Model cards: a model's description of itself, JSON in its .onnx file.

A Card describes an image model: photos in, scores for labels and/or vectors out. A TextCard describes a text model:
words in, vectors out, in a space that a Card names too. Cards are hostile input until `from_json` has checked and
bounded each field. Imports nothing slow: `photosearch models` reads cards and starts no session.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from photosearch.errors import ModelError

if TYPE_CHECKING:
    from photosearch.photos.decode import Fit

CARD_KEY = "photosearch.card"
OUTPUTS = ("scores", "vectors")  # that a graph may have
# Fields as older cards name them, in files and in libraries.
OLD_NAMES = {"heads": "outputs", "floor": "min_score", "form": "text_normalization"}
MAX_CARD_CHARACTERS = 10_000_000
MAX_DEPTH = 20  # of lists in lists in a card
MAX_DIMENSIONS = 16_384
TILES = (4, 9, 16, 25)  # numbers of tiles that a card may pool with the whole photo
TILED_MODEL = "bird-photo"  # the shipped model that pools tiles
TEXT_NORMALIZATIONS = ("plain", "spaces", "lower", "canonical")

TextNormalization = Literal["plain", "spaces", "lower", "canonical"]


@dataclass(frozen=True, slots=True)
class Card:
    """An image model's card. In the file: JSON, with the tuples as lists.

    labels: one for each column of scores. input_size: S, in pixels. fit: how a photo becomes a square
    (photos.decode.make_views). outputs: of the graph, from OUTPUTS. min_score: lower scores are not stored; no
    threshold is lower. space, dimensions: of the vectors; in the file "space": {"name": ..., "dim": ...}.
    thresholds: label -> lowest score of a positive, chosen on validation data. thresholds_rest_on: label -> the number
    of positives in that data, or words on what was used instead.
    tiles: the number of tiles that was best on validation data, the default of `index --tiles`. pooling: for each
    other number of tiles than 0, label -> [whole, most, bias]: the score's logit is whole * logit of the whole photo +
    most * largest logit among the tiles + bias, or the whole photo's own if that is larger. measured: rows of a table,
    one for each split and label. details: anything else of interest: command, settings, seeds, seconds.
    """

    name: str
    version: str
    labels: tuple[str, ...] = ()
    _: KW_ONLY
    input_size: int
    fit: "Fit" = "squash"
    outputs: tuple[str, ...] = ("scores",)
    min_score: float = 0.0
    space: str = ""
    dimensions: int = 0
    thresholds: Mapping[str, float] = field(default_factory=dict)
    thresholds_rest_on: Mapping[str, int | str] = field(default_factory=dict)
    tiles: int = 0
    pooling: Mapping[str, Mapping[str, tuple[float, float, float]]] = field(default_factory=dict)
    trained_on: str = ""
    licence: str = ""
    measured: tuple[Mapping[str, object], ...] = ()
    details: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(_join_space(asdict(self)), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Raises ValueError with a few words about what is wrong."""
        raw = _parse_object(text)
        if raw.get("kind", "image") != "image":
            raise ValueError("its card is a text model's, not an image model's")
        return cls(**_check_card(_select_fields(raw, cls, {"name", "version", "input_size"})))

    def threshold(self, label: str) -> float:
        """The lowest score of a positive; 0.5 where the card doesn't say, never below min_score."""
        return max(self.thresholds.get(label, 0.5), self.min_score)


@dataclass(frozen=True, slots=True)
class TextCard:
    """A text model's card. In the file: JSON with "kind": "text".

    space, dimensions: of the vectors, as in Card. context: the maximum number of tokens; longer texts are cut.
    pad_id: the padding token. pad_to: the length of padded rows, in tokens; 0 for the longest of the batch.
    text_normalization: before tokenization: "spaces" joins runs of white space, "lower" lowers the case as well,
    "canonical" also drops punctuation. tokenizer_sha256: of the tokenizer's file; "" is not checked.
    """

    name: str
    version: str
    space: str
    dimensions: int
    context: int
    _: KW_ONLY
    pad_id: int = 0
    pad_to: int = 0
    text_normalization: TextNormalization = "plain"
    tokenizer_sha256: str = ""
    trained_on: str = ""
    licence: str = ""
    details: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps({"kind": "text", **_join_space(asdict(self))}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "TextCard":
        """Raises ValueError with a few words about what is wrong."""
        raw = _parse_object(text)
        if raw.get("kind") != "text":
            raise ValueError("its card is not a text model's")
        return cls(**_check_text_card(_select_fields(raw, cls, {"name", "version", "space", "context"})))


def parse_card(text: str) -> Card | TextCard:
    """Raises ValueError with a few words about what is wrong."""
    return TextCard.from_json(text) if _parse_object(text).get("kind") == "text" else Card.from_json(text)


def check_tiles(card: Card, tiles: int) -> None:
    """Raises ModelError where the card has no pooling for this number of tiles."""
    if tiles and not card.pooling:
        raise ModelError(f"{card.name!r} can't use tiles; add --model {TILED_MODEL}")
    if tiles and str(tiles) not in card.pooling:
        known = ", ".join(["0", *sorted(card.pooling, key=int)])
        raise ModelError(f"{card.name!r} can't use {tiles} tiles, only {known}")


def _join_space(values: dict[str, Any]) -> dict[str, Any]:
    name, dimensions = values.pop("space"), values.pop("dimensions")
    return {**values, "space": {"name": name, "dim": dimensions}} if name else values


def _parse_object(text: str) -> dict[str, Any]:
    if len(text) > MAX_CARD_CHARACTERS:
        raise ValueError("its card is too long")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("its card is not JSON") from None
    if not isinstance(raw, dict):
        raise ValueError("its card is not a JSON object")
    return raw


def _select_fields(raw: dict[str, Any], cls: type, needed: set[str]) -> dict[str, Any]:
    """The fields of this class, under their present names, the space as text and a number; a newer card may have more.

    Raises ValueError.
    """
    known = {f.name for f in fields(cls)} - {"dimensions"}
    renamed = {OLD_NAMES.get(k, k): v for k, v in raw.items() if OLD_NAMES.get(k) not in raw}
    values = {k: v for k, v in renamed.items() if k in known}
    if missing := needed - values.keys():
        raise ValueError(f"its card lacks {', '.join(sorted(missing))}")
    if _measure_depth(values) > MAX_DEPTH:
        raise ValueError("its card is wrong: it nests too deep")
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("its card is wrong: it contains half of a surrogate pair") from None
    if "space" in values:
        space = values["space"]
        _expect(isinstance(space, dict) and {"name", "dim"} <= space.keys(), "space must have a name and a dim")
        name, dimensions = space["name"], space["dim"]
        _expect(_is_line(name, 200), "the space's name must be printable text")
        _expect(_is_integer(dimensions, 1, MAX_DIMENSIONS), f"the space's dim must be 1 to {MAX_DIMENSIONS}")
        values |= {"space": name, "dimensions": dimensions}
    return values


def _measure_depth(value: object) -> int:
    """Of lists and objects in one another; without recursion."""
    depth, level = 0, [value]
    while level:
        level = [x for v in level if isinstance(v, dict | list) for x in (v.values() if isinstance(v, dict) else v)]
        depth += 1
    return depth


def _check_card(values: dict[str, Any]) -> dict[str, Any]:
    _check_texts(values, ("fit", "trained_on", "licence"))
    labels, outputs = values.get("labels", []), values.get("outputs", ["scores"])
    _check_outputs(outputs, labels, values)
    _expect(_is_integer(values["input_size"], 1, 4096), "input_size must be 1 to 4096")
    _expect(values.get("fit", "squash") in ("squash", "crop"), "fit must be squash or crop")
    min_score = values.get("min_score", 0.0)
    _expect(_is_number_in(min_score, 0, 1), "min_score must be 0..1")
    thresholds = values.get("thresholds", {})
    _expect(isinstance(thresholds, dict) and thresholds.keys() <= set(labels), "thresholds must be by label")
    _expect(all(_is_number_in(v, 0, 1) for v in thresholds.values()), "thresholds must be 0..1")
    _expect(all(v >= min_score for v in thresholds.values()), "a threshold is below min_score")
    rest_on = values.get("thresholds_rest_on", {})
    _expect(isinstance(rest_on, dict) and rest_on.keys() <= set(labels), "thresholds_rest_on must be by label")
    _expect(
        all(_is_integer(v, 0, 10**12) or _is_line(v, 1000) for v in rest_on.values()),
        "thresholds_rest_on must be numbers of pictures, or words",
    )
    _check_pooling(values.get("tiles", 0), values.get("pooling", {}), labels)
    _expect(isinstance(values.get("details", {}), dict), "details must be an object")
    measured = values.get("measured", [])
    _expect(
        isinstance(measured, list) and all(isinstance(r, dict) for r in measured), "measured must be a list of rows"
    )
    return {**values, "labels": tuple(labels), "outputs": tuple(outputs), "measured": tuple(measured)}


def _check_outputs(outputs: object, labels: object, values: Mapping[str, object]) -> None:
    _expect(isinstance(outputs, list) and 0 < len(outputs) <= len(OUTPUTS), "outputs must be scores, vectors or both")
    assert isinstance(outputs, list)
    _expect(all(output in OUTPUTS for output in outputs), "outputs must be scores, vectors or both")
    _expect(len(set(outputs)) == len(outputs), "an output is listed twice")
    _expect(isinstance(labels, list) and len(labels) <= 100_000, "labels must be a list")
    assert isinstance(labels, list)
    _expect(all(_is_line(x, 10_000) and x.strip() for x in labels), "each label must be text")
    _expect(len(set(labels)) == len(labels), "a label is listed twice")
    _expect(bool(labels) == ("scores" in outputs), "labels and the output scores belong together")
    _expect(("space" in values) == ("vectors" in outputs), "a space and the output vectors belong together")


def _check_pooling(tiles: object, pooling: object, labels: Collection[str]) -> None:
    _expect(type(tiles) is int and tiles in (0, *TILES), "tiles must be 0, 4, 9, 16 or 25")
    _expect(isinstance(pooling, dict) and pooling.keys() <= set(map(str, TILES)), "pooling must be by number of tiles")
    assert isinstance(pooling, dict)
    for rows in pooling.values():
        _expect(isinstance(rows, dict) and set(rows) == set(labels), "pooling must have each label")
        _expect(
            all(isinstance(r, list) and len(r) == 3 for r in rows.values()), "pooling must be three numbers a label"
        )
        _expect(all(_is_number_in(x, -1000, 1000) for r in rows.values() for x in r), "pooling must be -1000..1000")
    _expect(not tiles or str(tiles) in pooling, "pooling lacks its own number of tiles")


def _check_text_card(values: dict[str, Any]) -> dict[str, Any]:
    _check_texts(values, ("trained_on", "licence", "tokenizer_sha256"))
    _expect(_is_integer(values["context"], 1, 100_000), "context must be 1 to 100000")
    _expect(_is_integer(values.get("pad_id", 0), 0, 2**31 - 1), "pad_id must be a token's number")
    _expect(_is_integer(values.get("pad_to", 0), 0, values["context"]), "pad_to must be 0 to context")
    normalization = values.get("text_normalization", "plain")
    _expect(normalization in TEXT_NORMALIZATIONS, f"text_normalization must be one of {', '.join(TEXT_NORMALIZATIONS)}")
    _expect(isinstance(values.get("details", {}), dict), "details must be an object")
    return values


def _check_texts(values: Mapping[str, object], keys: Iterable[str]) -> None:
    for key in ("name", "version"):
        _expect(_is_line(values[key], 10_000), f"{key} must be printable text")
    for key in keys:
        text = values.get(key, "")
        _expect(isinstance(text, str), f"{key} must be text")
        assert isinstance(text, str)
        _expect(len(text) <= 10_000, f"{key} is too long")


def _expect(condition: bool, text: str) -> None:
    if not condition:
        raise ValueError(f"its card is wrong: {text}")


def _is_line(value: object, max_characters: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= max_characters and value.isprintable()


def _is_integer(value: object, minimum: int, maximum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum


def _is_number_in(value: object, minimum: float, maximum: float) -> bool:
    """Whether it is a number in this range; NaN is in none, and an integer of 300 digits compares without overflow."""
    return isinstance(value, int | float) and not isinstance(value, bool) and minimum <= value <= maximum
