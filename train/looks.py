"""How often each test part was looked at, by models of one name: a test part that was looked at often is one that was
chosen by. Whatever reads a test part to print a figure counts it here first.

The ledger is `looks.json` beside the model's file, or docs/measured/looks.json for models in this checkout.
"""

import json
import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEASURED = ROOT / "docs" / "measured"
LEDGER = "looks.json"


def count(model: Path, name: str, on: str) -> int:
    """One look more at the test part `on`, by a model called `name` -> how many that makes."""
    path = ledger_of(model)
    looks = read(path)
    looks.setdefault(on, {})[name] = looks.get(on, {}).get(name, 0) + 1
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(looks, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    aside.replace(path)
    return looks[on][name]


def read(path: Path = MEASURED / LEDGER) -> dict[str, dict[str, int]]:
    """Test part -> model -> looks."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def ledger_of(model: Path) -> Path:
    """Networks that were given up count as well as the one that ships: a run's folder in the checkout is of it too."""
    model = model.resolve()
    return (MEASURED if model.is_relative_to(ROOT) else model.parent) / LEDGER
