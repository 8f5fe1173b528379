"""`mark` and `marks`: what you know of your photos."""

from typing import Annotated

import typer

from photosearch.cli.output import format_count, note, to_bytes
from photosearch.cli.root import App, Db, Under, app, label_option, open_library, path_argument
from photosearch.errors import InputError

marks_app = App(no_args_is_help=True, help="Import or export your marks as CSV.")
app.add_typer(marks_app, name="marks")

NewLabels = Annotated[
    list[str] | None,
    typer.Option("--new", metavar="LABEL", help="Create this label if it does not exist; repeatable."),
]


@app.command("mark")
def mark_command(
    ctx: typer.Context,
    paths: Annotated[list[str], path_argument(metavar="PHOTO", help="Photos in the library.")],
    is_: Annotated[list[str] | None, label_option("--is", help="The photos show LABEL; repeatable.")] = None,
    not_: Annotated[list[str] | None, label_option("--not", help="The photos don't show LABEL; repeatable.")] = None,
    forget: Annotated[list[str] | None, label_option("--forget", help="Remove the marks for LABEL.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Create the label if it does not exist.")] = False,
    db: Db = None,
) -> None:
    """Mark photos as showing a label or not.

    `report` measures labels on marked photos; `learn` learns from them.
    """
    if bool(is_ or not_) == bool(forget):
        raise InputError("give a mark: --is LABEL or --not LABEL; or remove marks: --forget LABEL")
    with open_library(ctx, db) as library:
        if forget:
            note(f"{format_count(library.marks.remove(paths, forget), 'mark')} removed")
            return
        n = library.marks.add(paths, positive=is_ or (), negative=not_ or (), new=new)
        marked = [library.labels.check_readiness(name) for name in dict.fromkeys([*(is_ or ()), *(not_ or ())])]
    note(f"{format_count(n, 'photo')} marked")
    for label in marked:
        if label.is_ready or not label.exists:
            note(label.next_step)


@marks_app.command("import")
def marks_import(
    ctx: typer.Context,
    file: Annotated[
        str, path_argument(metavar="FILE.csv", help="Columns path, label, present (1 or 0); - reads stdin.")
    ],
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Skip photos that are not in the library.")
    ] = False,
    new: NewLabels = None,
    db: Db = None,
) -> None:
    """Import marks from a CSV file.

    Relative paths start at the file's folder. If a row has an error, nothing is imported.
    """
    with open_library(ctx, db) as library:
        imported, skipped = library.marks.import_csv(file, skip_unknown=skip_unknown, new=new or ())
    note(
        f"{format_count(imported, 'row')} imported" + (f", {skipped:,} skipped: not in the library" if skipped else "")
    )


@marks_app.command("export")
def marks_export(
    ctx: typer.Context,
    label: Annotated[str | None, label_option("--label", help="Only marks for this label.")] = None,
    under: Under = None,
    db: Db = None,
) -> None:
    """Print your marks as CSV, with absolute paths."""
    with open_library(ctx, db) as library:
        text = library.marks.export_csv(label, under=under)
    typer.echo(to_bytes(text), nl=False)
