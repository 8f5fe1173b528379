"""What the server sends to the pages: records, which become JSON objects with their fields as keys.

Those that are made from the library's records have a function below.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Literal

from starlette.responses import Response

from photosearch import USER_MODEL, Hint

if TYPE_CHECKING:  # at run time they would bring in rooms that the server does without
    from photosearch import (
        Answer,
        Burst,
        Chip,
        DuplicateGroup,
        ImageDetails,
        LabelReport,
        LearnPreview,
        Match,
        ReviewQueue,
        TextLine,
        UndoneMark,
    )

MAX_SCORES = 24  # of an image


# An escape in JSON; the group: a character that changes the direction of text, or ends a line.
ESCAPE = re.compile(r"\\(?:u(061c|200[ef]|202[89a-e]|206[6-9])|.)")


class Json(Response):
    """JSON in ASCII, so that a file name that is not UTF-8 passes as lone surrogates.

    A direction control, with which a name can look like another one, arrives as visible text: \\u202e.
    """

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        text = json.dumps(content, default=_to_object, separators=(",", ":"), allow_nan=False)
        return ESCAPE.sub(lambda found: f"\\\\u{found[1]}" if found[1] else found[0], text).encode()


def _to_object(record: object) -> dict[str, object]:
    return {field.name: getattr(record, field.name) for field in fields(record)}  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class PhotoRow:
    """A photo in the grid. by, sure, copies, why: as in Match. present: its mark for the label that is being marked,
    None without one."""

    image_id: int
    photo_id: int
    name: str
    path: str
    score: float | None
    taken: str
    taken_from: str
    by: Literal["label", "similarity", "date"]
    sure: bool
    copies: int
    present: bool | None
    why: Sequence[str]


@dataclass(frozen=True, slots=True)
class Advice:
    """A line for the user. words: the question that it suggests, if any. label: one that is to be learned first.

    model: one to download.
    """

    text: str
    words: str
    label: str
    model: str


@dataclass(frozen=True, slots=True)
class Total:
    """total: the photos of a result. n_sure: how many of them are sure; they come first."""

    total: int
    n_sure: int


@dataclass(frozen=True, slots=True)
class ChipRow:
    """A piece of a question, as in Chip."""

    kind: str
    value: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class FacetRow:
    """As in FacetCount."""

    value: str
    group: str
    photos: int
    is_least: bool


@dataclass(frozen=True, slots=True)
class FolderRow:
    """photos: in the folder and below it. own: in the folder itself."""

    id: str
    path: str
    photos: int
    own: int


@dataclass(frozen=True, slots=True)
class ClusterRow:
    """Photos near each other on the map, as in Cluster."""

    photos: int
    latitude: float
    longitude: float
    south: float
    west: float
    north: float
    east: float
    image_id: int


@dataclass(frozen=True, slots=True)
class Words:
    """A question."""

    words: str


@dataclass(frozen=True, slots=True)
class Found:
    """The first photos of an answer. result: an id. label: the one to mark. total: None where it is not known yet.

    is_user_label: whether the user's own labels found them, and no model's. sure: whether any photo is. more: whether
    less similar photos follow, for who asks. since, until: as in Answer. album: from which photos can be removed.
    chips: what the words were understood as.
    """

    result: str
    question: str
    ranked_by: Literal["label", "similarity", "date"]
    models: Sequence[str]
    is_user_label: bool
    labels: Sequence[str]
    label: str | None
    sure: bool
    more: bool
    hints: Sequence[Advice]
    since: str | None
    until: str | None
    album: str | None
    explanation: Sequence[str]
    chips: Sequence[ChipRow]
    total: Total | None
    photos: Sequence[PhotoRow | None]


@dataclass(frozen=True, slots=True)
class Photos:
    """A part of a result. first: the index of its first photo."""

    first: int
    photos: Sequence[PhotoRow | None]


@dataclass(frozen=True, slots=True)
class Completion:
    """text: a whole question. photos: that have the label at its end, or are in the album there."""

    text: str
    photos: int


@dataclass(frozen=True, slots=True)
class LabelRow:
    """photos: that have the label. is_new: whether photos are marked with it, and `find` does not know it yet."""

    name: str
    photos: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Folder:
    id: str
    path: str


@dataclass(frozen=True, slots=True)
class Score:
    label: str
    model: str
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class File:
    """mtime_ns: None where it is unknown. unavailable: 'missing', 'away' with its drive, or None.

    details: what the file says, by the names of FileDetails; None where it was not read.
    """

    name: str
    path: str
    size_bytes: int
    mtime_ns: int | None
    unavailable: str | None
    photo_id: int
    details: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class TextBox:
    """A line of text in the picture."""

    text: str
    left: float
    top: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Details:
    """An image. scores: highest first. marks: label -> whether it is marked as shown.

    texts: the lines in the picture, each with the upright rectangle around its words, as shares of the picture; None
    where none was looked for.
    """

    image_id: int
    width: int
    height: int
    taken: str | None
    taken_from: str | None
    scores: Sequence[Score]
    marks: Mapping[str, bool]
    files: Sequence[File]
    texts: Sequence[TextBox] | None = None


@dataclass(frozen=True, slots=True)
class Album:
    """created: copies or links. existing: photos that the folder had already. missing: photos that were left out.

    indexed: the indexed folder in which copies lie.
    """

    folder: str
    created: int
    existing: int
    missing: int
    indexed: str | None


@dataclass(frozen=True, slots=True)
class QueueItem:
    image_id: int
    score: float
    other_score: float | None


@dataclass(frozen=True, slots=True)
class Queue:
    """Photos to judge. other_model: the one that disagrees. unjudged: photos left in the sample, None without one."""

    label: str
    model: str
    threshold: float
    kind: str
    other_model: str | None
    unjudged: int | None
    items: Sequence[QueueItem]


@dataclass(frozen=True, slots=True)
class Threshold:
    """saved: whether the user chose it."""

    label: str
    model: str
    threshold: float
    saved: bool


@dataclass(frozen=True, slots=True)
class Report:
    """threshold: the label's own. figures: None where no photo is marked. judged: (score, present) of marked photos."""

    threshold: Threshold
    figures: Mapping[str, object] | None
    judged: Sequence[tuple[float, bool]]


