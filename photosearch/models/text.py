"""Text models: an encoder and its tokenizer. Texts -> vectors in the space of an image model's vectors.

The encoder is an .onnx file `name-text.onnx` with a TextCard inside; next to it is the tokenizer's file,
`name-text.tokenizer.json`, as the package `tokenizers` writes it. It takes `input_ids` and optionally `attention_mask`,
int64 [N, T], and gives `vectors` float32 [N, dimensions]. No connection is opened: `tokenizers` reads a file, and the
hub package that is installed with it is not imported.
"""

import hashlib
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError, ModelError, first_line
from photosearch.models.card import CARD_KEY, TextCard, TextNormalization, parse_card
from photosearch.models.encoders import TextEncoder, read_encoders
from photosearch.models.protobuf import read_metadata
from photosearch.models.providers import choose_provider
from photosearch.models.session import Vectors, normalize_length, read_model, start_session

RUN_SIZE = 32  # texts in one run: rows are padded to the longest of a run
MAX_CHARACTERS = 10_000  # of a text; no context is longer, and tokenizing a book takes seconds
MAX_TOKENIZER_BYTES = 2**27
DTYPES: dict[str, npt.DTypeLike] = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


class TextModel:
    """A loaded text model. Owns ONNX Runtime's session."""

    def __init__(self, path: str | Path, *, provider: str = "cpu"):
        """path: a text model's file, or the folder of a two-tower model. Raises ModelError."""
        self.path = Path(path)
        two_tower = read_encoders(self.path) if self.path.is_dir() else None
        if two_tower:
            two_tower.check_files(two_tower.text)
        self._encoder = two_tower.text if two_tower else TextEncoder("", (), "", "input_ids", "vectors", 0, False)
        file = self.path / self._encoder.file if two_tower else self.path
        data = read_model(file)
        self.card = two_tower.text_card if two_tower else _read_card(self.path, data)
        tokenizer = self.path / self._encoder.tokenizer if two_tower else self.path.with_suffix(".tokenizer.json")
        self._tokenizer = open_tokenizer(tokenizer, self.card)
        weights_folder = file.parent if two_tower else None
        # One thread: the others of a pool spin, which doubles the core time of opening a model and of one text.
        self._session = start_session(
            file, data, choose_provider(provider)[0], threads=1, weights_folder=weights_folder
        )
        self._inputs = self._check_inputs()
        outputs = [o.name for o in self._session.get_outputs()]
        if self._encoder.output not in outputs:
            raise ModelError(f"{file}: a text model must give {self._encoder.output}, it gives {', '.join(outputs)}")
        self.embed(["a", "b"])

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Texts -> float32 [N, dimensions], each of unit length, N >= 0. Raises InputError, ModelError."""
        normalized = [normalize(text, self.card.text_normalization) for text in texts]
        step = self._encoder.max_batch or RUN_SIZE
        parts = [self._embed(normalized[i : i + step]) for i in range(0, len(normalized), step)]
        return np.concatenate([np.empty((0, self.card.dimensions), np.float32), *parts])

    def _embed(self, texts: Sequence[str]) -> Vectors:
        return self.encode(tokenize(self._tokenizer, texts, self.card))

    def encode(self, tokens: "Tokens") -> Vectors:
        """Tokens -> float32 [N, dimensions], each of unit length. Raises ModelError."""
        ids, mask = tokens.ids, tokens.mask
        available = {
            self._encoder.input: ids,
            "attention_mask": np.ones_like(mask) if self._encoder.attends_to_padding else mask,
            "token_type_ids": np.zeros_like(ids),
            "position_ids": np.broadcast_to(np.arange(ids.shape[1]), ids.shape),
        }
        try:
            inputs = {name: available[name].astype(dtype) for name, dtype in self._inputs.items()}
            (vectors,) = self._session.run([self._encoder.output], inputs)
        except Exception as error:
            raise ModelError(f"{self.path}: the text model failed: {first_line(error)}") from None
        dimensions = self.card.dimensions
        if vectors.shape != (len(ids), dimensions):
            reason = f"gave vectors of shape {vectors.shape}, but its space has {dimensions} dimensions"
            raise ModelError(f"{self.path}: {reason}")
        return normalize_length(vectors, self.path)

    def _check_inputs(self) -> dict[str, npt.DTypeLike]:
        """Name -> dtype. Raises ModelError."""
        types = {i.name: i.type for i in self._session.get_inputs()}
        ids = self._encoder.input
        if ids not in types or not types.keys() <= {ids, "attention_mask", "token_type_ids", "position_ids"}:
            raise ModelError(f"{self.path}: a text model takes {ids} and attention_mask, not {', '.join(types)}")
        if not DTYPES.keys() >= set(types.values()):
            raise ModelError(f"{self.path}: a text model's inputs must be int64 or int32")
        return {name: DTYPES[kind] for name, kind in types.items()}


class Tokens:
    """Tokenized texts. ids, mask: int64 [N, T]; mask is 1 for tokens and 0 for padding."""

    def __init__(self, tokens: Sequence[Sequence[int]], card: TextCard):
        length = card.pad_to or max(map(len, tokens))
        self.ids = np.full((len(tokens), length), card.pad_id, np.int64)
        self.mask = np.zeros_like(self.ids)
        for i, row in enumerate(tokens):
            self.ids[i, : len(row)] = row
            self.mask[i, : len(row)] = 1


def normalize(text: str, how: TextNormalization) -> str:
    """A text as the tokenizer expects it; always in Unicode's form NFC. Raises InputError where nothing is left."""
    normalized = unicodedata.normalize("NFC", text[:MAX_CHARACTERS]).encode(errors="replace").decode()
    if how == "canonical":
        normalized = "".join(c for c in normalized if not unicodedata.category(c).startswith("P"))
    if how in ("lower", "canonical"):
        normalized = normalized.lower()
    if how != "plain":
        normalized = " ".join(normalized.split())
    if not normalized.strip():
        raise InputError("there are no words in this text" if text.strip() else "the text is empty: type some words")
    return normalized


