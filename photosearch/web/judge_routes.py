"""The API for marks: the queue of photos to judge, marks and their undo, the report on a label and its threshold.

The library has one undo log: marks of the command line, of this page and of another tab are undone newest first.
"""

import secrets
from typing import TYPE_CHECKING, cast

from starlette.datastructures import QueryParams

from photosearch import Library
from photosearch.errors import InputError
from photosearch.web.parameters import Body, parse_integer, parse_mark, parse_number, parse_threshold
from photosearch.web.responses import (
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


def mark(_: ServerState, library: Library, body: Body) -> Marks:
    """Mark an image as showing a label or not; present: null removes the mark."""
    image_id, present = parse_integer(body.get("image_id")), parse_mark(body.get("present"))
    label, _before = library.marks.set_image(image_id, str(body.get("label")), present)
    return Marks([Mark(image_id, label.name, present)], library.marks.count_undo_steps())


def undo(_: ServerState, library: Library, body: Body) -> Marks:
    """Undo the library's last change of marks: one mark, or all that a command made at once."""
    undone = library.marks.undo()
    if not undone:
        raise InputError("nothing to undo")
    return make_marks(undone, library.marks.count_undo_steps())


def draw_sample(_: ServerState, library: Library, body: Body) -> Sample:
    label = library.labels.get(str(body.get("label")))
    # A seed of its own, unlike the command's 0: a second click should draw other photos.
    seed = secrets.randbelow(2**31)
    sample = library.samples.draw(label.name, parse_integer(body.get("n", SAMPLE_PHOTOS)), seed=seed)
    return Sample(label.name, sample.id, len(sample.photos))


def save_threshold(_: ServerState, library: Library, body: Body) -> Threshold:
    """threshold: null restores the model's own."""
    label = library.labels.get(str(body.get("label")))
    library.labels.set_threshold(label, parse_threshold(body.get("threshold")))
    return _read_threshold(library, label.name)


def _read_threshold(library: Library, name: str) -> Threshold:
    label = library.labels.get(name)
    return Threshold(label.name, label.model, label.threshold, label.saved)
