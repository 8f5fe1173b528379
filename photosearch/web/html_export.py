"""Pages to keep or to share: one HTML file with its thumbnails, which needs no network and no server.

The page's Content-Security-Policy lets it load nothing and run no script but its own. It contains the photos' paths,
dates, scores and thumbnails, and nothing else of them.
"""

import os
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from photosearch import Answer, LabelReport, Library, ReportFigures, measure_report, outputs
from photosearch.web.rendering import hash_source, read_static, render, to_bytes
from photosearch.web.responses import make_figures

MAX_BYTES = 25_000_000  # of the thumbnails on a page, in base64: about 1,200
SIDE = 400  # of a plot, in the drawing's units
MAX_POINTS = 400  # of a curve
NOT_IN_URLS = re.compile(rb"[^!-~]")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ExportedPhoto:
    """A photo on a page. path: or its address. taken: local time and the field it is from, or "". thumbnail: a data
    URL, "" where the photo can't be opened; then error says why. sure, copies: as in Match."""

    path: str
    score: float | None
    taken: str = ""
    taken_from: str = ""
    thumbnail: str = ""
    error: str = ""
    sure: bool = True
    copies: int = 0

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def url(self) -> str:
        """What a click opens; "" where a browser opens nothing, such as an object in a bucket."""
        if self.path.startswith(("http://", "https://")):
            return NOT_IN_URLS.sub(lambda found: b"%%%02X" % found[0][0], os.fsencode(self.path)).decode()
        return Path(self.path).as_uri() if Path(self.path).is_absolute() else ""


@dataclass(frozen=True, slots=True)
class HtmlExport:
    """photos: on the page. left_out: photos beyond the limit. size_bytes: of the file."""

    photos: int
    left_out: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Plot:
    """A precision-recall curve in the drawing's units. at: the threshold's point, with both 95 % intervals, if it has
    one."""

    points: Sequence[Point]
    at: Point | None
    intervals: Mapping[str, tuple[Point, Point] | None]
    average_precision: float


def export_found(
    library: Library, answer: Answer, path: str | Path, *, force: bool = False, max_bytes: int = MAX_BYTES
) -> HtmlExport:
    """Write the photos of an answer, with a field to filter them. Raises InputError where the file can't be written.

    path, force: as in `outputs.write_output`. max_bytes: of the thumbnails; the last photos are left out beyond it.
    """
    found = answer.photos
    thumbnails = library.read_thumbnails(found)
    photos = _fit(
        (
            _make_photo(
                thumbnail,
                photo.path,
                photo.score,
                photo.taken.replace("T", " "),
                photo.taken_from,
                sure=photo.sure,
                copies=photo.copies,
            )
            for photo, thumbnail in zip(found, thumbnails, strict=True)
        ),
        max_bytes,
    )
    left_out = len(found) - len(photos)
    size_bytes = _write(
        path,
        force,
        "found.html",
        question=answer.question or "All photos",
        models=answer.models,
        photos=photos,
        hints=answer.hints,
        left_out=left_out,
    )
    return HtmlExport(len(photos), left_out, size_bytes)


def export_report(library: Library, report: LabelReport, path: str | Path, *, force: bool = False) -> HtmlExport:
    """Write the report on a label: counts, shares, curve, calibration, and the mistakes with thumbnails.

    path, force: as in `outputs.write_output`. Raises InputError where the file can't be written.
    """
    measured = measure_report(report)
    mistakes = [*measured.false_positives, *measured.false_negatives]
    thumbnails = zip(mistakes, library.read_thumbnails(mistakes), strict=True)
    photos = [_make_photo(thumbnail, mistake.path, mistake.score) for mistake, thumbnail in thumbnails]
    n = len(measured.false_positives)
    size_bytes = _write(
        path, force, "report.html", report=make_figures(report), chosen_on=report.chosen_on, plot=_plot_curve(measured),
        bins=measured.bins, calibration_error=measured.calibration_error, side=SIDE, false_positives=photos[:n],
        false_negatives=photos[n:],
    )  # fmt: skip
    return HtmlExport(len(photos), 0, size_bytes)


def _make_photo(
    thumbnail: bytes | str, path: str, score: float | None, taken: str = "", taken_from: str = "", *,
    sure: bool = True, copies: int = 0,
) -> ExportedPhoto:  # fmt: skip
    photo = ExportedPhoto(path, score, taken, taken_from, sure=sure, copies=copies)
    if isinstance(thumbnail, str):
        return replace(photo, error=thumbnail)
    return replace(photo, thumbnail=f"data:image/jpeg;base64,{b64encode(thumbnail).decode()}")


def _fit(photos: Iterator[ExportedPhoto], max_bytes: int) -> list[ExportedPhoto]:
    """The first photos whose thumbnails fit into max_bytes."""
    fitting, size_bytes = [], 0
    for photo in photos:
        size_bytes += len(photo.thumbnail)
        if size_bytes > max_bytes:
            break
        fitting.append(photo)
    return fitting


def _plot_curve(measured: ReportFigures) -> Plot | None:
    """The curve in steps; None where no marked photo shows the label."""
    curve, counts = measured.curve, measured.counts
    if curve.average_precision is None:
        return None
    steps: list[Point] = [(0.0, float(curve.precision[0]))]
    for i in range(0, len(curve.recall), -(-len(curve.recall) // MAX_POINTS)):
        recall, precision = float(curve.recall[i]), float(curve.precision[i])
        steps += [(steps[-1][0], precision), (recall, precision)]
    at = None if counts.precision is None or counts.recall is None else (counts.recall, counts.precision)
    return Plot(
        [_scale(point) for point in steps],
        None if at is None else _scale(at),
        {name: ends and (_scale((ends[0],) * 2), _scale((ends[1],) * 2)) for name, ends in counts.intervals().items()},
        curve.average_precision,
    )


def _scale(point: Point) -> Point:
    """Shares of 0..1 -> units of the drawing, whose y axis points down."""
    return round(SIDE * point[0], 1), round(SIDE * (1 - point[1]), 1)


def _write(path: str | Path, force: bool, template: str, **values: object) -> int:
    """Render and write a page -> its size in bytes. Raises InputError."""
    script, style = read_static("export.js"), read_static("export.css")
    policy = f"default-src 'none'; img-src data:; style-src {hash_source(style)}; script-src {hash_source(script)}"
    created = datetime.now().strftime("%Y-%m-%d %H:%M")
    data = to_bytes(render(template, script=script, style=style, policy=policy, created=created, **values))
    outputs.write_output(path, data, outputs.HTML, force=force, mode=0o600)
    return len(data)
