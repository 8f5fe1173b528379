"""`learn`: a label learned from marks."""

import json
import shlex
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from photosearch.cli.figures import format_figure
from photosearch.cli.output import format_count, note
from photosearch.cli.root import AsJson, Db, OneModel, app, label_argument, open_library
from photosearch.web.escaping import escape


@app.command("learn")
def learn_command(
    ctx: typer.Context,
    label: Annotated[str, label_argument(help="A label that you marked photos with.")],
    model: OneModel = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Learn a label from your marks: a new one, or a better one.

    About 20 photos marked each way are enough. A label that is already better is kept.
    """
    with open_library(ctx, db) as library:
        result = library.labels.learn(label, model=model)
    told = result.report.to_json()
    typer.echo(json.dumps(told, indent=1) if as_json else escape("\n".join(_describe_learned(told))))
    name = shlex.quote(result.label.name)
    if result.report.kept == "learned":
        note(f"find {name} uses the learned label now. To undo: photosearch undo learning {name}")
    if not result.report.of_the_library:
        note(f"To measure it on the whole library: photosearch sample {name} -n 60")


def _describe_learned(told: dict[str, Any]) -> Iterator[str]:
    """told: as --json prints it."""
    corrects = "" if told["corrects"] is None else f", correcting the label of {told['corrects']}"
    yield f"{told['label']}: learned on vectors of {told['vectors_of']}{corrects}"
    yield ""
    yield f"Cross-validated on {told['rests_on']}"
    yield from (format_figure(name, told[name], told["intervals"][name]) for name in ("precision", "recall"))
    yield f"{'found':14}{told['found']:,} of {format_count(told['pictures'], 'photo')}"
    if told["expected_present"] is not None:
        yield f"{'expected':14}about {told['expected_present']:,.0f} photos show it, if your marks are typical"
    if "before" in told:
        before = told["before"]
        yield from ("", f"The label before ({before['model']}) on the same marks:")
        yield from (format_figure(name, before[name], before["intervals"][name]) for name in ("precision", "recall"))
        yield f"{'found':14}{before['found']:,}"
    yield ""
    if "before" not in told:
        yield "Saved the new label."
    else:
        yield f"{'Saved the learned label' if told['kept'] == 'learned' else 'Kept the label before'}: {told['why']}"
