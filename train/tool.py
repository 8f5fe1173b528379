"""Everything train uses of photosearch, except its errors: decoding, model files, cards and figures.

So that training prepares a photo, opens a model and counts results exactly as the installed tool does.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from photosearch import Library
from photosearch.judging import metrics, retrieval
from photosearch.models import catalog
from photosearch.models.card import CARD_KEY, Card, TextCard
from photosearch.models.hub import OFFERS
from photosearch.models.session import Model, logit
from photosearch.models.text import TextModel
from photosearch.photos import colours, decode, walk
from photosearch.search import spelling
from photosearch.search.language import detect_language
from photosearch.search.lexicon import LEXICON, Lexicon, read_lexicon
from photosearch.search.similar import DESCRIPTIONS, EVERYDAY, FREE, LABEL_WEIGHT, LabelScores
from photosearch.search.similarity_cutoff import END, SURE, find_end, measure_evidence
from photosearch.search.understand import find_labels, measure_named

__all__ = [
    "CARD_KEY",
    "DEFAULT_MODEL",
    "DESCRIPTIONS",
    "END",
    "EVERYDAY",
    "FREE",
    "LABEL_WEIGHT",
    "LEXICON",
    "OFFERS",
    "SHIPPED",
    "SURE",
    "Card",
    "LabelScores",
    "Lexicon",
    "Library",
    "Model",
    "TextCard",
    "TextModel",
    "catalog",
    "decode",
    "detect_language",
    "find_end",
    "find_labels",
    "find_model",
    "list_models",
    "logit",
    "measure_evidence",
    "measure_named",
    "metrics",
    "prepare",
    "prepare_file",
    "prepare_image",
    "read_card",
    "read_lexicon",
    "retrieval",
    "spelling",
    "to_rgb",
    "walk",
]  # fmt: skip

DEFAULT_MODEL = catalog.DEFAULT_MODEL
SHIPPED = catalog.SHIPPED  # the folder of the models in the wheel


def prepare(content: bytes, size: int, *, fit: decode.Fit = "squash", tiles: int = 0) -> npt.NDArray[np.uint8]:
    """A file's bytes -> uint8 [1 + tiles, size, size, 3] RGB, as in search. Raises decode.Unreadable."""
    return decode.decode(content, [decode.ViewSpec(size, fit, tiles)]).views[0]


def prepare_file(path: str | Path, size: int, *, fit: decode.Fit = "squash", tiles: int = 0) -> npt.NDArray[np.uint8]:
    """The same for a file on disk."""
    return prepare(decode.read(str(path)), size, fit=fit, tiles=tiles)


def prepare_image(image: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """An upright RGB image -> uint8 [size, size, 3], squashed as in search."""
    return decode.make_views(image, size)[0]


def to_rgb(image: Image.Image) -> Image.Image:
    """Any image, upright and in RGB, as in search."""
    return colours.to_rgb(image)


def list_models() -> dict[str, Path]:
    """The shipped models: name -> file."""
    return catalog.list_shipped()


def find_model(name: str) -> Path:
    """The file of a model, given its name or its path. Raises ModelError."""
    return catalog.resolve(name)


def read_card(path: Path) -> Card:
    """An image model's card; no session is started. Raises ModelError."""
    card = catalog.read_card(path)
    assert isinstance(card, Card), f"{path} is a text tower"
    return card
