"""Which models there are: those that come with the tool, and those that a user added.

A model is a file `name.onnx`, or a folder `name` that was made by `models add` (foreign.py). A text tower that comes
with a model `name` is the file `name-text.onnx` beside it, with its tokenizer in `name-text.tokenizer.json`; it is no
model by itself, and which models it reads for is what its card says. Nothing here starts a session.
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
TEXT_MODEL = "-text"  # ends the name of a text tower's file


def list_shipped() -> dict[str, Path]:
    """The models that come with the tool: name -> file."""
    return _models(SHIPPED)


def list_added(folder: Path | None = None) -> dict[str, Path]:
    """The models that a user added: name -> file or folder. Empty where there is no such folder."""
    return _models(folder or models_folder())


def models_folder() -> Path:
    """Where added models live. PHOTOSEARCH_MODELS names another place."""
    named = os.environ.get("PHOTOSEARCH_MODELS")
    return Path(named).expanduser() if named else Path(user_data_dir("photosearch")) / "models"


def resolve(name: str | None) -> Path:
    """What --model was given -> its file or folder: a model's name, a file, None for the default. Raises ModelError."""
    ours, theirs = list_shipped(), list_added()
    name = name or DEFAULT_MODEL
    if name in ours and name in theirs:
        raise ModelError(f"two models are called {name}: {ours[name]} and {theirs[name]}; rename or remove the second")
    if name in ours or name in theirs:
        return ours.get(name) or theirs[name]
    if os.path.isfile(name) or os.path.isfile(os.path.join(name, CARD_FILE)):
        return Path(name)
    known = ", ".join([*ours, *theirs]) or "none"
    raise ModelError(f"no model {name!r}: give an .onnx file, or one of {known}")


def read_card(path: Path) -> Card | TextCard:
    """The card alone: nothing is loaded, nothing is run. Of a folder, the tower's that sees. Raises ModelError."""
    path = Path(path)
    if path.is_dir():
        return read_encoders(path).card
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
    """The text tower whose vectors lie in this space. Raises ModelError where there is none."""
    for path in _text_towers():
        try:
            card = read_encoders(path).text if path.is_dir() else read_card(path)
        except ModelError:  # another model's trouble, told when that one is asked for
            continue
        if isinstance(card, TextCard) and card.space == space:
            return path
    raise ModelError(f"no text model for the space {space!r}: its photos can't be searched with words")


def _models(folder: Path) -> dict[str, Path]:
    """name -> file or folder. What begins with a dot is being added, or was being added when something went wrong."""
    paths = sorted(p for p in _list(folder) if not p.name.startswith("."))
    files = {p.stem: p for p in paths if p.suffix == ".onnx" and not p.stem.endswith(TEXT_MODEL)}
    folders = {p.name: p for p in paths if (p / CARD_FILE).is_file()}
    if both := files.keys() & folders.keys():
        name = min(both)
        raise ModelError(f"two models are called {name}: {files[name]} and {folders[name]}; rename or remove one")
    return {**files, **folders}


def _text_towers() -> Iterator[Path]:
    for folder in (SHIPPED, models_folder()):
        paths = sorted(p for p in _list(folder) if not p.name.startswith("."))
        yield from (p for p in paths if p.name.endswith(f"{TEXT_MODEL}.onnx") or (p / CARD_FILE).is_file())


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # there is none yet, or it may not be read: then it holds no model for us
        return []
