"""What goes wrong around the command: photos and folders that are not there, output that can't be written."""

import csv
import functools
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
from toy import photo, toy_card, write_toy
from typer.testing import CliRunner, Result

from photosearch import default_path
from photosearch.cli.app import app
from photosearch.cli.output import CONTROLS, HARMFUL, escape, quote, show_progress, to_csv
from photosearch.index import run
from photosearch.library.database import Database
from photosearch.library.location import is_library
from photosearch.models.catalog import models_folder
from photosearch.search.similar import read_weight


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder with red.png and sub/rot.png, indexed by the toy model."""

    folder: Path
    photos: Path
    model: Path
    run: Callable[..., Result]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoders: object) -> Desk:
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "data" / "library.db"))
    monkeypatch.setattr(run, "index", functools.partial(run.index, decoders=decoders))
    photos = tmp_path / "photos"
    photo(photos / "red.png", "red")
    photo(photos / "sub" / "rot.png", "red", size=(64, 50))

    def call(*arguments: object, **options: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False, **options)

    model = write_toy(tmp_path / "toy.onnx")
    assert call("index", photos, "--model", model, "--workers", 1).exit_code == 0
    return Desk(tmp_path, photos, model, call)


def test_a_missing_photo_is_named_and_the_album_is_made_of_the_others(desk: Desk) -> None:
    (desk.photos / "red.png").unlink()
    for made in ("1 copied, 1 missing", "0 copied, 1 were there already, 1 missing"):
        result = desk.run("find", "red", "--copy-to", desk.folder / "album")
        assert (result.exit_code, result.stderr.splitlines()[-2:]) == (
            1,
            [f"{desk.photos / 'red.png'}: not copied: No such file or directory", f"{desk.folder / 'album'}: {made}"],
        )


def test_find_says_what_it_can_not_see(desk: Desk) -> None:
    (desk.photos / "red.png").unlink()
    assert [line.split("\t")[1:4:2] for line in desk.run("find", "red").stdout.splitlines()] == [
        [str(desk.photos / "red.png"), "by file, missing"],
        [str(desk.photos / "sub" / "rot.png"), "by file"],
    ]
    assert [row["there"] for row in json.loads(desk.run("find", "red", "--json").stdout)] == [False, True]
    shutil.rmtree(desk.photos)
    desk.photos.mkdir()
    assert [line.split("\t")[3] for line in desk.run("find", "red").stdout.splitlines()] == ["by file, away"] * 2


# ---- files that are not ours

HARMLESS = {
    "photo.jpg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(5000),
    "dump.sql": b'CREATE TABLE "sample_photos" (id);\n' * 200,
    "empty.txt": b"",
}


@pytest.mark.parametrize("name", [*HARMLESS, "other.db"])
def test_a_file_that_is_no_library_is_neither_rebuilt_nor_forgotten(desk: Desk, name: str) -> None:
    precious = desk.folder / "precious" / name
    precious.parent.mkdir()
    if name == "other.db":
        with closing(sqlite3.connect(precious)) as other:
            other.execute("CREATE TABLE accounts (n)")
    else:
        precious.write_bytes(HARMLESS[name])
    before = precious.read_bytes()
    for command in (("rebuild", "--force", "--yes"), ("rebuild", "--yes"), ("index", desk.photos)):
        if command[0] == "index" and name == "empty.txt":
            continue  # an empty file becomes a library
        result = desk.run(*command, "--db", precious)
        assert result.exit_code == 1
        assert f"{precious}: another program's " in result.stderr
        assert "no library of photosearch" in result.stderr
        assert precious.read_bytes() == before
        assert [p.name for p in precious.parent.iterdir() if p.suffix != ".lock"] == [name]
    if name != "empty.txt":
        assert desk.run("forget", "--all", "--yes", "--db", precious).exit_code == 1
        assert precious.read_bytes() == before


def test_forgetting_all_deletes_what_was_put_aside_of_the_library_and_nothing_else(desk: Desk) -> None:
    library = desk.folder / "data" / "library.db"
    like = library.with_name("library.db.damaged-photo.jpg")
    like.write_bytes(HARMLESS["photo.jpg"])
    assert desk.run("rebuild", "--force", "--yes").exit_code == 0
    assert len(list(library.parent.glob("library.db.damaged-2*"))) == 1
    assert desk.run("forget", "--all", "--yes").exit_code == 0
    assert sorted(p.name for p in library.parent.iterdir()) == ["library.db", like.name, "library.db.lock"]


def test_rebuild_says_what_it_will_do_and_does_nothing_without_a_yes(desk: Desk) -> None:
    library = desk.folder / "data" / "library.db"
    before = library.read_bytes()
    result = desk.run("rebuild", "--force")
    assert result.exit_code == 1
    assert f"this would start {library} anew: all scores go" in result.stderr
    assert library.read_bytes() == before


def test_a_library_that_is_still_in_its_log_is_one(tmp_path: Path) -> None:
    with Database(tmp_path / "young.db", create=True):
        assert b"CREATE TABLE" not in (tmp_path / "young.db").read_bytes()
        assert is_library(tmp_path / "young.db")


def test_whatever_stands_where_the_users_own_library_does_can_be_started_anew(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PHOTOSEARCH_DB")
    own = desk.folder / "own" / "library.db"
    monkeypatch.setattr("photosearch.library.location.default_library_path", lambda: own)
    own.parent.mkdir()
    own.write_bytes(b"\0" * 8192)
    assert desk.run("rebuild", "--yes").exit_code == 0
    assert desk.run("status").exit_code == 0


# ---- paths as a person types them


def test_a_leading_tilde_is_the_home_folder_wherever_a_path_is_given(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for command in (
        ("index", "~/photos", "--model", "~/toy.onnx", "--db", "~/q.db"),
        ("--db", "~/q.db", "find", "red", "--under", "~/photos", "--copy-to", "~/album", "--model", "~/toy.onnx"),
        ("mark", "~/photos/red.png", "--is", "red", "--db", "~/q.db"),
        ("sample", "red", "--to", "~/drawn", "-n", "4", "--db", "~/q.db"),
        ("truth", "import", "~/drawn/sample.csv", "--db", "~/q.db"),
        ("models", "show", "~/toy.onnx"),
        ("forget", "~/photos/red.png", "--db", "~/q.db"),
    ):
        result = desk.run(*command)
        assert result.exit_code == 0, (command, result.output)
    monkeypatch.setenv("PHOTOSEARCH_DB", "~/p.db")
    assert default_path() == tmp_path / "p.db"
    monkeypatch.setenv("PHOTOSEARCH_MODELS", "~/models")
    assert models_folder() == tmp_path / "models"
    assert read_weight("2:~/a.jpg") == (2.0, str(tmp_path / "a.jpg"))
    assert not (tmp_path / "~").exists()


# ---- output


def start(desk: Desk, command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of sh; P stands for the program."""
    program = f"{sys.executable} -c 'from photosearch.cli.app import main; main()'"
    environment = {**os.environ, "PYTHONUNBUFFERED": "", **environment}
    return subprocess.run(["sh", "-c", command.replace("P ", program + " ")], env=environment, capture_output=True)


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("command", ["find red", "find red --json", "find red --paths", "find red --csv", "status"])
@pytest.mark.parametrize("to", ["> /dev/full", ">&-"])
def test_stdout_that_can_not_be_written_is_told_in_a_line(desk: Desk, command: str, to: str) -> None:
    why = "No space left on device" if "full" in to else "stdout is closed"
    ran = start(desk, f"P {command} {to}")
    assert (ran.returncode, ran.stderr.decode().splitlines()[-1]) == (1, f"photosearch: can't print: {why}")
    assert b"Traceback" not in ran.stderr
    assert b"Exception" not in ran.stderr


