"""`keywords`: labels to and from the keywords of other programs, in XMP side-cars."""

import json
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from photosearch.cli.marks import NewLabels
from photosearch.cli.output import format_count, note, print_table
from photosearch.cli.root import App, AsJson, Db, OneModel, Under, app, open_library
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import ExportResult

keywords_app = App(no_args_is_help=True, help="Import or export keywords of other programs.")
app.add_typer(keywords_app, name="keywords")

MAX_NAMED = 20  # files and keywords that are named one by one


@keywords_app.command("export")
def keywords_export(
    ctx: typer.Context,
    labels: Annotated[list[str], typer.Argument(metavar="LABEL", help="Labels to write as keywords.")],
    marked: Annotated[bool, typer.Option("--marked", help="Only photos that you marked, not those found.")] = False,
    short: Annotated[
        bool, typer.Option("--short", help="Write photo.xmp instead of photo.jpg.xmp, for Lightroom and raw files.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be written and write nothing.")] = False,
    under: Under = None,
    model: OneModel = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Write labels as keywords to side-cars.

    Those are .xmp files beside the photos, which darktable, digiKam and Lightroom read. Photos are never changed, nor
    are other keywords in a side-car. Side-cars that can't be read, or are read-only, are skipped.
    """
    with open_library(ctx, db) as library:
        result = library.marks.export_keywords(
            labels, under=under, model=model, marked=marked, short=short, dry_run=dry_run
        )
    if not print_export(result, dry_run, as_json=as_json):
        raise typer.Exit(1)


def print_export(result: "ExportResult", dry_run: bool, *, as_json: bool = False) -> bool:
    """-> whether all keywords could be written."""
    if as_json:
        typer.echo(json.dumps(result.to_json(), indent=1))
    else:
        _print_changes(result)
    for path, reason in result.skipped[:MAX_NAMED]:
        note(f"{path}: skipped: {reason}")
    note(_summarize(result, dry_run))
    return not (result.skipped or result.remote)


def _print_changes(result: "ExportResult") -> None:
    rows = [(change.path, "new" if change.new else "changed",
             " ".join([*(f"+{k}" for k in change.added), *(f"-{k}" for k in change.removed)]))
            for change in result.written]  # fmt: skip
    print_table(("side-car", "", "keywords"), rows)


def _summarize(result: "ExportResult", dry_run: bool) -> str:
    counts = [f"{format_count(len(result.written), 'side-car')} {'to write' if dry_run else 'written'}"]
    counts.append(f"{result.unchanged:,} unchanged")
    counts += [f"{len(result.skipped):,} skipped"] * bool(result.skipped)
    counts += [f"{format_count(result.missing, 'missing photo')}"] * bool(result.missing)
    counts += [f"{format_count(result.remote, 'photo')} at addresses left out: a side-car needs a folder"] * bool(
        result.remote
    )
    return ", ".join(counts)


@keywords_app.command("import")
def keywords_import(
    ctx: typer.Context,
    under: Under = None,
    new: NewLabels = None,
    complete: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="Treat photos that have keywords but not this one as negative; repeatable."),
    ] = None,
    rated: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL=STARS", help="Positive at STARS (1 to 5) or more, negative below; repeatable."),
    ] = None,
    db: Db = None,
) -> None:
    """Import keywords and ratings as marks.

    They are read from photos, from side-cars (.xmp files) and from Picasa's files, all together.
    """
    with open_library(ctx, db) as library:
        result = library.marks.import_keywords(
            under=under, new=new or (), complete=complete or (), rated=dict(map(_parse_rated, rated or ()))
        )
    for path, reason in result.skipped[:MAX_NAMED]:
        note(f"{path}: skipped: {reason}")
    for keyword, n in result.unknown.most_common(MAX_NAMED):
        note(f"{keyword}: not a label, on {format_count(n, 'photo')}; to create it: --new {shlex.quote(keyword)}")
    photos = format_count(result.photos, "photo")
    remote = f"; {format_count(result.remote, 'photo')} at addresses not read" if result.remote else ""
    note(f"{format_count(result.marks, 'mark')} imported from {photos} with keywords or a rating{remote}")


def _parse_rated(text: str) -> tuple[str, float]:
    """keeper=4 -> (keeper, 4.0)."""
    name, equals, stars = text.rpartition("=")
    try:
        rating = float(stars)
    except ValueError:
        rating = 0.0
    if not equals or not name.strip() or not 1 <= rating <= 5:
        raise InputError(f"--rated {text}: give a label and 1 to 5 stars, such as keeper=4")
    return name.strip(), rating
