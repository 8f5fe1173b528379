"""The pages and their API: each route calls one function of Library and sends its result as JSON.

The browser names a photo by its image's id, a folder by a hash of its path, and a photo of a result by its index: it
never sends a path. Whatever changes something is a POST (auth.py). Requests run in threads with a connection each, so
that an index run may write at the same time.
"""

import os
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from photosearch import LARGE_THUMBNAIL, SMALL_THUMBNAIL, Library, Unreadable
from photosearch.errors import PhotosearchError
from photosearch.web import judge_routes, search_routes
from photosearch.web.parameters import MAX_INTEGER, Body, parse_integer, read_body
from photosearch.web.rendering import render
from photosearch.web.responses import Duplicates, Json, UnreadablePhoto, make_duplicates
from photosearch.web.state import ServerState

MAX_GROUPS = 50  # of duplicates in one response
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Read = Callable[[ServerState, Library, QueryParams], object]
Change = Callable[[ServerState, Library, Body], object]


class Page(NamedTuple):
    template: str
    path: str
    title: str


PAGES = (
    Page("search.html", "/", "Search"),
    Page("judge.html", "/judge", "Judge"),
    Page("duplicates.html", "/duplicates", "Duplicates"),
    Page("unreadable.html", "/unreadable", "Unreadable"),
)


def make_app(state: ServerState) -> Starlette:
    reads: dict[str, Read] = {
        "find": search_routes.find, "results": search_routes.read_result, "total": search_routes.count_result,
        "complete": search_routes.complete_words, "labels": search_routes.list_labels,
        "folders": search_routes.list_folders, "details": search_routes.read_details,
        "queue": judge_routes.list_queue, "report": judge_routes.read_report, "duplicates": list_duplicates,
        "unreadable": list_unreadable, "status": read_status,
    }  # fmt: skip
    changes: dict[str, Change] = {
        "mark": judge_routes.mark, "undo": judge_routes.undo, "sample": judge_routes.draw_sample,
        "threshold": judge_routes.save_threshold, "album": search_routes.make_album,
    }  # fmt: skip
    return Starlette(
        routes=[
            *(Route(f"/api/{name}", _make_read(state, read), methods=["GET"]) for name, read in reads.items()),
            *(Route(f"/api/{name}", _make_change(state, do), methods=["POST"]) for name, do in changes.items()),
            *(Route(page.path, _make_page(state, page)) for page in PAGES),
            Route("/thumbnails/{image_id:int}", _make_thumbnails(state)),
            Route("/static/{name}", _make_static()),
        ],
        exception_handlers={PhotosearchError: _send_error, Unreadable: _send_unreadable},
    )


# ---- endpoints


def _make_read(state: ServerState, read: Read) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        with state.libraries.lend() as library:
            return Json(read(state, library, request.query_params))

    return endpoint


def _make_change(state: ServerState, change: Change) -> Callable[[Request], Awaitable[Response]]:
    def run(body: Body) -> Response:
        with state.libraries.lend() as library:
            return Json(change(state, library, body))

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(run, await read_body(request))

    return endpoint


def _make_page(state: ServerState, page: Page) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return HTMLResponse(render(page.template, pages=PAGES, current=page, albums=str(state.albums)))

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
        image_id = request.path_params["image_id"]
        with state.libraries.lend() as library:
            found = library.find_files(image_id) if image_id < MAX_INTEGER else None
        if found is None:
            return PlainTextResponse("This photo is no longer in the library.", 404)
        content_hash, paths = found
        data = state.thumbnails.read(paths, content_hash, side)  # takes up to a second, so without a connection
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    return endpoint


def _send_error(_: Request, error: Exception) -> Response:
    return Json({"error": str(error)}, 400)


def _send_unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unreadable)
    return PlainTextResponse(error.reason, 404)


# ---- the smaller pages


def list_duplicates(state: ServerState, library: Library, query: QueryParams) -> Duplicates:
    """Parameters: first, the index of the first group; near=no for equal files only."""
    first, near = parse_integer(query.get("first", "0")), query.get("near") != "no"
    if first == 0 or near not in state.duplicates:
        state.duplicates[near] = library.find_duplicates(near=near)
    groups = state.duplicates[near]
    spare_bytes = sum(group.spare_bytes for group in groups)
    return Duplicates(
        len(groups), spare_bytes, [make_duplicates(group) for group in groups[first : first + MAX_GROUPS]]
    )


def list_unreadable(_: ServerState, library: Library, query: QueryParams) -> list[UnreadablePhoto]:
    return [UnreadablePhoto(*row) for row in library.unreadable()]


def read_status(_: ServerState, library: Library, query: QueryParams) -> dict[str, object]:
    return {**library.progress().to_json(), "undo_steps": library.marks.count_undo_steps()}
