"""Access control: each attack on a server that listens on this computer, and that it is refused."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_env import CliEnv, photosearch
from http_client import HttpClient, HttpResponse, run_server
from toy import photo

import photosearch as package
from photosearch import Library
from photosearch.web.rendering import static_version

SOCKET_LOGGER = """
import os, sys
def log(event, arguments):
    if event.startswith("socket."):
        with open(os.environ["SOCKET_LOG"], "a") as file:
            print(event, arguments[1] if event == "socket.bind" else "", file=file)
sys.addaudithook(log)
with open(os.environ["SOCKET_LOG"], "a") as file:
    print("started", file=file)
"""
FOREIGN_ORIGINS = (
    "http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", "https://127.0.0.1:{port}", None,
)  # fmt: skip
FORM = {"content_type": "application/x-www-form-urlencoded"}
TARGETS = (
    "/", "/judge", "/duplicates", "/unreadable", f"/static/{static_version()}/search.js", "/api/find?words=red",
    "/thumbnails/1",
    "/library", "/start", "/api/directories?typed=/", "/api/run",
)  # fmt: skip
CHANGES = (
    "mark", "undo", "sample", "threshold", "learn", "unlearn", "album", "index", "stop", "settings", "forget",
    "default-model", "offer-size", "start-pull", "stop-pull", "checks", "mark_selected", "paths", "add_to_album",
    "remove_from_album", "zip", "plan-spares", "move-spares", "undo-spares", "watch",
    "stop-watch",
)  # fmt: skip


def is_denied(response: HttpResponse) -> bool:
    return response.status == 403 and response.body.startswith(b"Access denied.")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("cookie", [None, "photosearch-{port}=", "photosearch-{port}=wrong", "photosearch-{port}=\xe9"])
def test_request_is_denied_without_valid_cookie(client: HttpClient, target: str, cookie: str | None) -> None:
    response = client.send("GET", target, cookie=cookie and cookie.format(port=client.port))
    assert is_denied(response)
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("token", ["", "?token=", "?token=wrong", "?token=%E9", "?token=a&token=b", "?Token=x"])
def test_login_is_denied_with_wrong_token(client: HttpClient, token: str) -> None:
    response = client.send("GET", f"/login{token}", cookie=None)
    assert is_denied(response)
    assert "set-cookie" not in response.headers


def test_login_works_once_and_sets_strict_cookie(cli_env: CliEnv) -> None:
    with run_server(cli_env.library, log_in=False) as client:
        target = client.login_target
        assert re.fullmatch(r"/login\?token=[\w-]{43}", target), "256 bits of it"
        response = client.log_in()
        assert (response.status, response.headers["location"]) == (303, "/")
        assert re.fullmatch(rf"photosearch-{client.port}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=strict",
                            response.headers["set-cookie"])  # fmt: skip
        assert client.cookie is not None
        assert target.partition("=")[2] not in client.cookie, "the address in a list of processes does not tell it"
        denied = client.send("GET", target, cookie=None)
        assert is_denied(denied)
        assert denied.body.endswith(b"If it was used already, end `photosearch browse` and start it again.")
        assert is_denied(client.send("POST", "/login", body=target.partition("?")[2].encode(), cookie=None, **FORM))
        assert client.send("GET", target).headers["location"] == "/", "with the cookie it may be opened again"
        assert client.send("GET", "/").status == 200


@pytest.mark.slow
def test_reading_the_address_spends_nothing(cli_env: CliEnv) -> None:
    """Browsers fetch what they guess will be opened, and programs that look at links fetch them all."""
    with run_server(cli_env.library, log_in=False) as client:
        for method in ("GET", "HEAD", "GET"):
            response = client.send(method, client.login_target, sec_purpose="prefetch", sec_fetch_site="cross-site")
            assert response.status == 200
            assert "set-cookie" not in response.headers
        assert b'<form method="post" action="/login">' in response.body
        assert response.headers["referrer-policy"] == "same-origin", "without it the form's POST has no origin"
        assert is_denied(client.send("GET", "/"))
        assert client.log_in().status == 303


@pytest.mark.slow
def test_login_form_of_another_site_is_denied(cli_env: CliEnv) -> None:
    foreign: list[dict[str, str | None]] = [
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": None}, {"sec_fetch_site": "cross-site"},
        {"host": "evil.example"},
    ]  # fmt: skip
    with run_server(cli_env.library, log_in=False) as client:
        body = client.login_target.partition("?")[2].encode()
        answers = [client.send("POST", "/login", body=body, **(FORM | headers)) for headers in foreign]
        assert [headers for headers, answer in zip(foreign, answers, strict=True) if not is_denied(answer)] == []
        assert client.log_in().status == 303, "and the token is not spent"


@pytest.mark.parametrize("body", [b"", b"token=", b"token=wrong", b"token=%FF", b"\xff", b"x" * 2_000_000])
def test_login_form_with_wrong_token_is_denied(client: HttpClient, body: bytes) -> None:
    response = client.send("POST", "/login", body=body, cookie=None, **FORM)
    assert is_denied(response)
    assert "set-cookie" not in response.headers


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_enter_in_the_terminal_prints_another_address(cli_env: CliEnv) -> None:
    import pty

    master, terminal = pty.openpty()
    with run_server(cli_env.library, stdin=terminal) as client:
        os.close(terminal)
        used = client.login_target
        denied = client.send("GET", used, cookie=None)
        assert is_denied(denied)
        assert b"press Enter in that terminal" in denied.body
        os.write(master, b"\n")
        assert client.process.stdout is not None
        printed = client.process.stdout.readline().strip()
        second = HttpClient(client.port, printed, client.process)
        assert second.login_target != used
        assert second.log_in().status == 303
        assert second.send("GET", "/").status == client.send("GET", "/").status == 200, "the first browser stays in"
        assert is_denied(client.send("GET", used, cookie=None))
    os.close(master)


@pytest.mark.slow
@pytest.mark.option("browse --public-port")
def test_public_port_lets_a_tunnel_in(cli_env: CliEnv) -> None:
    with run_server(cli_env.library) as client:
        port = client.port
        refused = client.send("GET", "/", host="localhost:9000")
        assert refused.status == 403
        assert f"the browser asks for port 9000, and this server expects {port}" in refused.body.decode().lower()
        assert b"photosearch browse --public-port 9000" in refused.body
        for host in ("localhost:9000evil", "127.0.0.1:9000/", "localhost:999999", "localhost.evil.example:9000"):
            assert b"public-port" not in client.send("GET", "/", host=host).body
    with run_server(cli_env.library, "--public-port", 9000, "--port", port, log_in=False) as behind:
        assert behind.address.startswith("http://127.0.0.1:9000/login?token=")
        behind.port = port  # where a tunnel would end
        tunnel = {"host": "localhost:9000", "origin": "http://localhost:9000"}
        body = behind.address.partition("?")[2].encode()
        response = behind.send("POST", "/login", body=body, **(FORM | tunnel))
        assert response.status == 303
        cookie = response.headers["set-cookie"].partition(";")[0]
        assert cookie.startswith("photosearch-9000=")
        assert behind.send("GET", "/", cookie=cookie, host="localhost:9000").status == 200
        tunnel["cookie"] = cookie
        assert behind.send("POST", "/api/undo", body=b'{"step": 1}', **tunnel).status == 400
        assert is_denied(behind.send("POST", "/api/undo", body=b"{}", **(tunnel | {"origin": "http://localhost:9001"})))


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", "", None]
)
@pytest.mark.parametrize("target", ["/", "/api/status", "/login?token=x"])
def test_foreign_host_is_denied_with_valid_cookie(client: HttpClient, host: str | None, target: str) -> None:
    response = client.send("GET", target, host=host and host.format(port=client.port))
    assert is_denied(response) or response.status == 400, "h11 refuses a request without a host"


def test_localhost_is_allowed_as_host(client: HttpClient) -> None:
    assert client.send("GET", "/", host=f"localhost:{client.port}").status == 200


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
def test_post_of_foreign_origin_is_denied(client: HttpClient, origin: str | None) -> None:
    before = client.get_json("status")
    body = b'{"image_id": 1, "label": "red", "present": true}'
    response = client.send("POST", "/api/mark", body=body, origin=origin and origin.format(port=client.port))
    assert is_denied(response)
    assert client.get_json("status") == before


@pytest.mark.parametrize("name", CHANGES)
def test_change_of_foreign_origin_is_denied(client: HttpClient, name: str) -> None:
    assert is_denied(client.send("POST", f"/api/{name}", body=b"{}", origin="http://evil.example"))


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
def test_post_of_form_content_type_is_refused(client: HttpClient, kind: str | None) -> None:
    assert client.send("POST", "/api/undo", body=b"{}", content_type=kind).status == 415


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_thumbnail_is_denied_to_other_sites(client: HttpClient, site: str) -> None:
    assert is_denied(client.send("GET", "/thumbnails/1", sec_fetch_site=site))
    assert client.send("GET", "/thumbnails/1", sec_fetch_site="same-origin").status == 200


@pytest.mark.parametrize("name", CHANGES)
def test_change_by_get_is_refused(client: HttpClient, name: str) -> None:
    assert client.send("GET", f"/api/{name}").status == 405


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_other_method_is_refused(client: HttpClient, method: str) -> None:
    assert client.send(method, "/").status == 405


@pytest.mark.parametrize(
    "target",
    [
        "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static/%2e%2e%2fauth.py",
        *(f"/static/{static_version()}/{name}" for name in ("../app.py", "..%2fapp.py", "%2e%2e/app.py", "", "x.js")),
        "/../../etc/passwd", "/static//etc/passwd", "/static/a.css%00.js", "/thumbnails/../static/a.css",
        "/thumbnails/..%2f1", "/thumbnails//etc/passwd", "/templates/base.html", "/static/", "//etc/passwd",
    ],
)  # fmt: skip
def test_path_traversal_finds_nothing(client: HttpClient, target: str) -> None:
    assert client.send("GET", target).status == 404


@pytest.mark.parametrize(
    "image_id", ["0", "999", "-1", "9223372036854775807", "9" * 30, "1e3", "abc", "1.5", "%00", ""]
)
def test_unknown_image_id_is_refused(client: HttpClient, image_id: str) -> None:
    assert client.send("GET", f"/thumbnails/{image_id}").status == 404
    assert client.send("GET", f"/api/details?image_id={image_id}").status == 400


@pytest.mark.parametrize("present", ["yes", 1, 2, [], {}])
def test_mark_of_other_type_is_refused(client: HttpClient, present: object) -> None:
    error = client.post_error("mark", image_id=1, label="red", present=present)
    assert error == "present must be true or false or null"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"[" * 100_000, b"\xff", b'"' + b"x" * 2**20 + b'"', b"1e999"]
)
def test_post_without_json_object_is_refused(client: HttpClient, body: bytes) -> None:
    error = client.send("POST", "/api/mark", body=body).error
    assert error in ("expected a JSON object", "the request is too large", "image_id is missing")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        ".hidden",
        "a/b",
        "/etc",
        "C:\\x",
        "a\nb",
        "x" * 300,
        " ",
        "a\u202eb",
        "end.",
        "CON",
        "nul.jpg",
        "Lpt1 .",
    ],
)
def test_album_name_that_some_system_refuses_is_refused(cli_env: CliEnv, client: HttpClient, name: str) -> None:
    result = client.get_json("find?words=red")["result"]
    error = client.post_error("album", result=result, ranges=None, name=name, how="copy")
    assert error.startswith("choose another album name")
    assert not (cli_env.folder / "albums").exists()


def test_every_response_has_security_headers(client: HttpClient) -> None:
    for target in (*TARGETS, "/nothing", "/api/find", "/login?token=wrong"):
        headers = client.send("GET", target).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';"), target
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "access-control-allow-origin" not in headers
    assert client.send("GET", "/api/find?words=red").headers["cache-control"] == "no-store"


def test_pages_name_no_other_server() -> None:
    room = Path(package.__file__).parent / "web"
    urls = {
        f"{file.name}: {url}"
        for file in [*(room / "templates").iterdir(), *(room / "static").iterdir()]
        for url in re.findall(r"""(?:https?:)?//[\w.-]+\.\w+[^"'\s]*""", file.read_text())
    }
    assert {url for url in urls if "www.w3.org/2000/svg" not in url} == set()


