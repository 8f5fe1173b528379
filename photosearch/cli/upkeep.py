"""`forget` and `rebuild`: delete what the library knows, or rescue it."""

from typing import Annotated

import typer

from photosearch.cli.confirm import confirm, describe_forgotten
from photosearch.cli.output import format_count, note
from photosearch.cli.root import Db, Yes, app, library_path, open_library, path_argument
from photosearch.errors import InputError


@app.command("forget")
def forget_command(
    ctx: typer.Context,
    paths: Annotated[list[str] | None, path_argument(metavar="PATH", help="Photos or folders.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Delete everything, backups included.")] = False,
    yes: Yes = False,
    db: Db = None,
) -> None:
    """Delete what the library knows of photos or folders.

    Your marks on them go too. The photos themselves are never deleted.
    """
    from photosearch import list_backups

    if bool(paths) == all_:
        raise InputError("name photos or folders to forget, or give --all")
    path = library_path(ctx, db)
    with open_library(ctx, db) as library:
        backups, which = list_backups(path), None if all_ else paths or []
        for each in which or []:
            if not library.count_forgotten([each]).photos:
                raise InputError(f"{each}: the library knows no photo there; nothing was forgotten")
        what = describe_forgotten(library, which)
        if all_:
            named = "".join(f", and the backup {backup}" for backup in backups)
            confirm(f"delete everything in {path}: {what}{named}", yes)
        else:
            confirm(f"delete from {path}: {what}", yes)
        library.forget(which)
    note(f"Forgotten: {what}; the files are unchanged.")
    for backup in backups:
        note(f"Deleted the backup {backup}." if all_ else
             f"{backup} is a backup that still contains them; delete it if you want them gone.")  # fmt: skip


@app.command("rebuild")
def rebuild_command(
    ctx: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Rebuild a library that is not damaged.")] = False,
    yes: Yes = False,
    db: Db = None,
) -> None:
    """Rebuild a damaged library; marks are kept.

    So are thresholds, folders, your labels and samples; then `photosearch index` scores the photos again.
    """
    from photosearch import check_rebuild, rebuild_library

    path = library_path(ctx, db)
    check_rebuild(path, force=force)
    confirm(f"rebuild {path}: all scores are deleted, marks and thresholds are kept where they can be read, and the "
            "old file is kept as a backup", yes)  # fmt: skip
    kept = rebuild_library(path, force=force)
    backup = "" if kept.aside is None else f" Backup of the old library: {kept.aside}"
    counts = (format_count(kept.marks, "mark"), format_count(kept.thresholds, "threshold"),
              format_count(kept.folders, "folder"), format_count(kept.labels, "label of yours", "labels of yours"),
              format_count(kept.samples, "sample"),
              *[format_count(kept.albums, "album")] * bool(kept.albums))  # fmt: skip
    note(f"Kept {', '.join(counts)}.{backup}")
    if kept.folder_paths:
        note(f"Next: photosearch index, which reads these folders again: {', '.join(kept.folder_paths)}")
    else:
        note("Next: photosearch index FOLDER, with each folder of your photos: none could be read from the old library")
