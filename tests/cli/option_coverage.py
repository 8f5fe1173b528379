"""Which options the commands have, and which tests cover each of them.

A test covers an option by a marker:

    @pytest.mark.option("find --since", "find --until")
    def test_...

It must fail if the program ignores that option: `make mutants` tries that with each of them. `* --db` covers an option
of all commands that have it, for a test that runs them all.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from photosearch.cli.root import load_commands

TYPER_OPTIONS = {"--help", "--install-completion", "--show-completion"}
TESTS = Path(__file__).parents[1]


def list_commands(command: Any = None, name: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command and group with its name: ("", ...), ("find", ...), ("folders set", ...)."""
    command = command or load_commands()
    yield " ".join(name), command
    for word, below in getattr(command, "commands", {}).items():
        yield from list_commands(below, (*name, word))


def list_options() -> list[str]:
    """Each option by its longest name, after its command: "find --since"; "--version" is the app's."""
    return [
        f"{name} {max(p.opts, key=len)}".strip()
        for name, command in list_commands()
        for p in command.params
        if p.param_type_name == "option" and not TYPER_OPTIONS & set(p.opts)
    ]


def read_coverage() -> dict[str, list[str]]:
    """Option -> the tests that cover it, as pytest names them: tests/cli/test_cli_find.py::test_..."""
    every, found = list_options(), defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if "mark.option(" in text:
            for test, covered in _read_markers(ast.parse(text)):
                name = f"{path.relative_to(TESTS.parent)}::{test}"
                option = covered.removeprefix("* ")
                for one in [o for o in every if o.endswith(f" {option}")] if covered != option else [covered]:
                    found[one].append(name)
    return dict(found)


def _read_markers(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.option":
                    yield from ((node.name, ast.literal_eval(argument)) for argument in call.args)
