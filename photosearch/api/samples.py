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

    def draw_to(
        self, folder: str | Path, label: str, n: int, *, seed: int = 0, model: str | None = None
    ) -> "tuple[Sample, list[Path]]":
        """Draw n photos, and write them to a new folder as contact sheets and as sample.csv -> (sample, sheets).

        sample.csv, to fill in and import, has the columns sheet, number, path, label, present (empty); its paths are
        relative to the folder, addresses are whole. Where anything fails, there is neither a folder nor a sample.
        Raises InputError.
        """
        from photosearch import outputs
        from photosearch.judging.csv_rows import format_csv
        from photosearch.judging.marking import drop_sample
        from photosearch.judging.sheet import write_sheet
        from photosearch.photos.remote import is_address

        sample = None
        try:
            with outputs.create_folder(folder, "--to") as part:
                sample = self.draw(label, n, seed=seed, model=model)
                numbered = [(photo.number, photo.path) for photo in sample.photos if photo.path is not None]
                rows = [("sheet", "number", "path", "label", "present")]
                rows += [
                    (str(sample.id), str(number), path if is_address(path) else os.path.relpath(path, part), label, "")
                    for number, path in numbered
                ]
                outputs.write_output(part / "sample.csv", os.fsencode(format_csv(rows)), outputs.CSV)
                sheets = write_sheet(part, numbered, f"sheet {sample.id}: {label}, drawn {sample.drawn_at[:10]}")
        except BaseException:
            if sample is not None:
                drop_sample(self._session.db, sample)
            raise
        return sample, [Path(folder, sheet.name) for sheet in sheets]

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
