"""Spare photos moved and moved back: what goes where, what stays and why, kills, other file systems."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest
from embedding_library import open_seen
from library import InThisProcess, make
from PIL import Image

from photosearch import Library, atomic
from photosearch.errors import InputError, StoreError
from photosearch.library.photos import mark_moved_away
from photosearch.spares import log
from photosearch.spares.log import read_log


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path, reads=False) as seen:
        yield seen


def save(folder: Path, name: str, seed: int) -> Path:
    """A picture of random patches: equal files for equal seeds."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    patches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(patches).resize((32, 32), Image.Resampling.NEAREST).save(path, "PNG")
    os.utime(path, (1_600_000_000, 1_600_000_000))
    return path


def read_tree(*folders: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()}


def below(folder: Path) -> list[str]:
    """Files below a folder, of which another process may be taking some away."""
    found = [os.path.join(top, name) for top, _, names in os.walk(folder) for name in names]
    return sorted(os.path.relpath(path, folder) for path in found)


def plan(seen, folder, **options):
    return seen.asks.spares.plan(folder, seen.asks.find_duplicates(near=False, **options))


def move(seen, folder):
    return seen.asks.spares.move(plan(seen, folder))


def reasons(left, *folders):
    """(the name of what was left, why) without the folders' paths."""
    texts = []
    for path, why in left:
        for folder in folders:
            why = why.replace(f"{folder}/", "")
        texts.append((os.path.basename(path), why))
    return texts


@pytest.fixture
def copied(seen):
    """Three photos, each with a copy in sub/2019."""
    for i in range(3):
        save(seen.folder, f"a{i}.png", i)
        save(seen.folder, f"sub/2019/b{i}.png", i)
    seen.index()
    return seen


def test_move_spares_keeps_paths_below_folder_and_undo_restores_all(copied, tmp_path):
    before, folder = read_tree(copied.folder), tmp_path / "spare"
    planned = plan(copied, folder)
    assert (planned.photos, planned.left, folder.exists()) == (3, (), False)
    assert planned.size_bytes == sum((copied.folder / f"a{i}.png").stat().st_size for i in range(3))
    moved = copied.asks.spares.move(planned)
    assert (moved.photos, moved.files, moved.left) == (3, 3, ())
    assert below(folder) == ["photosearch-moved-1.jsonl", *(f"sub/2019/b{i}.png" for i in range(3))]
    assert below(copied.folder) == ["a0.png", "a1.png", "a2.png"]
    assert copied.asks.status().counts.photos == 3
    assert plan(copied, folder).things == ()
    undone = copied.asks.spares.undo(moved.log)
    assert (undone.photos, undone.left, read_tree(copied.folder)) == (3, (), before)
    assert below(folder) == ["photosearch-moved-1.jsonl"]
    assert [path.stat().st_mtime for path in copied.folder.rglob("b*.png")] == [1_600_000_000] * 3
    assert copied.asks.status().counts.photos == 6
    again = copied.asks.spares.undo(moved.log)
    assert (again.files, again.left) == (0, ())
    assert set(copied.under.index(decoders=InThisProcess)) == {"Unchanged"}


def test_index_after_move_finds_nothing_to_change(copied, tmp_path):
    move(copied, tmp_path / "spare")
    assert set(copied.under.index(decoders=InThisProcess)) == {"Unchanged"}
    assert copied.asks.status().counts.photos == 3


def test_log_line_is_written_before_its_file_is_moved(copied, tmp_path, monkeypatch):
    folder, logged = tmp_path / "spare", []

    def record(source, target, **_):
        logged.append([m.source for thing in read_log(folder / "photosearch-moved-1.jsonl").things for m in thing])
        shutil.move(source, target)

    monkeypatch.setattr(atomic, "move_file", record)
    moved = move(copied, folder)
    spare = [str(copied.folder / f"sub/2019/b{i}.png") for i in range(3)]
    assert logged == [spare[:1], spare[:2], spare]
    lines = [json.loads(line) for line in Path(moved.log).read_text().splitlines()]
    assert (lines[0]["photosearch"], lines[-1]) == ("moved spares", {"done": 3})
    assert lines[1]["move"][0]["kept"] == str(copied.folder / "a0.png")


