"""The networks alone, on random pixels and on real pictures: images a second by batch size, on the CPU and on a GPU.

On the CPU through photosearch's own session, which is what a user gets. On a GPU through ONNX Runtime's, to see what
batch size and options are worth: session.py's constants were chosen by these figures.
"""

import collections
import contextlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image

from benchmarks.measure import Figures, measure_rate, median_ms
from photosearch.models.catalog import DEFAULT_MODEL, list_shipped
from photosearch.models.session import Model, make_options

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
PICTURES = "101_ObjectCategories/*/*.jpg"
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {}, "without TF32": {"use_tf32": 0}, "weights as in the file": {"float_weights": False},
}  # fmt: skip
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "cudnn_conv_algo_search=HEURISTIC": {"cudnn_conv_algo_search": "HEURISTIC"},
    "prefer_nhwc=1": {"prefer_nhwc": 1},
    "use_tf32=0": {"use_tf32": 0},
    "weights as in the file": {"float_weights": False},
}
NVIDIA_LIBRARIES = ("nvidia-cublas", "nvidia-cuda-runtime", "nvidia-cudnn", "nvidia-cufft")

Images = npt.NDArray[np.uint8]
Session: TypeAlias = onnxruntime.InferenceSession


def list_networks() -> dict[str, Path]:
    """The shipped models by name, the default one last."""
    return dict(sorted(list_shipped().items(), key=lambda model: model[0] == DEFAULT_MODEL))


def measure_networks(
    *, models: Mapping[str, Path] | None = None, batches: Sequence[int] = (1, 4, 16, 64), seconds: float = 2.0
) -> Figures:
    """On the CPU. seconds: how long each batch size is run."""
    rows = []
    for name, path in (models or list_networks()).items():
        model = Model(path, provider="cpu")
        images = draw_images(max(batches), model.card.input_size)[:, None]
        for batch in batches:
            rate = measure_rate(partial(model.predict, images[:batch]), batch, seconds)
            rows.append({"model": name, "batch": batch, **rate})
    return {"rows": rows}


def measure_gpu_networks(
    data: Path,
    *,
    models: Mapping[str, Path] | None = None,
    batches: Sequence[int] = (1, 16, 64, 256),
    n_compared: int = 64,
    seconds: float = 0.4,
    provider: str = "cuda",
) -> Figures:
    """n_compared: images that are scored on the CPU too. provider: cpu only to try this where there is no GPU."""
    figures: dict[str, list[Figures]] = {key: [] for key in ("scores", "rows", "placement", "options")}
    for name, path in (models or list_networks()).items():
        pictures = draw_images(n_compared, _input_size(load(path, "cpu")), data)
        for variant, options in VARIANTS.items() if provider == "cuda" else [("default", {})]:
            compared = compare_scores(path, pictures, provider, options)
            figures["scores"].append({"model": name, "variant": variant, **compared})
        figures["placement"].append({"model": name, **place_nodes(path, provider)})
        session = load(path, provider)
        images = draw_images(max(batches), _input_size(session))
        for batch in batches:
            rate = measure_rate(partial(_run, session, images[:batch], batch), batch, seconds)
            gpu_mb = int((ask_gpu("memory.used") or ["0"])[0])
            figures["rows"].append({"model": name, "batch": batch, "gpu_mb": gpu_mb, **rate})
        for option, values in OPTIONS.items() if provider == "cuda" else ():
            row = {"model": name, "option": option, **measure_option(path, values, images)}
            figures["options"].append(row)
    return {**describe_gpu(), **figures}


