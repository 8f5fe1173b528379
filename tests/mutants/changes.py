"""One-line changes that may break a program: found in its syntax tree, written over its text.

Kinds: a comparison turned or moved by one; a condition reversed, `and` for `or`; a named argument left out; a number
raised by one, or halved, True for False; a piece of SQL weakened or reversed.

Left out, since no test should notice: what is said (docstrings, errors, notes, help), types and assertions, and how
long a thing may take at most.
"""

import ast
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

TURNED = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "is not": "is", "is": "is not", "not in": "in", "in": "not in",
}  # fmt: skip
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|ORDER BY|JOIN|CREATE|PRAGMA|EXISTS|IS NULL)\b")
IN_SQL = [  # what is looked for in SQL, and what is put in its place
    (r"\bIS NOT NULL\b", "IS NULL"), (r"\bIS NULL\b", "IS NOT NULL"), (r"\bNOT EXISTS\b", "EXISTS"),
    (r" AND ", " OR "), (r" OR (?!IGNORE|REPLACE)", " AND "), (r" DESC\b", " ASC"), (r"\bLEFT JOIN\b", "JOIN"),
    (r">=", ">"), (r"<=", "<"), (r" = \?", " <> ?"), (r" <> ", " = "), (r"\bDISTINCT ", ""), (r"\bmin\(", "max("),
    (r"\bmax\(", "min("), (r" OR (?:IGNORE|REPLACE)\b", ""), (r"\bWHERE (?=\w)", "WHERE NOT "),
    (r"\bORDER BY [\w.]+", "ORDER BY NULL"), (r" \+ ", " - "), (r" - ", " + "), (r"\bWHERE 1\b", "WHERE 0"),
]  # fmt: skip
SAID = {"note", "echo", "print", "print_table", "say", "say_count", "warn", "fail", "skip"}  # calls that talk
SAID |= {"Option", "Argument", "path_option", "path_argument", "model_option", "add_typer", "Typer", "App", "field"}
UNTESTED = {"strict", "timeout", "daemon", "max_workers", "help", "metavar", "title", "style", "stderr", "transient"}
UNTESTED |= {"figsize", "dpi", "layout", "color", "linewidth", "linestyle", "edgecolor", "capsize", "fmt"}


@dataclass(frozen=True, slots=True)
class Change:
    """path: relative to the tree. start, end: bytes of the file that `text` takes the place of.

    statement: the first and last line of the statement that it stands in, without what that statement holds.
    """

    path: str
    line: int
    statement: tuple[int, int]
    kind: str
    start: int
    end: int
    text: str

    @property
    def room(self) -> str:
        parts = Path(self.path).parts
        return parts[1] if len(parts) > 2 else "top"

    def apply(self, data: bytes) -> bytes:
        return data[: self.start] + self.text.encode() + data[self.end :]

    def show(self, data: bytes) -> str:
        """The line before and after."""
        first, last = data.rfind(b"\n", 0, self.start) + 1, data.find(b"\n", self.end)
        before, after = (
            data[first:last],
            self.apply(data)[first : last + len(self.text.encode()) - self.end + self.start],
        )
        return " ".join(before.decode().split()) + "  ->  " + " ".join(after.decode().split())


def choose(tree: Path, n: int, seed: int, rooms: set[str] | None = None) -> list[Change]:
    """n changes, each room's share by the number of its places, but no room less than 4; each line at most once."""
    by_room: defaultdict[str, dict[tuple[str, int], Change]] = defaultdict(dict)
    rng = random.Random(seed)
    every = [c for path in sorted((tree / "photosearch").rglob("*.py")) for c in find(path, tree)]
    rng.shuffle(every)
    for change in every:
        if rooms is None or change.room in rooms:
            by_room[change.room].setdefault((change.path, change.line), change)
    places = sum(map(len, by_room.values()))
    chosen: list[Change] = []
    for _, found in sorted(by_room.items()):
        can_be = (c for c in found.values() if _compiles(c, (tree / c.path).read_bytes()))
        chosen += islice(can_be, max(4, round(n * len(found) / places)))
    return chosen


def _compiles(change: Change, data: bytes) -> bool:
    try:
        compile(change.apply(data), change.path, "exec")
    except SyntaxError:
        return False
    return True


def find(path: Path, tree: Path) -> Iterator[Change]:
    """Every change of one file; a few make no program."""
    data = path.read_bytes()
    finder = _Finder(str(path.relative_to(tree)), data)
    finder.visit(ast.parse(data))
    yield from finder.found


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, data: bytes):
        self.path, self.data, self.found = path, data, list[Change]()
        self._statement = (1, 1)
        self._lines = [0]
        for line in data.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._lines[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
            self._lines[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]
        )

    def _add(self, kind: str, start: int, end: int, text: str) -> None:
        line = self.data.count(b"\n", 0, start) + 1
        self.found.append(Change(self.path, line, self._statement, kind, start, end, text))

    def visit(self, node: ast.AST) -> None:
        before = self._statement
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
            self._statement = (node.lineno, max(node.lineno, last))
        super().visit(node)
        self._statement = before

    def _between(self, kind: str, left: ast.AST, right: ast.AST, words: dict[str, str]) -> None:
        """Put another operator between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        gap = self.data[start:end].decode()
        for word in sorted(words, key=len, reverse=True):
            if (met := re.search(rf"(?<![\w<>=!]){re.escape(word)}(?![\w<>=])", gap)) is not None:
                at = start + len(gap[: met.start()].encode())
                self._add(kind, at, at + len(word), words[word])
                return

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right in pairwise(operands):
            self._between("comparison", left, right, TURNED)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in pairwise(node.values):
            self._between("condition", left, right, {"and": "or", "or": "and"})
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        start, end = self._span(test)
        self._add("condition", start, end, f"not ({self.data[start:end].decode()})")

    def visit_If(self, node: ast.If) -> None:
        if not {"TYPE_CHECKING", "__name__"} & {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}:
            self._negate(node.test)
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in SAID:
            return
        inside = [*node.args, *(k.value for k in node.keywords)]
        for before, keyword in zip(inside, [*[None] * len(node.args), *node.keywords][1:], strict=False):
            if keyword is not None and keyword.arg is not None and keyword.arg not in UNTESTED:
                self._add("argument", self._span(before)[1], self._span(keyword)[1], "")
        node.keywords = [k for k in node.keywords if k.arg not in UNTESTED]
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        start, end = self._span(node)
        if isinstance(node.value, bool):
            self._add("constant", start, end, str(not node.value))
        elif isinstance(node.value, int):
            self._add("constant", start, end, str(node.value + 1))
        elif isinstance(node.value, float):
            self._add("constant", start, end, repr(node.value / 2))
        elif isinstance(node.value, str):
            self._find_sql(start, end)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._find_sql(*self._span(node))

    def _find_sql(self, start: int, end: int) -> None:
        text = self.data[start:end].decode()
        if SQL.search(text):
            for pattern, other in IN_SQL:
                for met in re.finditer(pattern, text):
                    at = start + len(text[: met.start()].encode())
                    self._add("SQL", at, at + len(met[0].encode()), other)

    # ---- left out

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):  # a docstring
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        pass

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Import(self, node: ast.Import) -> None:
        pass

    def visit_arguments(self, node: ast.arguments) -> None:
        for default in [*node.defaults, *filter(None, node.kw_defaults)]:
            self.visit(default)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.visit(node.args)
        for statement in node.body:
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if isinstance(node.value, ast.Name) and node.value.id[:1].isupper():  # a type
            return
        self.generic_visit(node)
