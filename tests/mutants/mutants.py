"""Break the program on purpose, a line at a time, and see whether its tests notice.

    python tests/mutants/mutants.py                          102 changes, the same number from each room
    python tests/mutants/mutants.py --seed 7 --room library  others, of one room
    python tests/mutants/mutants.py --again mutants.json     only those that nobody noticed the last time
    python tests/mutants/mutants.py --options                ignore each option of the command in turn

Each change is made in a copy of the checkout, below the folder of temporary files. The tests that may notice it run
until one fails. That one then runs on the unbroken copy: only where it passes, the change counts as noticed. A test in
which time runs out counts where it does so twice, and not on the unbroken copy. Where the budget ends before the tests
do, a change is called late: it counts as tried and not as noticed. tests/mutants/judged.json holds what no test has to
notice, and why: a change is known by its text, and left out of the draw.
"""

import argparse
import contextlib
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import run_tests
from changes import PACKAGE, ROOT, Change, choose, list_changes, read_judged
from choose_tests import TestFile, choose_tests, read_tests

SEED = 1
RED = 4  # tests that fail unbroken may be met before a change is given up
NEAR = 0.7  # of the budget, for the tests that are most likely to notice
LEAVE = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".coverage*", ".hypothesis", "__pycache__", "dist")
VERDICTS = {"survived": "Nobody noticed", "late": "Out of time", "flaky": "Fails unbroken too"}


@dataclass(frozen=True, slots=True)
class Tried:
    """verdict: noticed, survived, late or flaky. by: the test that failed. shown: the line before and after."""

    change: Change
    shown: str
    verdict: str
    by: str
    seconds: float


@dataclass(slots=True)
class Trial:
    """root: the checkout. seconds: what each test took so far, so that short ones come first. red: fail unbroken."""

    root: Path
    files: list[TestFile]
    budget: float
    quick: bool = False
    package: str = PACKAGE
    seconds: dict[str, float] = field(default_factory=dict)
    red: set[str] = field(default_factory=set)

    def run(self, tree: Path, tests: Sequence[str], budget: float) -> run_tests.Outcome:
        outcome = run_tests.run_tests(tree, tests, budget, quick=self.quick)
        self.seconds.update((test.partition("[")[0], took) for test, took in outcome.seconds.items())
        return outcome

    def try_change(self, change: Change, tree: Path) -> Tried:
        began = time.monotonic()
        source = (self.root / change.path).read_text()
        parts = choose_tests(change, self.files, self.seconds, source, self.package)
        for _ in range(RED):
            verdict, by = self._judge(change, tree, [[t for t in part if t not in self.red] for part in parts])
            if verdict != "flaky":
                break
            self.red.add(by.partition("[")[0])  # it fails whatever the change is
        shown = change.show((self.root / change.path).read_bytes())
        return Tried(change, shown, verdict, by, time.monotonic() - began)

    def _judge(self, change: Change, tree: Path, parts: list[list[str]]) -> tuple[str, str]:
        outcome, left, is_cut = run_tests.Outcome(), self.budget, ""
        with broken(change, tree):
            for tests in filter(None, parts):
                outcome = self.run(tree, tests, left if tests is parts[-1] else NEAR * left)
                left = max(left - outcome.spent, (1 - NEAR) * left)
                if test := outcome.stuck:
                    outcome = self.run(tree, [test], self.budget / 2)  # all together take long; a loop takes long alone
                if outcome.failed or outcome.stuck:
                    break
                is_cut = is_cut or test or ("between two tests" if outcome.is_cut else "")
        test = outcome.failed or outcome.stuck
        if not test:
            return ("late", is_cut) if is_cut else ("survived", "")
        if "::" not in test:  # a file that can't be read
            test = next((each for part in parts for each in part if each.startswith(test)), test)
        unbroken = self.run(tree, [test], self.budget / 2)
        if unbroken.stuck:
            return "late", test
        return ("flaky" if unbroken.failed else "noticed"), test


_times = itertools.count(1_000_000_000)  # Python knows a compiled file by its source's size and second


@contextlib.contextmanager
def broken(change: Change, tree: Path) -> Iterator[None]:
    path = tree / change.path
    data = path.read_bytes()

    def write(data: bytes) -> None:
        path.write_bytes(data)
        os.utime(path, (now := next(_times), now))

    write(change.apply(data))
    try:
        yield
    finally:
        write(data)


def try_all(changes: Sequence[Change], trial: Trial, workers: int) -> Iterator[Tried]:
    run_tests.prepare()
    run_tests.stopping.clear()
    with contextlib.ExitStack() as stack:
        trees = queue.SimpleQueue[Path]()
        for _ in range(workers):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-"))
            trees.put(Path(shutil.copytree(trial.root, Path(folder, "tree"), ignore=LEAVE)))

        def try_one(change: Change) -> Tried:
            tree = trees.get()
            try:
                return trial.try_change(change, tree)
            finally:
                trees.put(tree)

        pool = stack.enter_context(ThreadPoolExecutor(workers))
        stack.callback(pool.shutdown, cancel_futures=True)
        stack.callback(run_tests.stopping.set)
        yield from pool.map(try_one, changes)


