"""Missing photos and folders, files of other programs, output that can't be written, odd names."""

import csv
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_env import fail, notes
from toy import photo, toy_card, write_toy
from typer.testing import CliRunner, Result

from photosearch import default_path
from photosearch.cli.app import app
from photosearch.cli.output import CONTROLS, quote, to_csv
from photosearch.cli.progress import show_progress
from photosearch.library.database import Database
from photosearch.library.location import is_library
from photosearch.models.catalog import models_folder
from photosearch.search.similar import read_weight
from photosearch.web.escaping import HARMFUL, escape


@dataclass(frozen=True, slots=True)
class IndexedEnv:
    """A folder with red.png and sub/rot.png, indexed by the toy model."""

    folder: Path
    photos: Path
    model: Path
    run: Callable[..., Result]


@pytest.fixture
def indexed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoders: object) -> IndexedEnv:
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "data" / "library.db"))
    photos = tmp_path / "photos"
    photo(photos / "red.png", "red")
    photo(photos / "sub" / "rot.png", "red", size=(64, 50))

    def call(*arguments: object, **options: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, **options)

    model = write_toy(tmp_path / "toy.onnx")
    assert call("index", photos, "--model", model, "--workers", 1).exit_code == 0
    return IndexedEnv(tmp_path, photos, model, call)


def test_find_copy_to_names_missing_photo_and_copies_others(indexed: IndexedEnv) -> None:
    (indexed.photos / "red.png").unlink()
    album = indexed.folder / "album"
    for made in ("1 copied, 1 left out", "0 copied, 1 already there, 1 left out"):
        result = indexed.run("find", "red", "--copy-to", album)
        assert result.exit_code == 1
        missing, counts = result.stderr.splitlines()[-2:]
        assert missing == f"{indexed.photos / 'red.png'}: not copied: no such file or directory"
        assert counts == f"{album}: {made}"


def test_find_marks_missing_and_away_photos(indexed: IndexedEnv) -> None:
    (indexed.photos / "red.png").unlink()
    assert [line.split("\t")[1:5:3] for line in indexed.run("find", "red").stdout.splitlines()] == [
        [str(indexed.photos / "red.png"), "missing"],
        [str(indexed.photos / "sub" / "rot.png"), ""],
    ]
    assert [row["exists"] for row in json.loads(indexed.run("find", "red", "--json").stdout)["photos"]] == [False, True]
    shutil.rmtree(indexed.photos)
    indexed.photos.mkdir()
    assert [line.split("\t")[4] for line in indexed.run("find", "red").stdout.splitlines()] == ["away"] * 2


# ---- files that are not ours

HARMLESS = {
    "photo.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(5000),
    "dump.sql": b'CREATE TABLE "sample_photos" (id);\n' * 200,
    "empty.txt": b"",
}


@pytest.mark.parametrize("name", [*HARMLESS, "other.db"])
def test_file_of_another_program_is_never_changed(indexed: IndexedEnv, name: str) -> None:
    precious = indexed.folder / "precious" / name
    precious.parent.mkdir()
    if name == "other.db":
        with closing(sqlite3.connect(precious)) as other:
            other.execute("CREATE TABLE accounts (n)")
    else:
        precious.write_bytes(HARMLESS[name])
    before = precious.read_bytes()
    for command in (("rebuild", "--force", "--yes"), ("rebuild", "--yes"), ("index", indexed.photos)):
        if command[0] == "index" and name == "empty.txt":
            continue  # an empty file becomes a library
        result = indexed.run(*command, "--db", precious)
        assert result.exit_code == 1
        assert f"{precious}: " in result.stderr
        assert precious.read_bytes() == before
        assert [p.name for p in precious.parent.iterdir() if p.suffix != ".lock"] == [name]
    if name != "empty.txt":
        assert indexed.run("forget", "--all", "--yes", "--db", precious).exit_code == 1
        assert precious.read_bytes() == before


