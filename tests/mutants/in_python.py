"""Changes of Python: found in its syntax tree, written over its text.

Left out, since no test should notice: what is said (docstrings, errors, notes, help), types, assertions and imports.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from changes import Change

TURNED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
OTHER = {"==": "!=", "!=": "==", "is not": "is", "is": "is not", "not in": "in", "in": "not in"}
CLEANS = re.compile(r"^_?(unlink|close|rmtree|rmdir|remove|discard|terminate|kill|shutdown|release|clear|cleanup|reset|"
                    r"forget|delete|drop|pop|stop|cancel|join|end|flush)\w*$")  # fmt: skip
KEEPS = re.compile(
    r"^_?(fsync|sync|commit|rollback|begin|replace|rename|chmod|copystat|backup|transaction)\w*$|lock(_library)?$"
)
GUARDS = re.compile(r"escape|quote|limit|clamp|saniti|safe|check|refuse|require|verif|ensure|valid|bound|protect|"
                    r"shorten|_cut$|neutral|expanduser|^resolve$|_resolve$|strip_|^fold|unchanged")  # fmt: skip
LATE = re.compile(r"timeout|seconds|wait|deadline|_ms$", re.I)
SQL = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|WHERE|ORDER BY|JOIN|EXISTS|IS NULL)\b")
TERM = r"(?:(?! AND | OR |\b(?:ORDER|GROUP|LIMIT|UNION|WHERE|SELECT|HAVING)\b|[\"'\\;]).)+(?<=\S)"
IN_SQL = [  # what is looked for in SQL, and what is put in its place
    (rf"(?<= AND )({TERM})", r"(\1 OR 1)"), (rf"(?<=WHERE )({TERM})", r"(\1 OR 1)"),
    (r"\bDESC\b", "ASC"), (r"(ORDER BY [\w.]+)(?! (?:DESC|ASC)|[\w.(])", r"\1 DESC"), (r"\bDISTINCT ", ""),
    (r"\bLEFT JOIN\b", "JOIN"), (r"\bNOT EXISTS\b", "EXISTS"), (r" OR (?:IGNORE|REPLACE)\b", ""),
    (r"\bLIMIT (?=\?)", "LIMIT 1000 * "),
]  # fmt: skip
SAID = {"note", "echo", "print", "print_table", "say", "say_count", "warn", "fail", "skip", "debug", "info"}
SAID |= {"Option", "Argument", "path_option", "path_argument", "model_option", "add_typer", "Typer", "App"}
SAID |= {"isinstance", "issubclass", "cast", "TypeVar", "sub", "suppress"}
UNTESTED = {"strict", "daemon", "max_workers", "help", "metavar", "title", "style", "stderr", "transient", "width"}
UNTESTED |= {"figsize", "dpi", "layout", "color", "linewidth", "linestyle", "edgecolor", "capsize", "fmt", "name"}
BARE = '__import__("contextlib").nullcontext({})'


def find_in_python(path: str, data: bytes) -> Iterator[Change]:
    """Every change of one file; a few make no program."""
    tree = ast.parse(data)
    finder = _Finder(path, data, _Callers(tree))
    finder.visit(tree)
    yield from finder.found


class _Callers:
    """Which functions of a module lead to which."""

    def __init__(self, tree: ast.Module):
        self._uses: dict[str, set[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                used = {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node)}
                self._uses[node.name] = self._uses.get(node.name, set()) | used

    def list(self, name: str) -> tuple[str, ...]:
        """The name, and by what it is reached, the nearest first."""
        reached, new = [name], [name]
        while new:
            new = [n for n, uses in self._uses.items() if n not in reached and not uses.isdisjoint(new)]
            reached += new
        return tuple(n for n in reached if not n.startswith("__"))


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, data: bytes, callers: _Callers):
        self.path, self.data, self.callers, self.found = path, data, callers, list[Change]()
        self._inside = list[str]()
        self._lines = [0]
        for line in data.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))

    # ---- places

    def _span(self, node: ast.AST) -> tuple[int, int]:
        return (
            self._lines[node.lineno - 1] + node.col_offset,  # type: ignore[attr-defined]
            self._lines[node.end_lineno - 1] + node.end_col_offset,  # type: ignore[attr-defined]
        )

    def _text(self, node: ast.AST) -> str:
        start, end = self._span(node)
        return self.data[start:end].decode()

    def _add(self, kind: str, start: int, end: int, text: str) -> None:
        if self.data.count(b"\n", start, end) > 2:  # more than one looks at
            return
        names = self.callers.list(self._inside[-1]) if self._inside else ()
        self.found.append(Change(self.path, self.data.count(b"\n", 0, start) + 1, kind, start, end, text, names))

    def _put(self, kind: str, node: ast.AST, text: str) -> None:
        self._add(kind, *self._span(node), text)

    # ---- statements

    def visit_Expr(self, node: ast.Expr) -> None:
        match node.value:
            case ast.Call() as call if _name(call) not in SAID:
                self._put(_kind_of_call(call), node, "pass")
                self.generic_visit(node)
            case ast.Await():
                self._put("statement", node, "pass")
                self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._put("statement", node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit_assigned(node, node.targets[0], node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._visit_assigned(node, node.target, node.value)

    def _visit_assigned(self, node: ast.stmt, target: ast.expr, value: ast.expr) -> None:
        name = getattr(target, "id", getattr(target, "attr", ""))
        if isinstance(target, ast.Attribute | ast.Subscript) and name not in SAID and self._inside[-1:] != ["__init__"]:
            self._put("statement", node, "pass")
        if name == "exit_code" and isinstance(value, ast.Constant):
            self._put("exit code", value, "1" if value.value == 0 else "0")
        elif name.isupper() and not self._inside and isinstance(value, ast.Constant | ast.BinOp) and _is_number(value):
            self._inside.append(name)
            self._put("time-out" if LATE.search(name) else "bound", value, f"({self._text(value)}) * 1000")
            self._inside.pop()
        elif isinstance(node, ast.AnnAssign) and isinstance(value, ast.Constant):
            self._change_default(value)
        else:
            self.visit(value)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._put("clean-up", node, "pass")

    def visit_Try(self, node: ast.Try) -> None:
        for statement in node.finalbody:
            if not isinstance(statement, ast.If | ast.For | ast.With | ast.Try):
                self._put("clean-up", statement, "pass")
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._put("raise", node, "pass")
        if isinstance(node.exc, ast.Call) and _name(node.exc) == "Exit":
            self.visit(node.exc)

    def visit_With(self, node: ast.With) -> None:
        for item in node.items:
            match item.context_expr:
                case ast.Call() as call if _name(call) == "closing":
                    self._put("clean-up", call, BARE.format(self._text(call.args[0])))
                case ast.Call() | ast.Attribute() | ast.Name() as context if KEEPS.search(_name(context)):
                    if item.optional_vars is None:
                        self._put("durability", context, BARE.format(""))
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if isinstance(node.value, ast.Tuple):
            self._swap(node.value.elts)
        self.generic_visit(node)

    # ---- calls

    def visit_Call(self, node: ast.Call) -> None:
        name = _name(node)
        if name in SAID:
            return
        if name in ("Exit", "exit", "SystemExit") and node.args and isinstance(node.args[0], ast.Constant):
            self._put("exit code", node.args[0], "1" if node.args[0].value == 0 else "0")
            return
        guarded = [a for a in node.args if not isinstance(a, ast.Starred) and _name(a) not in ("db", "conn", "library")]
        if GUARDS.search(name) and guarded:
            self._put("guard", node, self._text(guarded[0]))
        elif GUARDS.search(name) and not node.keywords and isinstance(node.func, ast.Attribute):
            self._put("guard", node, self._text(node.func.value))
        if name in ("min", "max") and len(node.args) == 2:
            for argument in node.args:
                self._put("bound", node, self._text(argument))
        else:
            self._swap(node.args)
        self._leave_out(node)
        self.generic_visit(node)

    def _swap(self, nodes: Sequence[ast.expr]) -> None:
        for left, right in pairwise(nodes):
            alike = not isinstance(left, ast.Starred | ast.Lambda | ast.Constant) and type(left) is type(right)
            if alike and self._text(left) != self._text(right):
                start, end = self._span(left)[1], self._span(right)[0]
                self._add("swap", self._span(left)[0], self._span(right)[1],
                          self._text(right) + self.data[start:end].decode() + self._text(left))  # fmt: skip

    def _leave_out(self, node: ast.Call) -> None:
        """A named argument, so that its default holds; a time-out is not left out but made longer."""
        before: ast.AST | None = node.args[-1] if node.args else None
        for keyword in node.keywords:
            is_flag = isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool)
            is_time = keyword.arg is not None and LATE.search(keyword.arg) is not None and not is_flag
            if is_time and _name(node) != "timedelta":
                self._put("time-out", keyword.value, f"({self._text(keyword.value)}) * 1000")
            elif keyword.arg is not None and keyword.arg not in UNTESTED and before is not None:
                self._add("default", self._span(before)[1], self._span(keyword)[1], "")
            before = keyword
        node.keywords = [k for k in node.keywords if k.arg not in UNTESTED]

    # ---- conditions and bounds

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, right in pairwise([node.left, *node.comparators]):
            self._between("bound", left, right, TURNED)
            self._between("condition", left, right, OTHER)
        self.generic_visit(node)

    def _between(self, kind: str, left: ast.AST, right: ast.AST, words: dict[str, str]) -> None:
        """Put another operator between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        gap = self.data[start:end].decode()
        for word in sorted(words, key=len, reverse=True):
            if (met := re.search(rf"(?<![\w<>=!]){re.escape(word)}(?![\w<>=])", gap)) is not None:
                at = start + len(gap[: met.start()].encode())
                self._add(kind, at, at + len(word), words[word])
                return

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in pairwise(node.values):
            self._add("condition", self._span(left)[1], self._span(right)[1], "")  # drop a term
            self._add("condition", self._span(left)[0], self._span(right)[0], "")
        self.generic_visit(node)

    def _negate(self, test: ast.expr) -> None:
        self._put("condition", test, f"(not ({self._text(test)}))")

    def visit_If(self, node: ast.If) -> None:
        if not {"TYPE_CHECKING", "__name__"} & {n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)}:
            self._negate(node.test)
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_Slice(self, node: ast.Slice) -> None:
        if node.upper is not None:
            self._put("bound", node.upper, "")
        self.generic_visit(node)

    # ---- values

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._put("statement", node, str(not node.value))
        elif isinstance(node.value, str):
            self._find_sql(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        self._find_sql(node)

    def _find_sql(self, node: ast.AST) -> None:
        text, start = self._text(node), self._span(node)[0]
        for pattern, other in IN_SQL if SQL.search(text) else ():
            for met in re.finditer(pattern, text):
                if all(met[0].count(a) == met[0].count(b) for a, b in ("()", "{}", "[]")):
                    at = start + len(text[: met.start()].encode())
                    self._add("SQL", at, at + len(met[0].encode()), met.expand(other))

    def _change_default(self, value: ast.expr) -> None:
        match value:
            case ast.Constant(value=bool(it)):
                self._put("default", value, str(not it))
            case ast.Constant(value=int(it) | float(it)):
                self._put("default", value, f"{it + 1}")

    # ---- what holds them

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._visit_function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._visit_function(node)

    def _visit_function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._inside.append(node.name)
        for default in [*node.args.defaults, *filter(None, node.args.kw_defaults)]:
            self._change_default(default)
        for statement in node.body:
            self.visit(statement)
        self._inside.pop()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._inside.append(node.name)
        for statement in node.body:
            self.visit(statement)
        self._inside.pop()

    def visit_Assert(self, node: ast.Assert) -> None:
        pass

    def visit_Subscript(self, node: ast.Subscript) -> None:
        if not (isinstance(node.value, ast.Name) and node.value.id[:1].isupper()):  # a type
            self.generic_visit(node)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        return _name(node.func)
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _kind_of_call(call: ast.Call) -> str:
    name = _name(call)
    for kind, names in (("durability", KEEPS), ("clean-up", CLEANS), ("guard", GUARDS)):
        if names.search(name):
            return kind
    begins = name == "execute" and isinstance(call.args[0], ast.Constant) and "BEGIN" in str(call.args[0].value)
    return "durability" if begins else "statement"


def _is_number(node: ast.expr) -> bool:
    leaves = [n for n in ast.walk(node) if not isinstance(n, ast.BinOp | ast.operator)]
    return all(isinstance(n, ast.Constant) and type(n.value) in (int, float) for n in leaves)
