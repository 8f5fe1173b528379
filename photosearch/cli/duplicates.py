"""`duplicates`: groups of photos that are copies, bursts, and spare photos moved to a folder and back."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from photosearch.cli import confirm
from photosearch.cli.output import format_count, format_size, note, print_csv, print_paths, print_table
from photosearch.cli.progress import show_progress
from photosearch.cli.root import AsJson, Db, Null, Paths, Under, Yes, app, choose_one, open_library, path_option, refuse

if TYPE_CHECKING:
    from photosearch import Burst, DuplicateGroup, Library, SparePlan

MAX_NAMED = 20  # files left where they are that are named one by one
FACTS = ("size_bytes", "width", "height")


@app.command("duplicates")
def duplicates_command(
    ctx: typer.Context,
    exact: Annotated[bool, typer.Option("--exact", help="Only files with the same bytes.")] = False,
    bursts: Annotated[
        bool, typer.Option("--bursts", help="Shots of one camera within seconds, the sharpest marked.")
    ] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="RULE",
            help="What to keep counts first: raw, larger, original, camera, gps, marked, "
            "older, heavier, folder:DIR; several with commas.",
        ),
    ] = None,
    under: Under = None,
    move_spares: Annotated[
        str | None,
        path_option("--move-spares", metavar="DIR", help="Move the spare photos to this folder; shows them first."),
    ] = None,
    undo: Annotated[
        str | None, path_option("--undo", metavar="LOG", help="Move spare photos back: the log that moving them wrote.")
    ] = None,
    paths: Paths = False,
    null: Null = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    yes: Yes = False,
    db: Db = None,
) -> None:
    """List groups of duplicate photos.

    The first photo of a group is the one to keep. Nothing is deleted. --paths and -0 print the spare photos alone.
    """
    choose_one({"--paths": paths, "-0": null, "--json": as_json, "--csv": as_csv})
    choose_one({"--bursts": bursts, "--move-spares": move_spares is not None, "--undo": undo is not None})
    if undo is not None:
        refuse({"--exact": exact, "--keep": keep, "--under": under, "--paths": paths, "-0": null, "--json": as_json,
                "--csv": as_csv}, "--undo moves back what its log tells")  # fmt: skip
    if bursts:
        refuse({"--exact": exact, "--keep": keep}, "--bursts: only for copies")
    if move_spares is not None:
        refuse({"--paths": paths, "-0": null, "--csv": as_csv}, "--move-spares shows a table, or --json")
    with open_library(ctx, db) as library:
        if undo is not None:
            _undo(library, undo)
        elif bursts:
            _print_bursts(library.find_bursts(under=under), paths, null, as_json, as_csv)
        else:
            groups = library.find_duplicates(near=not exact, under=under, keep=keep or ())
            if move_spares is not None:
                _move(library, library.spares.plan(move_spares, groups), as_json=as_json, yes=yes)
            else:
                _print_groups(groups, paths, null, as_json, as_csv)


def _print_groups(groups: "Sequence[DuplicateGroup]", paths: bool, null: bool, as_json: bool, as_csv: bool) -> None:
    if paths or null:
        print_paths([member.photo.path for group in groups for member in group.spare], null=null)
        return
    rows = [[{"path": m.photo.path, "how": m.how, "reason": m.reason, **{f: getattr(m.photo, f) for f in FACTS}}
             for m in group.members] for group in groups]  # fmt: skip
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if as_csv:
        names = ("group", "path", "how", "reason", *FACTS)
        print_csv([names, *([n, *row.values()] for n, group in enumerate(rows, 1) for row in group)])
        return
    cells = [(str(n), m.how, m.reason, f"{m.photo.width}x{m.photo.height}", f"{m.photo.size_bytes:,}", m.photo.path)
             for n, group in enumerate(groups, 1) for m in group.members]  # fmt: skip
    print_table(("group", "", "reason", "pixels", "bytes", "path"), cells)
    photos = sum(len(group.members) for group in groups)
    spare = format_size(sum(group.spare_bytes for group in groups))
    note(f"{format_count(len(groups), 'group')}, {format_count(photos, 'photo')}; removing extra copies would free "
         f"{spare}" if groups else "No duplicates found.")  # fmt: skip


def _print_bursts(bursts: "Sequence[Burst]", paths: bool, null: bool, as_json: bool, as_csv: bool) -> None:
    """--paths and -0: all but the sharpest of each burst."""
    shots = [[(shot, place == burst.sharpest) for place, shot in enumerate(burst.shots)] for burst in bursts]
    if paths or null:
        print_paths([shot.photo.path for burst in shots for shot, best in burst if not best], null=null)
        return
    rows = [[{"path": shot.photo.path, "sharpest": best, "sharpness": shot.sharpness, "taken": shot.taken,
              **{f: getattr(shot.photo, f) for f in FACTS}} for shot, best in burst] for burst in shots]  # fmt: skip
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
        return
    if as_csv:
        names = ("burst", "path", "sharpest", "sharpness", "taken", *FACTS)
        print_csv([names, *([n, *row.values()] for n, burst in enumerate(rows, 1) for row in burst)])
        return
    cells = [(str(n), "sharpest" if best else "", "" if shot.sharpness is None else f"{shot.sharpness:.1f}",
              shot.taken.replace("T", " "), shot.photo.path)
             for n, burst in enumerate(shots, 1) for shot, best in burst]  # fmt: skip
    print_table(("burst", "", "sharpness", "taken", "path"), cells)
    photos = format_count(sum(map(len, shots)), "photo")
    note(f"{format_count(len(shots), 'burst')}, {photos}" if shots else "No bursts found.")


def _move(library: "Library", plan: "SparePlan", *, as_json: bool, yes: bool) -> None:
    """Show the plan, and follow it where the user agrees."""
    rows = [{"from": file.source, "to": file.target, "size_bytes": file.size_bytes, "reason": file.reason,
             "kept": None if file.kept is None else file.kept.path} for file in plan.files]  # fmt: skip
    if as_json:
        left = [{"path": path, "reason": reason} for path, reason in plan.left]
        typer.echo(json.dumps({"folder": plan.folder, "files": rows, "left": left}, indent=1))
    else:
        print_table(("from", "to", "bytes", "reason"),
                    [(f.source, f.target, f"{f.size_bytes:,}", f.reason) for f in plan.files])  # fmt: skip
    _print_left(plan.left)
    if plan.unfinished:
        note(f"{plan.folder}: a move was cut off there; it is finished first")
    if not (plan.things or plan.unfinished):
        note("Nothing to move.")
        return
    what = (f"move {format_count(plan.photos, 'spare photo')} and {len(plan.files) - plan.photos:,} files beside them, "
            f"{format_size(plan.size_bytes)}, to {plan.folder}")  # fmt: skip
    if plan.excluded_from is not None:
        what += f", and exclude that folder from indexing, since it is in {plan.excluded_from}"
    if not yes:
        note(f"This would {what}.")
        if not confirm.is_interactive():
            note("Nothing was moved; add --yes to move them.")
            return
        if not typer.confirm("Continue?", err=True):
            note("Nothing was moved.")
            return
    with show_progress(lambda: len(plan.things), quiet=False) as progress:
        result = library.spares.move(plan, progress.advance)
    failed = result.left[len(plan.left) :]
    _print_left(failed)
    beside = result.files - result.photos
    note(f"{plan.folder}: moved {format_count(result.photos, 'photo')} and {beside:,} files beside them, "
         f"{format_size(result.size_bytes)}")  # fmt: skip
    note(f"To move them back: photosearch duplicates --undo {result.log}")
    if failed:
        raise typer.Exit(1)


def _undo(library: "Library", log: str) -> None:
    result = library.spares.undo(log)
    _print_left(result.left)
    note(f"Moved back {format_count(result.photos, 'photo')} and {result.files - result.photos:,} files beside them.")
    if result.left:
        raise typer.Exit(1)


def _print_left(left: Sequence[tuple[str, str]]) -> None:
    for path, reason in left[:MAX_NAMED]:
        note(f"{path}: not moved: {reason}")
    if len(left) > MAX_NAMED:
        note(f"{len(left) - MAX_NAMED:,} more were not moved")
