"""Watching folders: what the library holds in the end is what a fresh index of them would hold."""

import contextlib
import importlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from toy import photo, write_toy

from photosearch import Library, events
from photosearch.errors import BusyError
from photosearch.index import notices, watch
from photosearch.index.notices import Kind, Notices
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.lock import lock_library

DEADLINE_SECONDS = 120.0  # of a machine that is busy
SETTLE_SECONDS = 0.3
ROWS = """
    SELECT CAST(f.path AS BLOB), CAST(p.name AS BLOB), p.size_bytes, p.mtime_ns, i.hash, p.reason IS NULL,
        (SELECT group_concat(round(s.score, 4)) FROM scores s WHERE s.image_id = i.id)
    FROM photos p JOIN folders f ON f.id = p.folder_id LEFT JOIN images i ON i.id = p.image_id
    WHERE p.absent IS NULL ORDER BY 1, 2
"""

FOUR_STARS = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>'
)


@dataclass
class Watched:
    """A folder that a thread watches, and its library."""

    folder: Path
    library: Path
    model: Path
    events: list[Any] = field(default_factory=list)

    def rows(self, library: Path | None = None) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(library or self.library)) as conn:
            return conn.execute(ROWS).fetchall()

    def names(self) -> list[str]:
        return sorted(row[1].decode() for row in self.rows())

    def seen(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def wait_for(self, done: Callable[[], bool], meanwhile: Callable[[], object] = lambda: None) -> None:
        end = time.monotonic() + DEADLINE_SECONDS
        while not done():
            meanwhile()
            assert time.monotonic() < end, (
                self.names(),
                [e for e in self.events if not isinstance(e, events.Unchanged)],
            )
            time.sleep(0.02)

    def wait_for_names(self, *names: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.wait_for(lambda: self.names() == sorted(names), meanwhile)

    def assert_equal_to_fresh_index(self) -> None:
        fresh = self.library.with_name("fresh.db")
        with Library(fresh) as library:
            list(library.index(self.folder, models=[str(self.model)]))
        assert self.rows() == self.rows(fresh)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """On a disk: in memory files may come into a new folder before the system watches it, and are missed."""
    disk = Path("/var/tmp")
    with tempfile.TemporaryDirectory(dir=disk if os.access(disk, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits."""
    monkeypatch.setattr(notices, "TICK_MS", 100)
    monkeypatch.setattr(notices, "STEP_MS", 50)
    monkeypatch.setattr(notices, "GROUP_MS", 100)
    monkeypatch.setattr(watch, "MAX_DELAY_SECONDS", 3.0)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(watch, "RETRY_SECONDS", 0.2)


@contextlib.contextmanager
def watching(folder: Path, *, started: bool = True, **options: Any) -> Iterator[Watched]:
    """started: wait for the first run to end."""
    watched = Watched(folder / "photos", folder / "library.db", write_toy(folder / "toy.onnx"))
    watched.folder.mkdir(exist_ok=True)
    stop, errors = threading.Event(), list[BaseException]()

    def follow() -> None:
        try:
            with Library(watched.library) as library:
                list(library.index(watched.folder, models=[str(watched.model)]))
                for event in library.watch(stop=stop.is_set, **{"settle_seconds": SETTLE_SECONDS, **options}):
                    watched.events.append(event)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        if started:
            watched.wait_for(lambda: bool(errors or watched.seen(events.RoundEnded)))
        if not errors:
            yield watched
    finally:
        stop.set()
        thread.join(DEADLINE_SECONDS)
    for error in errors:
        raise error


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("poll_seconds", [None, 0.2], ids=["reported", "polled"])
def test_watched_library_equals_a_fresh_index(tmp_path: Path, poll_seconds: float | None) -> None:
    source = tmp_path / "source"
    pictures = [photo(source / f"{i:02}.png", ("red", "green", "blue")[i % 3], size=(40 + i, 40)) for i in range(24)]
    photo(tmp_path / "photos" / "first.png", "white")
    with watching(tmp_path, poll_seconds=poll_seconds, settle_seconds=1.0) as watched:
        for i, picture in enumerate(pictures):
            folder = watched.folder / ("a" if i % 2 else f"new{i % 3}/deep")
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(picture, folder)
        half = watched.folder / "a" / "half.png"
        with half.open("wb", buffering=0) as file:

            def write_half() -> None:
                file.seek(0)
                file.write(pictures[0].read_bytes()[:30])

            watched.wait_for_names("first.png", *(p.name for p in pictures), meanwhile=write_half)
            file.write(pictures[0].read_bytes()[30:])
        for picture in pictures[1:6:2]:
            (watched.folder / "a" / picture.name).unlink()
        for picture in pictures[7:12:2]:
            (watched.folder / "a" / picture.name).rename(watched.folder / f"renamed-{picture.name}")
        (watched.folder / "new0").rename(watched.folder / "moved")
        shutil.rmtree(watched.folder / "new1")
        watched.wait_for_names(*(p.name for p in watched.folder.rglob("*.png")))
        assert watched.seen(events.ReadFailed) == [], "half a file was read"
        watched.assert_equal_to_fresh_index()
        (started,) = watched.seen(events.WatchStarted)
        assert (started.seconds, started.reason) == ((None, "") if poll_seconds is None else (0.2, "--poll"))


@pytest.mark.parametrize(
    ("kind", "name", "dirty", "trees"),
    [
        (Kind.ADDED, "there", [], ["there"]), (Kind.MODIFIED, "there", ["there"], []),
        (Kind.DELETED, "gone", [], []), (Kind.DELETED, "known", [], ["known"]),
        (Kind.DELETED, "there/a.png", ["there"], ["there/a.png"]), (Kind.MODIFIED, "there/a.txt", [], []),
    ],
)  # fmt: skip
def test_notice_says_what_the_next_run_looks_at(
    tmp_path: Path, kind: Kind, name: str, dirty: list[str], trees: list[str]
) -> None:
    """Of a folder that is new, or gone, all below it; of another one, what it holds itself."""
    photos = tmp_path / "photos"
    (photos / "there").mkdir(parents=True)
    with Database(tmp_path / "library.db", create=True) as db:
        put_folder(db, add_root(db, str(photos)), str(photos / "known"))
        watcher = watch._Watcher(
            db, [str(photos)], run=lambda *_, **__: iter(()), options=watch.WatchOptions(), stop=lambda: False,
            notices=Notices([], None, lambda: False), lately=Counter(),
        )  # fmt: skip
        watcher.reaches = list(watch._find_reaches(db, [str(photos)]))
        watcher._take(notices.Notice(kind, str(photos / name)), 1.0)
    assert [sorted(os.path.relpath(path, photos) for path in found) for found in (watcher.dirty, watcher.trees)] == [
        dirty, trees,
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_watch_looks_only_at_folders_that_changed(tmp_path: Path) -> None:
    for name in ("a/1.png", "b/2.png", "c/3.png"):
        os.utime(photo(tmp_path / "photos" / name, "red"), (1, 1))  # whole for long, so that no second look is due
    with watching(tmp_path) as watched:
        watched.events.clear()
        photo(watched.folder / "b" / "4.png", "blue")
        watched.wait_for(lambda: bool(watched.seen(events.RoundEnded)))
        assert [type(event) for event in watched.events] == [events.Unchanged, events.New, events.RoundEnded]
        assert {os.path.basename(os.path.dirname(e.path)) for e in watched.events[:2]} == {"b"}


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_watch_ignores_what_an_index_would_ignore(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.png", "red")
    photo(tmp_path / "elsewhere" / "far.png", "blue")
    with watching(tmp_path) as watched:
        watched.events.clear()
        photo(watched.folder / ".cache" / "thumb.png", "blue")
        (watched.folder / "notes.txt").write_text("no photo")
        (watched.folder / "link").symlink_to(tmp_path / "elsewhere")
        photo(watched.folder / "b.png", "green")
        watched.wait_for_names("a.png", "b.png")
        watched.assert_equal_to_fresh_index()
        assert len(watched.seen(events.New)) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_watch_reads_changed_sidecar(tmp_path: Path) -> None:
    picture = photo(tmp_path / "photos" / "a.png", "red")
    with watching(tmp_path) as watched:
        picture.with_name("a.png.xmp").write_text(FOUR_STARS)
        watched.wait_for(lambda: bool(watched.seen(events.MetadataRead)))
        with Library(watched.library) as library:
            assert [photo.path for photo in library.find("rating:4")] == [str(picture)]


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_unplugged_folder_changes_nothing_until_it_is_back(tmp_path: Path) -> None:
    for i in range(3):
        photo(tmp_path / "photos" / f"{i}.png", "red", size=(40 + i, 40))
    with watching(tmp_path) as watched:
        before = watched.rows()
        watched.folder.rename(tmp_path / "unplugged")
        watched.wait_for(lambda: bool(watched.seen(events.FolderAway)))
        assert watched.rows() == before
        photo(tmp_path / "unplugged" / "new.png", "blue")
        (tmp_path / "unplugged").rename(watched.folder)
        watched.wait_for_names("0.png", "1.png", "2.png", "new.png")
        assert watched.seen(events.Removed) == []
        assert len(watched.seen(events.FolderAway)) == 1


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_most_of_a_folder_is_not_removed_over_several_rounds(tmp_path: Path) -> None:
    pictures = [photo(tmp_path / "photos" / "a" / f"{i}.png", "red", size=(40 + i, 40)) for i in range(10)]
    photo(tmp_path / "photos" / "b" / "other.png", "blue")
    with watching(tmp_path) as watched:
        for picture in pictures[:4]:
            picture.unlink()
        watched.wait_for_names(*(p.name for p in pictures[4:]), "other.png")
        for picture in pictures[4:7]:
            picture.unlink()
        watched.wait_for(lambda: bool(watched.seen(events.RemovalRefused)))
        assert watched.seen(events.RemovalRefused) == [events.RemovalRefused(str(watched.folder), 3, 7, 4)]
        assert watched.names() == sorted([*(p.name for p in pictures[4:]), "other.png"])
    with Library(watched.library) as library:
        list(library.index(watched.folder, prune=True))
    assert watched.names() == sorted([*(p.name for p in pictures[7:]), "other.png"])


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_library_is_free_between_runs_and_waited_for(tmp_path: Path) -> None:
    photo(tmp_path / "photos" / "a.png", "red")
    with watching(tmp_path) as watched:
        with lock_library(watched.library):  # free: else this raises
            photo(watched.folder / "b.png", "blue")
            begun = len(watched.events)
            wait = threading.Event()
            assert not wait.wait(3 * SETTLE_SECONDS)
            assert watched.events[begun:] == []
        watched.wait_for_names("a.png", "b.png")


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_name_that_is_not_utf8_is_found_by_polling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "POLL_SECONDS", 0.2)
    picture = photo(tmp_path / "photos" / "a.png", "red")
    with watching(tmp_path) as watched:
        try:
            shutil.copy(picture, os.fsencode(watched.folder) + b"/\xff.png")
        except OSError:
            pytest.skip("this file system takes no such name")
        watched.wait_for(lambda: len(watched.rows()) == 2)
        photo(watched.folder / "c.png", "blue")
        watched.wait_for(lambda: len(watched.rows()) == 3)
        assert watched.seen(events.WatchStarted)[-1].reason == notices.NOT_UTF8


def test_busy_library_has_an_error_of_its_own(tmp_path: Path) -> None:
    with Library(tmp_path / "library.db") as library, lock_library(tmp_path / "library.db"), pytest.raises(BusyError):
        list(library.index(tmp_path))


LIMITED = """
import os, sys
for name, value in (("max_inotify_watches", sys.argv[2]), ("max_inotify_instances", sys.argv[3])):
    with open(f"/proc/sys/user/{name}", "w") as file:
        file.write(value)
from photosearch.index import notices
notices.TICK_MS = 50
with notices.Notices([sys.argv[1]], None, lambda: False) as watcher:
    (started,) = watcher.started
    print(started.seconds, started.reason)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
@pytest.mark.parametrize(("watches", "instances"), [("3", "10"), ("1000", "0")])
def test_folders_are_polled_where_limit_is_reached(tmp_path: Path, watches: str, instances: str) -> None:
    """In a user namespace, which has limits of its own."""
    for i in range(5):
        (tmp_path / str(i)).mkdir()
    command = ["unshare", "--user", "--map-root-user", sys.executable, "-c", LIMITED, tmp_path, watches, instances]
    if subprocess.run([*command[:3], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.stdout == "60.0 the system's limit of watched folders is reached; see inotify(7)\n", done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs permissions that bind")
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("poll_seconds", [None, 0.1])
def test_all_is_looked_at_where_a_folder_can_not_be_listed(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, poll_seconds: float | None
) -> None:
    importlib.import_module("watchfiles")
    folder: Path = request.getfixturevalue("as_nobody")
    monkeypatch.setattr(notices, "POLL_SECONDS", 0.1)
    for name in ("a", "b", "c", "locked", "d"):
        (folder / name).mkdir()
    (folder / "locked").chmod(0)
    with Notices([str(folder)], poll_seconds, lambda: False) as watcher:
        found: set[notices.Notice] = set()
        for _ in range(60):
            found |= watcher.wait()
            if len(found) and watcher.started[-1].reason == notices.NOT_LISTED:
                break
        assert (watcher.started[-1].seconds, watcher.started[-1].reason) == (0.1, notices.NOT_LISTED)
        assert notices.Notice(Kind.ADDED, str(folder)) in found


def test_network_folder_is_polled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from photosearch.photos.mounts import Mount

    monkeypatch.setattr(notices, "list_mounts", lambda: (Mount("/", "ext4"), Mount(str(tmp_path), "fuse.sshfs")))
    with Notices([str(tmp_path)], None, lambda: True) as watcher:
        (started,) = watcher.started
    assert (started.seconds, started.reason) == (60.0, "it is on a network (fuse.sshfs)")
