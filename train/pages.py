"""docs/model.md: what each shipped model was taught with, how, how good it was found to be, and what it gets wrong.

Every figure is read: from the models' own cards, and from what `python -m train evaluate MODEL --on SET --json` wrote
into docs/measured/. Nothing is computed here but differences between runs of the same command under other seeds.

    python -m train pages
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from photosearch import model
from photosearch.model import Card

PAGE = Path("docs/model.md")
README = Path("README.md")
MARKS = ("<!-- models: written by `python -m train pages` -->", "<!-- end of models -->")
MEASURED = Path("docs/measured")
SETS = ("caltech-101", "cub", "tiny-imagenet", "cifar-10", "small-birds")
WORST = 12  # classes that are named
SPREAD = ("precision", "recall", "f1", "average_precision")


def write(page: Path = PAGE, measured: Path = MEASURED) -> str:
    """Write the page, whole; returns its text."""
    text = "\n".join(lines({n: model.read_card(p) for n, p in model.shipped().items()}, results(measured))) + "\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    return text


def write_readme(readme: Path = README, measured: Path = MEASURED) -> None:
    """Put the table of the shipped models between the README's marks."""
    before, _, rest = readme.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    cards = {name: model.read_card(path) for name, path in model.shipped().items()}
    rows = "\n".join(overview(cards, results(measured)))
    readme.write_text(f"{before}{MARKS[0]}\n{rows}\n{MARKS[1]}{after}", encoding="utf-8")


def overview(cards: dict[str, Card], measured: Sequence[dict[str, Any]]) -> Iterator[str]:
    """One row for each model and test part: from the model's own card, or from `train evaluate` where it ran."""
    rows = []
    for card in cards.values():
        own = [r for r in measured if r["model"] == card.name and r["tiles"] == card.tiles and ".seed" not in r["file"]]
        parts = {f"{r['on']}, test" for r in own}
        told = [r for r in card.measured if str(r["split"]).endswith(", test") and r["split"] not in parts]
        for r in (*told, *own):
            part = f"{r['on']}, test" if "on" in r else r["split"]
            birds = r["tp"] + r["fn"]
            shares = (_cell(r[k]) for k in ("precision", "recall", "accuracy", "always_no_accuracy"))
            rows.append([card.name, part, f"{r['n']:,}", f"{birds:,}", *shares])
    yield from table(("model", "pictures", "n", "birds", "precision", "recall", "accuracy", "always no"), rows)


def results(measured: Path) -> list[dict[str, Any]]:
    """What `train evaluate` wrote, in the order of SETS. `file` is the name without .json."""
    found = [{**json.loads(p.read_text(encoding="utf-8")), "file": p.stem} for p in sorted(measured.glob("*.json"))]
    return sorted(found, key=lambda r: (SETS.index(r["on"]) if r["on"] in SETS else len(SETS), r["tiles"], r["file"]))


