"""`library.marks`: what the user knows of photos: that they show a label, or that they don't."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photosearch.api.session import Session

if TYPE_CHECKING:
    from photosearch.judging.marking import MarkedImage, MarkedImages, UndoneMark
    from photosearch.keywords import ExportResult, ImportResult
    from photosearch.library.marks import Mark


class Marks:
    """The marks of a library."""

    def __init__(self, session: Session):
        self._session = session

    def add(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        positive: Sequence[str] = (),
        negative: Sequence[str] = (),
        new: bool = False,
    ) -> int:
        """Mark photos: they show the labels in `positive`, and not those in `negative` -> photos marked.

        new: create labels that do not exist. Raises InputError, QueryError.
        """
        from photosearch.judging.marking import mark_photos

        pairs = [*((label, True) for label in positive), *((label, False) for label in negative)]
        return mark_photos(self._session.db, _to_paths(paths), pairs, new=new)

    def remove(self, paths: str | Path | Sequence[str | Path], labels: Sequence[str]) -> int:
        """Remove marks from photos -> marks removed. Raises InputError, QueryError."""
        from photosearch.judging.marking import unmark_photos

        return unmark_photos(self._session.db, _to_paths(paths), labels)

    def undo(self, step: int | None = None) -> "list[UndoneMark]":
        """Undo the last change of marks, whoever made it -> each mark that changed; none where the log is empty.

        step: of `set_image` or `set_images`, to undo these marks alone. Raises InputError where they were undone or
        changed since.
        """
        from photosearch.judging.marking import undo_marks

        return undo_marks(self._session.db, step)

    def count_undo_steps(self) -> int:
        """How many times `undo` can be called without a step."""
        from photosearch.library.marks import count_undo_steps

        return count_undo_steps(self._session.db)

    def list(self, label: str | None = None, *, under: str | Path | None = None) -> "list[Mark]":
        """The marks, one for each photo and label. under: a folder. Raises InputError."""
        from photosearch.library.marks import list_marks
        from photosearch.search.scope import check_folder

        folder = None if under is None else check_folder(self._session.db, os.fspath(under))
        return list_marks(self._session.db, label, under=folder)

    def export_csv(self, label: str | None = None, *, under: str | Path | None = None) -> str:
        """The marks as CSV (path,label,present), as `import_csv` reads it; paths are absolute. Raises InputError."""
        import io

        from photosearch.judging.truth import write_rows

        text = io.StringIO()
        write_rows(self.list(label, under=under), text)
        return text.getvalue()

    def set_image(self, image_id: int, label: str, present: bool | None, *, new: bool = False) -> "MarkedImage":
        """Mark an image as `find` names it, None: remove the mark -> (the label meant, its mark before, undo step).

        new: create a label that does not exist. Raises InputError, QueryError.
        """
        from photosearch.judging.marking import mark_image

        return mark_image(self._session.db, image_id, label, present, new=new)

    def set_images(
        self, image_ids: Sequence[int], label: str, present: bool | None, *, new: bool = False
    ) -> "MarkedImages":
        """Mark many images at once, None: remove their marks -> (the label meant, images, missing ones, undo step).

        One `undo` takes all of them back. Images that no photo on the disk shows are missing: they are left out.
        new: create a label that does not exist. Raises InputError, QueryError.
        """
        from photosearch.judging.marking import mark_images

        return mark_images(self._session.db, image_ids, label, present, new=new)

    def read_images(self, label: str, image_ids: Sequence[int]) -> dict[int, bool]:
        """The marks of a label on images: image id -> whether it shows it; unmarked ones are left out."""
        from photosearch.library.marks import read_marks

        return read_marks(self._session.db, label, image_ids)

    def import_csv(self, file: str | Path, *, skip_unknown: bool = False, new: Sequence[str] = ()) -> tuple[int, int]:
        """Import marks from a CSV file (path,label,present), all or none -> (rows kept, rows skipped).

        skip_unknown: skip photos that are not in the library. new: labels to create. A million rows at most. Raises
        InputError.
        """
        from photosearch.judging import truth

        if os.path.isfile(file):  # a bad row, or too many of them, is found before a photo is looked up
            for _ in truth.read_rows(file):
                pass
        rows = truth.read_rows(file)
        return truth.import_rows(self._session.db, rows, os.fspath(file), skip_unknown=skip_unknown, new=new)

    def import_keywords(
        self,
        *,
        under: str | Path | None = None,
        new: Sequence[str] = (),
        complete: Sequence[str] = (),
        rated: Mapping[str, float] | None = None,
    ) -> "ImportResult":
        """Import keywords and ratings from side-cars and photos as marks. Raises InputError, QueryError.

        new: keywords that become labels. complete: photos that have keywords but not this one are negative. rated:
        label -> stars; positive at that rating or more, negative below. under: a folder.
        """
        from photosearch.keywords import import_keywords

        folder = None if under is None else os.fspath(under)
        return import_keywords(self._session.db, under=folder, new=new, complete=complete, rated=rated)

    def export_keywords(
        self,
        labels: Sequence[str],
        *,
        under: str | Path | None = None,
        model: str | None = None,
        marked: bool = False,
        short: bool = False,
        dry_run: bool = False,
        images: Sequence[int] | None = None,
    ) -> "ExportResult":
        """Write labels as keywords to side-cars (.xmp); photos are untouched. Raises InputError, QueryError.

        marked: only marked photos, not found ones. short: photo.xmp instead of photo.jpg.xmp. dry_run: write nothing.
        images: only of these images.
        """
        from photosearch.keywords import export_keywords

        folder = None if under is None else os.fspath(under)
        return export_keywords(
            self._session.db, labels, under=folder, model=model, marked=marked, short=short, dry_run=dry_run,
            images=images,
        )  # fmt: skip


def _to_paths(paths: str | Path | Sequence[str | Path]) -> list[str]:
    return [os.fspath(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
