"""The benchmarks run, at a tiny scale, and their page says what their figures say."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from benchmarks import (
    browse,
    clip,
    contestants,
    formats,
    gpu,
    library,
    measure,
    networks,
    page,
    pictures,
    pipeline,
    scaling,
    teaching,
)
from benchmarks.measure import Cost
from photosearch.models.session import Model
from photosearch.photos import decode
from tests.toy import write_toy

pytestmark = pytest.mark.slow

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture
def toy(tmp_path):
    return write_toy(tmp_path / "toy.onnx")


def test_the_same_seed_makes_the_same_photos_and_each_is_another_file(tmp_path):
    made = [pictures.write(tmp_path / name, "tiny", 5, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    a, b, c = ([path.read_bytes() for path in contestants.paths(folder)] for folder in made)
    assert a == b
    assert len(set(a + c)) == 10


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "HEIF"])
def test_a_numbered_photo_has_other_bytes_and_the_same_pixels(suffix):
    kind = pictures.Kind(suffix, (64, 48), scenes=1)
    (plain,) = pictures._scenes(kind, None, np.random.default_rng(1), 1)
    numbered = pictures.numbered(plain, 7)
    assert decode.content_hash(numbered) != decode.content_hash(plain)
    assert (
        decode.decode(numbered, [decode.ViewSpec(32)]).views[0] == decode.decode(plain, [decode.ViewSpec(32)]).views[0]
    ).all()


def test_a_mixture_holds_each_kind_in_its_share(tmp_path, monkeypatch):
    small = {k: pictures.Kind(v.format, (64, 48), scenes=1) for k, v in pictures.KINDS.items()}
    monkeypatch.setattr(pictures, "KINDS", small)
    endings = [path.suffix for path in contestants.paths(pictures.mixture(tmp_path, 100))]
    assert {e: endings.count(e) for e in set(endings)} == {".jpg": 90, ".png": 5, ".heic": 5}


def test_a_twelve_megapixel_photo_is_as_large_as_a_telephones():
    kind = pictures.KINDS["12mp"]
    (data,) = pictures._scenes(kind, None, np.random.default_rng(1), 1)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (4000, 3000)
    assert 2.2e6 < len(data) < 3.0e6


def test_core_seconds_count_work_in_child_processes_and_not_sleep():
    def work() -> int:
        subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
        time.sleep(0.3)
        return 2

    spent = measure.cost(work)
    assert 0.3 <= spent.core_seconds < 0.6 <= spent.seconds
    assert spent.core_ms == pytest.approx(500 * spent.core_seconds)


def test_peak_memory_counts_child_processes():
    command = "import time; x = bytearray(b'1' * 200_000_000); time.sleep(1)"

    def work() -> int:
        return subprocess.run([sys.executable, "-c", command], check=True).returncode + 1

    assert measure.cost(lambda: 1).peak_bytes + 190e6 < measure.cost(work).peak_bytes


def test_middle_and_ratio():
    costs = [Cost(4, seconds, seconds / 2, 100) for seconds in (1.0, 5.0, 2.0)]
    assert measure.middle(costs) == Cost(4, 2.0, 1.0, 100)
    assert measure.ratio([1, 9, 4], [1, 3, 2]) == {"median": 2, "least": 1, "most": 3}


def test_the_pipeline_benchmark_measures_every_way(tmp_path, toy):
    figures = pipeline.pipeline(tmp_path, {"toy": toy}, n=2, n_plain=1, rounds=1, clip_sizes=())
    assert [(way["way"], way["n"]) for way in figures["ways"]] == [
        ("floor", 2), ("photosearch toy", 2), ("threads toy", 2), ("plain toy", 1),
    ]  # fmt: skip
    assert sum(stage["share"] for stage in figures["profile"]) == pytest.approx(1)
    text = page.page({"pipeline": {**figures, "measured_on": "2026-01-02", "machine": measure.machine()}})
    assert "toy: share of the decode floor" in text


def test_every_kind_of_photo_is_opened_by_both_ways(tmp_path, toy, monkeypatch):
    small = {k: pictures.Kind(v.format, (64, 48), scenes=1) for k, v in pictures.KINDS.items()}
    monkeypatch.setattr(pictures, "KINDS", small)
    rows = pipeline.kinds(tmp_path, {"toy": toy}, n=1)["rows"]
    assert [(r["kind"], r["ours"]["n"], r["plain"]["n"]) for r in rows] == [
        ("48mp", 1, 1), ("small", 10, 2), ("png", 1, 1), ("heic", 1, 1),
    ]  # fmt: skip


def test_the_scaling_benchmark_indexes_each_size_twice(tmp_path, toy):
    figures = scaling.scaling(tmp_path, toy, sizes=(10, 100))
    assert [row["n"] for row in figures["rows"]] == [10, 100]
    assert all(row["again"]["core_seconds"] < row["first"]["core_seconds"] for row in figures["rows"])
    assert figures["steps"][0]["photos"] == 10


def test_the_library_benchmark_asks_questions_that_have_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "COMMANDS", (("--version",),))
    figures = library.library(tmp_path, n=2000, repeats=1)
    assert [row["question"] for row in figures["questions"]] == list(library.QUESTIONS)
    assert all(row["found"] > 0 for row in figures["questions"])


def test_the_network_benchmark_names_what_did_not_load(toy):
    figures = networks.networks({"toy": toy}, batches=(1, 3), seconds=0.01)
    rows = [(row["provider"], row["batch"]) for row in figures["rows"] if row["provider"] == "cpu"]
    assert rows == [("cpu", 1), ("cpu", 3)]
    assert set(figures["providers"]).isdisjoint(figures["missing"])


def test_the_network_of_clips_size_runs_at_any_batch_size(tmp_path):
    path = clip.write(tmp_path, 64, layers=1)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (embeddings,) = session.run(None, {"photos": np.zeros((3, 64, 64, 3), np.uint8)})
    assert embeddings.shape == (3, 512)


def test_the_browser_benchmark_asks_the_command_and_its_page_says_what_it_found(tmp_path, monkeypatch):
    small = {name: pictures.Kind("JPEG", (64, 48), scenes=1) for name in ("small", "12mp")}
    monkeypatch.setattr(pictures, "KINDS", small)
    monkeypatch.setattr(browse, "CHROMIUM", None)
    figures = browse.browse(tmp_path, n=200, n_large=2, repeats=1)
    found = {row["question"]: row["found"] for row in figures["server"]["questions"]}
    assert found["bird"] == figures["results"] == 40
    assert found["not bird"] == 160
    assert figures["thumbnails"]["n"] == 2
    text = page.page({"browse": {**figures, "measured_on": "2026-01-02", "machine": measure.machine()}})
    assert "| `bird` | 40 |" in text
    assert "In Chromium" not in text, "there was none"


def test_clips_size_is_88_million_parameters():
    block = sum(p.numel() for p in clip.Block().parameters())
    rest = sum(p.numel() for p in clip.Visual(224, layers=0).parameters())
    assert round((12 * block + rest) / 1e6) == 88


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_a_score_does_not_depend_on_how_many_threads_share_the_batch(toy, threads):
    images = np.random.default_rng(1).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)
    expected = images.mean((1, 2), dtype=np.float64) / 255
    np.testing.assert_allclose(Model(toy, provider="cpu", threads=threads).score(images), expected, atol=1e-6)


def test_the_teaching_benchmark_compares_each_way_with_ours():
    figures = teaching.teaching(batch=2, steps=1, rounds=2)
    assert [row["way"] for row in figures["rows"]] == list(teaching.WAYS)
    assert figures["rows"][-1]["times_ours"] == {"median": 1.0, "least": 1.0, "most": 1.0}
    assert all(row["step_core_ms"] > 0 for row in figures["rows"])


def test_the_gpu_benchmark_measures_every_part_with_the_cpu_in_its_place(tmp_path, monkeypatch):
    models, work, photos = (tmp_path / name for name in ("models", "work", "data/101_ObjectCategories/one"))
    models.mkdir()
    for name in ("bird-photo", "bird-classic", *gpu.NETWORKS[1:]):
        write_toy(models / f"{name}.onnx")
    photos.mkdir(parents=True)
    Image.new("RGB", (30, 20), "red").save(photos / "red.jpg")
    small = {"tiny": pictures.Kind("JPEG", (64, 48), scenes=1)}
    monkeypatch.setattr(pictures, "KINDS", small)
    figures = gpu.Figures(tmp_path / "gpu.json")
    figures.put("about", "day", "2026-01-02")
    for key, value in gpu.describe().items():
        figures.put("about", key, value)
    gpu.compare_scores(figures, models, "cpu", gpu.TINY, tmp_path / "data")
    gpu.time_networks(figures, models, "cpu", gpu.TINY)
    gpu.make_photos(work, tmp_path / "data", gpu.TINY)
    options = ("--provider", "cpu", "--model", str(models / "bird-photo.onnx"))
    row = {"folder": "few", "n": 2, "options": "--provider cpu", **gpu.run_index(work / "few", options, 2)}
    figures.add("pipelines", "rows", row)
    assert [r["difference"] for r in figures.parts["scores"]["rows"]] == [0] * 5
    assert len(figures.parts["networks"]["rows"]) == len(gpu.NETWORKS) * 2 * 3 + 3
    assert row["said"].startswith("2 photos: 2 new")
    assert json.loads((tmp_path / "gpu.json").read_text()) == figures.parts

    results = tmp_path / "performance.json"
    results.write_text("{}")
    text = gpu.keep(tmp_path / "gpu.json", results).read_text()
    assert "| bird-photo | as it comes | 0 | " in text
    assert "| few | 2 | `--provider cpu` | 1 | " in text


def test_a_failing_part_of_the_gpu_benchmark_is_written_down_and_named_on_the_page(tmp_path):
    figures = gpu.Figures(tmp_path / "gpu.json")
    with gpu._tolerated(figures, "networks", "a network"):
        raise RuntimeError("no memory left")
    part = {"rows": [], "placement": [], **figures.parts["networks"]}
    about = {"card": None, "libraries": [], "measured_on": "2026-01-02", "machine": measure.machine()}
    assert "What failed: a network (RuntimeError: no memory left)." in page.page({"gpu": {**about, "networks": part}})


def test_a_halved_network_scores_nearly_alike(toy):
    half = formats.halve(onnx.load(toy)).SerializeToString()
    images = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    (scores,) = onnxruntime.InferenceSession(half, providers=["CPUExecutionProvider"]).run(None, {"photos": images})
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, Model(toy, provider="cpu").score(images), atol=2e-3)


def test_the_page_is_what_its_figures_make_it():
    assert (DOCS / "performance.md").read_text() == page.page(json.loads((DOCS / "performance.json").read_text()))
