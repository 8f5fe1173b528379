"""The pages and their API: each route calls one function of Library and sends its result as JSON.

The browser names a photo by its image's id, a folder by a hash of its path, and a photo of a result by its index: it
sends no path, but for a folder to be added (index_routes.py) and one for spare photos (duplicate_routes.py). Whatever
changes something is a POST (auth.py). Requests run in threads with a connection each, so that an index run may write at
the same time.
"""

import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from photosearch import LARGE_THUMBNAIL, SMALL_THUMBNAIL, Library, Unreadable
from photosearch.errors import InputError, PhotosearchError
from photosearch.web import (
    duplicate_routes,
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
from photosearch.web.rendering import read_all_static, render, static_version, to_script_data
from photosearch.web.responses import Json, UnreadablePhoto
from photosearch.web.state import ServerState

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
        "find": search_routes.find, "results": search_routes.read_result,
        "complete": search_routes.complete_words, "labels": search_routes.list_labels,
        "folders": search_routes.list_folders, "details": search_routes.read_details,
        "exposure": search_routes.read_exposure,
        "queue": judge_routes.list_queue,
        "readiness": learning_routes.read_readiness,
        "unreadable": list_unreadable, "newest": index_routes.list_newest, "library": library_routes.read_library,
        "forgotten": library_routes.count_forgotten, "neighbours": listing_routes.list_neighbours,
        "edit": listing_routes.edit_words, "similar": listing_routes.find_similar,
        "albums": selection_routes.list_albums,
    }  # fmt: skip
    slow_reads: dict[str, Read] = {
        "total": search_routes.count_result, "days": listing_routes.list_days, "facet": listing_routes.count_facet,
        "tree": listing_routes.list_tree, "clusters": listing_routes.find_clusters,
        "report": judge_routes.read_report, "preview": learning_routes.preview,
        "duplicates": duplicate_routes.list_duplicates, "bursts": duplicate_routes.list_bursts,
    }  # fmt: skip
    changes: dict[str, tuple[type, Change]] = {
        "mark": (judge_routes.MarkRequest, judge_routes.mark),
        "mark_selected": (selection_routes.MarkSelectedRequest, selection_routes.mark_selected),
        "paths": (selection_routes.SelectionRequest, selection_routes.list_paths),
        "add_to_album": (selection_routes.SelectedAlbumRequest, selection_routes.add_to_album),
        "remove_from_album": (selection_routes.SelectedAlbumRequest, selection_routes.remove_from_album),
        "zip": (selection_routes.SelectionRequest, selection_routes.prepare_zip),
        "undo": (judge_routes.UndoRequest, judge_routes.undo),
        "sample": (judge_routes.SampleRequest, judge_routes.draw_sample),
        "threshold": (judge_routes.ThresholdRequest, judge_routes.save_threshold),
        "learn": (learning_routes.LearnRequest, learning_routes.learn),
        "unlearn": (learning_routes.LearnRequest, learning_routes.undo_learning),
        "album": (search_routes.AlbumRequest, search_routes.make_album),
        "plan-spares": (duplicate_routes.PlanRequest, duplicate_routes.plan_spares),
        "settings": (library_routes.SettingsRequest, library_routes.save_settings),
        "forget": (library_routes.ForgetRequest, library_routes.forget),
        "default-model": (library_routes.ModelRequest, library_routes.set_default_model),
    }
    plain_reads: dict[str, PlainRead] = {
        "status": index_routes.read_status, "run": index_routes.read_run, "watching": index_routes.read_watch,
        "directories": index_routes.complete_directory, "models": library_routes.read_models,
        "pull": library_routes.read_pull, "spares": duplicate_routes.read_move,
    }  # fmt: skip
    plain_changes: dict[str, tuple[type, PlainChange]] = {
        "index": (index_routes.IndexRequest, index_routes.start_run),
        "stop": (index_routes.StopRequest, index_routes.stop_run),
        "watch": (index_routes.WatchRequest, index_routes.start_watch),
        "stop-watch": (index_routes.StopRequest, index_routes.stop_watch),
        "move-spares": (duplicate_routes.MoveRequest, duplicate_routes.move_spares),
        "undo-spares": (duplicate_routes.UndoRequest, duplicate_routes.undo_spares),
        "offer-size": (library_routes.ModelRequest, library_routes.measure_offer),
        "start-pull": (library_routes.PullRequest, library_routes.start_pull),
        "stop-pull": (library_routes.NoRequest, library_routes.stop_pull),
        "checks": (library_routes.NoRequest, library_routes.check_installation),
    }
    return Starlette(
        routes=[
            *make_routes(state, reads, slow_reads, changes),
            *make_plain_routes(state, plain_reads, plain_changes),
            *(Route(page.path, _make_page(state, page)) for page in PAGES),
            Route("/thumbnails/{image_id}", _make_thumbnails(state)),
            Route("/originals/{image_id}", _make_originals(state)),
            Route("/zips/{zip_id}", _make_zips(state)),
            Route("/static/{version}/{name}", _make_static()),
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
        values: dict[str, object] = {"albums": str(state.albums), "library": str(state.path)}
        if page.path == "/" and not request.query_params:  # where it fails, the page's script asks, and says why
            with (
                contextlib.suppress(PhotosearchError),
                state.libraries.lend() as library,
            ):
                values["first"] = to_script_data(Json(search_routes.find(state, library, request.query_params)).body)
        return HTMLResponse(render(page.template, pages=PAGES, current=page, **values))

    return endpoint


def _make_static() -> Callable[[Request], Awaitable[Response]]:
    static = {(static_version(), name): data for name, data in read_all_static().items()}
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}

    async def endpoint(request: Request) -> Response:  # no thread is needed
        name = request.path_params["name"]
        data = static.get((request.path_params["version"], name))
        if data is None:
            return PlainTextResponse("Not found.", 404)
        return Response(data, media_type=MEDIA_TYPES[os.path.splitext(name)[1]], headers=headers)

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


def _make_zips(state: ServerState) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        image_ids = state.zips.get(request.path_params["zip_id"])
        if image_ids is None:
            return PlainTextResponse("This selection has expired; select the photos again.", 404)
        with state.libraries.lend() as library:
            pieces = library.albums.zip(image_ids)
        headers = {"Content-Disposition": 'attachment; filename="photos.zip"'}
        return StreamingResponse(pieces, media_type="application/zip", headers=headers)

    return endpoint


def _send_error(_: Request, error: Exception) -> Response:
    return Json({"error": str(error)}, 400)


def _send_unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unreadable)
    return PlainTextResponse(error.reason, 404)


def _answer_nobody(_: Request, error: Exception) -> Response:
    return PlainTextResponse("The request was not complete.", 400)


# ---- the smaller pages


def list_unreadable(_: ServerState, library: Library, query: QueryParams) -> list[UnreadablePhoto]:
    return [UnreadablePhoto(*row) for row in library.unreadable()]
