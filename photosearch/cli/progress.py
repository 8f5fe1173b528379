"""The progress of a run: a bar on a terminal, lines in a log."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from photosearch.cli.output import format_count, has_styles, note, open_console
from photosearch.web.escaping import escape

LOG_SECONDS = 60.0  # between lines of a log


@dataclass(slots=True)
class Progress:
    """advance: by one photo. print: a line above the bar. total: number of photos, once they are counted."""

    advance: Callable[[], None]
    print: Callable[[str], None]
    total: int | None = None


@contextlib.contextmanager
def show_progress(
    count: Callable[[], int], quiet: bool, clock: Callable[[], float] = time.monotonic
) -> Iterator[Progress]:
    """A bar on a terminal that can move its cursor, its total counted meanwhile; else, for a log, a line per minute."""
    if quiet:
        yield Progress(lambda: None, lambda text: None)
        return
    if not has_styles(sys.stderr):
        yield Progress(_log_progress(clock), note)
        return
    with _show_bar(count) as progress:
        yield progress


@contextlib.contextmanager
def _show_bar(count: Callable[[], int]) -> Iterator[Progress]:
    from rich import progress as rich_progress

    columns = (
        rich_progress.BarColumn(), rich_progress.TaskProgressColumn(), rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[rate]}"), rich_progress.TextColumn("remaining:"),
        rich_progress.TimeRemainingColumn(),
    )  # fmt: skip
    with rich_progress.Progress(*columns, console=open_console(stderr=True), transient=True) as bar:
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
    done, logged = 0, clock()

    def advance() -> None:
        nonlocal done, logged
        done += 1
        now = clock()
        if now - logged >= LOG_SECONDS:
            logged = now
            note(f"{format_count(done, 'photo')} so far")

    return advance
