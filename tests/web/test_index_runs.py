"""Index runs that a page starts: a child process that indexes, tells how far it is, and ends when it is told to."""

import io
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from http_client import HttpClient, run_server
from toy import photo, sight_card, write_toy, write_toy_text

from photosearch import Library
from photosearch.errors import InputError
from photosearch.library.lock import lock_library
from photosearch.web import index_runs
from photosearch.web.index_process import Rate
from photosearch.web.index_runs import ENDED_BADLY, MAX_NOTES, IndexRuns

TOY = {"models": ["toy"], "workers": 1, "provider": "cpu"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("models")
    write_toy(folder / "toy.onnx", sight_card())
    write_toy_text(folder / "toy-text.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        yield


def test_two_requests_at_once_start_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on, refused = [], threading.Event(), list[str]()

    def open_process(*_: Any, **__: Any) -> Any:
        begun.append(1)
        go_on.wait(60)
        return SimpleNamespace(stdin=io.BytesIO())

    def start() -> None:
        try:
            runs.start([], {})
        except InputError as error:
            refused.append(str(error))

    monkeypatch.setattr(index_runs.subprocess, "Popen", open_process)
    monkeypatch.setattr(IndexRuns, "_follow", lambda runs, process: None)
    runs = IndexRuns(tmp_path / "library.db")
    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    threads[0].join(0.2)  # so that both come as far as they can
    go_on.set()
    for thread in threads:
        thread.join()
    assert (len(begun), len(refused)) == (1, 1)


@pytest.fixture
def photos(models: None, tmp_path: Path) -> Path:
    for i, colour in enumerate(("red", "green", "blue")):
        photo(tmp_path / "photos" / f"{i}.png", colour, size=(60 + i, 40))
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    return tmp_path / "photos"


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[IndexRuns]:
    with closing(IndexRuns(tmp_path / "library.db")) as runs:
        yield runs


@contextmanager
def hold(library: Path) -> Iterator[None]:
    """Another program writes to the library: a run waits at its first transaction."""
    Library(library).close()
    with closing(sqlite3.connect(library, isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        yield


def read_children(pid: int) -> list[int]:
    """The child processes that index."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"index_process" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_run_indexes_and_tells_what_it_did(photos: Path, runs: IndexRuns, tmp_path: Path) -> None:
    begun = runs.start([str(photos)], TOY | {"exclude": ["nothing-like-this"]})
    assert (begun.number, begun.running, begun.folders) == (1, True, (str(photos),))
    ended = runs.wait()
    assert (ended.error, ended.running, ended.stopped, ended.done, ended.total) == (None, False, False, 4, 4)
    assert (ended.scored, ended.unreadable) == (3, 1)
    assert ended.summary is not None
    assert (ended.summary["new"], ended.summary["unreadable"]) == (3, 1)
    assert ended.notes == (
        {"event": "PatternUnused", "path": str(photos), "pattern": "nothing-like-this", "excludes": True},
    )
    with Library(tmp_path / "library.db", create=False) as library, lock_library(library.path):
        assert len(library.newest()) == 3
        assert runs.start([], {"workers": 1, "provider": "cpu"}).number == 2
        assert "is being indexed by another process; wait for it" in str(runs.wait().error)


@pytest.mark.slow
def test_stop_ends_a_run_and_loses_nothing(photos: Path, runs: IndexRuns, tmp_path: Path) -> None:
    with hold(tmp_path / "library.db"):
        runs.start([str(photos)], TOY)
        with pytest.raises(InputError, match="photosearch is indexing already"):
            runs.start([str(photos)], TOY)
        stopping = runs.stop()
        assert (stopping.running, stopping.stopping) == (True, True)
    stopped = runs.wait()
    assert (stopped.error, stopped.running, stopped.stopped, stopped.done) == (None, False, True, 0)
    with hold(tmp_path / "library.db"):
        runs.start([str(photos)], TOY)
        killed = runs.stop(at_once=True)
        assert runs.wait().stopped
        assert killed.running
    runs.start([str(photos)], TOY)
    assert (runs.wait().error, runs.read().scored) == (None, 3)


def test_run_that_died_says_so(photos: Path, runs: IndexRuns, tmp_path: Path) -> None:
    with hold(tmp_path / "library.db"):
        runs.start([str(photos)], TOY)
        (child,) = read_children(os.getpid())
        os.kill(child, signal.SIGKILL)
        assert runs.wait().error == ENDED_BADLY
    assert not runs.read().running


def test_notes_are_limited(runs: IndexRuns) -> None:
    for i in range(MAX_NOTES + 5):
        runs._take({"kind": "note", "event": "ListFailed", "path": f"/{i}", "reason": "x"})
    assert len(runs.read().notes) == MAX_NOTES


def test_rate_is_that_of_the_last_seconds() -> None:
    now = [0.0]
    rate = Rate(lambda: now[0])
    for second, done in ((1, 1000), (2, 2000), (3, 2001), (30, 2028), (40, 2038)):
        now[0] = second
        measured = rate.measure(done)
    assert measured == pytest.approx(1.0, rel=0.01)
    assert rate.seconds == 40


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_run_ends_with_its_server(photos: Path, tmp_path: Path, number: signal.Signals) -> None:
    library = tmp_path / "library.db"
    with run_server(library) as client:
        with hold(library):
            start(client, photos)
            (child,) = read_children(client.process.pid)
            client.process.send_signal(number)
            if number == signal.SIGINT:
                assert "Finishing the current batch" in read_until(client, "Finishing")
        client.process.wait(60)
    assert client.process.returncode == (0 if number == signal.SIGINT else -number)
    while is_alive(child):
        os.sched_yield()
    with Library(library, create=False) as opened, lock_library(library):
        assert opened.status().counts.photos == 0, "it was stopped before its first transaction"


def start(client: HttpClient, photos: Path) -> None:
    assert client.post_json("index", path=str(photos), models=["toy"])["running"]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def read_until(client: HttpClient, text: str) -> str:
    assert client.process.stderr is not None
    for line in client.process.stderr:
        if text in line:
            return line
    return ""


@pytest.mark.slow
def test_watched_folder_is_followed_until_it_is_stopped(photos: Path, tmp_path: Path, models: None) -> None:
    library = tmp_path / "library.db"
    with Library(library) as opened:
        list(opened.index(photos, models=["toy"]))
    with run_server(library) as client:
        (folder,) = client.get_json("library")["folders"]
        begun = client.post_json("watch", folder=folder["id"])
        assert (begun["running"], begun["watching"], begun["folders"]) == (True, True, [str(photos)])
        assert client.post_error("watch") == "photosearch is watching already; stop that first"
        assert wait_for(client, lambda state: state["notes"])["notes"][0]["event"] == "WatchStarted"
        photo(photos / "new.png", "blue")
        state = wait_for(client, lambda state: state["changed_at"])
        assert (state["error"], state["summary"]["new"], state["running"]) == (None, 1, True)
        assert client.get_json("run")["number"] == 0, "an index run may go on beside it"
        assert client.post_json("stop-watch")["stopping"]
        ended = wait_for(client, lambda state: not state["running"])
        assert (ended["error"], ended["stopped"], ended["summary"]["new"]) == (None, True, 1)
        assert client.post_json("watch")["number"] == 2
        wait_for(client, lambda state: state["notes"])
        (child,) = read_children(client.process.pid)
    while is_alive(child):
        os.sched_yield()
    with Library(library, create=False) as opened:
        assert opened.status().counts.photos == 5, "with the broken one"


def wait_for(client: HttpClient, done: Callable[[Any], object]) -> Any:
    end = time.monotonic() + 120
    while not done(state := client.get_json("watching")):
        assert time.monotonic() < end, state
        time.sleep(0.05)
    return state


@pytest.mark.slow
def test_watch_of_unknown_folder_is_refused(tmp_path: Path, models: None) -> None:
    with run_server(tmp_path / "none.db") as client:
        assert client.post_error("watch") == "no folder is indexed yet"
        assert client.get_json("watching")["number"] == 0
    Library(tmp_path / "empty.db").close()
    with run_server(tmp_path / "empty.db") as client:
        assert "folder" in client.post_error("watch", folder="x")
