"""How often each test part was scored, by model name.

A test part that is scored often ends up being selected on. Every command that reports a figure on a test part adds to
this ledger first: `test_set_ledger.json` next to the model's file, or in docs/measured/ for models in this checkout.
"""

import json
from pathlib import Path

from train.atomic import write_json

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "measured"
LEDGER = "test_set_ledger.json"


def record(model: Path, name: str, part: str) -> int:
    """Add one evaluation of the model called `name` on a test part; returns the new count."""
    path = locate(model)
    counts = read(path)
    counts.setdefault(part, {})[name] = counts.get(part, {}).get(name, 0) + 1
    write_json(path, counts, sort_keys=True)
    return counts[part][name]


def read(path: Path = MEASURED / LEDGER) -> dict[str, dict[str, int]]:
    """Test part -> model name -> number of evaluations."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def locate(model: Path) -> Path:
    """The ledger of a model's file. Discarded runs in the checkout count as well as shipped models."""
    model = model.resolve()
    return (MEASURED if model.is_relative_to(ROOT) else model.parent) / LEDGER
