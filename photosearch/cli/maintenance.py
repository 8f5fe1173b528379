"""`status`, `errors`, `models`, `forget`, `rebuild`, `doctor`: what there is, and whether it works."""

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photosearch.cli.output import escape, note, print_table, say_count, say_when
from photosearch.cli.root import (
    App,
    AsJson,
    Db,
    app,
    library_path,
    model_argument,
    model_option,
    open_library,
    path_argument,
)
from photosearch.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from photosearch.models.card import Card, TextCard

NAMED_LABELS = 12  # of a model's labels, at most, that `models show` names

models_app = App(invoke_without_command=True, help="The models that can be used, and their cards.")
app.add_typer(models_app, name="models")


@app.command("status")
def status_command(ctx: typer.Context, as_json: AsJson = False, db: Db = None) -> None:
    """The library, its folders and models, and what can run them."""
    from photosearch.models.catalog import list_shipped
    from photosearch.models.providers import describe_providers

    path = library_path(ctx, db)
    known: dict[str, Any] = {"database": str(path), "size_bytes": path.stat().st_size if path.exists() else None}
    if path.exists():
        with open_library(ctx, db) as library:
            known |= library.status().to_json()
    known |= {"shipped": sorted(list_shipped()), "providers": describe_providers()}
    if as_json:
        typer.echo(json.dumps(known, indent=1))
        return
    _print_status(known)


def _print_status(known: dict[str, Any]) -> None:
    from photosearch.library.records import USER_MODEL

    size = known["size_bytes"]
    rows = [("library", known["database"] + (f" ({size / 1e6:,.1f} MB)" if size is not None else " (not made yet)"))]
    for root in known.get("folders", []):
        away = "" if root["present"] else ", away"
        rows.append(("folder", f"{root['path']}: {say_count(root['photos'], 'photo')}{away}"))
    if "photos" in known:
        kinds = [f"{known[kind]:,} {kind}" for kind in ("unreadable", "removed", "excluded") if known[kind]]
        rows.append(("photos", ", ".join([f"{known['photos']:,}", *kinds])))
        rows.append(("known to you", say_count(known["marks"], "mark")))
        rows.append(("answers", known["default_model"] or "no model yet"))
    for model in known.get("models", []):
        if model["name"] == USER_MODEL:
            seen = say_count(model["images"], "picture")
            rows.append(("labels", f"{USER_MODEL}, from descriptions, over {seen}"))
            continue
        tiles = f", {model['tiles']} tiles" if model["tiles"] else ""
        rows.append(("model", f"{model['name']} {model['version']}{tiles}: looked at "
                              f"{say_count(model['images'], 'picture')}"))  # fmt: skip
    if run := known.get("last_run"):
        ended = "" if run["finished_at"] is None else f", ended {say_when(run['finished_at'])}"
        rows.append(("last run", f"begun {say_when(run['started_at'])}{ended}: {' and '.join(run['models'])} on "
                                 f"{run['provider']}"))  # fmt: skip
    rows += [("comes along", name) for name in known["shipped"]]
    rows += [("provider", f"{name}: {state}") for name, state in known["providers"].items()]
    print_table(("", ""), rows)


@app.command("errors")
def errors_command(ctx: typer.Context, as_json: AsJson = False, db: Db = None) -> None:
    """The photos that could not be read, why, and since when."""
    with open_library(ctx, db) as library:
        rows = library.unreadable()
    if as_json:
        typer.echo(json.dumps([dict(zip(("path", "reason", "since"), row, strict=True)) for row in rows], indent=1))
    elif rows:
        print_table(("path", "reason", "since"), [(path, reason, say_when(since)) for path, reason, since in rows])
    else:
        note("every photo could be read")


