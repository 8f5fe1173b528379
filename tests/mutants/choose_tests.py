"""Which tests may notice a change: a guess from what they say, which costs nothing.

First those that speak of the function or of one that leads to it, then the others of the module's own file, then
those of the room and of the whole by the rare words that they share with the lines around the change. After a dozen of
them come those that hold a rule for every file. A map of the lines that each test runs would say it better, and takes
minutes of two cores.
"""

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from changes import PACKAGE, Change

LEAVE_OUT = ("train", "fuzz", "mutants")
WHOLE = ("tests/cli/", "tests/web/", "tests/mcp/")  # of the whole: they may speak of it in other words
HOLD_ALL = (  # what these hold, they hold of every file
    "tests/test_architecture.py", "tests/test_durability.py", "tests/library/test_all_or_nothing.py",
    "tests/library/test_locks.py",
)  # fmt: skip
OF_SCRIPTS = {  # what runs the tests in Node and of each page, and what looks at each template
    ".mjs": ("tests/web/test_javascript.py", "tests/web/test_pages.py"),
    ".js": ("tests/web/test_pages.py",),
    ".html": ("tests/web/test_templates.py", "tests/web/test_export_templates.py", "tests/web/test_pages.py"),
}
TAKES_SECONDS = re.compile(r"^ *@pytest\.mark\.slow|^pytestmark = .*\bslow\b", re.M)
# Ranks: tests that speak of a change, in its module's own file and in others; of rules for every file; other ones of
# the own file; those that go by shared words; a browser's, where Python changed; those that take seconds.
SPEAK_THERE, SPEAK, HOLD, OWN, ALIKE, BROWSER, SLOW = range(7)
HELD = ("clean-up", "durability", "time-out")  # kinds that those of HOLD_ALL are likeliest to notice
FEW = 3  # slow ones run
FIRST = 12  # of these come before those of HOLD_ALL
WORD = re.compile(r"[A-Za-z]{3,}")
AROUND = 12  # lines before and after a change that tell what it is about
NAMES_ALL = {"top": ("tests/cli/",), "api": ("tests/cli/", "tests/web/", "tests/mcp/"), "page": ("tests/web/",)}


@dataclass(frozen=True)
class TestFile:
    """tests: name -> text, in their order, with what decorates them: their examples may speak of a change."""

    path: str
    text: str

    @cached_property
    def tests(self) -> dict[str, str]:
        tree, lines = ast.parse(self.text), self.text.splitlines()
        return {
            node.name: "\n".join(lines[min(n.lineno for n in (node, *node.decorator_list)) - 1 : node.end_lineno])
            for node in tree.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        }

    @cached_property
    def words(self) -> dict[str, frozenset[str]]:
        return {name: list_words(text) for name, text in self.tests.items()}


def list_words(text: str) -> frozenset[str]:
    return frozenset(map(str.lower, WORD.findall(text)))


def read_tests(root: Path) -> list[TestFile]:
    """All files of tests; those of the page's scripts count as tests of the file that runs them."""
    paths = (p for p in sorted((root / "tests").rglob("test_*.py")) if p.parts[len(root.parts) + 1] not in LEAVE_OUT)
    return [TestFile(str(p.relative_to(root)), p.read_text()) for p in paths]