def describe(tried: Sequence[Tried], seconds: float, seed: int, judged: int) -> Iterator[str]:
    """Tables by room and by kind, and what nobody noticed."""
    for title in ("room", "kind"):
        yield f"\n| {title} | noticed / tried | |\n|---|---|---|"
        for value in [*sorted({getattr(t.change, title) for t in tried}), "all"]:
            of = [t for t in tried if value in (getattr(t.change, title), "all") and t.verdict != "flaky"]
            noticed = sum(t.verdict == "noticed" for t in of)
            yield f"| {value} | {noticed} / {len(of)} | {100 * noticed / max(1, len(of)):.0f} % |"
    yield f"\nSeed {seed}: {len(tried)} changes in {seconds / 60:.1f} minutes; {judged} judged ones left out."
    for verdict, title in VERDICTS.items():
        if of := [t for t in tried if t.verdict == verdict]:
            yield f"\n{title}:"
            yield from (
                f"- {t.change.path}:{t.change.line} ({t.change.kind}): {t.shown}{t.by and f'  [{t.by}]'}" for t in of
            )


def read_survivors(path: Path, root: Path, judged: Container[str]) -> list[Change]:
    """The changes that nobody noticed and that were not judged since, as far as their files are what they were."""
    rows = [row for row in json.loads(path.read_text()) if row["verdict"] in ("survived", "late")]
    changes = [(Change(**{**row["change"], "names": tuple(row["change"]["names"])}), row["shown"]) for row in rows]
    return [c for c, shown in changes
            if c.show((root / c.path).read_bytes()) == shown and f"{c.path}: {shown}" not in judged]  # fmt: skip


def ignore_options(workers: int) -> int:
    """Run each option's tests on a command line that takes no notice of it -> 1 where they pass all the same."""
    sys.path.insert(0, str(ROOT / "tests" / "cli"))
    from option_coverage import read_coverage

    def notice(covered: tuple[str, list[str]]) -> bool:
        option, tests = covered
        path = os.pathsep.join((str(tree), str(ROOT / "tests" / "mutants")))
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "ignore_option", *tests]
        environment = {**os.environ, "PYTHONPATH": path, "IGNORED_OPTION": option}
        return subprocess.run(command, cwd=tree, env=environment, capture_output=True).returncode != 0

    known = read_coverage()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(workers) as pool:
        tree = Path(shutil.copytree(ROOT, Path(folder, "tree"), ignore=LEAVE))  # what ignores --to writes where it is
        passed = [option for option, noticed in zip(known, pool.map(notice, known.items()), strict=True) if not noticed]
    print(f"{len(known)} options, each ignored in turn: {len(known) - len(passed)} noticed")
    print("\n".join(f"- {option}: passes {', '.join(known[option])}" for option in passed))
    return bool(passed)


def main(arguments: Sequence[str] | None = None) -> int:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--changes", type=int, default=102, metavar="N")
    read.add_argument("--seed", type=int, default=SEED, metavar="N")
    read.add_argument(
        "--room", action="append", help="only these; 'top' is what lies above them, 'page' what a browser runs"
    )
    read.add_argument("--kind", action="append", help="only these, such as clean-up, guard, swap, SQL")
    read.add_argument("--quick", action="store_true", help="leave slow tests out, such as the browser's")
    read.add_argument(
        "--budget", type=float, default=50, metavar="SECONDS", help="of processor time, for a change's tests"
    )
    read.add_argument("--workers", type=int, default=1, metavar="N")
    read.add_argument("--list", action="store_true", help="only say what would be changed")
    read.add_argument("--json", type=Path, metavar="FILE")
    read.add_argument("--again", type=Path, metavar="FILE", help="what nobody noticed in a --json file")
    read.add_argument("--options", action="store_true")
    read.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    read.add_argument("--package", default=PACKAGE, help=argparse.SUPPRESS)
    said = read.parse_args(arguments)
    if said.options:
        return ignore_options(said.workers)
    judged = read_judged(said.root / "tests" / "mutants" / "judged.json")
    changes = read_survivors(said.again, said.root, judged) if said.again else choose(
        list_changes(said.root, said.package), said.changes, said.seed, root=said.root, rooms=said.room,
        kinds=said.kind, judged=judged,
    )  # fmt: skip
    if said.list:
        print("\n".join(f"{c.path}:{c.line} ({c.kind}): {c.show((said.root / c.path).read_bytes())}" for c in changes))
        return 0
    trial = Trial(said.root, read_tests(said.root), said.budget, said.quick, said.package)
    start, tried = time.monotonic(), list[Tried]()
    with contextlib.suppress(KeyboardInterrupt):
        for one in try_all(changes, trial, said.workers):
            tried.append(one)
            at = f"{one.change.path}:{one.change.line} ({one.change.kind})"
            print(f"{len(tried)}/{len(changes)} {one.verdict:8} {one.seconds:4.0f} s  {at}: {one.shown}", flush=True)
            if said.json:
                said.json.write_text(json.dumps([asdict(t) for t in tried], indent=1))
    print("\n".join(describe(tried, time.monotonic() - start, said.seed, len(judged))))
    if trial.red:
        print("\nFail unbroken too:", *sorted(trial.red), sep="\n- ")
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
