"""`index`, from files to rows: how fast, against the decode floor and a plain script; more photos; a GPU.

All ways run one after another over the same files, each in a fresh process, once a round: a ratio is taken within a
round. The plain ways, which take long, run over the first photos only.
"""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean

from benchmarks import photos, ways
from benchmarks.measure import PHOTOSEARCH, Cost, Figures, compare_runs, core_seconds, median_cost
from benchmarks.networks import describe_gpu, list_networks
from photosearch.models.catalog import DEFAULT_MODEL

STARTING = 16  # photos; an index of so few costs its start: every child process is started
GPU_FOLDERS = {"start": ("tiny", STARTING), "small": ("tiny", 9000), "large": ("12mp", 600)}  # name: (kind, photos)
GPU_RUNS = [(folder, p) for folder in ("start", *3 * ("small", "large")) for p in ("cuda", "cpu")]

Runs = dict[str, list[Cost]]


def measure_pipeline(
    work: Path,
    data: Path,
    *,
    models: Mapping[str, Path] | None = None,
    n: int = 200,
    n_plain: int = 40,
    rounds: int = 3,
    with_clip: bool = True,
) -> Figures:
    """models: by name, the default model last (default: the shipped ones). n: photos of 12 megapixels."""
    models = models or list_networks()
    name = list(models)[-1]
    folder = photos.write_photos(work, "12mp", n, data=data)
    runs = run_ways(folder, models, _write_clip(work) if with_clip else {}, n_plain=n_plain, rounds=rounds)
    paths = ways.list_photos(folder)
    return {
        "n": n,
        "n_plain": n_plain,
        "rounds": rounds,
        "megabytes": sum(path.stat().st_size for path in paths) / len(paths) / 1e6,
        "default": name,
        "ways": [{"way": way, **median_cost(costs).to_figures()} for way, costs in runs.items()],
        "ratios": compare_ways(runs, name),
    }


def run_ways(folder: Path, models: Mapping[str, Path], clip: Mapping[str, Path], *, n_plain: int, rounds: int) -> Runs:
    default, model = list(models.items())[-1]
    run: dict[str, Callable[[], Cost]] = {"floor": partial(ways.run_way, "floor", folder)}
    for name, path in models.items():
        run[f"photosearch {name}"] = partial(ways.run_way, "photosearch", folder, model=path)
    run[f"photosearch {default}, one core"] = partial(ways.run_way, "photosearch", folder, model=model, cores=1)
    for name, path in {default: model, **clip}.items():
        run[f"plain {name}"] = partial(ways.run_way, "plain", folder, model=path, n=n_plain)
    runs: Runs = {way: [] for way in run}
    for _ in range(rounds):
        for way, start in run.items():
            runs[way].append(start())
    return runs


def compare_ways(runs: Runs, default: str) -> list[Figures]:
    """The default model's index over every other way: more than 1 is better for us."""
    ours = runs[f"photosearch {default}"]
    return [
        {
            "way": way,
            "clock": compare_runs([c.rate for c in ours], [c.rate for c in costs]),
            "cores": compare_runs([c.core_ms for c in costs], [c.core_ms for c in ours]),
        }
        for way, costs in runs.items()
        if way == "floor" or way.startswith("plain")
    ]


def measure_scaling(
    work: Path, data: Path, *, model: Path | None = None, sizes: Sequence[int] = (1000, 10_000)
) -> Figures:
    """Small photos, so that what each one costs besides its decoding shows. A second run finds them all unchanged."""
    model = model or list_networks()[DEFAULT_MODEL]
    start = _index_twice(work, data, model, STARTING)["first"]
    rows = [_index_twice(work, data, model, n) for n in sizes]
    return {"model": model.stem, "start": start, "rows": rows, "steps": compare_sizes(rows, start)}


def _index_twice(work: Path, data: Path, model: Path, n: int) -> Figures:
    folder = photos.write_photos(work, "tiny", n, data=data)
    db = work / "scaling.db"
    for left in work.glob("scaling.db*"):
        left.unlink()
    first, again = (ways.run_way("photosearch", folder, model=model, db=db).to_figures() for _ in range(2))
    return {"n": n, "first": first, "again": again, "bytes_per_photo": db.stat().st_size / n}


def compare_sizes(rows: list[Figures], start: Figures) -> list[Figures]:
    """From one size to the next: how many times the photos, the time (without the start) and the memory."""
    steps = []
    for few, many in pairwise(row["first"] for row in rows):
        step = {key: (many[key] - start[key]) / (few[key] - start[key]) for key in ("seconds", "core_seconds")}
        steps.append({**step, "photos": many["n"] / few["n"], "peak": many["peak_mb"] / few["peak_mb"]})
    return steps


# ---- with a GPU


def measure_gpu_index(
    work: Path,
    data: Path,
    *,
    folders: Mapping[str, tuple[str, int]] = GPU_FOLDERS,
    runs: Sequence[tuple[str, str]] = GPU_RUNS,
    options: Sequence[str] = (),
) -> Figures:
    """The whole command into a new library, GPU against CPU. options: of each `index`."""
    made = {name: photos.write_photos(work, kind, n, data=data) for name, (kind, n) in folders.items()}
    rows = [
        {"folder": name, "n": folders[name][1], "provider": provider, **run_index(made[name], provider, options)}
        for name, provider in runs
    ]
    return {**describe_gpu(), "model": DEFAULT_MODEL, "rows": rows}


def run_index(folder: Path, provider: str, options: Sequence[str] = ()) -> Figures:
    """One `index`. gpu_busy: percent of the time; gpu_mb: at most. Both None without nvidia-smi."""
    with tempfile.TemporaryDirectory() as temporary, watch_gpu() as samples:
        start, cores = time.perf_counter(), core_seconds()
        command = [*PHOTOSEARCH, "index", str(folder), "--provider", provider, *options]
        subprocess.run([*command, "--db", f"{temporary}/library.db"], check=True, capture_output=True)
        seconds, used = time.perf_counter() - start, core_seconds() - cores
    busy, memory = zip(*samples, strict=True) if samples else (None, None)
    return {
        "seconds": seconds,
        "core_seconds": used,
        "gpu_busy": busy and mean(busy),
        "gpu_mb": memory and max(memory),
    }


@contextlib.contextmanager
def watch_gpu() -> Iterator[list[tuple[int, int]]]:
    """(percent busy, MB in use) every 100 ms, complete at the end of the block."""
    samples: list[tuple[int, int]] = []
    query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "-lms", "100"]
    try:
        watch = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
    except OSError:
        yield samples
        return
    try:
        yield samples
    finally:
        watch.kill()
        for line in watch.communicate()[0].splitlines():
            busy, _, memory = line.partition(",")
            if memory:
                samples.append((int(busy), int(memory)))


def _write_clip(work: Path) -> dict[str, Path]:
    from benchmarks import clip  # needs torch

    return {"ViT-B/32": clip.write_network(work)}
