"""Run some tests in a process that has imported what they need, and say which failed.

Python's fork server imports once what does not belong to the program; each run is forked from it, in a session of its
own, and is ended with all that it started. That saves most of the time a change takes.
"""

import contextlib
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import threading
import time
import types
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

LOADED = ["pytest", "hypothesis", "pytest_timeout", "numpy", "PIL.Image", "onnx", "onnxruntime",
          "typer.testing", "sqlite_utils", "rich.table", "starlette.applications", "uvicorn", "jinja2"]  # fmt: skip
WALL = 5.0  # times the processor time that a run may take, on an idle machine: a browser's is not counted
stopping = threading.Event()  # set: runs under way are ended, and raise Stopped


class Stopped(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Outcome:
    """failed: the first test that failed, "" where none did. stuck: the test in which time ran out, or "".

    seconds: of processor time, of each test that ended. is_cut: time ran out between two tests. spent: seconds, of all.
    """

    failed: str = ""
    stuck: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    is_cut: bool = False
    spent: float = 0.0


def prepare() -> None:
    """Before the first run: what its processes have imported."""
    os.environ["OMP_NUM_THREADS"] = "1"
    multiprocessing.set_forkserver_preload(LOADED)


def run_tests(tree: Path, tests: Sequence[str], budget: float, *, quick: bool = False) -> Outcome:
    """Run them in their order, until one fails.

    tests: with or without parameters. budget: seconds of processor time, of what the tests start too.
    """
    with tempfile.TemporaryDirectory(prefix="mutants-run-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)  # for the tests of a user whom permissions bind
        rows = Path(folder, "rows")
        rows.touch()
        run = multiprocessing.get_context("forkserver").Process(
            target=_run, args=(tree, list(tests), quick, budget, rows, folder)
        )
        run.start()
        try:
            end = time.monotonic() + WALL * budget * max(1, os.getloadavg()[0] / (os.cpu_count() or 1))
            while run.exitcode is None and time.monotonic() < end:
                run.join(0.5)
                if stopping.is_set():
                    raise Stopped
            is_late = run.exitcode in (None, -signal.SIGXCPU, -signal.SIGKILL)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid or 0, signal.SIGKILL)
            run.join()
        return _read(rows, run.exitcode, is_late, tests)


def _read(rows: Path, code: int | None, is_late: bool, tests: Sequence[str]) -> Outcome:
    failed, stuck, seconds = "", "", dict[str, float]()
    is_cut, spent = False, 0.0
    for row in map(json.loads, rows.read_text().splitlines()):
        spent = row.get("spent", spent)
        match row:
            case {"started": test}:
                stuck = test
            case {"failed": test}:
                failed = failed or test
            case {"passed": test, "seconds": took}:
                seconds[test], stuck = took, ""
            case {"cut": _}:
                is_cut = True
    if not (failed or is_cut):
        if is_late:
            stuck = stuck or tests[0]
        elif code not in (0, 5):
            failed = tests[0]
    return Outcome(failed, "" if failed or not is_late else stuck, seconds, is_cut, spent)


def _run(tree: Path, tests: list[str], quick: bool, budget: float, rows: Path, folder: str) -> None:
    os.setsid()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (int(budget) + 1, int(budget) + 6))
    silence = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(silence, fd)
    os.chdir(tree)
    sys.modules["__main__"] = types.ModuleType("__main__")  # what a test starts need not import this tool
    sys.path[:0] = [str(tree)]
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False  # the next run need not compile what this one did
    os.environ["PYTHONPATH"] = str(tree)  # ahead of the checkout that the environment was installed from
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    options = [
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "--timeout",
        "0",
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
    ]
    os._exit(pytest.main([*options, *files], [_Plan(tests, quick, rows, budget)]))


class _Plan:
    """A plugin of pytest's: only these tests, in this order; a line for each as it starts and as it ends.

    It stops between two tests once the budget is spent: the limit of the process does not count what a test started.
    """

    def __init__(self, tests: list[str], quick: bool, rows: Path, budget: float):
        self.place = {test: i for i, test in enumerate(tests)}
        self.quick = quick
        self.rows = rows
        self.budget = budget
        self.left = 0  # tests
        self.session: pytest.Session | None = None
        self.began = 0.0

    def _write(self, **row: object) -> None:
        with self.rows.open("a") as rows:
            print(json.dumps(row | {"spent": _count_seconds()}), file=rows)

    def _find(self, test: str) -> int:
        return self.place.get(test, self.place.get(test.partition("[")[0], -1))

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        keep = [item for item in items if self._find(item.nodeid) >= 0 and _is_affordable(item, self.quick)]
        keep.sort(key=lambda item: self._find(item.nodeid))
        items[:] = keep
        self.session, self.left = session, len(keep)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.began = _count_seconds()
        self._write(started=nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._write(failed=report.nodeid)
        elif report.when == "teardown":
            self._write(passed=report.nodeid, seconds=_count_seconds() - self.began)
            self.left -= 1
            if self.left and _count_seconds() > self.budget and self.session is not None:
                self._write(cut=report.nodeid)
                self.session.shouldstop = "out of time"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(failed=report.nodeid)


def _count_seconds() -> float:
    """Of this process and of those it waited for."""
    return sum(os.times()[:4])


def _is_affordable(item: pytest.Item, quick: bool) -> bool:
    """Not what takes minutes or needs data sets."""
    is_slow = item.get_closest_marker("slow") is not None and quick
    is_long = item.get_closest_marker("hostile") is not None and item.nodeid.count("/") == 1
    return not (is_slow or is_long or item.get_closest_marker("data"))
