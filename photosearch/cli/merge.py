"""`merge`: import what the workers of an engine wrote."""

import json
import os
import time
from typing import Annotated

import typer

from photosearch.cli.index import Models, Provider, Quiet, Tiles
from photosearch.cli.output import format_count, note
from photosearch.cli.root import AsJson, Db, app, open_library, path_argument
from photosearch.cli.runs import end_if_stopped, follow, print_summary, stop_on_signal


@app.command("merge")
def merge_command(
    ctx: typer.Context,
    shards: Annotated[list[str], path_argument(metavar="SHARDS", help="Shards, or folders of them.")],
    root: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FOLDER",
            help="A folder of the shards that is new to the library; FROM=TO if its path differs here; repeatable.",
        ),
    ] = None,
    model: Models = None,
    tiles: Tiles = None,
    provider: Provider = "auto",
    quiet: Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name each skipped row.")] = False,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Import shards written by `index --engine ray`.

    Photos that changed since are skipped, and moved or deleted ones are not noticed: run `photosearch index` later.
    """
    roots = dict(map(_split_root, root or ()))
    with open_library(ctx, db, create=True) as library, stop_on_signal() as stop:
        start = time.perf_counter()
        events = library.merge(
            *shards, roots=roots, models=model or (), tiles=tiles, provider=provider, stop=stop.is_set
        )  # fmt: skip
        run, total, _ = follow(events, lambda: library.count_rows(shards), quiet=quiet, verbose=verbose)
    run.stopped, seconds = stop.is_set(), time.perf_counter() - start
    if as_json:
        typer.echo(json.dumps({**run.to_json(), "seconds": round(seconds, 3)}))
    if not quiet:
        print_summary(run, seconds, "from shards", total if run.stopped else None)
        if run.skipped_rows:
            note(f"{format_count(run.skipped_rows, 'row')} skipped: their photos changed; photosearch index reads them")
    end_if_stopped(stop)


def _split_root(text: str) -> tuple[str, str]:
    before, equals, after = text.partition("=")
    if not before or (equals and not after):
        raise typer.BadParameter(f"{text}: write FOLDER, or FROM=TO", param_hint="--root")
    here = os.path.expanduser(after or before)
    return before if equals else here, here
