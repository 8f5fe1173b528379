"""The API for marks: the queue of photos to judge, marks and their undo, the report on a label and its threshold.

The server keeps no list of what can be undone: a tab knows the steps of the marks that it made, and undoes those.
"""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from starlette.datastructures import QueryParams

from photosearch import Library
from photosearch.web.parameters import check_threshold, parse_number
from photosearch.web.responses import (
    AlbumUndone,
    Mark,
    Marks,
    Queue,
    Report,
    Sample,
    Threshold,
    make_figures,
    make_marks,
    make_queue,
)
from photosearch.web.state import ServerState

if TYPE_CHECKING:
    from photosearch import ReviewKind

SAMPLE_PHOTOS = 60  # drawn at once, by default


@dataclass(frozen=True, slots=True)
class MarkRequest:
    """present: whether the image shows the label; None removes the mark. new: whether the label may be a new one."""

    image_id: int
    label: str
    present: bool | None
    new: bool = False


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """step: as the answer to a mark, or to a change of an album, gave it."""

    step: int


@dataclass(frozen=True, slots=True)
class SampleRequest:
    label: str
    n: int = SAMPLE_PHOTOS


@dataclass(frozen=True, slots=True)
class ThresholdRequest:
    """threshold: None restores the model's own."""

    label: str
    threshold: float | None


def list_queue(_: ServerState, library: Library, query: QueryParams) -> Queue:
    kind = cast("ReviewKind", query.get("kind", "near"))  # the library refuses other words
    return make_queue(library.samples.queue(query.get("label", ""), kind))


def read_report(_: ServerState, library: Library, query: QueryParams) -> Report:
    """The report at a threshold, by default the label's own."""
    threshold = _read_threshold(library, query.get("label", ""))
    if not library.marks.list(threshold.label):
        return Report(threshold, None, [])
    at = parse_number(query["threshold"]) if query.get("threshold") else None
    report = library.report(threshold.label, threshold=at)
    return Report(threshold, make_figures(report), [(round(j.score, 4), j.present) for j in report.judged])


def mark(_: ServerState, library: Library, request: MarkRequest) -> Marks:
    done = library.marks.set_image(request.image_id, request.label, request.present, new=request.new)
    return Marks([Mark(request.image_id, done.label, request.present)], done.step)


def undo(_: ServerState, library: Library, request: UndoRequest) -> Marks:
    """Of marks, or of an album: their steps are of one log."""
    if not library.albums.has_step(request.step):
        return make_marks(library.marks.undo(request.step))
    undone = library.albums.undo(request.step)
    return Marks([], None, None if undone is None else AlbumUndone(undone.name, undone.change, undone.images))


def draw_sample(_: ServerState, library: Library, request: SampleRequest) -> Sample:
    label = library.labels.get(request.label)
    # A seed of its own, unlike the command's 0: a second click should draw other photos.
    sample = library.samples.draw(label.name, request.n, seed=secrets.randbelow(2**31))
    return Sample(label.name, sample.id, len(sample.photos))


def save_threshold(_: ServerState, library: Library, request: ThresholdRequest) -> Threshold:
    label = library.labels.get(request.label)
    library.labels.set_threshold(label, check_threshold(request.threshold))
    return _read_threshold(library, label.name)


def _read_threshold(library: Library, name: str) -> Threshold:
    label = library.labels.get(name)
    return Threshold(label.name, label.model, label.threshold, label.saved)
