"""The pages and their API: each route calls one function of Library and sends its result as JSON.

The browser names a photo by its image's id, a folder by a hash of its path, and a photo of a result by its index: it
sends no path, but for a folder to be added (index_routes.py). Whatever changes something is a POST (auth.py). Requests
run in threads with a connection each, so that an index run may write at the same time.
"""

import os
from collections.abc import Callable
from importlib.resources import files
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from photosearch import LARGE_THUMBNAIL, SMALL_THUMBNAIL, Library, Unreadable
from photosearch.errors import InputError, PhotosearchError
from photosearch.web import (
    index_routes,
    judge_routes,
    learning_routes,
    library_routes,
    listing_routes,
    search_routes,
    selection_routes,
)
from photosearch.web.endpoints import Change, PlainChange, PlainRead, Read, make_plain_routes, make_routes
from photosearch.web.parameters import parse_integer
from photosearch.web.rendering import render
from photosearch.web.responses import Duplicates, Json, UnreadablePhoto, make_duplicates
from photosearch.web.state import ServerState

MAX_GROUPS = 50  # of duplicates in one response
MEDIA_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
               ".json": "application/json"}  # fmt: skip


class Page(NamedTuple):
    """is_listed: in the menu of all pages; others are reached from one of these."""

    template: str
    path: str
    title: str
    is_listed: bool = True


START_PATH = "/start"  # where an empty library leads
PAGES = (
    Page("search.html", "/", "Search"),
    Page("map.html", "/map", "Map"),
    Page("judge.html", "/judge", "Judge"),
    Page("duplicates.html", "/duplicates", "Duplicates"),
    Page("library.html", "/library", "Library"),
    Page("unreadable.html", "/unreadable", "Unreadable", is_listed=False),
    Page("start.html", START_PATH, "Start", is_listed=False),
)


def make_app(state: ServerState) -> Starlette:
    reads: dict[str, Read] = {
        "find": search_routes.find, "results": search_routes.read_result, "total": search_routes.count_result,
        "complete": search_routes.complete_words, "labels": search_routes.list_labels,
        "folders": search_routes.list_folders, "details": search_routes.read_details,
        "exposure": search_routes.read_exposure,
        "queue": judge_routes.list_queue, "report": judge_routes.read_report,
        "readiness": learning_routes.read_readiness, "preview": learning_routes.preview, "duplicates": list_duplicates,
        "unreadable": list_unreadable, "newest": index_routes.list_newest, "library": library_routes.read_library,
        "forgotten": library_routes.count_forgotten, "days": listing_routes.list_days,
        "facet": listing_routes.count_facet, "tree": listing_routes.list_tree,
        "clusters": listing_routes.find_clusters, "neighbours": listing_routes.list_neighbours,
        "edit": listing_routes.edit_words, "similar": listing_routes.find_similar,
    }  # fmt: skip
    changes: dict[str, tuple[type, Change]] = {
        "mark": (judge_routes.MarkRequest, judge_routes.mark),
        "mark_selected": (selection_routes.MarkSelectedRequest, selection_routes.mark_selected),
        "paths": (selection_routes.SelectionRequest, selection_routes.list_paths),
        "undo": (judge_routes.UndoRequest, judge_routes.undo),
        "sample": (judge_routes.SampleRequest, judge_routes.draw_sample),
        "threshold": (judge_routes.ThresholdRequest, judge_routes.save_threshold),
        "learn": (learning_routes.LearnRequest, learning_routes.learn),
        "unlearn": (learning_routes.LearnRequest, learning_routes.undo_learning),
        "album": (search_routes.AlbumRequest, search_routes.make_album),
        "settings": (library_routes.SettingsRequest, library_routes.save_settings),
        "forget": (library_routes.ForgetRequest, library_routes.forget),
        "default-model": (library_routes.ModelRequest, library_routes.set_default_model),
    }
    plain_reads: dict[str, PlainRead] = {
        "status": index_routes.read_status, "run": index_routes.read_run,
        "directories": index_routes.complete_directory, "models": library_routes.read_models,
        "pull": library_routes.read_pull,
    }  # fmt: skip
    plain_changes: dict[str, tuple[type, PlainChange]] = {
        "index": (index_routes.IndexRequest, index_routes.start_run),
        "stop": (index_routes.StopRequest, index_routes.stop_run),
        "offer-size": (library_routes.ModelRequest, library_routes.measure_offer),
        "start-pull": (library_routes.PullRequest, library_routes.start_pull),
        "stop-pull": (library_routes.NoRequest, library_routes.stop_pull),
        "checks": (library_routes.NoRequest, library_routes.check_installation),
    }
    return Starlette(
        routes=[
            *make_routes(state, reads, changes),
            *make_plain_routes(state, plain_reads, plain_changes),
            *(Route(page.path, _make_page(state, page)) for page in PAGES),
            Route("/thumbnails/{image_id}", _make_thumbnails(state)),
            Route("/originals/{image_id}", _make_originals(state)),
            Route("/static/{name}", _make_static()),
        ],
        exception_handlers={
            PhotosearchError: _send_error,
            Unreadable: _send_unreadable,
            ClientDisconnect: _answer_nobody,
        },
    )


