"""docs/model.md and the README's table: what each model is for, how good it was found to be, what it gets wrong.

Every figure is read: from the models' own cards, from what `python -m train evaluate MODEL --on SET --json` wrote into
docs/measured/, and from the ledger of looks there. What a model is for is what its recipe's file says at its top.

    python -m train pages
"""

import ast
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from train import looks
from train.tool import SHIPPED, Card, list_models, read_card

PAGE = Path("docs/model.md")
README = Path("README.md")
MARKS = ("<!-- models: written by `python -m train pages` -->", "<!-- end of models -->")
MEASURED = Path("docs/measured")
RECIPES = Path(__file__).parent / "recipes"
SETS = ("cifar-10 + cub", "cifar-10", "caltech-101", "cub", "tiny-imagenet", "small-birds")
WORST = 5  # classes that are named
SHARES = ("precision", "recall", "average_precision", "accuracy")
SPREAD = ("precision", "recall", "f1", "average_precision")

Result = Mapping[str, Any]
Looks = Mapping[str, Mapping[str, int]]


def write(page: Path = PAGE, measured: Path = MEASURED) -> str:
    """Write the page, whole; returns its text."""
    text = "\n".join(render(read_cards(), read_results(measured), looks.read(measured / looks.LEDGER))) + "\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return text


def write_readme(readme: Path = README, measured: Path = MEASURED) -> None:
    """Put the table of the shipped models between the README's marks."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    rows = "\n".join(summarise(read_cards(), read_results(measured)))
    readme.write_text(f"{before}{MARKS[0]}\n{rows}\n{MARKS[1]}{after}", encoding="utf-8")


def read_cards() -> dict[str, Card]:
    return {name: read_card(path) for name, path in list_models().items()}


def read_results(measured: Path) -> list[dict[str, Any]]:
    """What `train evaluate` wrote, in the order of SETS. `file` is the name without .json."""
    files = [p for p in sorted(measured.glob("*.json")) if p.name != looks.LEDGER]
    return sorted(({**json.loads(p.read_text(encoding="utf-8")), "file": p.stem} for p in files), key=_place)


def summarise(cards: Mapping[str, Card], results: Sequence[Result]) -> Iterator[str]:
    """The README's table: one row for each shipped model and test part, as it finds photos by default."""
    shares = ("precision", "recall", "accuracy", "always_no_accuracy")
    rows = [
        [card.name, f"{r['on']}, test", f"{r['n']:,}", f"{r['tp'] + r['fn']:,}", *(_cell(r[k]) for k in shares)]
        for name, card in cards.items()
        if name in SHIPPED
        for r in list_rows(card, results)
        if r["tiles"] == card.tiles
    ]
    yield from make_table(("model", "pictures", "n", "birds", "precision", "recall", "accuracy", "always no"), rows)


def list_rows(card: Card, results: Sequence[Result]) -> list[Result]:
    """A model's test parts: those that `train evaluate` looked at, and those that its card alone tells of."""
    own = [r for r in results if r["model"] == card.name and not _is_other_run(r)]
    told = [{**r, "on": r["split"].removesuffix(", test"), "tiles": card.tiles} for r in card.measured
            if str(r["split"]).endswith(", test") and "calibration_error" in r]  # fmt: skip
    return sorted([*own, *(r for r in told if r["on"] not in {o["on"] for o in own})], key=_place)


def render(cards: Mapping[str, Card], results: Sequence[Result], looked: Looks) -> Iterator[str]:
    yield from ("# The models", "")
    yield "Written by `python -m train pages`; not edited by hand."
    yield from ("", "## What each is for", "")
    for name, card in cards.items():
        ships = "ships" if name in SHIPPED else "in the repository only"
        yield f"- {purpose_of(name)} {card.input_size}x{card.input_size} pixels; {ships}."
    yield from ("", "## How good each is", "")
    yield "Thresholds were chosen on validation parts; these are test parts. Brackets hold 95 % intervals: Wilson's, a"
    yield "bootstrap for average precision (AP). ECE: expected calibration error. Always no: the accuracy of a program"
    yield "that never finds a bird. Looks: how often a test part was scored by networks of that name, at least."
    yield ""
    head = "model|test part|n|birds|threshold|precision|recall|AP|accuracy|always no|ECE|looks".split("|")
    yield from make_table(head, (
        _row(r, card, looked) for card in cards.values() for r in list_rows(card, results)
    ))  # fmt: skip
    yield from _explain_tiles(results)
    yield from _list_labels(looks.ROOT / MEASURED / "sight")
    yield from ("", "## What each gets wrong", "")
    for card in cards.values():
        rows = [r for r in list_rows(card, results) if "file" in r and r["tiles"] == card.tiles]
        yield from _list_mistakes(card, rows)
    yield from _compare_seeds(results)
    yield from ("", "## How to make each again", "")
    for card in cards.values():
        yield from _tell_recipe(card)


