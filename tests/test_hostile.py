"""A folder full of bad input: no file ends the run, each is scored or recorded, none is written to.

The corpus is 300 files here; `PHOTOSEARCH_HOSTILE_FILES=2200 pytest -s tests/test_hostile.py` takes more, and
says what came of them. Decoders die for real: killed from outside while a photo is in their hands.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import corpus
import pytest
from library import KEPT
from toy import photo, write_toy

from photosearch.index.events import Event, FilesSkipped, ListFailed, New, ReadFailed, Unchanged
from photosearch.index.plan import RunOptions
from photosearch.index.run import index
from photosearch.library.database import Database
from photosearch.library.photos import list_unreadable, read_counts
from photosearch.metadata.record import PhotoMetadata
from photosearch.models.session import Model
from photosearch.photos import decode, walk
from photosearch.photos.decode import Unreadable, ViewSpec
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.walk import Photo

pytestmark = pytest.mark.hostile
FILES = int(os.environ.get("PHOTOSEARCH_HOSTILE_FILES", "300"))
PEAK_BYTES = 800_000_000  # on top of what the test's own process held before, which may be torch and all
# Root may look into every folder; without these two capabilities it is bound by permissions like anyone.
BOUND = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class Run:
    """The whole corpus through the real index, twice."""

    folder: Path
    events: list[Event]
    again: list[Event]
    before: dict[str, tuple[int, ...]]
    peak_bytes: int
    db: Path

    def reason(self, name: str) -> str | None:
        """Why the one file of this name could not be read; None where it was scored."""
        (event,) = [e for e in self.events if isinstance(e, New | ReadFailed) and e.path.endswith(f"/{name}")]
        return event.reason if isinstance(event, ReadFailed) else None


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("hostile")
    files = corpus.build(folder / "photos", FILES)
    before = snapshot(folder / "photos")
    model = Model(write_toy(folder / "toy.onnx"), threads=1)
    with Database(folder / "s.db", create=True) as db, peak_memory() as peak:
        start = time.monotonic()
        events = list(index_all(db, folder / "photos", model))
        seconds = time.monotonic() - start
        again = list(index_all(db, folder / "photos", model))
    kinds = Counter(type(e).__name__ for e in events)
    print(f"\n{files} files in {seconds:.1f} s: {dict(kinds)}; peak {peak.bytes / 1e6:.0f} MB")
    for reason, n in Counter(e.reason for e in events if isinstance(e, ReadFailed)).most_common():
        print(f"{n:6} {reason}")
    return Run(folder, events, again, before, peak.bytes, folder / "s.db")


def index_all(db: Database, folder: Path, model: Model, **options: object) -> Iterator[Event]:
    return index(db, [str(folder)], lambda name: model, options=RunOptions(**options), decoders=KEPT[-1])


def snapshot(folder: Path) -> dict[str, tuple[int, ...]]:
    """Of everything below: kind, size and the times at which content and status changed."""
    found = {}
    for path, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            status = os.lstat(os.path.join(path, name))
            found[os.path.join(path, name)] = (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return found


class Peak:
    bytes = 0


@contextlib.contextmanager
def peak_memory() -> Iterator[Peak]:
    """What this process and its children held at most, shared pages shared out, on top of what it held before.

    Seen every 20 ms.
    """
    peak, done = Peak(), threading.Event()

    def held(pid: int) -> int:
        try:
            own = Path(f"/proc/{pid}/smaps_rollup").read_text()
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for task in os.listdir(f"/proc/{pid}/task"):
                children += Path(f"/proc/{pid}/task/{task}/children").read_text().split()
        except OSError:  # it has just ended
            return 0
        pss = int(next(line for line in own.splitlines() if line.startswith("Pss:")).split()[1])
        return pss * 1024 + sum(held(int(child)) for child in set(children))

    def watch() -> None:
        while not done.wait(0.02):
            peak.bytes = max(peak.bytes, held(os.getpid()) - before)

    before = held(os.getpid())
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def test_index_scores_or_records_every_file(run: Run) -> None:
    expected = {path for path, (mode, *_) in run.before.items() if mode & 0o170000 == 0o100000}
    assert len(expected) >= FILES
    assert sorted(e.path for e in run.events if not isinstance(e, FilesSkipped)) == sorted(expected)
    assert {type(e) for e in run.events} <= {New, ReadFailed, FilesSkipped}
    with Database(run.db) as db:
        counts = read_counts(db)
        recorded = {path: reason for path, reason, _ in list_unreadable(db)}
    assert counts.photos == len(expected)
    assert recorded == {e.path: e.reason for e in run.events if isinstance(e, ReadFailed)}


def test_hostile_files_give_one_line_reasons(run: Run) -> None:
    for event in run.events:
        if isinstance(event, ReadFailed):
            assert 0 < len(event.reason) <= 200
            assert event.reason.isprintable()


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc")
def test_index_takes_less_than_a_gigabyte(run: Run) -> None:
    assert 50e6 < run.peak_bytes < PEAK_BYTES


def test_index_writes_nothing_into_photo_folder(run: Run) -> None:
    assert snapshot(run.folder / "photos") == run.before


def test_index_does_not_reopen_broken_file(run: Run) -> None:
    first = {e.path: e.reason for e in run.events if isinstance(e, ReadFailed)}
    assert {type(e) for e in run.again} <= {Unchanged, ReadFailed, FilesSkipped}
    assert {e.path: (e.reason, e.remembered) for e in run.again if isinstance(e, ReadFailed)} == {
        path: (reason, True) for path, reason in first.items()
    }


def test_index_scores_odd_but_valid_photos(run: Run) -> None:
    below = str(run.folder / "photos")
    odd = [e for e in run.events if e.path.removeprefix(below).split("/")[1] in ("whole", "names", "exif", "icc")]
    assert [e for e in odd if isinstance(e, ReadFailed)] == []
    names = "jpeg_named.png png_named.heic ycck.jpg one_pixel.png tall.png wide.jpg bilevel.tif float.tif nan.tif " \
        "lab.tif int32.tif gray_alpha.png jpeg_with_rubbish_behind.jpg animated.gif animated.webp animated.png " \
        "animated.tiff animated.avif loop.tif target.png"  # fmt: skip
    assert {name: run.reason(name) for name in names.split()} == dict.fromkeys(names.split())


def test_index_rejects_bomb_before_decoding(run: Run) -> None:
    names = "deep.png claims_all_there_is.png huge.gif huge.bmp huge.jpg huge.tif".split()
    reasons = {name: run.reason(name) or "" for name in names}
    assert {name: "more than the limit of" in reason for name, reason in reasons.items()} == dict.fromkeys(names, True)


def test_index_scores_photo_with_bomb_in_metadata(run: Run) -> None:
    names = "text.png many_texts.png icc_of_10_MB.png".split()
    assert {name: run.reason(name) for name in names} == dict.fromkeys(names)


def test_index_names_files_that_are_no_photos(run: Run) -> None:
    names = "text.jpg html.heic postscript.jpg svg.png pickle.tif half_gigabyte.png".split()
    unknown = "not a photo in a known format"
    assert {name: run.reason(name) for name in names} == dict.fromkeys(names, unknown)
    assert run.reason("empty.jpg") == "the file is empty"
    assert run.reason("terabyte.png") == "the file is longer than 1024 MiB"


def test_decode_ignores_impossible_date(tmp_path: Path) -> None:
    rng = random.Random(1)
    for name, date in corpus.DATES.items():
        data = corpus.saved(corpus.picture(rng), "JPEG", exif=corpus.exif_block(1, date))
        expected = "9999-12-31T23:59:59" if name == "future" else None
        if name != "arabic":  # Python reads these digits as well as we do
            assert decode.decode(data, [ViewSpec(8)]).taken == expected, name


# ---- decoders that die


OPTIONS = DecodeOptions((ViewSpec(8),))


@pytest.fixture
def decoders() -> Iterator[DecoderPool]:
    made = DecoderPool(1, OPTIONS)
    yield made
    made.close()


def pid_of(decoders: DecoderPool) -> int:
    child = decoders._all[0]._child
    assert child is not None
    return child.pid


def a_photo(tmp_path: Path, colour: str = "red") -> Photo:
    path = photo(tmp_path / f"{colour}.png", colour)
    return Photo(str(path), path.stat().st_size, path.stat().st_mtime_ns)


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGBUS])
def test_crashing_decoder_loses_only_its_photo(tmp_path, decoders, how):
    red, blue = a_photo(tmp_path), a_photo(tmp_path, "blue")

    def killed(_: bytes) -> tuple[int, ...]:
        os.kill(pid_of(decoders), how)
        return (0,)

    with pytest.raises(Unreadable) as death:
        decoders.open(red, killed)
    assert (death.value.reason, death.value.transient) == (
        f"the decoder crashed on this file (signal {int(how)})",
        False,
    )
    assert decoders.open(blue, lambda _: (0,)).decoded.views[0].tolist() == [[[[0, 0, 255]] * 8] * 8]


def test_hanging_decoder_is_killed_after_timeout(tmp_path, decoders, monkeypatch):
    """Once it hangs, each look at the clock finds it 25 s on: no machine is too busy for that, and nobody waits."""
    red, blue = a_photo(tmp_path), a_photo(tmp_path, "blue")
    seconds, looks = time.monotonic, []

    def stopped(_: bytes) -> tuple[int, ...]:
        os.kill(pid_of(decoders), signal.SIGSTOP)
        monkeypatch.setattr(time, "monotonic", lambda: looks.append(1) or seconds() + 25 * len(looks))
        return (0,)

    with pytest.raises(Unreadable) as death:
        decoders.open(red, stopped)
    monkeypatch.undo()
    assert len(looks) >= 5, "at 25 s for the deadline, then at 50, 75 and 100, which is 60 s later, and at last"
    assert (death.value.reason, death.value.transient) == ("opening it took longer than 60 s", False)
    assert decoders.open(blue, lambda _: (0,)).decoded is not None


def test_photo_is_not_blamed_for_crash_by_earlier_one(tmp_path, decoders):
    red, blue = a_photo(tmp_path), a_photo(tmp_path, "blue")
    decoders.open(blue, lambda _: (0,))
    old = pid_of(decoders)

    def killed_once(_: bytes) -> tuple[int, ...]:
        if pid_of(decoders) == old:
            os.kill(old, signal.SIGSEGV)
        return (0,)

    assert decoders.open(red, killed_once).decoded.views[0].tolist() == [[[[255, 0, 0]] * 8] * 8]
    os.kill(pid_of(decoders), signal.SIGKILL)  # between two photos
    assert decoders.open(blue, lambda _: (0,)).decoded is not None


LIES = {
    "nothing": b"",
    "half a length": b"\x05\0\0",
    "a length of 2^60": b"\0\0\0\0\0\0\0\x10",
    "no JSON": b"x",
    "a list": b"[]",
    "a number": b"7",
    "deep nesting": b"[" * 100_000,
    "no hash": b"{}",
    "a hash that is none": b'{"hash": "xyz"}',
    "a hash that is a number": b'{"hash": 7}',
}
PIXELS = 8 * 8 * 3  # bytes that OPTIONS' one need wants
SAID = {"width": 8, "height": 8, "taken": None, "taken_from": None, "fingerprint": 0, "damage": None,
        "metadata": PhotoMetadata().to_json()}  # fmt: skip
AFTER = {
    "text for a side": {**SAID, "width": "8"},
    "no sides": {},
    "a side of nothing": {**SAID, "width": 0},
    "a side beyond all": {**SAID, "width": 10**30},
    "an odd date": {**SAID, "taken": "\x1b[2J", "taken_from": "DateTime"},
    "a number for a date": {**SAID, "taken": 7, "taken_from": "DateTime"},
    "a date from nowhere": {**SAID, "taken": "2019-07-20T11:22:33"},
    "a date from a place that is none": {**SAID, "taken": "2019-07-20T11:22:33", "taken_from": "\x1b[2J"},
    "a place and no date": {**SAID, "taken_from": "DateTime"},
    "a fingerprint of 65 bits": {**SAID, "fingerprint": 2**64},
    "text for a fingerprint": {**SAID, "fingerprint": "0"},
    "a number for damage": {**SAID, "damage": 7},
    "no metadata": {**SAID, "metadata": {}},
    "too few pixels": SAID,
}


@pytest.mark.parametrize("lie", [*LIES, *AFTER])
def test_invalid_answer_of_decoder_is_rejected(tmp_path, monkeypatch, lie):
    pixels = bytes(7 if lie == "too few pixels" else PIXELS)
    frames = [LIES[lie]] if lie in LIES else [b'{"hash": "00"}', json.dumps(AFTER[lie]).encode(), pixels]
    decoders = talking(tmp_path, monkeypatch, frames, raw=lie in ("nothing", "half a length", "a length of 2^60"))
    with pytest.raises(Unreadable, match=r"the decoder crashed on this file|longer than"):
        decoders.open(a_photo(tmp_path), lambda _: (0,))
    decoders.close()


def test_valid_answer_of_decoder_is_accepted(tmp_path, monkeypatch):
    said = {**SAID, "taken": "2019-07-20T11:22:33", "taken_from": "DateTime", "fingerprint": 2**64 - 1}
    decoders = talking(tmp_path, monkeypatch, [b'{"hash": "00"}', json.dumps(said).encode(), bytes(PIXELS)])
    opened = decoders.open(a_photo(tmp_path), lambda _: (0,)).decoded
    decoders.close()
    assert (opened.width, opened.taken, opened.fingerprint) == (8, "2019-07-20T11:22:33", 2**64 - 1)


def talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: list[bytes], *, raw: bool = False) -> DecoderPool:
    """Decoders whose child is a program that says this, whatever it is asked; raw: without the frames' lengths."""
    answers = b"".join(f if raw else len(f).to_bytes(8, "little") + f for f in frames)
    liar = tmp_path / "liar"
    liar.write_text(
        f"#!{sys.executable}\nimport sys, time\nsys.stdout.buffer.write({answers!r})\n"
        f"sys.stdout.flush()\nsys.stdin.buffer.read(9)\n" + ("" if raw else "time.sleep(60)\n")
    )
    liar.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(liar))
    return DecoderPool(1, OPTIONS)  # whose minute the liar does not take: each lie is complete, or its end