def test_sidecars_and_video_go_with_their_photo(seen, tmp_path):
    for name in ("IMG_1.jpg", "old/IMG_1.jpg"):
        save(seen.folder, name, 1)
        (seen.folder / name).with_suffix(".MOV").write_bytes(b"video")
    for name in ("IMG_1.jpg.xmp", "IMG_1.jpg.json", "IMG_1.AAE", "IMG_1.txt"):
        (seen.folder / "old" / name).write_bytes(name.encode())
    seen.index()
    before, folder = read_tree(seen.folder), tmp_path / "spare"
    moved = move(seen, folder)
    assert (moved.photos, moved.files) == (1, 5)
    assert below(folder)[:-1] == [f"old/IMG_1.{end}" for end in ("AAE", "MOV", "jpg", "jpg.json", "jpg.xmp")]
    assert below(seen.folder) == ["IMG_1.MOV", "IMG_1.jpg", "old/IMG_1.txt"]
    seen.asks.spares.undo(moved.log)
    assert read_tree(seen.folder) == before


def test_file_that_also_goes_with_a_photo_that_stays_stays(seen, tmp_path):
    for name in ("IMG_1.jpg", "IMG_1.png"):
        save(seen.folder, name, 1)
    (seen.folder / "IMG_1.MOV").write_bytes(b"video")
    seen.index()
    (thing,) = plan(seen, tmp_path / "spare").things
    assert [os.path.basename(file.source) for file in thing] == ["IMG_1.png"]


def test_raw_and_jpeg_are_moved_together_and_share_a_sidecar(seen, tmp_path):
    for name in ("a/1.CR2", "b/1.CR2"):
        save(seen.folder, name, 1)
    for name in ("a/1.jpg", "b/1.jpg"):
        save(seen.folder, name, 2)
    (seen.folder / "b/1.xmp").write_text("<x/>")
    seen.index()
    (thing,) = plan(seen, tmp_path / "spare").things
    assert [os.path.relpath(file.source, seen.folder) for file in thing] == ["b/1.CR2", "b/1.jpg", "b/1.xmp"]
    (seen.folder / "b/1.jpg").write_bytes(b"changed")
    planned = plan(seen, tmp_path / "spare")
    assert planned.things == ()
    assert reasons(planned.left, seen.folder) == [
        ("1.jpg", "has changed since it was indexed"),
        ("1.CR2", "is one thing with b/1.jpg, which stays"),
    ]


def test_library_knows_of_all_photos_of_a_thing_or_of_none(seen, tmp_path, monkeypatch):
    for name, seed in (("a/1.CR2", 1), ("b/1.CR2", 1), ("a/1.jpg", 2), ("b/1.jpg", 2)):
        save(seen.folder, name, seed)
    seen.index()
    with monkeypatch.context() as patch:
        patch.setattr("photosearch.spares.move.mark_moved_away", fail_at_second(mark_moved_away))
        with pytest.raises(StoreError):
            move(seen, tmp_path / "spare")
    assert seen.asks.status().counts.photos == 4
    assert seen.asks.spares.move(plan(seen, tmp_path / "spare")).photos == 2  # it finishes
    assert (seen.asks.status().counts.photos, below(seen.folder)) == (2, ["a/1.CR2", "a/1.jpg"])


def fail_at_second(function):
    calls = []

    def call(*values):
        calls.append(values)
        if len(calls) == 2:
            raise StoreError("the disk is full")
        return function(*values)

    return call


