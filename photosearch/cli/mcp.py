"""`mcp`: the library for other programs, read-only."""

import typer

from photosearch.cli.root import Db, app, library_path
from photosearch.errors import InputError


@app.command("mcp")
def mcp_command(ctx: typer.Context, db: Db = None) -> None:
    """Let another program search the library (MCP).

    The program starts this command and talks to it on stdin and stdout, in the Model Context Protocol. It can find and
    show photos, and change nothing. Nothing listens on the network.
    """
    try:
        from photosearch.mcp.server import serve
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("mcp", "pydantic"):
            raise
        raise InputError("this needs the MCP SDK: pip install 'photosearch[mcp]'") from None
    serve(library_path(ctx, db))
