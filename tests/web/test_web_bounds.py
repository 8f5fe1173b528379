"""What one request may cost: its body, the rows of its answer, what the server keeps. No server is started."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.datastructures import QueryParams
from starlette.requests import Request

import photosearch
from photosearch import Library
from photosearch.errors import InputError
from photosearch.web import duplicate_routes, index_routes, parameters, results, search_routes
from photosearch.web.parameters import read_body, read_record
from photosearch.web.results import Recent
from photosearch.web.state import LibraryPool, ServerState


@pytest.fixture(scope="module")
def state(leaves: Path) -> Iterator[ServerState]:
    with photosearch.open_thumbnails(leaves) as thumbnails:
        state = ServerState(leaves, thumbnails, leaves.parent)
        yield state
        state.close()


def make_request(*parts: bytes) -> tuple[Request, list[bytes]]:
    """A request whose body comes in parts, and those that were not asked for yet."""
    left = list(parts)

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    return Request({"type": "http", "method": "POST", "headers": []}, receive), left


def test_body_is_read_up_to_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "MAX_BODY_BYTES", 20)
    request, _ = make_request(b'{"a": ', b'"0123456789"}')
    assert asyncio.run(read_body(request)) == {"a": "0123456789"}
    request, left = make_request(*[b"0123456789"] * 100)
    with pytest.raises(InputError, match="the request is too large"):
        asyncio.run(read_body(request))
    assert len(left) == 97, "and no further"


@pytest.mark.parametrize("body", [b"[" * 10_000, b"[1]", b"{", b"\xff", b"null"])
def test_body_that_is_no_object_gets_a_line(body: bytes) -> None:
    with pytest.raises(InputError, match="expected a JSON object"):
        asyncio.run(read_body(make_request(body)[0]))


def test_answer_has_no_more_rows_than_bounded(state: ServerState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_routes, "MAX_PART", 3)
    with state.libraries.lend() as library:
        for words in ("", "green"):  # a list, and a search that ranks
            found = search_routes.find(state, library, QueryParams(words=words))
            assert len(found.photos) == 3
            for n in ("4", str(10**17)):
                part = search_routes.read_result(state, library, QueryParams(result=found.result, first="2", n=n))
                assert (part.first, len(part.photos)) == (2, 3)


def test_groups_of_duplicates_come_in_parts(state: ServerState, monkeypatch: pytest.MonkeyPatch) -> None:
    with state.libraries.lend() as library:
        (group,) = library.find_duplicates(near=False)
        monkeypatch.setattr(Library, "find_duplicates", lambda *_, **__: [group] * 5)
        monkeypatch.setattr(duplicate_routes, "MAX_GROUPS", 2)
        first = duplicate_routes.list_duplicates(state, library, QueryParams())
        rest = duplicate_routes.list_duplicates(state, library, QueryParams(list=first.list, first="4"))
    assert (first.total, len(first.groups), len(rest.groups)) == (5, 2, 1)


def test_newest_photos_are_no_more_than_bounded(state: ServerState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_routes, "MAX_NEWEST", 4)
    with state.libraries.lend() as library:
        assert len(index_routes.list_newest(state, library, QueryParams(n=str(10**17)))) == 4


def test_server_keeps_the_latest_lists_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_STORED", 3)
    recent: Recent[int] = Recent()
    ids = [recent.add(i) for i in range(3)]
    assert recent.get(ids[0]) == 0, "which is now the one that was used last"
    ids.append(recent.add(3))
    assert [recent.get(each) for each in ids] == [0, None, 2, 3]


def test_texts_and_lists_of_a_request_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters, "MAX_TEXT", 5)
    monkeypatch.setattr(parameters, "MAX_TEXTS", 2)
    kind, name = index_routes.IndexRequest, "exclude"
    read_record(kind, {name: ["a" * 5] * 2})
    for given in (["a" * 6], ["a"] * 3, ["\0"], ["\ud800"]):
        with pytest.raises(InputError, match=f"{name} must be"):
            read_record(kind, {name: given})


def test_closed_pool_holds_no_library_open(tmp_path: Path) -> None:
    path = tmp_path / "library.db"
    Library(path).close()
    pool = LibraryPool(path)
    with pool.lend() as first, pool.lend() as second:
        assert count_open(path) >= 4, "two connections each"
    pool.close()
    assert count_open(path) == 0
    assert (first.path, second.path) == (path, path), "closed, and not merely forgotten"


def count_open(path: Path) -> int:
    """How often this process has a file open."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += link.readlink() == path
        except OSError:  # the folder's own
            continue
    return found
