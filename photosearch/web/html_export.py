"""Pages to keep: one file each, with all its pictures in it, that needs no network and no server.

A page's own policy lets it load nothing, and run only the script that it came with: it may be opened by anybody who
gets it. It holds the paths of the photos and small pictures of them, and nothing else of theirs. Written aside, and
renamed when it is whole.
"""

import os
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from photosearch import Library, atomic
from photosearch.errors import InputError
from photosearch.judging import metrics
from photosearch.judging.report import LabelReport
from photosearch.photos.decode import Unreadable
from photosearch.photos.thumbnails import WORKERS, Thumbnails
from photosearch.search.find import Answer
from photosearch.web.rendering import hash_source, read_static, render, to_bytes

MAX_BYTES = 25_000_000  # of the pictures in one page, as they stand in it: some 1,200
MISTAKES = 24  # of each kind, at most, that a report shows
SIDE = 400  # of a drawing's square, in its own units
POINTS = 400  # of a curve

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ExportedPhoto:
    """A photo on a page. source: what says when it was taken. picture: its thumbnail as a data URL, None where it can't
    be opened: then why says so."""

    path: str
    score: float
    taken: str
    source: str
    picture: str | None
    why: str = ""

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def link(self) -> str:
        return Path(self.path).as_uri()


@dataclass(frozen=True, slots=True)
class HtmlExport:
    """photos: on the page. left_out: those that found no room. size_bytes: of the file."""

    photos: int
    left_out: int
    size_bytes: int


def export_found(library: Library, answer: Answer, path: Path, *, most_bytes: int = MAX_BYTES) -> HtmlExport:
    """A page of what was found: thumbnail, score, date and path of each, and a field that searches among them.

    most_bytes: of the pictures; the best come first, and the rest is left out. Raises InputError where the file can't
    be written.
    """
    wanted = [(f.image_id, f.path, f.score, f.taken.replace("T", " "), f.taken_from) for f in answer.found]
    with Thumbnails(library.thumbnails_folder) as thumbnails:
        shown = _take(_show(library, thumbnails, wanted), most_bytes)
    size = _write(path, "found.html", answer=answer, shown=shown, left_out=len(wanted) - len(shown))
    return HtmlExport(len(shown), len(wanted) - len(shown), size)


def export_report(library: Library, compared: LabelReport, path: Path) -> HtmlExport:
    """The report on a label as a page: its counts, shares, curve and calibration, and its mistakes as pictures."""
    wrong, missed = metrics.mistakes(compared.judged, compared.threshold, MISTAKES)
    with Thumbnails(library.thumbnails_folder) as thumbnails:
        pictures = [list(_show(library, thumbnails, [(j.image_id, j.path, j.score, "", "") for j in kind]))
                    for kind in (wrong, missed)]  # fmt: skip
    bins = metrics.reliability(compared.judged)
    size = _write(path, "report.html", told=compared.told, chosen_on=compared.chosen_on, wrong=pictures[0],
                  missed=pictures[1], curve=_draw_curve(compared), bins=bins, side=SIDE,
                  error=metrics.calibration_error(bins))  # fmt: skip
    return HtmlExport(sum(map(len, pictures)), 0, size)


def _show(
    library: Library, thumbnails: Thumbnails, wanted: Sequence[tuple[int, str, float, str, str]]
) -> Iterator[ExportedPhoto]:
    """The photos with their pictures, in order; some are opened ahead of the one that is asked for."""

    def open_one(
        files: tuple[bytes, list[str]] | None, path: str, score: float, taken: str, source: str
    ) -> ExportedPhoto:
        if files is None:
            return ExportedPhoto(path, score, taken, source, None, "it is in no folder any more")
        try:
            data = thumbnails.read([path, *files[1]], files[0])
        except Unreadable as error:
            return ExportedPhoto(path, score, taken, source, None, error.reason)
        return ExportedPhoto(path, score, taken, source, f"data:image/jpeg;base64,{b64encode(data).decode()}")

    rest = iter(wanted)
    with ThreadPoolExecutor(WORKERS) as pool:
        while some := list(islice(rest, 8 * WORKERS)):
            files = [library.find_files(image_id) for image_id, *_ in some]
            yield from pool.map(open_one, files, *list(zip(*some, strict=True))[1:])


def _take(shown: Iterator[ExportedPhoto], most_bytes: int) -> list[ExportedPhoto]:
    """As many as there is room for."""
    taken, size = [], 0
    for each in shown:
        size += len(each.picture or "")
        if size > most_bytes:
            break
        taken.append(each)
    return taken


def _draw_curve(compared: LabelReport) -> dict[str, Any] | None:
    """Precision over recall in the drawing's units, as steps, and where the threshold lies on it; None without any."""
    curve, counts = metrics.curve(compared.judged), metrics.count(compared.judged, compared.threshold)
    if not len(curve.recall):
        return None
    every = range(0, len(curve.recall), -(-len(curve.recall) // POINTS))
    steps: list[Point] = [(0.0, float(curve.precision[0]))]
    for i in every:
        steps += [(steps[-1][0], float(curve.precision[i])), (float(curve.recall[i]), float(curve.precision[i]))]
    there = None if counts.precision is None or counts.recall is None else (counts.recall, counts.precision)
    return {"points": [_place(point) for point in steps], "at": there and _place(there),
            "intervals": {k: v and [_place((x, x)) for x in v] for k, v in counts.intervals().items()},
            "average_precision": curve.average_precision}  # fmt: skip


def _place(point: Point) -> Point:
    """Shares of 0..1 -> units of the drawing, which counts downwards."""
    return round(SIDE * point[0], 1), round(SIDE * (1 - point[1]), 1)


def _write(path: Path, template: str, **values: Any) -> int:
    script = read_static("kept.js")
    style = read_static("kept.css")
    policy = f"default-src 'none'; img-src data:; style-src {hash_source(style)}; script-src {hash_source(script)}"
    made = datetime.now().strftime("%Y-%m-%d %H:%M")
    data = to_bytes(render(template, script=script, style=style, policy=policy, made=made, **values))
    try:
        atomic.write_bytes(path, data, mode=0o600)
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror}") from None
    return len(data)
