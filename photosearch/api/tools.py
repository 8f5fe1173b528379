"""What needs no library: the models on this machine, `doctor`, and a damaged library's rebuild."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from photosearch.doctor import Check
    from photosearch.judging.report import LabelReport
    from photosearch.library.rebuild import RebuildResult
    from photosearch.models.card import Card, TextCard
    from photosearch.models.hub import Offer
    from photosearch.models.two_tower import AddedModel
    from photosearch.photos.directories import DirectoryCompletion


def list_models() -> "list[tuple[Path, Card]]":
    """The models that can index photos: the included ones, then those that were added."""
    from photosearch.models.card import Card
    from photosearch.models.catalog import list_added, list_shipped, read_card

    paths = {**list_shipped(), **list_added()}
    return [(path, card) for path in paths.values() if isinstance(card := read_card(path), Card)]


def list_included_models() -> list[str]:
    """The names of the models that come with photosearch."""
    from photosearch.models.catalog import list_shipped

    return sorted(list_shipped())


def list_added_models() -> list[str]:
    """The names of the models that the user added."""
    from photosearch.models.catalog import list_added

    return sorted(list_added())


def read_model_card(name: str | None = None) -> "tuple[Path, Card | TextCard]":
    """The file and card of a model, by its name or file; None: the tool's default. Raises ModelError."""
    from photosearch.models.catalog import read_card, resolve

    path = resolve(name)
    return path, read_card(path)


def add_model(folder: str | Path, *, name: str | None = None) -> "AddedModel":
    """Check a two-tower model and copy it to the user's models folder. Raises ModelError.

    name: default: the folder's.
    """
    from photosearch.models import two_tower

    return two_tower.add_model(Path(folder), name=name)


def remove_model(name: str) -> Path:
    """Delete a model that was added -> where it was. Its scores stay in libraries. Raises ModelError."""
    from photosearch.models import two_tower

    return two_tower.remove_model(name)


def list_model_offers() -> "dict[str, Offer]":
    """The models that can be pulled, by name."""
    from photosearch.models.hub import OFFERS

    return dict(OFFERS)


def find_model_offer(name: str) -> "Offer":
    """A model that can be pulled. Raises ModelError for another name."""
    from photosearch.models import hub

    return hub.find_offer(name)


def measure_model_offer(name: str) -> int:
    """Bytes that `pull_model` would fetch. Asks the hub, as nothing but `pull_model` does. Raises ModelError."""
    from photosearch.models import hub

    return hub.measure_offer(name)


def count_pulled_bytes(name: str) -> int:
    """Bytes that are here of a download which goes on, or broke off; 0 where there is none. Raises ModelError."""
    from photosearch.models import hub

    return hub.count_pulled_bytes(name)


def pull_model(name: str) -> "AddedModel":
    """Download a model from its hub and add it. Raises ModelError."""
    from photosearch.models import hub

    return hub.pull_model(name)


def describe_providers() -> dict[str, str]:
    """Execution providers of ONNX Runtime: name -> whether it works here, in words."""
    from photosearch.models import providers

    return providers.describe_providers()


def check_installation(model: str | None = None, providers: Sequence[str] = ("auto", "cpu")) -> "Iterator[Check]":
    """Try decoding, each provider and storing on made data; yields each check when it is done. Raises ModelError."""
    from photosearch.doctor import examine
    from photosearch.models.catalog import resolve

    return examine(resolve(model), providers)


def check_index(folders: Sequence[str | Path], models: Sequence[str] = (), *, ocr: bool = False) -> None:
    """Raises InputError, ModelError where a first index of these folders could not begin. Nothing is created."""
    from photosearch.errors import InputError
    from photosearch.index.roots import refuse_folder
    from photosearch.photos.remote import is_folder

    for folder in [os.fspath(folder) for folder in folders]:
        if not is_folder(folder):
            refuse_folder(folder)
    if not folders:
        raise InputError("no folder given, and none is known yet; name one: photosearch index FOLDER")
    for name in models or (None,):
        read_model_card(name)
    if ocr:
        from photosearch.ocr.reader import check_reader

        check_reader()


def complete_directory(typed: str, limit: int = 50) -> "DirectoryCompletion":
    """Folders of this machine that begin as typed; nothing but their names is read. Raises InputError."""
    from photosearch.photos import directories

    return directories.complete_directory(typed, limit)


def list_excluded_patterns() -> tuple[str, ...]:
    """The gitignore patterns of what is never indexed unless `include` names it: hidden files, other programs' own."""
    from photosearch.photos.walk import EXCLUDED

    return EXCLUDED


def find_extra(extension: str) -> str | None:
    """The command that installs a reader for files with this extension (.cr2); None where there is no reader."""
    from photosearch.photos.walk import INSTALL_HINTS

    return INSTALL_HINTS.get(extension)


def plot_report(report: "LabelReport", path: str | Path, *, calibration: bool = False, force: bool = False) -> None:
    """Draw a report's precision-recall curve, or its calibration, to .png, .svg or .pdf. Needs the extra `plot`.

    path: - prints a PNG. force: replace a file that photosearch did not write. Raises InputError.
    """
    from photosearch.judging import plot

    draw = plot.draw_reliability if calibration else plot.draw_precision_recall
    draw(path, report.judged, report.threshold, report.label.name, force=force)


def check_rebuild(path: str | Path, *, force: bool = False) -> None:
    """Raises StoreError where a library is missing, newer, or not damaged (force: rebuild it all the same)."""
    from photosearch.library.rebuild import check

    check(Path(path), force=force)


def rebuild_library(path: str | Path, *, force: bool = False) -> "RebuildResult":
    """Start a damaged or deleted library anew with everything that only its user knows; the old file is kept beside it.

    Reads the old file and the user's copy. Other programs may have the library open: they can't write to it any more.
    Raises StoreError as `check_rebuild` does.
    """
    from photosearch.library.rebuild import rebuild

    return rebuild(Path(path), force=force)


def list_backups(path: str | Path) -> list[Path]:
    """The copies of a library that migrations and rebuilds kept beside it."""
    from photosearch.library import database

    return database.list_backups(Path(path))