def test_move_checks_content_just_before(copied, tmp_path):
    """The same size and dates, other bytes: of a spare photo, of one to keep; one to keep that is gone."""
    folder = tmp_path / "spare"
    planned = plan(copied, folder)
    changed, kept, gone = copied.folder / "sub/2019/b0.png", copied.folder / "a1.png", copied.folder / "a2.png"
    for path in (changed, kept):
        data = path.read_bytes()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
        os.utime(path, (1_600_000_000, 1_600_000_000))
    gone.unlink()
    moved = copied.asks.spares.move(planned)
    assert (moved.photos, below(folder)) == (0, ["photosearch-moved-1.jsonl"])
    assert reasons(moved.left, copied.folder) == [
        ("b0.png", "has changed since it was indexed"),
        ("b1.png", "the photo to keep, a1.png, has changed since it was indexed"),
        ("b2.png", "the photo to keep, a2.png, or this one: no such file or directory"),
    ]
    assert reasons(plan(copied, folder).left, copied.folder)[-1:] == [
        ("b2.png", "the photo to keep, a2.png, is missing")
    ]


def test_plan_leaves_links_hard_links_and_missing_files(copied, tmp_path):
    for i in range(2):
        (copied.folder / f"sub/2019/b{i}.png").unlink()
    os.link(copied.folder / "a0.png", copied.folder / "sub/2019/b0.png")
    (copied.folder / "sub/2019/b1.png").symlink_to(copied.folder / "a1.png")
    (copied.folder / "sub/2019/b2.png").unlink()
    planned = plan(copied, tmp_path / "spare")
    assert planned.things == ()
    assert sorted(reasons(planned.left, copied.folder)) == [
        ("b0.png", "is the photo to keep itself, under another name: a0.png"),
        ("b1.png", "is a symbolic link"),
        ("b2.png", "is missing"),
    ]


def test_plan_leaves_what_is_in_a_folder_that_is_read_only(as_nobody, monkeypatch):
    monkeypatch.setattr("library.KEPT", [InThisProcess])
    under = make(as_nobody)
    with under.db, Library(under.db.path) as asks:
        for name in ("a.png", "sub/b.png"):
            save(under.folder, name, 1)
        under.index()
        under.path("sub").chmod(0o500)
        planned = asks.spares.plan(as_nobody / "spare", asks.find_duplicates(near=False))
    assert (planned.things, reasons(planned.left)) == ((), [("b.png", "its folder is read-only")])


def test_target_that_is_taken_is_numbered_and_never_overwritten(copied, tmp_path):
    folder = tmp_path / "spare"
    taken = folder / "sub/2019/b0.png"
    taken.parent.mkdir(parents=True)
    taken.write_bytes(b"mine")
    (copied.folder / "sub/2019/b0.png.xmp").write_text("<x/>")
    planned = plan(copied, folder)
    assert [os.path.basename(file.target) for file in planned.things[0]] == ["b0 (2).png", "b0 (2).png.xmp"]
    (folder / "sub/2019/b1.png").write_bytes(b"later")
    moved = copied.asks.spares.move(planned)
    assert reasons(moved.left, folder) == [("b1.png", "sub/2019/b1.png is there already")]
    assert (taken.read_bytes(), (folder / "sub/2019/b1.png").read_bytes()) == (b"mine", b"later")
    assert (folder / "sub/2019/b0 (2).png.xmp").read_text() == "<x/>"


def test_several_roots_keep_their_names(seen, tmp_path):
    other = seen.folder.parent / "other"
    save(seen.folder, "a.png", 1)
    save(other, "x/a.png", 1)
    seen.index()
    list(seen.asks.index(other, workers=1, provider="cpu", models=[str(tmp_path / "toy.onnx")]))
    (thing,) = plan(seen, tmp_path / "spare", keep=["folder:" + str(other)]).things
    assert thing[0].target == str(tmp_path / "spare" / "photos" / "a.png")


@pytest.mark.parametrize("name", ["", "..", "s3://bucket/x", "photos/a0.png"])
def test_plan_refuses_folder_that_holds_a_root_is_a_file_or_an_address(copied, name):
    folder = name if "://" in name else copied.folder.parent / name if "a0" in name else copied.folder / name
    with pytest.raises(InputError, match=r"holds the indexed folder|is no folder|is an address"):
        plan(copied, folder)


def test_folder_inside_a_root_is_excluded_and_says_so(copied):
    folder = copied.folder / "sub" / "spare [1]"
    planned = plan(copied, folder)
    assert planned.excluded_from == str(copied.folder)
    copied.asks.spares.move(planned)
    assert set(copied.under.index(decoders=InThisProcess)) == {"Unchanged"}
    assert copied.asks.status().counts.photos == 3
    assert plan(copied, folder).excluded_from is None


