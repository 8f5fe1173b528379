"""Changes of JavaScript and templates, a line at a time; what stands in strings and comments stays."""

import re
from collections.abc import Iterator

from changes import Change

STRINGS = re.compile(r"//.*|/\*.*?\*/|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`")
STATEMENT = re.compile(r"^ *(?!import|export|const|let|return|function|async|class|if|for|while|[})\]{#]|\.)\S.*;$")
IN_SCRIPT = [  # kind, what is looked for, what is put in its place
    ("guard", r"\.textContent\b(?= = )", ".innerHTML"),
    ("guard", r"\?\.(?=\w)", "."),
    ("guard", r"\bencodeURIComponent\b", ""),
    ("guard", r"\bif \(.*\) (?:return|continue|break)\b[^;{}]*;", ""),
    ("await", r"\bawait ", ""),
    ("condition", r" && ", " || "),
    ("condition", r" \|\| ", " && "),
    ("condition", r"(?<= )!==(?= )", "==="),
    ("condition", r"(?<= )===(?= )", "!=="),
    ("condition", r"(?<=\()!(?=\w)", ""),
    ("bound", r" < ", " <= "),
    ("bound", r" <= ", " < "),
    ("bound", r" > ", " >= "),
    ("bound", r" >= ", " > "),
    ("bound", r"\bMath\.(?:min|max)\(([^(),]+), [^(),]+\)", r"\1"),
    ("statement", r"\btrue\b", "false"),
    ("statement", r"\bfalse\b", "true"),
    ("swap", r"(?<=\w\()([\w.]+), ([\w.]+)(?=\);)", r"\2, \1"),
    ("time-out", r"(\bset(?:Timeout|Interval)\(.*, )(\d+)(?=\))", r"\g<1>\g<2>000"),
]
IN_TEMPLATE = [
    ("condition", r"(?<=\{% if )(.+?)(?= %\})", r"not (\1)"),
    ("condition", r"(?<=\{% elif )(.+?)(?= %\})", r"not (\1)"),
    ("guard", r"(?<=\{\{ )([^}|]+)(?= \}\})", r"\1|safe"),
    ("statement", r"\{% include .*? %\}", ""),
    ("statement", r" (?:hidden|disabled|required)(?=[ >])", ""),
]


def find_in_page(path: str, data: bytes) -> Iterator[Change]:
    """Every change of one file; a few make no program."""
    at, is_template = 0, path.endswith(".html")
    for number, row in enumerate(data.splitlines(keepends=True), 1):
        line = row.decode().rstrip("\n")
        for kind, start, end, text in _find_in_template(line) if is_template else _find_in_script(line):
            first = at + len(line[:start].encode())
            yield Change(path, number, kind, first, first + len(line[start:end].encode()), text)
        at += len(row)


def _find_in_template(line: str) -> Iterator[tuple[str, int, int, str]]:
    for kind, pattern, other in IN_TEMPLATE:
        for met in re.finditer(pattern, line):
            yield kind, *met.span(), met.expand(other)


def _find_in_script(line: str) -> Iterator[tuple[str, int, int, str]]:
    code = STRINGS.sub(lambda met: "\0" * len(met[0]), line)  # as long as it was
    if (
        STATEMENT.match(code.rstrip("\0 "))
        and code.count("(") == code.count(")")
        and code.count("{") == code.count("}")
    ):
        indent = len(line) - len(line.lstrip())
        yield "statement", indent, len(code.rstrip("\0 ")), ";"
    for met in re.finditer(r"\b(?:if|while) \(", code):
        end = _close(code, met.end())
        if end is not None:
            yield "condition", met.end(), end, f"!({line[met.end() : end]})"
    for kind, pattern, other in IN_SCRIPT:
        for met in re.finditer(pattern, code):
            if "\0" not in met[0]:
                yield kind, *met.span(), met.expand(other)
            elif not other:
                yield kind, *met.span(), ""


def _close(code: str, at: int) -> int | None:
    """Where the bracket that opened before `at` is closed, on the same line."""
    depth = 1
    for i in range(at, len(code)):
        depth += {"(": 1, ")": -1}.get(code[i], 0)
        if not depth:
            return i
    return None
