"""The API of the search page: results, folders, details of a photo, albums."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from starlette.datastructures import QueryParams

from photosearch import Library
from photosearch.errors import InputError
from photosearch.web.folder_ids import hash_folder
from photosearch.web.parameters import (
    check_album_name,
    check_ranges,
    check_words,
    parse_integer,
    parse_number,
)
from photosearch.web.responses import (
    Album,
    Completion,
    Details,
    Folder,
    Found,
    LabelRow,
    PhotoRow,
    Photos,
    Total,
    make_details,
    make_found,
    make_photo_row,
)
from photosearch.web.results import Result, Search, Sort, start_search
from photosearch.web.state import ServerState

if TYPE_CHECKING:
    from photosearch import Chip, Match

_ALBUM = re.compile(r"""album:("[^"]*"|'[^']*'|[^\s"']+)$""", re.I)  # at the end of a question
MAX_PART = 500  # photos in one response
SORTS: dict[str, Sort] = {"date": "newest", "oldest": "oldest", "name": "name", "size": "size"}  # as addresses have it
NOT_IN_LIBRARY = "this photo is no longer in the library"


@dataclass(frozen=True, slots=True)
class AlbumRequest:
    """ranges: of the result's photos: first, end, first, end, ...; None for all."""

    result: str
    name: str
    how: Literal["copy", "link"]
    ranges: list[int] | None = None


def find(state: ServerState, library: Library, query: QueryParams) -> Found:
    result = start_search(library, _parse_search(library, query))
    result_id = state.results.add(result)
    label = query.get("label") or next(iter(result.answer.labels), None)
    total = Total(len(result), result.count_sure()) if result.is_complete else None
    search, answer = result.search, result.answer
    more = total is not None and answer.more and not (search.all_similar or search.sure_only)
    photos = _list_photos(library, result, 0, min(MAX_PART, len(result)), label)
    chips = [] if search.query_mode else library.photos.chips(search.words)
    return make_found(result_id, answer, label, total, photos, chips, more=more, album=_find_album(library, chips))


def _find_album(library: Library, chips: "Sequence[Chip]") -> str | None:
    """The album whose photos are shown, None where it is none, several, or a saved search, which fills itself."""
    names = [chip.value for chip in chips if chip.kind == "album" and chip.wanted]
    album = library.albums.get(names[0]) if len(names) == 1 else None
    return album.name if album is not None and album.search is None else None


def read_result(state: ServerState, library: Library, query: QueryParams) -> Photos:
    """Parameters: result, first, n, label."""
    result, first = get_result(state, query.get("result", "")), parse_integer(query.get("first", "0"))
    n = min(parse_integer(query.get("n", "100")), MAX_PART)
    return Photos(first, _list_photos(library, result, first, n, query.get("label")))


def count_result(state: ServerState, library: Library, query: QueryParams) -> Total:
    result = get_result(state, query.get("result", ""))
    result.complete(library)
    return Total(len(result), result.count_sure())


def complete_words(_: ServerState, library: Library, query: QueryParams) -> list[Completion]:
    texts = library.complete(query.get("words", ""))
    is_album = bool(texts) and _ALBUM.search(texts[0])
    photos = {album.name: album.photos or 0 for album in library.albums.list()} if is_album else _count_photos(library)
    return [Completion(text, photos.get(_find_last(text, photos), 0)) for text in texts]


def _find_last(text: str, names: Iterable[str]) -> str:
    """What completes a question: the longest name at its end, maybe in quotes."""
    return max((name for name in names if text.endswith((name, f'{name}"', f"{name}'"))), key=len, default="")


def list_labels(_: ServerState, library: Library, query: QueryParams) -> list[LabelRow]:
    """Those that are only marked, then everyday names, then all others; those with the most photos first."""
    marked = [LabelRow(name, 0, is_new=True) for name in library.labels.list_unlearned()]
    return marked + [LabelRow(name, n, is_new=False) for name, n in _count_photos(library).items()]


