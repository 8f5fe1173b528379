"""Runs the lessons in their order, and keeps what each printed beside the network that it exported.

A lesson reads the files of the lessons that it builds on. `lesson` runs those first where their files are missing, or
were made by other sources, another seed or a quick run; `lessons` runs all six.
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

FILES = {int(path.stem[6]): path for path in sorted(Path(__file__).parent.glob("lesson[1-9]_*.py"))}
NEEDS = {3: (2,), 4: (2,), 6: (2, 3, 4, 5)}  # lesson -> those whose files it reads


def lessons(
    data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None, resume: bool = False
) -> dict:
    """All lessons in their order -> their results by number; prints each one's table, and one of all at the end.

    resume: take what is kept of those that ran already, as they are now.
    """
    results = {}
    for n in FILES:
        kept = _kept(n, models, seed) if resume else None
        results[n] = kept or run(n, data, models, seed=seed, quick=quick, plot=plot)
    table = Table(title="from 8 to bird", title_justify="left")
    for column in ("", "lesson", "its number", "parameters", "seconds"):
        table.add_column(column)
    for n, result in results.items():
        first = ", ".join(f"{name} {figure(value)}" for name, value in result["numbers"].items())
        table.add_row(str(n), module(n).TITLE, first, f"{result['parameters']:,}", f"{result['seconds']:.0f}")
    _print(table)
    return results


def lesson(n: int, data: Path, models: Path, *, seed: int = 0, plot: Path | None = None) -> dict:
    """One lesson, and before it those that it needs and that were not run yet."""
    for needed in NEEDS.get(n, ()):
        if not _kept(needed, models, seed):
            _print(f"lesson {n} reads lesson {needed}'s network, which is not there yet")
            run(needed, data, models, seed=seed)
    return run(n, data, models, seed=seed, plot=plot)


def run(n: int, data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None) -> dict:
    """Run one lesson, print its table, and write models/lessonN.json. The lesson itself writes models/lessonN.onnx."""
    for folder in (models, plot):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
    start, worked = time.perf_counter(), time.process_time()
    result = module(n).lesson(data, models, seed=seed, quick=quick, plot=plot)
    result |= {"seconds": time.perf_counter() - start, "core_seconds": time.process_time() - worked}
    result |= {"digest": digest(n), "seed": seed, "quick": quick}
    result["pictures"] = sorted(path.name for path in plot.glob(f"lesson{n}-*.png")) if plot else []
    keep(models / f"lesson{n}.json", result)
    _show(n, result)
    return result


def module(n: int) -> ModuleType:
    return importlib.import_module(f"train.lessons.{FILES[n].stem}")


def digest(n: int) -> str:
    """Of the sources of lesson n and of those that it builds on: what they do, not what they say of themselves at their
    top, nor where the tool keeps what they import."""
    return hashlib.sha256("\0".join(_code(FILES[i]) for i in sorted(_builds_on(n))).encode()).hexdigest()[:16]


def _builds_on(n: int) -> set[int]:
    """n itself, what it imports, and what it reads the files of."""
    imported = {int(i) for i in re.findall(r"^from train\.lessons\.lesson(\d)", _code(FILES[n]), re.MULTILINE)}
    return {n}.union(*(_builds_on(i) for i in imported | set(NEEDS.get(n, ()))))


def docstring(n: int) -> str:
    return ast.get_docstring(ast.parse(FILES[n].read_text(encoding="utf-8"))) or ""


def figure(value: float) -> str:
    """A number as a reader wants it: 0.953, 679, 6e-08."""
    if value == int(value) and abs(value) >= 1:
        return f"{value:,.0f}"
    return f"{value:.3f}" if abs(value) >= 0.001 or value == 0 else f"{value:.0e}"


def several(values: list[float]) -> str:
    """Median, and the lowest and the highest where there is more than one."""
    middle, low, high = (figure(v) for v in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def machine() -> str:
    """What the numbers were printed on."""
    import torch

    cpu = platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    threads = f"{torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"
    return f"{cpu}, {os.cpu_count()} cores, {threads}, torch {torch.__version__}"


def _code(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    first = ast.parse(text).body[0]
    lines = text.splitlines()[first.end_lineno if isinstance(first, ast.Expr) else 0 :]
    return "\n".join(line for line in lines if not line.startswith("from photosearch."))


def _kept(n: int, models: Path, seed: int) -> dict | None:
    """What the lesson printed when it last ran with this seed, if it is the same lesson still, or None."""
    try:
        was: dict[str, Any] = json.loads((models / f"lesson{n}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    wanted = {"digest": digest(n), "seed": seed, "quick": False}
    same = {k: was.get(k) for k in wanted} == wanted and (models / f"lesson{n}.onnx").exists()
    return was if same else None


def keep(path: Path, value: object) -> None:
    """As JSON, written aside and renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    aside.replace(path)


def _show(n: int, result: dict) -> None:
    table = Table(title=f"lesson {n}: {module(n).TITLE}", title_justify="left")
    for column in result["columns"]:
        table.add_column(column)
    for row in result["rows"]:
        table.add_row(*row)
    _print(table)
    _print(f"{result['therefore']}  [{result['seconds']:.0f} s]\n")


def _print(what: object) -> None:
    Console().print(what, markup=False, highlight=False)
