"""What a GPU gains: one part a process, and its figures into one file as soon as each is known.

    bash benchmarks/gpu.sh OUT                          # all the parts, into OUT/gpu.json
    python -m benchmarks.gpu networks --to gpu.json     # one of them
    python -m benchmarks.gpu keep --to gpu.json         # the figures into docs/performance.json, and the page anew

    about       the card, its driver, the machine
    photos      the folders that pipelines and commands index
    scores      does the provider load, and score as the CPU does
    networks    the network alone: by batch, and by how a batch comes to the device
    pipelines   the whole `photosearch index`, small photos and 12 megapixels, GPU against CPU
    commands    what `doctor` and `index` print
    embeddings  a network of ViT-B/32's size, with random weights

Written against ONNX Runtime and the command line, not against photosearch's own modules: what is measured here is what
the hardware can do, and then what a user gets. A GPU that can be borrowed for minutes only is why every figure is
written down at once.
"""

import argparse
import collections
import contextlib
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from benchmarks import pictures
from benchmarks.measure import core_seconds, machine

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
COMMAND = [sys.executable, "-c", "from photosearch.cli.app import main; main()"]
PROFILED = "import cProfile, sys; from photosearch.cli.app import main; cProfile.run('main()', {to!r})"
PROFILED_AT = 10  # in the order of what is worth most, if time runs out
RESULTS = Path(__file__).parent.parent / "docs" / "performance.json"
PICTURES = "101_ObjectCategories/*/*.jpg"
NETWORKS = ("bird-photo", "lite2-float32", "lite2-float16", "lite2-int8")
WAYS = ("plain", "bound", "resident")

LIBRARIES = ("nvidia-cublas", "nvidia-cuda-runtime", "nvidia-cudnn", "nvidia-cufft")

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured. small, large: photos; few: so many that an index of them is all start."""

    compared: int = 64
    batches: tuple[int, ...] = (1, 16, 64, 256, 1024)
    embedded: tuple[int, ...] = (1, 16, 64, 256)
    seconds: float = 0.4
    small: int = 9_000
    large: int = 600
    few: int = 16
    layers: int = 12
    kind: str = "12mp"


TINY = Sizes(4, (1, 3), (1, 2), 0.01, small=6, large=2, few=2, layers=1, kind="tiny")


class Figures:
    """The file of figures, written anew whenever one is put."""

    def __init__(self, to: Path):
        self._to = to
        self.parts: dict[str, Any] = json.loads(to.read_text()) if to.exists() else {}

    def put(self, part: str, key: str, value: Any) -> None:
        self.parts.setdefault(part, {})[key] = value
        self._write()

    def add(self, part: str, key: str, row: Mapping[str, Any]) -> None:
        print(part, key, json.dumps(row), flush=True)
        self.parts.setdefault(part, {}).setdefault(key, []).append(row)
        self._write()

    def _write(self) -> None:
        aside = self._to.with_suffix(".part")
        aside.write_text(json.dumps(self.parts, indent=1))
        aside.replace(self._to)


# ---- what every part needs


def describe() -> dict[str, Any]:
    """The card, its driver and the machine around it."""
    asked = ("name", "memory.total", "driver_version")
    return {
        "card": _ask_card(*asked) or None,
        "machine": machine(),
        "onnxruntime": onnxruntime.__version__,
        "build": onnxruntime.get_build_info(),
        "libraries": _libraries(),
        "python": platform.python_version(),
        "day": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def load(path: Path, provider: str, *, profile: str = "", **options: Any) -> onnxruntime.InferenceSession:
    """A session on this provider alone, beside the CPU. Raises RuntimeError where ONNX Runtime chose another."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if profile:
        settings.enable_profiling, settings.profile_file_prefix = True, profile
    names: list[Any] = [(PROVIDERS[provider], options)] if options else [PROVIDERS[provider]]
    session = onnxruntime.InferenceSession(
        str(path), settings, providers=names + ([] if provider == "cpu" else [PROVIDERS["cpu"]])
    )
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise RuntimeError(f"{provider} was asked for, {session.get_providers()} came")
    return session


