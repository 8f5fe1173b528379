"""Vectors that an earlier merge left in a library: passed over, counted, and made again by the next index."""

import json
import shutil

import numpy as np
import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, WINE, open_filled
from library import InThisProcess, Untouched
from typer.testing import CliRunner

from photosearch.cli.app import app
from photosearch.library import vectors
from photosearch.library.vectors import find_unusable, measure_lengths

COLOURS = {"red": RED, "green": GREEN, "blue": BLUE, "black": BLACK, "wine": WINE}
BAD = {
    "NaN": np.array([np.nan, 0, 0, 1], np.float16).tobytes(),
    "infinity": np.array([np.inf, 0, 0, 0], np.float16).tobytes(),
    "zero": bytes(8),
    "nearly zero": np.full(4, 1e-4, np.float16).tobytes(),
    "another model's": np.ones(5, np.float16).tobytes(),
    "half a number": bytes(7),
    "empty": b"",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A folder with a library of five photos, one of them twice."""
    with open_filled(tmp_path_factory.mktemp("sound"), COLOURS) as seen:
        shutil.copy(seen.folder / "wine.png", seen.folder / "copy.png")
        seen.index()
        yield seen


@pytest.fixture(params=BAD)
def poisoned(sound, request):
    """The same, where two vectors were poisoned after a first search."""
    db = sound.under.db
    before = db.rows("SELECT id, model_id, image_id, vector FROM vectors")
    for name in ("wine", "green"):
        put_bad(sound, name, BAD[request.param])
    yield sound
    db.write("DELETE FROM vectors")
    db.write_many("INSERT INTO vectors VALUES (?, ?, ?, ?)", before)
    db.write("DELETE FROM properties WHERE name = ?", [vectors.CHECKED])


def put_bad(seen, name, vector):
    """As a merge would have: under a new id."""
    db = seen.under.db
    (image_id,) = db.one("SELECT image_id FROM photos WHERE name = ?", [f"{name}.png"])
    db.write("INSERT OR REPLACE INTO vectors(model_id, image_id, vector) VALUES (1, ?, ?)", [image_id, vector])


def test_searches_pass_over_unusable_vectors(poisoned):
    assert poisoned.find("red", query_mode="text", min_similarity=-1)[0] == "red.png"
    assert not {"wine.png", "green.png"} & set(
        poisoned.find("red", query_mode="text", min_similarity=-1, limit=99, copies=True)
    )
    assert poisoned.asks.find_duplicates()
    assert poisoned.find(like=[poisoned.folder / "wine.png"], min_similarity=-1)[0] == "red.png", (
        "its vector is made for the question"
    )
    poisoned.asks.labels.add("reddish", "red")
    assert poisoned.asks.labels.remove("reddish") is None


def test_status_counts_unusable_vectors_and_index_makes_them_again(poisoned, monkeypatch):
    db, wanted = poisoned.under.db, {"wine.png", "copy.png", "green.png"}
    assert poisoned.asks.status().unusable_vectors == 2
    said = CliRunner().invoke(app, ["status", "--db", str(db.path)], catch_exceptions=False).stdout
    assert "unusable vectors" in said
    assert "2: not found by description; photosearch index scores these photos again" in said
    poisoned.under.model.scored()
    told = poisoned.under.index(decoders=InThisProcess)
    assert set(told.pop("Rescored")) | set(told.pop("Unchanged")) == {f"{name}.png" for name in (*COLOURS, "copy")}
    assert not told
    assert poisoned.under.model.scored() == 2, "the poisoned ones, each once"
    assert poisoned.asks.status().unusable_vectors == 0
    assert wanted <= set(poisoned.find("red", query_mode="text", min_similarity=-1, limit=99, copies=True))
    assert poisoned.under.index(decoders=Untouched).keys() == {"Unchanged"}
    said = CliRunner().invoke(app, ["status", "--db", str(db.path), "--json"], catch_exceptions=False).stdout
    assert json.loads(said)["unusable_vectors"] == 0


def test_unusable_vectors_stay_counted_until_their_photo_is_back(sound, monkeypatch):
    db, photo = sound.under.db, sound.folder / "green.png"
    sound.index()
    put_bad(sound, "green", bytes(8))
    photo.rename(sound.folder.parent / "away.png")
    for _ in range(2):
        sound.index()
        assert len(find_unusable(db)) == 1
    (sound.folder.parent / "away.png").rename(photo)
    sound.index()
    assert find_unusable(db) == []


def test_index_reads_each_vector_once(sound, monkeypatch):
    sound.index()
    read = []
    monkeypatch.setattr(vectors, "measure_lengths", lambda blobs, n: read.extend(blobs) or measure_lengths(blobs, n))
    sound.index()
    assert read == []


def test_learning_passes_over_unusable_vectors(tmp_path):
    more = {f"more{i}": (200 + i, i, i) if i % 2 else (i, i, 200 + i) for i in range(12)}
    with open_filled(tmp_path, {**COLOURS, **more}) as seen:
        put_bad(seen, "more0", BAD["NaN"])
        names = [str(seen.folder / f"more{i}.png") for i in range(12)]
        seen.asks.marks.add(names[1::2], positive=["warm"], negative=[], new=True)
        seen.asks.marks.add(names[0::2], negative=["warm"], new=True)
        assert seen.asks.labels.learn("warm").report.marked_no == 5
