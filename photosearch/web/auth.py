"""Access control: one person's browser on this computer gets in, nobody else.

The server listens on loopback, where every web page that the person has open, and every user of the computer, can send
requests. A request is refused unless
- its Host is this server: another name for 127.0.0.1 is a DNS rebinding attack;
- it has the session cookie, which the printed address sets; that address has a random token and works once;
- it comes from this server's own pages if it changes something: a POST of JSON with this Origin.
Every response tells the browser to load nothing from elsewhere and to send no Referer.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOGIN_PATH = "/login"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ACCESS_DENIED = "Access denied. Open the one-time address that `photosearch browse` printed."


class Session:
    """The secrets of one server. Its port is part of the cookie's name, since browsers send cookies to every port."""

    def __init__(self, port: int):
        self.port, self.cookie_name = port, f"photosearch-{port}"
        self._token: str | None = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self.address = f"http://127.0.0.1:{port}{LOGIN_PATH}?token={self._token}"
        self.hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.origins = {f"http://{host}" for host in self.hosts}

    def use_token(self, token: str) -> bool:
        """Whether this is the token of the printed address; it is invalid from then on."""
        is_valid = self._token is not None and _equal(token, self._token)
        if is_valid:
            self._token = None
        return is_valid

    def has_cookie(self, scope: Scope) -> bool:
        """Whether a request carries the session cookie."""
        cookie = HTTPConnection(scope).cookies.get(self.cookie_name)
        return cookie is not None and _equal(cookie, self._cookie)

    def set_cookie(self, response: Response) -> Response:
        response.set_cookie(self.cookie_name, self._cookie, path="/", httponly=True, samesite="strict")
        return response


class AuthMiddleware:
    """Answers requests that are not allowed, so that they never reach the app, and adds SECURITY_HEADERS to all."""

    def __init__(self, app: ASGIApp, session: Session, render_redirect: Callable[[], str]):
        """render_redirect: makes the HTML page that leads to the app once the cookie is set."""
        self._app, self._session, self._render_redirect = app, session, render_redirect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # there are no WebSockets here
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        response = self._respond(scope)
        await (self._app if response is None else response)(scope, receive, send_with_headers)

    def _respond(self, scope: Scope) -> Response | None:
        """The response to a login or a refused request; None: the app may answer."""
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        if headers.get("host") not in self._session.hosts:
            return _deny()
        if method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Method not allowed.", 405)
        if path == LOGIN_PATH and method == "GET":
            token = QueryParams(scope.get("query_string", b"")).get("token", "")
            if self._session.has_cookie(scope) or self._session.use_token(token):
                return self._session.set_cookie(HTMLResponse(self._render_redirect()))
            return _deny()
        if not self._session.has_cookie(scope) or _is_cross_site(headers):
            return _deny()
        if method == "POST":
            if headers.get("origin") not in self._session.origins:
                return _deny()
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return PlainTextResponse("Content-Type must be application/json.", 415)
        return None


def _is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether another site's page sent this: an <img> of ours, say, to find out whether a photo exists."""
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _deny() -> Response:
    return PlainTextResponse(ACCESS_DENIED, 403)


def _equal(left: str, right: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode())
