"""`photosearch browse` as a process, and an HTTP client that can also send what a browser would not."""

import http.client
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli_env import photosearch


@dataclass(frozen=True)
class HttpResponse:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        assert self.status == 400, (self.status, self.body[:300])
        return str(self.json["error"])


@dataclass
class HttpClient:
    """Sends headers as they are given, valid or not. address: the one-time address that the server printed."""

    port: int
    address: str
    process: "subprocess.Popen[str]"
    cookie: str | None = None

    def send(self, method: str, target: str, *, body: bytes = b"", **headers: str | None) -> HttpResponse:
        """headers: with _ for -; None omits a default one."""
        defaults = {"host": f"127.0.0.1:{self.port}", "cookie": self.cookie}
        if method == "POST":
            defaults |= {"origin": f"http://127.0.0.1:{self.port}", "content-type": "application/json"}
        merged = defaults | {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in merged.items():
                if value is not None:
                    connection.putheader(name, value)
            if method == "POST":
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body or None)
            response = connection.getresponse()
            received = {name.lower(): value for name, value in response.getheaders()}
            return HttpResponse(response.status, received, response.read())
        finally:
            connection.close()

    def get_json(self, target: str, **headers: str | None) -> Any:
        response = self.send("GET", f"/api/{target}", **headers)
        assert response.status == 200, response.body[:300]
        return response.json

    def post_json(self, action: str, /, **body: object) -> Any:
        response = self.send("POST", f"/api/{action}", body=json.dumps(body).encode())
        assert response.status == 200, response.body[:300]
        return response.json

    def get_error(self, target: str) -> str:
        return self.send("GET", f"/api/{target}").error

    def post_error(self, action: str, /, **body: object) -> str:
        return self.send("POST", f"/api/{action}", body=json.dumps(body).encode()).error

    @property
    def login_target(self) -> str:
        """The printed address without scheme and host."""
        return self.address.partition(str(self.port))[2]

    def log_in(self) -> HttpResponse:
        """Send the form of the printed address and keep the cookie."""
        body = self.login_target.partition("?")[2].encode()
        response = self.send("POST", "/login", body=body, content_type="application/x-www-form-urlencoded")
        self.cookie = response.headers.get("set-cookie", "").partition(";")[0] or None
        return response


@contextmanager
def run_server(
    library: Path, *arguments: object, log_in: bool = True, opens: bool = False, stdin: int = subprocess.DEVNULL
) -> Iterator[HttpClient]:
    """`photosearch browse` in a process of its own, ended by SIGINT. opens: without --no-open."""
    process = photosearch("browse", *["--no-open"] * (not opens), "--db", library, *arguments, stdin=stdin)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise AssertionError(process.communicate(timeout=30))
        client = HttpClient(int(re.findall(r":(\d+)/", address)[0]), address, process)
        if log_in:
            assert client.log_in().status == 303
        yield client
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
