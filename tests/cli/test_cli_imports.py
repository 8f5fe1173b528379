"""What a command imports: its own module, and nothing that it does not need."""

import json
import subprocess
import sys

import pytest
from cli_env import CliEnv
from option_coverage import list_commands

from photosearch.cli.root import COMMANDS, build_command, load_commands

HEAVY = {"PIL", "jinja2", "numpy", "onnxruntime", "pydantic", "rich", "sqlite_utils", "starlette", "tokenizers"}
PROGRAM = """
import atexit, json, sys
atexit.register(lambda: print("\\n" + json.dumps([name for name in sys.modules]), file=sys.stderr))
from photosearch.cli.app import main
main()
"""


def list_imported(env: CliEnv, *words: str) -> set[str]:
    command = [sys.executable, "-P", "-c", PROGRAM, *words]
    if words[0] != "--help":
        command += ["--db", str(env.library)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.slow
def test_command_imports_its_own_module_and_nothing_heavy(cli_env: CliEnv) -> None:
    cli_env.index()
    modules = {f"photosearch.cli.{name}" for name, _ in COMMANDS.values()}
    for words in (("--help",), ("find", "red"), ("find", "red", "--json"), ("status",), ("labels",), ("albums",)):
        imported = list_imported(cli_env, *words)
        assert (words, imported & HEAVY) == (words, set())
        borrowed = {"photosearch.cli.keywords", "photosearch.cli.marks"} if words == ("albums",) else set()
        assert (imported & modules) - borrowed == {f"photosearch.cli.{words[0]}"} - {"photosearch.cli.--help"}


def test_help_names_each_command_as_its_module_does() -> None:
    loaded, listed = load_commands().commands, build_command().commands
    assert list(listed) == list(loaded) == list(COMMANDS)
    assert {name: command.get_short_help_str(200) for name, command in loaded.items()} == {
        name: line for name, (_, line) in COMMANDS.items()
    }
    assert {name.partition(" ")[0] for name, _ in list_commands() if name} == set(COMMANDS)
