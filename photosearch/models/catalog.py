"""Lists the models: shipped ones, and those that a user added. Starts no session.

A model is a file `name.onnx`, or a folder `name` made by `models add` (two_tower.py). The text model of a model `name`
is the file `name-text.onnx` next to it, with its tokenizer in `name-text.tokenizer.json`; it is not listed, and its
card says which space it embeds texts in.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from platformdirs import user_data_dir

from photosearch.errors import ModelError
from photosearch.models.card import CARD_KEY, Card, TextCard, parse_card
from photosearch.models.encoders import CARD_FILE, read_encoders
from photosearch.models.protobuf import read_metadata

SHIPPED = Path(__file__).parent / "shipped"
DEFAULT_MODEL = "sight"
# Of models to pull: SigLIP 2 was taught in many languages (arXiv 2502.14786), both CLIPs on English captions.
MULTILINGUAL_MODEL, ENGLISH_MODELS = "siglip2-b32-256", ("openclip-b32-256", "clip-b32")
LARGER_MODEL = ENGLISH_MODELS[0]  # the smallest of those that find more
TEXT_MODEL = "-text"  # suffix of a text model's file name


def list_shipped() -> dict[str, Path]:
    """The shipped models: name -> file."""
    return _list_models(SHIPPED)


def list_added(folder: Path | None = None) -> dict[str, Path]:
    """The models that a user added: name -> file or folder."""
    return _list_models(folder or models_folder())


def models_folder() -> Path:
    """Where added models are; PHOTOSEARCH_MODELS overrides it."""
    path = os.environ.get("PHOTOSEARCH_MODELS")
    return Path(path).expanduser() if path else Path(user_data_dir("photosearch")) / "models"


def resolve(name: str | None) -> Path:
    """A model's name or path, or None for the default -> its file or folder. Raises ModelError."""
    shipped, added = list_shipped(), list_added()
    name = name or DEFAULT_MODEL
    if name in shipped and name in added:
        raise ModelError(
            f"two models are called {name}: {shipped[name]} and {added[name]}; rename or remove the second"
        )
    if name in shipped or name in added:
        return shipped.get(name) or added[name]
    if os.path.isfile(name) or os.path.isfile(os.path.join(name, CARD_FILE)):
        return Path(name)
    known = ", ".join([*shipped, *added]) or "none"
    raise ModelError(f"no model {name!r}: give an .onnx file, or one of {known}")


def read_card(path: Path) -> Card | TextCard:
    """A model's card, without loading the model; of a folder, the image encoder's. Raises ModelError."""
    path = Path(path)
    if path.is_dir():
        return read_encoders(path).image_card
    try:
        if not path.is_file():  # a named pipe would never answer
            raise ModelError(f"{path}: no such model file")
        with path.open("rb") as file:
            text = read_metadata(file, CARD_KEY)
        if text is not None:
            return parse_card(text)
    except OSError as error:
        raise ModelError(f"{path}: can't read this model: {error.strerror}") from None
    except ValueError as error:
        raise ModelError(f"{path}: {error}; export it again with `python -m train export`") from None
    raise ModelError(f"{path}: has no card; export it with `python -m train export`")


def text_model_for(space: str) -> Path:
    """The text model that embeds into this space. Raises ModelError if there is none."""
    for path in _list_text_models():
        try:
            card = read_encoders(path).text_card if path.is_dir() else read_card(path)
        except ModelError:  # reported when that model is used
            continue
        if isinstance(card, TextCard) and card.space == space:
            return path
    raise ModelError(f"no text model for the space {space!r}: its photos can't be searched with words")


def reads_english_only(name: str) -> bool:
    """Whether a model is known to have been taught with English descriptions alone."""
    return name in ENGLISH_MODELS or name in list_shipped()


def _list_models(folder: Path) -> dict[str, Path]:
    """Name -> file or folder, without hidden ones, which are incomplete. Raises ModelError if a name is used twice."""
    paths = sorted(p for p in _list_folder(folder) if not p.name.startswith("."))
    files = {p.stem: p for p in paths if p.suffix == ".onnx" and not p.stem.endswith(TEXT_MODEL)}
    folders = {p.name: p for p in paths if (p / CARD_FILE).is_file()}
    if both := files.keys() & folders.keys():
        name = min(both)
        raise ModelError(f"two models are called {name}: {files[name]} and {folders[name]}; rename or remove one")
    return {**files, **folders}


def _list_text_models() -> Iterator[Path]:
    for folder in (SHIPPED, models_folder()):
        paths = sorted(p for p in _list_folder(folder) if not p.name.startswith("."))
        yield from (p for p in paths if p.name.endswith(f"{TEXT_MODEL}.onnx") or (p / CARD_FILE).is_file())


def _list_folder(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # missing or unreadable: no models
        return []
