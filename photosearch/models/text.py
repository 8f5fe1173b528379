"""What reads: a text tower and its tokenizer; words -> a vector in the space of the photos' vectors.

The tower is one .onnx file `name-text.onnx` with a TextCard inside, and beside it the tokenizer's own file,
`name-text.tokenizer.json`, as the package `tokenizers` writes it. The tower takes `input_ids` and, if it lists it,
`attention_mask`, int64 [N, T], and gives `vectors` float32 [N, dimensions]. No connection is opened: `tokenizers` reads
a file, and the package for a hub that its installation brings along is not imported.
"""

import hashlib
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photosearch.errors import InputError, ModelError, first_line
from photosearch.models.card import CARD_KEY, TextCard, TextNormalization, parse_card
from photosearch.models.encoders import TextEncoder, read_encoders
from photosearch.models.protobuf import read_metadata
from photosearch.models.providers import choose_provider
from photosearch.models.session import Vectors, read_model, start_session, unit_length

PART = 32  # texts in one run: a row is as long as the longest text of its part
MAX_CHARACTERS = 10_000  # of a text; no context holds more, and cutting a book into tokens takes seconds
MAX_TOKENIZER_BYTES = 2**27
KINDS = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class TextModel:
    """A text tower that is ready to read. Owns ONNX Runtime's session.

    card: what the file says of itself.
    """

    def __init__(self, path: str | Path, *, provider: str = "cpu"):
        """path: a text tower's file, or the folder of a foreign model. Raises ModelError."""
        self.path = Path(path)
        towers = read_encoders(self.path) if self.path.is_dir() else None
        if towers:
            towers.check_files(towers.words)
        self._tower = towers.words if towers else TextEncoder("", (), "", "input_ids", "vectors", 0, False)
        file = self.path / towers.words.file if towers else self.path
        data = read_model(file)
        self.card = towers.text if towers else _card(self.path, data)
        tokenizer = self.path / towers.words.tokenizer if towers else self.path.with_suffix(".tokenizer.json")
        self._tokenizer = open_tokenizer(tokenizer, self.card)
        beside = file.parent if towers else None
        self._session = start_session(file, data, choose_provider(provider)[0], threads=0, beside=beside)
        self._inputs = self._check_inputs()
        outputs = [o.name for o in self._session.get_outputs()]
        if self._tower.output not in outputs:
            raise ModelError(f"{file}: a text tower must give {self._tower.output}, it gives {', '.join(outputs)}")
        self.embed(["a", "b"])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Texts -> float32 [N, dimensions], each of unit length. N may be 0. Raises InputError, ModelError."""
        prepared = [normalize(text, self.card.text_normalization) for text in texts]
        step = self._tower.batch or PART
        parts = [self._embed(prepared[i : i + step]) for i in range(0, len(prepared), step)]
        return np.concatenate([np.empty((0, self.card.dimensions), np.float32), *parts])

    def _embed(self, texts: Sequence[str]) -> Vectors:
        return self.run(cut_into_tokens(self._tokenizer, texts, self.card))

    def run(self, rows: "Rows") -> Vectors:
        """Tokens -> float32 [N, dimensions], each of unit length. Raises ModelError."""
        given = {
            self._tower.ids: rows.ids,
            "attention_mask": np.ones_like(rows.mask) if self._tower.sees_padding else rows.mask,
            "token_type_ids": np.zeros_like(rows.ids),
            "position_ids": np.broadcast_to(np.arange(rows.ids.shape[1]), rows.ids.shape),
        }
        try:
            feed = {name: given[name].astype(kind) for name, kind in self._inputs.items()}
            (vectors,) = self._session.run([self._tower.output], feed)
        except Exception as error:
            raise ModelError(f"{self.path}: the text model failed: {first_line(error)}") from None
        dimensions = self.card.dimensions
        if vectors.shape != (len(rows.ids), dimensions):
            what = f"gave vectors of shape {vectors.shape}, but its space has {dimensions} dimensions"
            raise ModelError(f"{self.path}: {what}")
        return unit_length(vectors, self.path)

    def _check_inputs(self) -> dict[str, Any]:
        """name -> dtype. Raises ModelError."""
        inputs = {i.name: KINDS.get(i.type) for i in self._session.get_inputs()}
        ids = self._tower.ids
        if ids not in inputs or not inputs.keys() <= {ids, "attention_mask", "token_type_ids", "position_ids"}:
            raise ModelError(f"{self.path}: a text tower takes {ids} and attention_mask, not {', '.join(inputs)}")
        if None in inputs.values():
            raise ModelError(f"{self.path}: a text tower's inputs must be int64 or int32")
        return inputs


class Rows:
    """Texts as tokens. ids, mask: int64 [N, T]; mask is 1 where a token stands and 0 where the row was filled up."""

    def __init__(self, tokens: Sequence[Sequence[int]], card: TextCard):
        length = card.pad_to or max(map(len, tokens))
        self.ids = np.full((len(tokens), length), card.pad_id, np.int64)
        self.mask = np.zeros_like(self.ids)
        for i, row in enumerate(tokens):
            self.ids[i, : len(row)] = row
            self.mask[i, : len(row)] = 1


def normalize(text: str, how: TextNormalization) -> str:
    """A text as the tokenizer expects it; always in Unicode's form NFC. Raises InputError where nothing is left."""
    prepared = unicodedata.normalize("NFC", text[:MAX_CHARACTERS]).encode(errors="replace").decode()
    if how == "canonical":
        prepared = "".join(c for c in prepared if not unicodedata.category(c).startswith("P"))
    if how in ("lower", "canonical"):
        prepared = prepared.lower()
    if how != "plain":
        prepared = " ".join(prepared.split())
    if not prepared.strip():
        raise InputError("there are no words in this text" if text.strip() else "the text is empty: type some words")
    return prepared


def cut_into_tokens(tokenizer: Any, texts: Sequence[str], card: TextCard) -> Rows:
    """Raises InputError where a text has no token, ModelError where the tokenizer fails."""
    try:
        tokens = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    except Exception as error:
        raise ModelError(f"the tokenizer of {card.name} failed: {first_line(error)}") from None
    if not all(tokens):
        raise InputError(f"{texts[tokens.index([])]!r}: {card.name} knows no word of this")
    return Rows(tokens, card)


def open_tokenizer(path: Path, card: TextCard) -> Any:
    """A tokenizer that cuts a text at the card's context and fills nothing up. Raises ModelError."""
    try:
        if path.stat().st_size > MAX_TOKENIZER_BYTES:
            raise ModelError(f"{path}: too large for a tokenizer")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't read the text model's tokenizer: {error.strerror}") from None
    if card.tokenizer_sha256 and hashlib.sha256(data).hexdigest() != card.tokenizer_sha256:
        raise ModelError(f"{path}: is not the tokenizer that {card.name} was made with; put back the one it came with")
    import tokenizers  # 50 ms

    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(data)
        tokenizer.no_padding()
        tokenizer.enable_truncation(card.context)
    except Exception as error:
        raise ModelError(f"{path}: can't read the text model's tokenizer: {first_line(error)}") from None
    return tokenizer


def _card(path: Path, data: bytes) -> TextCard:
    try:
        text = read_metadata(io.BytesIO(data), CARD_KEY)
        card = None if text is None else parse_card(text)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from None
    if not isinstance(card, TextCard):
        raise ModelError(f"{path}: is not a text tower" if card else f"{path}: has no card")
    return card