def test_what_prints_nothing_needs_no_stdout(desk: Desk) -> None:
    assert start(desk, f"P mark {desk.photos / 'red.png'} --is red >&-").returncode == 0


@pytest.mark.slow
def test_an_encoding_that_lacks_a_name_is_no_error(desk: Desk) -> None:
    path = photo(desk.photos / "鳥.png", "red", size=(64, 51))
    desk.run("index", desk.photos)
    desk.run("mark", path, "--not", "red")
    for command in ("find red", "find red --json", "find red --paths", "status", "report"):
        ran = start(desk, f"P {command}", PYTHONIOENCODING="cp1252")
        assert (ran.returncode, b"Traceback" in ran.stderr) == (0, False), ran.stderr
    assert b"\\u9ce5.png" in ran.stdout, "report is for people"
    assert os.fsencode(path) in start(desk, "P find red", PYTHONIOENCODING="cp1252").stdout.split(b"\t")


PLAIN = ["Screen 10.00\u202fAM.png", "a\u3000b.png", "a\u00a0b.png", "\U0001f468\u200d\U0001f469\u200d\U0001f467.png",
         "back\\slash.png", "c\\tb.png"]  # fmt: skip
HARM = {"a\tb.png": r"a\tb.png", "a\nb.png": r"a\nb.png", "a\rb.png": r"a\rb.png", "a\x1b[31m.png": r"a\x1b[31m.png",
        "it's\t\\.png": r"it\'s\t\\.png", "a\x85b.png": r"a\u0085b.png"}  # fmt: skip


