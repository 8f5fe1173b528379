"""Runs the lessons and stores the results of each next to its exported network.

A lesson reads the files of earlier ones. `run_with_needed` runs those first if their files are missing, or come from
other code, another seed or a quick run; `run_all` runs all six.
"""

import ast
import hashlib
import importlib
import json
import os
import platform
import re
import statistics
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

from train.atomic import write_json

FILES = {int(path.stem[6]): path for path in sorted(Path(__file__).parent.glob("lesson[1-9]_*.py"))}
NEEDS = {3: (2,), 4: (2,), 6: (2, 3, 4, 5)}  # lesson -> the lessons whose files it reads


def run_all(
    data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None, resume: bool = False
) -> dict:
    """All lessons -> their results by number; prints each one's table and a summary.

    resume: reuse stored results of unchanged lessons.
    """
    results = {}
    for n in FILES:
        stored = _read_stored(n, models, seed) if resume else None
        results[n] = stored or run(n, data, models, seed=seed, quick=quick, plot=plot)
    table = Table(title="From 8 to bird", title_justify="left")
    for column in ("", "lesson", "result", "parameters", "seconds"):
        table.add_column(column)
    for n, result in results.items():
        first = ", ".join(f"{name} {format_figure(value)}" for name, value in result["numbers"].items())
        table.add_row(str(n), load(n).TITLE, first, f"{result['parameters']:,}", f"{result['seconds']:.0f}")
    _print(table)
    return results


def run_with_needed(n: int, data: Path, models: Path, *, seed: int = 0, plot: Path | None = None) -> dict:
    """One lesson, after those that it needs and that have not run yet."""
    for needed in NEEDS.get(n, ()):
        if not _read_stored(needed, models, seed):
            _print(f"lesson {n} needs lesson {needed}'s network, which is missing; running lesson {needed} first")
            run(needed, data, models, seed=seed)
    return run(n, data, models, seed=seed, plot=plot)


def run(n: int, data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None) -> dict:
    """Run one lesson, print its table, write models/lessonN.json; the lesson itself writes models/lessonN.onnx."""
    for folder in (models, plot):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    start, core_start = time.perf_counter(), time.process_time()
    result = load(n).lesson(data, models, seed=seed, quick=quick, plot=plot)
    result |= {"seconds": time.perf_counter() - start, "core_seconds": time.process_time() - core_start}
    result |= {"digest": hash_code(n), "seed": seed, "quick": quick}
    result["pictures"] = sorted(path.name for path in plot.glob(f"lesson{n}-*.png")) if plot else []
    write_json(models / f"lesson{n}.json", result)
    _show(n, result)
    return result


def load(n: int) -> ModuleType:
    return importlib.import_module(f"train.lessons.{FILES[n].stem}")


def hash_code(n: int) -> str:
    """Of the code of lesson n and the lessons it builds on, without docstrings and imports from photosearch."""
    return hashlib.sha256("\0".join(_code(FILES[i]) for i in sorted(_builds_on(n))).encode()).hexdigest()[:16]


def _builds_on(n: int) -> set[int]:
    """n, the lessons that it imports, and those whose files it reads."""
    imported = {int(i) for i in re.findall(r"^from train\.lessons\.lesson(\d)", _code(FILES[n]), re.MULTILINE)}
    return {n}.union(*(_builds_on(i) for i in imported | set(NEEDS.get(n, ()))))


def read_docstring(n: int) -> str:
    return ast.get_docstring(ast.parse(FILES[n].read_text(encoding="utf-8"))) or ""


def format_figure(value: float) -> str:
    """A number to about three digits: 0.953, 679, 6e-08."""
    if value == int(value) and abs(value) >= 1:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"


def summarise(values: list[float]) -> str:
    """The median, with the lowest and the highest if they differ."""
    middle, low, high = (format_figure(v) for v in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def describe_machine() -> str:
    """The hardware and software of a run."""
    import torch

    cpu = platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    threads = f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
    return f"{cpu}, {os.cpu_count()} cores, {threads}, torch {torch.__version__}"


def _code(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    docstrings: set[int] = set()  # their line numbers
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            docstrings.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = (line for number, line in enumerate(text.splitlines(), 1) if number not in docstrings)
    return "\n".join(line for line in lines if not line.startswith("from photosearch."))


def _read_stored(n: int, models: Path, seed: int) -> dict | None:
    """The stored result of the unchanged lesson with this seed, or None."""
    try:
        stored: dict[str, Any] = json.loads((models / f"lesson{n}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {"digest": hash_code(n), "seed": seed, "quick": False}
    same = {k: stored.get(k) for k in wanted} == wanted and (models / f"lesson{n}.onnx").exists()
    return stored if same else None


def _show(n: int, result: dict) -> None:
    table = Table(title=f"lesson {n}: {load(n).TITLE}", title_justify="left")
    for column in result["columns"]:
        table.add_column(column)
    for row in result["rows"]:
        table.add_row(*row)
    _print(table)
    _print(f"{result['therefore']}  [{result['seconds']:.0f} s]\n")


def _print(output: object) -> None:
    Console().print(output, markup=False, highlight=False)