def test_names_with_markup_are_sent_as_data(cli_env: CliEnv, client: HttpClient) -> None:
    with Library(cli_env.library) as library:
        label = library.labels.add("<b>", "a blue thing")
    try:
        photos = client.get_json("find?words=blue")["photos"]
        assert "<script>.jpg" in [photo["name"] for photo in photos]
        response = client.send("GET", "/api/find?words=blue")
        assert response.headers["content-type"] == "application/json", "which no browser renders as a page"
        assert label.name in [each["name"] for each in client.get_json("labels")]
        assert client.get_json("find?words=%3Cb%3E")["label"] == "<b>"
        for target in TARGETS[:4]:
            assert b"<script>.jpg" not in client.send("GET", f"{target}?label=<b>&words=<script>").body
    finally:
        with Library(cli_env.library) as library:
            library.labels.remove("<b>")


def test_server_listens_on_loopback_only(client: HttpClient) -> None:
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    listening = [
        line.split()[1]
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{client.port:04X}")
    ]
    assert listening == [f"0100007F:{client.port:04X}"]


@pytest.mark.slow
def test_server_opens_no_connection(cli_env: CliEnv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit hook logs each socket that is created, bound or connected, and each name that is resolved."""
    (tmp_path / "sitecustomize.py").write_text(SOCKET_LOGGER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(package.__file__).parents[1])]))
    monkeypatch.setenv("SOCKET_LOG", str(tmp_path / "log"))
    shutil.rmtree(cli_env.library.with_name("library.db.thumbnails"), ignore_errors=True)  # so that decoders start, too
    with run_server(cli_env.library, "--albums", tmp_path / "albums") as client:
        for target in TARGETS:
            assert client.send("GET", target).status == 200
        for target in ("find?words=black", "duplicates", "details?image_id=1"):
            client.get_json(target)
        result = client.get_json("find?words=red")["result"]
        client.post_json("album", result=result, ranges=[0, 1], name="one", how="copy")
        client.post_json("undo", step=client.post_json("mark", image_id=1, label="red", present=True)["step"])
    log = (tmp_path / "log").read_text().splitlines()
    assert log.count("started") > 1, "the decoders' processes have the hook, too"
    assert [line for line in log if line.startswith("socket.bind")] == ["socket.bind ('127.0.0.1', 0)"]
    assert {line.split()[0] for line in log} <= {"started", "socket.__new__", "socket.bind", "socket.gethostname"}


@pytest.mark.slow
@pytest.mark.option("browse --port", "browse --db")
def test_second_server_has_own_port_and_cookie(cli_env: CliEnv, client: HttpClient) -> None:
    with run_server(cli_env.library) as second:
        assert second.port != client.port
        assert second.cookie != client.cookie
        assert is_denied(second.send("GET", "/", cookie=client.cookie))
        renamed = str(client.cookie).replace(str(client.port), str(second.port))
        assert is_denied(second.send("GET", "/", cookie=renamed))
        both = f"{client.cookie}; {second.cookie}"
        assert second.send("GET", "/", cookie=both).status == client.send("GET", "/", cookie=both).status == 200
        third = photosearch("browse", "--no-open", "--db", cli_env.library, "--port", second.port)
        out, err = third.communicate(timeout=60)
        assert (third.returncode, out) == (1, "")
        assert err == (f"photosearch: can't listen on port {second.port}: Address already in use; "
                       "omit --port to pick one\n")  # fmt: skip


@pytest.mark.slow
def test_server_answers_while_an_index_run_writes(cli_env: CliEnv, client: HttpClient) -> None:
    before = len(client.get_json("find?words=red&query_mode=label")["photos"])
    for i in range(30):
        photo(cli_env.photos / "later" / f"{i}.png", "red", size=(50 + i, 40))
    run = photosearch("index", cli_env.photos, "--quiet")
    requests, was_running = 0, False
    while run.poll() is None or not requests:
        was_running = was_running or client.get_json("status")["running"]
        response = client.send("GET", "/api/find?words=red&query_mode=label")
        assert response.status == 200
        assert before <= len(response.json["photos"]) <= before + 30
        marks = client.post_json("mark", image_id=1, label="red", present=True)["marks"]
        assert marks == [{"image_id": 1, "label": "red", "present": True}]
        requests += 1
    assert run.communicate()[1] == ""
    assert was_running
    assert not client.get_json("status")["running"]
    assert len(client.get_json("find?words=red&query_mode=label")["photos"]) == before + 30
    client.post_json("mark", image_id=1, label="red", present=None)


@pytest.mark.slow
def test_server_reads_a_library_that_another_program_has_locked(cli_env: CliEnv, client: HttpClient) -> None:
    lock = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); db.execute('BEGIN IMMEDIATE'); "
        "print('locked', flush=True); sys.stdin.readline()"
    )
    locker = subprocess.Popen(
        [sys.executable, "-c", lock, cli_env.library], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert locker.stdout is not None
        assert locker.stdout.readline() == "locked\n"
        start = time.monotonic()
        assert client.get_json("find?words=blue")["photos"]
        assert time.monotonic() - start < 30, "a search does not wait for the lock"
    finally:
        locker.communicate("unlock\n")


@pytest.mark.slow
def test_sigint_ends_the_server_with_exit_code_zero(cli_env: CliEnv) -> None:
    with run_server(cli_env.library) as client:
        assert client.send("GET", "/thumbnails/1").status == 200
    assert client.process.returncode == 0
    assert not os.path.exists(f"/proc/{client.process.pid}")
