"""The benchmarks run, at a tiny scale, and their page shows what they measured."""

import functools
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from library import keep_decoders
from PIL import Image
from typer.testing import CliRunner

from benchmarks import (
    browse,
    clip,
    coverage,
    learn,
    library,
    measure,
    networks,
    page,
    photos,
    pipeline,
    results,
    sentences,
    spread,
    stages,
    ways,
)
from benchmarks.__main__ import app
from benchmarks.measure import Cost
from benchmarks.results import PARTS, RESULTS, explain_stale
from photosearch.judging.metrics import ConfusionMatrix
from photosearch.library import schema
from photosearch.models.catalog import DEFAULT_MODEL
from photosearch.models.session import Model
from photosearch.photos import decode
from tests.toy import write_toy

INDEPENDENT = {  # of what else than today's schema or default model a part's figures are; every other part is of both
    "library": ["model"], "sentences": ["model"], "browse": ["model"], "networks": ["schema"],
    "duplicates": ["schema"], "learn": ["schema"], "bursts": ["schema"],
    "vectors": ["model", "schema"], "coverage": ["model", "schema"],
    "gpu-networks": ["model", "schema"],
}  # fmt: skip
RECORDED = json.loads(RESULTS.read_text())


@pytest.fixture
def toy(tmp_path):
    return write_toy(tmp_path / "toy.onnx")


@pytest.fixture
def small_photos(monkeypatch):
    small = {name: photos.Kind(kind.format, (64, 48), scenes=1) for name, kind in photos.KINDS.items()}
    monkeypatch.setattr(photos, "KINDS", small)


@pytest.fixture
def ways_in_this_process(monkeypatch):
    """For tests of what is measured; that each way runs in a process of its own is the pipeline's test."""

    def run_way(way, folder, *, model=None, n=None, db=None, cores=None):
        return ways.main(way, str(folder), str(model), n, db and str(db), cores)

    monkeypatch.setattr(ways, "run_way", run_way)
    monkeypatch.setattr(ways, "index", functools.partial(ways.index, decoders=keep_decoders))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # which the plain way lifts


def render(name, figures):
    return page.page({name: {**figures, **results.stamp(name)}})


# ---- the record and its page


def test_page_matches_recorded_figures():
    assert RESULTS.with_suffix(".md").read_text() == page.page(RECORDED), "run python -m benchmarks page"


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_part_is_of_todays_schema_and_model(name):
    part = RECORDED[name]
    assert explain_stale(name, part) is None, "run python -m benchmarks page"
    assert part["independent_of"] == INDEPENDENT.get(name, [])
    assert part["commit"] != "unknown"
    assert part["busy"] or part["load"] <= results.MAX_LOAD
    assert {"cores", "processor"} <= part["machine"].keys()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": schema.VERSION - 1}, f"measured with schema {schema.VERSION - 1}; today's is {schema.VERSION}"),
        ({"model": "older"}, f"measured with model older; today's is {DEFAULT_MODEL}"),
        ({"independent_of": ["schema"]}, "states that it is independent of ['schema']"),
        ({}, None),
    ],
)
def test_explain_stale_names_what_differs(change, why):
    assert explain_stale("pipeline", results.stamp("pipeline") | change) == why


def test_explain_stale_refuses_part_without_commit():
    part = results.stamp("vectors")
    del part["commit"]
    assert explain_stale("vectors", part) == "does not state commit"


def test_explain_stale_accepts_older_schema_of_independent_part():
    assert explain_stale("vectors", results.stamp("vectors") | {"schema": 1, "model": "older"}) is None


def test_page_command_removes_stale_parts_and_lists_them_as_not_measured(tmp_path):
    file = tmp_path / "performance.json"
    vectors = {"dimensions": 4, "limit": 1, "queries": 1, "rows": [], **results.stamp("vectors")}
    results.write_parts({"vectors": vectors, "stages": results.stamp("stages") | {"schema": 0}}, file)
    done = CliRunner().invoke(app, ["page", "--file", str(file)])
    assert (done.exit_code, json.loads(file.read_text()).keys()) == (0, {"vectors"})
    text = file.with_suffix(".md").read_text()
    assert "`python -m benchmarks stages` (about 3 minutes)" in text
    assert "- **Photos of other kinds**: not measured on this version." in text


