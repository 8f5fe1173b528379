"""Who may come in, and what nobody may do: each attack on a page that listens on this machine, and its refusal."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_env import Desk, photosearch
from http_client import Answer, Visitor, browsing
from toy import photo

import photosearch as package
from photosearch import Library

WATCH = """
import os, sys
def watch(event, arguments):
    if event.startswith("socket."):
        with open(os.environ["SAID"], "a") as said:
            print(event, arguments[1] if event == "socket.bind" else "", file=said)
sys.addaudithook(watch)
with open(os.environ["SAID"], "a") as said:
    print("watched", file=said)
"""
STRANGERS = ("http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "https://127.0.0.1:{port}", None)
PAGES = ("/", "/judge", "/duplicates", "/unreadable", "/static/search.js", "/api/find?words=red", "/thumbnails/1")


def refuses(given: Answer) -> bool:
    return given.status == 403 and given.body.startswith(b"Not from here.")


@pytest.mark.parametrize("target", PAGES)
@pytest.mark.parametrize("cookie", [None, "photosearch-{port}=", "photosearch-{port}=wrong", "photosearch-{port}=\xe9"])
def test_without_the_right_cookie_nothing_is_shown(visitor: Visitor, target: str, cookie: str | None) -> None:
    given = visitor.send("GET", target, cookie=cookie and cookie.format(port=visitor.port))
    assert refuses(given)
    assert "set-cookie" not in given.headers


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%E9", "?token=a&token=b", "?Token=x"])
def test_a_wrong_token_opens_nothing(visitor: Visitor, token: str) -> None:
    given = visitor.send("GET", f"/enter{token}", cookie=None)
    assert refuses(given)
    assert "set-cookie" not in given.headers


def test_the_address_works_once_and_the_cookie_is_for_this_server_and_no_script(desk: Desk) -> None:
    with browsing(desk.library, enter=False) as visitor:
        target = visitor.address.partition(str(visitor.port))[2]
        assert re.fullmatch(r"/enter\?token=[\w-]{43}", target), "256 bits of it"
        given = visitor.enter()
        assert given.status == 200
        assert re.fullmatch(rf"photosearch-{visitor.port}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=strict",
                            given.headers["set-cookie"])  # fmt: skip
        assert visitor.cookie is not None
        assert target.partition("=")[2] not in visitor.cookie, "who sees the address in a list of processes has no key"
        assert refuses(visitor.send("GET", target, cookie=None))
        assert visitor.enter().status == 200, "whoever is in already may load it again"
        assert visitor.send("GET", "/").status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", "", None]
)
@pytest.mark.parametrize("target", ["/", "/api/status", "/enter?token=x"])
def test_another_host_is_refused_though_the_cookie_is_right(visitor: Visitor, host: str | None, target: str) -> None:
    given = visitor.send("GET", target, host=host and host.format(port=visitor.port))
    assert refuses(given) or given.status == 400, "h11 refuses what has no host"


def test_localhost_is_this_host_too(visitor: Visitor) -> None:
    assert visitor.send("GET", "/", host=f"localhost:{visitor.port}").status == 200


@pytest.mark.parametrize("origin", STRANGERS)
def test_another_origin_changes_nothing(visitor: Visitor, origin: str | None) -> None:
    before = visitor.ask("status")
    body = b'{"image": 1, "label": "red", "present": true}'
    given = visitor.send("POST", "/api/mark", body=body, origin=origin and origin.format(port=visitor.port))
    assert refuses(given)
    assert visitor.ask("status") == before


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
def test_what_a_form_of_another_page_could_send_is_not_taken(visitor: Visitor, kind: str | None) -> None:
    assert visitor.send("POST", "/api/undo", body=b"{}", content_type=kind).status == 415


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_is_not_given_a_picture_either(visitor: Visitor, site: str) -> None:
    assert refuses(visitor.send("GET", "/thumbnails/1", sec_fetch_site=site))
    assert visitor.send("GET", "/thumbnails/1", sec_fetch_site="same-origin").status == 200


@pytest.mark.parametrize("name", ["mark", "undo", "sample", "threshold", "album"])
def test_a_get_changes_nothing(visitor: Visitor, name: str) -> None:
    assert visitor.send("GET", f"/api/{name}").status == 405


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_no_other_method_is_known(visitor: Visitor, method: str) -> None:
    assert visitor.send(method, "/").status == 405


@pytest.mark.parametrize(
    "target",
    [
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/%2e%2e%2fdoor.py",
        "/../../etc/passwd", "/static//etc/passwd", "/static/a.css%00.js", "/thumbnails/../static/a.css",
        "/thumbnails/..%2f1", "/thumbnails//etc/passwd", "/templates/base.html", "/static/", "//etc/passwd",
    ],
)  # fmt: skip
def test_no_path_leads_out(visitor: Visitor, target: str) -> None:
    assert visitor.send("GET", target).status == 404


@pytest.mark.parametrize(
    "image_id", ["0", "999", "-1", "9223372036854775807", "9" * 30, "1e3", "abc", "1.5", "%00", ""]
)
def test_an_id_that_is_not_in_the_library_gives_no_picture(visitor: Visitor, image_id: str) -> None:
    given = visitor.send("GET", f"/thumbnails/{image_id}")
    assert given.status == 404
    assert visitor.send("GET", f"/api/picture?id={image_id}").status == 400


@pytest.mark.parametrize("present", ["yes", 2, [], {}])
def test_a_mark_says_yes_or_no(visitor: Visitor, present: object) -> None:
    assert visitor.refused("mark", image=1, label="red", present=present) == "present is true, false or null"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff", b'"' + b"x" * 2**20 + b'"', b"1e999"]
)
def test_what_is_no_object_of_json_is_refused_in_a_line(visitor: Visitor, body: bytes) -> None:
    told = visitor.send("POST", "/api/mark", body=body).error
    assert told in ("send a JSON object", "too much at once", "None is not a number that was given out here")


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "/etc", "C:\\x", "a\0b", "a\nb", "x" * 300, " "])
def test_an_album_has_a_name_and_no_path(desk: Desk, visitor: Visitor, name: str) -> None:
    result = visitor.ask("find?words=red")["result"]
    assert "give the album a name of its own" in visitor.refused(
        "album", result=result, places=None, name=name, how="copy"
    )
    assert not (desk.folder / "albums").exists()


def test_every_answer_tells_the_browser_to_load_nothing_from_elsewhere(visitor: Visitor) -> None:
    for target in (*PAGES, "/nothing", "/api/find", "/enter?token=wrong"):
        headers = visitor.send("GET", target).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';"), target
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    assert visitor.send("GET", "/api/find?words=red").headers["cache-control"] == "no-store"


def test_all_that_the_pages_load_comes_from_the_package() -> None:
    room = Path(package.__file__).parent / "web"
    named = {
        f"{file.name}: {address}"
        for file in [*(room / "templates").iterdir(), *(room / "static").iterdir()]
        for address in re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^"'\s]*""", file.read_text())
    }
    assert {n for n in named if "www.w3.org/2000/svg" not in n} == set()


