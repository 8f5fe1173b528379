"""`browse`: the same search in a browser."""

import contextlib
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photosearch.cli.output import note
from photosearch.cli.root import Db, app, library_path, path_option

if TYPE_CHECKING:
    from photosearch.web.auth import Session

MEGABYTE = 1_000_000


@app.command("browse")
def browse_command(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen on, 0 = a free one.")] = 0,
    public_port: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, max=65535, help="Port that your browser uses, if a tunnel (ssh -L) has another."
        ),
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Print the address and open no browser.")] = False,
    albums: Annotated[
        str, path_option("--albums", metavar="DIR", help="Folder for albums made in the browser.", show_default=True)
    ] = "photosearch-albums",
    cache_mb: Annotated[
        int, typer.Option("--cache-mb", metavar="N", min=1, help="Disk space for thumbnails, in megabytes.")
    ] = 500,
    db: Db = None,
) -> None:
    """Search, mark and judge photos in a browser.

    The first time, the page asks for a folder of photos. The printed address works once, and only on this computer.
    Press Enter for another one, Ctrl-C to end.
    """
    import webbrowser

    from photosearch.web.serve import serve, write_redirect

    path, can_renew = library_path(ctx, db), sys.stdin is not None and sys.stdin.isatty()
    with contextlib.ExitStack() as until_end:

        def ready(session: "Session") -> None:
            address = session.make_address()
            typer.echo(address)
            more = "Enter for another one, " if can_renew else ""
            note(f"Open this address in a browser on this computer; it works once. Press {more}Ctrl-C to end.")
            if not path.exists():
                note(f"{path}: no library here yet; the page asks for a folder of photos")
            if not no_open:
                webbrowser.open(until_end.enter_context(write_redirect(address)).as_uri())
            if can_renew:
                _print_addresses_on_enter(session)

        serve(path, port=port, public_port=public_port, albums=Path(os.path.abspath(albums)),
              cache_bytes=cache_mb * MEGABYTE, can_renew=can_renew, ready=ready,
              closing=lambda: note("Finishing the current batch; press Ctrl-C again to stop at once."))  # fmt: skip
    note("photosearch browse has ended")


def _print_addresses_on_enter(session: "Session") -> None:
    """Print a new address for each line from the terminal, in a thread."""
    if os.name == "posix":  # in the background, reading then fails, where it would stop the process
        signal.signal(signal.SIGTTIN, signal.SIG_IGN)
    fd = sys.stdin.fileno()

    def watch() -> None:
        while True:
            try:
                if not os.read(fd, 1024):  # not by sys.stdin, which a thread would hold when the process ends
                    return
            except OSError:
                time.sleep(1)
                continue
            typer.echo(session.make_address())

    threading.Thread(target=watch, daemon=True).start()
