"""The API of what surrounds photos: days, facets, folders, the map, neighbours in time, pieces of a sentence."""

from typing import TYPE_CHECKING, Any, Literal, cast

from starlette.datastructures import QueryParams

from photosearch import Chip, Library
from photosearch.errors import InputError, ModelError
from photosearch.web.folder_ids import hash_folder
from photosearch.web.parameters import check_words, parse_degrees, parse_integer
from photosearch.web.responses import ClusterRow, FacetRow, FolderRow, PhotoRow, Words, make_photo_row
from photosearch.web.results import Days, Result
from photosearch.web.search_routes import NOT_IN_LIBRARY, get_result
from photosearch.web.state import ServerState

if TYPE_CHECKING:
    from photosearch import FacetCount

FACETS = ("place", "camera", "person", "keyword", "rating", "is", "label")
KINDS = ("label", "description", "taken", "in", "near", "camera", "lens", "keyword", "person", "rating", "folder",
         "text", "is", "album", "any")  # fmt: skip
CELLS, MAX_CLUSTERS = 14, 300  # of the map: along its longer side, in one response
NEIGHBOURS, SIMILAR = 6, 8  # before a photo, and after it; photos like one


def list_days(state: ServerState, library: Library, query: QueryParams) -> Days:
    """Parameter: result. (day, photos) of all its photos, in their order where dates sort them."""
    result = get_result(state, query.get("result", ""))
    result.complete(library)
    return result.list_days()


def count_facet(state: ServerState, library: Library, query: QueryParams) -> list[FacetRow]:
    """Parameters: result, facet."""
    facet = query.get("facet", "")
    if facet not in FACETS:
        raise InputError(f"facet must be one of {', '.join(FACETS)}")
    counted = library.photos.count(cast("Any", facet), **_read_scope(state, library, query))
    return [_make_facet_row(count) for count in counted]


def list_tree(state: ServerState, library: Library, query: QueryParams) -> list[FolderRow]:
    """Parameter: result."""
    folders = library.photos.count_folders(**_read_scope(state, library, query))
    return [FolderRow(hash_folder(row.path), row.path, row.photos, row.own) for row in folders]


def find_clusters(state: ServerState, library: Library, query: QueryParams) -> list[ClusterRow]:
    """Parameters: result, west, south, east, north."""
    west, south, east, north = (
        parse_degrees(query.get(name, ""), most)
        for name, most in (("west", 180), ("south", 90), ("east", 180), ("north", 90))
    )
    if west >= east or south >= north:
        raise InputError("the box of a map must have a west below its east, and a south below its north")
    found = library.photos.find_clusters(
        (west, south, east, north), cells=CELLS, limit=MAX_CLUSTERS, **_read_scope(state, library, query)
    )
    return [
        ClusterRow(c.photos, c.latitude, c.longitude, c.south, c.west, c.north, c.east, c.image_id) for c in found
    ]  # fmt: skip


def list_neighbours(_: ServerState, library: Library, query: QueryParams) -> list[PhotoRow]:
    """Parameter: photo_id. The photos taken before it, itself, and those after it."""
    found = library.photos.find_neighbours(parse_integer(query.get("photo_id", "")), NEIGHBOURS)
    return [make_photo_row(photo, None) for photo in found]


def find_similar(_: ServerState, library: Library, query: QueryParams) -> list[PhotoRow]:
    """Parameter: image_id. The most similar photos; none where the library has no vectors."""
    image_id = parse_integer(query.get("image_id", ""))
    files = library.find_files(image_id)
    if files is None:
        raise InputError(NOT_IN_LIBRARY)
    try:
        answer = library.find(like=[files[1][0]], max_similar=SIMILAR + 1)
    except ModelError:
        return []
    return [make_photo_row(photo, None) for photo in answer if photo.image_id != image_id][:SIMILAR]


def edit_words(_: ServerState, library: Library, query: QueryParams) -> Words:
    """A sentence with or without a piece. Parameters: words, kind, value, unwanted, remove."""
    words, kind = check_words(query.get("words", "")), query.get("kind", "")
    if kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}")
    chip = Chip(cast("Literal['label']", kind), check_words(query.get("value", "")), "unwanted" not in query)
    edit = library.photos.without_chip if "remove" in query else library.photos.with_chip
    return Words(edit(words, chip))


def _read_scope(state: ServerState, library: Library, query: QueryParams) -> dict[str, Any]:
    """Which photos are counted, as the methods of library.photos take it: those of a result."""
    result: Result = get_result(state, query.get("result", ""))
    among = None
    if result.answer.ranked_by != "date":
        result.complete(library)
        among = result.list_ids()
    search = result.search
    return {
        "words": search.words if among is None else "", "under": search.under, "since": search.since,
        "until": search.until, "file_dates": search.file_dates, "among": among,
    }  # fmt: skip


def _make_facet_row(count: "FacetCount") -> FacetRow:
    return FacetRow(count.value, count.group, count.photos, count.is_least)
