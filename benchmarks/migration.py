"""A library of schema 1 comes to today's: how long it takes, how large it gets, and that every answer is what it was.

`build` writes one of everything that a user of schema 1 could have, by that schema's own SQL. What it answered is
worked out from its tables in plain Python (`OldLibrary`); only what was pure and stays so is called: what a query
means, how a sample is drawn and weighed, how a report counts.
"""

import json
import os
import random
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosearch import query
from photosearch.errors import InputError
from photosearch.judging import marking, metrics, report, sampling
from photosearch.judging.metrics import LabeledScore
from photosearch.library import marks, matching, schema
from photosearch.library.database import Database, join
from photosearch.library.labels import read_labels
from photosearch.library.marks import Mark
from photosearch.library.models import list_models
from photosearch.library.photos import list_unreadable, read_counts
from photosearch.library.records import Label

AT = "2026-11-23T12:00:00Z"
PER_FOLDER = 60
JUDGED = 60  # photos of each sample
QUERIES = (
    "bird", "dog", "cat", "horse", "plane", "bird and not dog", "bird or cat or plane", "not bird", "not (dog or cat)",
    "dog and not (bird and cat)", "bird and plane",
)  # fmt: skip
MODELS = (  # name, version, digest, tiles, labels, thresholds: the order in which they came
    ("bird-photo", "0", "9" * 16, 0, ("bird", "fox"), {}),  # all that it looked at, newer ones have looked at since
    ("bird-photo", "1", "a" * 16, 0, ("bird", "dog", "horse"), {"bird": 0.7, "horse": 0.8}),
    ("bird-photo", "2", "b" * 16, 0, ("bird", "dog", "cat"), {"bird": 0.62, "cat": 0.3}),
    ("bird-photo", "2", "b" * 16, 4, ("bird", "dog", "cat"), {"bird": 0.62, "cat": 0.3}),
    ("classic", "1", "c" * 16, 0, ("bird", "plane"), {"plane": 0.9}),
)
LABELS = tuple(dict.fromkeys((name, label) for name, _, _, _, labels, _ in MODELS for label in labels))
REASONS = (("image file is truncated", 0), ("permission denied", 1))
STRANGE = os.fsdecode(b"caf\xe9")  # as a file system may hold it: not UTF-8
ROOTS = ("/photos", f"/more/{STRANGE} and ä")


def migration(to: Path, *, n: int = 100_000) -> dict[str, Any]:
    """n: photos of the library, which is made anew in to/."""
    to.mkdir(parents=True, exist_ok=True)
    path = to / "migration.db"
    for left in to.glob("migration.db*"):
        left.unlink()
    build(path, n)
    size, old = path.stat().st_size, OldLibrary(path)
    before = old.answers()
    begun, cores = time.perf_counter(), time.process_time()
    Database(path).close()
    seconds, core_seconds = time.perf_counter() - begun, time.process_time() - cores
    migrated = path.stat().st_size
    with Database(path) as db:
        after = ask(db)
        db.vacuum()
    return {
        "n": n,
        "before": dict(zip(("photos", "images", "scores", "marks", "samples"), old.sizes(), strict=True)),
        "seconds": seconds,
        "core_seconds": core_seconds,
        "megabytes": {"before": size / 1e6, "after": migrated / 1e6, "vacuumed": path.stat().st_size / 1e6},
        "equal": {kind: after[kind] == answer for kind, answer in before.items()},
        "compared": {kind: _count(answer) for kind, answer in before.items()},
    }


def build(path: Path, n: int, *, seed: int = 1) -> Path:
    """A library of schema 1 with about n photos: several models and tiles, marks, samples, and what went wrong."""
    from sqlite_utils import Database as Tables

    rng = random.Random(seed)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("BEGIN")
        schema.declare().apply(Tables(conn, execute_plugins=False), stop_before="2")
        conn.execute("PRAGMA user_version = 1")
        _put_models(conn)
        _put_photos(conn, n, rng)
        _put_scores(conn, rng)
        _put_marks(conn, rng)
        _put_samples(conn, rng)
        _put_runs(conn)
        conn.execute("COMMIT")
    return path