def test_forget_all_deletes_backups_and_nothing_else(indexed: IndexedEnv) -> None:
    library = indexed.folder / "data" / "library.db"
    like = library.with_name("library.db.damaged-photo.jpg")
    like.write_bytes(HARMLESS["photo.jpg"])
    assert indexed.run("rebuild", "--force", "--yes").exit_code == 0
    backups = sorted(map(str, library.parent.glob("library.db.damaged-2*")))
    assert [name.endswith(".user-copy") for name in backups] == [False, True], "the library, and its copy"
    asked = fail(indexed.run("forget", "--all"))
    assert [name for name in backups if f"and the backup {name}" not in asked] == []
    assert sorted(map(str, library.parent.glob("library.db.damaged-2*"))) == backups
    result = indexed.run("forget", "--all", "--yes")
    assert [line for line in result.stderr.splitlines() if "backup" in line] == [
        f"Deleted the backup {name}." for name in backups
    ]
    assert sorted(p.name for p in library.parent.iterdir()) == ["library.db", like.name, "library.db.lock"]


def test_rebuild_without_yes_changes_nothing(indexed: IndexedEnv) -> None:
    library = indexed.folder / "data" / "library.db"
    before = library.read_bytes()
    result = indexed.run("rebuild", "--force")
    assert [part for part in (str(library), "--yes") if part not in fail(result)] == []
    assert library.read_bytes() == before


def test_is_library_reads_write_ahead_log(tmp_path: Path) -> None:
    (tmp_path / "young.db").touch()  # as a process of its own begins it
    with Database(tmp_path / "young.db"):
        assert b"CREATE TABLE" not in (tmp_path / "young.db").read_bytes()
        assert is_library(tmp_path / "young.db")