@dataclass(frozen=True, slots=True)
class Sample:
    label: str
    sample: int
    n_photos: int


@dataclass(frozen=True, slots=True)
class Mark:
    """present: None: not marked."""

    image_id: int
    label: str
    present: bool | None


@dataclass(frozen=True, slots=True)
class AlbumUndone:
    """A change of an album that was taken back, as in AlbumStep."""

    name: str
    change: str
    images: int


@dataclass(frozen=True, slots=True)
class Marks:
    """Marks that changed. step: what /api/undo takes to undo them, None after an undo. album: what else was undone."""

    marks: Sequence[Mark]
    step: int | None
    album: AlbumUndone | None = None


@dataclass(frozen=True, slots=True)
class MarkedMany:
    """n: images that were marked in one go. step: what /api/undo takes to undo it, None where there were none."""

    label: str
    n: int
    step: int | None


@dataclass(frozen=True, slots=True)
class AlbumRow:
    """An album of chosen photos."""

    name: str
    photos: int


@dataclass(frozen=True, slots=True)
class AlbumChanged:
    """As in AlbumChange. step: what /api/undo takes to undo it, None where nothing changed."""

    name: str
    photos: int
    created: bool
    step: int | None


@dataclass(frozen=True, slots=True)
class Zip:
    """id: of /zips/ID, which sends the zip file. photos: that are to go in."""

    id: str
    photos: int


@dataclass(frozen=True, slots=True)
class Paths:
    paths: Sequence[str]


@dataclass(frozen=True, slots=True)
class Shares:
    """Of a label on the marks, cross-validated; None where nobody can say."""

    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class LearningPreview:
    """What learning a label would change. better: whether it would replace the label before, if there is one.

    why: in words. found, found_before, added, removed: as in LearnPreview. shares, shares_before: on the same marks.
    """

    label: str
    better: bool
    why: str
    found: int
    found_before: int | None
    shares: Shares
    shares_before: Shares | None
    added: Sequence[PhotoRow]
    removed: Sequence[PhotoRow]


@dataclass(frozen=True, slots=True)
class Learned:
    """learned: whether the label was learned just now. exists: whether `find` knows it."""

    label: str
    learned: bool
    exists: bool


@dataclass(frozen=True, slots=True)
class DuplicatePhoto:
    """kind: the photo to keep, or how it is like that one. reason: as in Member."""

    image_id: int
    name: str
    path: str
    kind: str
    reason: str
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Duplicates:
    """A part of a list. list: its id. spare_bytes: of all photos that are not the ones to keep."""

    list: str
    total: int
    spare_bytes: int
    groups: Sequence[Sequence[DuplicatePhoto]]


@dataclass(frozen=True, slots=True)
class BurstPhoto:
    """sharpest: of its burst. sharpness: None where the photo can't be opened."""

    image_id: int
    name: str
    path: str
    sharpest: bool
    sharpness: float | None
    taken: str
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Bursts:
    """A part of a list. list: its id. photos: of all bursts."""

    list: str
    total: int
    photos: int
    groups: Sequence[Sequence[BurstPhoto]]


@dataclass(frozen=True, slots=True)
class SpareRow:
    """A file that would be moved. reason: why it is spare, empty of one that goes with a photo."""

    source: str
    target: str
    size_bytes: int
    reason: str


