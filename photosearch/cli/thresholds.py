"""`threshold`: the score from which a label's photos are found."""

from typing import Annotated

import typer

from photosearch.cli.output import note
from photosearch.cli.root import App, Db, OneModel, Under, app, choose_one, label_argument, open_library, refuse
from photosearch.errors import InputError

threshold_app = App(no_args_is_help=True, help="Set or reset a label's threshold.")
app.add_typer(threshold_app, name="threshold")


@threshold_app.command("set")
def threshold_set(
    ctx: typer.Context,
    label: Annotated[str, label_argument(help="The label.")],
    value: Annotated[
        float | None, typer.Argument(metavar="VALUE", min=0, max=1, help="The new threshold, 0 to 1.")
    ] = None,
    at_precision: Annotated[
        float | None,
        typer.Option(metavar="P", min=0, max=1, help="The threshold with the best recall at precision P or more."),
    ] = None,
    at_recall: Annotated[
        float | None,
        typer.Option(metavar="R", min=0, max=1, help="The threshold with the best precision at recall R or more."),
    ] = None,
    under: Under = None,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Set a label's threshold, to a value or by the photos that you marked.

    --at-precision and --at-recall choose it on those photos (with --under: on those in a folder).
    """
    options = {"VALUE": value, "--at-precision": at_precision, "--at-recall": at_recall}
    choose_one(given := {name: option is not None for name, option in options.items()})
    if not any(given.values()):
        raise InputError("give the threshold: VALUE, --at-precision P or --at-recall R")
    if value is not None:
        refuse({"--under": under}, "VALUE does not depend on photos")
    with open_library(ctx, db) as library:
        if value is None:
            report = library.report(label, model=model, under=under, at_precision=at_precision, at_recall=at_recall)
            own, value = report.label, report.threshold
            note(f"Chosen on {report.chosen_on}; other photos may give slightly lower figures.")
        else:
            own = library.labels.get(label, model)
        library.labels.set_threshold(own, value)
    note(f"find {own.name} uses the threshold {value:.4f} now (before: {own.threshold:.4f}).")


@threshold_app.command("reset")
def threshold_reset(
    ctx: typer.Context, label: Annotated[str, label_argument(help="The label.")], model: OneModel = None, db: Db = None
) -> None:
    """Restore the model's own threshold of a label."""
    with open_library(ctx, db) as library:
        library.labels.set_threshold(library.labels.get(label, model), None)
        own = library.labels.get(label, model)
    note(f"find {own.name} uses the model's threshold {own.threshold:.4f} again.")
