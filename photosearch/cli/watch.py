"""`index --watch`: a line for each round of changes."""

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import typer

from photosearch.cli.output import note
from photosearch.cli.runs import Stop, describe_event, print_summary

if TYPE_CHECKING:
    from photosearch import Event, RunSummary


def watch_folders(
    events: "Iterator[Event]", stop: Stop, name_source: Callable[[], str], *, as_json: bool, quiet: bool, verbose: bool
) -> None:
    """Print what happens until `stop` is set.

    name_source: what scored in the last run, for people. as_json: a line for each round that changed something.
    """
    from photosearch import RunSummary
    from photosearch import events as kinds

    run, news, stop.idle = RunSummary(), False, True
    for event in events:
        stop.idle = isinstance(event, (kinds.RoundEnded, kinds.WatchStarted, kinds.FolderAway))
        news = news or _is_news(event)
        run.add(event)
        line = describe_event(event, verbose)
        if line is not None and not quiet:
            note(line)
        if isinstance(event, kinds.RoundEnded):
            if news:
                _print_round(run, event.seconds, name_source(), as_json=as_json, quiet=quiet)
            run, news = RunSummary(), False
    if not quiet:
        note("Stopped watching; finished work is saved.")


def _is_news(event: "Event") -> bool:
    from photosearch import events as kinds

    if isinstance(event, kinds.ReadFailed):
        return not event.remembered
    changes = (kinds.New, kinds.Changed, kinds.Rescored, kinds.Moved, kinds.Returned, kinds.Excluded, kinds.Removed)
    return isinstance(event, (*changes, kinds.MetadataRead))


def _print_round(run: "RunSummary", seconds: float, source: str, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        typer.echo(json.dumps({**run.to_json(), "seconds": round(seconds, 3)}))
    if not quiet:
        run.skipped_files.clear()  # named after the first index
        print_summary(run, seconds, source, None)
