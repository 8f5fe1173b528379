"""Which options the commands have, and which tests say what each of them does.

A test claims an option by a marker:

    @pytest.mark.option("find --since", "find --until")
    def test_...

It must fail where the program takes no notice of that option: `make mutants` tries that with each of them. `* --db`
claims an option of all commands that have it, for a test that goes through them all.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from photosearch.cli.app import app

OF_TYPER = {"--help", "--install-completion", "--show-completion"}
TESTS = Path(__file__).parents[1]


def commands(command: Any = None, name: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command and group with its words: ("", ...), ("find", ...), ("folders set", ...)."""
    command = command or typer.main.get_command(app)
    yield " ".join(name), command
    for word, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*name, word))


def options() -> list[str]:
    """Each option by its longest name, after its command: "find --since"; "--version" is the top's."""
    return [
        f"{name} {max(p.opts, key=len)}".strip()
        for name, command in commands()
        for p in command.params
        if p.param_type_name == "option" and not OF_TYPER & set(p.opts)
    ]


def claims() -> dict[str, list[str]]:
    """Option -> the tests that claim it, as pytest names them: tests/cli/test_cli_find.py::test_..."""
    every, found = options(), defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text()
        if "mark.option(" in text:
            for test, claim in _marked(ast.parse(text)):
                name = f"{path.relative_to(TESTS.parent)}::{test}"
                option = claim.removeprefix("* ")
                for one in [o for o in every if o.endswith(f" {option}")] if claim != option else [claim]:
                    found[one].append(name)
    return dict(found)


def _marked(module: ast.Module) -> Iterator[tuple[str, str]]:
    for node in module.body:
        if isinstance(node, ast.FunctionDef):
            for call in node.decorator_list:
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.option":
                    yield from ((node.name, ast.literal_eval(argument)) for argument in call.args)
