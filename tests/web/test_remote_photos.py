"""Photos on a web server: every command shows them by address, and what needs a file says so in one line."""

import csv
import functools
import http.server
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
from cli_env import CliEnv, make_cli_env
from http_client import run_server
from toy import photo, sight_card, write_toy

from photosearch.library.database import Database
from photosearch.web.html_export import ExportedPhoto

NEEDED = ("fsspec", "aiohttp", "requests")
pytestmark = pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason=f"http:// needs {', '.join(NEEDED)}")


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Remote:
    env: CliEnv
    root: str

    def run(self, *arguments: object) -> tuple[int, str, str]:
        result = self.env.run(*arguments)
        assert "1970" not in result.output
        return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    """Four red photos at http://127.0.0.1:PORT, which gives no dates, two of them equal; one has a date in its name."""
    folder = tmp_path_factory.mktemp("remote")
    photos = folder / "served"
    photo(photos / "red.png", "red")
    photo(photos / "2024" / "a b#.png", "red")
    photo(photos / "IMG_20200501_120000.png", "red", size=(90, 80))
    photo(photos / "large.png", "red", size=(190, 80))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(photos)))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    env = make_cli_env(folder / "env")
    write_toy(env.model, sight_card())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_DB", str(env.library))
        patch.chdir(folder)
        found = Remote(env, f"http://127.0.0.1:{server.server_address[1]}")
        assert env.run("index", f"{found.root}/", "--model", env.model).exit_code == 0
        yield found
    server.shutdown()
    server.server_close()


def find_paths(remote: Remote) -> list[str]:
    names = ("2024/a%20b%23.png", "IMG_20200501_120000.png", "large.png", "red.png")
    paths = [f"{remote.root}/{name}" for name in names]
    assert sorted(remote.env.run("find", "red", "--copies", "--paths").stdout.splitlines()) == paths
    return paths


def test_find_gives_addresses_and_no_date_that_nobody_knows(remote: Remote) -> None:
    rows = json.loads(remote.run("find", "red", "--copies", "--json")[1])["photos"]
    assert sorted(row["path"] for row in rows) == find_paths(remote)
    dates = {row["path"].rpartition("/")[2]: (row["taken"], row["taken_from"]) for row in rows}
    assert dates.pop("IMG_20200501_120000.png") == ("2020-05-01T12:00:00", "name")
    assert set(dates.values()) == {("", "")}
    assert remote.run("find", "red", "--until", "2021", "--file-dates", "--paths")[1].count("\n") == 1
    assert remote.run("find", "red", "--sort", "date", "--paths")[1].startswith(f"{remote.root}/IMG_2020")
    assert remote.run("find", "red", "--csv")[0] == 0
    assert remote.run("find", "red", "--under", f"{remote.root}/2024", "--paths")[1] == f"{find_paths(remote)[0]}\n"


def test_page_shows_and_links_addresses(remote: Remote, tmp_path: Path) -> None:
    assert remote.run("find", "red", "--copies", "--html", tmp_path / "o.html")[0] == 0
    text = (tmp_path / "o.html").read_text()
    assert sorted(re.findall('<a href="([^"]*)"', text)) == sorted(re.findall("<bdi>(.*?)</bdi>", text))
    assert sorted(re.findall("<bdi>(.*?)</bdi>", text)) == find_paths(remote)
    assert text.count('<img src="data:image/jpeg') == 4
    assert "1970" not in text


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("https://host/a b\u202e.jpg", "https://host/a%20b%E2%80%AE.jpg"), ("s3://bucket/a.jpg", ""),
        ("javascript://host/%0aalert(1)", ""), ("a.jpg", ""), ("/a/b c.jpg", "file:///a/b%20c.jpg"),
    ],
)  # fmt: skip
def test_page_links_what_a_browser_opens(path: str, url: str) -> None:
    assert ExportedPhoto(path, 1.0).url == url


def test_photos_at_addresses_are_copied_and_cannot_be_linked(remote: Remote, tmp_path: Path) -> None:
    copies, links = tmp_path / "copies", tmp_path / "links"
    assert remote.run("find", "red", "--copies", "--copy-to", copies) == (0, "", f"{copies}: 4 copied\n")
    assert len(list(copies.iterdir())) == 4
    status, _, message = remote.run("find", "red", "--copies", "--link-to", links)
    assert (status, message.splitlines()[-1]) == (1, f"{links}: 0 linked, 4 left out")
    assert list(links.iterdir()) == []


