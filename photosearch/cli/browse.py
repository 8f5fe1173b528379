"""`browse`: the same search in a browser."""

import os
from pathlib import Path
from typing import Annotated

import typer

from photosearch.cli.output import note
from photosearch.cli.root import Db, app, library_path, path_option

MEGABYTE = 1_000_000


@app.command("browse")
def browse_command(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen on, 0 = a free one.")] = 0,
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

    The printed address works once, and only on this computer. Press Ctrl-C to end.
    """
    import webbrowser

    from photosearch.web.serve import serve

    def ready(address: str) -> None:
        typer.echo(address)
        note("Open this address in a browser on this computer; it works once. Press Ctrl-C to end.")
        if not no_open:
            webbrowser.open(address)

    serve(library_path(ctx, db), port=port, albums=Path(os.path.abspath(albums)), cache_bytes=cache_mb * MEGABYTE,
          ready=ready)  # fmt: skip
    note("photosearch browse has ended")
