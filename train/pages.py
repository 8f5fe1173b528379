"""docs/model.md and the README's table: the purpose of each model, its figures, its errors, its commands.

    python -m train pages

All figures are read: from the models' cards, from the results of `python -m train evaluate MODEL --on SET --json FILE`
and of the reports in docs/measured/, and from the test-set ledger there. Purpose and commands are the recipe's
docstring.
"""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train import test_set_ledger
from train.tool import DEFAULT_MODEL, OFFERS, Card, list_models, read_card

PAGE = Path("docs/model.md")
README = Path("README.md")
MARKS = ("<!-- models: written by `python -m train pages` -->", "<!-- end of models -->")
MEASURED = Path("docs/measured")
CARDS = test_set_ledger.MEASURED / "cards"  # of models whose file is not kept
RECIPES = Path(__file__).parent / "recipes"
SETS = ("cifar-10 + cub", "cifar-10", "caltech-101", "cub", "tiny-imagenet", "small-birds")
WORST = 5  # classes in a list of errors
SHARES = ("precision", "recall", "average_precision", "accuracy")
SPREAD = ("precision", "recall", "f1", "average_precision")
INTRODUCTION = """
## Figures

Thresholds were chosen on validation parts; these are test parts. In brackets: 95 % intervals, Wilson's, or by bootstrap
for average precision (AP). ECE: expected calibration error. Always no: the accuracy of a program that never finds a
bird. Evaluations: how often models of that name were measured on the test part, at least.
"""
SMALL_BIRDS = """
small-birds: scenes of 1200x900 pixels, made of Caltech-101's held-out pictures without birds. Half of them show a bird
of CUB's test part, 60 to 220 pixels long and less than 5 % of the frame; a quarter show another small thing. Recall at
the same precision, read off each curve, compares numbers of tiles:
"""
LARGER = """
## Larger models

`photosearch models pull` offers models that understand more descriptions and take longer. Not measured here: these are
the publishers' figures, in percent. Captions search 5,000 photographs of COCO or 1,000 of Flickr30k; sight's figures
are of Flickr8k's 1,000 and stand above. ImageNet: photographs that get the right one of 1,000 names.
"""
PUBLISHED = {  # arXiv 2502.14786; open_clip's table of results; arXiv 2103.00020
    "siglip2-b32-256": ("47.2", "", "74.0"),
    "openclip-b32-256": ("39.9", "64.9 / 87.2 / 92.2", "72.8"),
    "clip-b32": ("30.4", "58.8 / 83.6 / 90.0", "63.3"),
}

Result = Mapping[str, Any]
Ledger = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class RecipeText:
    """The docstring of a recipe: the first sentence after the model's name, and the commands."""

    purpose: str
    commands: tuple[str, ...]


def write(page: Path = PAGE, measured: Path = MEASURED) -> str:
    """Write the page; returns its text."""
    ledger = test_set_ledger.read(measured / test_set_ledger.LEDGER)
    text = "\n".join(render(read_cards(), read_results(measured), ledger)) + "\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return text


def write_readme(readme: Path = README, measured: Path = MEASURED) -> None:
    """Put the table of the shipped models between the README's marks."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    rows = "\n".join(summarise(read_cards(), read_results(measured), read_words(measured)))
    readme.write_text(f"{before}{MARKS[0]}\n{rows}\n{MARKS[1]}{after}", encoding="utf-8")


def read_cards() -> dict[str, Card]:
    """The shipped models' cards, then those in docs/measured/cards/."""
    files = {path.stem: Card.from_json(path.read_text(encoding="utf-8")) for path in sorted(CARDS.glob("*.json"))}
    return {**{name: read_card(path) for name, path in list_models().items()}, **files}


def read_results(measured: Path) -> list[dict[str, Any]]:
    """The results of `train evaluate`, in the order of SETS. `file` is the name without .json."""
    files = [p for p in sorted(measured.glob("*.json")) if p.name != test_set_ledger.LEDGER]
    return sorted(({**json.loads(p.read_text(encoding="utf-8")), "file": p.stem} for p in files), key=_sort_key)


