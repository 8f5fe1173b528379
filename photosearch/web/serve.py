"""A server on loopback for one person's browser."""

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from photosearch import Library
from photosearch.errors import InputError
from photosearch.web.app import make_app
from photosearch.web.auth import AuthMiddleware, Session
from photosearch.web.rendering import render
from photosearch.web.state import ServerState

LOOPBACK = "127.0.0.1"


def serve(
    path: Path, *, port: int = 0, albums: Path, cache_bytes: int | None = None, ready: Callable[[str], None]
) -> None:
    """Serve a library until Ctrl-C or SIGTERM.

    port: 0 picks a free one. albums: the folder in which albums are made. cache_bytes: of the thumbnails on disk.
    ready: called with the address to open. Raises InputError where it can't listen on the port, StoreError where there
    is no such library.
    """
    with Library(path, create=False) as library:
        thumbnails = library.open_thumbnails(max_bytes=cache_bytes)
    with thumbnails, _listen(port) as listener:
        thumbnails.start()
        session = Session(listener.getsockname()[1])
        state = ServerState(path, thumbnails, albums)
        app = AuthMiddleware(make_app(state), session, lambda: render("redirect.html"))
        server = uvicorn.Server(uvicorn.Config(
            app, http="h11", ws="none", lifespan="off", log_level="error", access_log=False, server_header=False,
            timeout_keep_alive=75, timeout_graceful_shutdown=2,
        ))  # fmt: skip
        try:
            with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after it has shut down
                ready(session.address)  # requests wait in the socket's queue until the server runs
                server.run(sockets=[listener])
        finally:
            state.close()


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
