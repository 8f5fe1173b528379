"""A library of a million photos: how long a question takes, and how long the command takes to start.

Its rows are made up and written through the library's own functions. `find` by a description is measured on a smaller
library, whose photos have vectors of the default model's size.
"""

import random
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import PHOTOSEARCH, Figures, median_ms
from photosearch import query
from photosearch.library import matching
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.labels import read_labels
from photosearch.library.models import put_model, set_default_model
from photosearch.library.photos import FileRecord, put_image, put_photo
from photosearch.library.runs import begin_run, end_run
from photosearch.library.schema import VERSION
from photosearch.library.scores import put_prediction
from photosearch.models.card import Card
from photosearch.models.catalog import resolve
from photosearch.models.session import Model
from photosearch.photos.decode import content_hash

CARD = Card(name="made-up", version="1", labels=("bird", "dog"), input_size=224)
LIMIT = 100
QUESTIONS: Mapping[str, Mapping[str, Any]] = {
    "bird": {},
    "bird and not dog": {},
    "bird or dog": {},
    "not bird": {},
    "bird --since 2026-06-01 --until 2026-06-30": {"since": "2026-06-01", "until": "2026-06-30"},
    "bird --under one folder": {"under": "/photos/0001"},
}
COMMANDS = (("--version",), ("--help",), ("find", "bird"), ("find", "bird and not dog"), ("status",))
DESCRIPTION = ("find", "a red car on a beach")
PER_FOLDER = 1000  # photos, and rows of a transaction
DAYS = 84  # that photos are taken on, one a second from 8 o'clock on


def measure_library(work: Path, *, n: int = 1_000_000, n_vectors: int = 100_000, repeats: int = 10) -> Figures:
    """n: photos in the library that is asked for labels. n_vectors: in the one that is asked for a description."""
    db = build(work / f"library-{VERSION}-{n}.db", n)
    with Database(db) as store:
        questions = [measure_question(store, text, bounds, repeats) for text, bounds in QUESTIONS.items()]
    commands = [measure_command(words, db, repeats) for words in COMMANDS]
    described = build(work / f"library-{VERSION}-{n_vectors}-vectors.db", n_vectors, with_vectors=True)
    first = measure_command(DESCRIPTION, described, 1)  # builds the map of vectors
    commands.append({**measure_command(DESCRIPTION, described, repeats), "first_ms": first["ms"]})
    bytes_per_photo = {"labels": db.stat().st_size / n, "vectors": described.stat().st_size / n_vectors}
    return {
        "n": n,
        "n_vectors": n_vectors,
        "repeats": repeats,
        "limit": LIMIT,
        "bytes_per_photo": bytes_per_photo,
        "questions": questions,
        "commands": commands,
    }


def build(
    db: Path,
    n: int,
    *,
    real: Sequence[Path] = (),
    n_birds: int | None = None,
    with_vectors: bool = False,
    seed: int = 1,
) -> Path:
    """n photos in folders of a thousand, each with a score for `bird` and for `dog`; what is there already is kept.

    A tenth of the scores are 0.5 or more, and no two photos look alike. real: photos that exist, the first of the
    library. n_birds: if given, only the first n_birds photos show a bird, with scores from 1 down to 0.75.
    with_vectors: of the default model.
    """
    if db.exists():
        return db
    db.parent.mkdir(parents=True, exist_ok=True)
    partial = db.with_suffix(".part")
    partial.unlink(missing_ok=True)
    rng = random.Random(seed)
    with Database(partial, create=True) as store:
        card, digest = _read_default() if with_vectors else (CARD, "0" * 16)
        model_id, label_ids = put_model(store, card, digest, 0)
        set_default_model(store, card.name)
        end_run(store, begin_run(store, [card.name], "cpu"), {})
        made_up = add_root(store, "/photos")
        existing = add_root(store, str(real[0].parents[1])) if real else made_up
        vectors = _draw_vectors(card, seed) if with_vectors else None
        for first in range(0, n, PER_FOLDER):
            with store.transaction():
                for i in range(first, min(first + PER_FOLDER, n)):
                    path = real[i] if i < len(real) else Path(f"/photos/{i // PER_FOLDER:04d}/IMG_{i:07d}.jpg")
                    hashed = content_hash(path.read_bytes()) if i < len(real) else rng.randbytes(32)
                    second, fingerprint = timedelta(seconds=i // DAYS), int.from_bytes(hashed[:8])
                    taken = (datetime(2026, i % 12 + 1, i % 28 + 1, 8) + second).isoformat()
                    image = put_image(store, hashed, 4000, 3000, taken, "DateTimeOriginal", fingerprint)
                    root = existing if i < len(real) else made_up
                    folder = put_folder(store, root, str(path.parent))
                    put_photo(store, folder, path.name, FileRecord(2_600_000, i, i, 1, i), image)
                    scores = {"bird": _draw_bird(i, n_birds, rng), "dog": rng.random() ** 6.58}
                    vector = None if vectors is None else vectors[rng.randrange(len(vectors))]
                    put_prediction(store, image, model_id, label_ids, scores, vector)
    partial.replace(db)
    return db


def measure_question(store: Database, text: str, bounds: Mapping[str, Any], repeats: int) -> Figures:
    wanted, labels = query.parse(text.partition(" --")[0]), {label.name: label for label in read_labels(store)}
    every_bound = {"under": None, "since": None, "until": None, **bounds}

    def ask() -> list[matching.Match]:
        return matching.find_matches(
            store, wanted, labels, limit=LIMIT, only=matching.filter_photos(store, **every_bound)
        )

    return {"question": text, "found": len(ask()), "ms": median_ms(ask, repeats)}


def measure_command(words: Sequence[str], db: Path, repeats: int) -> Figures:
    """A whole command, the program's start included."""
    library = () if words[0].startswith("-") else ("--db", str(db))
    command = [*PHOTOSEARCH, *words, *library]
    ms = median_ms(lambda: subprocess.run(command, capture_output=True, check=True), repeats)
    quoted = [f'"{word}"' if " " in word else word for word in words]
    return {"command": " ".join(["photosearch", *quoted]), "ms": ms}


def _draw_bird(i: int, n_birds: int | None, rng: random.Random) -> float:
    if n_birds is None:
        return rng.random() ** 6.58
    return 1 - i / (4 * n_birds) if i < n_birds else 0.4 * rng.random()


def _read_default() -> tuple[Card, str]:
    model = Model(resolve(None), provider="cpu")
    return model.card, model.digest


def _draw_vectors(card: Card, seed: int) -> list[bytes]:
    """A thousand unit vectors, float16."""
    rows = np.random.default_rng(seed).standard_normal((1000, card.dimensions))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return [row.astype(np.float16).tobytes() for row in rows]
