"""`duplicates`: groups of photos that are copies."""

import json
from typing import Annotated

import typer

from photosearch.cli.output import format_count, format_size, note, print_paths, print_table
from photosearch.cli.root import AsJson, Db, Null, Paths, Under, app, choose_one, open_library


@app.command("duplicates")
def duplicates_command(
    ctx: typer.Context,
    exact: Annotated[bool, typer.Option("--exact", help="Only files with the same bytes.")] = False,
    under: Under = None,
    paths: Paths = False,
    null: Null = False,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """List groups of duplicate photos.

    The first photo of a group is the one to keep. Nothing is deleted. --paths and -0 print the spare photos alone.
    """
    choose_one({"--paths": paths, "-0": null, "--json": as_json})
    with open_library(ctx, db) as library:
        groups = library.find_duplicates(near=not exact, under=under)
    if paths or null:
        print_paths([member.photo.path for group in groups for member in group.spare], null=null)
        return
    if as_json:
        rows = [[{"path": m.photo.path, "how": m.how, "size_bytes": m.photo.size_bytes, "width": m.photo.width,
                  "height": m.photo.height} for m in group.members] for group in groups]  # fmt: skip
        typer.echo(json.dumps(rows, indent=1))
        return
    cells = [(str(n), m.how, f"{m.photo.width}x{m.photo.height}", f"{m.photo.size_bytes:,}", m.photo.path)
             for n, group in enumerate(groups, 1) for m in group.members]  # fmt: skip
    print_table(("group", "", "pixels", "bytes", "path"), cells)
    photos = sum(len(group.members) for group in groups)
    spare = format_size(sum(group.spare_bytes for group in groups))
    note(f"{format_count(len(groups), 'group')}, {format_count(photos, 'photo')}; removing extra copies would free "
         f"{spare}" if groups else "No duplicates found.")  # fmt: skip
