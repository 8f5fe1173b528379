"""Keep a small library of today's schema beside this file, for tests to open for ever: python tests/schemas/keep.py

Once for each release whose schema is new. Never again for a version that was released: those files are what users have.
The rows are fixed, and so are the times.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from photosearch import store as storing
from photosearch.model import Card
from photosearch.store import Label, Store

HERE = Path(__file__).parent
POOLING = {"4": {"bird": (0.5, 0.5, 0.0), "dog": (0.5, 0.5, 0.0)}}
CARD = Card("old", "1.0", ("bird", "dog"), 32, thresholds={"bird": 0.6}, pooling=POOLING, licence="MIT")


def fill(path: Path) -> None:
    """One of everything that a library can hold."""
    storing.now = lambda: "2026-11-23T12:00:00Z"
    with Store(path, create=True) as store:
        model_id, labels = store.put_model(CARD, "0123456789abcdef", 0)
        scope = store.add_root("/photos")
        top, below = store.folder_id(scope, "/photos"), store.folder_id(scope, "/photos/2019/not\udcff utf8")
        for i, score in enumerate((0.9, 0.7, 0.55, 0.1)):
            image_id = store.put_image(bytes([i]) * 32, 40, 30, "2019-07-20T12:34:56" if i else None)
            store.put_photo(below if i == 3 else top, f"{i}.jpg", 1000 + i, 10**18 + i, image_id)
            store.put_scores(image_id, {labels["bird"]: score, labels["dog"]: 1 - score}, model_id)
        store.put_photo(top, "copy of 0.jpg", 1000, 10**18, 1)
        store.put_unreadable(top, "broken.jpg", 7, 10**18, "image file is truncated", False)
        store.remove_photos([2])
        store.put_truth([("bird", 1, True), ("bird", 3, True), ("bird", 4, False), ("dog", 1, False)])
        bird = Label(labels["bird"], "old", "bird", 0.6, False)
        store.save_threshold(bird, 0.5)
        store.put_sample(bird, 0.5, 7, [(1, 0.9, 0, 1), (4, 0.1, 1, 3)])
        store.end_run(store.begin_run(model_id, "cpu"), {"Scored": 4})
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE runs SET host = 'host', pid = 1")
        conn.commit()
        conn.execute("PRAGMA journal_mode = DELETE")
        conn.execute("PRAGMA page_size = 512")  # a quarter of the usual file
        conn.execute("VACUUM")
        conn.execute("PRAGMA journal_mode = WAL")


if __name__ == "__main__":
    kept = HERE / f"schema-{storing.VERSION}.db"
    kept.unlink(missing_ok=True)
    fill(kept)
    print(f"{kept}: {kept.stat().st_size:,} bytes")
