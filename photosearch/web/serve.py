"""A server on loopback for one person's browser, until it is ended."""

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from photosearch import Library
from photosearch.errors import InputError
from photosearch.photos.thumbnails import MAX_BYTES, Thumbnails
from photosearch.web.app import Browse
from photosearch.web.auth import AuthMiddleware, Session
from photosearch.web.rendering import render

LOOPBACK = "127.0.0.1"


def serve(
    path: Path,
    *,
    port: int = 0,
    albums: Path,
    cache_bytes: int = MAX_BYTES,
    ready: Callable[[str], None],
) -> None:
    """Serve a library until a signal ends it: Ctrl-C, or a polite kill.

    port: 0 is a free one. albums: where albums are made. ready: is told the address to open. Raises InputError where
    the port can't be had, StoreError where there is no such library.
    """
    with Library(path, create=False) as library:
        folder = library.thumbnails_folder
    with _listen(port) as listening, Thumbnails(folder, max_bytes=cache_bytes) as thumbnails:
        thumbnails.start()
        keys = Session(listening.getsockname()[1])
        browse = Browse(path, thumbnails, albums)
        app = AuthMiddleware(browse.app(), keys, lambda: render("entrance.html"))
        server = uvicorn.Server(uvicorn.Config(
            app, http="h11", ws="none", lifespan="off", log_level="error", access_log=False, server_header=False,
            timeout_keep_alive=75, timeout_graceful_shutdown=2,
        ))  # fmt: skip
        try:
            with contextlib.suppress(KeyboardInterrupt):  # how a person ends it; uvicorn has closed already
                ready(keys.address)  # whoever knocks from now on waits until the server runs
                server.run(sockets=[listening])
        finally:
            browse.close()


def _listen(port: int) -> socket.socket:
    # Named as TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for its second half.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":  # elsewhere it would let two programs have one port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((LOOPBACK, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise InputError(f"port {port} can't be had: {error.strerror}; leave --port out for a free one") from None
    return listening
