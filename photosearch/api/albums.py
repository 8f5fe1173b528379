"""`library.albums`: folders of copies of photos, or of links to them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from photosearch.api.session import Session

if TYPE_CHECKING:
    from photosearch.album import AlbumResult


class Albums:
    """Fill a folder with photos of the library. Nothing in it is overwritten.

    What is no longer the file that was indexed is left out; the result says why.
    """

    def __init__(self, session: Session):
        self._session = session

    def copy(self, folder: str | Path, paths: Iterable[str]) -> "AlbumResult":
        """Copy photos, with their dates. Raises InputError where the folder can't be written."""
        from photosearch.album import copy_to

        return copy_to(self._session.db, folder, paths)

    def link(self, folder: str | Path, paths: Iterable[str]) -> "AlbumResult":
        """Make symbolic links to photos. Raises InputError where the folder can't be written."""
        from photosearch.album import link_to

        return link_to(self._session.db, folder, paths)