def test_page_command_adds_parts_of_another_machine(tmp_path):
    file, other = tmp_path / "performance.json", tmp_path / "other.json"
    vectors = {"dimensions": 4, "limit": 1, "queries": 1, "rows": [], **results.stamp("vectors"), "commit": "unknown"}
    results.write_parts({"vectors": vectors}, other)
    assert CliRunner().invoke(app, ["page", "--file", str(file), "--add", str(other)]).exit_code == 0
    assert json.loads(file.read_text())["vectors"]["commit"] == results.read_commit()


def test_part_command_refuses_busy_machine_unless_told(tmp_path, monkeypatch):
    monkeypatch.setattr(results.os, "getloadavg", lambda: (1.6, 0, 0))
    monkeypatch.setattr(networks, "measure_networks", lambda: {"rows": []})
    file = tmp_path / "performance.json"
    refused = CliRunner().invoke(app, ["networks", "--file", str(file)])
    assert (refused.exit_code, file.exists()) == (1, False)
    assert "networks: load 1.6, above 1.5: wait, or measure with --busy" in refused.output
    assert CliRunner().invoke(app, ["networks", "--file", str(file), "--busy"]).exit_code == 0
    assert json.loads(file.read_text())["networks"]["busy"] is True
    assert "load 1.6 (busy machine)" in file.with_suffix(".md").read_text()


def test_part_without_its_packages_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(results.metadata, "distributions", lambda: [])
    with pytest.raises(RuntimeError, match="needs `pip install apsw sqlite-vec usearch`"):
        PARTS["vectors"].measure(tmp_path, tmp_path)


@pytest.mark.parametrize("name", [name for name, part in PARTS.items() if part.gpu])
def test_part_that_needs_a_card_is_refused_without_one(tmp_path, monkeypatch, name):
    """It would run on the CPU, and its figures be taken for the card's."""
    monkeypatch.setattr(networks, "ask_gpu", lambda *fields: None)
    monkeypatch.setattr(results.Part, "measure", None)
    refused = CliRunner().invoke(app, [name, "--busy", "--file", str(tmp_path / "performance.json")])
    assert (refused.exit_code, f"{name}: needs an NVIDIA GPU" in refused.output) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_part_without_its_data_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="nowhere is no folder: name theirs with --data"):
        PARTS["bursts"].measure(tmp_path, tmp_path / "nowhere")


def test_all_command_measures_other_parts_where_one_fails(tmp_path, monkeypatch):
    measured = []

    def measure_one(part, work, data):
        if part is PARTS["stages"]:
            raise FileNotFoundError("no data")
        measured.append(part)
        return {}

    monkeypatch.setattr(results.Part, "measure", measure_one)
    monkeypatch.setattr(page, "write", lambda file: file)
    monkeypatch.setattr(networks, "ask_gpu", lambda *fields: None)
    done = CliRunner().invoke(app, ["all", "--busy", "--minutes", "500", "--file", str(tmp_path / "performance.json")])
    assert done.exit_code == 1
    assert measured == [part for name, part in PARTS.items() if name != "stages" and not part.gpu]
    assert "stages: no data" in done.output
    assert "gpu-index: skipped, needs an NVIDIA GPU" in done.output


