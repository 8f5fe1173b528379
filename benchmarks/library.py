"""A library of a million photos: how long a question takes, and how long the command takes to start.

Its rows are made up and written through the store's own methods; a tenth of the photos are birds at 0.5 or more.
"""

import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from photosearch import query
from photosearch.model import Card
from photosearch.store import Store

CARD = Card(name="made-up", version="1", labels=("bird", "dog"), input_size=224)
QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    "bird": {"limit": 100},
    "bird and not dog": {"limit": 100},
    "bird or dog": {"limit": 100},
    "not bird": {"limit": 100},
    "bird --since 2026-06-01 --until 2026-06-30": {"limit": 100, "since": "2026-06-01", "until": "2026-06-30"},
    "bird --under one folder": {"limit": 100, "under": "/photos/0001"},
}
COMMANDS = (
    ("--version",),
    ("--help",),
    ("find", "bird", "--db", "LIBRARY"),
    ("find", "bird and not dog", "--db", "LIBRARY"),
    ("status", "--db", "LIBRARY"),
)


def library(to: Path, *, n: int = 1_000_000, repeats: int = 10) -> dict[str, Any]:
    """n: photos in the library, which is kept in to/library-n.db."""
    db = build(to / f"library-{n}.db", n)
    with Store(db) as store:
        rows = [_question(store, text, options, repeats) for text, options in QUESTIONS.items()]
    return {
        "n": n,
        "repeats": repeats,
        "bytes_a_photo": db.stat().st_size / n,
        "questions": rows,
        "commands": [_command(arguments, db, repeats) for arguments in COMMANDS],
    }


def build(db: Path, n: int, *, seed: int = 1) -> Path:
    """n photos in folders of a thousand, each with a score for `bird` and for `dog`."""
    if db.exists():
        return db
    db.parent.mkdir(parents=True, exist_ok=True)
    aside = db.with_suffix(".part")
    aside.unlink(missing_ok=True)
    rng = random.Random(seed)
    with Store(aside, create=True) as store:
        model_id, labels = store.put_model(CARD, "0" * 16, 0)
        store.end_run(store.begin_run(model_id, "cpu"), {})
        scope = store.add_root("/photos")
        for first in range(0, n, 1000):
            with store.transaction():
                folder = store.folder_id(scope, f"/photos/{first // 1000:04d}")
                for i in range(first, min(first + 1000, n)):
                    taken = f"2026-{i % 12 + 1:02d}-{i % 28 + 1:02d}T12:00:00"
                    image = store.put_image(rng.randbytes(32), 4000, 3000, taken)
                    store.put_photo(folder, f"IMG_{i:07d}.jpg", 2_600_000, i, image)
                    store.put_scores(image, {label_id: rng.random() ** 6.58 for label_id in labels.values()}, model_id)
    aside.replace(db)
    return db


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    took = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - begun))
    return statistics.median(took)


def _question(store: Store, text: str, options: Mapping[str, Any], repeats: int) -> dict[str, Any]:
    wanted, labels = query.parse(text.split(" --")[0]), {label.name: label for label in store.labels()}
    found = store.find(wanted, labels, **options)
    ms = _milliseconds(lambda: store.find(wanted, labels, **options), repeats)
    return {"question": text, "limit": options["limit"], "found": len(found), "ms": ms}


def _command(arguments: Sequence[str], db: Path, repeats: int) -> dict[str, Any]:
    program = [sys.executable, "-c", "from photosearch.cli import main; main()"]
    whole = [str(db) if word == "LIBRARY" else word for word in arguments]
    ms = _milliseconds(lambda: subprocess.run([*program, *whole], capture_output=True, check=True), repeats)
    return {"command": " ".join(["photosearch", *arguments]), "ms": ms}
