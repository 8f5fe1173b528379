"""An environment for the command line: a folder of photos, two toy models, a library not created yet, a runner."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toy import photo, toy_card, write_toy
from typer.testing import CliRunner, Result

from photosearch.cli.app import app

COUNTS = dict.fromkeys(
    ("new", "changed", "rescored", "unchanged", "moved", "returned", "unreadable", "excluded", "removed"), 0
)


@dataclass(frozen=True, slots=True)
class CliEnv:
    """`model` is called toy; `other`, from another file, gives the same scores."""

    folder: Path
    photos: Path
    model: Path
    other: Path
    library: Path

    def run(self, *arguments: object, **options: object) -> Result:
        words = [str(a) for a in arguments]
        return CliRunner().invoke(app, words, prog_name="photosearch", catch_exceptions=False, **options)

    def index(self, *arguments: object) -> Result:
        return self.run("index", self.photos, "--model", self.model, *arguments)


def make_cli_env(folder: Path) -> CliEnv:
    photos = folder / "photos"
    photo(photos / "red.jpg", "red")
    photo(photos / "2019" / "white.png", "white")
    photo(photos / "2019" / "blue.webp", "blue", lossless=True)
    model = write_toy(folder / "toy.onnx")
    other = write_toy(folder / "other.onnx", toy_card(name="other"))
    return CliEnv(folder, photos, model, other, folder / "data" / "library.db")


def counts(result: Result) -> dict[str, object]:
    """The numbers of an index's JSON."""
    assert result.exit_code == 0, result.output
    return {k: v for k, v in json.loads(result.stdout).items() if k in COUNTS}


def names(result: Result) -> list[str]:
    """The photos in a find's JSON, best first."""
    assert result.exit_code == 0, result.output
    return [os.path.basename(row["path"]) for row in json.loads(result.stdout)["photos"]]


def notes(result: Result) -> list[str]:
    """The lines on stderr of a command that succeeded."""
    assert result.exit_code == 0, result.output
    return result.stderr.splitlines()


def fail(result: Result) -> str:
    """The one line of an error of ours, which prints no result, without the program's name."""
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("photosearch: ")
    return line.removeprefix("photosearch: ")


def run_on_terminal(*arguments: object, size: tuple[int, int] = (80, 25), **environment: str) -> str:
    """What a command writes to a terminal that answers no query. size: columns and rows, 0 where it is unknown."""
    return _read_terminal(list_words(arguments), size, environment)


def _read_terminal(program: list[str], size: tuple[int, int], environment: dict[str, str]) -> str:
    import pty
    import termios

    master, terminal = pty.openpty()
    termios.tcsetwinsize(master, size[::-1])
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    env = {**inherited, "TERM": "xterm-256color", "COLORTERM": "truecolor", **environment}
    run = subprocess.Popen(program, stdin=terminal, stdout=terminal, stderr=terminal, env=env)
    os.close(terminal)
    output = b""
    with contextlib.suppress(OSError):  # Linux's end of file
        while data := os.read(master, 1 << 16):
            output += data
    os.close(master)
    run.wait()
    return output.decode()


EACH = """
import json, sys
from photosearch.cli.app import app
for words in json.loads(sys.argv[1]):
    try:
        app(words, prog_name="photosearch")
    except SystemExit:
        print(end="\\x1c", flush=True)
"""


def run_each(
    commands: Sequence[Sequence[str]], size: tuple[int, int] | None = (80, 25), **environment: str
) -> list[str]:
    """What each of some commands writes, run in one process. size: as of run_on_terminal; None for a pipe."""
    program = [sys.executable, "-P", "-c", EACH, json.dumps(commands)]
    if size is None:
        done = subprocess.run(
            program, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment}
        )
        text = done.stdout
    else:
        text = _read_terminal(program, size, environment)
    *texts, rest = text.split("\x1c")
    assert (len(texts), rest) == (len(commands), ""), text
    return texts


def photosearch(*arguments: object, **options: object) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        list_words(arguments),
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options},  # type: ignore[call-overload]
    )  # fmt: skip


def list_words(arguments: Sequence[object]) -> list[str]:
    """What starts the command in a process of its own."""
    return [sys.executable, "-P", "-c", "from photosearch.cli.app import main; main()", *map(str, arguments)]