def purpose_of(name: str) -> str:
    """The first sentence of the recipe that makes the model; its name alone where there is none."""
    for path in sorted(RECIPES.glob("*.py")):
        first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n")[0]
        if first.startswith(f"{name}: "):
            return f"**{name}**: {first.removeprefix(f'{name}: ')}"
    return f"**{name}**:"


def _row(r: Result, card: Card, looked: Looks) -> list[str]:
    error = r["calibration"]["expected_calibration_error"] if "calibration" in r else r["calibration_error"]
    part = r["on"] + (f", {r['tiles']} tiles" if r["tiles"] else "")
    times = looked.get(r["on"], {}).get(card.name)
    figures = (_cell(r["threshold"]), *(_share(r, name) for name in SHARES), _cell(r["always_no_accuracy"]))
    return [card.name, part, f"{r['n']:,}", f"{r['tp'] + r['fn']:,}", *figures, _cell(error), _cell(times)]


def _share(r: Result, name: str) -> str:
    interval = r.get("intervals", {}).get(name)
    return _cell(r[name]) + (f" ({interval[0]:.3f}-{interval[1]:.3f})" if interval and r[name] is not None else "")


def _list_labels(folder: Path) -> Iterator[str]:
    """What `python -m train.recipes.sight_report` and words_report wrote: everyday labels, descriptions."""
    parts = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.json"))}
    for part in ("caltech-101", "flickr8k"):
        if part not in parts:
            continue
        told = parts[part]
        yield from (
            "",
            f"Everyday labels of sight on {part}'s test part; a label has a row if five pictures show it.",
            "",
        )
        keys = ("label", "n", "positives", "threshold", "precision", "recall", "average_precision")
        yield from make_table(("label", "n", "show it", "threshold", "precision", "recall", "AP"),
                              ([_cell(row[key]) for key in keys] for row in told["rows"]))  # fmt: skip
        macro, micro = told["macro"], told["micro"]
        yield ""
        shares = ", ".join(f"{key} {value:.3f}" for key, value in macro.items())
        yield f"Macro: {shares}; micro: precision {micro['precision']:.3f}, recall {micro['recall']:.3f}."
    if "words" in parts:
        yield from ("", "Descriptions: Flickr8k's test part, 5,000 captions to 1,000 photographs.", "")
        yield from _list_figures(parts["words"]["flickr8k, test"])
    if "tries" in parts:
        yield from _list_tries(parts["tries"])
    if "small-birds" in parts:
        yield from _list_ways(parts["small-birds"])


def _list_tries(told: Mapping[str, Any]) -> Iterator[str]:
    """What was tried on development parts, and what came of it: tables under a heading each."""
    for table in told["tables"]:
        yield from ("", table["title"], "")
        yield from make_table(table["columns"], ([_cell(value) for value in row] for row in table["rows"]))
        yield from ("", table["found"])


def _list_ways(told: Mapping[str, Any]) -> Iterator[str]:
    """What `python -m train.recipes.small_birds` wrote."""
    precisions = list(told["rows"][0]["recall_at_precision"])
    yield from ("", f"A small bird in one pass, or by tiles, on {told['scenes']} scenes composed of validation parts, "
                f"{told['birds']} with a bird; the backbone of sight in float32. Nothing of it ships.", "")  # fmt: skip
    yield from make_table(
        ("the largest chance of", "AP", *(f"recall at precision {p}" for p in precisions)),
        (
            [r["way"], _cell(r["average_precision"]), *map(_cell, r["recall_at_precision"].values())]
            for r in told["rows"]
        ),
    )
    yield from ("", "Core-milliseconds of the network for a photo: "
                + ", ".join(f"{way} {ms:.0f}" for way, ms in told["core_ms_a_photo"].items()) + ".")  # fmt: skip


