"""Exported pages: one file with its thumbnails, which loads nothing and runs its own script only. --open, --preview."""

import os
import re
import shutil
import sys
import webbrowser
from base64 import b64decode
from pathlib import Path

import pytest
from cli_env import CliEnv, photosearch, run_on_terminal
from toy import photo

from photosearch import Library
from photosearch.web.html_export import export_found


@pytest.fixture
def here(cli_env: CliEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.option("find --html")
def test_export_has_every_found_photo_with_its_thumbnail(cli_env: CliEnv, here: Path) -> None:
    result = cli_env.run("find", "blue", "--html", "blue.html")
    assert (result.exit_code, result.stdout) == (0, "")
    paths = cli_env.run("find", "blue", "--paths").stdout.splitlines()
    assert re.fullmatch(rf"blue.html: {len(paths)} photos, [\d.]+ .B\n", result.stderr)
    text = (here / "blue.html").read_text()
    thumbnails = re.findall(r'<img src="data:image/jpeg;base64,([\w+/=]+)"', text)
    assert [b64decode(data)[:2] for data in thumbnails] == [b"\xff\xd8"] * len(paths)
    captions = [name.replace("&lt;", "<").replace("&gt;", ">") for name in re.findall("<bdi>(.*?)</bdi>", text)]
    assert captions == paths
    assert os.listdir(here) == ["blue.html"], "no temporary file is left"
    assert oct((here / "blue.html").stat().st_mode & 0o777) == "0o600"


def test_export_loads_nothing_and_runs_its_own_script_only(cli_env: CliEnv, here: Path) -> None:
    cli_env.run("find", "blue", "--html", "blue.html")
    text = (here / "blue.html").read_text()
    assert "Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'sha256-" in text.replace(
        "&#39;", "'"
    )
    assert set(re.findall(r'(?:src|href)="(\w+):', text)) == {"data", "file"}
    assert text.count("<script>") == 1
    assert "&lt;script&gt;.jpg" in text


def test_export_escapes_names(cli_env: CliEnv, here: Path) -> None:
    with Library(cli_env.library) as library:
        library.labels.add("<b>", "a blue thing")
        try:
            export_found(library, library.find('"<b>"', min_score=0.0), here / "b.html")
        finally:
            library.labels.remove("<b>")
    text = (here / "b.html").read_text()
    assert "<h1>&lt;b&gt;</h1>" in text
    assert "<b>" not in re.sub(r"<b>\d\.\d{3}</b>", "", text)


def test_export_beyond_max_bytes_leaves_photos_out_and_tells_how_many(cli_env: CliEnv, here: Path) -> None:
    with Library(cli_env.library) as library:
        answer = library.find("blue")
        whole = export_found(library, answer, here / "whole.html")
        part = export_found(library, answer, here / "part.html", max_bytes=2500)
    assert whole.left_out == 0
    assert 0 < part.photos < whole.photos
    assert part.left_out == whole.photos - part.photos
    assert f"{part.left_out} more did not fit on this page" in (here / "part.html").read_text()
    assert (here / "part.html").stat().st_size == part.size_bytes < whole.size_bytes


def test_export_gives_the_reason_for_a_missing_file(cli_env: CliEnv, here: Path) -> None:
    path = cli_env.photos / "2019" / "blue.webp"
    shutil.rmtree(cli_env.library.with_name("library.db.thumbnails"), ignore_errors=True)  # the cache would have it
    moved = path.rename(here / "moved.webp")
    try:
        cli_env.run("find", "blue", "--html", "blue.html")
    finally:
        moved.rename(path)
    assert "blue.webp: no such file or directory" in (here / "blue.html").read_text()


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems allow UTF-8 names only")
def test_export_shows_and_links_a_name_that_is_not_utf8(cli_env: CliEnv, here: Path) -> None:
    odd = os.fsencode(cli_env.photos) + b"/bl\xffe.png"
    os.rename(photo(cli_env.photos / "x.png", "blue", size=(99, 99)), odd)
    try:
        assert cli_env.index().exit_code == 0
        assert cli_env.run("find", "blue", "--html", "blue.html").exit_code == 0
        text = (here / "blue.html").read_text()
        assert "bl\\xffe.png" in text
        assert "bl%FFe.png" in text
    finally:
        os.unlink(odd)
        cli_env.index()


def test_export_to_a_folder_fails_and_leaves_it(cli_env: CliEnv, here: Path) -> None:
    (here / "folder").mkdir()
    result = cli_env.run("find", "blue", "--html", "folder")
    assert result.exit_code == 1
    assert "photosearch: folder: is a folder; name a file in it" in result.stderr
    assert os.listdir(here) == ["folder"]


@pytest.mark.option("report --html")
def test_report_export_has_figures_curve_and_mistakes(cli_env: CliEnv, here: Path) -> None:
    names = {"red.jpg": True, "2019/white.png": False, "2019/blue.webp": True, "2020/IMG_20200502_120000.png": False}
    for name, present in names.items():
        assert cli_env.run("mark", cli_env.photos / name, "--is" if present else "--not", "red").exit_code == 0
    try:
        result = cli_env.run("report", "--label", "red", "--html", "red.html")
        assert "red.html: 2 mistakes" in result.stderr
        assert re.search("precision +50.00 %", result.stdout)
    finally:
        cli_env.run("mark", *(cli_env.photos / name for name in names), "--forget", "red")
    text = (here / "red.html").read_text()
    assert re.findall(r"<td>([\d,]+)</td><td>([\d,]+)</td></tr>", text)[:2] == [("1", "1"), ("1", "1")]
    assert re.findall(r'"row">(\w+)</th><td>([^<]*)</td>', text)[1:5] == [
        (name, "50.0 %") for name in ("precision", "recall", "f1", "accuracy")
    ]
    assert re.findall(r'<img src="data:[^"]*" alt="([^"]*)"', text) == ["copy.png", "blue.webp"]
    assert text.index("False positives") < text.index("copy.png") < text.index("Missed photos")
    assert text.count("<svg ") == 2
    assert '<polyline class="curve" points="0.0,400.0 0.0,400.0 ' in text


@pytest.mark.option("find --open")
def test_open_writes_a_page_beside_the_library_and_forget_deletes_it(cli_env: CliEnv, here: Path) -> None:
    (here / "opener").write_text('#!/bin/sh\necho "$1" > opened\n')
    (here / "opener").chmod(0o700)
    run = photosearch("find", "blue", "--open", env={**os.environ, "BROWSER": str(here / "opener")}, cwd=here)
    out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (0, ""), err
    page = cli_env.library.with_name("library.db.found.html")
    assert (here / "opened").read_text() == page.as_uri() + "\n"
    assert "blue" in page.read_text()
    assert cli_env.run("forget", cli_env.photos, "--yes").exit_code == 0
    assert not page.exists(), "it would still show forgotten photos"
    assert not cli_env.library.with_name("library.db.thumbnails").exists()
    assert cli_env.run("index", cli_env.photos).exit_code == 0  # for the tests that follow


def test_open_names_the_page_where_no_browser_opens(
    cli_env: CliEnv, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    result = cli_env.run("find", "blue", "--open")
    page = cli_env.library.with_name("library.db.found.html")
    assert (result.exit_code, result.stderr.splitlines()[1:]) == (
        1, [f"photosearch: can't open a browser here; the page is {page}"],
    )  # fmt: skip


@pytest.mark.parametrize("other", [("--labels",), ("--retrieval", "queries.csv")])
def test_report_refuses_html_with_another_kind_of_report(cli_env: CliEnv, here: Path, other: tuple[str, ...]) -> None:
    result = cli_env.run("report", *other, "--html", "red.html")
    assert result.exit_code == 1
    assert "leave out --html" in result.stderr
    assert list(here.iterdir()) == []


@pytest.mark.slow
@pytest.mark.option("find --preview")
def test_preview_draws_on_a_terminal_only(cli_env: CliEnv, here: Path) -> None:
    result = cli_env.run("find", "blue", "--preview")
    assert result.exit_code == 1
    assert result.stderr.startswith("photosearch: --preview")
    if sys.platform == "win32":
        return
    for size in ((0, 0), (80, 0), (0, 25)):
        assert "stty cols" in run_on_terminal("find", "blue", "--preview", size=size)
    text = run_on_terminal("find", "blue and not red", "--preview", "-n", "2")
    assert re.search(r"\x1b\[38;2;0;0;25\d;48;2;0;0;25\dm▀", text), "a blue photo, in half-blocks"
    assert "1.000" in text
    assert "Traceback" not in text


def test_export_parts_the_photos_that_are_not_sure(leaves: Path, here: Path) -> None:
    with Library(leaves) as library:
        export_found(library, library.find("a blue beech", max_similar=100), here / "both.html")
        export_found(library, library.find("zebra"), here / "unsure.html")
        export_found(library, library.find(), here / "all.html")
    both, unsure, everything = ((here / f"{name}.html").read_text() for name in ("both", "unsure", "all"))
    before, heading, after = both.partition("<h2>Not sure about these</h2>")
    assert (before.count("<figure>"), after.count("<figure>")) == (12, 12)
    assert "<p>Did you mean beach for &#39;beech&#39;?</p>" in before
    assert unsure.index(heading) < unsure.index("<figure>")
    assert heading not in everything
    assert "<h1>All photos</h1>" in everything
    assert "model:" not in everything
    assert len(re.findall(r"<figcaption>20\d\d-", everything)) == 24, "a date alone, where nothing else ranks"
    assert len(re.findall(r" \+1 copy<br>", everything)) == 1
