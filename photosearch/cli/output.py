"""What is printed where: tables for people, lines for programs, CSV, notes on stderr."""

import contextlib
import io
import os
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO

import typer

from photosearch.web.escaping import HARMFUL, escape, escape_character

if TYPE_CHECKING:
    pass

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")  # they could split a line, or its columns


def quote(text: str, dangerous: re.Pattern[str]) -> str:
    """A cell of a table: as it is, or in bash's quoting where it holds dangerous characters: $'a\\tb.jpg'."""
    if not dangerous.search(text):
        return text
    inside = (f"\\{c}" if c in "\\'" else escape_character(c) if dangerous.match(c) else c for c in text)
    return f"$'{''.join(inside)}'"


def to_bytes(text: str) -> bytes:
    """Text for programs, with the bytes of file names as they are on disk."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace")


@contextlib.contextmanager
def guard_stdout() -> Iterator[None]:
    """Where stdout can't be written, say so in one line and exit with 1. Escape what its encoding lacks."""
    printed = io.BytesIO()
    closed = sys.stdout is None
    if closed:  # by the shell; the next open file must not get its number
        os.open(os.devnull, os.O_WRONLY)
        sys.stdout = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        typer.echo("", nl=False)  # flushes
    except BrokenPipeError:  # the reader has enough; typer handles it
        raise
    except OSError as error:
        from photosearch import outputs

        printers = (typer.echo.__code__, outputs.print_data.__code__)
        if not any(frame.f_code in printers for frame, _ in traceback.walk_tb(error.__traceback__)):
            raise
        with contextlib.suppress(OSError):  # else the interpreter tries again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        note(f"photosearch: can't print: {error.strerror}")
        raise typer.Exit(1) from None
    finally:
        if closed:
            sys.stdout = None
    if closed and printed.getvalue():
        note("photosearch: can't print: stdout is closed")
        raise typer.Exit(1)


def note(text: str) -> None:
    """Print a line to stderr."""
    with contextlib.suppress(OSError):  # there is nowhere else to report it
        typer.echo(escape(text), err=True)


def format_time(utc: str) -> str:
    """2026-11-27T15:58:00Z -> the local time, 2026-11-27 16:58."""
    return f"{datetime.fromisoformat(utc).astimezone():%Y-%m-%d %H:%M}"


def format_size(n_bytes: int) -> str:
    """12 KB, 3.4 MB, 1.2 GB."""
    if n_bytes < 100_000:
        return f"{-(-n_bytes // 1000):,} KB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"


def format_count(n: int, one: str, many: str | None = None) -> str:
    """1 photo, 2 photos, 1,234 photos."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on a terminal, else tab-separated lines without the head."""
    if not rows:
        return
    if not sys.stdout.isatty():
        lines = ("\t".join(quote(cell, CONTROLS) for cell in row) + "\n" for row in rows)
        typer.echo(to_bytes("".join(lines)), nl=False)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=any(head), header_style="bold")
    for name in head:
        table.add_column(name, justify="right" if name in ("score", "similarity") else "left")
    for row in rows:
        table.add_row(*(Text(quote(cell, HARMFUL)) for cell in row))
    open_console(width=100_000).print(table, soft_wrap=False)  # a wrapped path can't be copied


def print_csv(rows: Iterable[Sequence[object]]) -> None:
    typer.echo(to_csv(rows), nl=False)


def to_csv(rows: Iterable[Sequence[object]]) -> bytes:
    from photosearch import format_csv

    return to_bytes(format_csv(rows))


def print_paths(paths: Sequence[str], *, null: bool) -> None:
    """Print paths as on disk, each followed by a newline, or by NUL; warn where a path itself holds a newline."""
    end = b"\0" if null else b"\n"
    typer.echo(b"".join(os.fsencode(path) + end for path in paths), nl=False)
    if not null and (broken := sum("\n" in path for path in paths)):
        note(f"{format_count(broken, 'path holds', 'paths hold')} a newline, so that lines are not paths; use -0")


def has_styles(stream: TextIO) -> bool:
    """Whether escape sequences may be written: to a terminal that obeys them, if NO_COLOR (no-color.org) is not set."""
    terminal = os.environ.get("TERM", "" if os.name == "posix" else "windows")
    return stream.isatty() and terminal not in ("", "dumb", "unknown") and not os.environ.get("NO_COLOR")


def open_console(*, stderr: bool = False, width: int | None = None) -> Any:
    from rich.console import Console

    if width is None and not os.environ.get("COLUMNS", "80").strip("0"):
        width = 80  # a size of 0 is unknown
    height = None if width is None else 25  # on a dumb terminal, rich takes a width only with a height
    return Console(
        stderr=stderr, width=width, height=height, highlight=False, markup=False, emoji=False, soft_wrap=True,
        color_system="auto" if has_styles(sys.stderr if stderr else sys.stdout) else None,
    )  # fmt: skip
