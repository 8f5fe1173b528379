"""Pages to keep: one file with all in it, that loads and runs nothing of others', and says what find and report say."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest
from cli_env import Desk, photosearch
from toy import photo

from photosearch import Library
from photosearch.web.html_export import export_found


@pytest.fixture
def here(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.option("find --html")
def test_a_page_holds_every_photo_that_find_finds_with_its_picture(desk: Desk, here: Path) -> None:
    result = desk.run("find", "blue", "--html", "blue.html")
    assert (result.exit_code, result.stdout) == (0, "")
    paths = desk.run("find", "blue", "--paths").stdout.splitlines()
    assert re.fullmatch(rf"blue.html: {len(paths)} photos, 0.0 MB\n", result.stderr)
    text = (here / "blue.html").read_text()
    pictures = re.findall(r'<img src="data:image/jpeg;base64,([\w+/=]+)"', text)
    assert [b64decode(p)[:2] for p in pictures] == [b"\xff\xd8"] * len(paths)
    shown = [name.replace("&lt;", "<").replace("&gt;", ">") for name in re.findall("<bdi>(.*?)</bdi>", text)]
    assert shown == paths
    assert os.listdir(here) == ["blue.html"], "and nothing that was written aside"
    assert oct((here / "blue.html").stat().st_mode & 0o777) == "0o600"


def test_a_page_needs_nothing_from_elsewhere_and_lets_nothing_in(desk: Desk, here: Path) -> None:
    desk.run("find", "blue", "--html", "blue.html")
    text = (here / "blue.html").read_text()
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'sha256-" in text.replace(
        "&#39;", "'"
    )
    assert set(re.findall(r'(?:src|href)="(\w+):', text)) == {"data", "file"}
    assert text.count("<script>") == 1, "its own; the photo's name is text"
    assert "&lt;script&gt;.jpg" in text


def test_a_label_and_a_name_that_are_html_come_out_as_text(desk: Desk, here: Path) -> None:
    with Library(desk.library) as library:
        library.labels.add("<b>", "a blue thing")
        try:
            export_found(library, library.find('"<b>"', min_score=0.0), here / "b.html")
        finally:
            library.labels.remove("<b>")
    text = (here / "b.html").read_text()
    assert "<h1>&lt;b&gt;</h1>" in text
    assert "<b>" not in re.sub(r"<b>\d\.\d{3}</b>", "", text)


def test_what_finds_no_room_is_left_out_and_said(desk: Desk, here: Path) -> None:
    with Library(desk.library) as library:
        answer = library.find("blue")
        whole = export_found(library, answer, here / "whole.html")
        some = export_found(library, answer, here / "some.html", most_bytes=2500)
    assert (whole.photos, whole.left_out) == (len(answer), 0)
    assert 0 < some.photos < whole.photos
    assert some.left_out == whole.photos - some.photos
    assert f"{some.left_out} more found no room on this page" in (here / "some.html").read_text()
    assert (here / "some.html").stat().st_size == some.size_bytes < whole.size_bytes


def test_a_photo_that_cant_be_opened_says_why_in_its_place(desk: Desk, here: Path) -> None:
    path = desk.photos / "2019" / "blue.webp"
    shutil.rmtree(desk.library.with_name("library.db.thumbnails"), ignore_errors=True)  # it would be shown from there
    aside = path.rename(here / "aside.webp")
    try:
        desk.run("find", "blue", "--html", "blue.html")
    finally:
        aside.rename(path)
    assert "blue.webp: no such file or directory" in (here / "blue.html").read_text()


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems allow UTF-8 names only")
def test_a_name_that_is_not_utf8_stands_on_a_page(desk: Desk, here: Path) -> None:
    odd = os.fsencode(desk.photos) + b"/bl\xffe.png"
    os.rename(photo(desk.photos / "x.png", "blue", size=(99, 99)), odd)
    try:
        assert desk.index().exit_code == 0
        assert desk.run("find", "blue", "--html", "blue.html").exit_code == 0
        text = (here / "blue.html").read_text()
        assert "bl\\udcffe.png" in text
        assert "bl%FFe.png" in text, "the link leads to the very file"
    finally:
        os.unlink(odd)
        desk.index()


def test_a_page_that_cant_be_written_says_so_and_leaves_the_old_one(desk: Desk, here: Path) -> None:
    (here / "folder").mkdir()
    result = desk.run("find", "blue", "--html", "folder")
    assert result.exit_code == 1
    assert "photosearch: folder: can't be written: Is a directory" in result.stderr
    assert os.listdir(here) == ["folder"]


@pytest.mark.option("report --html")
def test_a_report_is_a_page_with_its_table_its_curve_and_its_mistakes_as_pictures(desk: Desk, here: Path) -> None:
    names = {"red.jpg": True, "2019/white.png": False, "2019/blue.webp": True, "2020/IMG_20200502_120000.png": False}
    for name, present in names.items():
        assert desk.run("mark", desk.photos / name, "--is" if present else "--not", "red").exit_code == 0
    try:
        result = desk.run("report", "--label", "red", "--html", "red.html")
        assert "red.html: 2 mistakes as pictures, 0.0 MB" in result.stderr
        assert "precision    50.00 %" in result.stdout
    finally:
        desk.run("mark", *(desk.photos / name for name in names), "--forget", "red")
    text = (here / "red.html").read_text()
    assert re.findall(r"<td>([\d,]+)</td><td>([\d,]+)</td></tr>", text)[:2] == [("1", "1"), ("1", "1")]
    assert re.findall(r'"row">(\w+)</th><td>([^<]*)</td>', text)[1:5] == [
        (name, "50.0 %") for name in ("precision", "recall", "f1", "accuracy")
    ]
    assert re.findall(r'<img src="data:[^"]*" alt="([^"]*)"', text) == ["copy.png", "blue.webp"]
    assert text.count("<svg ") == 2
    assert '<polyline class="curve" points="0.0,400.0 0.0,400.0 ' in text


@pytest.mark.option("find --open")
def test_open_writes_a_page_beside_the_library_and_shows_it(desk: Desk, here: Path) -> None:
    (here / "opener").write_text('#!/bin/sh\necho "$1" > opened\n')
    (here / "opener").chmod(0o700)
    run = photosearch("find", "blue", "--open", env={**os.environ, "BROWSER": str(here / "opener")}, cwd=here)
    out, said = run.communicate(timeout=60)
    assert (run.returncode, out) == (0, ""), said
    page = desk.library.with_name("library.db.found.html")
    assert (here / "opened").read_text() == page.as_uri() + "\n"
    assert "blue" in page.read_text()
    assert desk.run("forget", desk.photos / "nothing").exit_code == 0
    assert not page.exists(), "it would still show what was forgotten"
    assert not desk.library.with_name("library.db.thumbnails").exists()


@pytest.mark.parametrize("other", [("--labels",), ("--retrieval", "queries.csv")])
def test_a_page_is_a_report_on_one_label_and_no_other_report_takes_no_notice(desk: Desk, here: Path, other) -> None:
    result = desk.run("report", *other, "--html", "red.html")
    assert result.exit_code == 1
    assert "leave out --html" in result.stderr
    assert list(here.iterdir()) == []


def drawn_on_a_terminal(columns: int, *arguments: str) -> str:
    """What the command draws on one that answers no question."""
    import pty
    import termios

    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (25 * bool(columns), columns))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    environment.pop("COLUMNS", None)
    code = "from photosearch.cli.app import main; main()"
    run = subprocess.Popen(
        [sys.executable, "-P", "-c", code, *arguments], stdin=its, stdout=its, stderr=its, env=environment
    )
    os.close(its)
    drawn = b""
    with contextlib.suppress(OSError):  # how Linux says that nobody writes any more
        while data := os.read(ours, 1 << 16):
            drawn += data
    os.close(ours)
    run.wait()
    return drawn.decode()


@pytest.mark.option("find --preview")
def test_preview_draws_on_a_terminal_and_nowhere_else(desk: Desk, here: Path) -> None:
    result = desk.run("find", "blue", "--preview")
    assert result.exit_code == 1
    assert result.stderr == "photosearch: --preview draws on a terminal, and this is none; --html FILE writes a page\n"
    if sys.platform == "win32":
        return
    assert "this terminal does not say how large it is" in drawn_on_a_terminal(0, "find", "blue", "--preview")
    text = drawn_on_a_terminal(80, "find", "blue and not red", "--preview", "-n", "2")
    assert re.search(r"\x1b\[38;2;0;0;25\d;48;2;0;0;25\dm▀", text), "a blue photo, in half-blocks"
    assert "1.000" in text
    assert "Traceback" not in text
