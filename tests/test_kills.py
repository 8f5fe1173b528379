"""Pulled plugs: whatever ends a run, and wherever, the library stays whole and the next run ends where it should.

Kills are SIGKILL at random moments, 9 here; `PHOTOSEARCH_KILLS=200 pytest -s tests/test_kills.py` makes as many of
each kind. Then a full disk, a library that may not be written, that another program holds, that is damaged, and a
clock that goes backwards.
"""

import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from test_hostile import BOUND, index_all
from toy import photo, toy_card, write_toy
from typer.testing import CliRunner, Result

from photosearch.cli.app import app
from photosearch.errors import StoreError
from photosearch.index import events
from photosearch.library import database, marks, schema
from photosearch.library.database import Database
from photosearch.library.labels import read_labels, save_threshold
from photosearch.library.photos import find_image_at, read_counts
from photosearch.library.runs import read_last_run
from photosearch.models.session import Model

pytestmark = pytest.mark.hostile
KILLS = int(os.environ.get("PHOTOSEARCH_KILLS", "9"))
PHOTOS = 60
# When things happened is another time in each run; a file's own dates are the file's, and stay.
TIMES = {"reason_at", "absent_since", "marked_at", "logged_at", "drawn_at"}
INDEX = """
import sys
from photosearch.index.plan import RunOptions
from photosearch.index.run import index
from photosearch.library.database import Database
from photosearch.library.lock import lock_library
from photosearch.models.session import Model
folder, library, model = sys.argv[1:]
loaded = Model(model, threads=1)
print("ready", flush=True)
with Database(library, create=True) as db, lock_library(db):
    for event in index(db, [folder], lambda name: loaded, options=RunOptions(batch_size=4, workers=2)):
        pass
print("done", flush=True)
"""
IMPORT = """
import sys
from photosearch.judging import truth
from photosearch.library.database import Database
library, file = sys.argv[1:]
print("ready", flush=True)
rows = truth.read_rows(file)
with Database(library) as db:
    truth.import_rows(db, rows, file)
print("done", flush=True)
"""