def choose_tests(
    change: Change, files: list[TestFile], seconds: Mapping[str, float], source: str, package: str = PACKAGE
) -> list[list[str]]:
    """-> tests without their parameters, the nearest and the others; of equals those that took least.

    seconds: what a test took so far. source: the text of the changed file.
    """
    lines = source.splitlines()[max(0, change.line - AROUND) : change.line + AROUND]
    alike = _compare(list_words("\n".join(lines)), files)
    ranked = [(rank, file, test, alike[test]) for rank, file, test in _rank(change, files, package)]
    best: dict[tuple[str, int], float] = {}
    for rank, file, _, score in ranked:
        best[file, rank] = max(best.get((file, rank), 0.0), score)
    ranked.sort(key=lambda it: (it[0], -best[it[1], it[0]], it[1], -it[3], seconds.get(it[2], 1.0)))
    speak, hold, others, slow = (
        [test for rank, _, test, _ in ranked if low <= rank < high]
        for low, high in ((SPEAK_THERE, HOLD), (HOLD, OWN), (OWN, SLOW), (SLOW, SLOW + 1))
    )
    first, slow = (sorted(tests, key=alike.__getitem__, reverse=True) for tests in (others, slow))
    first = sorted(first[:FIRST], key=others.index)
    near = [*speak, *first, *slow[:FEW]]
    near = [*hold, *near] if change.kind in HELD else [*near, *hold]
    parts = [near, [test for test in others if test not in first]]
    return [part for part in parts if part]


def _rank(change: Change, files: list[TestFile], package: str) -> Iterator[tuple[int, str, str]]:
    path = Path(change.path)
    module = path.name if change.room == "page" else path.stem
    dotted = ".".join(path.with_suffix("").parts)
    imports = re.compile(
        rf"\b{re.escape(dotted)}\b|from {re.escape(dotted.rpartition('.')[0])} import .*\b{path.stem}\b"
    )
    speaks = re.compile(rf"\b(?:{'|'.join(map(re.escape, change.names))})\b" if change.names else r"(?!)")
    own_name = re.compile("|".join(rf"\b{re.escape(n)}\b" for n in change.names[:1] if "_" in n) or r"(?!)")
    words = {word for name in change.names[:3] for word in name.split("_") if len(word) > 4}
    hints = re.compile("|".join(map(re.escape, sorted(words))) or r"(?!)")
    room_folders = (f"tests/{change.room}/", *NAMES_ALL.get(change.room, ()))
    for file in files:
        if file.path in HOLD_ALL and change.room != "page":
            yield from ((HOLD, file.path, f"{file.path}::{test}") for test in file.tests if "import" not in test)
            continue
        is_near = file.path.startswith(room_folders) or (change.room == "top" and file.path.count("/") == 1)
        is_own = file.path.endswith(f"_{path.stem}.py") and (is_near or change.room == "api")
        names = (
            is_own
            or imports.search(file.text) is not None
            or (is_near and re.search(rf"\b{re.escape(module)}\b", file.text))
        )
        if not (is_near or names):
            is_whole = file.path.startswith(WHOLE) and change.room != "page" and "chromium" not in file.path
            for test, text in file.tests.items():
                if own_name.search(text):
                    yield SPEAK, file.path, f"{file.path}::{test}"
                elif is_whole and hints.search(text):
                    yield ALIKE, file.path, f"{file.path}::{test}"
            continue
        for test, text in file.tests.items():
            if change.room == "page":
                own = file.path in OF_SCRIPTS[path.suffix] or module in text
                in_browser = "chromium" in file.text
                if not (own or in_browser or path.suffix == ".html"):
                    continue  # it runs no script
                rank = SPEAK_THERE if own else ALIKE
            else:
                rank = (SPEAK_THERE if is_own else SPEAK) if speaks.search(text) else OWN if is_own else ALIKE
                if "chromium" in file.path:
                    rank = BROWSER
                elif TAKES_SECONDS.search(text) or TAKES_SECONDS.search(file.text.partition("\ndef ")[0]):
                    rank = HOLD if rank == SPEAK_THERE else SLOW
            yield rank, file.path, f"{file.path}::{test}"


def _compare(words: frozenset[str], files: list[TestFile]) -> dict[str, float]:
    """How alike each test is to some words: the rarer those that it shares with them, the more."""
    every = [(f"{file.path}::{name}", of) for file in files for name, of in file.words.items()]
    counts = Counter(word for _, of in every for word in of)
    weights = {word: math.log(len(every) / counts[word]) for word in words & counts.keys()}
    return {test: sum(weights[word] for word in of & weights.keys()) / math.sqrt(10 + len(of)) for test, of in every}
