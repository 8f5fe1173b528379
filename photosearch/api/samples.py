"""`library.samples`: photos drawn to judge a label by, and the queue of photos to judge next."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photosearch.api.session import Session

if TYPE_CHECKING:
    from photosearch.judging.marking import JudgeResult
    from photosearch.judging.review_queue import Kind, ReviewQueue
    from photosearch.library.marks import Sample
    from photosearch.library.records import Label


class Samples:
    """The samples of a library."""

    def __init__(self, session: Session):
        self._session = session

    def draw(self, label: str, n: int, *, seed: int = 0, model: str | None = None) -> "Sample":
        """Draw n photos to judge a label by. Raises InputError."""
        from photosearch.judging.marking import draw_sample

        return draw_sample(self._session.db, label, n, seed=seed, model=model)[1]

    def write_sheets(self, sample: "Sample", folder: str | Path, title: str = "") -> "list[Path]":
        """Write a sample as contact sheets, JPEG files with numbered thumbnails -> their paths. Raises InputError."""
        from photosearch.judging.sheet import write_sheet

        numbered = [(photo.number, photo.path) for photo in sample.photos if photo.path is not None]
        return write_sheet(Path(folder), numbered, title)

    def write_csv(self, sample: "Sample", label: str, file: str | Path) -> None:
        """Write a sample as CSV to fill in and import: sheet, number, path, label, present (empty).

        Paths are relative to the file's folder; addresses are whole. Raises InputError.
        """
        from photosearch.errors import InputError
        from photosearch.judging.csv_rows import format_csv
        from photosearch.photos.remote import is_address

        file = Path(file)
        rows = [("sheet", "number", "path", "label", "present")]
        for photo in sample.photos:
            if photo.path is not None:
                path = photo.path if is_address(photo.path) else os.path.relpath(photo.path, file.parent)
                rows.append((str(sample.id), str(photo.number), path, label, ""))
        try:
            file.write_bytes(os.fsencode(format_csv(rows)))
        except OSError as error:
            raise InputError(f"{file}: can't be written: {error.strerror}") from None

    def judge(
        self,
        label: str,
        yes: Sequence[str],
        unsure: Sequence[str] = (),
        *,
        model: str | None = None,
        sheet: int | None = None,
    ) -> "tuple[Label, JudgeResult]":
        """Judge a sample by the numbers on its sheet, as typed: 3 7 12-15. Raises InputError.

        yes: the photos that show the label; all others that are not unsure don't. sheet: a sample's number, None: the
        last one's.
        """
        from photosearch.judging.marking import judge_sample

        return judge_sample(self._session.db, label, yes, unsure, model=model, sheet=sheet)

    def queue(self, label: str, kind: "Kind" = "near", *, n: int = 60, model: str | None = None) -> "ReviewQueue":
        """The photos to judge next: 'near' the threshold, where models 'disagree', or of the last 'sample'.

        Raises QueryError, InputError.
        """
        from photosearch.judging.review_queue import build_queue

        return build_queue(self._session.db, label, kind, n=n, model=model)