def _put_models(conn: sqlite3.Connection) -> None:
    for name, version, digest, tiles, labels, thresholds in MODELS:
        card = {
            "name": name, "version": version, "labels": labels, "input_size": 32, "thresholds": thresholds,
            "pooling": {"4": dict.fromkeys(labels, (0.5, 0.5, 0.0))}, "tiles": 0, "fit": "squash", "details": {},
            "licence": "MIT", "measured": [], "trained_on": "",
        }  # fmt: skip
        values = (name, version, digest, tiles, json.dumps(card, sort_keys=True))
        conn.execute("INSERT INTO models(name, version, digest, tiles, card) VALUES (?, ?, ?, ?, ?)", values)
    conn.executemany("INSERT INTO labels(model, name) VALUES (?, ?)", LABELS)
    own = [(0.55, "bird-photo", "bird"), (0.25, "classic", "bird")]
    conn.executemany("UPDATE labels SET threshold = ? WHERE model = ? AND name = ?", own)


def _put_photos(conn: sqlite3.Connection, n: int, rng: random.Random) -> None:
    """In folders within folders; copies, photos that were removed, and such as could not be read."""
    conn.executemany("INSERT INTO roots(path) VALUES (?)", [(_sql(root),) for root in ROOTS])
    folders, images = 0, 0
    for i in range(n):
        if i % PER_FOLDER == 0:
            number = i // PER_FOLDER
            name = "" if number < 2 else f"{number % 7}/{STRANGE if number % 5 == 0 else 'ä'} {number}"
            conn.execute("INSERT INTO folders(root_id, path) VALUES (?, ?)", [number % 2 + 1, _sql(name)])
            folders += 1
        kind = rng.random()
        image: int | None = rng.randint(max(1, images - 500), images) if images and kind < 0.04 else None
        if image is None and kind < 0.98:
            taken = None if rng.random() < 0.1 else f"20{i % 20 + 10}-{i % 12 + 1:02}-{i % 28 + 1:02}T12:{i % 60:02}:00"
            conn.execute("INSERT INTO images(hash, width, height, taken) VALUES (?, 40, 30, ?)",
                         [rng.randbytes(32), taken])  # fmt: skip
            images += 1
            image = images
        reason, passing = rng.choice(REASONS) if image is None or kind > 0.97 else (None, 0)
        removed = AT if rng.random() < 0.05 else None
        file_name = f"{STRANGE} {i}.jpg" if i % 40 == 0 else f"IMG_{i:06}.jpg"
        conn.execute(
            """
            INSERT INTO photos(folder_id, name, size_bytes, mtime_ns, image_id, reason, reason_at, passing, removed_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [folders, _sql(file_name), 1000 + i, 10**18 + i * 10**9, image, reason, reason and AT, passing, removed],
        )


def _put_scores(conn: sqlite3.Connection, rng: random.Random) -> None:
    """One reading of bird-photo answers for most images, for some none; classic has looked at some."""
    label_ids = {(model, name): i for i, model, name in conn.execute("SELECT id, model, name FROM labels")}
    (images,) = conn.execute("SELECT count(*) FROM images").fetchone()
    for image in range(1, images + 1):
        own = rng.choices((2, 3, 4, None), (10, 70, 10, 10))[0]
        for reading in (own, 5 if own is None or rng.random() < 0.3 else None):
            if reading is not None:
                name, _, _, _, labels, _ = MODELS[reading - 1]
                rows = [(label_ids[name, label], image, _score(rng), reading) for label in labels]
                conn.executemany("INSERT INTO scores VALUES (?, ?, ?, ?)", rows)


def _score(rng: random.Random) -> float:
    return rng.choice((0.0, 0.5, 0.55, 1.0)) if rng.random() < 0.05 else rng.random() ** 2


def _put_marks(conn: sqlite3.Connection, rng: random.Random) -> None:
    (images,) = conn.execute("SELECT count(*) FROM images").fetchone()
    for label in ("bird", "dog", "cat", "heron"):
        some = rng.sample(range(1, images + 1), images // 40)
        rows = [(label, image, int(rng.random() < 0.4), AT) for image in sorted(some)]
        conn.executemany("INSERT INTO truth VALUES (?, ?, ?, ?)", rows)


def _put_samples(conn: sqlite3.Connection, rng: random.Random) -> None:
    """Two for bird, which count together, one for dog, one for the other model's bird; two thirds judged."""
    drawn_for = (("bird-photo", "bird", 0.7), ("bird-photo", "bird", 0.62), ("bird-photo", "dog", 0.5),
                 ("classic", "bird", 0.5))  # fmt: skip
    for model, name, threshold in drawn_for:
        (label_id,) = conn.execute("SELECT id FROM labels WHERE model = ? AND name = ?", [model, name]).fetchone()
        rows = conn.execute(
            """
            SELECT s.image_id, s.score FROM scores s WHERE s.label_id = ? AND EXISTS (
                SELECT 1 FROM photos p WHERE p.image_id = s.image_id AND p.removed_at IS NULL) ORDER BY s.image_id
            """,
            [label_id],
        ).fetchall()
        drawn = sampling.draw_photos([score for _, score in rows], JUDGED, threshold, seed=label_id)
        values = [label_id, threshold, label_id, AT]
        sample = conn.execute(
            "INSERT INTO samples(label_id, threshold, seed, drawn_at) VALUES (?, ?, ?, ?)", values
        ).lastrowid
        for d in drawn:
            image, score = rows[d.index]
            row = (sample, image, score, d.stratum, d.population)
            conn.execute("INSERT INTO sample_photos VALUES (?, ?, ?, ?, ?)", row)
            if rng.random() < 2 / 3:
                judged = (name, image, int(rng.random() < score), AT)
                conn.execute("INSERT OR REPLACE INTO truth VALUES (?, ?, ?, ?)", judged)
            if rng.random() < 0.1:
                conn.execute("UPDATE photos SET removed_at = ? WHERE image_id = ?", [AT, image])


def _put_runs(conn: sqlite3.Connection) -> None:
    """The last was stopped: its model does not answer yet."""
    done, stopped = '{"Scored": 3, "stopped": false}', '{"Scored": 1, "stopped": true}'
    rows = [(1, done), (2, done), (4, done), (5, done), (3, done), (5, stopped), (5, None)]
    for i, (model_id, summary) in enumerate(rows):
        conn.execute(
            "INSERT INTO runs(started_at, finished_at, host, pid, model_id, provider, summary) "
            "VALUES (?, ?, 'host', ?, ?, 'cpu', ?)",
            [f"2026-11-{i + 1:02}T12:00:00Z", summary and AT, i, model_id, summary],
        )


def _sql(path: str) -> str | bytes:
    try:
        path.encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return path


# ---- what it answered


@dataclass(frozen=True, slots=True)
class _Photo:
    id: int
    path: str
    image: int | None
    taken: str


class OldLibrary:
    """The tables of schema 1, read whole, and what its program answered from them, in plain Python."""

    def __init__(self, path: Path):
        with closing(sqlite3.connect(path)) as conn:
            self.labels = self._read_labels(conn)
            self.scores: defaultdict[int, dict[int, float]] = defaultdict(dict)
            self.looked: defaultdict[int, set[int]] = defaultdict(set)
            for label_id, image, score, model_id in conn.execute("SELECT * FROM scores"):
                self.scores[label_id][image] = score
                self.looked[model_id].add(image)
            rows = conn.execute(
                """
                SELECT p.id, r.path, f.path, p.name, p.image_id, p.reason, p.reason_at, p.removed_at, coalesce(i.taken,
                    strftime('%Y-%m-%dT%H:%M:%S', p.mtime_ns / 1000000000, 'unixepoch', 'localtime'))
                FROM photos p JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
                LEFT JOIN images i ON i.id = p.image_id ORDER BY p.id
                """
            ).fetchall()
            live = [row for row in rows if row[7] is None]
            self.photos = [_Photo(i, join(r, f, n), image, taken) for i, r, f, n, image, *_, taken in live]
            self.unreadable = [(join(r, f, n), why, at) for _, r, f, n, _, why, at, *_ in live if why is not None]
            (images,) = conn.execute("SELECT count(*) FROM images").fetchone()
            self.marks = conn.execute("SELECT label, image_id, present FROM truth").fetchall()
            self.counts = {
                "photos": len(live), "unreadable": len(self.unreadable), "removed": len(rows) - len(live),
                "excluded": 0, "images": images, "marks": len(self.marks),
            }  # fmt: skip
            self.samples = {label.id: self._read_samples(conn, label) for label in self.labels}
            self.runs = conn.execute(
                """
                SELECT r.started_at, r.finished_at, r.host, r.pid, m.name, r.provider, r.summary
                FROM runs r JOIN models m ON m.id = r.model_id ORDER BY r.id
                """
            ).fetchall()
        self.seen = {photo.image for photo in self.photos}
        self.known = {(label, image): bool(present) for label, image, present in self.marks}

    @staticmethod
    def _read_labels(conn: sqlite3.Connection) -> list[Label]:
        """Those of the model whose run was completed last first; thresholds by the card of its last run."""
        ran = conn.execute(
            """
            SELECT m.name, m.card, r.id, json_extract(r.summary, '$.stopped') IS 0
            FROM models m LEFT JOIN runs r ON r.model_id = m.id ORDER BY r.id, m.id
            """
        ).fetchall()
        cards = {name: json.loads(card) for name, card, _, _ in ran}
        completed = {name: run for name, _, run, whole in ran if whole}
        found = []
        for label_id, model, name, own in conn.execute("SELECT * FROM labels ORDER BY id").fetchall():
            scored = conn.execute("SELECT 1 FROM scores WHERE label_id = ? LIMIT 1", [label_id]).fetchone()
            if scored or name in cards[model]["labels"]:
                threshold = cards[model]["thresholds"].get(name, 0.5) if own is None else own
                found.append(Label(label_id, model, name, threshold, own is not None))
        return sorted(found, key=lambda label: -completed.get(label.model, 0))

    def _read_samples(self, conn: sqlite3.Connection, label: Label) -> list[tuple[Any, ...]]:
        """(number, threshold, seed, when it was drawn, its rows) of each sample, as they were drawn."""
        every = "SELECT id, threshold, seed, drawn_at FROM samples WHERE label_id = ? ORDER BY id"
        drawn = "SELECT image_id, score, stratum, population FROM sample_photos WHERE sample_id = ? ORDER BY 1"
        heads = conn.execute(every, [label.id]).fetchall()
        return [(*head, conn.execute(drawn, [head[0]]).fetchall()) for head in heads]

    def sizes(self) -> tuple[int, int, int, int, int]:
        scores = sum(map(len, self.scores.values()))
        samples = sum(bool(some) for some in self.samples.values())
        return self.counts["photos"], self.counts["images"], scores, self.counts["marks"], samples

    def by_name(self) -> dict[str, Label]:
        return {label.name: label for label in reversed(self.labels)}

    def find(self, words: str) -> list[tuple[str, float, str]]:
        wanted, labels = query.parse(words), self.by_name()
        names = query.list_labels(wanted)
        thresholds = {name: labels[name].threshold for name in names}
        rows = []
        for photo in self.photos:
            given = {name: self.scores[labels[name].id].get(photo.image or 0) for name in names}
            if None not in given.values() and query.matches(wanted, given, thresholds):
                rows.append((-query.score(wanted, given), photo.image, photo.id, photo.path, photo.taken))
        return [(path, -score, taken) for score, _, _, path, taken in sorted(rows)]

    def truth(self, label: Label) -> list[Mark]:
        scores = self.scores[label.id]
        there = [photo for photo in self.photos if (label.name, photo.image) in self.known]
        return [
            Mark(p.path, label.name, self.known[label.name, p.image], scores.get(p.image or 0), p.image or 0)
            for p in there
        ]  # fmt: skip

    def sample(self, label: Label) -> list[tuple[Any, ...]]:
        path = {photo.image: photo.path for photo in reversed(self.photos)}
        return [
            (*said, [
                (i, path.get(i), self.scores[label.id].get(i, s), stratum, size, self.known.get((label.name, i)))
                for i, s, stratum, size in drawn
            ])
            for *said, drawn in self.samples[label.id]
        ]  # fmt: skip

    def report(self, label: Label, at_precision: float | None) -> dict[str, Any] | None:
        truths = self.truth(label)
        pictures = {t.image_id: t for t in reversed(truths)}  # copies of one picture count once
        firsts = [t for t in truths if pictures[t.image_id] is t]
        judged = [LabeledScore(t.path, t.score, t.present) for t in firsts if t.score is not None]
        if not judged:
            return None
        drawn = self.sample(label)
        said = [[sampling.JudgedPhoto(*row[2:]) for row in rows] for *_, rows in drawn]
        any_judged = [a for some in said for a in some if a.present is not None]
        threshold: float | None = label.threshold
        if at_precision is not None and any_judged:
            grounds = [LabeledScore("", a.score, a.present) for a in any_judged]
            threshold = metrics.threshold_at_precision(grounds, at_precision, sampling.weights(*said))
        elif at_precision is not None:
            threshold = metrics.threshold_at_precision(judged, at_precision)
        if threshold is None:
            return None
        told = metrics.to_json(label.name, judged, threshold)
        told |= {
            "model": label.model, "not_scored": len(firsts) - len(judged), "copies": len(truths) - len(firsts),
            "taught": 0,
        }  # fmt: skip
        if any_judged:
            estimate = sampling.estimate_together(said, threshold, seed=drawn[-1][2])
            sheets = {"sheets": [number for number, *_ in drawn], "sheets_left_out": []}
            told["library"] = sampling.to_json(label.name, estimate) | sheets
        return told

    def draw(self, label: Label) -> list[Any] | None:
        """What `sample` would draw now."""
        scores = self.scores[label.id]
        images = [image for image in sorted(scores) if image in self.seen]
        if not images:
            return None
        drawn = sampling.draw_photos([scores[image] for image in images], JUDGED, label.threshold, seed=3)
        return sorted((images[d.index], scores[images[d.index]], d.stratum, d.population) for d in drawn)

    def answers(self) -> dict[str, Any]:
        """Everything that a user could ask, by kind."""
        return {
            "find": {words: self.find(words) for words in QUERIES},
            "labels": self.labels,
            "truth": [self.truth(label) for label in self.labels],
            "report": [self.report(label, at) for label in self.labels for at in (None, 0.6)],
            "sample": [self.sample(label) for label in self.labels],
            "draw": [self.draw(label) for label in self.labels],
            "unreadable": self.unreadable,
            "counts": self.counts,
            "runs": [(*run[:4], [run[4]], run[5], json.loads(run[6] or "null")) for run in self.runs],
            "models": {(*m[:2], m[3]): len(self.looked[i]) for i, m in enumerate(MODELS, 1)},
            "known": self.known,
        }


# ---- what it answers today


def ask(db: Database) -> dict[str, Any]:
    """The same of a library that is open."""
    labels = read_labels(db)
    by_name = {label.name: label for label in reversed(labels)}
    truth = db.rows("SELECT label, image_id, present FROM marks")
    return {
        "find": {words: _find(db, words, by_name) for words in QUERIES},
        "labels": labels,
        "truth": [marks.list_marks(db, label.name, scored=label) for label in labels],
        "report": [_report(db, label, at) for label in labels for at in (None, 0.6)],
        "sample": [_sample(db, label) for label in labels],
        "unreadable": list_unreadable(db),
        "counts": read_counts(db).to_json(),
        "runs": list(_runs(db)),
        "models": {(m.name, m.version, m.tiles): m.images for m in list_models(db)},
        "known": {(label, image): bool(present) for label, image, present in truth},
        "draw": [_draw(db, label) for label in labels],  # the last: it is kept as a sample
    }


def _find(db: Database, words: str, labels: Mapping[str, Label]) -> list[tuple[str, float, str]]:
    return [(f.path, f.score, f.taken) for f in matching.find_matches(db, query.parse(words), labels)]


def _report(db: Database, label: Label, at_precision: float | None) -> dict[str, Any] | None:
    try:
        return report.report_label(db, label.name, model=label.model, at_precision=at_precision).told
    except InputError:  # nothing is known of it, or no threshold is so precise
        return None


def _sample(db: Database, label: Label) -> list[tuple[Any, ...]]:
    told = []
    for number in marks.list_samples(db, label):
        kept = marks.find_sample(db, label, number)
        assert kept is not None
        rows = [(p.image_id, p.path, p.score, p.stratum, p.population, p.present) for p in kept.photos]
        told.append((kept.id, kept.threshold, kept.seed, kept.drawn_at, rows))
    return told


def _draw(db: Database, label: Label) -> list[Any] | None:
    try:
        _, kept = marking.draw_sample(db, label.name, JUDGED, seed=3, model=label.model)
    except InputError:
        return None
    return sorted((p.image_id, p.score, p.stratum, p.population) for p in kept.photos)


def _runs(db: Database) -> Iterator[tuple[Any, ...]]:
    columns = "started_at, finished_at, host, pid, models, provider, summary"
    for *said, models, provider, summary in db.rows(f"SELECT {columns} FROM runs ORDER BY id"):
        yield (*said, json.loads(models), provider, json.loads(summary or "null"))


def _count(answer: Any) -> int:
    """How many rows an answer has."""
    rows: Sequence[Any] = list(answer.values()) if isinstance(answer, dict) else answer
    return sum(len(row) if isinstance(row, list) else 1 for row in rows)
