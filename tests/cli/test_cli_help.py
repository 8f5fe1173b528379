"""Help, usage errors, the version, completion by a shell."""

import os
import re
import subprocess
import sys

import pytest
from cli_env import CliEnv
from option_coverage import list_commands

from photosearch import __version__

COMMANDS = [name for name, _ in list_commands()]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_short_and_without_python_types(cli_env: CliEnv, command: str) -> None:
    text = cli_env.run(*command.split(), "--help").stdout
    assert cli_env.run(*command.split(), "-h").stdout == text
    assert re.findall(r"<[^>]*>|\[\[.*|\{[^}]*\}|\blist\b\[|\bBOOLEAN\b|\bTEXT\b|\bINTEGER\b", text) == []
    assert "..." not in text.partition("Commands:")[2], "a sentence is cut off"
    assert text.startswith(f"Usage: photosearch {command}".rstrip())
    assert max(map(len, text.splitlines())) <= 80


def test_help_names_arguments(cli_env: CliEnv) -> None:
    def usage(*words: str) -> str:
        return cli_env.run(*words, "--help").stdout.splitlines()[0].partition("[OPTIONS] ")[2]

    assert usage("index") == "[DIR...]"
    assert usage("find") == "[WORDS...]"
    assert usage("mark") == "PHOTO..."
    assert usage("judge") == "LABEL [NUMBERS...]"
    assert usage("marks", "import") == "FILE.csv"
    assert usage("threshold", "set") == "LABEL [VALUE]"
    assert usage("labels", "add") == "LABEL [DESCRIPTION]"
    assert "\nArguments:\n  DIR  " in cli_env.run("index", "-h").stdout


def test_help_lists_commands_in_order_of_need(cli_env: CliEnv) -> None:
    listed = re.findall(r"^  ([a-z]+)  ", cli_env.run("--help").stdout.partition("Commands:")[2], re.M)
    assert listed[:3] == ["index", "folders", "find"]
    assert sorted(listed) == sorted(name for name in COMMANDS if name and " " not in name)


@pytest.mark.option("--version")
def test_version(cli_env: CliEnv) -> None:
    assert cli_env.run("--version").stdout == cli_env.run("-V").stdout == f"photosearch {__version__}\n"


@pytest.mark.parametrize("group", ["", "marks", "keywords", "threshold", "undo"])
def test_group_without_command_prints_help(cli_env: CliEnv, group: str) -> None:
    result = cli_env.run(*group.split())
    assert result.exit_code == 2
    assert result.output.startswith("Usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("find", "--colour", "red"),
        ("judge",),
        ("mark", "--is", "red"),
        ("marks", "import"),
        ("nothing",),
        ("folders", "nothing"),
        ("index", "--tiles", "26"),
        ("index", "--workers", "0"),
        ("index", "--engine", "spark"),
        ("index", "--shards", "x"),
        ("find", "red", "--min-score", "1.1"),
        ("find", "red", "-n", "-1"),
        ("find", "red", "--limit", "many"),
        ("threshold", "set", "red", "2"),
    ],
)
def test_usage_error_exits_2_without_result(cli_env: CliEnv, arguments: tuple[str, ...]) -> None:
    result = cli_env.run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


def complete(cli_env: CliEnv, *words: str) -> list[str]:
    """What a shell offers for the last word, as bash asks for it."""
    asked = {"_PHOTOSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("photosearch", *words)),
             "COMP_CWORD": str(len(words)), "PHOTOSEARCH_DB": str(cli_env.library)}  # fmt: skip
    program = "from photosearch.cli.app import main; main()"
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked})
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.slow
def test_shell_completes_labels_models_and_commands(cli_env: CliEnv) -> None:
    assert complete(cli_env, "labels", "show", "") == [], "no library, no labels, no error"
    assert complete(cli_env, "labels", "--model", "si") == ["sight"]
    cli_env.index()
    assert complete(cli_env, "labels", "show", "re") == complete(cli_env, "find", "not", "re") == ["red"]
    assert complete(cli_env, "mark", "a.jpg", "--is", "") == ["red", "blue", "green"]
    assert complete(cli_env, "mar") == ["mark", "marks"]
    cli_env.library.write_bytes(b"damaged")
    assert complete(cli_env, "labels", "show", "re") == []
