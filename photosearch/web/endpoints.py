"""Routes of the pages' API: a function that reads or changes something -> a route that sends its result as JSON.

A read is a GET, a change is a POST, whose JSON becomes a record. Some need no library: nothing was indexed yet.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from photosearch import Library
from photosearch.web.parameters import read_body, read_record
from photosearch.web.responses import Json
from photosearch.web.state import ServerState

Read = Callable[[ServerState, Library, QueryParams], object]
Change = Callable[[ServerState, Library, Any], object]  # takes the record that the request's JSON becomes
PlainRead = Callable[[ServerState, QueryParams], object]
PlainChange = Callable[[ServerState, Any], object]


def make_routes(
    state: ServerState, reads: Mapping[str, Read], changes: Mapping[str, tuple[type, Change]]
) -> list[Route]:
    """Each runs in a thread, with a connection to the library."""

    def lend_to_read(read: Read) -> PlainRead:
        def run(state: ServerState, query: QueryParams) -> object:
            with state.libraries.lend() as library:
                return read(state, library, query)

        return run

    def lend_to_change(change: Change) -> PlainChange:
        def run(state: ServerState, record: object) -> object:
            with state.libraries.lend() as library:
                return change(state, library, record)

        return run

    return make_plain_routes(
        state,
        {name: lend_to_read(read) for name, read in reads.items()},
        {name: (kind, lend_to_change(change)) for name, (kind, change) in changes.items()},
    )


def make_plain_routes(
    state: ServerState, reads: Mapping[str, PlainRead], changes: Mapping[str, tuple[type, PlainChange]]
) -> list[Route]:
    """Without a library."""
    return [
        *(Route(f"/api/{name}", _make_read(state, read), methods=["GET"]) for name, read in reads.items()),
        *(Route(f"/api/{name}", _make_change(state, *change), methods=["POST"]) for name, change in changes.items()),
    ]


def _make_read(state: ServerState, read: PlainRead) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:
        return Json(read(state, request.query_params))

    return endpoint


def _make_change(state: ServerState, kind: type, change: PlainChange) -> Callable[[Request], Awaitable[Response]]:
    def run(record: object) -> Response:
        return Json(change(state, record))

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(run, read_record(kind, await read_body(request)))

    return endpoint