def test_move_rolls_thing_back_where_a_file_of_it_fails(copied, tmp_path, monkeypatch):
    (copied.folder / "sub/2019/b0.png.xmp").write_text("<x/>")
    before, folder, real = read_tree(copied.folder), tmp_path / "spare", atomic.move_file

    def fail(source, target, **options):
        if str(target).endswith("b0.png.xmp"):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, target, **options)

    monkeypatch.setattr(atomic, "move_file", fail)
    moved = move(copied, folder)
    assert (moved.photos, read_tree(copied.folder)) == (0, before)
    assert [why for _, why in moved.left] == ["can't be moved: no space left on device"] + 2 * [
        "not tried: the disk is full"
    ]


def test_undo_leaves_what_has_changed_or_whose_place_is_taken(copied, tmp_path):
    folder = tmp_path / "spare"
    moved = move(copied, folder)
    (folder / "sub/2019/b0.png").write_bytes(b"edited")
    (copied.folder / "sub/2019/b1.png").write_bytes(b"new")
    (folder / "sub/2019/b2.png").unlink()
    undone = copied.asks.spares.undo(moved.log)
    assert undone.photos == 0
    assert sorted(reasons(undone.left, copied.folder)) == [
        ("b0.png", "has changed since it was moved, or was about to be"),
        ("b1.png", "another file is at sub/2019/b1.png"),
        ("b2.png", "is missing, and so is sub/2019/b2.png"),
    ]
    assert (copied.folder / "sub/2019/b1.png").read_bytes() == b"new"
    assert (folder / "sub/2019/b1.png").exists()


def test_undo_restores_into_a_root_that_moving_has_emptied(seen, tmp_path):
    """It looks like a drive that is away, but is the very folder."""
    other = tmp_path / "other"
    save(seen.folder, "a.png", 1)
    spare = save(other, "b.png", 1)
    seen.index()
    list(seen.asks.index(other, workers=1, provider="cpu", models=[str(tmp_path / "toy.onnx")]))
    moved = move(seen, tmp_path / "spare")
    assert (list(other.iterdir()), moved.photos) == ([], 1)
    mounted = other.rename(tmp_path / "aside")
    other.mkdir()
    assert reasons(seen.asks.spares.undo(moved.log).left) == [("b.png", f"the drive of {other} is away")]
    other.rmdir()
    mounted.rename(other)
    assert seen.asks.spares.undo(moved.log).photos == 1
    assert spare.exists()


def test_undo_of_a_folder_that_was_moved(copied, tmp_path):
    before = read_tree(copied.folder)
    move(copied, tmp_path / "spare")
    (tmp_path / "spare").rename(tmp_path / "elsewhere")
    assert copied.asks.spares.undo(tmp_path / "elsewhere/photosearch-moved-1.jsonl").photos == 3
    assert read_tree(copied.folder) == before


@pytest.mark.parametrize(
    "change",
    [
        {"to": "../outside.png"}, {"to": "/etc/x"}, {"from": "relative.png"}, {"from": "/a/../b.png"}, {"hash": "00"},
        {"to": None},
    ],
)  # fmt: skip
def test_undo_refuses_tampered_log(copied, tmp_path, change):
    moved = move(copied, tmp_path / "spare")
    lines = Path(moved.log).read_text().splitlines()
    record = json.loads(lines[1])
    record["move"][0] |= change
    Path(moved.log).write_text("\n".join([lines[0], json.dumps(record), *lines[2:]]) + "\n")
    with pytest.raises(InputError, match="line 2 is damaged"):
        copied.asks.spares.undo(moved.log)
    assert below(copied.folder) == ["a0.png", "a1.png", "a2.png"]


