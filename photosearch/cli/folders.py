"""`folders`: the indexed folders and how each is indexed."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from photosearch.cli.confirm import confirm, describe_forgotten
from photosearch.cli.index import Exclude, FollowSymlinks, Include, Metadata, Models, Ocr, Tiles
from photosearch.cli.output import format_count, note, print_table
from photosearch.cli.root import App, AsJson, Db, Yes, app, open_library, path_argument

if TYPE_CHECKING:
    from photosearch import FolderReport

folders_app = App(
    invoke_without_command=True, help="List, set or remove indexed folders.\n\nWithout a command: list them."
)
app.add_typer(folders_app, name="folders")


@folders_app.callback()
def folders_command(
    ctx: typer.Context,
    skipped: Annotated[
        bool, typer.Option("--skipped", help="Print the gitignore patterns that are skipped in every folder.")
    ] = False,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """List the indexed folders with their numbers of photos and settings."""
    if ctx.invoked_subcommand is not None:
        return
    if skipped:
        from photosearch import list_excluded_patterns

        typer.echo("\n".join(list_excluded_patterns()))
        return
    with open_library(ctx, db) as library:
        rows = library.folders.list()
        cells = [_to_cells(row, library.folders.describe(row)) for row in rows]
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows], indent=1))
        return
    print_table(("folder", "photos", "", "settings"), cells)
    if not rows:
        note("No folders yet; add one: photosearch index FOLDER")


def _to_cells(folder: "FolderReport", settings: Mapping[str, str]) -> tuple[str, str, str, str]:
    counts = [format_count(folder.counts.photos, "photo")]
    for name in ("unreadable", "removed", "excluded"):
        if n := getattr(folder.counts, name):
            counts.append(f"{n:,} {name}")
    words = [text if name == "models" else f"{name}: {text}" for name, text in settings.items()]
    return folder.path, ", ".join(counts), "" if folder.present else "away", "; ".join(words)


@folders_app.command("set")
def folders_set(
    ctx: typer.Context,
    folder: Annotated[str, path_argument(metavar="DIR", help="An indexed folder, or one below it.")],
    model: Models = None,
    tiles: Tiles = None,
    exclude: Exclude = None,
    include: Include = None,
    follow_symlinks: FollowSymlinks = None,
    metadata: Metadata = None,
    ocr: Ocr = None,
    reset: Annotated[bool, typer.Option("--reset", help="First restore the default settings.")] = False,
    db: Db = None,
) -> None:
    """Change how a folder is indexed.

    Each option replaces its old value and applies from the next `photosearch index`.
    """
    with open_library(ctx, db) as library:
        settings = library.folders.set(
            folder, models=model, tiles=tiles, exclude=exclude, include=include,
            follow_symlinks=follow_symlinks, metadata=metadata, ocr=ocr, reset=reset,
        )  # fmt: skip
    note(f"{folder}: settings saved: {settings}")
    note("To apply them: photosearch index")


@folders_app.command("remove")
def folders_remove(
    ctx: typer.Context,
    folder: Annotated[str, path_argument(metavar="DIR", help="An indexed folder.")],
    yes: Yes = False,
    db: Db = None,
) -> None:
    """Remove a folder, its photos and your marks on them from the library.

    No file in the folder is changed.
    """
    with open_library(ctx, db) as library:
        row = library.folders.find(folder)
        what = describe_forgotten(library, [row.path])
        confirm(f"remove {row.path} from the library: {what}", yes)
        library.forget([row.path])
    note(f"Removed from the library: {what}; the files are unchanged.")
