"""`library.folders`: what is indexed, and how."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photosearch.api.session import Session

if TYPE_CHECKING:
    from photosearch.index.folder_settings import FolderReport


class Folders:
    """The folders of a library."""

    def __init__(self, session: Session):
        self._session = session

    def list(self) -> "list[FolderReport]":
        """Every indexed folder, and every one below it with settings of its own."""
        from photosearch.index.folder_settings import describe_folders

        return describe_folders(self._session.db)

    def is_empty(self) -> bool:
        """Whether no folder was indexed yet, or all were forgotten. No folder is looked at."""
        from photosearch.library.folders import list_roots

        return not list_roots(self._session.db)

    def list_paths(self, limit: int = 2000) -> Sequence[str]:
        """Folders with photos, and those above them, by path; past the limit the deepest levels are left out."""
        from photosearch.library.folders import list_folder_paths

        return list_folder_paths(self._session.db, limit)

    def set(
        self,
        folder: str | Path,
        *,
        models: Sequence[str] | None = None,
        tiles: int | None = None,
        exclude: Sequence[str] | None = None,
        include: Sequence[str] | None = None,
        follow_symlinks: bool | None = None,
        metadata: bool | None = None,
        ocr: bool | None = None,
        reset: bool = False,
    ) -> str:
        """Change how a folder is indexed from the next run on -> its settings, in words. Raises InputError.

        Each option replaces its old value. reset: forget the old values first.
        """
        from photosearch.index.folder_settings import set_folder
        from photosearch.library.folders import FolderSettings

        settings = FolderSettings(
            None if models is None else tuple(models), tiles, None if exclude is None else tuple(exclude),
            None if include is None else tuple(include), follow_symlinks, metadata, ocr,
        )  # fmt: skip
        return set_folder(
            self._session.db, os.fspath(folder), settings, lambda name: self._session.load(name).card, reset=reset
        )

    def describe(self, folder: "FolderReport") -> dict[str, str]:
        """The settings of a folder in words: its models, and what differs from the defaults."""
        from photosearch.index.folder_settings import describe_settings
        from photosearch.library.folders import FolderSettings

        default = describe_settings(FolderSettings())
        words = describe_settings(folder.settings)
        return {name: text for name, text in words.items() if name == "models" or text != default[name]}

    def resolve(self, folder: str | Path) -> str:
        """A folder's path without links, as events name it; an address (s3://...) as it is."""
        from photosearch.photos.remote import real_path

        return real_path(os.fspath(folder))

    def find(self, folder: str | Path) -> "FolderReport":
        """A folder as `list` gives it. Raises InputError for one that it does not list."""
        from photosearch.errors import InputError
        from photosearch.photos.remote import absolute_path, real_path

        name, rows = os.fspath(folder), {row.path: row for row in self.list()}
        row = rows.get(absolute_path(name)) or rows.get(real_path(name))
        if row is None:
            raise InputError(f"{name}: not an indexed folder; indexed are {', '.join(rows) or 'none'}")
        return row

    def count_files(self, folders: Sequence[str | Path] = ()) -> int:
        """Number of photo files on disk in folders (default: all known ones). No photo is opened."""
        from photosearch.index.run import count_files

        return count_files(self._session.path, [os.fspath(folder) for folder in folders])

    def count_photos(self, folder: str | Path) -> int:
        """Number of photos that the library knows in a folder, missing ones left out."""
        from photosearch.library.folders import count_photos, find_scope, to_stored_path

        scope = find_scope(self._session.db, to_stored_path(self._session.db, os.fspath(folder)))
        return 0 if scope is None else count_photos(self._session.db, scope).photos
