"""Routes of the pages' API: a function that reads or changes something -> a route that sends its result as JSON.

A read is a GET, a change is a POST, whose JSON becomes a record. Some need no library: nothing was indexed yet.

A read ends once its browser does not wait for it any more: it went to another page, or asks something else. Reads that
may take seconds are few at once, and the others never wait for them.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
from anyio import to_thread
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from photosearch import Library
from photosearch.web.parameters import read_body, read_record
from photosearch.web.responses import Json
from photosearch.web.state import ServerState

Read = Callable[[ServerState, Library, QueryParams], object]
Change = Callable[[ServerState, Library, Any], object]  # takes the record that the request's JSON becomes
PlainRead = Callable[[ServerState, QueryParams], object]
StoppableRead = Callable[[ServerState, QueryParams, Callable[[], bool]], object]  # the last: whether to stop
PlainChange = Callable[[ServerState, Any], object]


def make_routes(
    state: ServerState,
    reads: Mapping[str, Read],
    slow_reads: Mapping[str, Read],
    changes: Mapping[str, tuple[type, Change]],
) -> list[Route]:
    """Each runs in a thread, with a connection to the library. slow_reads: those that may take seconds."""

    def lend_to_read(read: Read) -> StoppableRead:
        def run(state: ServerState, query: QueryParams, should_stop: Callable[[], bool]) -> object:
            with state.libraries.lend() as library, library.stoppable(should_stop):
                return read(state, library, query)

        return run

    def lend_to_change(change: Change) -> PlainChange:
        def run(state: ServerState, record: object) -> object:
            with state.libraries.lend() as library:
                return change(state, library, record)

        return run

    lent = {name: (kind, lend_to_change(change)) for name, (kind, change) in changes.items()}
    return [
        *(_make_get(name, _make_stoppable(state, lend_to_read(read), None)) for name, read in reads.items()),
        *(_make_get(name, _make_stoppable(state, lend_to_read(read), state.slow)) for name, read in slow_reads.items()),
        *make_plain_routes(state, {}, lent),
    ]


def make_plain_routes(
    state: ServerState, reads: Mapping[str, PlainRead], changes: Mapping[str, tuple[type, PlainChange]]
) -> list[Route]:
    """Without a library."""
    return [
        *(_make_get(name, _make_read(state, read)) for name, read in reads.items()),
        *(Route(f"/api/{name}", _make_change(state, *change), methods=["POST"]) for name, change in changes.items()),
    ]


def _make_get(name: str, endpoint: Callable[[Request], Any]) -> Route:
    return Route(f"/api/{name}", endpoint, methods=["GET"])


def _make_stoppable(
    state: ServerState, read: StoppableRead, limiter: anyio.CapacityLimiter | None
) -> Callable[[Request], Awaitable[Response]]:
    """limiter: how many run at once, None: as many as there are threads."""

    def run(query: QueryParams, should_stop: Callable[[], bool]) -> Response:
        return Json(read(state, query, should_stop))

    async def endpoint(request: Request) -> Response:
        gone = threading.Event()
        with anyio.CancelScope() as scope:  # cancels the wait for the limiter; a thread ends by itself

            async def listen() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                gone.set()
                scope.cancel()

            listener = asyncio.create_task(listen())
            try:
                return await to_thread.run_sync(run, request.query_params, gone.is_set, limiter=limiter)
            finally:
                listener.cancel()
        raise ClientDisconnect

    return endpoint


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
