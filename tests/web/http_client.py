"""A server as a person starts it, and who knocks at it: a browser with its cookie, or anybody else."""

import http.client
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli_env import photosearch


@dataclass(frozen=True)
class Answer:
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
class Visitor:
    """Sends what it is told to, as it is told: no header is checked or mended on the way."""

    port: int
    address: str
    process: "subprocess.Popen[str]"
    cookie: str | None = None
    sent: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, target: str, *, body: bytes = b"", **headers: str | None) -> Answer:
        """headers: with _ for -; None leaves one out."""
        own = {"host": f"127.0.0.1:{self.port}", "cookie": self.cookie}
        if method == "POST":
            own |= {"origin": f"http://127.0.0.1:{self.port}", "content-type": "application/json"}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in own.items():
                if value is not None:
                    connection.putheader(name, value)
            if method == "POST":
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body or None)
            given = connection.getresponse()
            return Answer(given.status, {k.lower(): v for k, v in given.getheaders()}, given.read())
        finally:
            connection.close()

    def ask(self, target: str, **headers: str | None) -> Any:
        given = self.send("GET", f"/api/{target}", **headers)
        assert given.status == 200, given.body[:300]
        return given.json

    def change(self, action: str, /, **said: object) -> Any:
        given = self.send("POST", f"/api/{action}", body=json.dumps(said).encode())
        assert given.status == 200, given.body[:300]
        return given.json

    def refused(self, action: str, /, **said: object) -> str:
        """What a change that can't be is answered with."""
        return self.send("POST", f"/api/{action}", body=json.dumps(said).encode()).error

    def enter(self) -> Answer:
        """Open the address that was printed, and keep the cookie."""
        given = self.send("GET", self.address.partition(str(self.port))[2])
        self.cookie = given.headers.get("set-cookie", "").partition(";")[0] or None
        return given


@contextmanager
def browsing(library: Path, *arguments: object, enter: bool = True, opens: bool = False) -> Iterator[Visitor]:
    """`photosearch browse` in a process of its own, ended by Ctrl-C, as a person ends it."""
    process = photosearch("browse", *["--no-open"] * (not opens), "--db", library, *arguments)
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise AssertionError(process.communicate(timeout=30))
        visitor = Visitor(int(re.findall(r":(\d+)/", address)[0]), address, process)
        if enter:
            assert visitor.enter().status == 200
        yield visitor
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