def test_keywords_say_in_a_line_that_they_need_files(remote: Remote) -> None:
    line = "0 side-cars written, 0 unchanged, 4 photos at addresses left out: a side-car needs a folder\n"
    assert remote.run("keywords", "export", "red") == (1, "", line)
    line = "0 side-cars to write, 0 unchanged, 4 photos at addresses left out: a side-car needs a folder\n"
    assert remote.run("keywords", "export", "red", "--dry-run", "--short") == (1, "", line)
    line = "0 marks imported from 0 photos with keywords or a rating; 4 photos at addresses not read\n"
    assert remote.run("keywords", "import") == (0, "", line)


def test_folders_that_look_like_an_address_are_not_touched(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """http://host/a.png, taken for a path, would be http:/host/a.png in the working folder."""
    monkeypatch.chdir(tmp_path)
    trap = Path(remote.root.replace("//", "/"), "red.png")
    trap.parent.mkdir(parents=True)
    trap.write_bytes(b"a trap")
    assert remote.run("keywords", "export", "red")[0] == 1
    assert remote.run("find", "red", "--copy-to", "album")[0] == 0
    assert b"a trap" not in [copy.read_bytes() for copy in (tmp_path / "album").iterdir()]
    assert [file.name for file in trap.parent.iterdir()] == ["red.png"]


def test_marks_samples_and_reports_take_addresses(remote: Remote, tmp_path: Path) -> None:
    red, *_ = paths = find_paths(remote)[::-1]
    assert remote.run("mark", red, "--is", "red")[0] == 0
    (tmp_path / "marks.csv").write_text(remote.run("marks", "export")[1])
    assert red in (tmp_path / "marks.csv").read_text()
    assert remote.run("marks", "import", tmp_path / "marks.csv")[0] == 0
    assert remote.run("sample", "red", "-n", "10", "--to", tmp_path / "sample")[0] == 0
    rows = list(csv.DictReader((tmp_path / "sample" / "sample.csv").read_text().splitlines()))
    assert {row["path"] for row in rows} < set(paths)
    code, _, err = remote.run("judge", "red", "1-2")
    assert (code, "missing" in err) == (0, False)
    assert remote.run("report", "--label", "red", "--html", tmp_path / "report.html")[0] == 0
    assert remote.run("find", "--like", red, "--paths")[1].startswith(remote.root)
    with Database(remote.env.library) as db:
        db.write("DELETE FROM marks")  # other tests ask for red photos, too


def test_duplicates_show_addresses(remote: Remote) -> None:
    code, out, _ = remote.run("duplicates", "--exact", "--json")
    assert code == 0
    assert sorted(member["path"] for member in json.loads(out)[0]) == find_paths(remote)[::3]


@pytest.mark.parametrize("command", ["errors", "status", "folders", "labels"])
def test_other_commands_end_well(remote: Remote, command: str) -> None:
    assert remote.run(command)[0] == 0


def test_forget_names_an_address_without_photos(remote: Remote) -> None:
    code, _, err = remote.run("forget", "http://h/a", "--yes")
    assert (code, "http://h/a: the library knows no photo there; nothing was forgotten" in err) == (1, True)


@pytest.mark.slow
def test_browse_shows_addresses(remote: Remote) -> None:
    with run_server(remote.env.library, "--albums", remote.env.folder / "albums") as client:
        found = client.get_json("find?words=red&copies=1")
        assert sorted(row["path"] for row in found["photos"]) == find_paths(remote)
        (row,) = [row for row in found["photos"] if row["name"] == "large.png"]
        assert (row["taken"], row["taken_from"]) == ("", "")
        (file,) = client.get_json(f"details?image_id={row['image_id']}")["files"]
        assert (file["name"], file["mtime_ns"], file["unavailable"]) == ("large.png", None, None)
        assert client.send("GET", f"/thumbnails/{row['image_id']}").status == 200
        album = client.post_json("album", result=found["result"], name="x", how="copy", ranges=None)
        assert (album["created"], album["missing"]) == (4, 0)


def test_undated_file_has_no_date(remote: Remote) -> None:
    """An mtime of 0 is what archives and storages write that know none; any other is a date."""
    with Database(remote.env.library) as db:
        before = db.rows("SELECT id, mtime_ns FROM photos")
        assert {mtime for _, mtime in before} == {0}
        db.write("UPDATE photos SET mtime_ns = 1000000000000000000")
    try:
        rows = json.loads(remote.env.run("find", "red", "--json").stdout)["photos"]
        assert {row["taken"][:4] for row in rows} == {"2001", "2020"}
        assert {row["taken_from"] for row in rows} == {"file", "name"}
    finally:
        with Database(remote.env.library) as db:
            db.write("UPDATE photos SET mtime_ns = 0")
