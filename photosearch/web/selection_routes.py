"""The API for selected photos: marks, albums, a zip file, paths. A selection is ranges of a result, so that it may be
long."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.datastructures import QueryParams

from photosearch import Library
from photosearch.errors import InputError
from photosearch.web.responses import AlbumChanged, AlbumRow, MarkedMany, Paths, Zip
from photosearch.web.search_routes import get_result, list_images, read_ranges
from photosearch.web.state import ServerState

if TYPE_CHECKING:
    from photosearch import AlbumChange


@dataclass(frozen=True, slots=True)
class SelectionRequest:
    """ranges: of the photos of a result: first, end, first, end, ..."""

    result: str
    ranges: list[int]


@dataclass(frozen=True, slots=True)
class MarkSelectedRequest:
    """present: whether they show the label. new: whether the label may be a new one."""

    result: str
    ranges: list[int]
    label: str
    present: bool
    new: bool = False


@dataclass(frozen=True, slots=True)
class SelectedAlbumRequest:
    """name: of an album of the library; one that photos are added to may be new."""

    result: str
    ranges: list[int]
    name: str


def mark_selected(state: ServerState, library: Library, request: MarkSelectedRequest) -> MarkedMany:
    image_ids = list_images(library, get_result(state, request.result), request.ranges)
    if not image_ids:
        return MarkedMany(request.label, 0, None)
    marked = library.marks.set_images(image_ids, request.label, request.present, new=request.new)
    return MarkedMany(marked.label, marked.images, marked.step)


def list_paths(state: ServerState, library: Library, request: SelectionRequest) -> Paths:
    return Paths([photo.path for photo in read_ranges(library, get_result(state, request.result), request.ranges)])


def list_albums(_: ServerState, library: Library, query: QueryParams) -> list[AlbumRow]:
    """Those that photos can be added to: saved searches fill themselves."""
    return [AlbumRow(album.name, album.photos) for album in library.albums.list() if album.photos is not None]


def add_to_album(state: ServerState, library: Library, request: SelectedAlbumRequest) -> AlbumChanged:
    image_ids = list_images(library, get_result(state, request.result), request.ranges)
    if not image_ids:  # no album is made of them
        raise InputError("no such photos in these results")
    return _to_changed(library.albums.add_images(request.name, image_ids))


def remove_from_album(state: ServerState, library: Library, request: SelectedAlbumRequest) -> AlbumChanged:
    image_ids = list_images(library, get_result(state, request.result), request.ranges)
    return _to_changed(library.albums.remove_images(request.name, image_ids))


def _to_changed(change: "AlbumChange") -> AlbumChanged:
    return AlbumChanged(change.name, change.photos, change.created, change.step)


def prepare_zip(state: ServerState, library: Library, request: SelectionRequest) -> Zip:
    """A zip file is sent by an address of its own, since a browser saves what it opens, and not what a script gets."""
    image_ids = list_images(library, get_result(state, request.result), request.ranges)
    return Zip(state.zips.add(image_ids), len(image_ids))
