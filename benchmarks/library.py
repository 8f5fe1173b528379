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

from benchmarks.measure import core_seconds
from photosearch import query
from photosearch.library import matching
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.labels import read_labels
from photosearch.library.models import put_model, set_default_model
from photosearch.library.photos import FileRecord, put_image, put_photo
from photosearch.library.runs import begin_run, end_run
from photosearch.library.scores import put_prediction
from photosearch.models.card import Card

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
    with Database(db) as store:
        rows = [_question(store, text, options, repeats) for text, options in QUESTIONS.items()]
    return {
        "n": n,
        "repeats": repeats,
        "bytes_a_photo": db.stat().st_size / n,
        "questions": rows,
        "storing": store_many_labels(to / "storing.db"),
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
    with Database(aside, create=True) as store:
        model_id, labels = put_model(store, CARD, "0" * 16, 0)
        set_default_model(store, CARD.name)
        end_run(store, begin_run(store, [CARD.name], "cpu"), {})
        scope = add_root(store, "/photos")
        for first in range(0, n, 1000):
            with store.transaction():
                folder = put_folder(store, scope, f"/photos/{first // 1000:04d}")
                for i in range(first, min(first + 1000, n)):
                    taken = f"2026-{i % 12 + 1:02d}-{i % 28 + 1:02d}T12:00:00"
                    image = put_image(store, rng.randbytes(32), 4000, 3000, taken, "DateTimeOriginal", i)
                    put_photo(store, folder, f"IMG_{i:07d}.jpg", FileRecord(2_600_000, i, i, 1, i), image)
                    put_prediction(store, image, model_id, labels, {name: rng.random() ** 6.58 for name in labels})
    aside.replace(db)
    return db


def store_many_labels(db: Path, *, n: int = 10_000, labels: int = 1_000, kept: int = 10) -> dict[str, Any]:
    """What one photo costs where a model has many labels, few of them above its floor, and a vector of 384 float16."""
    db.unlink(missing_ok=True)
    card = Card(
        name="many", version="1", labels=tuple(f"label {i}" for i in range(labels)), input_size=260, min_score=0.02
    )
    rng = random.Random(1)
    said = [
        ({name: rng.uniform(0.02, 1) for name in rng.sample(card.labels, kept)}, rng.randbytes(768)) for _ in range(n)
    ]
    with Database(db, create=True) as store:
        model_id, ids = put_model(store, card, "1" * 16, 0)
        scope = add_root(store, "/photos")
        begun = core_seconds()
        for first in range(0, n, 16):  # a batch of `index`
            with store.transaction():
                folder = put_folder(store, scope, f"/photos/{first // 1000:04d}")
                for i, (scores, vector) in enumerate(said[first : first + 16], first):
                    taken = f"2026-{i % 12 + 1:02d}-{i % 28 + 1:02d}T12:00:00"
                    image = put_image(store, rng.randbytes(32), 4000, 3000, taken, "DateTimeOriginal", i)
                    put_photo(store, folder, f"IMG_{i:07d}.jpg", FileRecord(2_600_000, i, i, 1, i), image)
                    put_prediction(store, image, model_id, ids, scores, vector)
        core_ms = 1000 * (core_seconds() - begun) / n
    size = db.stat().st_size / n
    db.unlink()
    return {"n": n, "labels": labels, "kept": kept, "dimensions": 384, "bytes_a_photo": size, "core_ms": core_ms}


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    took = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - begun))
    return statistics.median(took)


def _question(store: Database, text: str, options: Mapping[str, Any], repeats: int) -> dict[str, Any]:
    wanted, labels = query.parse(text.split(" --")[0]), {label.name: label for label in read_labels(store)}

    def ask() -> list[matching.Match]:
        bounds = {"under": None, "since": None, "until": None, **{k: v for k, v in options.items() if k != "limit"}}
        return matching.find_matches(
            store, wanted, labels, limit=options["limit"], only=matching.filter_photos(store, **bounds)
        )

    return {"question": text, "limit": options["limit"], "found": len(ask()), "ms": _milliseconds(ask, repeats)}


def _command(arguments: Sequence[str], db: Path, repeats: int) -> dict[str, Any]:
    program = [sys.executable, "-c", "from photosearch.cli.app import main; main()"]
    whole = [str(db) if word == "LIBRARY" else word for word in arguments]
    ms = _milliseconds(lambda: subprocess.run([*program, *whole], capture_output=True, check=True), repeats)
    return {"command": " ".join(["photosearch", *arguments]), "ms": ms}