# ---- endpoints


def _make_page(state: ServerState, page: Page) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        if page.path == "/" and state.libraries.is_empty():
            return RedirectResponse(START_PATH, 303)
        values = {"albums": str(state.albums), "library": str(state.path)}
        return HTMLResponse(render(page.template, pages=PAGES, current=page, **values))

    return endpoint


def _make_static() -> Callable[[Request], Response]:
    static = {
        entry.name: (entry.read_bytes(), MEDIA_TYPES[os.path.splitext(entry.name)[1]])
        for entry in files("photosearch.web").joinpath("static").iterdir()
    }

    def endpoint(request: Request) -> Response:
        if request.path_params["name"] not in static:
            return PlainTextResponse("Not found.", 404)
        data, media_type = static[request.path_params["name"]]
        return Response(data, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return endpoint


def _make_thumbnails(state: ServerState) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        side = LARGE_THUMBNAIL if request.query_params.get("size") == "large" else SMALL_THUMBNAIL
        try:
            image_id = parse_integer(request.path_params["image_id"])
        except InputError as error:
            return PlainTextResponse(str(error), 404)
        with state.libraries.lend() as library:
            found = library.find_files(image_id)
        if found is None:
            return PlainTextResponse("This photo is no longer in the library.", 404)
        content_hash, paths = found
        data = state.thumbnails.read(paths, content_hash, side)  # takes up to a second, so without a connection
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    return endpoint


def _make_originals(state: ServerState) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        try:
            image_id = parse_integer(request.path_params["image_id"])
        except InputError as error:
            return PlainTextResponse(str(error), 404)
        with state.libraries.lend() as library:
            found = library.photos.read_original(image_id)
        if found is None:
            return PlainTextResponse("This photo is no longer in the library.", 404)
        data, media_type = found
        # Whoever opens it alone gets an image that can do nothing.
        headers = {"Cache-Control": "private, max-age=3600", "Content-Security-Policy": "default-src 'none'; sandbox"}
        return Response(data, media_type=media_type, headers=headers)

    return endpoint


def _send_error(_: Request, error: Exception) -> Response:
    return Json({"error": str(error)}, 400)


def _send_unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unreadable)
    return PlainTextResponse(error.reason, 404)


def _answer_nobody(_: Request, error: Exception) -> Response:
    return PlainTextResponse("The request was not complete.", 400)


# ---- the smaller pages


def list_duplicates(state: ServerState, library: Library, query: QueryParams) -> Duplicates:
    """Parameters: near=no for equal files only; for more of a list, its id, and first: the first group's index."""
    first, list_id = parse_integer(query.get("first", "0")), query.get("list")
    if list_id is None:
        groups = library.find_duplicates(near=query.get("near") != "no")
        list_id = state.duplicates.add(groups)
    elif (stored := state.duplicates.get(list_id)) is not None:
        groups = stored
    else:
        raise InputError("this list has expired; reload the page")
    spare_bytes = sum(group.spare_bytes for group in groups)
    return Duplicates(
        list_id, len(groups), spare_bytes, [make_duplicates(group) for group in groups[first : first + MAX_GROUPS]]
    )


def list_unreadable(_: ServerState, library: Library, query: QueryParams) -> list[UnreadablePhoto]:
    return [UnreadablePhoto(*row) for row in library.unreadable()]