def test_a_name_that_is_a_script_comes_out_as_text(desk: Desk, visitor: Visitor) -> None:
    with Library(desk.library) as library:
        label = library.labels.add("<b>", "a blue thing")
    try:
        rows = visitor.ask("find?words=blue")["rows"]
        assert "<script>.jpg" in [row["name"] for row in rows]
        found = visitor.send("GET", "/api/find?words=blue")
        assert found.headers["content-type"] == "application/json", "which no browser reads as a page"
        assert label.name in [each["label"] for each in visitor.ask("labels")]
        assert visitor.ask("find?words=%3Cb%3E")["label"] == "<b>"
        for target in PAGES[:4]:
            assert b"<script>.jpg" not in visitor.send("GET", f"{target}?label=<b>&words=<script>").body
    finally:
        with Library(desk.library) as library:
            library.labels.remove("<b>")


def test_only_this_machine_can_reach_it(visitor: Visitor) -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{visitor.port:04X}")
    ]
    assert listening == [f"0100007F:{visitor.port:04X}"]


def test_nothing_leaves_this_machine(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python tells a hook of every socket that is made, bound or connected and of every name that is looked up."""
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(package.__file__).parents[1])]))
    monkeypatch.setenv("SAID", str(tmp_path / "said"))
    shutil.rmtree(desk.library.with_name("library.db.thumbnails"), ignore_errors=True)  # decoders must be at work too
    with browsing(desk.library, "--albums", tmp_path / "albums") as visitor:
        for target in (*PAGES, "/api/find?words=black&min_similarity=-1", "/api/duplicates", "/api/picture?id=1"):
            assert visitor.send("GET", target).status == 200
        result = visitor.ask("find?words=red")["result"]
        visitor.change("album", result=result, places=[0], name="one", how="copy")
        visitor.change("mark", image=1, label="red", present=True)
        visitor.change("undo")
    said = (tmp_path / "said").read_text().splitlines()
    assert said.count("watched") > 1, "the decoders were watched too"
    assert [line for line in said if line.startswith("socket.bind")] == ["socket.bind ('127.0.0.1', 0)"]
    assert {line.split()[0] for line in said} <= {"watched", "socket.__new__", "socket.bind", "socket.gethostname"}


@pytest.mark.option("browse --port", "browse --db")
def test_a_second_browse_has_a_port_and_keys_of_its_own(desk: Desk, visitor: Visitor) -> None:
    with browsing(desk.library) as second:
        assert second.port != visitor.port
        assert second.cookie != visitor.cookie
        assert refuses(second.send("GET", "/", cookie=visitor.cookie))
        renamed = str(visitor.cookie).replace(str(visitor.port), str(second.port))
        assert refuses(second.send("GET", "/", cookie=renamed))
        both = f"{visitor.cookie}; {second.cookie}"
        assert second.send("GET", "/", cookie=both).status == visitor.send("GET", "/", cookie=both).status == 200
        taken = photosearch("browse", "--no-open", "--db", desk.library, "--port", second.port)
        out, said = taken.communicate(timeout=60)
        assert (taken.returncode, out) == (1, "")
        assert said == (f"photosearch: port {second.port} can't be had: Address already in use; "
                        "leave --port out for a free one\n")  # fmt: skip


def test_a_library_that_is_written_meanwhile_goes_on_answering(desk: Desk, visitor: Visitor) -> None:
    before = len(visitor.ask("find?words=red")["rows"])
    for i in range(30):
        photo(desk.photos / "later" / f"{i}.png", "red", size=(50 + i, 40))
    run = photosearch("index", desk.photos, "--quiet")
    asked, running = 0, False
    while run.poll() is None or not asked:
        running = running or visitor.ask("status")["running"]
        given = visitor.send("GET", "/api/find?words=red")
        assert given.status == 200
        assert before <= len(given.json["rows"]) <= before + 30
        told = visitor.change("mark", image=1, label="red", present=True)
        assert told["present"] is True
        asked += 1
    assert run.communicate()[1] == ""
    assert running, "the page could tell that an index runs beside"
    assert not visitor.ask("status")["running"]
    assert len(visitor.ask("find?words=red")["rows"]) == before + 30
    visitor.change("mark", image=1, label="red", present=None)


def test_a_library_that_another_program_holds_is_read_and_not_written(desk: Desk, visitor: Visitor) -> None:
    hold = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('BEGIN IMMEDIATE'); "
        "print('held', flush=True); sys.stdin.readline()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, desk.library], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        begun = time.monotonic()
        assert visitor.ask("find?words=blue")["rows"]
        assert time.monotonic() - begun < 30, "no question waits for who writes"
    finally:
        holder.communicate("go\n")


def test_who_ends_it_with_control_c_sees_no_traceback(desk: Desk) -> None:
    with browsing(desk.library) as visitor:
        assert visitor.send("GET", "/thumbnails/1").status == 200
    assert visitor.process.returncode == 0
    assert not os.path.exists(f"/proc/{visitor.process.pid}")


def test_a_library_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    run = photosearch("browse", "--no-open", "--db", tmp_path / "s.db")
    out, said = run.communicate(timeout=60)
    assert (run.returncode, out) == (1, "")
    assert said == f"photosearch: {tmp_path / 's.db'}: no library here yet; make one with `photosearch index FOLDER`\n"
    assert list(tmp_path.iterdir()) == []
