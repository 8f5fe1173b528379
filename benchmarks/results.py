"""docs/performance.json: one record a part, with what it was measured on; refused where that is not today's.

A part's record is `stamp` and the part's own figures. `PARTS` is the list of all parts, in the order of the page: what
matters most to users first.
"""

import datetime
import importlib
import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, Figures, machine
from photosearch.library import schema
from photosearch.models import catalog

RESULTS = ROOT / "docs" / "performance.json"
MAX_LOAD = 1.5  # programs that want to run, before a part starts

Parts = Mapping[str, Mapping[str, Any]]


class BusyMachineError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Part:
    """One benchmark. independent_of: which of schema and model its figures don't depend on. function: module.name.

    takes: the arguments of the function: work, a folder for what it makes; data, the data sets. minutes: on two cores.
    packages: to install first, from a package index.
    """

    question: str
    function: str
    takes: tuple[str, ...]
    minutes: int
    independent_of: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    gpu: bool = False

    def measure(self, work: Path, data: Path) -> Figures:
        missing = set(self.packages) - {d.metadata["Name"] for d in metadata.distributions()}
        if missing:
            raise RuntimeError(f"needs `pip install {' '.join(sorted(missing))}`")
        if "data" in self.takes and not data.is_dir():
            raise RuntimeError(f"needs the data sets, and {data} is no folder: name theirs with --data")
        module, _, name = self.function.partition(".")
        values = {"work": work, "data": data}
        figures: Figures = getattr(importlib.import_module(f"benchmarks.{module}"), name)(
            **{key: values[key] for key in self.takes}
        )
        return figures


NEITHER = ("model", "schema")
PARTS = {
    "pipeline": Part(
        "How fast is `index`, against decoding alone and against a plain script?",
        "pipeline.measure_pipeline", ("work", "data"), 5,
    ),
    "stages": Part("Where does the core time of a photo go, by its kind?", "stages.measure_stages",
                   ("work", "data"), 3),
    "gpu-index": Part("How fast is `index` with a GPU?", "pipeline.measure_gpu_index", ("work", "data"), 6, gpu=True),
    "scaling": Part("Does time grow with the folder, and memory not?", "pipeline.measure_scaling",
                    ("work", "data"), 3),
    "browse": Part("How soon does the page in the browser show photos?", "browse.measure_browse", ("work",), 5,
                   ("model",)),
    "library": Part("How long does a question to a large library take?", "library.measure_library", ("work",), 8,
                    ("model",)),
    "sentences": Part("How long does a sentence take, of places, dates and words?", "sentences.measure_sentences",
                      ("work",), 15, ("model",)),
    "networks": Part("How fast is each network alone on the CPU?", "networks.measure_networks", (), 2,
                     ("schema",)),
    "duplicates": Part("Photos that are there more than once: which changes are recognised?", "duplicates.duplicates",
                       ("data",), 5, ("schema",)),
    "bursts": Part("Shots of one moment: which are found, and is the sharpest marked?", "bursts.bursts", ("data",), 4,
                   ("schema",)),
    "learn": Part("How good is a label that was learned from a few marks?", "learn.measure_learning",
                  ("work", "data"), 5, ("schema",)),
    "coverage": Part("Do the intervals of a judged sample hold the truth?", "coverage.measure_coverage", (), 3,
                     NEITHER),
    "vectors": Part("Which search for the nearest vectors is fast and exact?", "vectors.measure_vectors", ("work",), 15,
                    NEITHER, packages=("apsw", "sqlite-vec", "usearch")),
    "spread": Part("How far does indexing on several machines scale?", "spread.measure_spread", ("work",), 15),
    "gpu-networks": Part("How fast is each network on a GPU, and does it score as on the CPU?",
                         "networks.measure_gpu_networks", ("data",), 3, NEITHER, gpu=True),
}  # fmt: skip


def stamp(name: str, *, busy: bool = False) -> Figures:
    """When and on what a part is measured. busy: the machine may be doing other things."""
    return {
        "measured_on": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "commit": read_commit(),
        "schema": schema.VERSION,
        "model": catalog.DEFAULT_MODEL,
        "independent_of": list(PARTS[name].independent_of),
        "load": round(os.getloadavg()[0], 1),
        "busy": busy,
        "machine": machine(),
    }


def explain_stale(name: str, part: Mapping[str, Any]) -> str | None:
    """Why a part's figures are not of today's schema and default model; None where they are."""
    if name not in PARTS:
        return "no benchmark measures this"
    missing = stamp(name).keys() - part.keys()
    if missing:
        return f"does not state {', '.join(sorted(missing))}"
    if part["independent_of"] != list(PARTS[name].independent_of):
        return f"states that it is independent of {part['independent_of']}"
    for key, today in (("schema", schema.VERSION), ("model", catalog.DEFAULT_MODEL)):
        if key not in part["independent_of"] and part[key] != today:
            return f"measured with {key} {part[key]}; today's is {today}"
    return None


def read_parts(results: Path) -> dict[str, Figures]:
    parts: dict[str, Figures] = json.loads(results.read_text()) if results.exists() else {}
    return parts


def save_part(name: str, figures: Figures, results: Path) -> None:
    write_parts({**read_parts(results), name: figures}, results)


def write_parts(parts: Parts, results: Path) -> None:
    results.parent.mkdir(parents=True, exist_ok=True)
    partial = results.with_suffix(".part")
    partial.write_text(json.dumps(parts, indent=1, sort_keys=True) + "\n")
    partial.replace(results)


def wait_until_idle(max_wait_seconds: float = 0) -> None:
    """Raises BusyMachineError where the load stays above MAX_LOAD."""
    deadline = time.monotonic() + max_wait_seconds
    while (load := os.getloadavg()[0]) > MAX_LOAD:
        if time.monotonic() > deadline:
            raise BusyMachineError(f"load {load:.1f}, above {MAX_LOAD}: wait, or measure with --busy")
        print(f"load {load:.1f}: waiting for {MAX_LOAD}", flush=True)
        time.sleep(15)


def read_commit() -> str:
    """The commit of this checkout, with a + where its code is changed; `unknown` outside a checkout."""

    def ask(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout

    try:
        changed = ask("status", "--porcelain", "--", "photosearch", "train", "benchmarks")
        return ask("rev-parse", "--short=10", "HEAD").strip() + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