def test_undo_writes_only_into_indexed_folders_and_through_no_link(copied, tmp_path):
    moved = move(copied, tmp_path / "spare")
    text = Path(moved.log).read_text()
    Path(moved.log).write_text(text.replace(str(copied.folder / "sub/2019/b0.png"), str(tmp_path / "outside.png")))
    (tmp_path / "spare/sub").rename(tmp_path / "sub")
    (tmp_path / "spare/sub").symlink_to(tmp_path / "sub")
    undone = copied.asks.spares.undo(moved.log)
    assert [why for _, why in undone.left] == ["is behind a symbolic link"] * 2 + [
        f"{tmp_path}/outside.png is in no indexed folder"
    ]
    with pytest.raises(InputError, match="is no log of moved photos"):
        copied.asks.spares.undo(copied.folder / "a0.png")


@contextmanager
def other_file_system(tmp_path):
    """A folder on another file system, or, without one, os.link and rename that say it is."""
    others = [
        place for place in map(Path, ("/dev/shm", "/var/tmp"))
        if os.access(place, os.W_OK) and place.stat().st_dev != tmp_path.stat().st_dev
    ]  # fmt: skip
    if others:
        folder = others[0] / f"photosearch-{os.getpid()}"
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    with pytest.MonkeyPatch.context() as patch:

        def refuse(*_, **__):
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        patch.setattr(os, "link", refuse)
        patch.setattr(Path, "rename", refuse)
        yield tmp_path / "spare"


def test_move_to_another_file_system_and_back(copied, tmp_path):
    before = read_tree(copied.folder)
    with other_file_system(tmp_path) as folder:
        moved = move(copied, folder)
        assert (moved.photos, moved.left) == (3, ())
        assert (folder / "sub/2019/b0.png").stat().st_mtime == 1_600_000_000
        assert copied.asks.spares.undo(moved.log).photos == 3
    assert read_tree(copied.folder) == before


def test_move_to_another_file_system_removes_nothing_where_the_copy_differs(copied, tmp_path, monkeypatch):
    before, copyfile = read_tree(copied.folder), shutil.copyfile

    def spoil(source, target, **options):
        copyfile(source, target, **options)
        Path(target).write_bytes(b"spoilt")

    with other_file_system(tmp_path) as folder:
        monkeypatch.setattr(shutil, "copyfile", spoil)
        moved = move(copied, folder)
        assert [why for _, why in moved.left] == ["can't be moved: the copy differs from the file"] * 3
        assert (read_tree(copied.folder), below(folder)) == (before, ["photosearch-moved-1.jsonl"])


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("then", ["undo", "move"])
def test_killed_between_two_steps_of_one_file(copied, tmp_path, monkeypatch, across, then):
    """The file is at both places, and the log has no end."""
    before, unlink = read_tree(copied.folder), Path.unlink

    def kill(path, *arguments, **options):
        if path.name == "b1.png":
            raise SystemExit
        unlink(path, *arguments, **options)

    with other_file_system(tmp_path) if across else nullcontext(tmp_path / "spare") as folder:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", kill)
            with pytest.raises(SystemExit):
                move(copied, folder)
        assert (folder / "sub/2019/b1.png").exists()
        assert (copied.folder / "sub/2019/b1.png").exists()
        if then == "move":
            again = plan(copied, folder)
            assert again.unfinished == 2
            moved = copied.asks.spares.move(again)
            assert (moved.photos, moved.left, moved.log) == (3, (), str(folder / "photosearch-moved-1.jsonl"))
            assert below(folder) == ["photosearch-moved-1.jsonl", *(f"sub/2019/b{i}.png" for i in range(3))]
            assert below(copied.folder) == ["a0.png", "a1.png", "a2.png"]
            assert copied.asks.status().counts.photos == 3
        assert copied.asks.spares.undo(folder / "photosearch-moved-1.jsonl").left == ()
        assert (read_tree(copied.folder), below(folder)) == (before, ["photosearch-moved-1.jsonl"])
        assert copied.asks.status().counts.photos == 6


def test_line_that_was_cut_off_counts_as_not_written(copied, tmp_path):
    moved = move(copied, tmp_path / "spare")
    log = Path(moved.log)
    whole = log.read_bytes()
    for length in range(whole.index(b"\n") + 1):
        log.write_bytes(whole[:length])
        assert (read_log(log).things, read_log(log).finished) == ((), True)
    log.write_bytes(whole[:-5])
    assert (len(read_log(log).things), read_log(log).finished) == (3, False)
    assert copied.asks.spares.undo(log).photos == 3
    lines = [list(json.loads(line)) for line in log.read_text().splitlines()]
    assert lines[-2:] == [["undo"], ["undone"]], "the part of a line is gone"
    assert len(lines) == 6