def rows(db: Path) -> list[tuple[object, ...]]:
    """All that a library holds, each row behind its table's name."""
    with closing(sqlite3.connect(db)) as conn:
        found = []
        for (table,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'words'"):
            columns = [name for _, name, *_ in conn.execute(f"PRAGMA table_info({table})") if name not in TIMES]
            if table != "runs" and not table.startswith(("sqlite_", schema.MIGRATIONS_TABLE)):
                found += [(table, *row) for row in conn.execute(f"SELECT {', '.join(columns)} FROM {table}")]
        drawn = {("properties", "id"), ("properties", "label counts")}  # for each library; from rows of others
        return sorted((row for row in found if row[:2] not in drawn), key=repr)


def check_whole(db: Path) -> None:
    """What must hold at every moment."""
    with closing(sqlite3.connect(db)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        if conn.execute("PRAGMA user_version").fetchone() == (0,):
            return  # killed before the first table was made
        half = "SELECT count(*) FROM photos WHERE image_id IS NULL AND reason IS NULL"
        assert conn.execute(half).fetchone() == (0,)
        scored = "SELECT image_id FROM scored WHERE active"
        said = f"SELECT count(s.label_id) FROM ({scored}) LEFT JOIN scores s USING (image_id) GROUP BY image_id"
        assert {n for (n,) in conn.execute(said)} <= {3}, "an image that was looked at has the scores of all labels"
        assert conn.execute(f"SELECT count(*) FROM images WHERE id NOT IN ({scored})").fetchone() == (0,)
        check_counters(conn)


def check_counters(conn: sqlite3.Connection) -> None:
    """What triggers count, counted."""
    states = ("absent IS NULL", "absent IS NULL AND reason IS NOT NULL", "absent = 'removed'", "absent = 'excluded'")
    columns = ", ".join(f"(SELECT count(*) FROM photos WHERE folder_id = f.id AND {state})" for state in states)
    kept = conn.execute("SELECT id, photos, unreadable, removed, excluded FROM folders f").fetchall()
    assert kept == conn.execute(f"SELECT id, {columns} FROM folders f").fetchall()
    counted = {name: conn.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("images", "marks")}
    looked = "SELECT 'scored ' || m.id, (SELECT count(*) FROM scored WHERE model_id = m.id) FROM models m"
    assert dict(conn.execute("SELECT name, n FROM counts")) == {**counted, **dict(conn.execute(looked))}


def make_photos(folder: Path) -> None:
    for i in range(PHOTOS):
        photo(folder / f"{i // 20}" / f"{i:03}.png", ("red", "green", "blue")[i % 3], size=(40 + i, 30))
    for i in range(0, PHOTOS, 10):
        (folder / "2" / f"broken {i}.jpg").write_bytes(b"broken" * i)
        shutil.copy(folder / f"{i // 20}" / f"{i:03}.png", folder / f"copy {i}.png")


def change_photos(folder: Path) -> None:
    (folder / "0").rename(folder / "moved")
    for i in range(40, 50):
        (folder / "2" / f"{i:03}.png").unlink()
    photo(folder / "1" / "025.png", "white", size=(99, 99))
    photo(folder / "1" / "new.png", "black")


def start(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start, and wait until it is about to begin."""
    started = subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE)
    assert started.stdout.readline() == b"ready\n"
    return started


def finish(program: str, *arguments: object) -> float:
    """-> seconds."""
    with start(program, *arguments) as running:
        begun = time.monotonic()
        assert running.stdout.read() == b"done\n"
    assert running.returncode == 0
    return time.monotonic() - begun


def kill_within(seconds: float, rng: random.Random, program: str, *arguments: object) -> bool:
    """-> whether it was still running."""
    with start(program, *arguments) as running:
        time.sleep(rng.uniform(0, seconds))
        running.send_signal(signal.SIGKILL)
    return running.returncode == -signal.SIGKILL


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", ["a first index", "an index after changes", "an index by a newer model"])
def test_index_after_kill_completes_with_equal_rows(what: str, tmp_path: Path) -> None:
    folder, start_db, plain_db, db = (tmp_path / name for name in ("photos", "start.db", "plain.db", "killed.db"))
    model = write_toy(tmp_path / "toy.onnx")
    make_photos(folder)
    if what != "a first index":
        finish(INDEX, folder, start_db, model)
        change_photos(folder)
        shutil.copy(start_db, plain_db)
    if what == "an index by a newer model":
        model = write_toy(tmp_path / "newer.onnx", toy_card(version="2"), scale=1 / 300)
    seconds = finish(INDEX, folder, plain_db, model)
    expected = rows(plain_db)
    rng, kills, attempts = random.Random(what), 0, 0
    while kills < -(-KILLS // 3):  # three kinds of run share them
        attempts += 1
        assert attempts < 10 * KILLS
        for file in tmp_path.glob("killed.db*"):
            file.unlink()
        if start_db.exists():
            shutil.copy(start_db, db)
        if not kill_within(seconds, rng, INDEX, folder, db, model):
            continue
        kills += 1
        if db.exists():
            check_whole(db)
        finish(INDEX, folder, db, model)
        check_whole(db)
        assert rows(db) == expected
    print(f"\n{what}: {kills} kills within {seconds:.2f} s, {kills} recoveries, {len(expected)} rows equal each time")


@pytest.mark.timeout(3600)
def test_killed_import_keeps_all_rows_or_none(tmp_path: Path) -> None:
    folder, db = tmp_path / "photos", tmp_path / "s.db"
    make_photos(folder)
    finish(INDEX, folder, db, write_toy(tmp_path / "toy.onnx"))
    paths = [f"{p},{label},1\n" for p in sorted(folder.rglob("0*.png")) for label in ("red", "green", "blue")]
    (tmp_path / "truth.csv").write_text("path,label,present\n" + "".join(paths))
    rng, kills, nothing, seconds = random.Random(1), 0, 0, 0.1
    while kills < KILLS:
        killed = kill_within(seconds, rng, IMPORT, db, tmp_path / "truth.csv")
        seconds *= 1.1 if killed else 0.9
        check_whole(db)
        with closing(sqlite3.connect(db)) as conn:
            (n,) = conn.execute("SELECT count(*) FROM marks").fetchone()
            assert n in (0, 180)
            kills += killed
            nothing += killed and n == 0
            conn.execute("DELETE FROM marks")
            conn.commit()
    finish(IMPORT, db, tmp_path / "truth.csv")
    with Database(db) as kept:
        assert read_counts(kept).marks == 180
    print(f"\n{kills} kills of an import: {nothing} kept nothing, {kills - nothing} kept all")


# ---- a full disk


def command(*arguments: object, db: Path, **how: object) -> subprocess.CompletedProcess[str]:
    program = [*BOUND, sys.executable, "-c", "from photosearch.cli.app import main; main()", *map(str, arguments)]
    environment = {**os.environ, "PHOTOSEARCH_DB": str(db)}
    environment.pop("COVERAGE_PROCESS_CONFIG", None)  # what it keeps would not fit on a full disk either
    return subprocess.run(program, capture_output=True, text=True, env=environment, **how)


def test_index_reports_full_disk_and_resumes(tmp_path: Path) -> None:
    folder, db = tmp_path / "photos", tmp_path / "s.db"
    make_photos(folder)
    model = write_toy(tmp_path / "toy.onnx")
    list_of = ("index", folder, "--model", model, "--provider", "cpu", "--batch-size", "4")
    told = []
    for kib in (40, 120, 160, 200):
        limit = (kib * 1024, resource.RLIM_INFINITY)
        done = command(*list_of, db=db, preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        assert done.returncode == 1, done.stderr
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        told.append(line)
        if db.exists():
            check_whole(db)
    print("\n" + "\n".join(told))
    assert all(line.startswith(f"photosearch: {db}: the disk is full or fails (") for line in told)
    assert all(line.endswith("make room, then run the same command again: nothing is lost") for line in told)
    assert command(*list_of, db=db).returncode == 0
    command(*list_of, db=tmp_path / "plain.db")
    assert rows(db) == rows(tmp_path / "plain.db")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small disk")
def test_real_full_disk_loses_nothing(tmp_path: Path) -> None:
    folder, disk = tmp_path / "photos", tmp_path / "disk"
    make_photos(folder)
    disk.mkdir()
    model = write_toy(tmp_path / "toy.onnx")
    photosearch = f"{sys.executable} -c 'from photosearch.cli.app import main; main()'"
    run = f"{photosearch} index {folder} --model {model} --batch-size 4"
    script = f"""
        mount -t tmpfs -o size=300k none {disk} || exit 77
        {run} --provider cpu --db {disk}/s.db; echo "ended $?" >&2
        mount -o remount,size=9m {disk}
        {run} --provider cpu --db {disk}/s.db && cp {disk}/s.db {tmp_path}
    """
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True)
    if done.returncode == 77:
        pytest.skip("no mounts here")
    full, ended, *_ = done.stderr.splitlines()
    assert (ended, done.returncode) == ("ended 1", 0), done.stderr
    assert "the disk is full or fails (database or disk is full)" in full
    finish(INDEX, folder, tmp_path / "plain.db", model)
    assert rows(tmp_path / "s.db") == rows(tmp_path / "plain.db")


# ---- a library that others keep from us


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An indexed folder with marks and a saved threshold."""
    make_photos(tmp_path / "photos")
    path = tmp_path / "lib" / "library.db"
    monkeypatch.setenv("PHOTOSEARCH_DB", str(path))
    with Database(path, create=True) as db:
        list(index_all(db, tmp_path / "photos", Model(write_toy(tmp_path / "toy.onnx"), threads=1)))
        save_threshold(db, read_labels(db)[0], 0.25)
        images = [find_image_at(db, str(tmp_path / "photos" / "0" / f"{i:03}.png")) for i in range(20)]
        marks.put_marks(db, [("red", image_id, i % 3 == 0) for i, image_id in enumerate(images) if image_id])
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def error(*arguments: object) -> str:
    """The one line that a command which fails prints."""
    result = run(*arguments)
    assert result.exit_code == 1, (result.output, result.exception)
    assert isinstance(result.exception, SystemExit), result.exception
    line = result.stderr.splitlines()[-1]
    assert line.startswith("photosearch: ")
    return line


def test_read_only_library_is_reported_in_one_line(library: Path) -> None:
    library.chmod(0o400)
    library.parent.chmod(0o500)
    try:
        folder, model = library.parent.parent / "photos", library.parent.parent / "toy.onnx"
        done = command("index", folder, "--model", model, "--provider", "cpu", db=library)
    finally:
        library.parent.chmod(0o700)
        library.chmod(0o600)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    print("\n" + line)
    assert line.startswith(f"photosearch: {library}: can't be written (")
    assert line.endswith("check its permissions, or choose a place with --db")


def test_read_only_library_can_be_searched(library: Path, as_nobody: Path) -> None:
    kept = as_nobody / "backup"
    kept.mkdir()
    os.seteuid(os.getuid())
    shutil.copy(library, kept / "photos.db")
    (kept / "photos.db").chmod(0o444)
    kept.chmod(0o555)
    asked = ("find", "red", "--json", "--db")
    found = run(*asked, library).stdout
    if os.geteuid() == 0:
        os.seteuid(65534)
    rows = json.loads(found)["photos"]
    assert rows
    told = [{k: v for k, v in row.items() if k != "exists"} for row in rows]  # another user sees less
    again = json.loads(run(*asked, kept / "photos.db").stdout)["photos"]
    assert [{k: v for k, v in row.items() if k != "exists"} for row in again] == told
    photo = rows[0]["path"]
    assert "can't be written (" in error("mark", photo, "--is", "red", "--db", kept / "photos.db")
    assert [p.name for p in kept.iterdir()] == ["photos.db"]


def test_locked_library_is_reported_in_one_line(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 1.0)
    with closing(sqlite3.connect(library, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        line = error("mark", library.parent.parent / "photos" / "0" / "000.png", "--is", "red")
        assert run("find", "red", "--paths").exit_code == 0, "who only reads is not kept waiting"
        other.execute("ROLLBACK")
    print("\n" + line)
    assert line == (f"photosearch: {library}: another program has kept it locked for 1 s; close that, then try again")


def damage_header(db: Path) -> None:
    with open(db, "r+b") as file:
        file.write(b"x" * 100)


def damage_pages(db: Path, *, first: int = 2) -> None:
    pages = db.stat().st_size // 4096
    rng = random.Random(5)
    with open(db, "r+b") as file:
        for page in rng.sample(range(first, pages), pages // 2):
            file.seek(4096 * page)
            file.write(rng.randbytes(4096))


def cut_short(db: Path) -> None:
    os.truncate(db, 5 * 4096)


@pytest.mark.parametrize("damage", [damage_header, damage_pages, cut_short])
def test_damaged_library_is_reported_and_rebuilt(library: Path, damage: object) -> None:
    damage(library)
    line = error("index", library.parent.parent / "photos", "--model", library.parent.parent / "toy.onnx")
    print("\n" + line)
    assert line == (
        f"photosearch: {library}: the library is damaged; your photos are safe; `photosearch rebuild` starts it anew"
    )
    damaged = library.read_bytes()
    said = run("rebuild", "--yes")
    assert said.exit_code == 0, said.output
    print(said.stderr)
    others = ("-wal", "-shm", "-copy")
    (aside,) = (p for p in library.parent.glob("library.db.damaged-*") if not p.name.endswith(others))
    if damage is not cut_short:  # which SQLite mends a little when it opens it
        assert aside.read_bytes() == damaged
    assert aside.stat().st_mode & 0o777 == library.stat().st_mode & 0o777 == 0o600
    assert run("index", library.parent.parent / "photos", "--model", library.parent.parent / "toy.onnx").exit_code == 0
    with closing(sqlite3.connect(library)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    with Database(library) as db:
        assert read_counts(db).photos == PHOTOS + 12


def test_marks_and_thresholds_outlive_the_damage(library: Path) -> None:
    with Database(library) as db:
        truth = marks.list_marks(db, "red")
        assert len(truth) >= 20
    with closing(sqlite3.connect(library)) as conn:  # the scores are lost
        pages = [n for (n,) in conn.execute("SELECT pageno FROM dbstat WHERE name = 'scores_best' OR name = 'photos'")]
    with open(library, "r+b") as file:
        for page in pages:
            file.seek(4096 * (page - 1))
            file.write(b"\xff" * 4096)
    said = run("rebuild", "--yes").stderr
    assert "20 marks, 1 threshold, 1 folder" in said
    assert run("index", "--model", library.parent.parent / "toy.onnx").exit_code == 0, "its folders are known still"
    with Database(library) as db:
        assert sorted(map(repr, marks.list_marks(db, "red"))) == sorted(map(repr, truth))
        assert (read_labels(db)[0].threshold, read_labels(db)[0].saved) == (0.25, True)


def test_rebuild_refuses_sound_library(library: Path) -> None:
    before = rows(library)
    assert "is not damaged; nothing was done" in error("rebuild")
    assert rows(library) == before
    assert run("rebuild", "--force", "--yes").exit_code == 0
    with Database(library) as db:
        assert (read_counts(db).marks, read_counts(db).photos) == (20, 0)


def test_library_with_flipped_bytes_gives_no_traceback(library: Path) -> None:
    whole = library.read_bytes()
    folder, model = library.parent.parent / "photos", library.parent.parent / "toy.onnx"
    commands = [("find", "red or blue"), ("status",), ("errors",), ("labels",), ("marks", "export"),
                ("mark", folder / "0" / "001.png", "--is", "red"), ("index", folder, "--model", model)]  # fmt: skip
    for seed in range(KILLS * 4):
        rng = random.Random(seed)
        broken = bytearray(whole)
        for _ in range(rng.choice([1, 3, 30, 300])):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        for command in rng.sample(commands, 3):
            library.write_bytes(broken)
            result = run(*command)
            assert result.exit_code in (0, 1), (seed, command)
            assert result.exception is None or isinstance(result.exception, SystemExit), (seed, command)
            for log in library.parent.glob("library.db-*"):
                log.unlink()


# ---- a clock that goes backwards


def test_clock_jumping_back_changes_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_photos(tmp_path / "photos")
    model = Model(write_toy(tmp_path / "toy.onnx"), threads=1)
    times = iter(f"{year}-01-01T00:00:00Z" for year in range(2030, 1800, -1))
    monkeypatch.setattr(database, "now", lambda: next(times))
    with Database(tmp_path / "s.db", create=True) as db:
        first = list(index_all(db, tmp_path / "photos", model))
        change_photos(tmp_path / "photos")
        list(index_all(db, tmp_path / "photos", model))
        again = list(index_all(db, tmp_path / "photos", model))
        moved = tmp_path / "photos" / "moved" / "001.png"
        for present in (True, False):
            marks.put_marks(db, [("red", find_image_at(db, str(moved)), present)])
        assert [t.present for t in marks.list_marks(db, "red")] == [False], "the last word counts, not the latest date"
        last = read_last_run(db)
    assert len(first) == PHOTOS + 12
    assert {type(e) for e in again} == {events.Unchanged, events.ReadFailed}
    assert last.finished_at < last.started_at < "2029"


def test_database_raises_store_errors_only(tmp_path: Path) -> None:
    for name, make in {"folder.db": Path.mkdir, "text.db": lambda p: p.write_text("I am no database" * 100)}.items():
        make(tmp_path / name)
        with pytest.raises(StoreError):
            Database(tmp_path / name, create=True)
