"""`labels`: what `find` can look for, and descriptions that are labels."""

import json
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from photosearch.cli.output import format_count, note, print_table
from photosearch.cli.root import App, AsJson, Db, OneModel, app, label_argument, model_option, open_library
from photosearch.web.escaping import escape

if TYPE_CHECKING:
    from photosearch import LabelDetails

OfModel = Annotated[str | None, model_option("--model", help="Only labels of this model.")]

labels_app = App(invoke_without_command=True, help="List, show, add or remove labels.\n\nWithout a command: list them.")
app.add_typer(labels_app, name="labels")


@labels_app.callback()
def labels_command(
    ctx: typer.Context,
    all_: Annotated[bool, typer.Option("--all", help="Also list labels that no photo here shows.")] = False,
    model: OfModel = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """List the labels of your photos, with the number of photos: everyday names first, then those with most photos."""
    if ctx.invoked_subcommand is not None:
        return
    from photosearch import USER_MODEL

    with open_library(ctx, db) as library:
        every = library.labels.list_counts(model)
    rows = [row for row in every if all_ or row.photos or row.label.saved or row.label.model == USER_MODEL]
    if as_json:
        typer.echo(json.dumps([row.to_json() for row in rows], indent=1))
        return
    cells = [(x.label.name, f"{x.photos:,}", x.label.model, f"{x.label.threshold:.3f}",
              "set by you" if x.label.saved else "") for x in rows]  # fmt: skip
    print_table(("label", "photos", "model", "threshold", ""), cells)
    if not every:
        note("No labels yet; index a folder, or add one: photosearch labels add LABEL")
    elif left_out := len(every) - len(rows):
        note(f"And {format_count(left_out, 'label')} that no photo here shows: photosearch labels --all")


@labels_app.command("show")
def labels_show(
    ctx: typer.Context,
    name: Annotated[str, label_argument(help="The label to describe.")],
    model: OneModel = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Describe a label: threshold, relatives, synonyms, accuracy."""
    with open_library(ctx, db) as library:
        label = library.labels.describe(name, model)
    if as_json:
        typer.echo(json.dumps(label.to_json(), indent=1))
        return
    for key, value in _describe_label(label):
        typer.echo(escape(f"{key:14} {value}"))


def _describe_label(details: "LabelDetails") -> list[tuple[str, str]]:
    label, source = details.label, details.rests_on
    if isinstance(source, int):
        source = format_count(source, "positive validation image")
    rows = [("label", label.name), ("model", label.model), ("threshold", f"{label.threshold:.3f}")]
    rows += [("learned from" if details.learned is not None else "chosen on", source)] if source is not None else []
    rows += [("description", details.text)] if details.text is not None else []
    relatives = {"parent labels": details.above, "child labels": details.below, "synonyms": details.synonyms}
    rows += [(title, ", ".join(names)) for title, names in relatives.items() if names]
    for row in details.measured:
        figures = f"precision {_format(row.get('precision'))}, recall {_format(row.get('recall'))}"
        rows.append(("measured", f"{figures} on {row.get('split', '')}"))
    return rows


def _format(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@labels_app.command("tree")
def labels_tree(ctx: typer.Context, model: OfModel = None, db: Db = None) -> None:
    """Show the label hierarchy."""
    with open_library(ctx, db) as library:
        rows = library.labels.tree(model)
    for depth, name in rows:
        typer.echo(escape("  " * depth + name))


@labels_app.command("add")
def labels_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="LABEL", help="Name of the new label.")],
    text: Annotated[
        str | None, typer.Argument(metavar="DESCRIPTION", help="What its photos show (default: the name).")
    ] = None,
    db: Db = None,
) -> None:
    """Add a label from a description.

    It can be found, sampled, judged and reported on like any other.
    """
    with open_library(ctx, db) as library:
        label = library.labels.add(name, text)
    note(f"Added the label {label.name} with the threshold {label.threshold:.3f}. To measure it on your photos: "
         f"photosearch sample {shlex.quote(label.name)} -n 60")  # fmt: skip


@labels_app.command("remove")
def labels_remove(
    ctx: typer.Context, name: Annotated[str, label_argument(help="A label of your own.")], db: Db = None
) -> None:
    """Remove a label that you added or learned. Marks are kept."""
    with open_library(ctx, db) as library:
        library.labels.remove(name)
    note(f"Removed the label {name}.")
