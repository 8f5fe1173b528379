"""The benchmarks of this room run, at a tiny scale, and their page says what their figures say."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from benchmarks import duplicates, measure, page, vectors

MEASURED = {"measured_on": "2026-01-02", "machine": measure.machine()}


@pytest.mark.slow
def test_every_way_that_is_installed_finds_the_nearest(tmp_path):
    figures = vectors.measure_vectors(tmp_path, sizes=(500,), max_graph=500)
    assert [row["way"] for row in figures["rows"]] == [
        way for way, (needs, _) in vectors.WAYS.items() if importlib.util.find_spec(needs)
    ]
    assert all(row["answer"]["recall"] == 1 for row in figures["rows"] if vectors.WAYS[row["way"]][1])
    assert "map: int8, then float16" in page.page({"vectors": {**figures, **MEASURED}})


def test_changes_are_found_and_strangers_are_not(tmp_path, monkeypatch):
    rng = np.random.default_rng(1)
    for i in range(12):
        folder = tmp_path / duplicates.FOLDERS[i % 2] / str(i)
        folder.mkdir(parents=True)
        small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
        small.resize((160, 120), Image.Resampling.BICUBIC).save(folder / "a.jpg")
    monkeypatch.setattr(duplicates, "embed", lambda images: np.ones((len(images), 1), np.float32))
    monkeypatch.setattr(duplicates, "SIZES", (200,))
    monkeypatch.setattr(duplicates, "NEAR", duplicates.NEAR[:1])
    figures = duplicates.duplicates(tmp_path, strangers=12, changed=4)
    found = {row["change"]: row["by_fingerprint"] for row in figures["rows"]}
    assert list(found) == list(duplicates.CHANGES)
    assert found["JPEG, quality 30"] == {"recall": 1, "precision": 1}
    assert found["mirrored"]["recall"] == 0
    assert figures["strangers_called_near"]["by_fingerprint"] == 0
    assert figures["speed"][0]["groups"] == pytest.approx(20, abs=3)
    assert "Photos that are there more than once" in page.page({"duplicates": {**figures, **MEASURED}})
