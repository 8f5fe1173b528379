"""Writes docs/from-8-to-bird.md: the results of the lessons with pictures, and the bird model they lead to.

    python -m train lessons --document          runs the lessons three times, stores the results, writes the page
    python -m train document                    writes the page from the stored results

Every number comes from docs/from-8-to-bird.json, written by the lessons, or from the bird model's card. The text of a
lesson is its file's docstring, into which `stamp` puts its numbers.
"""

import json
import re
import textwrap
from pathlib import Path

from train.atomic import write_json
from train.lessons import runner
from train.tool import Card, find_model, read_card

DOCS = Path(__file__).parents[2] / "docs"
RESULTS, DOCUMENT, IMAGES = "from-8-to-bird.json", "from-8-to-bird.md", "images"
BIRD = "bird-classic"
COMMAND = "python -m train lessons --document"


def run_and_write(data: Path, models: Path, *, runs: int = 3, docs: Path = DOCS) -> None:
    """Run the lessons with seeds 0, 1, ..., store the results, stamp the lessons' files, write the page.

    Unchanged lessons that have run with a seed are not run again.
    """
    results = []
    for seed in range(runs):
        plot = docs / IMAGES if seed == 0 else None
        run = runner.run_all(data, models / f"seed{seed}", seed=seed, plot=plot, resume=True)
        results.append({str(n): result for n, result in run.items()})
        write_json(docs / RESULTS, {"command": COMMAND, "machine": runner.describe_machine(), "runs": results})
    write(docs)


def write(docs: Path = DOCS) -> None:
    """The page and the stamps, from the stored results."""
    results = read(docs)
    for n in runner.FILES:
        stamp(n, results)
    card = read_card(find_model(BIRD))
    (docs / DOCUMENT).write_text(render(results, card), encoding="utf-8")


def read(docs: Path = DOCS) -> dict:
    return json.loads((docs / RESULTS).read_text(encoding="utf-8"))


def describe(n: int, results: dict) -> str:
    """A lesson's numbers: the median, lowest and highest of the runs."""
    runs = [run[str(n)] for run in results["runs"]]
    numbers = "; ".join(f"{name} {runner.summarise([r['numbers'][name] for r in runs])}" for name in runs[0]["numbers"])
    seeds = f"n = {len(runs)} runs, median (lowest to highest)" if len(runs) > 1 else "n = 1 run"
    return f"Printed: {numbers}. On {results['machine']}; {seeds}."


def stamp(n: int, results: dict) -> None:
    """Replace the numbers in the lesson's docstring."""
    path = runner.FILES[n]
    text = path.read_text(encoding="utf-8")
    block = "\n".join(textwrap.wrap(describe(n, results), 120, break_long_words=False, break_on_hyphens=False))
    new = re.sub(r'^Printed: .*?(?=\n""")', lambda _: block, text, count=1, flags=re.DOTALL | re.MULTILINE)
    if new != text:
        path.write_text(new, encoding="utf-8")


def render(results: dict, card: Card) -> str:
    """The whole page; the same results and card give the same text."""
    parts = [
        _opening(results),
        *(_lesson(n, results) for n in runner.FILES),
        _bird(card),
        _trap(card),
        _closing(results),
    ]
    return "\n\n".join(parts) + "\n"


def _opening(results: dict) -> str:
    head = f"""# From one "8" to a bird

Six programs, one file each in [train/lessons](../train/lessons), each with a result that makes the next one necessary.
They follow Adam Geitgey's
["Machine Learning is Fun!"](https://medium.com/@ageitgey/machine-learning-is-fun-part-3-deep-learning-and-convolutional-neural-networks-f40359318721),
the origin of this project. `python -m train lessons` runs them all, `python -m train lesson 3` one of them;
`--plot DIR` saves their pictures.

This page is written by `{results["command"]}`; all numbers are the lessons' output."""
    rows = []
    for n in runner.FILES:
        runs = [run[str(n)] for run in results["runs"]]
        name = next(iter(runs[0]["numbers"]))
        value = runner.summarise([r["numbers"][name] for r in runs])
        rows.append([f"{n}. {runner.load(n).TITLE}", f"{name} {value}", f"{runs[0]['parameters']:,}"])
    return f"{head}\n\n{_table(['lesson', 'result', 'parameters'], rows)}"


def _lesson(n: int, results: dict) -> str:
    first = results["runs"][0][str(n)]
    text = runner.read_docstring(n)
    idea = text.split("\nIdea: ", 1)[1].split("\nSource:", 1)[0].strip().replace("\nNot here:", "\n\nNot here:")
    source = text.split("\nSource:", 1)[1].split("\nData:", 1)[0].split("\nCommand:", 1)[0]
    pictures = [f"![{name.split('-', 1)[1][:-4].replace('-', ' ')}]({IMAGES}/{name})" for name in first["pictures"]]
    parts = [
        f"## {n}. {runner.load(n).TITLE}",
        _sentence(idea),
        f"`python -m train lesson {n}` ([{runner.FILES[n].name}](../train/lessons/{runner.FILES[n].name})), seed 0:",
        _table(first["columns"], first["rows"]),
        *pictures,
        describe(n, results),
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

The talk's bird classifier, [train/recipes/classic.py](../train/recipes/classic.py), is lesson 6's network with three
colours, more filters, and photographs instead of canvases. `python -m train bird --net classic` trains it. The
threshold, {card.threshold("bird")}, was chosen on the validation part. The figures in its card:

{_table(columns, rows)}"""


def _trap(card: Card) -> str:
    row = next(r for r in card.measured if r["split"].startswith("cifar-10,") and "test" in r["split"])
    n, yes = row["n"], row["positives"]
    columns = ["on CIFAR-10's test pictures", "accuracy", "birds found", "false alarms", "precision", "recall"]
    rows = [
        ['always "no"', f"{row['always_no_accuracy']:.4f}", f"0 of {yes:,}", f"0 of {n - yes:,}", "undefined", "0"],
        [card.name, f"{row['accuracy']:.4f}", f"{row['tp']:,} of {yes:,}", f"{row['fp']:,} of {n - yes:,}",
         f"{row['precision']:.4f}", f"{row['recall']:.4f}"],
    ]  # fmt: skip
    return f"""## The accuracy trap

An accuracy of {row["accuracy"]:.1%} sounds good, but a program of one line, `return "no"`, has
{row["always_no_accuracy"]:.1%}: {n - yes:,} of the {n:,} pictures show no bird, and it is right about all of them. It
never finds a bird.

{_table(columns, rows)}

So accuracy is never reported alone here. Precision is the share of birds among the photos found, recall the share of
birds that are found. Either alone is easy (always "yes" has recall 1); both together are not."""


def _closing(results: dict) -> str:
    total = [round(sum(r["core_seconds"] for r in run.values())) for run in results["runs"]]
    return f"""## How this page was made

`{results["command"]}` on {results["machine"]}:
all lessons with {len(results["runs"])} seeds, {runner.summarise(total)} core-seconds per seed. The tables are those of
seed 0; the line below each has the median over the seeds with the lowest and the highest. The results are stored in
[{RESULTS}]({RESULTS}), and `python -m train document` writes this page from them."""


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
