"""What a piece of work costs: seconds on the clock, seconds of the cores, memory.

Core seconds (user and system, of this process and of the children it has waited for) hold still on a machine that does
other things too; seconds on the clock do not. Both are given, and a ratio is always taken between runs that followed
one another. Memory is the sum, over this process and its children, of each one's own largest resident size (Linux's
VmHWM): pages that two share count twice, so it is an upper bound.
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
from typing import Any, Self

PACKAGES = ("photosearch", "onnxruntime-gpu", "onnxruntime", "pillow", "pillow-heif", "numpy", "sqlite-utils")


@dataclass(frozen=True, slots=True)
class Cost:
    """What n photos cost. peak_bytes: 0 where the system doesn't say."""

    n: int
    seconds: float
    core_seconds: float
    peak_bytes: int = 0

    @property
    def rate(self) -> float:
        """Photos a second, on the clock."""
        return self.n / self.seconds

    @property
    def core_ms(self) -> float:
        """Milliseconds of one core for one photo."""
        return 1000 * self.core_seconds / self.n


def cost(work: Callable[[], int]) -> Cost:
    """Do the work, which gives the number of photos it went through."""
    with Memory() as memory:
        seconds, cores = time.perf_counter(), core_seconds()
        n = work()
        return Cost(n, time.perf_counter() - seconds, core_seconds() - cores, memory.now())


def core_seconds() -> float:
    """User and system seconds of this process and of the children that it has waited for, to the microsecond."""
    try:
        import resource
    except ImportError:  # Windows: hundredths of a second
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


class Memory:
    """Watches this process and its children from a thread; `now` is the sum of their largest sizes so far, in bytes."""

    def __init__(self, every_seconds: float = 0.2):
        self._every_seconds = every_seconds
        self._largest: dict[int, int] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def now(self) -> int:
        self._look()
        return sum(self._largest.values())

    def _watch(self) -> None:
        while not self._done.wait(self._every_seconds):
            self._look()

    def _look(self) -> None:
        for pid in _family(os.getpid()):
            self._largest[pid] = max(self._largest.get(pid, 0), _high_water(pid))


def _family(pid: int) -> list[int]:
    try:
        children = [p for task in Path(f"/proc/{pid}/task").iterdir() for p in (task / "children").read_text().split()]
    except OSError:
        return [pid]
    return [pid, *(below for child in children for below in _family(int(child)))]


def _high_water(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def afresh(module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run `python -m module` in a process of its own: arguments as JSON in, the JSON on its last line out."""
    command = [sys.executable, "-m", module, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    if done.returncode:
        raise RuntimeError(f"{module} {arguments}: {done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def middle(costs: Sequence[Cost]) -> Cost:
    """The medians of several runs of the same work."""
    columns = zip(*(asdict(c).values() for c in costs), strict=True)
    n, seconds, cores, peak = (statistics.median(column) for column in columns)
    return Cost(int(n), seconds, cores, int(peak))


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """The ratios of paired runs: their median, their smallest and their largest."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def machine() -> dict[str, Any]:
    """What was measured on, and with which versions."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **_versions(),
    }


def _versions() -> dict[str, str]:
    from PIL import features

    versions = {"libjpeg-turbo": str(features.version("libjpeg_turbo"))}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return found.get("model name", platform.machine())
