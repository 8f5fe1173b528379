"""How things are printed: tables for people, lines for programs, CSV, the progress of a run."""

import contextlib
import io
import os
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from photosearch.library.matching import Match

CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")  # what would part a line, or its columns
# What can harm a terminal: controls, marks of direction, ends of lines and paragraphs, bytes that are no text.
HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
MINUTE = 60.0  # seconds between lines of a log
SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    """Text for a terminal: a file's name may hold anything, and what a terminal would obey must not reach it."""
    return HARMFUL.sub(lambda found: found[0] if found[0] == "\n" else _code(found[0]), text)


def quote(text: str, dangerous: re.Pattern[str]) -> str:
    """A cell of a table: as it is, or as bash reads it where it holds something dangerous: $'a\\tb.jpg'."""
    if not dangerous.search(text):
        return text
    inside = (f"\\{c}" if c in "\\'" else _code(c) if dangerous.match(c) else c for c in text)
    return f"$'{''.join(inside)}'"


def _code(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return SHORT.get(character) or (f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}")


def to_bytes(text: str) -> bytes:
    """Text for programs, with names as the disk has them."""
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        return text.encode(errors="backslashreplace")


@contextlib.contextmanager
def guard_stdout() -> Iterator[None]:
    """Where what is printed can't be written, say so in a line, and exit with 1. What an encoding lacks is escaped."""
    printed = io.BytesIO()
    closed = sys.stdout is None
    if closed:  # by the shell; the next file to be opened must not take its number
        os.open(os.devnull, os.O_WRONLY)
        sys.stdout = io.TextIOWrapper(printed, encoding="utf-8", write_through=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        yield
        typer.echo("", nl=False)  # flushes
    except BrokenPipeError:  # who read it has enough; typer sees to it
        raise
    except OSError as error:
        if not any(frame.f_code is typer.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__)):
            raise
        with contextlib.suppress(OSError):  # else the interpreter tries once more as it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        note(f"photosearch: can't print: {error.strerror}")
        raise typer.Exit(1) from None
    if closed and printed.getvalue():
        note("photosearch: can't print: stdout is closed")
        raise typer.Exit(1)


def note(text: str) -> None:
    """A line on stderr."""
    with contextlib.suppress(OSError):  # there is nowhere else to say it
        typer.echo(escape(text), err=True)


def say_when(utc: str) -> str:
    """2026-11-27T15:58:00Z as the clock on the wall had it: 2026-11-27 16:58."""
    return f"{datetime.fromisoformat(utc).astimezone():%Y-%m-%d %H:%M}"


def say_count(n: int, one: str, many: str | None = None) -> str:
    """1 photo, 2 photos, 1,234 photos."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table where a person reads, tab-separated lines where a program does."""
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
    open_console(width=100_000).print(table, soft_wrap=False)  # a path that is folded can't be copied


def print_csv(rows: Iterable[Sequence[object]]) -> None:
    typer.echo(to_csv(rows), nl=False)


def to_csv(rows: Iterable[Sequence[object]]) -> bytes:
    from photosearch.judging.csv_rows import format_csv

    return to_bytes(format_csv(rows))


def print_paths(found: "Sequence[Match]", end: bytes) -> None:
    """The paths as the disk has them, each with its end."""
    typer.echo(b"".join(os.fsencode(f.path) + end for f in found), nl=False)


@dataclass(slots=True)
class Progress:
    """advance: by one photo. say: a line beside the bar. total: how many photos there are, once they are counted."""

    advance: Callable[[], None]
    say: Callable[[str], None]
    total: int | None = None


@contextlib.contextmanager
def show_progress(
    count: Callable[[], int], quiet: bool, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """A bar where stderr is a terminal, whose total comes when counted. For a log, a line a minute."""
    if quiet:
        yield Progress(lambda: None, lambda text: None)
        return
    if not sys.stderr.isatty():
        yield Progress(_log_progress(clock), note)
        return
    from rich import progress as shown_by

    columns = (
        shown_by.BarColumn(), shown_by.TaskProgressColumn(), shown_by.MofNCompleteColumn(),
        shown_by.TextColumn("{task.fields[rate]}"), shown_by.TextColumn("left:"), shown_by.TimeRemainingColumn(),
    )  # fmt: skip
    with shown_by.Progress(*columns, console=open_console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None, rate="")
        start, done, shown = time.monotonic(), 0, 0.0

        def advance() -> None:
            nonlocal done, shown
            done += 1
            now = time.monotonic()
            if now - shown > 0.1:
                shown = now
                bar.update(task, completed=done, rate=f"{done / max(now - start, 1e-9):,.0f} photos/s")

        progress = Progress(advance, lambda text: bar.console.print(escape(text)))

        def count_all() -> None:
            progress.total = count()
            bar.update(task, total=progress.total)

        threading.Thread(target=count_all, daemon=True).start()
        yield progress


def _log_progress(clock: Callable[[], float]) -> Callable[[], None]:
    done, said = 0, clock()

    def advance() -> None:
        nonlocal done, said
        done += 1
        now = clock()
        if now - said >= MINUTE:
            said = now
            note(f"{say_count(done, 'photo')} so far")

    return advance


def open_console(*, stderr: bool = False, width: int | None = None) -> Any:
    from rich.console import Console

    height = None if width is None else 25  # rich takes a width only with a height, where a terminal is dumb
    return Console(
        stderr=stderr, width=width, height=height, highlight=False, markup=False, emoji=False, soft_wrap=True
    )
