"""The API for selected photos: marks of all at once, and their paths. More actions on a selection belong here."""

from dataclasses import dataclass

from photosearch import Library
from photosearch.web.responses import MarkedMany, Paths
from photosearch.web.search_routes import get_result, read_ranges
from photosearch.web.state import ServerState


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


def mark_selected(state: ServerState, library: Library, request: MarkSelectedRequest) -> MarkedMany:
    photos = read_ranges(library, get_result(state, request.result), request.ranges)
    image_ids = list(dict.fromkeys(photo.image_id for photo in photos))
    if not image_ids:
        return MarkedMany(request.label, 0, None)
    marked = library.marks.set_images(image_ids, request.label, request.present, new=request.new)
    return MarkedMany(marked.label, marked.images, marked.step)


def list_paths(state: ServerState, library: Library, request: SelectionRequest) -> Paths:
    return Paths([photo.path for photo in read_ranges(library, get_result(state, request.result), request.ranges)])
