"""What a command says of itself, and what it says where it is called wrongly."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer
from cli_env import Desk

from photosearch import __version__
from photosearch.cli.app import app


def commands(command: object = None, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command and group, those of the top first: (), ('index',), ('folders', 'set')."""
    command = command or typer.main.get_command(app)
    yield name
    for word, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*name, word))


@pytest.mark.parametrize("words", list(commands()), ids=" ".join)
def test_every_help_reads_as_a_person_would_write_it(desk: Desk, words: tuple[str, ...]) -> None:
    text = desk.run(*words, "--help").stdout
    assert desk.run(*words, "-h").stdout == text
    assert re.findall(r"<[^>]*>|\[\[.*|\{[^}]*\}|\blist\b\[|\bBOOLEAN\b|\bTEXT\b|\bINTEGER\b", text) == []
    assert "..." not in text.partition("Commands:")[2], "a sentence is cut off"

    assert text.startswith(" ".join(("Usage: root", *words)))
    assert max(map(len, text.splitlines())) <= 80


def test_an_argument_is_named_by_its_word_and_an_optional_one_stands_in_brackets(desk: Desk) -> None:
    def usage(*words: str) -> str:
        return desk.run(*words, "--help").stdout.splitlines()[0].partition("[OPTIONS] ")[2]

    assert usage("index") == "[DIR...]"
    assert usage("find") == "[WORDS...]"
    assert usage("mark") == "[PHOTO...]"
    assert usage("judge") == "LABEL [NUMBERS...]"
    assert usage("truth", "import") == "[FILE.csv]"
    assert "\nArguments:\n  DIR  Folders of photos; without, all that are known.\n" in desk.run("index", "-h").stdout


def test_the_commands_stand_in_the_order_in_which_a_person_needs_them(desk: Desk) -> None:
    listed = re.findall(r"^  ([a-z]+)  ", desk.run("--help").stdout.partition("Commands:")[2], re.M)
    assert listed[:3] == ["index", "folders", "find"]
    assert sorted(listed) == sorted(words[0] for words in commands() if len(words) == 1)


@pytest.mark.option("--version")
def test_the_version(desk: Desk) -> None:
    assert desk.run("--version").stdout == desk.run("-V").stdout == f"photosearch {__version__}\n"


def test_without_a_command_the_help_is_shown(desk: Desk) -> None:
    result = desk.run()
    assert result.exit_code == 2
    assert result.output.startswith("Usage: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("find", "--colour", "red"),
        ("find",),
        ("judge",),
        ("nothing",),
        ("folders", "nothing"),
        ("index", "--tiles", "26"),
        ("index", "--workers", "0"),
        ("find", "red", "--min-score", "1.1"),
        ("find", "red", "-n", "-1"),
        ("find", "red", "--limit", "many"),
    ],
)
def test_a_command_that_is_written_wrongly_exits_2_and_prints_no_result(desk: Desk, arguments: tuple[str, ...]) -> None:
    result = desk.run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Error: " in result.stderr


def complete(desk: Desk, *words: str) -> list[str]:
    """What a shell offers for the last word, as bash asks for it."""
    asked = {"_PHOTOSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("photosearch", *words)),
             "COMP_CWORD": str(len(words)), "PHOTOSEARCH_DB": str(desk.library)}  # fmt: skip
    program = "from photosearch.cli.app import main; main()"
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **asked})
    assert done.stderr == ""
    return done.stdout.split()


def test_a_shell_completes_labels_models_and_commands(desk: Desk) -> None:
    assert complete(desk, "labels", "") == [], "no library, no labels, and no word of it"
    assert complete(desk, "labels", "--model", "si") == ["sight"]
    desk.index()
    assert complete(desk, "labels", "re") == complete(desk, "find", "not", "re") == ["red"]
    assert complete(desk, "mark", "a.jpg", "--is", "") == ["red", "green", "blue"]
    assert complete(desk, "lab") == ["labels", "label"]
    desk.library.write_bytes(b"damaged")
    assert complete(desk, "labels", "re") == []