def tokenize(tokenizer: Any, texts: Sequence[str], card: TextCard) -> Tokens:
    """Raises InputError if a text has no token, ModelError if the tokenizer fails."""
    try:
        tokens = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    except Exception as error:
        raise ModelError(f"the tokenizer of {card.name} failed: {first_line(error)}") from None
    if not all(tokens):
        raise InputError(f"{texts[tokens.index([])]!r}: {card.name} knows no word of this")
    return Tokens(tokens, card)


def open_tokenizer(path: Path, card: TextCard) -> Any:
    """A tokenizer that truncates to the card's context and doesn't pad. Raises ModelError."""
    try:
        if path.stat().st_size > MAX_TOKENIZER_BYTES:
            raise ModelError(f"{path}: too large for a tokenizer")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't read the text model's tokenizer: {error.strerror}") from None
    if card.tokenizer_sha256 and hashlib.sha256(data).hexdigest() != card.tokenizer_sha256:
        raise ModelError(f"{path}: is not the tokenizer of {card.name}; restore the original file")
    import tokenizers  # 50 ms

    try:
        tokenizer = tokenizers.Tokenizer.from_buffer(data)
        tokenizer.no_padding()
        tokenizer.enable_truncation(card.context)
    except Exception as error:
        raise ModelError(f"{path}: can't read the text model's tokenizer: {first_line(error)}") from None
    return tokenizer


def _read_card(path: Path, data: bytes) -> TextCard:
    try:
        text = read_metadata(io.BytesIO(data), CARD_KEY)
        card = None if text is None else parse_card(text)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from None
    if not isinstance(card, TextCard):
        raise ModelError(f"{path}: is not a text model" if card else f"{path}: has no card")
    return card
