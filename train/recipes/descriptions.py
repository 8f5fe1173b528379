"""A thousand everyday descriptions of photographs, the background that `find` compares a query's similarities with.

    python -m train descriptions --to photosearch/search/descriptions.txt

Random combinations of the lists in train/data/description_parts.txt; no data set's captions are in them.
"""

import random
from pathlib import Path

LINES, SEED = 1000, 20
PARTS = Path(__file__).parents[1] / "data" / "description_parts.txt"


def write(to: Path) -> None:
    to.write_text("\n".join(invent(LINES, SEED)) + "\n", encoding="utf-8")


def invent(n: int, seed: int) -> list[str]:
    """n different descriptions, sorted; the same ones for the same seed."""
    rng = random.Random(seed)
    who, does, where, thing, how, scene, when, paper = read_parts()
    pick = rng.choice
    patterns = (
        lambda: f"{pick(who)} {pick(does)}",
        lambda: f"{pick(who)} {pick(does)} {pick(where)}",
        lambda: f"{pick(who)} {pick(where)}",
        lambda: f"{pick(thing)} {pick(how)}",
        lambda: f"{pick(thing)} {pick(where)}",
        lambda: f"{pick(thing)} and {pick(thing)}",
        lambda: f"{pick(who)} with {pick(thing)}",
        lambda: f"{pick(scene)} {pick(when)}".strip(),
        lambda: pick([*thing, *scene, *paper]),
        lambda: f"{pick(paper)} {pick(['on a desk', 'close up', 'on a wall', 'out of focus', 'held in one hand'])}",
    )
    descriptions: set[str] = set()
    while len(descriptions) < n:
        descriptions.add(pick(patterns)())
    return sorted(descriptions)


def read_parts() -> list[list[str]]:
    """The lists in the file's order, one item per line below a line like [who]; an item may be empty."""
    lists: list[list[str]] = []
    for line in PARTS.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            lists.append([])
        else:
            lists[-1].append(line)
    return lists
