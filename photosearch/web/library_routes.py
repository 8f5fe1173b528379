"""The API of the page "Library": folders and their settings, what `forget` removes, runs, models, checks."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import QueryParams

import photosearch
from photosearch import DEFAULT_MODEL, USER_MODEL, Library
from photosearch.errors import InputError
from photosearch.web.folder_ids import find_folder, hash_folder
from photosearch.web.index_routes import check_model_names, clean_patterns
from photosearch.web.model_pulls import PullState
from photosearch.web.state import ServerState

if TYPE_CHECKING:
    from photosearch import FolderReport

RUNS = 10  # listed
CHECKING = threading.Lock()  # one check of the installation at a time: it loads models


@dataclass(frozen=True, slots=True)
class SettingsRequest:
    """All settings of a folder's own; null: as the folder above it, or the default."""

    folder: str
    models: list[str] | None
    tiles: int | None
    exclude: list[str] | None
    include: list[str] | None
    follow_symlinks: bool | None
    metadata: bool | None


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """photos, marks: as /api/forgotten gave them, and the user has read them."""

    folder: str
    photos: int
    marks: int


@dataclass(frozen=True, slots=True)
class ModelRequest:
    name: str


@dataclass(frozen=True, slots=True)
class PullRequest:
    """size_bytes: as /api/offer-size gave it, and the user has agreed to."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class NoRequest:
    """What needs no parameters."""


@dataclass(frozen=True, slots=True)
class FolderRow:
    """settings, own: as of FolderReport, None where nothing is set. words: what differs from the defaults."""

    id: str
    path: str
    present: bool
    photos: int
    unreadable: int
    removed: int
    excluded: int
    settings: Mapping[str, object]
    own: Mapping[str, object]
    words: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LibraryState:
    """path: the library's file. runs: the last ones, the newest first, as of `status --json`."""

    path: str
    size_bytes: int
    photos: int
    unreadable: int
    removed: int
    marks: int
    folders: Sequence[FolderRow]
    runs: Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What forgetting a folder removes from the library. backups: files that keep it nevertheless."""

    path: str
    photos: int
    marks: int
    judged: int
    backups: Sequence[str]


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model on this computer. scored: images of this library. tiles: what it is calibrated for."""

    name: str
    version: str
    labels: int
    describes: bool
    input_size: int
    licence: str
    tiles: Sequence[int]
    included: bool
    is_default: bool
    scored: int


@dataclass(frozen=True, slots=True)
class OfferRow:
    name: str
    description: str
    licence: str
    repository: str
    is_here: bool


@dataclass(frozen=True, slots=True)
class ModelsState:
    """images: in the library. default: the library's default model, else the tool's."""

    default: str
    images: int
    models: Sequence[ModelRow]
    offers: Sequence[OfferRow]


@dataclass(frozen=True, slots=True)
class OfferSize:
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CheckRow:
    name: str
    works: bool
    installed: bool
    detail: str
    milliseconds: float | None


@dataclass(frozen=True, slots=True)
class SavedSettings:
    words: str


def read_library(_: ServerState, library: Library, query: QueryParams) -> LibraryState:
    status = library.status()
    counts = status.counts
    return LibraryState(
        status.path, status.size_bytes, counts.photos, counts.unreadable, counts.removed, counts.marks,
        [_make_folder_row(library, folder) for folder in library.folders.list()],
        [run.to_json() for run in library.runs(RUNS)],
    )  # fmt: skip


def _make_folder_row(library: Library, folder: "FolderReport") -> FolderRow:
    counts = folder.counts
    return FolderRow(
        hash_folder(folder.path), folder.path, folder.present, counts.photos, counts.unreadable, counts.removed,
        counts.excluded, folder.settings.to_dict(), folder.own.to_dict(), library.folders.describe(folder),
    )  # fmt: skip


def save_settings(_: ServerState, library: Library, request: SettingsRequest) -> SavedSettings:
    folder = find_folder(library, request.folder)
    models = request.models
    if models is not None:
        kept = {name for name in folder.own.models or () if name is not None}  # a file, perhaps
        check_model_names([name for name in models if name not in kept])
    words = library.folders.set(
        folder.path, models=models or None, tiles=request.tiles,
        exclude=None if request.exclude is None else clean_patterns(request.exclude),
        include=None if request.include is None else clean_patterns(request.include),
        follow_symlinks=request.follow_symlinks, metadata=request.metadata, reset=True,
    )  # fmt: skip
    return SavedSettings(words)


def count_forgotten(state: ServerState, library: Library, query: QueryParams) -> Forgotten:
    """Parameter: folder."""
    folder = find_folder(library, query.get("folder", ""))
    counts = library.count_forgotten([folder.path])
    backups = [str(backup) for backup in photosearch.list_backups(library.path)]
    return Forgotten(folder.path, counts.photos, counts.marks, counts.judged, backups)


def forget(state: ServerState, library: Library, request: ForgetRequest) -> Forgotten:
    """Forget a folder, unless more would go than the user has read."""
    folder = find_folder(library, request.folder)
    counts = library.count_forgotten([folder.path])
    if (counts.photos, counts.marks) != (request.photos, request.marks):
        raise InputError(
            f"{folder.path}: now {counts.photos:,} photos and {counts.marks:,} marks would go; nothing was removed; "
            "ask again"
        )
    try:
        library.forget([folder.path])
    finally:  # it may have been done, and say that traces stay
        state.forget_lists()
    return Forgotten(folder.path, counts.photos, counts.marks, counts.judged, ())


def read_models(state: ServerState, query: QueryParams) -> ModelsState:
    default, images, scored = DEFAULT_MODEL, 0, dict[str, int]()
    if state.libraries.exists():
        with state.libraries.lend() as library:
            status = library.status()
            default, images = status.default_model or DEFAULT_MODEL, status.counts.images
            for model in status.models:
                if model.name != USER_MODEL:
                    scored[model.name] = max(scored.get(model.name, 0), model.images)
    included = set(photosearch.list_included_models())
    rows = [
        ModelRow(
            card.name, card.version, len(card.labels), "vectors" in card.outputs, card.input_size, card.licence,
            [0, *sorted(map(int, card.pooling))], card.name in included, card.name == default,
            scored.get(card.name, 0),
        )
        for _, card in photosearch.list_models()
    ]  # fmt: skip
    here = {row.name for row in rows}
    offers = [
        OfferRow(name, offer.description, offer.licence, offer.repository, name in here)
        for name, offer in photosearch.list_model_offers().items()
    ]
    return ModelsState(default, images, rows, offers)


def set_default_model(_: ServerState, library: Library, request: ModelRequest) -> ModelRequest:
    library.models.set_default(request.name)
    return request


def measure_offer(_: ServerState, request: ModelRequest) -> OfferSize:
    """Asks the hub over the network: only where the user has pressed the button that says so."""
    return OfferSize(request.name, photosearch.measure_model_offer(request.name))


def read_pull(state: ServerState, query: QueryParams) -> PullState:
    return state.model_pulls.read()


def start_pull(state: ServerState, request: PullRequest) -> PullState:
    return state.model_pulls.start(request.name, request.size_bytes)


def stop_pull(state: ServerState, request: NoRequest) -> PullState:
    return state.model_pulls.stop()


def check_installation(_: ServerState, request: NoRequest) -> list[CheckRow]:
    with CHECKING:
        return [
            CheckRow(check.name, check.works, check.installed, check.detail, check.milliseconds)
            for check in photosearch.check_installation()
        ]
