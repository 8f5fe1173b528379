"""A server on loopback for one person's browser."""

import contextlib
import logging
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from photosearch import open_thumbnails
from photosearch.errors import InputError
from photosearch.web.app import make_app
from photosearch.web.auth import AuthMiddleware, Session
from photosearch.web.rendering import render
from photosearch.web.state import ServerState

LOOPBACK = "127.0.0.1"


def serve(
    path: Path,
    *,
    port: int = 0,
    public_port: int | None = None,
    albums: Path,
    cache_bytes: int | None = None,
    can_renew: bool = False,
    ready: Callable[[Session], None],
    closing: Callable[[], None] = lambda: None,
) -> None:
    """Serve a library until Ctrl-C, SIGTERM or the end of the terminal. Where there is none yet, a page starts it.

    port: 0 picks a free one. public_port: which the browser uses, if another. albums: the folder in which albums are
    made. cache_bytes: of the thumbnails on disk. can_renew: whether `ready` offers more than one address. ready: called
    once it listens. closing: called where the end waits for the current batch of an index run. Raises InputError where
    it can't listen on the port, StoreError where the library can't be opened.
    """
    thumbnails = open_thumbnails(path, max_bytes=cache_bytes)
    with _interrupt_at_end(), thumbnails, _listen(port) as listener:
        thumbnails.start()
        session = Session(listener.getsockname()[1], public_port=public_port, can_renew=can_renew)
        state = ServerState(path, thumbnails, albums)
        app = AuthMiddleware(make_app(state), session, lambda token: render("login.html", token=token))
        server = uvicorn.Server(uvicorn.Config(
            app, http="h11", ws="none", lifespan="off", log_level="error", access_log=False, server_header=False,
            timeout_keep_alive=75, timeout_graceful_shutdown=2,
        ))  # fmt: skip
        # Requests that are cut off at the end are no news; what else uvicorn logs is.
        logging.getLogger("uvicorn.error").addFilter(lambda record: not str(record.msg).startswith("Cancel %s running"))
        try:
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after it has shut down
                ready(session)  # requests wait in the socket's queue until the server runs
                server.run(sockets=[listener])
        finally:
            if state.index_runs.read().running or state.watches.read().indexing:
                closing()
            state.close()


@contextlib.contextmanager
def write_redirect(address: str) -> Iterator[Path]:
    """A page that leads to an address, in a private folder; both are removed at the end.

    A browser gets this file's path, since other users of the computer can read the arguments of its process.
    """
    with tempfile.TemporaryDirectory(prefix="photosearch-", ignore_cleanup_errors=True) as folder:  # of mode 0700
        page = Path(folder, "open.html")
        with open(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(render("redirect.html", address=address))
        yield page


@contextlib.contextmanager
def _interrupt_at_end() -> Iterator[None]:
    """Treat SIGTERM and SIGHUP as Ctrl-C, so that whatever was opened is closed."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns off Nagle's algorithm, which would delay half of each response by 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # on Windows it would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise InputError(f"can't listen on port {port}: {error.strerror}; omit --port to pick one") from None
    return listener
