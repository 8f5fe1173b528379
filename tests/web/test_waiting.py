"""Requests that wait for others, or that nobody waits for: the app itself in one event loop, with reads that block."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.datastructures import QueryParams

import photosearch
from photosearch import Library
from photosearch.errors import StoppedError
from photosearch.web import results, search_routes
from photosearch.web.app import make_app
from photosearch.web.results import start_search
from photosearch.web.state import MAX_CONNECTIONS, MAX_SLOW, ServerState

LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000) SELECT max(i) FROM n"
GUARD = 60  # seconds, for a test that fails


@pytest.fixture
def state(leaves: Path) -> Iterator[ServerState]:
    with photosearch.open_thumbnails(leaves) as thumbnails:
        state = ServerState(leaves, thumbnails, leaves.parent)
        yield state
        state.close()


def test_end_of_the_server_closes_all_that_it_holds(state: ServerState, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = []
    held = {name: value for name, value in vars(state).items() if callable(getattr(value, "close", None))}
    del held["thumbnails"]  # whoever opened them closes them
    for name, value in held.items():
        monkeypatch.setattr(value, "close", lambda name=name, close=value.close: (closed.append(name), close()))
    state.close()
    assert sorted(closed) == sorted(held) == ["index_runs", "libraries", "model_pulls", "spare_moves", "watches"]


def test_wait_for_a_list_that_nobody_waits_for_any_more_ends() -> None:
    class Stopped:
        def check_stopped(self) -> None:
            raise StoppedError

    def wait() -> None:
        with pytest.raises(StoppedError), results._hold(lock, cast(Library, Stopped())):
            pass

    lock = threading.Lock()
    with lock:
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        thread.join(GUARD / 2)
        assert not thread.is_alive()


async def ask(app: Starlette, target: str, gone: asyncio.Event | None = None) -> int:
    """The status of the response. gone: once it is set, the browser has closed the connection."""
    path, _, query = target.partition("?")
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []}
    messages = [{"type": "http.request", "body": b"", "more_body": False}]
    statuses = []

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop()
        await (gone or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    await asyncio.wait_for(app(scope, receive, send), GUARD)
    (status,) = statuses
    return int(status)


class Blocked:
    """Stands in for a read: its calls end when they are let go. stopped: how many ended since nobody waited."""

    def __init__(self, work: Callable[[Library], object] = lambda _: None):
        self.work, self.begun, self.stopped = work, 0, 0
        self.may_end = threading.Event()

    def __call__(self, _: ServerState, library: Library, __: object) -> object:
        self.begun += 1
        assert self.may_end.wait(GUARD)
        try:
            return self.work(library)
        except StoppedError:
            self.stopped += 1
            raise

    async def has_begun(self, n: int) -> None:
        async with asyncio.timeout(GUARD):
            while self.begun < n:
                await asyncio.sleep(0.001)


def test_new_request_is_answered_while_others_compute(state: ServerState, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Blocked()
    monkeypatch.setattr(search_routes, "count_result", read)

    async def run() -> None:
        app = make_app(state)
        waiting = [asyncio.create_task(ask(app, "/api/total?result=x")) for _ in range(MAX_CONNECTIONS + 2)]
        await read.has_begun(MAX_SLOW)
        try:
            assert [await ask(app, each) for each in ("/", "/api/find", "/api/labels", "/thumbnails/1")] == [200] * 4
            assert read.begun == MAX_SLOW, "and no more begin"
        finally:
            read.may_end.set()
        assert [await each for each in waiting] == [200] * len(waiting)

    asyncio.run(run())


def test_request_that_nobody_waits_for_any_more_stops(state: ServerState, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Blocked(lambda library: library._session.db.rows(LONG))
    monkeypatch.setattr(search_routes, "count_result", read)
    monkeypatch.setattr(search_routes, "find", read)  # one that is not slow, too

    async def run() -> None:
        app = make_app(state)
        gone = [asyncio.Event() for _ in range(MAX_SLOW + 2)]
        asked = [asyncio.create_task(ask(app, "/api/total?result=x", each)) for each in gone[:-1]]
        asked.append(asyncio.create_task(ask(app, "/api/find", gone[-1])))
        await read.has_begun(MAX_SLOW + 1)
        last = asked[MAX_SLOW]
        gone[MAX_SLOW].set()
        assert await last == 400, "it ends before it has begun"
        for each in gone:
            each.set()
        read.may_end.set()
        assert [await each for each in asked] == [400] * len(asked)
        assert (read.begun, read.stopped) == (MAX_SLOW + 1, MAX_SLOW + 1)
        assert await ask(app, "/api/labels") == 200, "the connections are as they were"

    asyncio.run(run())


def test_waiting_for_a_list_that_another_thread_reads_stops(state: ServerState) -> None:
    with state.libraries.lend() as library:
        for words in ("", "green"):  # a list, and a search that ranks
            result = start_search(library, search_routes._parse_search(library, QueryParams(words=words)))
            with result.lock, library.stoppable(lambda: True), pytest.raises(StoppedError):
                result.complete(library)
            result.complete(library)
            assert len(result) > 0