def read_words(measured: Path) -> dict[str, Any]:
    """The report on descriptions: `python -m train description-report`."""
    result: dict[str, Any] = json.loads((measured / "sight" / "words.json").read_text(encoding="utf-8"))
    return result


def read_recipe(name: str) -> RecipeText:
    """The text of the recipe that makes a model; empty if there is none."""
    for path in sorted(RECIPES.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if text.startswith(f"{name}: "):
            purpose = text.splitlines()[0].removeprefix(f"{name}: ")
            return RecipeText(purpose, tuple(re.findall(r"^ {4}(python -m train .*)$", text, re.MULTILINE)))
    return RecipeText("", ())


def summarise(cards: Mapping[str, Card], results: Sequence[Result], words: Result) -> Iterator[str]:
    """The README's table: a row for each shipped model, the default first. words: the report on descriptions.

    Bird is measured on Caltech-101, else on the first test part that a model has; with its default tiles.
    """
    rows = []
    for name, path in sorted(list_models().items(), key=lambda item: item[0] != DEFAULT_MODEL):
        card = cards[name]
        parts = [r for r in list_rows(card, results) if r["tiles"] == card.tiles]
        bird = next((r for r in parts if r["on"] == "caltech-101"), parts[0])
        recall = words["flickr8k, test"][name]["recall_at_10"] if words["model"] == name else None
        rows.append([
            name, "yes" if name == DEFAULT_MODEL else "", _format_size(path), f"{len(card.labels):,}",
            _format_short(recall), f"{bird['on']} ({bird['n']:,})", _format_short(bird["precision"]),
            _format_short(bird["recall"]),
        ])  # fmt: skip
    head = ("model", "default", "size", "labels", "recall@10", "bird measured on", "precision", "recall")
    yield from make_table(head, rows)


def _format_size(path: Path) -> str:
    """Of a model, with the text encoder and its tokenizer if it has them."""
    files = [path, *path.parent.glob(f"{path.stem}-text.*")]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"


def _format_short(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def list_rows(card: Card, results: Sequence[Result]) -> list[Result]:
    """A model's test parts: results of `train evaluate`, and parts that are only in its card."""
    own = [r for r in results if r["model"] == card.name and not _is_other_seed(r)]
    measured = [{**r, "on": r["split"].removesuffix(", test"), "tiles": card.tiles} for r in card.measured
                if str(r["split"]).endswith(", test") and "calibration_error" in r]  # fmt: skip
    return sorted([*own, *(r for r in measured if r["on"] not in {o["on"] for o in own})], key=_sort_key)


def render(cards: Mapping[str, Card], results: Sequence[Result], ledger: Ledger) -> Iterator[str]:
    yield from ("# The models", "", "Written by `python -m train pages`; not edited by hand.")
    yield from ("", "## Purpose", "")
    for name, card in cards.items():
        shipped = "shipped" if name in list_models() else "not shipped, no file kept"
        yield f"- **{name}**: {read_recipe(name).purpose} {card.input_size}x{card.input_size} pixels; {shipped}."
    yield from INTRODUCTION.splitlines()
    yield ""
    head = "model|test part|n|birds|threshold|precision|recall|AP|accuracy|always no|ECE|evaluations".split("|")
    rows = [(card, row) for card in cards.values() for row in list_rows(card, results)]
    yield from make_table(head, (_make_row(row, card, ledger) for card, row in rows))
    yield from _compare_tiles(results)
    yield from _render_sight(test_set_ledger.MEASURED / "sight")
    yield from LARGER.splitlines()
    yield ""
    head = "name|GB at most|licence|COCO R@1, %|Flickr30k R@1 / 5 / 10, %|ImageNet, no training, %".split("|")
    yield from make_table(head, ([o.name, f"{o.gigabytes:.1f}", o.licence, *PUBLISHED[o.name]]
                                 for o in OFFERS.values()))  # fmt: skip
    yield from ("", "## Errors", "")
    for card, row in rows:
        if "file" in row and row["tiles"] == card.tiles:
            yield _list_errors(card, row)
    yield from _compare_seeds(results)
    yield from ("", "## Training commands", "")
    for name, card in cards.items():
        yield from _describe_training(card, read_recipe(name))


def _make_row(r: Result, card: Card, ledger: Ledger) -> list[str]:
    error = r["calibration"]["expected_calibration_error"] if "calibration" in r else r["calibration_error"]
    part = r["on"] + (f", {r['tiles']} tiles" if r["tiles"] else "")
    evaluations = ledger.get(r["on"], {}).get(card.name)
    figures = (_format(r["threshold"]), *(_format_share(r, name) for name in SHARES), _format(r["always_no_accuracy"]))
    return [card.name, part, f"{r['n']:,}", f"{r['tp'] + r['fn']:,}", *figures, _format(error), _format(evaluations)]


def _format_share(r: Result, name: str) -> str:
    interval = r.get("intervals", {}).get(name)
    return _format(r[name]) + (f" ({interval[0]:.3f}-{interval[1]:.3f})" if interval and r[name] is not None else "")


def _render_sight(folder: Path) -> Iterator[str]:
    """The results of the reports `label-report`, `description-report` and `small-birds`, and of experiments."""
    files = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.json"))}
    for part in ("caltech-101", "flickr8k"):
        if part in files:
            yield from _render_labels(part, files[part])
    for part in ("flickr8k", "miniplaces"):
        if part in files.get("taught", {}):
            yield from _render_taught(part, files["taught"][part])
    if "words" in files:
        yield from ("", "Descriptions: Flickr8k's test part, 5,000 captions as queries for 1,000 photographs.", "")
        yield from _list_figures(files["words"]["flickr8k, test"])
    for table in files.get("experiments", {}).get("tables", ()):
        yield from ("", table["title"], "")
        yield from make_table(table["columns"], ([_format(value) for value in row] for row in table["rows"]))
    if "small-birds" in files:
        yield from _render_small_birds(files["small-birds"])


def _render_labels(part: str, result: Result) -> Iterator[str]:
    yield from ("", f"Everyday labels of sight with at least five positives on {part}'s test part.", "")
    keys = ("label", "n", "positives", "threshold", "precision", "recall", "average_precision")
    yield from make_table(("label", "n", "positives", "threshold", "precision", "recall", "AP"),
                          ([_format(row[key]) for key in keys] for row in result["rows"]))  # fmt: skip
    macro = ", ".join(f"{key.replace('_', ' ')} {value:.3f}" for key, value in result["macro"].items())
    micro = ", ".join(f"{key} {result['micro'][key]:.3f}" for key in ("precision", "recall"))
    yield from ("", f"Macro average: {macro}; micro average: {micro}.")


def _render_taught(part: str, result: Result) -> Iterator[str]:
    """The teachers' means, and each label."""
    yield from ("", f"Taught labels of sight with at least five positives on {part}'s test part.", "")
    keys = ("precision", "recall", "average_precision", "precision_at_20", "expected_calibration_error")
    names = ("precision", "recall", "AP", "P@20", "ECE")
    means = [[f"mean of {values['labels']}", teacher, "", *(_format(values[key]) for key in keys)]
             for teacher, values in result.items() if teacher != "rows"]  # fmt: skip
    rows = [[row["label"], row["teacher"], str(row["positives"]), *(_format(row[key]) for key in keys)]
            for row in result["rows"]]  # fmt: skip
    yield from make_table(("label", "teacher", "positives", *names), [*means, *rows])


def _render_small_birds(result: Result) -> Iterator[str]:
    precisions = list(result["rows"][0]["recall_at_precision"])
    yield ""
    yield f"Small birds by windows of one pass or by tiles, maximum score: {result['scenes']} scenes of validation"
    yield f"parts, {result['birds']} with a bird; the backbone of sight in float32. Not shipped."
    yield ""
    yield from make_table(
        ("maximum over", "AP", *(f"recall at precision {p}" for p in precisions)),
        (
            [r["way"], _format(r["average_precision"]), *map(_format, r["recall_at_precision"].values())]
            for r in result["rows"]
        ),
    )
    cost = ", ".join(f"{way} {ms:.0f}" for way, ms in result["core_ms_a_photo"].items())
    yield from ("", f"Core-milliseconds of the network per photo: {cost}.")


def _list_figures(figures: Mapping[str, Any], title: str = "") -> Iterator[str]:
    """A tree of figures as a list, one line per leaf."""
    for key, value in figures.items():
        name = f"{title}, {key}" if title else key
        if isinstance(value, Mapping):
            yield from _list_figures(value, name)
        else:
            yield f"- {name}: {_format(value)}"


def _compare_tiles(results: Sequence[Result]) -> Iterator[str]:
    """Sets that were measured with several numbers of tiles: recall at the same precision, seconds."""
    own = [r for r in results if not _is_other_seed(r)]
    several = [r for r in own if sum((r["on"], r["model"]) == (o["on"], o["model"]) for o in own) > 1]
    if not several:
        return
    precisions = list(several[0]["recall_at_precision"])
    yield from SMALL_BIRDS.splitlines()
    yield ""
    yield from make_table(
        ("model", "test part", "tiles", *(f"recall at precision {p}" for p in precisions), "seconds"),
        (
            [r["model"], r["on"], str(r["tiles"]), *(_format(r["recall_at_precision"][p]) for p in precisions),
             f"{r['seconds']:.0f}"]
            for r in several
        ),
    )  # fmt: skip


def _list_errors(card: Card, r: Result) -> str:
    missed = _list_worst({k: (n - hit, n) for k, (hit, n) in r["recall_by_class"].items()})
    false = _list_worst({k: (hit, n) for k, (hit, n) in r["false_alarms_by_class"].items()})
    return f"- {card.name} on {r['on']}. Birds missed: {missed}. False alarms: {false}."


def _list_worst(by_class: Mapping[str, tuple[int, int]]) -> str:
    wrong = sorted(((k, *v) for k, v in by_class.items() if v[0]), key=lambda row: (-row[1], row[0]))
    rest = sum(row[1] for row in wrong[WORST:])
    worst = ", ".join(f"{k} {w} of {n}" for k, w, n in wrong[:WORST]) or "none"
    return worst + (f", and {rest} in {len(wrong) - WORST} other classes" if rest else "")


def _compare_seeds(results: Sequence[Result]) -> Iterator[str]:
    """Runs with other seeds; a file name has .seedN and other differences in words with hyphens."""
    keys = {(r["model"], r["on"], r["tiles"]) for r in results if _is_other_seed(r)}
    rows = [r for r in results if (r["model"], r["on"], r["tiles"]) in keys]
    if not rows:
        return
    yield from ("", "## Other seeds", "")
    yield from make_table(
        ("model", "test part", "run", *(name.replace("_", " ") for name in SPREAD)),
        ([r["model"], r["on"], _name_run(r["file"]), *(_format(r[name]) for name in SPREAD)] for r in rows),
    )


def _describe_training(card: Card, recipe: RecipeText) -> Iterator[str]:
    details = card.details
    yield from (f"**{card.name}**: {', then '.join(f'`{command}`' for command in recipe.commands)}", "")
    if card.trained_on:
        yield f"Training data: {card.trained_on.removesuffix('.')}. Licences: {card.licence}"
    if "seconds" in details:
        yield from ("", f"Duration: {details['seconds']:,} s on {details.get('machine', 'one machine')}.")
    yield ""


def _is_other_seed(r: Result) -> bool:
    return ".seed" in r.get("file", "")


def _name_run(file: str) -> str:
    """bird-photo.cub.seed2-one-fit -> seed 2 one fit"""
    other = file.partition(".seed")[2]
    return f"seed {other.replace('-', ' ')}" if other else "shipped"


def _sort_key(r: Result) -> tuple[Any, ...]:
    return (SETS.index(r["on"]) if r["on"] in SETS else len(SETS), r["tiles"], r.get("file", ""))


def make_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _format(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