def test_decoder_without_parent_ends_itself(tmp_path):
    """Here it hangs in writing 3 MB of pixels to a pipe that nobody reads."""
    options = DecodeOptions((ViewSpec(1024),)).to_json()
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "photosearch.photos.decoders", options, str(2**30), "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    with child:
        for said in (json.dumps({"path": a_photo(tmp_path).path, "beside": []}).encode(), b"[0]"):
            child.stdin.write(len(said).to_bytes(8, "little") + said)
        assert child.wait(20) == -signal.SIGALRM


def test_index_survives_killed_decoders(tmp_path):
    for i in range(60):
        photo(tmp_path / "photos" / f"{i:03}.png", "red", size=(40 + i, 30))
    rng, done, others = random.Random(7), threading.Event(), set(children())

    def shoot() -> None:
        while not done.wait(rng.uniform(0.05, 0.3)):
            for pid in set(children()) - others:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, rng.choice([signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT]))

    model = Model(write_toy(tmp_path / "toy.onnx"), threads=1)
    shooter = threading.Thread(target=shoot)
    with Database(tmp_path / "s.db", create=True) as db:
        shooter.start()
        try:
            events = list(index_all(db, tmp_path / "photos", model, workers=2))
        finally:
            done.set()
            shooter.join()
        assert len(events) == 60
        assert {e.reason.split(" (")[0] for e in events if isinstance(e, ReadFailed)} <= {
            "the decoder crashed on this file"
        }
        list(index_all(db, tmp_path / "photos", model, workers=2, retry=True))
        assert list_unreadable(db) == []
        assert read_counts(db).images == 60


