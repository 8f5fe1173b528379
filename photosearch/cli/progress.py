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
    """advance: by one photo. print: a line above the bar. restart: at 0, with another total.

    total: number of photos, once they are counted; restart leaves it.
    """

    advance: Callable[[], None]
    print: Callable[[str], None]
    restart: Callable[[int], None] = lambda total: None
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
        log = _LoggedProgress(clock)
        yield Progress(log.advance, note, log.restart)
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
        start, done, shown, restarted = time.monotonic(), 0, 0.0, False

        def advance() -> None:
            nonlocal done, shown
            done += 1
            now = time.monotonic()
            if now - shown > 0.1:
                shown = now
                speed = done / max(now - start, 1e-9)
                bar.update(task, completed=done, rate=f"{speed:,.{0 if speed >= 10 else 1}f} photos/s")

        def restart(total: int) -> None:
            nonlocal start, done, restarted
            start, done, restarted = time.monotonic(), 0, True
            bar.reset(task, total=total, rate="")

        progress = Progress(advance, lambda text: bar.console.print(escape(text)), restart)

        def count_all() -> None:
            progress.total = count()
            if not restarted:
                bar.update(task, total=progress.total)

        threading.Thread(target=count_all, daemon=True).start()
        yield progress


class _LoggedProgress:
    """A line per minute."""

    def __init__(self, clock: Callable[[], float]):
        self._clock, self._done, self._logged = clock, 0, clock()
        self._total: int | None = None

    def advance(self) -> None:
        self._done += 1
        now = self._clock()
        if now - self._logged >= LOG_SECONDS:
            self._logged = now
            photos = format_count(self._done, "photo")
            note(f"{photos} so far" if self._total is None else f"Text: {self._done:,} of {self._total:,} so far")

    def restart(self, total: int) -> None:
        self._done, self._total = 0, total
