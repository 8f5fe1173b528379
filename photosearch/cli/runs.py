"""What `index` and `merge` share: following a run's events, its summary, Ctrl-C."""

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

from photosearch.cli.output import format_count, note
from photosearch.cli.progress import show_progress

if TYPE_CHECKING:
    from photosearch import Event, RunSummary

MAX_EXTENSIONS = 8  # named in the line of skipped files
VIDEOS = frozenset(  # extensions in lower case
    ".mp4 .mov .m4v .avi .mkv .webm .mpg .mpeg .mts .m2ts .3gp .3g2 .wmv .flv .lrv .insv .ogv .vob".split()
)
COUNTED = (  # the fields of a summary in the order of its line
    "new", "changed", "rescored", "unchanged", "moved", "returned", "unreadable", "excluded", "removed",
)  # fmt: skip


def follow(
    happened: "Iterator[Event]", count: Callable[[], int], *, quiet: bool, verbose: bool
) -> tuple["RunSummary", int | None, float]:
    """Run to the end behind a progress bar.

    -> (the run's counts, the photos in the folders if they were counted, seconds that reading text took)
    """
    from photosearch import RunSummary, events

    run, begun = RunSummary(), None
    with show_progress(count, quiet) as progress:
        for event in happened:
            present = run.present
            run.add(event)
            if line := describe_event(event, verbose):
                progress.print(line)
            if isinstance(event, events.TextPassBegun):
                progress.restart(event.pictures)
                begun = time.perf_counter()
            if run.present > present or isinstance(event, events.TextRead | events.TextReadFailed):
                progress.advance()
    return run, progress.total, 0.0 if begun is None else time.perf_counter() - begun


def describe_event(event: "Event", verbose: bool) -> str | None:
    """A line for an event that a user should know of; None for an ordinary one."""
    from photosearch import events

    match event:
        case events.ReadFailed(path, reason, remembered) if verbose and not remembered:
            return f"{path}: {reason}"
        case events.ListFailed(path, reason):
            return f"{path}: can't be listed: {reason}; its photos stay in the library"
        case events.RootMoved(before, path):
            return f"{before} is now {path}; nothing is indexed again"
        case events.SettingsSaved(path, settings):
            return f"{path}: settings saved: {settings}"
        case events.PatternUnused(path, pattern, excludes):
            if excludes:
                return f"--exclude {pattern}: excludes nothing in {path}"
            return f"--include {pattern}: matches nothing in {path} that is excluded"
        case events.TextPassBegun(_, pictures):
            return f"Reading the text in {format_count(pictures, 'picture')}; the photos can be searched meanwhile."
        case events.TextPassRefused(path, reason):
            return f"{path}: {reason}; or, to do without: photosearch index --no-ocr"
        case events.TextReadFailed(path, reason, _) if verbose:
            return f"{path}: its text can't be read: {reason}"
        case events.ShardRowSkipped(path, reason) if verbose:
            return f"{path}: skipped: {reason}"
        case events.WorkerDied(path, photos, reason):
            return f"{reason}; trying {format_count(photos, 'photo')} again, the first is {path}"
        case events.NotScored(path, photos, reason):
            return f"{format_count(photos, 'photo')} not scored, the first is {path}: {reason}; run the command again"
        case events.WatchStarted(path, None, ""):
            return f"Watching {path}"
        case events.WatchStarted(path, None, reason):
            return f"{path}: can't be watched: {reason}; it is indexed again once an hour"
        case events.WatchStarted(path, seconds, "--poll"):
            return f"Watching {path}, every {seconds:g} s"
        case events.WatchStarted(path, seconds, reason):
            return f"Watching {path}, every {seconds:g} s: {reason}"
        case events.FolderAway(path):
            return f"{path}: empty or not connected; nothing changes until its photos are there"
        case events.RemovalRefused(path, missing, known, earlier):
            after = f" after {earlier:,} others" if earlier else ""
            return (f"{path}: {missing:,} of {known:,} photos are missing{after}, so none was removed from the "
                    "library. Is a drive not connected? If they are deleted: photosearch index --prune")  # fmt: skip
    return None


