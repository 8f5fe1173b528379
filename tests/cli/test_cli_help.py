"""What a command says of itself, and what it says where it is called wrongly."""

import re
from collections.abc import Iterator

import pytest
import typer
from desk import Desk

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
    assert usage("mark") == "PHOTO..."
    assert usage("judge") == "LABEL [NUMBERS...]"
    assert usage("truth", "import") == "FILE.csv"
    assert "\nArguments:\n  DIR  Folders of photos; without, all that are known.\n" in desk.run("index", "-h").stdout


def test_the_commands_stand_in_the_order_in_which_a_person_needs_them(desk: Desk) -> None:
    listed = re.findall(r"^  ([a-z]+)  ", desk.run("--help").stdout.partition("Commands:")[2], re.M)
    assert listed[:3] == ["index", "folders", "find"]
    assert sorted(listed) == sorted(words[0] for words in commands() if len(words) == 1)


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
