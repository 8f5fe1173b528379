"""The API for indexing from a page: the folder that is typed, a run and its progress, the photos that came last.

Only here a page sends paths: of a folder to be added, which it may not have read. Folders that are known are named by
their ids, and models by names that are listed.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import QueryParams

import photosearch
from photosearch import Library
from photosearch.errors import InputError
from photosearch.web.folder_ids import find_folder
from photosearch.web.index_runs import RunState
from photosearch.web.parameters import parse_integer, parse_path
from photosearch.web.state import ServerState

MAX_NEWEST = 60  # photos in one response
EMPTY_PROGRESS: dict[str, object] = {
    "running": False, "started_at": None, "models": [], "photos": 0, "unreadable": 0, "scored": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """path: of a folder to add; folder: a known one's id; neither: all known folders. The rest is as of Library.index.

    exclude, include, models: added to what the folder remembers.
    """

    path: str | None = None
    folder: str | None = None
    models: list[str] | None = None
    exclude: list[str] | None = None
    include: list[str] | None = None
    follow_symlinks: bool | None = None
    metadata: bool | None = None
    force: bool = False
    retry: bool = False
    prune: bool = False


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """folder: a known one's id; None: all known folders."""

    folder: str | None = None


@dataclass(frozen=True, slots=True)
class StopRequest:
    """at_once: without waiting for the current batch, as a second Ctrl-C."""

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Directories:
    """paths: absolute. more: others begin the same way. reason: why there are none."""

    paths: Sequence[str]
    more: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class NewPhoto:
    image_id: int
    name: str
    path: str


def complete_directory(_: ServerState, query: QueryParams) -> Directories:
    """Parameter: typed."""
    found = photosearch.complete_directory(query.get("typed", ""))
    return Directories(found.paths, found.more, found.reason)


def read_run(state: ServerState, query: QueryParams) -> RunState:
    return state.index_runs.read()


def read_status(state: ServerState, query: QueryParams) -> dict[str, object]:
    """The library's counts, and whether a run is in progress, perhaps of another program."""
    if not state.libraries.exists():
        return EMPTY_PROGRESS
    with state.libraries.lend() as library:
        return library.progress().to_json()


def start_run(state: ServerState, request: IndexRequest) -> RunState:
    folders = _find_folders(state, request)
    models = check_model_names(request.models or [])
    options = {
        "models": models, "exclude": clean_patterns(request.exclude), "include": clean_patterns(request.include),
        "follow_symlinks": request.follow_symlinks, "metadata": request.metadata, "force": request.force,
        "retry": request.retry, "prune": request.prune,
    }  # fmt: skip
    if not state.libraries.exists():  # a run that can't begin leaves no empty library
        photosearch.check_index(folders, models)
    return state.index_runs.start(folders, options)


def stop_run(state: ServerState, request: StopRequest) -> RunState:
    return state.index_runs.stop(at_once=request.at_once)


def read_watch(state: ServerState, query: QueryParams) -> RunState:
    return state.watches.read()


def start_watch(state: ServerState, request: WatchRequest) -> RunState:
    """Beside an index run: each waits for the other where both would write."""
    if not state.libraries.exists():
        raise InputError("no folder is indexed yet")
    return state.watches.start(_find_folders(state, IndexRequest(folder=request.folder)), {}, watch=True)


def stop_watch(state: ServerState, request: StopRequest) -> RunState:
    return state.watches.stop(at_once=request.at_once)


def list_newest(_: ServerState, library: Library, query: QueryParams) -> list[NewPhoto]:
    """Parameter: n."""
    n = min(parse_integer(query.get("n", "24")), MAX_NEWEST)
    return [NewPhoto(image_id, os.path.basename(path), path) for image_id, path in library.newest(n)]


def check_model_names(names: Sequence[str]) -> list[str]:
    """Names of models on this computer: a page names no file. Raises InputError."""
    known = {card.name for _, card in photosearch.list_models()}
    for name in names:
        if name not in known:
            raise InputError(f"no model {name[:80]!r} on this computer; there are {', '.join(sorted(known))}")
    return list(names)


def clean_patterns(patterns: Sequence[str] | None) -> list[str]:
    """Gitignore patterns without empty ones. Raises InputError for one of several lines."""
    cleaned = [pattern.strip() for pattern in patterns or ()]
    if any("\n" in pattern or "\r" in pattern for pattern in cleaned):
        raise InputError("write each pattern on a line of its own")
    return [pattern for pattern in cleaned if pattern]


def _find_folders(state: ServerState, request: IndexRequest) -> list[str]:
    """The folders of a request, none for all known ones. Raises InputError."""
    if request.path is not None and request.folder is not None:
        raise InputError("give a path or a folder, not both")
    if request.path is not None:
        return [_check_path(request.path)]
    if request.folder is None:
        return []
    with state.libraries.lend() as library:
        return [find_folder(library, request.folder).path]


def _check_path(text: str) -> str:
    """A typed folder, absolute. Raises InputError where it is none, or is an address: that is another computer's."""
    if "://" in text:
        raise InputError(f"{text.strip()[:80]!r}: an address is indexed by the command line: photosearch index ADDRESS")
    path = parse_path(text)
    photosearch.check_index([path])
    return path