def load(path: Path, provider: str, *, profile: str = "", float_weights: bool = True, **options: Any) -> Session:
    """A session on this provider, beside the CPU. Raises RuntimeError where ONNX Runtime chose another.

    float_weights: as photosearch opens it on CUDA.
    """
    settings = make_options(provider) if float_weights else onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if profile:
        settings.enable_profiling, settings.profile_file_prefix = True, profile
    wanted: list[Any] = [(PROVIDERS[provider], options)]
    session = Session(str(path), settings, providers=wanted + ([] if provider == "cpu" else [PROVIDERS["cpu"]]))
    if session.get_providers()[0] != PROVIDERS[provider]:
        raise RuntimeError(f"asked for {provider}, got {session.get_providers()}")
    return session


def compare_scores(path: Path, images: Images, provider: str, options: Mapping[str, Any]) -> Figures:
    """The first output on this provider against the CPU's. decisions: images whose best label changes (or its side)."""
    expected, given = _run(load(path, "cpu"), images), _run(load(path, provider, **options), images)
    decide: Callable[[Any], Any] = lambda x: x.argmax(1) if x.shape[1] > 1 else x[:, 0] >= 0.5  # noqa: E731
    return {
        "n": len(images),
        "difference": float(np.abs(given - expected).max()),
        "decisions": int((decide(given) != decide(expected)).sum()),
    }


def place_nodes(path: Path, provider: str) -> Figures:
    """How many nodes ran where, and which kinds on the CPU, by the profile of one run."""
    with tempfile.TemporaryDirectory() as folder:
        session = load(path, provider, profile=f"{folder}/run")
        _run(session, draw_images(2, _input_size(session)))
        events = json.loads(Path(session.end_profiling()).read_text())
    nodes = {e["name"]: e["args"] for e in events if e.get("cat") == "Node" and "provider" in e.get("args", {})}
    ran = collections.Counter(node["provider"] for node in nodes.values())
    on_cpu = collections.Counter(n["op_name"] for n in nodes.values() if n["provider"] == PROVIDERS["cpu"])
    return {"ran": dict(ran), "on_cpu": dict(on_cpu.most_common(8))}


def measure_option(path: Path, options: Mapping[str, Any], images: Images, seconds: float = 0.4) -> Figures:
    """One option of the CUDA provider. another_seconds: the first run of a batch that is one image smaller."""
    session = load(path, "cuda", **options)
    row = measure_rate(lambda: _run(session, images, len(images)), len(images), seconds)
    another_ms = median_ms(lambda: _run(session, images[:-1], len(images)))
    return {"batch": len(images), **row, "another_seconds": another_ms / 1000}


def describe_gpu() -> Figures:
    """card: its name, megabytes and driver; None without nvidia-smi."""
    installed = {d.metadata["Name"] or "": d.version for d in metadata.distributions()}
    libraries = sorted(f"{name} {version}" for name, version in installed.items() if name.startswith(NVIDIA_LIBRARIES))
    return {"card": ask_gpu("name", "memory.total", "driver_version"), "libraries": libraries}


def ask_gpu(*fields: str) -> list[str] | None:
    command = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [field.strip() for field in printed.splitlines()[0].split(",")]
    return None


def draw_images(n: int, size: int, data: Path | None = None) -> Images:
    """uint8 [n, size, size, 3]: random pixels; the second half real pictures, where `data` has some."""
    images = np.random.default_rng(1).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    paths = sorted(data.glob(PICTURES)) if data else []
    for i in range(n // 2 if paths else 0):
        with Image.open(paths[i * len(paths) // n]) as image:
            images[n - 1 - i] = np.asarray(image.convert("RGB").resize((size, size), Image.Resampling.BICUBIC))
    return images


def _run(session: Session, images: Images, batch: int = 32) -> npt.NDArray[np.float32]:
    """The first output, [N, ...]."""
    (given,), (output, *_) = session.get_inputs(), session.get_outputs()
    parts: Iterator[Any] = (
        session.run([output.name], {given.name: images[i : i + batch]})[0] for i in range(0, len(images), batch)
    )
    return np.concatenate(list(parts))


def _input_size(session: Session) -> int:
    return int(session.get_inputs()[0].shape[1])