def test_rebuild_replaces_damaged_default_library(indexed: IndexedEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHOTOSEARCH_DB")
    own = indexed.folder / "own" / "library.db"
    monkeypatch.setattr("photosearch.library.location.default_library_path", lambda: own)
    own.parent.mkdir()
    own.write_bytes(b"\0" * 8192)
    assert indexed.run("rebuild", "--yes").exit_code == 0
    assert indexed.run("status").exit_code == 0


# ---- paths as a person types them


def test_tilde_is_expanded_in_every_path(indexed: IndexedEnv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for command in (
        ("index", "~/photos", "--model", "~/toy.onnx", "--db", "~/q.db"),
        ("--db", "~/q.db", "find", "red", "--under", "~/photos", "--copy-to", "~/album", "--model", "~/toy.onnx"),
        ("mark", "~/photos/red.png", "--is", "red", "--db", "~/q.db"),
        ("sample", "red", "--to", "~/drawn", "-n", "4", "--db", "~/q.db"),
        ("marks", "import", "~/drawn/sample.csv", "--db", "~/q.db"),
        ("models", "show", "~/toy.onnx"),
        ("forget", "~/photos/red.png", "--yes", "--db", "~/q.db"),
    ):
        result = indexed.run(*command)
        assert result.exit_code == 0, (command, result.output)
    monkeypatch.setenv("PHOTOSEARCH_DB", "~/p.db")
    assert default_path() == tmp_path / "p.db"
    monkeypatch.setenv("PHOTOSEARCH_MODELS", "~/models")
    assert models_folder() == tmp_path / "models"
    assert read_weight("2:~/a.jpg") == (2.0, str(tmp_path / "a.jpg"))
    assert not (tmp_path / "~").exists()


# ---- output


def start(indexed: IndexedEnv, command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of sh; P stands for the program."""
    program = f"{sys.executable} -m photosearch"
    environment = {**os.environ, "PYTHONUNBUFFERED": "", **environment}
    return subprocess.run(["sh", "-c", command.replace("P ", program + " ")], env=environment, capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("command", ["find red", "find red --json", "find red --paths", "find red --csv", "status"])
@pytest.mark.parametrize("to", ["> /dev/full", ">&-"])
def test_unwritable_stdout_is_error_in_one_line(indexed: IndexedEnv, command: str, to: str) -> None:
    why = "No space left on device" if "full" in to else "stdout is closed"
    ran = start(indexed, f"P {command} {to}")
    assert (ran.returncode, ran.stderr.decode().splitlines()[-1]) == (1, f"photosearch: can't print: {why}")
    assert b"Traceback" not in ran.stderr
    assert b"Exception" not in ran.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("option", ["--help", "--version"])
def test_option_that_prints_tells_of_a_full_disk(indexed: IndexedEnv, option: str) -> None:
    ran = start(indexed, f"P {option} > /dev/full")
    assert (ran.returncode, ran.stderr) == (1, b"photosearch: can't print: No space left on device\n")


def test_command_without_result_needs_no_stdout(indexed: IndexedEnv) -> None:
    assert start(indexed, f"P mark {indexed.photos / 'red.png'} --is red >&-").returncode == 0


@pytest.mark.slow
def test_narrow_encoding_escapes_names(indexed: IndexedEnv) -> None:
    path = photo(indexed.photos / "鳥.png", "red", size=(64, 51))
    indexed.run("index", indexed.photos)
    indexed.run("mark", path, "--not", "red")
    for command in ("find red", "find red --json", "find red --paths", "status", "report"):
        ran = start(indexed, f"P {command}", PYTHONIOENCODING="cp1252")
        assert (ran.returncode, b"Traceback" in ran.stderr) == (0, False), ran.stderr
    assert b"\\u9ce5.png" in ran.stdout, "report is for people"
    assert os.fsencode(path) in start(indexed, "P find red", PYTHONIOENCODING="cp1252").stdout.split(b"\t")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there, whatever the locale")
def test_other_locale_stores_no_folder_twice(indexed: IndexedEnv) -> None:
    photo(indexed.photos / "Köln" / "grün.png", "green", size=(64, 51))
    indexed.run("index", indexed.photos)
    ran = start(indexed, f"P index {indexed.photos}", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert ran.stderr.decode().startswith("3 photos: 0 new, 3 unchanged; ")
    assert f"folder\t{indexed.photos}: 3 photos\n" in indexed.run("status").stdout
    with closing(sqlite3.connect(default_path())) as conn:
        assert conn.execute("SELECT count(*) FROM folders WHERE path <> ''").fetchone() == (2,)


PLAIN = ["Screen 10.00\u202fAM.png", "a\u3000b.png", "a\u00a0b.png", "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
         "back\\slash.png", "c\\tb.png"]  # fmt: skip
HARM = {"a\tb.png": r"a\tb.png", "a\nb.png": r"a\nb.png", "a\rb.png": r"a\rb.png", "a\x1b[31m.png": r"a\x1b[31m.png",
        "it's\t\\.png": r"it\'s\t\\.png", "a\x85b.png": r"a\u0085b.png"}  # fmt: skip


def test_lines_for_programs_keep_names_and_columns(indexed: IndexedEnv) -> None:
    names = [*PLAIN, "a\u202eb.png"]
    for i, name in enumerate([*names, *HARM]):
        photo(indexed.photos / "named" / name, "red", size=(64, 60 + i))
    indexed.run("index", indexed.photos)
    lines = indexed.run("find", "red", "--under", indexed.photos / "named").stdout.split("\n")[:-1]
    expected = [f"{indexed.photos}/named/{name}" for name in names]
    expected += [f"$'{indexed.photos}/named/{name}'" for name in HARM.values()]
    assert sorted(line.split("\t")[1] for line in lines) == sorted(expected)
    for name in HARM:
        line = quote(f"{indexed.photos}/named/{name}", CONTROLS)
        read = subprocess.run(["bash", "-c", f"test -e {line}"])
        assert read.returncode == 0, "bash reads it as it is"


def test_quote_and_escape_only_harmful_characters() -> None:
    for name in PLAIN:
        assert quote(name, HARMFUL) == escape(name) == name
    assert quote("a\u202eb\udcff", HARMFUL) == r"$'a\u202eb\xff'"
    assert escape("a\u202eb\udcff\x1b\x7f\x80\n") == "a\\u202eb\\xff\\x1b\\x7f\\u0080\n"


def test_to_csv_quotes_carriage_return() -> None:
    rows = [["a\rb.jpg", "red"], ["a\nb", 'say "x"'], ["a,b", "é\u2028"]]
    text = to_csv(rows).decode()
    assert text.startswith('"a\rb.jpg",red\n')
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == rows


@pytest.mark.parametrize("name", ["Geoffroy's cat", "crane (bird)", "dogs'", 'say "x"', "salt and pepper"])
def test_find_takes_label_as_labels_prints_it(indexed: IndexedEnv, name: str) -> None:
    card = toy_card(name="odd", labels=(name, "sea", "sky"), pooling={})
    model = write_toy(indexed.folder / "odd.onnx", card)
    assert (
        indexed.run(
            "index", indexed.photos, "--model", model, "--workers", 1, "--db", indexed.folder / "odd.db"
        ).exit_code
        == 0
    )
    rows = indexed.run("labels", "--db", indexed.folder / "odd.db").stdout.splitlines()
    (shown,) = [cell for row in rows if (cell := row.split("\t")[0]) == name]
    assert (
        len(indexed.run("find", *shown.split(), "--paths", "--db", indexed.folder / "odd.db").stdout.splitlines()) == 2
    )


# ---- folders that hold nothing


@pytest.mark.parametrize(
    "command", [("report", "--label", "red"), ("marks", "export"), ("find", "red"), ("duplicates",)]
)
def test_under_unknown_folder_is_error_that_lists_folders(indexed: IndexedEnv, command: tuple[str, ...]) -> None:
    indexed.run("mark", indexed.photos / "red.png", "--is", "red")
    error = fail(indexed.run(*command, "--under", "/nosuch"))
    assert [part for part in ("/nosuch: ", str(indexed.photos)) if part not in error] == []
    assert indexed.run(*command, "--under", indexed.photos).exit_code == 0


def test_index_of_empty_folder_exits_1(indexed: IndexedEnv) -> None:
    (indexed.folder / "empty").mkdir()
    result = indexed.run("index", indexed.folder / "empty", indexed.photos)
    assert result.exit_code == 1
    assert f"{indexed.folder / 'empty'}: " in result.stderr
    assert "2 photos: 0 new, 2 unchanged" in result.stderr


def test_index_of_unlisted_folder_keeps_photos(indexed: IndexedEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def scandir(path: str = ".") -> object:
        if str(path) == str(indexed.photos):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr("os.scandir", scandir)
    result = indexed.run("index", indexed.photos)
    assert result.exit_code == 1
    assert f"{indexed.photos}: can't be listed: Permission denied" in result.stderr
    assert len(indexed.run("find", "red").stdout.splitlines()) == 2, "its photos stay"


# ---- judging


@pytest.mark.option("judge --sheet")
def test_judge_names_sheet_and_changed_marks(indexed: IndexedEnv) -> None:
    for i, folder in enumerate(("first", "second"), 1):
        drawn = indexed.run("sample", "red", "-n", 4, "--to", indexed.folder / folder)
        assert f"photosearch judge red --sheet {i} 3 7 12-15" in drawn.stderr
        assert (indexed.folder / folder / "sample.csv").read_text().splitlines()[1].startswith(f"{i},1,")
    assert "1: 2 judged, 2 positive" in notes(indexed.run("judge", "red", "--sheet", 1, "1-2"))[0]
    assert "1, 2" in fail(indexed.run("judge", "red", "2"))
    changed, summary = notes(indexed.run("judge", "red", "--sheet", 2, "2"))
    assert changed == "1 mark changed: 1 no"
    assert "2: 2 judged, 1 positive" in summary
    error = fail(indexed.run("judge", "red", "--sheet", 9, "1"))
    assert [part for part in ("9", "red", "1, 2") if part not in error] == []


@pytest.mark.option("mark --forget")
def test_mark_forget_and_threshold_reset(indexed: IndexedEnv) -> None:
    path = indexed.photos / "red.png"
    indexed.run("mark", path, "--is", "red")
    assert notes(indexed.run("mark", path, "--forget", "Red")) == ["1 mark removed"]
    assert indexed.run("marks", "export").stdout == "path,label,present\n"
    indexed.run("mark", path, "--is", "red")
    own = indexed.run("labels", "--json").stdout
    indexed.run("threshold", "set", "red", 0.25)
    assert indexed.run("labels", "--json").stdout != own
    assert indexed.run("threshold", "reset", "red").exit_code == 0
    assert indexed.run("labels", "--json").stdout == own


def test_report_counts_copies_of_marked_photos_once(indexed: IndexedEnv) -> None:
    for name in ("copy.png", "another.png"):
        shutil.copy(indexed.photos / "red.png", indexed.photos / name)
    indexed.run("index", indexed.photos)
    indexed.run("mark", indexed.photos / "red.png", indexed.photos / "sub" / "rot.png", "--is", "red")
    told = json.loads(indexed.run("report", "--json").stdout)
    assert (told["n"], told["tp"], told["copies"]) == (2, 2, 2)
    assert "2 duplicates counted once" in indexed.run("report").stdout


# ---- polish


def test_failed_first_index_creates_no_library(indexed: IndexedEnv) -> None:
    for command in ((indexed.photos, "--model", "nope"), (indexed.photos / "red.png",), (indexed.folder / "nowhere",)):
        assert indexed.run("index", *command, "--db", indexed.folder / "new" / "q.db").exit_code == 1
        assert not (indexed.folder / "new").exists()


@pytest.mark.slow
def test_sigterm_exits_143(indexed: IndexedEnv) -> None:
    for i in range(8):
        photo(indexed.photos / "more" / f"{i}.png", "red", size=(64, 80 + i))
    kill = "import os, signal; from photosearch.cli import index as i; old = i.follow; i.follow = lambda *a, **k: ("
    kill += "os.kill(os.getpid(), signal.SIGTERM), old(*a, **k))[1]; from photosearch.cli.app import main; main()"
    ran = subprocess.run([sys.executable, "-c", kill, "index", indexed.photos], capture_output=True, text=True)
    assert (ran.returncode, "Stopped" in ran.stderr) == (143, True)


@pytest.mark.parametrize(
    "rows",
    [
        "path,label,present\nred.png,red,yes\nsub/rot.png,red,No\n",
        "path;label;present\nred.png;red;TRUE\nsub/rot.png;red;0\n",
    ],
)
def test_marks_import_reads_stdin_and_spreadsheet_csv(
    indexed: IndexedEnv, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    monkeypatch.chdir(indexed.photos)
    assert notes(indexed.run("marks", "import", "-", input=rows)) == ["2 rows imported"]
    assert [line[-1] for line in indexed.run("marks", "export").stdout.splitlines()[1:]] == ["1", "0"]


def test_report_on_one_photo_says_too_few(indexed: IndexedEnv) -> None:
    indexed.run("mark", indexed.photos / "red.png", "--is", "red")
    (line,) = [line for line in indexed.run("report").stdout.splitlines() if line.startswith("recall")]
    assert line.split()[1:6] == ["100.00", "%", "95", "%:", "20.65"]
    assert "too few" in line


def test_progress_logs_line_per_minute(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter(range(0, 10_000, 7))
    with show_progress(lambda: 0, False, lambda: next(times)) as progress:
        for _ in range(20):
            progress.advance()
    assert capsys.readouterr().err == "9 photos so far\n18 photos so far\n"