def test_lines_for_programs_carry_real_names_and_stay_lines(desk: Desk) -> None:
    names = [*PLAIN, "a\u202eb.png"]
    for i, name in enumerate([*names, *HARM]):
        photo(desk.photos / "named" / name, "red", size=(64, 60 + i))
    desk.run("index", desk.photos)
    lines = desk.run("find", "red", "--under", desk.photos / "named").stdout.split("\n")[:-1]
    expected = [f"{desk.photos}/named/{name}" for name in names]
    expected += [f"$'{desk.photos}/named/{name}'" for name in HARM.values()]
    assert sorted(line.split("\t")[1] for line in lines) == sorted(expected)
    for name in HARM:
        line = quote(f"{desk.photos}/named/{name}", CONTROLS)
        read = subprocess.run(["bash", "-c", f"test -e {line}"])
        assert read.returncode == 0, "bash reads it as it is"


def test_the_table_for_people_escapes_only_what_can_harm_a_terminal() -> None:
    for name in PLAIN:
        assert quote(name, HARMFUL) == escape(name) == name
    assert quote("a\u202eb\udcff", HARMFUL) == r"$'a\u202eb\xff'"
    assert escape("a\u202eb\udcff\x1b\n") == "a\\u202eb\\xff\\x1b\n"


def test_csv_with_a_carriage_return_is_read_back_whatever_the_python() -> None:
    rows = [["a\rb.jpg", "red"], ["a\nb", 'say "x"'], ["a,b", "é\u2028"]]
    text = to_csv(rows).decode()
    assert text.startswith('"a\rb.jpg",red\n')
    assert list(csv.reader(io.StringIO(text, newline=""), strict=True)) == rows


@pytest.mark.parametrize("name", ["Geoffroy's cat", "crane (bird)", "dogs'", 'say "x"', "salt and pepper"])
def test_whatever_labels_shows_can_be_asked_for_as_it_is_shown(desk: Desk, name: str) -> None:
    card = toy_card(name="odd", labels=(name, "sea", "sky"), pooling={})
    model = write_toy(desk.folder / "odd.onnx", card)
    assert (
        desk.run("index", desk.photos, "--model", model, "--workers", 1, "--db", desk.folder / "odd.db").exit_code == 0
    )
    shown = desk.run("labels", "--db", desk.folder / "odd.db").stdout.splitlines()[0].split("\t")[0]
    assert shown == name
    assert len(desk.run("find", *shown.split(), "--paths", "--db", desk.folder / "odd.db").stdout.splitlines()) == 2


# ---- folders that hold nothing


@pytest.mark.parametrize(
    "command", [("report", "--label", "red"), ("truth", "export"), ("find", "red"), ("duplicates",)]
)
def test_a_folder_that_is_not_known_is_an_error_that_lists_the_known(desk: Desk, command: tuple[str, ...]) -> None:
    desk.run("mark", desk.photos / "red.png", "--is", "red")
    result = desk.run(*command, "--under", "/nosuch")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith(f"/nosuch: not in an indexed folder; indexed are: {desk.photos}\n")
    assert desk.run(*command, "--under", desk.photos).exit_code == 0


def test_a_named_folder_without_a_photo_is_news(desk: Desk) -> None:
    (desk.folder / "empty").mkdir()
    result = desk.run("index", desk.folder / "empty", desk.photos)
    assert result.exit_code == 1
    assert f"{desk.folder / 'empty'}: holds no photo that can be read here" in result.stderr
    assert "2 photos: 0 new, 2 unchanged" in result.stderr


