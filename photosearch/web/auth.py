"""Who may come in: one person's browser on this machine, and nobody else.

A page listens on loopback, where any other page that the person has open, and any other user of the machine, can knock.
So everything is refused but what
- names this server as its host: another name that leads to 127.0.0.1 is an attack by DNS (rebinding);
- carries the cookie that the first address set, which holds a random token and works once;
- comes from this server's own pages where it changes something: a POST, of JSON, with this origin.
A browser is told to load nothing that is not from here, and to tell nobody that it was here.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENTER = "/enter"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
REFUSED = "Not from here. Open the address that `photosearch browse` printed; it works once."


class Session:
    """The secrets of one server. port: of this server; cookies know no ports, so that the name tells which is meant."""

    def __init__(self, port: int):
        self.port, self.cookie_name = port, f"photosearch-{port}"
        self._token: str | None = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self.address = f"http://127.0.0.1:{port}{ENTER}?token={self._token}"
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}

    def use_token(self, given: str) -> bool:
        """Whether this is the token of the first address, which is worth nothing from now on."""
        right = self._token is not None and _same(given, self._token)
        if right:
            self._token = None
        return right

    def fits(self, scope: Scope) -> bool:
        """Whether a request carries the cookie."""
        given = HTTPConnection(scope).cookies.get(self.cookie_name)
        return given is not None and _same(given, self._cookie)

    def give(self, response: Response) -> Response:
        response.set_cookie(self.cookie_name, self._cookie, path="/", httponly=True, samesite="strict")
        return response


class AuthMiddleware:
    """Stands before the app; whatever is not let in never reaches it."""

    def __init__(self, app: ASGIApp, keys: Session, entrance: Callable[[], str]):
        """entrance: the page that leads on once the cookie is set, as HTML."""
        self._app, self._keys, self._entrance = app, keys, entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # nothing here speaks WebSocket
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._judge(scope)
        await (self._app if answer is None else answer)(scope, receive, guarded)

    def _judge(self, scope: Scope) -> Response | None:
        """What a request gets in place of the app's answer; None: it may come in."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if headers.get("host") not in self._keys.hosts:
            return _refuse()
        if method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Only GET and POST.", 405)
        if path == ENTER and method == "GET":
            given = QueryParams(scope.get("query_string", b"")).get("token", "")
            if self._keys.fits(scope) or self._keys.use_token(given):
                return self._keys.give(HTMLResponse(self._entrance()))
            return _refuse()
        if not self._keys.fits(scope) or _comes_from_elsewhere(headers):
            return _refuse()
        if method == "POST":
            if headers.get("origin") not in self._keys.origins:
                return _refuse()
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return PlainTextResponse("Send JSON.", 415)
        return None


def _comes_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that another site's page asks: for a picture of ours, say, to see whether it is there."""
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _refuse() -> Response:
    return PlainTextResponse(REFUSED, 403)


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())