def draw_images(n: int, size: int, photos: Path | None = None) -> Images:
    """n squares: random pixels, and for the second half real pictures where there are any."""
    images = np.random.default_rng(1).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    if photos is not None and any(photos.glob(PICTURES)):
        from benchmarks.formats import read_pictures

        images[n - n // 2 :] = read_pictures(photos, n // 2, size)
    return images


def size_of(session: onnxruntime.InferenceSession) -> int:
    return int(session.get_inputs()[0].shape[1])


def _ask_card(*fields: str) -> list[str]:
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [field.strip() for field in said.splitlines()[0].split(",")]
    return []


def _libraries() -> list[str]:
    from importlib import metadata

    named = {d.metadata["Name"] or "": d.version for d in metadata.distributions()}
    return sorted(f"{name} {version}" for name, version in named.items() if name.startswith(LIBRARIES))


# ---- 1: scores


def compare_scores(figures: Figures, models: Path, provider: str, sizes: Sizes, photos: Path | None) -> None:
    for name in ("bird-photo", "bird-classic", *NETWORKS[1:]):
        path = models / f"{name}.onnx"
        images = draw_images(sizes.compared, size_of(load(path, "cpu")), photos)
        expected = _score(load(path, "cpu"), images)
        variants = {"as it comes": {}, "without TF32": {"use_tf32": 0}} if provider == "cuda" else {"as it comes": {}}
        for variant, options in variants.items():
            begun = time.perf_counter()
            session = load(path, provider, **options)
            seconds = time.perf_counter() - begun
            scores = _score(session, images)
            row = {
                "model": name,
                "variant": variant,
                "n": len(images),
                "load_seconds": seconds,
                "difference": float(np.abs(scores - expected).max()),
                "largest": float(np.abs(expected).max()),
                "decisions": int((_decide(scores) != _decide(expected)).sum()),
            }
            figures.add("scores", "rows", row)


def _score(session: onnxruntime.InferenceSession, images: Images, batch: int = 32) -> npt.NDArray[np.float32]:
    (taken,) = session.get_inputs()
    parts = [session.run(None, {taken.name: images[i : i + batch]})[0] for i in range(0, len(images), batch)]
    return np.concatenate(parts)


def _decide(scores: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    return scores.argmax(1) if scores.shape[1] > 1 else scores[:, 0] >= 0.5


# ---- 2: networks


def time_networks(figures: Figures, models: Path, provider: str, sizes: Sizes) -> None:
    for name in NETWORKS:
        path = models / f"{name}.onnx"
        figures.add("networks", "placement", {"model": name, **place_nodes(path, provider)})
        time_network(figures, name, path, provider, sizes)
    few, many = sizes.batches[len(sizes.batches) // 2], sizes.batches[max(0, len(sizes.batches) - 2)]
    options: dict[str, dict[str, Any]] = {
        "as it comes": {},
        "cudnn_conv_algo_search=HEURISTIC": {"cudnn_conv_algo_search": "HEURISTIC"},
        "prefer_nhwc=1": {"prefer_nhwc": 1},
        "use_tf32=0": {"use_tf32": 0},
    }
    if provider == "cuda":
        for name in ("bird-photo", "lite2-float16"):
            for option, values in options.items():
                with _tolerated(figures, "networks", f"{name} {option}"):
                    session = load(models / f"{name}.onnx", provider, **values)
                    row = {"model": name, "option": option, **_time_batch(session, provider, many, sizes.seconds)}
                    figures.add("networks", "options", row)
    for name in ("bird-photo", "lite2-float32", "lite2-int8"):
        session = load(models / f"{name}.onnx", "cpu")
        row = {"model": name, "provider": "cpu", "way": "plain", "batch": few}
        ways = _ways(session, draw_images(few, size_of(session)), "cpu")
        figures.add("networks", "rows", row | _time(ways["plain"], few, sizes.seconds))


def time_network(figures: Figures, name: str, path: Path, provider: str, sizes: Sizes) -> None:
    """Every batch by every way. memory_mb: what the card holds in all, after this batch and the smaller ones."""
    session = load(path, provider)
    images = draw_images(max(sizes.batches), size_of(session))
    for batch in sizes.batches:
        ways = _ways(session, images[:batch], provider)
        for way in WAYS:
            with _tolerated(figures, "networks", f"{name} {batch} {way}"):
                row = {"model": name, "provider": provider, "way": way, "batch": batch}
                row |= _time(ways[way], batch, sizes.seconds)
                if way == "plain" and (memory := _ask_card("memory.used")):
                    row["memory_mb"] = int(memory[0])
                figures.add("networks", "rows", row)


def place_nodes(path: Path, provider: str) -> dict[str, Any]:
    """How many nodes ran where, and which kinds on the CPU, as the profile of one run says."""
    with tempfile.TemporaryDirectory() as folder:
        session = load(path, provider, profile=f"{folder}/run")
        (taken,) = session.get_inputs()
        session.run(None, {taken.name: draw_images(2, size_of(session))})
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = {e["name"]: e["args"] for e in events if e.get("cat") == "Node" and "provider" in e.get("args", {})}
    ran = collections.Counter(args["provider"] for args in nodes.values())
    on_cpu = collections.Counter(a["op_name"] for a in nodes.values() if a["provider"] == PROVIDERS["cpu"])
    kinds = collections.Counter(a["op_name"] for a in nodes.values())
    return {"ran": dict(ran), "on_cpu": dict(on_cpu.most_common(8)), "kinds": dict(kinds.most_common(8))}


def _ways(session: onnxruntime.InferenceSession, images: Images, provider: str) -> dict[str, Callable[[], Any]]:
    """plain: numpy in, numpy out. bound: into a kept buffer on the device first. resident: it lies there already."""
    device = "cpu" if provider == "cpu" else provider
    (taken,), (given, *_) = session.get_inputs(), session.get_outputs()
    buffer = onnxruntime.OrtValue.ortvalue_from_numpy(images, device, 0)

    def resident() -> Any:
        binding = session.io_binding()
        binding.bind_ortvalue_input(taken.name, buffer)
        binding.bind_output(given.name, "cpu")
        session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]

    def bound() -> Any:
        buffer.update_inplace(images)
        return resident()

    return {"plain": lambda: session.run(None, {taken.name: images})[0], "bound": bound, "resident": resident}


def _time(run: Callable[[], Any], n: int, seconds: float) -> dict[str, float]:
    """rate: images a second, the median run. core_ms: of this process, an image. first_seconds: the first run's."""
    begun = time.perf_counter()
    run()
    first = time.perf_counter() - begun
    run()
    clock, cores, took = time.perf_counter(), core_seconds(), []
    while len(took) < 3 or time.perf_counter() - clock < seconds:
        begun = time.perf_counter()
        run()
        took.append(time.perf_counter() - begun)
    core_ms = 1000 * (core_seconds() - cores) / (len(took) * n)
    return {"rate": n / statistics.median(took), "core_ms": core_ms, "first_seconds": first, "runs": len(took)}


def _time_batch(session: onnxruntime.InferenceSession, provider: str, batch: int, seconds: float) -> dict[str, Any]:
    """One batch, and how long the first run takes with one photo fewer, as an index's last batch has."""
    images = draw_images(batch, size_of(session))
    row = _time(_ways(session, images, provider)["bound"], batch, seconds)
    begun = time.perf_counter()
    _ways(session, images[: batch - 1], provider)["bound"]()
    return {"batch": batch, **row, "another_batch_seconds": time.perf_counter() - begun}


@contextlib.contextmanager
def _tolerated(figures: Figures, part: str, what: str) -> Iterator[None]:
    """One failure is a figure, too, and does not cost the rest."""
    try:
        yield
    except Exception as error:
        figures.add(part, "failed", {"what": what, "why": f"{type(error).__name__}: {error}"[:500]})


# ---- 3: pipelines


def make_photos(work: Path, photos: Path, sizes: Sizes) -> None:
    """The folders that are indexed: few, small (the data set's own files, numbered until they suffice), large."""
    sources = [path.read_bytes() for path in sorted(photos.glob(PICTURES))[: sizes.small]]
    for name, n in (("few", sizes.few), ("small", sizes.small)):
        folder = work / name
        for i in range(n):
            path = folder / f"{i // 1000:03d}" / f"{i:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pictures.numbered(sources[i % len(sources)], i))
    pictures.write(work, sizes.kind, sizes.large, data=photos).rename(work / "large")


def run_pipelines(figures: Figures, work: Path, provider: str, sizes: Sizes) -> None:
    gpu, cpu = ("--provider", provider), ("--provider", "cpu")
    plan: list[tuple[str, tuple[str, ...]]] = [
        ("few", gpu),
        ("few", cpu),
        ("small", gpu),
        ("small", cpu),
        ("large", gpu),
        ("large", cpu),
        ("small", (*gpu, "--batch-size", "64")),
        ("large", (*gpu, "--batch-size", "64")),
        ("large", (*gpu, "--tiles", "9")),
        ("large", (*cpu, "--tiles", "9")),
        ("small", (*gpu, "--workers", "8")),
        ("small", (*gpu, "--workers", "32")),
        ("large", (*gpu, "--workers", "32")),
        ("small", (*gpu, "--model", "bird-classic")),
        ("small", (*cpu, "--model", "bird-classic")),
        *2 * [("large", gpu), ("large", cpu), ("small", (*gpu, "--workers", "4")), ("small", gpu), ("small", cpu)],
        ("small", (*cpu, "--workers", "8")),
    ]
    counts = {"few": sizes.few, "small": sizes.small, "large": sizes.large}
    for i, (folder, options) in enumerate(plan):
        if i == PROFILED_AT:
            for profiled in ("small", "large"):
                with _tolerated(figures, "pipelines", f"profile {profiled}"):
                    lines = profile_index(work / profiled, gpu)
                    figures.add("pipelines", "profiles", {"folder": profiled, "lines": lines})
        with _tolerated(figures, "pipelines", f"{folder} {' '.join(options)}"):
            row = {"folder": folder, "n": counts[folder], "options": " ".join(options)}
            figures.add("pipelines", "rows", row | run_index(work / folder, options, counts[folder]))


def run_index(folder: Path, options: Sequence[str], n: int) -> dict[str, Any]:
    """One whole `index` into a new library. main_cores: of the main process alone; busy: percent of the GPU's time."""
    with tempfile.TemporaryDirectory() as aside:
        before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        command = [*COMMAND, "index", str(folder), *options, "--db", f"{aside}/library.db"]
        with Watch() as watch:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            watch.pid = child.pid
            said, _ = child.communicate()
        seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    if child.returncode:
        raise RuntimeError(f"{options}: {said[-400:]}")
    cores = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": seconds,
        "rate": n / seconds,
        "core_seconds": cores,
        "core_ms": 1000 * cores / n,
        "main_cores": watch.main_seconds / seconds,
        "busy": statistics.mean(watch.busy) if watch.busy else None,
        "memory_mb": max(watch.memory, default=None),
        "said": next((line for line in said.splitlines() if " photos: " in line or " photo: " in line), "")[:200],
    }


class Watch:
    """Looks at a process and at the card ten times a second, from threads."""

    def __init__(self) -> None:
        self.pid, self.main_seconds = 0, 0.0
        self.busy: list[int] = []
        self.memory: list[int] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._card: subprocess.Popen[str] | None = None
        with contextlib.suppress(OSError):
            query = ["nvidia-smi", "--query-gpu=utilization.gpu,memory.used", "--format=csv,noheader,nounits", "-lms"]
            self._card = subprocess.Popen([*query, "100"], stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._card is not None:
            self._card.kill()
            lines = [line.split(",") for line in self._card.communicate()[0].splitlines() if "," in line]
            self.busy, self.memory = [int(a) for a, _ in lines], [int(b) for _, b in lines]

    def _look(self) -> None:
        ticks = os.sysconf("SC_CLK_TCK")
        while not self._done.wait(0.1):
            with contextlib.suppress(OSError, IndexError):
                fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
                self.main_seconds = max(self.main_seconds, (int(fields[11]) + int(fields[12])) / ticks)


def profile_index(folder: Path, options: Sequence[str], lines: int = 22) -> list[str]:
    """Where the main thread's time goes: the functions with the most of their own, as cProfile has them."""
    import io
    import pstats

    with tempfile.TemporaryDirectory() as aside:
        to = f"{aside}/profile"
        arguments = ["index", str(folder), *options, "--db", f"{aside}/library.db"]
        subprocess.run([sys.executable, "-c", PROFILED.format(to=to), *arguments], capture_output=True, check=False)
        out = io.StringIO()
        pstats.Stats(to, stream=out).strip_dirs().sort_stats("tottime").print_stats(lines)
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


# ---- 4: commands


def run_commands(figures: Figures, work: Path, provider: str) -> None:
    few = str(work / "few")
    asked: list[tuple[str, ...]] = [
        ("doctor",),
        ("doctor", "--provider", "cpu", "--provider", provider),
        ("index", few),
        ("index", few, "--require-gpu"),
        ("index", few, "--provider", "tensorrt", "--require-gpu"),
        ("index", few, "--provider", "cpu", "--require-gpu"),
    ]
    for arguments in asked:
        with _tolerated(figures, "commands", " ".join(arguments)), tempfile.TemporaryDirectory() as aside:
            begun = time.perf_counter()
            environment = {**os.environ, "PHOTOSEARCH_DB": f"{aside}/library.db", "COLUMNS": "120"}
            done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=environment, timeout=60)
            figures.add("commands", "rows", {
                "command": " ".join("DIR" if a == few else a for a in arguments),
                "code": done.returncode,
                "seconds": time.perf_counter() - begun,
                "printed": done.stdout[-3000:],
                "noted": done.stderr[-3000:],
            })  # fmt: skip


# ---- 5: embeddings


def time_embeddings(figures: Figures, work: Path, provider: str, sizes: Sizes) -> None:
    import onnx

    from benchmarks import clip
    from benchmarks.formats import halve

    whole = clip.write(work, 256, layers=sizes.layers)
    half = whole.with_name("clip-256-half.onnx")
    onnx.save(halve(onnx.load(whole)), half)
    images = draw_images(max(sizes.embedded), 256)
    expected = _score(load(whole, "cpu"), images[:8])
    for name, path in (("float32", whole), ("float16", half)):
        with _tolerated(figures, "embeddings", name):
            session = load(path, provider)
            cosines = _cosines(_score(session, images[:8]), expected)
            row = {"format": name, "least_cosine": cosines, **place_nodes(path, provider)}
            figures.add("embeddings", "compared", row)
            for batch in sizes.embedded:
                ways = _ways(session, images[:batch], provider)
                for way in WAYS:
                    row = {"format": name, "provider": provider, "way": way, "batch": batch}
                    figures.add("embeddings", "rows", row | _time(ways[way], batch, sizes.seconds))
    batch = sizes.embedded[1]
    row = {"format": "float32", "provider": "cpu", "way": "plain", "batch": batch}
    session = load(whole, "cpu")
    figures.add("embeddings", "rows", row | _time(_ways(session, images[:batch], "cpu")["plain"], batch, sizes.seconds))


def _cosines(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


# ---- the command line


def keep(figures: Path, results: Path = RESULTS) -> Path:
    """The figures among the others, and the page anew. Runs of the same `index` are left for the page to count."""
    from benchmarks.page import write

    raw = json.loads(figures.read_text())
    about = raw.pop("about")
    machine = {
        k: v for k, v in about["machine"].items() if k != "onnxruntime" or "onnxruntime-gpu" not in about["machine"]
    }
    raw.get("pipelines", {}).pop("profiles", None)
    for row in raw.get("commands", {}).get("rows", []):
        printed, noted = row.pop("printed"), row.pop("noted")
        row["said"] = (
            printed.strip().splitlines() if row["command"].startswith("doctor") else noted.strip().splitlines()[-1:]
        )
    parts = json.loads(results.read_text())
    parts["gpu"] = {
        "measured_on": about["day"],
        "machine": machine,
        "card": about["card"],
        "libraries": about["libraries"],
    }
    parts["gpu"] |= raw
    results.write_text(json.dumps(parts, indent=1, sort_keys=True) + "\n")
    return write(results)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("about", "photos", "scores", "networks", "pipelines", "commands", "embeddings", "keep")
    parser.add_argument("part", choices=parts)
    parser.add_argument("--to", type=Path, default=Path("gpu.json"))
    parser.add_argument("--models", type=Path, default=Path(".gpu/models"))
    parser.add_argument("--photos", type=Path, default=Path(".data"), help="holds Caltech-101")
    parser.add_argument("--work", type=Path, default=Path(".bench/gpu"))
    parser.add_argument("--provider", choices=PROVIDERS, default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a few pictures of everything")
    given = parser.parse_args(arguments)
    if given.part == "keep":
        print(keep(given.to))
        return
    if given.provider == "cuda":
        onnxruntime.preload_dlls()
    sizes = TINY if given.tiny else Sizes()
    figures = Figures(given.to)
    run: dict[str, Callable[[], Any]] = {
        "about": lambda: [figures.put("about", k, v) for k, v in describe().items()],
        "photos": lambda: make_photos(given.work, given.photos, sizes),
        "scores": lambda: compare_scores(figures, given.models, given.provider, sizes, given.photos),
        "networks": lambda: time_networks(figures, given.models, given.provider, sizes),
        "pipelines": lambda: run_pipelines(figures, given.work, given.provider, sizes),
        "commands": lambda: run_commands(figures, given.work, given.provider),
        "embeddings": lambda: time_embeddings(figures, given.work, given.provider, sizes),
    }
    given.work.mkdir(parents=True, exist_ok=True)
    run[given.part]()


if __name__ == "__main__":
    main()
