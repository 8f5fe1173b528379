"""Writes docs/from-8-to-bird.md: what the lessons printed, a picture each, and where the road ends.

    python -m train lessons --document          runs the lessons three times, keeps what they printed, writes all
    python -m train document                    writes the document again from what was kept

Every number in it comes from docs/from-8-to-bird.json, which the lessons filled, or from the bird model's own card.
The text of a lesson is what its file says at its top, where `stamp` puts its numbers as well.
"""

import json
import re
import textwrap
from pathlib import Path

from train.lessons import road
from train.tool import Card, find_model, read_card

DOCS = Path(__file__).parents[2] / "docs"
KEPT, DOCUMENT, IMAGES = "from-8-to-bird.json", "from-8-to-bird.md", "images"
BIRD = "bird-classic"
COMMAND = "python -m train lessons --document"


def write(data: Path, models: Path, *, runs: int = 3, docs: Path = DOCS) -> None:
    """Run the lessons with seeds 0, 1, ..., keep the results, stamp the lessons' files, write the document.

    A run that was stopped goes on where it was; a lesson that is what it was when it ran is not run again.
    """
    results = []
    for seed in range(runs):
        plot = docs / IMAGES if seed == 0 else None
        run = road.lessons(data, models / f"seed{seed}", seed=seed, plot=plot, resume=True)
        results.append({str(n): result for n, result in run.items()})
        road.keep(docs / KEPT, {"command": COMMAND, "machine": road.machine(), "runs": results})
    again(docs)


def again(docs: Path = DOCS) -> None:
    """The document and the stamps from what is kept."""
    kept = read(docs)
    for n in road.FILES:
        stamp(n, kept)
    card = read_card(find_model(BIRD))
    (docs / DOCUMENT).write_text(render(kept, card), encoding="utf-8")


def read(docs: Path = DOCS) -> dict:
    return json.loads((docs / KEPT).read_text(encoding="utf-8"))


def describe(n: int, kept: dict) -> str:
    """A lesson's numbers over the runs: the median, the lowest and the highest."""
    runs = [run[str(n)] for run in kept["runs"]]
    numbers = "; ".join(f"{name} {road.several([r['numbers'][name] for r in runs])}" for name in runs[0]["numbers"])
    seeds = f"n = {len(runs)} runs, median (lowest to highest)" if len(runs) > 1 else "n = 1 run"
    return f"Printed: {numbers}. On {kept['machine']}; {seeds}."


def stamp(n: int, kept: dict) -> None:
    """Put the numbers into the lesson's own file, in the place of the ones that stood there."""
    path = road.FILES[n]
    text = path.read_text(encoding="utf-8")
    block = "\n".join(textwrap.wrap(describe(n, kept), 120, break_long_words=False, break_on_hyphens=False))
    new = re.sub(r'^Printed: .*?(?=\n""")', lambda _: block, text, count=1, flags=re.DOTALL | re.MULTILINE)
    if new != text:
        path.write_text(new, encoding="utf-8")


def render(kept: dict, card: Card) -> str:
    """The whole document: the same results and the same card give the same text."""
    parts = [_opening(kept), *(_lesson(n, kept) for n in road.FILES), _bird(card), _trap(card), _closing(kept)]
    return "\n\n".join(parts) + "\n"


def _opening(kept: dict) -> str:
    head = f"""# From one "8" to a bird

Six programs, each a file of its own in [train/lessons](../train/lessons), each ending in a number that makes the next
one necessary. They follow Adam Geitgey's
["Machine Learning is Fun!"](https://medium.com/@ageitgey/machine-learning-is-fun-part-3-deep-learning-and-convolutional-neural-networks-f40359318721),
which this project grew from. Run them all with `python -m train lessons`, one with `python -m train lesson 3`, with
`--plot DIR` for the pictures.

This page is written by `{kept["command"]}`, from what the lessons printed; nobody typed a number."""
    rows = []
    for n in road.FILES:
        runs = [run[str(n)] for run in kept["runs"]]
        name = next(iter(runs[0]["numbers"]))
        value = road.several([r["numbers"][name] for r in runs])
        rows.append([f"{n}. {road.module(n).TITLE}", f"{name} {value}", f"{runs[0]['parameters']:,}"])
    return f"{head}\n\n{_table(['lesson', 'its number', 'parameters'], rows)}"


