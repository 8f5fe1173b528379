"""What train takes from photosearch: the only file here that imports it, but for its errors.

A picture is seen here as the search sees it, a model's file is opened as the search opens it, and what is counted is
counted as `photosearch report` counts it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from photosearch.judging import metrics
from photosearch.models import catalog
from photosearch.models.card import CARD_KEY, Card
from photosearch.models.session import Model, logit
from photosearch.photos import decode, walk

__all__ = [
    "CARD_KEY",
    "SHIPPED",
    "Card",
    "Model",
    "decode",
    "find_model",
    "list_models",
    "logit",
    "metrics",
    "read_card",
    "see",
    "see_file",
    "see_image",
    "to_rgb",
    "walk",
]  # fmt: skip

SHIPPED = frozenset(catalog.list_shipped())  # the names of the models that the wheel holds
OWN = Path(__file__).parent / "models"  # those that the repository keeps and the wheel does not


def see(content: bytes, size: int, *, fit: decode.Fit = "squash", tiles: int = 0) -> npt.NDArray[np.uint8]:
    """A file's bytes -> uint8 [1 + tiles, size, size, 3] RGB, as in search. Raises decode.Unreadable."""
    return decode.decode(content, [decode.ViewSpec(size, fit, tiles)]).views[0]


def see_file(path: str | Path, size: int, **how: Any) -> npt.NDArray[np.uint8]:
    """The same of a file on disk."""
    return see(decode.read(str(path)), size, **how)


def see_image(image: Image.Image, size: int) -> npt.NDArray[np.uint8]:
    """An upright RGB image -> uint8 [size, size, 3], squashed as in search."""
    return decode.make_views(image, size)[0]


def to_rgb(image: Image.Image) -> Image.Image:
    """Any image, upright and in three colours, as in search."""
    return decode.rgb(image)


def list_models() -> dict[str, Path]:
    """Those that ship, then those that only the repository keeps: name -> file."""
    return {**catalog.list_shipped(), **{p.stem: p for p in sorted(OWN.glob("*.onnx"))}}


def find_model(name: str) -> Path:
    """A name in `list_models`, or a file. Raises ModelError."""
    return list_models().get(name) or catalog.resolve(name)


def read_card(path: Path) -> Card:
    """The card alone: nothing is loaded, nothing is run. Raises ModelError."""
    card = catalog.read_card(path)
    assert isinstance(card, Card), f"{path} reads words"
    return card