def test_a_named_folder_that_can_not_be_listed_is_news(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = os.scandir

    def scandir(path: str = ".") -> object:
        if str(path) == str(desk.photos):
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr("os.scandir", scandir)
    result = desk.run("index", desk.photos)
    assert result.exit_code == 1
    assert f"{desk.photos}: can't be listed: Permission denied; what is known of it stays" in result.stderr


# ---- judging


@pytest.mark.option("judge --sheet")
def test_judge_names_its_sheet_and_says_which_marks_it_changes(desk: Desk) -> None:
    for i, folder in enumerate(("first", "second"), 1):
        drawn = desk.run("sample", "red", "-n", 4, "--to", desk.folder / folder)
        assert f"photosearch judge red --sheet {i} 3 7 12-15" in drawn.stderr
        assert (desk.folder / folder / "sample.csv").read_text().splitlines()[1].startswith(f"{i},1,")
    assert desk.run("judge", "red", "--sheet", 1, "1-2").stderr.startswith("sheet 1: 2 judged, 2 of them red")
    assert "several sheets were drawn for red: 1, 2; say which you judge" in desk.run("judge", "red", "2").stderr
    again = desk.run("judge", "red", "--sheet", 2, "2").stderr.splitlines()
    assert again == ["1 mark changed: 1 no", "sheet 2: 2 judged, 1 of them red; now: photosearch report"]
    assert "no sheet 9 was drawn for red; there are 1, 2" in desk.run("judge", "red", "--sheet", 9, "1").stderr


@pytest.mark.option("mark --forget", "report --reset")
def test_a_mark_and_a_threshold_can_be_taken_back(desk: Desk) -> None:
    path = desk.photos / "red.png"
    desk.run("mark", path, "--is", "red")
    assert desk.run("mark", path, "--forget", "Red").stderr == "1 mark taken back\n"
    assert desk.run("truth", "export").stdout == "path,label,present\n"
    desk.run("mark", path, "--is", "red")
    own = desk.run("labels", "--json").stdout
    desk.run("report", "--label", "red", "--threshold", 0.25, "--save")
    assert desk.run("labels", "--json").stdout != own
    assert desk.run("report", "--label", "red", "--reset").exit_code == 0
    assert desk.run("labels", "--json").stdout == own


def test_copies_of_one_picture_count_once_in_a_report(desk: Desk) -> None:
    for name in ("copy.png", "another.png"):
        shutil.copy(desk.photos / "red.png", desk.photos / name)
    desk.run("index", desk.photos)
    desk.run("mark", desk.photos / "red.png", desk.photos / "sub" / "rot.png", "--is", "red")
    told = json.loads(desk.run("report", "--json").stdout)
    assert (told["n"], told["tp"], told["copies"]) == (2, 2, 2)
    assert "2 photos more show the same pictures: each picture counts once" in desk.run("report").stdout


# ---- polish


def test_a_first_index_that_fails_leaves_no_empty_library(desk: Desk) -> None:
    for command in ((desk.photos, "--model", "nope"), (desk.photos / "red.png",), (desk.folder / "nowhere",)):
        assert desk.run("index", *command, "--db", desk.folder / "new" / "q.db").exit_code == 1
        assert not (desk.folder / "new").exists()


@pytest.mark.slow
def test_a_polite_kill_ends_with_143(desk: Desk) -> None:
    for i in range(8):
        photo(desk.photos / "more" / f"{i}.png", "red", size=(64, 80 + i))
    kill = "import os, signal; from photosearch.cli import index as i; old = i._follow; i._follow = lambda *a, **k: ("
    kill += "os.kill(os.getpid(), signal.SIGTERM), old(*a, **k))[1]; from photosearch.cli.app import main; main()"
    ran = subprocess.run([sys.executable, "-c", kill, "index", desk.photos], capture_output=True, text=True)
    assert (ran.returncode, "Stopped. What was done is kept" in ran.stderr) == (143, True)


@pytest.mark.parametrize(
    "rows",
    [
        "path,label,present\nred.png,red,yes\nsub/rot.png,red,No\n",
        "path;label;present\nred.png;red;TRUE\nsub/rot.png;red;0\n",
    ],
)
def test_truth_is_read_from_stdin_and_as_spreadsheets_write_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, rows: str
) -> None:
    monkeypatch.chdir(desk.photos)
    assert desk.run("truth", "import", "-", input=rows).stderr == "2 rows kept\n"
    assert [line[-1] for line in desk.run("truth", "export").stdout.splitlines()[1:]] == ["1", "0"]


def test_a_report_on_few_photos_says_that_they_are_too_few(desk: Desk) -> None:
    desk.run("mark", desk.photos / "red.png", "--is", "red")
    assert "recall      100.00 %   95 %: 20.65 to 100.00 (too few to say)" in desk.run("report").stdout


def test_a_log_gets_a_line_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter(range(0, 10_000, 7))
    with show_progress(lambda: 0, False, lambda: next(times)) as progress:
        for _ in range(20):
            progress.advance()
    assert capsys.readouterr().err == "9 photos so far\n18 photos so far\n"