def test_all_command_begins_no_part_that_would_end_late(tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(results.Part, "measure", lambda part, work, data: measured.append(part) or {})
    monkeypatch.setattr(page, "write", lambda file: file)
    monkeypatch.setattr(networks, "ask_gpu", lambda *fields: None)
    done = CliRunner().invoke(app, ["all", "--busy", "--minutes", "4", "--file", str(tmp_path / "performance.json")])
    assert done.exit_code == 0
    assert [part.minutes <= 4 for part in measured] == [True] * len(measured)
    assert PARTS["stages"] in measured
    assert "pipeline: skipped, takes about 5 minutes" in done.output


# ---- photos to measure with


@pytest.mark.slow
def test_write_photos_repeats_for_same_seed_and_makes_distinct_files(tmp_path):
    made = [photos.write_photos(tmp_path / name, "tiny", 5, seed=seed) for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    a, b, c = ([path.read_bytes() for path in ways.list_photos(folder)] for folder in made)
    assert a == b
    assert len(set(a + c)) == 10


@pytest.mark.parametrize("suffix", ["JPEG", "PNG", "HEIF"])
def test_number_photo_changes_bytes_and_keeps_pixels(suffix):
    kind = photos.Kind(suffix, (64, 48), scenes=1)
    (plain,) = photos.draw_scenes(kind, None, np.random.default_rng(1), 1)
    numbered = photos.number_photo(plain, 7)
    assert decode.content_hash(numbered) != decode.content_hash(plain)
    pixels = [decode.decode(data, [decode.ViewSpec(32)]).views[0] for data in (numbered, plain)]
    assert (pixels[0] == pixels[1]).all()


@pytest.mark.slow
def test_12_megapixel_photo_has_size_of_a_phones():
    (data,) = photos.draw_scenes(photos.KINDS["12mp"], None, np.random.default_rng(1), 1)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (4000, 3000)
    assert 2.2e6 < len(data) < 3.0e6


# ---- costs


@pytest.mark.slow
def test_measure_cost_counts_child_processes_and_not_sleep():
    def work() -> int:
        subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.3: pass"], check=True)
        time.sleep(0.3)
        return 2

    cost = measure.measure_cost(work)
    assert 0.3 <= cost.core_seconds < 0.6 <= cost.seconds
    assert cost.core_ms == pytest.approx(500 * cost.core_seconds)


@pytest.mark.slow
def test_peak_memory_counts_child_processes():
    command = "import time; x = bytearray(b'1' * 200_000_000); time.sleep(1)"

    def work() -> int:
        return subprocess.run([sys.executable, "-c", command], check=True).returncode + 1

    assert measure.measure_cost(lambda: 1).peak_bytes + 190e6 < measure.measure_cost(work).peak_bytes


def test_measure_core_ms_is_the_least_of_the_runs_for_one_photo(monkeypatch):
    clock = iter([0.0, 3.0, 10.0, 12.0])
    monkeypatch.setattr(measure, "core_seconds", lambda: next(clock))
    assert measure.measure_core_ms(lambda: None, n=4, repeats=2) == 500


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux alone forgets a process's largest size")
def test_measure_growth_counts_what_is_held_meanwhile():
    code = """
import json
from benchmarks import measure
megabyte = b"x" * 1_000_000
len(200 * megabyte)  # a peak from before does not count
print(json.dumps(measure.measure_growth(lambda: len(60 * megabyte))))
"""  # a process of its own: what other tests freed would be taken again, and be no growth
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    size, cost = json.loads(done.stdout)
    assert size == 60_000_000
    assert 50 < cost["more_mb"] < 100
    assert cost["core_seconds"] > 0 < cost["seconds"]


def test_median_cost_and_compare_runs():
    costs = [Cost(4, seconds, seconds / 2, 100) for seconds in (1.0, 5.0, 2.0)]
    assert measure.median_cost(costs) == Cost(4, 2.0, 1.0, 100)
    assert measure.compare_runs([1, 9, 4], [1, 3, 2]) == {"median": 2, "min": 1, "max": 3}


# ---- each part


@pytest.mark.slow
def test_pipeline_measures_every_way(tmp_path, toy, small_photos):
    figures = pipeline.measure_pipeline(
        tmp_path, tmp_path, models={"toy": toy}, n=2, n_plain=1, rounds=1, with_clip=False
    )
    assert [(way["way"], way["n"]) for way in figures["ways"]] == [
        ("floor", 2), ("photosearch toy", 2), ("photosearch toy, one core", 2), ("plain toy", 1),
    ]  # fmt: skip
    text = render("pipeline", figures)
    assert "| floor | " in text
    assert "- **A first `index` on 16 cores**: not measured" not in text


@pytest.mark.slow
def test_stages_are_those_of_every_kind(tmp_path, toy, small_photos, monkeypatch):
    monkeypatch.setattr(stages, "list_networks", lambda: {DEFAULT_MODEL: toy})
    figures = stages.measure_stages(tmp_path, tmp_path, kinds={"small": 3, "png": 1}, repeats=1)
    assert [(row["kind"], row["n"]) for row in figures["rows"]] == [("small", 3), ("png", 1)]
    assert all(row["core_ms"] == sum(row["stages"].values()) > 0 for row in figures["rows"])
    text = render("stages", figures)
    assert "| stage | small | png |" in text
    assert "- **Photos of other kinds**: core-ms a photo: small " in text


@pytest.mark.slow
def test_scaling_indexes_each_size_twice(tmp_path, toy, ways_in_this_process):
    figures = pipeline.measure_scaling(tmp_path, tmp_path, model=toy, sizes=(10, 100))
    assert [row["n"] for row in figures["rows"]] == [10, 100]
    assert all(row["again"]["core_seconds"] < row["first"]["core_seconds"] for row in figures["rows"])
    assert figures["steps"][0]["photos"] == 10
    assert "s for 100 unchanged photos" in render("scaling", figures)


@pytest.mark.slow
def test_library_questions_and_description_have_answers(tmp_path):
    figures = library.measure_library(tmp_path, n=2000, n_vectors=200, repeats=1)
    assert [row["question"] for row in figures["questions"]] == list(library.QUESTIONS)
    assert all(row["found"] > 0 for row in figures["questions"])
    assert figures["bytes_per_photo"]["vectors"] > 768
    assert '| `photosearch find "a red car on a beach"` | ' in render("library", figures)


@pytest.mark.slow
def test_sentences_find_photos_by_place_date_and_words(tmp_path):
    figures = sentences.measure_sentences(tmp_path, n=2000, n_vectors=300, repeats=1)
    assert [row["found"] > 0 for row in figures["questions"]] == [True] * len(figures["questions"])
    assert {row["question"] for row in figures["questions"] if "count" in row} == {
        f'find "{words}"' for words in sentences.SENTENCES
    }
    assert all(row["count"] >= row["found"] for row in figures["questions"] if "count" in row)
    assert '| find "dog in portugal last summer" | 2,000 | ' in render("sentences", figures)


@pytest.mark.slow
def test_browse_measures_command_and_its_page_shows_what_was_found(tmp_path, monkeypatch, small_photos):
    monkeypatch.setattr(browse, "CHROMIUM", None)
    figures = browse.measure_browse(tmp_path, n=200, n_large=2, repeats=1)
    found = {row["question"]: row["found"] for row in figures["server"]["questions"]}
    assert found["bird"] == figures["results"] == 40
    assert found["not bird"] == 160
    assert figures["thumbnails"]["n"] == 2
    text = render("browse", figures)
    assert "| bird | 40 |" in text
    assert "In Chromium" not in text, "there was none"


@pytest.mark.slow
def test_networks_measures_every_batch_size(toy):
    figures = networks.measure_networks(models={"toy": toy}, batches=(1, 3), seconds=0.01)
    assert [(row["model"], row["batch"]) for row in figures["rows"]] == [("toy", 1), ("toy", 3)]
    assert "| toy | 3 | " in render("networks", figures)


@pytest.mark.slow
def test_gpu_networks_measures_every_part_with_cpu_in_its_place(tmp_path, toy):
    figures = networks.measure_gpu_networks(
        tmp_path, models={"toy": toy}, batches=(1, 3), n_compared=4, seconds=0.01, provider="cpu"
    )
    assert [(row["difference"], row["decisions"]) for row in figures["scores"]] == [(0, 0)]
    assert [row["batch"] for row in figures["rows"]] == [1, 3]
    assert figures["placement"][0]["ran"].keys() == {"CPUExecutionProvider"}
    assert "| toy | default | 4 | 0 | 0 |" in render("gpu-networks", {**figures, "card": ["Card", "1", "2"]})


@pytest.mark.slow
def test_gpu_index_runs_whole_command_with_cpu_in_its_place(tmp_path, toy, small_photos):
    figures = pipeline.measure_gpu_index(
        tmp_path,
        tmp_path,
        folders={"start": ("tiny", 1), "large": ("12mp", 40)},
        runs=[("start", "cpu"), ("large", "cpu")],
        options=("--model", str(toy)),
    )
    assert [(row["folder"], row["n"]) for row in figures["rows"]] == [("start", 1), ("large", 40)]
    cuda = [{**row, "provider": "cuda"} for row in figures["rows"]]
    text = render("gpu-index", {**figures, "card": ["Card", "1", "2"], "rows": [*figures["rows"], *cuda]})
    assert "| large | 40 | cpu | 1 | " in text
    assert "photos an hour with one Card" in text


@pytest.mark.slow
def test_clip_network_runs_at_any_batch_size(tmp_path):
    path = clip.write_network(tmp_path, 64, layers=1)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (embeddings,) = session.run(None, {"photos": np.zeros((3, 64, 64, 3), np.uint8)})
    assert embeddings.shape == (3, 512)


@pytest.mark.slow
def test_clip_network_has_88_million_parameters():
    block = sum(p.numel() for p in clip.Block().parameters())
    rest = sum(p.numel() for p in clip.ImageEncoder(224, layers=0).parameters())
    assert round((12 * block + rest) / 1e6) == 88


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3, 16])
def test_model_scores_do_not_depend_on_threads(toy, threads):
    images = np.random.default_rng(1).integers(0, 256, (7, 8, 8, 3), dtype=np.uint8)
    expected = images.mean((1, 2), dtype=np.float64) / 255
    np.testing.assert_allclose(Model(toy, provider="cpu", threads=threads).score(images), expected, atol=1e-6)