@dataclass(frozen=True, slots=True)
class LeftRow:
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Spares:
    """What moving would do. id: of the plan. folder: where to. photos, beside, size_bytes: of all files; rows and left
    are the first ones. excluded_from: the indexed folder that holds the target, which will be excluded from indexing.
    unfinished: things that a move had begun there."""

    id: str
    folder: str
    photos: int
    beside: int
    size_bytes: int
    rows: Sequence[SpareRow]
    n_left: int
    left: Sequence[LeftRow]
    excluded_from: str | None
    unfinished: int


@dataclass(frozen=True, slots=True)
class UnreadablePhoto:
    path: str
    reason: str
    since: str


# ---- from the library's records


def make_found(
    result_id: str,
    answer: "Answer",
    label: str | None,
    total: Total | None,
    photos: Sequence[PhotoRow | None],
    chips: "Sequence[Chip]",
    *,
    more: bool,
    album: str | None,
) -> Found:
    sure = answer.sure or (answer.ranked_by == "date" and bool(photos))
    return Found(
        result_id, answer.question, answer.ranked_by, answer.models, answer.models == (USER_MODEL,), answer.labels,
        label, sure, more, list(map(_make_advice, answer.hints)), answer.since, answer.until, album,
        answer.explanation, [ChipRow(chip.kind, chip.value, chip.wanted) for chip in chips], total, photos,
    )  # fmt: skip


def _make_advice(hint: str) -> Advice:
    if not isinstance(hint, Hint):
        return Advice(hint, "", "", "")
    return Advice(hint.about or hint, hint.words, hint.label, hint.model)


def make_photo_row(match: "Match", present: bool | None) -> PhotoRow:
    score = None if match.score is None else round(match.score, 4)
    return PhotoRow(
        match.image_id, match.photo_id, os.path.basename(match.path), match.path, score, match.taken,
        match.taken_from, match.by, match.sure, match.copies, present, tuple(match.why),
    )  # fmt: skip


def _frame_line(line: "TextLine") -> TextBox:
    across = [x for word in line.words for x in word.box[::2]]
    down = [y for word in line.words for y in word.box[1::2]]
    left, top = min(across, default=0), min(down, default=0)
    return TextBox(line.text, left, top, max(across, default=0) - left, max(down, default=0) - top)


def make_details(details: "ImageDetails", labels: Sequence[str], unavailable: Mapping[str, str]) -> Details:
    """The highest MAX_SCORES scores, and those of `labels` and marks. unavailable: path -> why."""
    wanted = {*labels, *details.marks}
    scores = [s for i, s in enumerate(details.scores) if i < MAX_SCORES or s.label in wanted]
    return Details(
        details.image_id, details.width, details.height, details.taken, details.taken_from,
        [Score(s.label, s.model, s.score, s.threshold) for s in scores], dict(details.marks),
        [
            File(
                os.path.basename(f.path), f.path, f.size_bytes, f.mtime_ns or None, unavailable.get(f.path),
                f.photo_id,
                None if f.details is None else f.details.to_json(),
            )
            for f in details.files
        ],
        None if details.texts is None else list(map(_frame_line, details.texts)),
    )  # fmt: skip


def make_queue(queue: "ReviewQueue") -> Queue:
    items = [QueueItem(item.image_id, item.score, item.other) for item in queue.items]
    label = queue.label
    return Queue(label.name, label.model, label.threshold, queue.kind, queue.other, queue.unjudged, items)


def make_figures(report: "LabelReport") -> dict[str, object]:
    """A report's figures without its list of mistakes."""
    return {key: value for key, value in report.to_json().items() if key != "mistakes"}


def make_learning_preview(preview: "LearnPreview") -> LearningPreview:
    report = preview.report
    before = None
    if report.before is not None:
        before = Shares(report.before.metrics.precision, report.before.metrics.recall)
    return LearningPreview(
        report.label, report.kept == "learned", report.why, preview.found, preview.found_before,
        Shares(report.metrics.precision, report.metrics.recall), before,
        [make_photo_row(photo, None) for photo in preview.added],
        [make_photo_row(photo, None) for photo in preview.removed],
    )  # fmt: skip


def make_marks(undone: "Sequence[UndoneMark]") -> Marks:
    return Marks([Mark(each.image_id, each.label, each.present) for each in undone], None)


def make_duplicates(group: "DuplicateGroup") -> list[DuplicatePhoto]:
    return [
        DuplicatePhoto(
            m.photo.image_id,
            os.path.basename(m.photo.path),
            m.photo.path,
            m.how,
            m.reason,
            m.photo.size_bytes,
            m.photo.width,
            m.photo.height,
        )
        for m in group.members
    ]


def make_burst(burst: "Burst") -> list[BurstPhoto]:
    return [
        BurstPhoto(
            shot.photo.image_id, os.path.basename(shot.photo.path), shot.photo.path, place == burst.sharpest,
            shot.sharpness, shot.taken, shot.photo.size_bytes, shot.photo.width, shot.photo.height,
        )
        for place, shot in enumerate(burst.shots)
    ]  # fmt: skip
