"""`library.albums`: photos under a name, saved searches, and folders or zip files of photos."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from photosearch.api.question import make_question
from photosearch.api.session import Session

if TYPE_CHECKING:
    from typing import Unpack

    from photosearch.album import AlbumResult
    from photosearch.api.question import SearchOptions
    from photosearch.keywords import ExportResult
    from photosearch.library.albums import AlbumStep
    from photosearch.search.albums import AlbumSummary
    from photosearch.search.find import Answer
    from photosearch.search.understand import Question


class AlbumChange(NamedTuple):
    """What was done to an album. name: as it is stored. photos: pictures that were added, removed or are gone with it.

    created: whether the album is new. missing: images that no photo on the disk shows, which were left out. step: for
    `undo`; None where nothing changed.
    """

    name: str
    photos: int
    created: bool = False
    missing: int = 0
    step: int | None = None


class Albums:
    """The albums of a library. A photo is in an album by its content: copies are in it, and moved ones stay.

    An album is named by any spelling of its name. A saved search is an album that fills itself. Raises QueryError where
    no album has a name.
    """

    def __init__(self, session: Session):
        self._session = session

    def list(self) -> "list[AlbumSummary]":
        """Every album, by its name. Saved searches are not run: `count` does that."""
        from photosearch.search.albums import list_albums

        return list_albums(self._session.db)

    def get(self, name: str) -> "AlbumSummary":
        """One album. Its search is not run."""
        from photosearch.search.albums import get_album, summarize

        return summarize(self._session.db, get_album(self._session.db, name))

    def create(self, name: str) -> AlbumChange:
        """Create an empty album. Raises InputError where there is one of that name, or it can't be a name."""
        return self._create(name, ())

    def add(self, name: str, paths: str | Path | Sequence[str | Path]) -> AlbumChange:
        """Add photos of the library to an album, which is created if it does not exist. Raises InputError."""
        return self.add_images(name, self._find_images(paths))

    def add_images(self, name: str, image_ids: Sequence[int]) -> AlbumChange:
        """The same by the ids of images as `find` names them. Those that no photo on the disk shows are left out."""
        from photosearch.library.albums import add_images
        from photosearch.library.images import find_shown
        from photosearch.search.albums import get_chosen, match_album

        db = self._session.db
        shown = find_shown(db, image_ids)
        missing = len(set(image_ids)) - len(shown)
        if match_album(db, name) is None:
            return self._create(name, shown)._replace(missing=missing)
        album = get_chosen(db, name)
        added, step = add_images(db, album, shown)
        return AlbumChange(album.name, added, missing=missing, step=step)

    def remove(self, name: str, paths: str | Path | Sequence[str | Path]) -> AlbumChange:
        """Remove photos from an album; they stay in the library. Raises InputError."""
        return self.remove_images(name, self._find_images(paths))

    def remove_images(self, name: str, image_ids: Sequence[int]) -> AlbumChange:
        """The same by the ids of images."""
        from photosearch.library.albums import remove_images
        from photosearch.search.albums import get_chosen

        album = get_chosen(self._session.db, name)
        removed, step = remove_images(self._session.db, album, image_ids)
        return AlbumChange(album.name, removed, step=step)

    def rename(self, name: str, new_name: str) -> AlbumChange:
        """Raises InputError where another album has the new name, or it can't be a name."""
        from photosearch.library.albums import check_album_name, rename_album
        from photosearch.search.albums import get_album

        album, new_name = get_album(self._session.db, name), check_album_name(new_name)
        return AlbumChange(new_name, 0, step=rename_album(self._session.db, album, new_name))

    def delete(self, name: str) -> AlbumChange:
        """Delete an album. Its photos stay in the library, and on the disk."""
        from photosearch.library.albums import count_album, delete_album
        from photosearch.search.albums import get_album

        album = get_album(self._session.db, name)
        photos = count_album(self._session.db, album)
        return AlbumChange(album.name, photos, step=delete_album(self._session.db, album))

    def save_search(
        self,
        name: str,
        words: str = "",
        *,
        limit: int | None = None,
        max_labeled: int | None = None,
        max_similar: int | None = None,
        **options: "Unpack[SearchOptions]",
    ) -> AlbumChange:
        """Save a search as an album that fills itself: the words and options of `Library.find`, asked anew each time.

        "last summer" is counted from the day on which the album is shown. Raises InputError where the name is taken,
        and what `find` raises.
        """
        from photosearch.library.albums import check_album_name, put_album
        from photosearch.search.albums import write_question
        from photosearch.search.find import count

        question = make_question(words, limit=limit, max_labeled=max_labeled, max_similar=max_similar, **options)
        name = check_album_name(name)
        count(self._session.db, question, 1, self._session.read_vector)  # refused now, if ever
        stored, _, step = put_album(self._session.db, name, write_question(question))
        return AlbumChange(stored.name, 0, created=True, step=step)

    def photos(self, name: str, *, limit: int | None = None, today: str | None = None) -> "Answer":
        """The photos of an album: the newest first, or what a saved search finds today, as `find` gives them.

        limit: at most so many. today: the day that "last summer" counts from. Raises QueryError, which names the album,
        where a saved search can't be asked any more; InputError, ModelError.
        """
        from photosearch.search.albums import get_album, run_saved
        from photosearch.search.find import find, list_album
        from photosearch.search.limits import DEFAULT_SIMILAR

        album = get_album(self._session.db, name)
        if album.question is None:
            return list_album(self._session.db, album, limit)

        def ask(question: "Question") -> "Answer":
            if limit is not None and limit >= DEFAULT_SIMILAR:  # few of a label would bring others after them
                question = replace(question, limit=limit if question.limit is None else min(limit, question.limit))
            return find(self._session.db, question, self._session.read_vector, frozenset([album.id]))

        answer = run_saved(album, today, ask)
        photos = answer.choose()
        shown = photos[:limit]
        return replace(answer, photos=shown, more=answer.more or len(shown) < len(photos))

    def count(self, name: str, *, up_to: int, today: str | None = None) -> int:
        """The number of photos in an album, counted up to `up_to`; copies count where a saved search finds them.

        Raises as `photos`.
        """
        from photosearch.library.albums import count_album
        from photosearch.search.albums import get_album, run_saved
        from photosearch.search.find import count

        album = get_album(self._session.db, name)
        if album.question is None:
            return min(count_album(self._session.db, album), up_to)

        def ask(question: "Question") -> int | None:
            most = up_to if question.limit is None else min(question.limit, up_to)
            return count(self._session.db, question, most, self._session.read_vector, frozenset([album.id]))

        counted = run_saved(album, today, ask)
        return min(len(self.photos(name, today=today)), up_to) if counted is None else counted

    def list_names(self, image_id: int) -> Sequence[str]:
        """The names of the albums that an image was added to; saved searches are left out."""
        from photosearch.library.albums import list_albums_of

        return list_albums_of(self._session.db, image_id)

    def complete(self, text: str) -> Sequence[str]:
        """The names of albums that a typed beginning may become; all for no text."""
        from photosearch.library.albums import list_album_names
        from photosearch.search.complete import complete_name

        return complete_name(text, list_album_names(self._session.db))

    def undo(self, step: int | None = None) -> "AlbumStep | None":
        """Undo the last change of an album, whoever made it -> what was undone; None where there is nothing to undo.

        step: of an AlbumChange, to undo that alone. Raises InputError where it was undone, or changed since.
        """
        from photosearch.errors import InputError
        from photosearch.library.albums import undo_album

        undone = undo_album(self._session.db, step)
        if undone is None and step is not None:
            raise InputError("this change can't be undone any more: it was undone elsewhere, or many others followed")
        return undone

    def has_step(self, step: int) -> bool:
        """Whether `undo` can take back this change of an album, unless later ones rest on it."""
        from photosearch.library.albums import has_step

        return has_step(self._session.db, step)

    def count_undo_steps(self) -> int:
        """How many times `undo` can be called without a step."""
        from photosearch.library.albums import count_undo_steps

        return count_undo_steps(self._session.db)

    # ---- folders, side-cars, zip files

    def copy(self, folder: str | Path, paths: Iterable[str]) -> "AlbumResult":
        """Copy photos to a folder, with their dates. Nothing in it is overwritten.

        What is no longer the file that was indexed is left out; the result says why. Raises InputError where the folder
        can't be written.
        """
        from photosearch.album import copy_to

        return copy_to(self._session.db, folder, paths)

    def link(self, folder: str | Path, paths: Iterable[str]) -> "AlbumResult":
        """The same with symbolic links to photos."""
        from photosearch.album import link_to

        return link_to(self._session.db, folder, paths)

    def export_keywords(self, name: str, *, short: bool = False, dry_run: bool = False) -> "ExportResult":
        """Write an album's name as a keyword to side-cars of its photos; remove it from those that it no longer holds.

        short, dry_run: as of `marks.export_keywords`. Raises as `photos`.
        """
        from photosearch.keywords import export_album
        from photosearch.search.albums import get_album

        album = get_album(self._session.db, name)
        images = [photo.image_id for photo in self.photos(name)]
        return export_album(self._session.db, album.name, images, short=short, dry_run=dry_run)

    def zip(self, image_ids: Sequence[int]) -> Iterator[bytes]:
        """A zip file of the photos that show these images, in pieces as it is read. Needs no open library meanwhile.

        Names are unique and suit every system. What can't be read as it was indexed is named in `LEFT OUT.txt`.
        """
        from photosearch.archive import list_sources, stream_zip

        return stream_zip(list_sources(self._session.db, image_ids))

    def _create(self, name: str, image_ids: Sequence[int]) -> AlbumChange:
        from photosearch.library.albums import check_album_name, put_album

        album, added, step = put_album(self._session.db, check_album_name(name), image_ids=image_ids)
        return AlbumChange(album.name, added, created=True, step=step)

    def _find_images(self, paths: str | Path | Sequence[str | Path]) -> Sequence[int]:
        from photosearch.judging.marking import find_images

        return find_images(self._session.db, _to_texts([paths] if isinstance(paths, str | Path) else paths))


def _to_texts(paths: Sequence[str | Path]) -> tuple[str, ...]:
    return tuple(os.fspath(path) for path in paths)