@pytest.mark.slow
def test_coverage_summarises_libraries_by_way():
    figures = coverage.measure_coverage(sizes=(500,), prevalences=(0.2,), judged=(40,), draws=3)
    assert figures["n_libraries"] == len(coverage.HELD_OUT)
    assert [row["way"] for row in figures["rows"]] == ["weighted", "unweighted", "random"]
    assert "| 40 | weighted | " in render("coverage", figures)


@pytest.mark.slow
def test_spread_stores_every_row_though_actors_die(tmp_path):
    pytest.importorskip("pyarrow")
    figures = spread.measure_spread(tmp_path, rows=6_000, merged=600)
    assert figures["driver"]["photos"] == 6_000
    assert figures["merge"]["again_core_ms"] < figures["merge"]["core_ms"]
    pipeline_part = {"default": "toy", "ways": [{"way": "photosearch toy", "core_ms": 40.0}]}
    text = "\n".join(page._spread(figures, {"pipeline": pipeline_part}))
    assert "takes 0.048 s of a core" in text


def test_predict_names_slowest_part():
    costs = spread.Costs(core_seconds=0.05, merge_seconds=0.0005, library_bytes=1000)
    assert spread.predict(10**6, 1, costs)[1:] == (pytest.approx(48, abs=1), "the machines' network")
    fast = spread.Costs(0.05, 0.0005, 1000, link_bytes_per_second=1e12, machine_bytes_per_second=1e12)
    assert spread.predict(10**6, 1, fast)[1:] == (320, "cores")
    assert spread.predict(10**6, 10, fast)[1:] == (2000, "the merge")


def test_page_shows_learned_labels():
    counts = learn._describe(ConfusionMatrix(8, 2, 1, 9))
    figures = {"model": "toy", "marks": 20, "n": 20, "n_labels": 3, "together": counts, "improved": []}
    text = render("learn", {**figures, "examples": [{"label": "okapi", "seed": 0, **counts}]})
    assert "| okapi, seed 0 | 9 | 0.800 (" in text
