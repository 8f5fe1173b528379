"""One-line changes that may hurt a user: what they are, and which of them are drawn.

Each room has the same number, and in a room each kind is as likely as any other: most conditions of a program
are tested, so that a draw by the number of places would flatter.
"""

import json
import random
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "photosearch"
OF_PAGES = {".js", ".mjs", ".html"}
JUDGED = Path(__file__).with_name("judged.json")
NODE = shutil.which("node") or shutil.which("nodejs")


@dataclass(frozen=True, slots=True)
class Change:
    """path: relative to the tree. start, end: bytes of the file that `text` takes the place of.

    names: of functions and constants that lead to the place, the one that it stands in first.
    """

    path: str
    line: int
    kind: str
    start: int
    end: int
    text: str
    names: tuple[str, ...] = ()

    @property
    def room(self) -> str:
        parts = Path(self.path).parts
        if Path(self.path).suffix in OF_PAGES:
            return "page"
        return parts[1] if len(parts) > 2 else "top"

    def apply(self, data: bytes) -> bytes:
        return data[: self.start] + self.text.encode() + data[self.end :]

    def show(self, data: bytes) -> str:
        """The line before and after; a judgement is kept by it, since line numbers move."""
        first, last = data.rfind(b"\n", 0, self.start) + 1, data.find(b"\n", self.end)
        last = len(data) if last < 0 else last
        after = data[first : self.start] + self.text.encode() + data[self.end : last]
        return " ".join(data[first:last].decode().split()) + "  ->  " + " ".join(after.decode().split())


def read_judged(path: Path = JUDGED) -> dict[str, str]:
    """path of the module + ": " + line before and after -> why no test has to notice it."""
    return json.loads(path.read_text()) if path.exists() else {}


def list_changes(root: Path = ROOT, package: str = PACKAGE) -> Iterator[Change]:
    from in_pages import find_in_page
    from in_python import find_in_python

    for path in sorted((root / package).rglob("*")):
        find = find_in_python if path.suffix == ".py" else find_in_page if path.suffix in OF_PAGES else None
        if find is not None:
            yield from find(str(path.relative_to(root)), path.read_bytes())


def choose(
    changes: Iterator[Change],
    n: int,
    seed: int,
    *,
    root: Path = ROOT,
    rooms: Container[str] | None = None,
    kinds: Container[str] | None = None,
    judged: Container[str] = (),
) -> list[Change]:
    """About n changes, as many from each room, which take turns; each line at most once. judged: are left out.

    A room's changes depend on the seed alone: a larger n or fewer rooms draw the same ones first.
    """
    found: defaultdict[str, defaultdict[str, list[Change]]] = defaultdict(lambda: defaultdict(list))
    for change in changes:
        if (rooms is None or change.room in rooms) and (kinds is None or change.kind in kinds):
            found[change.room][change.kind].append(change)
    each = -(-n // max(1, len(found)))
    drawn = [
        list(islice(_draw(by_kind, random.Random(f"{seed} {room}"), root, judged), each))
        for room, by_kind in sorted(found.items())
    ]
    return [c for row in zip_longest(*drawn) for c in row if c is not None]


def _draw(by_kind: dict[str, list[Change]], rng: random.Random, root: Path, judged: Container[str]) -> Iterator[Change]:
    lines = set[tuple[str, int]]()
    left = {kind: rng.sample(found, len(found)) for kind, found in sorted(by_kind.items())}
    while left:
        for kind in rng.sample(sorted(left), len(left)):
            while left[kind]:
                change = left[kind].pop()
                data = (root / change.path).read_bytes()
                is_new = (change.path, change.line) not in lines and name(change, data) not in judged
                if is_new and is_program(change, data):
                    lines.add((change.path, change.line))
                    yield change
                    break
            else:
                del left[kind]


def name(change: Change, data: bytes) -> str:
    return f"{change.path}: {change.show(data)}"


def is_program(change: Change, data: bytes) -> bool:
    """Whether the changed file can be read at all: else any test would notice."""
    changed = change.apply(data)
    check: dict[str, Callable[[], object]] = {
        ".py": lambda: compile(changed, change.path, "exec"),
        ".html": lambda: _parse_template(changed.decode()),
    }
    try:
        check.get(Path(change.path).suffix, lambda: _parse_script(changed))()
    except (SyntaxError, ValueError):
        return False
    return True


def _parse_template(text: str) -> None:
    import jinja2

    environment = jinja2.Environment()
    environment.filters |= {"percent": str, "count": str}
    try:
        environment.parse(text)
    except jinja2.TemplateError as exc:
        raise ValueError from exc


def _parse_script(data: bytes) -> None:
    if NODE is not None:
        run = subprocess.run([NODE, "--check", "--input-type=module", "-"], input=data, capture_output=True)
        if run.returncode:
            raise ValueError(run.stderr)