@models_app.callback()
def models_command(ctx: typer.Context, as_json: AsJson = False) -> None:
    """The models that can be used."""
    from photosearch.models.card import Card
    from photosearch.models.catalog import DEFAULT_MODEL, list_added, list_shipped, read_card

    if ctx.invoked_subcommand is not None:
        return
    paths = {**list_shipped(), **list_added()}
    cards = [(path, card) for path in paths.values() if isinstance(card := read_card(path), Card)]
    if as_json:
        keys = ("name", "version", "labels", "outputs", "input_size")
        rows = [
            {**{k: getattr(c, k) for k in keys}, "default": c.name == DEFAULT_MODEL, "path": str(p)} for p, c in cards
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    cells = []
    for _, card in cards:
        labels = ", ".join(card.labels[:8]) + (f" and {len(card.labels) - 8:,} more" if len(card.labels) > 8 else "")
        gives = ", ".join(card.outputs)
        cells.append((card.name, card.version, gives, labels, f"{card.input_size} px",
                      "default" if card.name == DEFAULT_MODEL else ""))  # fmt: skip
    print_table(("name", "version", "gives", "labels", "input", ""), cells)


@models_app.command("show")
def models_show(
    name: Annotated[str, model_argument(help="A model's name or an .onnx file.")], as_json: AsJson = False
) -> None:
    """Say what a model gives, and how good it is.

    With --json, its whole card.
    """
    from photosearch.models.catalog import read_card, resolve

    path = resolve(name)
    card = read_card(path)
    typer.echo(json.dumps(json.loads(card.to_json()), indent=1) if as_json else escape(_describe_card(path, card)))


def _describe_card(path: "Path", card: "Card | TextCard") -> str:
    """What a person asks of a model, in that order: what it gives, how it looks, what made it, how good it is."""
    from photosearch.models.card import Card

    rows = [("model", f"{card.name}, version {card.version}"), ("file", str(path))]
    if isinstance(card, Card):
        some = ", ".join(card.labels[:NAMED_LABELS]) + (", ..." if len(card.labels) > NAMED_LABELS else "")
        rows += [("labels", f"{len(card.labels):,}: {some}")] if card.labels else []
        rows += [("keeps", f"scores from {card.min_score:.4f} on")] if card.min_score else []
        how = "squashed into" if card.fit == "squash" else "whose middle is cut to"
        rows += [("looks at", f"the photo, {how} {card.input_size}x{card.input_size} pixels"),
                 ("tiles", ", ".join(["0", *sorted(card.pooling, key=int)]))]  # fmt: skip
    rows += [("vectors", f"{card.dimensions} numbers, in the space {card.space}")] if card.space else []
    told = {**card.details, "taught with": card.trained_on, "licence": card.licence}
    rows += [(key.replace("_", " "), str(told[key])) for key in ("taught with", "command", "chosen_on",
             "thresholds_are", "licence", "history") if told.get(key)]  # fmt: skip
    lines = [f"{key:15} {value}" for key, value in rows]
    return "\n".join([*lines, *_draw_measured(card)])


def _draw_measured(card: "Card | TextCard") -> list[str]:
    """The figures that a card states, as a table."""
    rows = getattr(card, "measured", ())
    if not rows:
        return []

    def show(row: Mapping[str, Any], key: str) -> str:
        value = row.get(key)
        return f"{value:.3f}" if isinstance(value, float) else str("" if value is None else value)

    keys = {"split": 28, "label": 18, "n": 8, "positives": 10, "threshold": 10, "precision": 10, "recall": 8,
            "average_precision": 18}  # fmt: skip
    head = "".join(f"{key.replace('_', ' '):{'<' if key in ('split', 'label') else '>'}{n}}" for key, n in keys.items())
    cells = ["".join(f"{show(row, key):{'<' if key in ('split', 'label') else '>'}{n}}" for key, n in keys.items())
             for row in rows]  # fmt: skip
    return ["", head, *cells]


@models_app.command("use")
def models_use(
    ctx: typer.Context,
    name: Annotated[str, model_argument(help="A model that has looked at photos here.")],
    db: Db = None,
) -> None:
    """Let this model answer from now on, in find, sample and report."""
    with open_library(ctx, db) as library:
        looked, images = library.models.set_default(name)
    note(f"find uses {name} from now on; it has looked at {looked:,} of {say_count(images, 'picture')}"
         + ("" if looked >= images else "; photosearch index looks at the others"))  # fmt: skip


@models_app.command("add")
def models_add(
    folder: Annotated[str, path_argument(metavar="DIR", help="A two-tower model as people publish it.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call it; default: the folder's name.")
    ] = None,
) -> None:
    """Add a model of text and images, from its folder.

    It is checked, and copied to where yours lie.
    """
    from pathlib import Path

    from photosearch.models import two_tower

    added = two_tower.add_model(Path(folder), name=name)
    for remark in added.remarks:
        note(remark)
    note(f"{added.name} is there, in the layout of {added.layout}; now: photosearch index --model {added.name}")


@models_app.command("pull")
def models_pull(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Without, what is offered.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Fetch a larger model from its hub. Nothing else here ever opens a connection."""
    from photosearch.models import hub

    if name is None:
        print_table(("name", "", "licence"), [(n, o.description, o.licence) for n, o in hub.OFFERS.items()])
        return
    offer = hub.find_offer(name)
    note(f"{name}: {offer.description}; licence: {offer.licence}; from {offer.repository}")
    confirm(f"fetch {name} over the network", yes)
    added = hub.pull_model(name)
    note(f"{added.name} is there; now: photosearch index --model {added.name}")


@models_app.command("remove")
def models_remove(
    name: Annotated[str, model_argument(help="A model that was added or pulled.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Delete a model that was added. What it said of your photos stays in the library."""
    from photosearch.models import two_tower

    confirm(f"delete the model {name}", yes)
    note(f"{two_tower.remove_model(name)}: deleted")


@app.command("forget")
def forget_command(
    ctx: typer.Context,
    paths: Annotated[list[str] | None, path_argument(metavar="PATH", help="Photos, or folders.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything, with the copies put aside.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    db: Db = None,
) -> None:
    """Delete what is known of photos or folders.

    The photos themselves are left alone.
    """
    from photosearch.library.database import list_backups

    if bool(paths) == all_:
        raise InputError("name photos or folders to forget, or --all")
    path = library_path(ctx, db)
    with open_library(ctx, db) as library:
        if all_:
            counts = library.status().counts
            confirm(
                f"forget everything in {path}: {say_count(counts.photos, 'photo')}, "
                f"{say_count(counts.marks, 'mark')} of yours, and the copies put aside", yes,
            )  # fmt: skip
        known = library.forget(None if all_ else paths or [])
    note(f"{say_count(known, 'photo')} forgotten")
    for copy in list_backups(path):
        note(f"{copy} still holds what the library held when it was put aside; to forget that as well, delete it")


@app.command("rebuild")
def rebuild_command(
    ctx: typer.Context,
    force: Annotated[bool, typer.Option("--force", help="Even if it isn't damaged.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    db: Db = None,
) -> None:
    """Start a damaged library anew, with your marks and thresholds.

    They are rescued as far as they can be read; then `photosearch index` looks at the photos again.
    """
    from photosearch.library.rebuild import check, rebuild

    path = library_path(ctx, db)
    check(path, force=force)
    confirm(f"start {path} anew: all scores go, marks stay as far as they can be read, the old file is kept beside it",
            yes)  # fmt: skip
    rescued = rebuild(path, force=force)
    note(f"rescued: {say_count(rescued.marks, 'mark')}, {say_count(rescued.thresholds, 'threshold')}, "
         f"{say_count(rescued.folders, 'folder')}; the old library stands at {rescued.aside}; "
         "now run photosearch index")  # fmt: skip


@app.command("doctor")
def doctor_command(
    provider: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Try this one; may be repeated.")] = None,
    model: Annotated[str | None, model_option("--model", help="A model's name or an .onnx file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Try each part of the tool, and say what works and how fast."""
    from photosearch import doctor
    from photosearch.models.catalog import resolve

    checks = list(doctor.examine(resolve(model), provider or ["auto", "cpu"]))
    if as_json:
        keys = ("name", "works", "detail", "milliseconds")
        typer.echo(json.dumps([{k: getattr(c, k) for k in keys} for c in checks], indent=1))
    else:
        times = ["" if c.milliseconds is None else f"{c.milliseconds:.2f} ms a photo" for c in checks]
        rows = [(c.name, "works" if c.works else "FAILS", t, c.detail) for c, t in zip(checks, times, strict=True)]
        print_table(("", "", "", ""), rows)
    if not all(c.works for c in checks):
        raise typer.Exit(1)


def sees_a_person() -> bool:
    return sys.stdin.isatty()


def confirm(what: str, yes: bool) -> None:
    """Name what will be destroyed, and ask; without anybody to answer, refuse. Raises InputError."""
    if yes:
        return
    if not sees_a_person():
        raise InputError(f"this would {what}; add --yes if that is meant")
    note(f"This will {what}.")
    if not typer.confirm("Go on?", err=True):
        raise InputError("nothing was done")
