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
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="On this port; 0 is a free one.")] = 0,
    no_open: Annotated[bool, typer.Option("--no-open", help="Only print the address.")] = False,
    albums: Annotated[
        str, path_option("--albums", metavar="DIR", help="Where albums are made.", show_default=True)
    ] = "photosearch-albums",
    cache_mb: Annotated[
        int, typer.Option("--cache-mb", metavar="N", min=1, help="Room for thumbnails, beside the library.")
    ] = 500,
    db: Db = None,
) -> None:
    """Search, correct and judge in a browser.

    Only this machine can reach the page, and only with the address that is printed: it works once. Ctrl-C ends it.
    """
    import webbrowser

    from photosearch.web.serve import serve

    def ready(address: str) -> None:
        typer.echo(address)
        note("Open it in a browser on this machine; it works once. Ctrl-C ends it.")
        if not no_open:
            webbrowser.open(address)

    serve(library_path(ctx, db), port=port, albums=Path(os.path.abspath(albums)), cache_bytes=cache_mb * MEGABYTE,
          ready=ready)  # fmt: skip
    note("photosearch browse has ended")