def lines(cards: dict[str, Card], measured: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "# The models that ship"
    yield ""
    yield "Written by `python -m train pages` from the models' cards and from docs/measured/; not edited by hand."
    yield "Thresholds were chosen on validation parts, everything in the tables was measured on test parts."
    yield "Brackets hold 95 % intervals: Wilson's, a bootstrap for F1 and average precision (AP). ECE is the"
    yield "expected calibration error over ten bins. *Always no* is the accuracy of a program that never finds a bird."
    for name, card in cards.items():
        yield from _model(name, card, [r for r in measured if r["model"] == card.name])


def _model(name: str, card: Card, measured: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield from ("", f"## {name}", "")
    yield f"Version {card.version}. Sees a photo at {card.input_size} x {card.input_size} pixels ({card.fit})."
    thresholds = ", ".join(f"{label} {card.threshold(label):.4f}" for label in card.labels[:10])
    yield f"Thresholds: {thresholds}. Tiles by default: {card.tiles}."
    for title, text in (("Taught with", card.trained_on), ("Licence of the data", card.licence)):
        if text:
            yield from ("", f"**{title}.** {text}")
    if command := card.details.get("command"):
        yield from ("", "Taught again by:", "", f"    {command}")
    own = [r for r in measured if ".seed" not in r["file"]]
    if own:
        yield from ("", "### Test parts", "")
        yield from table(
            ("set", "tiles", "n", "birds", "precision", "recall", "F1", "AP", "accuracy", "always no", "ECE"),
            (_row(r) for r in own),
        )
        yield from ("", "by", "")
        yield from (f"    {_command(r)}" for r in own)
        yield from _tiles(own)
        yield from _wrong(own)
    yield from _spread(measured)
    if card.measured:
        yield from ("", "### What the card says", "")
        keys = list(dict.fromkeys(k for row in card.measured for k in row))
        yield from table(keys, ([_cell(row.get(k)) for k in keys] for row in card.measured))
    if card.details:
        yield from ("", "### How", "", "```json", json.dumps(dict(card.details), indent=1, sort_keys=True), "```")


def _row(r: dict[str, Any]) -> list[str]:
    shares = [_share(r, name) for name in ("precision", "recall", "f1", "average_precision", "accuracy")]
    birds = r["tp"] + r["fn"]
    error = r["calibration"]["expected_calibration_error"]
    return [r["on"], str(r["tiles"]), str(r["n"]), str(birds), *shares, _cell(r["always_no_accuracy"]), _cell(error)]


def _share(r: dict[str, Any], name: str) -> str:
    interval = r["intervals"].get(name)
    return _cell(r[name]) + (f" ({interval[0]:.3f}-{interval[1]:.3f})" if interval and r[name] is not None else "")


def _command(r: dict[str, Any]) -> str:
    return f"python -m train evaluate {r['model']} --on {r['on']} --tiles {r['tiles']}"


def _tiles(measured: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Sets that were scored with several numbers of tiles: recall at the same precision, seconds."""
    several = [r for r in measured if sum(r["on"] == other["on"] for other in measured) > 1]
    if not several:
        return
    precisions = list(several[0]["recall_at_precision"])
    yield from ("", "### Tiles", "")
    yield "Recall at the same precision, read off each curve, so that ways of scoring can be compared."
    yield "small-birds: 1200x900 scenes, made of Caltech-101's held-out pictures without birds. On half lies a bird"
    yield "of CUB's test part, 60 to 220 pixels long, less than 5 % of the frame; on a quarter another small thing."
    yield ""
    yield from table(
        ("set", "tiles", *(f"recall at precision {p}" for p in precisions), "seconds"),
        (
            [r["on"], str(r["tiles"]), *(_cell(r["recall_at_precision"][p]) for p in precisions), _cell(r["seconds"])]
            for r in several
        ),
    )


def _wrong(measured: Iterable[dict[str, Any]]) -> Iterator[str]:
    yield from ("", "### What it gets wrong", "")
    for r in measured:
        missed = _worst({k: (n - hit, n) for k, (hit, n) in r["recall_by_class"].items()})
        false = _worst({k: (hit, n) for k, (hit, n) in r["false_alarms_by_class"].items()})
        yield f"- {r['on']}, {r['tiles']} tiles, birds missed: {missed}. Taken for birds: {false}."


def _worst(by_class: dict[str, tuple[int, int]]) -> str:
    wrong = sorted(((k, *v) for k, v in by_class.items() if v[0]), key=lambda row: (-row[1], row[0]))
    rest = sum(row[1] for row in wrong[WORST:])
    named = ", ".join(f"{k} {w} of {n}" for k, w, n in wrong[:WORST]) or "none"
    return named + (f", and {rest} in {len(wrong) - WORST} other classes" if rest else "")


def _spread(measured: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Runs under other seeds: the file names say .seedN, and what else was other, in words with hyphens."""
    if not any(".seed" in r["file"] for r in measured):
        return
    yield from ("", "### Under other seeds", "")
    pairs = {(r["on"], r["tiles"]) for r in measured if ".seed" in r["file"]}
    rows = [r for r in measured if (r["on"], r["tiles"]) in pairs]
    yield from table(
        ("set", "tiles", "run", *SPREAD),
        ([r["on"], str(r["tiles"]), _run(r["file"]), *(_cell(r[name]) for name in SPREAD)] for r in rows),
    )


def _run(file: str) -> str:
    """bird-photo.cub.seed2-one-fit -> seed 2 one fit"""
    other = file.partition(".seed")[2]
    return f"seed {other.replace('-', ' ')}" if other else "shipped"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
