"""`models`: list, show, choose, add, pull and remove models."""

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photosearch.cli.confirm import confirm
from photosearch.cli.output import format_count, note, print_table
from photosearch.cli.root import App, AsJson, Db, Yes, app, model_argument, open_library, path_argument
from photosearch.web.escaping import escape

if TYPE_CHECKING:
    from photosearch import Card, TextCard

models_app = App(
    invoke_without_command=True, help="List, show, choose, add or remove models.\n\nWithout a command: list them."
)
app.add_typer(models_app, name="models")

LISTED_LABELS, SHOWN_LABELS = 8, 12  # of a model, named in `models` and in `models show`
DETAILS = ("trained on", "command", "chosen_on", "thresholds_are", "licence", "history")
COLUMNS = {  # of the table of measured figures -> width
    "split": 28, "label": 18, "n": 8, "positives": 10, "threshold": 10, "precision": 10, "recall": 8,
    "average_precision": 18,
}  # fmt: skip


@models_app.callback()
def models_command(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the models on this computer."""
    from photosearch import DEFAULT_MODEL, list_models

    if ctx.invoked_subcommand is not None:
        return
    models = list_models()
    if as_json:
        rows = [
            {"name": card.name, "version": card.version, "labels": card.labels, "outputs": card.outputs,
             "input_size": card.input_size, "default": card.name == DEFAULT_MODEL, "path": str(path)}
            for path, card in models
        ]  # fmt: skip
        typer.echo(json.dumps(rows, indent=1))
        return
    print_table(("name", "version", "outputs", "labels", "input", ""), [_to_cells(card) for _, card in models])


def _to_cells(card: "Card") -> tuple[str, ...]:
    from photosearch import DEFAULT_MODEL

    more = len(card.labels) - LISTED_LABELS
    labels = ", ".join(card.labels[:LISTED_LABELS]) + (f" and {more:,} more" if more > 0 else "")
    default = "default" if card.name == DEFAULT_MODEL else ""
    return card.name, card.version, ", ".join(card.outputs), labels, f"{card.input_size} px", default


@models_app.command("show")
def models_show(
    name: Annotated[str, model_argument(help="A model's name or .onnx file.")], as_json: AsJson = False
) -> None:
    """Show what a model outputs and how accurate it is.

    With --json: its whole card.
    """
    from photosearch import read_model_card

    path, card = read_model_card(name)
    if as_json:
        typer.echo(json.dumps(json.loads(card.to_json()), indent=1))
        return
    lines = [f"{key:15} {value}" for key, value in _describe_card(str(path), card)]
    typer.echo(escape("\n".join([*lines, *_draw_measured(getattr(card, "measured", ()))])))


def _describe_card(path: str, card: "Card | TextCard") -> Iterator[tuple[str, str]]:
    from photosearch import Card

    yield "model", f"{card.name}, version {card.version}"
    yield "file", path
    if isinstance(card, Card):
        if card.labels:
            more = ", ..." if len(card.labels) > SHOWN_LABELS else ""
            yield "labels", f"{len(card.labels):,}: {', '.join(card.labels[:SHOWN_LABELS])}{more}"
        if card.min_score:
            yield "lowest score", f"{card.min_score:.4f} (lower ones are not stored)"
        part = "the whole photo, squashed" if card.fit == "squash" else "the centre of the photo"
        yield "input", f"{card.input_size}x{card.input_size} pixels, {part}"
        yield "tiles", ", ".join(["0", *sorted(card.pooling, key=int)])
    if card.space:
        yield "vectors", f"{card.dimensions} dimensions, space {card.space}"
    details = {**card.details, "trained on": card.trained_on, "licence": card.licence}
    yield from ((key.replace("_", " "), str(details[key])) for key in DETAILS if details.get(key))


def _draw_measured(rows: tuple[Mapping[str, Any], ...]) -> list[str]:
    """A card's measured figures as a table with a head."""
    head = {key: key.replace("_", " ") for key in COLUMNS}
    return ["", *("".join(_pad(row, key) for key in COLUMNS) for row in (head, *rows))] if rows else []


def _pad(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    text = f"{value:.3f}" if isinstance(value, float) else str("" if value is None else value)
    return f"{text:{'<' if key in ('split', 'label') else '>'}{COLUMNS[key]}}"


@models_app.command("default")
def models_default(
    ctx: typer.Context,
    name: Annotated[str, model_argument(help="A model that has indexed photos in this library.")],
    db: Db = None,
) -> None:
    """Make a model the library's default.

    `find`, `sample` and `report` use it.
    """
    with open_library(ctx, db) as library:
        indexed, total = library.models.set_default(name)
    rest = "" if indexed >= total else ". To index the others: photosearch index"
    note(f"The default model is {name} now; it has scored {indexed:,} of {format_count(total, 'image')}{rest}")


@models_app.command("add")
def models_add(
    folder: Annotated[str, path_argument(metavar="DIR", help="Folder of a CLIP-like model, as published.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name for the model (default: the folder's name).")
    ] = None,
) -> None:
    """Add a model that searches by descriptions.

    DIR holds an image and a text encoder in ONNX. The model is checked and copied to your models folder.
    """
    from photosearch import add_model

    added = add_model(folder, name=name)
    for remark in added.remarks:
        note(remark)
    note(f"Added the model {added.name} (layout: {added.layout}). Next: photosearch index --model {added.name}")


@models_app.command("pull")
def models_pull(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Model to download (default: list those available).")
    ] = None,
    yes: Yes = False,
) -> None:
    """Download a larger model. No other command uses the network, but for the same button in `browse`."""
    from photosearch import find_model_offer, list_model_offers, pull_model

    if name is None:
        rows = [(name, offer.description, offer.licence, f"{offer.gigabytes:.1f}")
                for name, offer in list_model_offers().items()]  # fmt: skip
        print_table(("name", "model", "licence", "GB at most"), rows)
        return
    offer = find_model_offer(name)
    note(f"{name}: {offer.description}; licence: {offer.licence}; up to {offer.gigabytes:.1f} GB from "
         f"{offer.repository}")  # fmt: skip
    confirm(f"download {name}", yes)
    added = pull_model(name)
    note(f"Added the model {added.name}. Next: photosearch index --model {added.name}")


@models_app.command("remove")
def models_remove(
    name: Annotated[str, model_argument(help="A model that was added or pulled.")], yes: Yes = False
) -> None:
    """Delete a model that you added. Its scores stay in your libraries."""
    from photosearch import remove_model

    confirm(f"delete the model {name}", yes)
    note(f"Deleted {remove_model(name)}")