MOVE = """
import sys
import photosearch
library, folder, undo = sys.argv[1:]
with photosearch.Library(library) as opened:
    print("ready", flush=True)
    if undo == "undo":
        opened.spares.undo(folder + "/photosearch-moved-1.jsonl")
    else:
        opened.spares.move(opened.spares.plan(folder, opened.find_duplicates(near=False)))
    print("done", flush=True)
"""
KILLS = int(os.environ.get("PHOTOSEARCH_KILLS", "3"))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kills_at_random_points_lose_nothing(seen, tmp_path):
    """SIGKILL of a process that moves 60 spare photos, or moves them back, once it has begun."""
    for i in range(30):
        for name in (f"a{i}.png", f"sub/b{i}.png", f"sub/deep/c{i}.png"):
            save(seen.folder, name, i)
        (seen.folder / f"sub/b{i}.png.xmp").write_text(str(i))
    seen.index()
    before, rng = read_tree(seen.folder), np.random.default_rng(1)
    contents = sorted(before.values())
    with other_file_system(tmp_path) as across:
        for n in range(KILLS):
            folder = across if n % 2 else tmp_path / f"spare{n}"
            shutil.rmtree(folder, ignore_errors=True)
            seen.asks.spares.plan(folder, seen.asks.find_duplicates(near=False))
            for command in ("move", "undo"):
                kill_after(seen, folder, command, int(rng.integers(0, 40)))
                assert set(contents) <= set(read_tree(seen.folder, folder).values()), "nothing is lost"
                if command == "move" and n % 3:
                    seen.asks.spares.move(seen.asks.spares.plan(folder, seen.asks.find_duplicates(near=False)))
                    there = read_tree(seen.folder, folder).items()
                    assert sorted(data for path, data in there if ".jsonl" not in path) == contents
                    assert seen.asks.status().counts.photos == 30
            if (log := folder / "photosearch-moved-1.jsonl").exists():
                assert seen.asks.spares.undo(log).left == ()
            assert read_tree(seen.folder) == before
            assert not [name for name in below(folder) if not name.endswith(".jsonl")] if folder.exists() else True
            assert seen.asks.status().counts.photos == 90


def kill_after(seen, folder: Path, command: str, files: int) -> None:
    """Kill the command once so many files have left their place, or at its end."""
    library = seen.asks.path
    with subprocess.Popen(
        [sys.executable, "-c", MOVE, str(library), str(folder), command], stdout=subprocess.PIPE
    ) as running:
        assert running.stdout.readline() == b"ready\n"
        source = seen.folder if command == "move" else folder
        first = len(below(source))
        while running.poll() is None and first - len(below(source)) < files:
            pass
        running.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("data", [b"[" * 100_000 + b"\n", b"[]\n", b"{}\n", b"\n", b"\xff\n", b"1" * 5000 + b"\n"])
def test_log_of_any_bytes_is_refused_in_one_line(tmp_path, data):
    (tmp_path / "photosearch-moved-1.jsonl").write_bytes(data)
    with pytest.raises(InputError, match=r"is no log of moved photos; name a photosearch-moved-N\.jsonl"):
        read_log(str(tmp_path / "photosearch-moved-1.jsonl"))


def test_log_is_a_file_of_bounded_length(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")  # which nobody writes to: reading would wait for ever
    with pytest.raises(InputError, match="is no log of moved photos"):
        read_log(str(tmp_path / "pipe"))
    with pytest.raises(InputError, match="can't be read: is a directory"):
        read_log(str(tmp_path))
    (tmp_path / "long").write_bytes(b"\n" * 100)
    monkeypatch.setattr(log, "MAX_BYTES", 99)
    with pytest.raises(InputError, match="long: is longer than"):
        read_log(str(tmp_path / "long"))
