"""`sample` and `judge`: photos drawn at random, to measure a label on the whole library."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from photosearch.cli.output import format_count, note
from photosearch.cli.root import Db, OneModel, app, label_argument, open_library, path_option
from photosearch.errors import InputError


@app.command("sample")
def sample_command(
    ctx: typer.Context,
    label: Annotated[str, label_argument(help="The label to measure.")],
    n: Annotated[int, typer.Option("-n", metavar="N", min=4, max=10_000, help="Number of photos.")] = 60,
    to: Annotated[
        str | None, path_option("--to", metavar="DIR", help="New folder for the files (default: sample-LABEL).")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed; another one draws other photos.")] = 0,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Draw random photos to judge a label by.

    Writes contact sheets to look at and a CSV file to fill in. Then `report` estimates the label's accuracy on the
    whole library.
    """
    from photosearch import outputs

    with open_library(ctx, db) as library:
        name = library.labels.get(label, model).name
        folder = to or outputs.to_portable_name(f"sample-{name}")
        sample, sheets = library.samples.draw_to(folder, name, n, seed=seed, model=model)
    photos = sum(photo.path is not None for photo in sample.photos)
    note(f"{folder}: {format_count(photos, 'photo')} on {', '.join(sheet.name for sheet in sheets)}")
    _explain_judging(name, sample.id, Path(folder, "sample.csv"))


def _explain_judging(label: str, sheet: int, csv_file: Path) -> None:
    name = shlex.quote(label)
    note(
        f"Give the numbers of the photos that show {label}; all others count as negative:\n"
        f"  photosearch judge {name} --sheet {sheet} 3 7 12-15\n"
        f"Or fill in the column present of sample.csv (1, 0 or empty):\n"
        f"  photosearch marks import {shlex.quote(str(csv_file))}\n"
        f"Then:\n  photosearch report {name}"
    )


@app.command("judge")
def judge_command(
    ctx: typer.Context,
    label: Annotated[str, label_argument(help="The label that the sample was drawn for.")],
    numbers: Annotated[
        list[str] | None,
        typer.Argument(metavar="NUMBERS", help="Photos on the sheet that show the label: 3 7 12-15."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="No photo on the sheet shows the label.")] = False,
    unsure: Annotated[
        list[str] | None, typer.Option(metavar="NUMBERS", help="Leave these photos unjudged; repeatable.")
    ] = None,
    sheet: Annotated[
        int | None, typer.Option("--sheet", metavar="N", help="Number of the sheet (default: the only one).")
    ] = None,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Judge a sample by the numbers on its sheet.

    Photos that you don't name are marked as not showing the label. Photos whose files are
    missing by now are left unjudged.
    """
    if bool(numbers) == none:
        raise InputError("give the numbers of the photos that show the label, or --none")
    with open_library(ctx, db) as library:
        chosen, result = library.samples.judge(label, numbers or [], unsure or [], model=model, sheet=sheet)
    if result.changed:
        note(f"{format_count(len(result.changed), 'mark')} changed: {', '.join(result.changed)}")
    missing = f", {result.unavailable:,} skipped: can't be opened" if result.unavailable else ""
    note(f"Sheet {result.sheet}: {result.judged:,} judged, {result.positive:,} positive{missing}. "
         f"Next: photosearch report {shlex.quote(chosen.name)}")  # fmt: skip