def print_summary(run: "RunSummary", seconds: float, source: str, total: int | None, text_seconds: float = 0.0) -> None:
    """source: what scored, for people. total: photos in the folders, of a run that was stopped.

    text_seconds: that reading text took, besides `seconds`.
    """
    counts = [f"{getattr(run, name):,} {name}" for name in COUNTED if getattr(run, name) or name == "new"]
    if run.rescored_reasons:
        reasons = ", ".join(run.rescored_reasons)
        counts = [f"{c} ({reasons})" if c.endswith(" rescored") else c for c in counts]
    photos = format_count(run.present, "photo")
    if total is not None:
        photos = f"{run.present:,} of {format_count(total, 'photo')}"
    note(f"{photos}: {', '.join(counts)}; {seconds:.1f} s{describe_speed(run.scored, seconds, source)}")
    if run.metadata_read:
        speed = _per_second(run.metadata_read, seconds)
        note(f"Metadata read of {format_count(run.metadata_read, 'unchanged photo')}, {speed:,.0f} a second")
    if run.texts_read or run.texts_failed:
        failed = f", {run.texts_failed:,} could not be read" if run.texts_failed else ""
        speed = run.texts_read / max(text_seconds, 1e-9)
        note(f"Text found in {run.texts_found:,} of {format_count(run.texts_read, 'picture')}{failed}; "
             f"{text_seconds:.1f} s, {speed:,.{0 if speed >= 10 else 1}f} a second")  # fmt: skip
    if run.unreadable or run.texts_failed:
        note("To see why photos are unreadable: photosearch errors")
    if run.skipped_files:
        note(describe_skipped(run.skipped_files))


def _per_second(n: int, seconds: float) -> float:
    return n / max(seconds, 1e-9)  # a coarse clock may say none


def describe_speed(scored: int, seconds: float, source: str) -> str:
    speed = _per_second(scored, seconds)
    return f", {speed:,.{0 if speed >= 10 else 1}f} photos/s, {source}" if scored else ""


def describe_skipped(files: Counter[str]) -> str:
    """Files that are no readable photos, by extension, and how to read some of them."""
    from photosearch import find_extra

    videos = Counter({extension: n for extension, n in files.items() if extension in VIDEOS})
    named = (files - videos).most_common(MAX_EXTENSIONS)
    parts = [f"{n:,} {extension or 'without an extension'}" for extension, n in named]
    if videos:
        kinds = ", ".join(f"{n:,} {extension}" for extension, n in videos.most_common())
        parts.insert(0, f"{format_count(videos.total(), 'video')} ({kinds})")
        named += videos.items()
    if len(files) > len(named):
        parts.append(f"{sum(files.values()) - sum(n for _, n in named):,} others")
    extras: dict[str, list[str]] = {}
    for extension, _ in named:
        if (command := find_extra(extension)) is not None:
            extras.setdefault(command, []).append(extension)
    lines = [f"To read {', '.join(extensions)}: {command}" for command, extensions in extras.items()]
    return ". ".join([f"Skipped files: {', '.join(parts)}", *lines])


class Stop(threading.Event):
    """exit_code: 130 after Ctrl-C, 143 after SIGTERM, as shells have it. idle: nothing is at work that must finish."""

    exit_code = 130
    idle = False


@contextlib.contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Ctrl-C or SIGTERM sets the event; a second one interrupts at once. The old handlers are restored."""
    stop = Stop()

    def handle(number: int, _: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        stop.exit_code = 128 + number
        if not stop.idle:
            note("\nFinishing the current batch; press Ctrl-C again to stop at once.")

    signals = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(s, handle) for s in signals]
    try:
        yield stop
    finally:
        for s, handler in zip(signals, before, strict=True):
            signal.signal(s, handler)


def end_if_stopped(stop: Stop) -> None:
    if stop.is_set():
        note("Stopped. Finished work is saved; run the same command to continue.")
        raise typer.Exit(stop.exit_code)