def children() -> list[int]:
    """The decoders of this process."""
    found = []
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            found += map(int, Path(f"/proc/self/task/{task}/children").read_text().split())
    return found


# ---- folders and files that change, or that may not be looked into


def test_walk_follows_link_loop_once(tmp_path):
    photo(tmp_path / "a" / "b" / "red.png")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "here").symlink_to(".")
    (tmp_path / "a" / "one").symlink_to("two")
    (tmp_path / "a" / "two").symlink_to("one")
    for follow in (False, True):
        found = [
            p.path for f in walk.walk(str(tmp_path / "a"), walk.WalkOptions(follow_symlinks=follow)) for p in f.photos
        ]
        assert found == [str(tmp_path / "a" / "b" / "red.png")]


PROGRAM = """
import json, sys
from photosearch.index.plan import RunOptions
from photosearch.index.run import index
from photosearch.library.database import Database
from photosearch.models.session import Model
folder, library, model = sys.argv[1:]
loaded = Model(model, threads=1)
with Database(library, create=True) as db:
    for event in index(db, [folder], lambda name: loaded, options=RunOptions(workers=1)):
        print(json.dumps([type(event).__name__, event.path, getattr(event, "reason", None)]))
"""


def test_index_reports_unreadable_folders_and_keeps_their_photos(tmp_path):
    modes = {0o000: "nothing", 0o444: "only names", 0o111: "only what is named"}  # that may be read
    inside = [photo(tmp_path / "p" / name / "red.png", size=(50 + mode, 50)) for mode, name in modes.items()]
    outside = photo(tmp_path / "p" / "open" / "blue.png", "blue")
    closed, model = [path.parent for path in inside], write_toy(tmp_path / "toy.onnx")

    def run() -> list[list[str | None]]:
        command = [*BOUND, sys.executable, "-c", PROGRAM, str(tmp_path / "p"), str(tmp_path / "s.db"), str(model)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def seen(kind: str) -> list[list[str | None]]:
        return sorted([kind, str(path), None] for path in (*inside, outside))

    assert sorted(run()) == seen("New")
    for folder, mode in zip(closed, modes, strict=True):
        folder.chmod(mode)
    try:
        told = run()
    finally:
        for folder in closed:
            folder.chmod(0o755)
    failed = [["ListFailed", str(folder), "Permission denied"] for folder in closed]
    assert sorted(told) == sorted([*failed, ["Unchanged", str(outside), None]])
    assert sorted(run()) == seen("Unchanged")


def test_index_retries_photo_without_permission(tmp_path):
    path, model = photo(tmp_path / "p" / "red.png"), write_toy(tmp_path / "toy.onnx")
    command = [*BOUND, sys.executable, "-c", PROGRAM, str(tmp_path / "p"), str(tmp_path / "s.db"), str(model)]
    path.chmod(0)
    said = [json.loads(subprocess.check_output(command, text=True)) for _ in range(2)]
    path.chmod(0o644)
    assert said == [["ReadFailed", str(path), "permission denied"]] * 2
    assert json.loads(subprocess.check_output(command, text=True)) == ["Changed", str(path), None]


def test_index_reports_path_that_is_too_long(tmp_path):
    deep = str(tmp_path)
    os.chdir(tmp_path)
    try:
        while len(deep) < 4200:  # beyond PATH_MAX, which only relative steps reach
            os.mkdir("d" * 200)  # noqa: PTH102
            os.chdir("d" * 200)
            deep += "/" + "d" * 200
        photo(Path("red.png"))
    finally:
        os.chdir("/")
    model = Model(write_toy(tmp_path / "toy.onnx"), threads=1)
    with Database(tmp_path / "s.db", create=True) as db:
        (event,) = [e for e in index_all(db, tmp_path, model, workers=1) if not isinstance(e, FilesSkipped)]
    assert isinstance(event, ListFailed)
    assert event.reason == "File name too long"
    subprocess.run(["rm", "-rf", str(tmp_path / ("d" * 200))], check=True)  # pytest can't


def test_read_of_growing_file_stops_at_initial_length(tmp_path):
    path, done = photo(tmp_path / "red.png"), threading.Event()

    def grow() -> None:
        with open(path, "ab", buffering=0) as file:
            while not done.is_set():
                file.write(bytes(1000))
                time.sleep(1e-4)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for _ in range(10):
            before = path.stat().st_size
            data = decode.read(str(path))
            assert before <= len(data) <= path.stat().st_size
            assert decode.decode(data, [ViewSpec(8)]).views[0].tolist() == [[[[255, 0, 0]] * 8] * 8]
    finally:
        done.set()
        thread.join()


def test_read_does_not_block_on_pipe_or_device(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "endless.png").symlink_to("/dev/zero")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "endless.png"):
        with pytest.raises(Unreadable, match="not a regular file"):
            decode.read(str(tmp_path / name))
    for name in ("folder.png", "gone.png"):
        with pytest.raises(Unreadable) as why:
            decode.read(str(tmp_path / name))
        assert why.value.transient or why.value.reason == "not a regular file"


def test_index_survives_photos_that_vanish_or_change(tmp_path):
    for i in range(60):
        photo(tmp_path / "p" / f"{i:02}.png", "red", size=(40 + i, 30))
    model = Model(write_toy(tmp_path / "toy.onnx"), threads=1)
    with Database(tmp_path / "s.db", create=True) as db:
        events = index_all(db, tmp_path / "p", model, workers=1, batch_size=4)
        told = [next(events)]
        for i in range(30, 60):
            path = tmp_path / "p" / f"{i:02}.png"
            path.unlink()
            if i % 3 == 0:
                os.mkfifo(path)
            elif i % 3 == 1:
                path.mkdir()
        told += events
        assert {type(e) for e in told} <= {New, ReadFailed}
        list(index_all(db, tmp_path / "p", model, workers=1))
        assert read_counts(db).photos == 30