def _count_photos(library: Library) -> dict[str, int]:
    """Label -> how many photos have it; of several models' labels with one name, the one that `find` takes."""
    first = {label.name: label.id for label in reversed(library.labels.list())}
    counts = library.labels.list_counts(exact=False)
    return {row.label.name: row.photos for row in counts if first[row.label.name] == row.label.id}


def list_folders(_: ServerState, library: Library, query: QueryParams) -> list[Folder]:
    return [Folder(hash_folder(path), path) for path in library.folders.list_paths()]


def read_details(_: ServerState, library: Library, query: QueryParams) -> Details:
    """Parameters: image_id, and each label whose score is wanted."""
    details = library.details(parse_integer(query.get("image_id", "")))
    if details is None:
        raise InputError(NOT_IN_LIBRARY)
    return make_details(details, query.getlist("label"), library.find_missing(details.paths))


def read_exposure(state: ServerState, library: Library, query: QueryParams) -> dict[str, float]:
    """Parameter: image_id. Its file is opened, which may take a moment: the details are there before."""
    files = library.find_files(parse_integer(query.get("image_id", "")))
    return state.thumbnails.read_exposure(files[1]) if files else {}


def make_album(state: ServerState, library: Library, request: AlbumRequest) -> Album:
    result = get_result(state, request.result)
    paths = [photo.path for photo in read_ranges(library, result, request.ranges)]
    folder = state.albums / check_album_name(request.name)
    album = (library.albums.link if request.how == "link" else library.albums.copy)(folder, paths)
    return Album(str(folder), album.made, album.existing, len(album.missing), album.indexed)


def _parse_search(library: Library, query: QueryParams) -> Search:
    """Raises InputError."""
    mode, under = query.get("query_mode"), query.get("under")
    query_mode: Literal["label", "text"] | None = "label" if mode == "label" else "text" if mode == "text" else None
    return Search(
        words=check_words(query.get("words", "")),
        query_mode=query_mode,
        like=_find_paths(library, query.getlist("like")),
        unlike=_find_paths(library, query.getlist("unlike")),
        min_score=parse_number(query["min_score"]) if query.get("min_score") else None,
        sure_only="sure_only" in query,
        copies="copies" in query,
        under=_find_folder(library, under) if under else None,
        since=query.get("since") or None,
        until=query.get("until") or None,
        file_dates="file_dates" in query,
        sort=SORTS.get(query.get("sort", ""), "best"),
        all_similar="all_similar" in query,
    )


def get_result(state: ServerState, result_id: str) -> Result:
    result = state.results.get(result_id)
    if result is None:
        raise InputError("these results have expired; search again")
    return result


def read_ranges(library: Library, result: Result, ranges: Sequence[int] | None) -> "list[Match]":
    """The photos of a result in ranges: first, end, first, end, ...; None: all. Raises InputError."""
    result.complete(library)
    return result.pick(library, [(0, len(result))] if ranges is None else check_ranges(ranges, len(result)))


def list_images(library: Library, result: Result, ranges: Sequence[int]) -> list[int]:
    """The ids of the images that these photos show, each once. Raises InputError."""
    return list(dict.fromkeys(photo.image_id for photo in read_ranges(library, result, ranges)))


def _list_photos(library: Library, result: Result, first: int, n: int, label: str | None) -> list[PhotoRow | None]:
    """None for a photo that has left the library meanwhile."""
    photos = result.read(library, first, n)
    marks = library.marks.read_images(label, [photo.image_id for photo in photos if photo]) if label else {}
    return [make_photo_row(photo, marks.get(photo.image_id)) if photo else None for photo in photos]


def _find_paths(library: Library, image_ids: Sequence[str]) -> tuple[str, ...]:
    """A photo of each image. Raises InputError."""
    paths = []
    for image_id in image_ids:
        files = library.find_files(parse_integer(image_id))
        if files is None:
            raise InputError(NOT_IN_LIBRARY)
        paths.append(files[1][0])
    return tuple(paths)


def _find_folder(library: Library, folder_id: str) -> str:
    for path in library.folders.list_paths():
        if hash_folder(path) == folder_id:
            return path
    raise InputError("this folder is no longer in the library; reload the page")