def _lesson(n: int, kept: dict) -> str:
    first = kept["runs"][0][str(n)]
    text = road.docstring(n)
    idea = text.split("\nIdea: ", 1)[1].split("\nSource:", 1)[0].strip().replace("\nNot here:", "\n\nNot here:")
    source = text.split("\nSource:", 1)[1].split("\nData:", 1)[0].split("\nCommand:", 1)[0]
    pictures = [f"![{name.split('-', 1)[1][:-4].replace('-', ' ')}]({IMAGES}/{name})" for name in first["pictures"]]
    parts = [
        f"## {n}. {road.module(n).TITLE}",
        _sentence(idea),
        f"`python -m train lesson {n}` ([{road.FILES[n].name}](../train/lessons/{road.FILES[n].name})), seed 0:",
        _table(first["columns"], first["rows"]),
        *pictures,
        describe(n, kept),
        f"**{_sentence(first['therefore'])}**",
        f"*Source: {' '.join(source.split())}*",
    ]
    return "\n\n".join(parts)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _bird(card: Card) -> str:
    columns = ["pictures", "n", "birds", "precision", "recall", "F1", "accuracy"]
    numbers = ("precision", "recall", "f1", "accuracy")
    rows = [
        [r["split"], f"{r['n']:,}", f"{r['positives']:,}", *(f"{r[k]:.4f}" for k in numbers)] for r in card.measured
    ]
    return f"""## A bird

Lesson 6's net with three colours, more filters, and photographs instead of canvases is the talk's bird classifier,
[train/recipes/classic.py](../train/recipes/classic.py). `python -m train bird --net classic` taught it; the validation
part chose the threshold, {card.threshold("bird")}; the test part was looked at once. Its card says:

{_table(columns, rows)}"""


def _trap(card: Card) -> str:
    row = next(r for r in card.measured if r["split"].startswith("cifar-10,") and "test" in r["split"])
    n, yes = row["n"], row["positives"]
    columns = ["on CIFAR-10's test pictures", "accuracy", "birds found", "false alarms", "precision", "recall"]
    rows = [
        ['always "no"', f"{row['always_no_accuracy']:.4f}", f"0 of {yes:,}", f"0 of {n - yes:,}", "none", "0"],
        [card.name, f"{row['accuracy']:.4f}", f"{row['tp']:,} of {yes:,}", f"{row['fp']:,} of {n - yes:,}",
         f"{row['precision']:.4f}", f"{row['recall']:.4f}"],
    ]  # fmt: skip
    return f"""## The accuracy trap

Accuracy {row["accuracy"]:.1%} sounds like a net that knows its birds. A program of one line, `return "no"`, has
{row["always_no_accuracy"]:.1%}: {n - yes:,} of the {n:,} pictures show no bird, and it is right about every one of
them. It has never found a bird, and never will.

{_table(columns, rows)}

So accuracy is never reported alone here. Precision says how many of the photos that were found are birds; recall how
many of the birds were found. One of them alone can be had for nothing (say "yes" to all: recall 1), both together
can't."""


def _closing(kept: dict) -> str:
    total = [round(sum(r["core_seconds"] for r in run.values())) for run in kept["runs"]]
    return f"""## How this page was made

`{kept["command"]}` on {kept["machine"]}:
all lessons run with {len(kept["runs"])} seeds, {road.several(total)} seconds of one core's work each time. The
tables are those of seed 0; what is printed below each is the median over the seeds with the lowest and the highest.
The results are kept in [{KEPT}]({KEPT}), and `python -m train document` writes the page from them."""


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
