"""The commands of the recipes: those in docstrings and cards exist, and default paths are there or are written."""

import ast
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from train.__main__ import app
from train.tool import list_models, read_card

ROOT = Path(__file__).parents[2]
RECIPES = sorted(p for p in (ROOT / "train" / "recipes").glob("*.py") if p.stem != "__init__")
COMMANDS = typer.main.get_command(app).commands
WRITTEN = {
    "to",
    "head",
    "library",
    "cache",
    "run",
    "plot",
    "sheets",
    "json",
}  # options that name outputs, or results of others


def read_docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def list_commands(pattern: str) -> list[str]:
    """All commands that match the pattern in docstrings of train/."""
    texts = [read_docstring(path) for path in sorted((ROOT / "train").rglob("*.py"))]
    return sorted({command for text in texts for command in re.findall(pattern, text, re.MULTILINE)})


LINES = list_commands(r"^(?: {4}|Command: )(python -m train .*?)(?: {2,}.*)?$")
MENTIONS = list_commands(r"`python -m train ([a-z][^`]*)`")


def list_path_defaults() -> list[tuple[str, str, Path]]:
    """(command, option, default) of all options whose default is a path."""
    return [
        (name, p.name, Path(str(p.default)))
        for name, command in COMMANDS.items()
        for p in command.params
        if p.default is not None and "/" in str(p.default)
    ]


def test_docstrings_have_commands():
    assert len(LINES) > 15
    assert len(MENTIONS) >= 5
    assert len(list_path_defaults()) > 15


@pytest.mark.parametrize("line", LINES)
def test_command_line_in_docstring_parses(line):
    name, *words = shlex.split(line)[3:]
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
    COMMANDS[name].make_context(name, words)


@pytest.mark.parametrize("mention", MENTIONS)
def test_command_mentioned_in_docstring_exists(mention):
    name, *words = mention.split()
    options = {option for p in COMMANDS[name].params for option in p.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize(("command", "option", "default"), list_path_defaults())
def test_default_path_exists_or_is_written(command, option, default):
    if not default.is_absolute() and option not in WRITTEN:
        assert (ROOT / default).exists(), f"{command} --{option}"


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_paths_in_recipe_exist(path):
    module = import_module(f"train.recipes.{path.stem}")
    constants = [value for value in vars(module).values() if isinstance(value, Path)]
    assert all((ROOT / constant).exists() for constant in constants)
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"\b((?:train|photosearch|docs)/[\w./-]*\w)", read_docstring(path))
    named += re.findall(r"`?(train/[\w/]+\.py)", text)
    placeholders = re.compile(r"[A-Z]{3,}|\.runs/")  # SET.json
    missing = [name for name in named if not (ROOT / name).exists() and not placeholders.search(name)]
    assert missing == []


def test_modules_in_docstrings_exist():
    """`heads.py` alone means a file next to the one that names it; data/scenes.py one below train/."""
    for path in RECIPES:
        for name in re.findall(r"(?<![\w/])((?:data/)?\w+\.py)", read_docstring(path)):
            assert (path.parent / name).exists() or (ROOT / "train" / name).exists(), f"{path.name}: {name}"


def test_recipe_of_each_shipped_model_names_its_command():
    for name, path in list_models().items():
        command = read_card(path).details["command"]
        texts = [read_docstring(p) for p in RECIPES if read_docstring(p).startswith(f"{name}: ")]
        assert len(texts) == 1, name
        assert command in texts[0] or command.split()[3] in COMMANDS


def test_map_of_train_names_every_module():
    text = ast.get_docstring(ast.parse((ROOT / "train" / "__init__.py").read_text(encoding="utf-8")))
    files = {p.name for p in (ROOT / "train").glob("*.py")} - {"__init__.py", "__main__.py"}
    assert set(re.findall(r"\w+\.py", text)) == files
