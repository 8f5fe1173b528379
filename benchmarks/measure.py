"""What a piece of work costs: wall-clock seconds, core seconds, memory; and on which machine.

Core seconds (user and system, of this process and of the children it has waited for) hold still on a busy machine;
wall-clock seconds do not. A ratio is always taken between runs that followed one another. Memory is the sum, over this
process and its children, of each one's peak resident size (Linux's VmHWM): shared pages count twice, so it is an upper
bound.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Self, TypeVar

ROOT = Path(__file__).parent.parent
PACKAGES = ("photosearch", "onnxruntime-gpu", "onnxruntime", "pillow", "pillow-heif", "numpy", "sqlite-utils", "torch")
PHOTOSEARCH = (sys.executable, "-c", "from photosearch.cli.app import main; main()")

Figures = dict[str, Any]  # what a benchmark measured, ready for JSON
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Cost:
    """What n photos cost. peak_bytes: 0 where the system doesn't say."""

    n: int
    seconds: float
    core_seconds: float
    peak_bytes: int = 0

    @property
    def rate(self) -> float:
        """Photos a second of wall-clock time."""
        return self.n / self.seconds

    @property
    def core_ms(self) -> float:
        """Milliseconds of one core for one photo."""
        return 1000 * self.core_seconds / self.n

    def to_figures(self) -> Figures:
        return {
            "n": self.n,
            "seconds": self.seconds,
            "core_seconds": self.core_seconds,
            "rate": self.rate,
            "core_ms": self.core_ms,
            "peak_mb": self.peak_bytes / 1e6,
        }


def measure_cost(work: Callable[[], int]) -> Cost:
    """Run `work`, which returns the number of photos it processed."""
    with PeakMemory() as memory:
        seconds, cores = time.perf_counter(), core_seconds()
        n = work()
        return Cost(n, time.perf_counter() - seconds, core_seconds() - cores, memory.read())


def median_ms(work: Callable[[], object], repeats: int = 1) -> float:
    """Wall-clock milliseconds of `work`: the median of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def measure_core_ms(work: Callable[[], object], n: int = 1, repeats: int = 1) -> float:
    """Core milliseconds of one of n photos: the least of some runs, since others use the caches, too."""
    costs = []
    for _ in range(repeats):
        start = core_seconds()
        work()
        costs.append(core_seconds() - start)
    return 1000 * min(costs) / n


def measure_growth(work: Callable[[], T]) -> tuple[T, Figures]:
    """-> (the result, seconds, core seconds and megabytes beyond those that this process has). Linux alone."""
    with Path("/proc/self/clear_refs").open("w") as file:  # the largest size is counted from here
        file.write("5")
    start, cores, before = time.perf_counter(), core_seconds(), read_peak_bytes("self")
    result = work()
    return result, {
        "seconds": time.perf_counter() - start,
        "core_seconds": core_seconds() - cores,
        "more_mb": (read_peak_bytes("self") - before) / 1e6,
    }


def measure_rate(run: Callable[[], object], n: int, seconds: float, *, min_runs: int = 3) -> Figures:
    """rate: images a second of the median run of n images. core_ms: of this process, for one. first_seconds: run 1."""
    start = time.perf_counter()
    run()
    first_seconds = time.perf_counter() - start
    start, cores, times = time.perf_counter(), core_seconds(), []
    while len(times) < min_runs or time.perf_counter() - start < seconds:
        times.append(median_ms(run) / 1000)
    core_ms = 1000 * (core_seconds() - cores) / (len(times) * n)
    return {"rate": n / statistics.median(times), "core_ms": core_ms, "first_seconds": first_seconds}


def core_seconds() -> float:
    """User and system seconds of this process and of the children that it has waited for, to the microsecond."""
    try:
        import resource
    except ImportError:  # Windows: hundredths of a second
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class PeakMemory:
    """Watches this process and its children from a thread; `read` is the sum of their peak sizes so far, in bytes."""

    def __init__(self, interval_seconds: float = 0.2):
        self._interval_seconds = interval_seconds
        self._peaks: dict[int, int] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def read(self) -> int:
        for pid in list_processes(os.getpid()):
            self._peaks[pid] = max(self._peaks.get(pid, 0), read_peak_bytes(pid))
        return sum(self._peaks.values())

    def _watch(self) -> None:
        while not self._done.wait(self._interval_seconds):
            self.read()


def list_processes(pid: int) -> list[int]:
    """This process and all below it."""
    try:
        children = [p for task in Path(f"/proc/{pid}/task").iterdir() for p in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in list_processes(int(child)))]


def read_peak_bytes(pid: int | str) -> int:
    """Peak resident bytes of a process; 0 where there is none, or the system doesn't say."""
    return read_status_bytes(pid, "VmHWM")


def read_status_bytes(pid: int | str, key: str) -> int:
    """A size from Linux's /proc/PID/status; 0 where there is none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(key)), 0)


def run_in_process(module: str, arguments: Mapping[str, Any]) -> Figures:
    """Run `python -m module` in a process of its own: arguments as JSON in, the JSON on its last line out."""
    command = [sys.executable, "-m", module, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{module} {arguments}: {done.stderr[-2000:]}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def median_cost(costs: Sequence[Cost]) -> Cost:
    """The medians of several runs of the same work."""
    columns = zip(*(asdict(c).values() for c in costs), strict=True)
    n, seconds, cores, peak = (statistics.median(column) for column in columns)
    return Cost(int(n), seconds, cores, int(peak))


def compare_runs(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """The ratios of paired runs: median, min and max."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def machine() -> Figures:
    """The hardware, and the versions of what runs on it."""
    return {
        "processor": _read_processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        **_read_versions(),
    }


def _read_versions() -> dict[str, str]:
    from PIL import features

    versions = {"libjpeg-turbo": str(features.version("libjpeg_turbo"))}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _read_processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return found.get("model name", platform.machine())