def _list_figures(told: Mapping[str, Any], title: str = "") -> Iterator[str]:
    """A tree of figures as a list, a line a leaf."""
    for key, value in told.items():
        name = f"{title}, {key}" if title else key
        if isinstance(value, Mapping):
            yield from _list_figures(value, name)
        else:
            yield f"- {name}: {_cell(value)}"


def _explain_tiles(results: Sequence[Result]) -> Iterator[str]:
    """Sets that were scored with several numbers of tiles: recall at the same precision, seconds."""
    own = [r for r in results if not _is_other_run(r)]
    several = [r for r in own if sum((r["on"], r["model"]) == (o["on"], o["model"]) for o in own) > 1]
    if not several:
        return
    precisions = list(several[0]["recall_at_precision"])
    yield ""
    yield "small-birds: 1200x900 scenes, made of Caltech-101's held-out pictures without birds. On half lies a bird"
    yield "of CUB's test part, 60 to 220 pixels long, less than 5 % of the frame; on a quarter another small thing."
    yield "Recall at the same precision, read off each curve, so that ways of scoring can be compared:"
    yield ""
    yield from make_table(
        ("model", "test part", "tiles", *(f"recall at precision {p}" for p in precisions), "seconds"),
        (
            [r["model"], r["on"], str(r["tiles"]), *(_cell(r["recall_at_precision"][p]) for p in precisions),
             f"{r['seconds']:.0f}"]
            for r in several
        ),
    )  # fmt: skip


def _list_mistakes(card: Card, rows: Iterable[Result]) -> Iterator[str]:
    for r in rows:
        missed = _worst({k: (n - hit, n) for k, (hit, n) in r["recall_by_class"].items()})
        false = _worst({k: (hit, n) for k, (hit, n) in r["false_alarms_by_class"].items()})
        yield f"- {card.name} on {r['on']}, birds missed: {missed}. Taken for birds: {false}."


def _worst(by_class: Mapping[str, tuple[int, int]]) -> str:
    wrong = sorted(((k, *v) for k, v in by_class.items() if v[0]), key=lambda row: (-row[1], row[0]))
    rest = sum(row[1] for row in wrong[WORST:])
    named = ", ".join(f"{k} {w} of {n}" for k, w, n in wrong[:WORST]) or "none"
    return named + (f", and {rest} in {len(wrong) - WORST} other classes" if rest else "")


def _compare_seeds(results: Sequence[Result]) -> Iterator[str]:
    """Runs under other seeds: the file names say .seedN, and what else was other, in words with hyphens."""
    pairs = {(r["model"], r["on"], r["tiles"]) for r in results if _is_other_run(r)}
    rows = [r for r in results if (r["model"], r["on"], r["tiles"]) in pairs]
    if not rows:
        return
    yield from ("", "## Under other seeds", "")
    yield from make_table(
        ("model", "test part", "run", *(name.replace("_", " ") for name in SPREAD)),
        ([r["model"], r["on"], _run(r["file"]), *(_cell(r[name]) for name in SPREAD)] for r in rows),
    )


def _tell_recipe(card: Card) -> Iterator[str]:
    told = card.details
    yield from (f"**{card.name}**: `{told['command']}`" if "command" in told else f"**{card.name}**", "")
    if card.trained_on:
        yield f"Taught with {card.trained_on.removesuffix('.')}. {card.licence}"
    if "seconds" in told:
        yield from ("", f"It took {told['seconds']:,} s on {told.get('machine', 'one machine')}.")
    yield ""


def _is_other_run(r: Result) -> bool:
    return ".seed" in r.get("file", "")


def _run(file: str) -> str:
    """bird-photo.cub.seed2-one-fit -> seed 2 one fit"""
    other = file.partition(".seed")[2]
    return f"seed {other.replace('-', ' ')}" if other else "shipped"


def _place(r: Result) -> tuple[Any, ...]:
    return (SETS.index(r["on"]) if r["on"] in SETS else len(SETS), r["tiles"], r.get("file", ""))


def make_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
