"""Break the program on purpose, a line at a time, and see whether its tests notice.

    python tests/mutants/mutants.py --changes 120          choose so many lines of photosearch/, by a fixed seed
    python tests/mutants/mutants.py --again mutants.json   only those that nobody noticed the last time
    python tests/mutants/mutants.py --options              ignore each option of the command in turn

Each change is made in a copy of the checkout. The tests of its room run first, those that name its file ahead of the
others; what they let pass meets the whole suite, unless --room says not to. A run that takes several times what the
tests take unbroken is ended, and counts as noticed.
"""

import argparse
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from changes import Change, choose

ROOT = Path(__file__).parents[2]
QUICK = "not slow and not hostile and not data"
OF_TOP = ["tests/test_album.py", "tests/cli", "tests/test_examples.py"]  # for the files above the rooms
LEAVE = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".coverage*", ".hypothesis", "dist")


@dataclass(frozen=True, slots=True)
class Tried:
    """by: 'room', 'suite' or '' where nobody noticed. shown: the line before and after."""

    change: Change
    shown: str
    by: str
    seconds: float


def main() -> None:
    read = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    read.add_argument("--changes", type=int, default=100, metavar="N")
    read.add_argument("--seed", type=int, default=1, metavar="N")
    read.add_argument("--rooms", metavar="A,B", help="only these; 'top' is what lies above them")
    read.add_argument("--room", action="store_true", help="leave the whole suite out")
    read.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), metavar="N")
    read.add_argument("--out", type=Path, default=Path("mutants.json"), metavar="FILE")
    read.add_argument("--again", type=Path, metavar="FILE")
    read.add_argument("--options", action="store_true")
    said = read.parse_args()
    if said.options:
        sys.exit(ignore_options(said.jobs))
    rooms = set(said.rooms.split(",")) if said.rooms else None
    changes = read_survivors(said.again) if said.again else choose(ROOT, said.changes, said.seed, rooms)
    start, tried = time.monotonic(), list[Tried]()
    for one in try_all(changes, said.jobs, not said.room):
        tried.append(one)
        print(f"{len(tried)}/{len(changes)} {one.by or 'NOBODY':6} {one.seconds:4.0f} s  "
              f"{one.change.path}:{one.change.line}: {one.shown}", flush=True)  # fmt: skip
        said.out.write_text(json.dumps([asdict(t) for t in tried], indent=1))
    print("\n".join(describe(tried, time.monotonic() - start, said.seed)))


def describe(tried: Sequence[Tried], seconds: float, seed: int) -> Iterator[str]:
    """The table by room, and what nobody noticed."""
    yield ""
    yield "| room | changes | noticed by its own tests | by the others | noticed |"
    yield "|---|---|---|---|---|"
    for room in [*sorted({t.change.room for t in tried}), "all"]:
        of = [t for t in tried if room in (t.change.room, "all")]
        own, others = (sum(t.by == by for t in of) for by in ("room", "suite"))
        yield f"| {room} | {len(of)} | {own} | {others} | {100 * (own + others) / max(1, len(of)):.0f} % |"
    yield f"\nseed {seed}, {seconds / 60:.0f} minutes. Nobody noticed:"
    yield from (f"- {t.change.path}:{t.change.line} ({t.change.kind}): {t.shown}" for t in tried if not t.by)


def read_survivors(path: Path) -> list[Change]:
    """The changes that nobody noticed, as far as their files are what they were."""
    rows = [row for row in json.loads(path.read_text()) if not row["by"]]
    changes = [(Change(**row["change"]), row["shown"]) for row in rows]
    return [c for c, shown in changes if c.show((ROOT / c.path).read_bytes()) == shown]


def try_all(changes: Sequence[Change], jobs: int, suite: bool) -> Iterator[Tried]:
    with contextlib.ExitStack() as stack:
        trees = queue.SimpleQueue[Path]()
        for _ in range(jobs):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mutants-"))
            trees.put(Path(shutil.copytree(ROOT, Path(folder, "tree"), ignore=LEAVE)))
        limits = {}
        for room in dict.fromkeys(c.room for c in changes):
            tree = trees.get()
            began = time.monotonic()
            if run_tests(tree, list_tests(tree, room), 1800) != 0:
                sys.exit(f"the tests of {room} fail unbroken")
            limits[room] = 60 + 4 * jobs * (time.monotonic() - began)
            trees.put(tree)
        with ThreadPoolExecutor(jobs) as pool:
            yield from pool.map(lambda c: _try(c, trees, limits[c.room], suite), changes)


def _try(change: Change, trees: "queue.SimpleQueue[Path]", limit: float, suite: bool) -> Tried:
    tree, began = trees.get(), time.monotonic()
    path = tree / change.path
    data = path.read_bytes()
    path.write_bytes(change.apply(data))
    try:
        by = "room" if run_tests(tree, list_tests(tree, change.room, path.stem), limit) != 0 else ""
        if not by and suite:
            by = "suite" if run_tests(tree, ["tests", "--numprocesses", "auto", "--dist", "loadfile"], 3600, "") else ""
    finally:
        path.write_bytes(data)
        trees.put(tree)
    return Tried(change, change.show(data), by, time.monotonic() - began)


def list_tests(tree: Path, room: str, module: str = "") -> list[str]:
    """A room's tests; ahead of the others those that are the module's, then those that name it."""
    own = tree / "tests" / room
    places = [own] if own.is_dir() else [tree / one for one in OF_TOP]
    files = [f for place in places for f in ([place] if place.is_file() else sorted(place.glob("test_*.py")))]
    first = sorted(files, key=lambda f: (module not in f.stem.split("_"), module not in f.read_text()))
    return [str(f.relative_to(tree)) for f in first]


def run_tests(tree: Path, tests: Sequence[str], limit: float, only: str = QUICK, **environment: str) -> int:
    """-> pytest's exit code, 0 where all pass; -1 where it took too long, and was ended with all that it started."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", "120", *tests]
    command += ["-m", only] if only else []
    # PYTHONPATH: ahead of the checkout that the environment was installed from, in child processes too.
    path = os.pathsep.join((str(tree), str(ROOT / "tests" / "mutants")))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment}
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        try:
            return run.wait(limit)
        except subprocess.TimeoutExpired:
            return -1
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)


def ignore_options(jobs: int) -> int:
    """Run each option's tests on a command line that takes no notice of it -> 1 where they pass all the same."""
    sys.path.insert(0, str(ROOT / "tests" / "cli"))
    from claims import claims

    def notice(claim: tuple[str, list[str]]) -> bool:
        option, tests = claim
        return run_tests(ROOT, [*tests, "-p", "ignore_option"], 300, "", IGNORED_OPTION=option) != 0

    known = claims()
    with ThreadPoolExecutor(jobs) as pool:
        passed = [option for option, noticed in zip(known, pool.map(notice, known.items()), strict=True) if not noticed]
    print(f"{len(known)} options, each ignored in turn: {len(known) - len(passed)} noticed")
    print("\n".join(f"- {option}: passes {', '.join(known[option])}" for option in passed))
    return bool(passed)


if __name__ == "__main__":
    main()
