"""Access control: one person's browser on this computer gets in, nobody else.

The server listens on loopback, where every web page that the person has open, and every user of the computer, can send
requests. A request is refused unless
- its Host is this server: another name for 127.0.0.1 is a DNS rebinding attack;
- it has the session cookie. The printed address, which has a random token, shows a form, and to send the form sets the
  cookie and spends the token: a browser's prefetch or a scanner of links only reads it;
- it comes from this server's own pages if it changes something: a POST of JSON with this Origin.
Every response tells the browser to load nothing from elsewhere and to send no Referer.
"""

import asyncio
import hmac
import re
import secrets
from collections.abc import Callable, Mapping

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photosearch.errors import InputError
from photosearch.web.parameters import read_bytes

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
NAMES = ("127.0.0.1", "localhost")
LOCAL_HOST = re.compile(rf"(?:{'|'.join(map(re.escape, NAMES))})(?::([0-9]{{1,5}}))?")
ACCESS_DENIED = "Access denied. Open the one-time address that `photosearch browse` printed."
RENEW = " If it was used already, press Enter in that terminal for a new one."
RESTART = " If it was used already, end `photosearch browse` and start it again."


class Session:
    """The secrets of one server. Its port is part of the cookie's name, since browsers send cookies to every port."""

    def __init__(self, port: int, *, public_port: int | None = None, can_renew: bool = False):
        """port: on which it listens. public_port: which the browser uses, if a tunnel leads from there. can_renew:
        whether somebody at a terminal can have another address."""
        self.port = public_port or port
        self.cookie_name = f"photosearch-{self.port}"
        self.access_denied = ACCESS_DENIED + (RENEW if can_renew else RESTART)
        self._token: str | None = None
        self._cookie = secrets.token_urlsafe(32)
        self.hosts = {f"{name}:{each}" for name in NAMES for each in {self.port, port}}
        self.hosts |= set(NAMES) if self.port == 80 else set()  # browsers leave this one out
        self.origins = {f"http://{host}" for host in self.hosts}

    def make_address(self) -> str:
        """An address that lets a browser in, once; any earlier one becomes invalid."""
        self._token = secrets.token_urlsafe(32)
        return f"http://127.0.0.1:{self.port}{LOGIN_PATH}?token={self._token}"

    def has_token(self, token: str) -> bool:
        """Whether this is the token of the latest address, not used yet."""
        return self._token is not None and _equal(token, self._token)

    def use_token(self, token: str) -> bool:
        """The same; if so, it is invalid from then on."""
        is_valid = self.has_token(token)
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

    def __init__(self, app: ASGIApp, session: Session, render_form: Callable[[str], str]):
        """render_form: makes the HTML page with the form that sends a token."""
        self._app, self._session, self._render_form = app, session, render_form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # there are no WebSockets here
            return

        has_started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                for name, value in {**SECURITY_HEADERS, "Cache-Control": "no-store"}.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            response = await self._respond(scope, receive)
            await (self._app if response is None else response)(scope, receive, send_with_headers)
        except asyncio.CancelledError:  # the server ends, and uvicorn does not wait for this request any longer
            if not has_started:
                await PlainTextResponse("photosearch browse has ended.", 503)(scope, receive, send_with_headers)

    async def _respond(self, scope: Scope, receive: Receive) -> Response | None:
        """The response to a login or a refused request; None: the app may answer."""
        headers, method = Headers(scope=scope), scope["method"]
        if (host := headers.get("host", "")) not in self._session.hosts:
            return self._deny_host(host)
        if method not in ("GET", "HEAD", "POST"):
            return PlainTextResponse("Method not allowed.", 405)
        if scope["path"] == LOGIN_PATH:
            return await self._log_in(Request(scope, receive))
        if not self._session.has_cookie(scope) or _is_cross_site(headers):
            return self._deny()
        if method == "POST":
            if headers.get("origin") not in self._session.origins:
                return self._deny()
            if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
                return PlainTextResponse("Content-Type must be application/json.", 415)
        return None

    async def _log_in(self, request: Request) -> Response:
        """GET shows the form to who has the token, and changes nothing; POST spends it."""
        session = self._session
        if session.has_cookie(request.scope):
            return RedirectResponse("/", 303)
        if request.method != "POST":
            token = request.query_params.get("token", "")
            if not session.has_token(token):
                return self._deny()
            # Without a referrer, browsers send the form's POST without its origin.
            return HTMLResponse(self._render_form(token), headers={"Referrer-Policy": "same-origin"})
        if request.headers.get("origin") not in session.origins or _is_cross_site(request.headers):
            return self._deny()
        try:
            form = QueryParams(await read_bytes(request))
        except (InputError, ClientDisconnect):
            return self._deny()
        return (
            session.set_cookie(RedirectResponse("/", 303)) if session.use_token(form.get("token", "")) else self._deny()
        )

    def _deny(self) -> Response:
        return PlainTextResponse(self._session.access_denied, 403)

    def _deny_host(self, host: str) -> Response:
        local = LOCAL_HOST.fullmatch(host)
        if local is None:
            return self._deny()
        port = local[1] or "80"
        return PlainTextResponse(
            f"Access denied. The browser asks for port {port}, and this server expects {self._session.port}. If a "
            f"tunnel such as ssh -L leads here, start `photosearch browse --public-port {port}`.", 403,
        )  # fmt: skip


def _is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether another site's page sent this: an <img> of ours, say, to find out whether a photo exists."""
    return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _equal(left: str, right: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "replace"), right.encode())
