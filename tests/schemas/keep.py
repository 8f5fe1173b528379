"""Write a small library of the current schema version beside this file: python tests/schemas/keep.py

To run once for each new schema version. Never for a released one: its file stands for the libraries that users have.
Rows and times are fixed.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from photosearch.library import albums, classifiers, database, marks, schema
from photosearch.library.database import Database
from photosearch.library.details import put_dates, put_details
from photosearch.library.folders import FolderSettings, add_root, put_folder, put_settings
from photosearch.library.labels import save_threshold
from photosearch.library.models import put_model, set_default_model
from photosearch.library.photos import FileRecord, mark_absent, put_image, put_photo, put_unreadable
from photosearch.library.records import Label
from photosearch.library.runs import begin_run, end_run
from photosearch.library.scores import put_prediction, put_user_scores
from photosearch.library.texts import put_texts
from photosearch.library.vectors import find_space
from photosearch.metadata.dates import Taken
from photosearch.metadata.record import PhotoMetadata, Position
from photosearch.models.card import Card
from photosearch.ocr.lines import TextLine, TextWord

HERE = Path(__file__).parent
AT = "2026-11-23T12:00:00Z"
POOLING = {"4": {"bird": (0.5, 0.5, 0.0), "dog": (0.5, 0.5, 0.0)}}
CARD = Card("old", "1.0", ("bird", "dog"), input_size=32, thresholds={"bird": 0.6}, pooling=POOLING, licence="MIT")
SIGHT = Card("sight", "1.0", input_size=32, outputs=("vectors",), space="words", dimensions=4)
BIRD = (0.9, 0.7, 0.55, 0.1)  # of four pictures; dog is the rest


def fill(path: Path) -> None:
    """Put at least one row into every table."""
    database.now = lambda: AT
    with Database(path, create=True) as db:
        scorers = [put_model(db, CARD, "0123456789abcdef", tiles) for tiles in (4, 0)]
        (tiled, labels), (plain, _) = scorers
        sight, _ = put_model(db, SIGHT, "fedcba9876543210", 0, "/models/sight.onnx")
        set_default_model(db, "old")
        scope = add_root(db, "/photos")
        top, below = put_folder(db, scope, "/photos"), put_folder(db, scope, "/photos/2019/not\udcff utf8")
        with db.transaction():
            for i, score in enumerate(BIRD):
                taken = ("2019-07-20T12:34:56", "DateTimeOriginal") if i else (None, None)
                image_id = put_image(db, bytes([i]) * 32, 40, 30, *taken, 2**63 + i)
                file = FileRecord(1000 + i, 10**18 + i, 10**18 + i, 5, 70 + i)
                put_photo(db, below if i == 3 else top, f"{i}.jpg", file, image_id)
                if i == 0:
                    put_prediction(db, image_id, tiled, labels, {"bird": 0.95, "dog": 0.2})
                put_prediction(db, image_id, plain, labels, {"bird": score, "dog": 1 - score})
                put_prediction(db, image_id, sight, {}, {}, np.eye(4, dtype=np.float16)[i].tobytes())
            put_photo(db, top, "copy of 0.jpg", FileRecord(1000, 10**18), 1)
            put_photo(db, top, "passed over.jpg", FileRecord(1000, 10**18), 1)
            put_unreadable(db, top, "broken.jpg", FileRecord(7, 10**18), "image file is truncated", False)
            found = PhotoMetadata(
                ("beach",), ("sea|beach",), 4.0, "Lunch", "On the beach", ("Anna",), (), Position(41.15, -8.61),
                "Porto", None, "Portugal", "Canon", "Canon EOS 5D", "EF 50mm",
            )  # fmt: skip
            put_details(db, 1, found, 7)
            box = (0.1, 0.2, 0.5, 0.2, 0.5, 0.3, 0.1, 0.3)
            put_texts(db, 1, 1, [TextLine(0.9, (TextWord("Gate", box), TextWord("14", box)))])
            put_texts(db, 2, 1, [], "the decoder crashed on this file")
            put_dates(db, 1, None, Taken("2018-05-04T03:02:01", "sidecar"), None)
        mark_absent(db, [2], "removed")
        mark_absent(db, [6], "excluded")
        put_settings(db, scope, FolderSettings((None, "sight"), 0, ("passed*",), None, True))
        marks.put_marks(db, [("bird", 1, True), ("bird", 3, True), ("bird", 4, False), ("dog", 1, False)])
        bird = Label(labels["bird"], "old", "bird", 0.6, False)
        save_threshold(db, bird, 0.5)
        marks.put_sample(db, bird, 0.5, 7, [(1, 0.9, 0, 1), (4, 0.1, 1, 3)])
        marks.put_marks(db, [("my dog", 1, True), ("my dog", 4, False)])
        space = find_space(db, "sight")
        assert space is not None
        weights, metrics = np.array([1, 0, 0, -1], "<f4").tobytes(), {"rests_on": "2 marks"}
        with db.transaction():
            label = classifiers.put_classifier(
                db, "my dog", space, None, weights, 0.25, 0.5, metrics, [(1, True, 0.75), (4, False, 0.25)]
            )
            put_user_scores(db, space, label, [(1, 0.75), (2, 0.5), (3, 0.5), (4, 0.25)])
        rome, *_ = albums.put_album(db, "Rome", image_ids=[1, 4])
        albums.remove_images(db, rome, [4])
        albums.put_album(db, "Birds", '{"words": "bird", "sort": "date"}')
        end_run(db, begin_run(db, ["old"], "cpu"), {"new": 4, "stopped": False})
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("UPDATE runs SET host = 'host', pid = 1")
        conn.execute("UPDATE _sqlite_migrations SET applied_at = ?", [AT])
        conn.commit()
        conn.execute("PRAGMA journal_mode = DELETE")
        conn.execute("PRAGMA page_size = 512")  # a quarter of the usual file
        conn.execute("VACUUM")
        conn.execute("PRAGMA journal_mode = WAL")


if __name__ == "__main__":
    kept = HERE / f"schema-{schema.VERSION}.db"
    kept.unlink(missing_ok=True)
    fill(kept)
    print(f"{kept}: {kept.stat().st_size:,} bytes")
