"""The benchmarks of this room run, at a tiny scale, and their page says what their figures say."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import duplicates, measure, page, vectors
from photosearch.search.duplicates import ALONE, NEAR

PUBLISHED = Path(__file__).parents[2] / "docs" / "performance.json"
MEASURED = {"measured_on": "2026-01-02", "machine": measure.machine()}


@pytest.mark.slow
def test_vectors_benchmark_ways_find_the_nearest(tmp_path):
    figures = vectors.measure_vectors(tmp_path, sizes=(500,), max_graph=500)
    assert [row["way"] for row in figures["rows"]] == [
        way for way, (needs, _) in vectors.WAYS.items() if importlib.util.find_spec(needs)
    ]
    assert all(row["answer"]["recall"] == 1 for row in figures["rows"] if vectors.WAYS[row["way"]][1])
    assert "map: int8, then float16" in page.page({"vectors": {**figures, **MEASURED}})


@pytest.mark.slow
def test_changes_are_found_and_strangers_are_not(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    folders = (*duplicates.FOLDERS, duplicates.CHOSEN_ON)
    for i in range(18):
        folder = tmp_path / folders[i % 3] / str(i)
        folder.mkdir(parents=True)
        small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        small.resize((160, 120), Image.Resampling.BICUBIC).save(folder / "a.jpg")
    monkeypatch.setattr(duplicates, "embed", lambda views: np.ones((len(views), 1), np.float32))
    monkeypatch.setattr(duplicates, "SIZES", (200,))
    figures = duplicates.duplicates(tmp_path, strangers=12, changed=4)
    found = {row["change"]: row["by_fingerprint"] for row in figures["rows"]}
    assert list(found) == list(duplicates.CHANGES)
    assert found["JPEG, quality 30"] == {"recall": 1, "precision": 1}
    assert found["mirrored"]["recall"] == 0
    assert figures["strangers_called_near"]["by_fingerprint"] == 0
    assert figures["chosen"]["called_near"] == 0
    assert figures["chosen"]["recall"] > 0.5
    assert figures["speed"][0]["groups"] == pytest.approx(20, abs=3)
    assert "Photos that are there more than once" in page.page({"duplicates": {**figures, **MEASURED}})


def test_near_is_what_the_benchmark_chose():
    figures = json.loads(PUBLISHED.read_text())["duplicates"]
    assert [tuple(step) for step in figures["chosen"]["steps"]] == list(NEAR)
    assert figures["alone"] == ALONE
