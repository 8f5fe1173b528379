"""`library.albums`: folders of copies of photos, or of links to them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from photosearch.album import AlbumResult


class Albums:
    """Fill a folder with photos. Nothing in it is overwritten."""

    def copy(self, folder: str | Path, paths: Iterable[str]) -> "AlbumResult":
        """Copy photos, with their dates. Raises InputError where the folder can't be written."""
        from photosearch.album import copy_to

        return copy_to(folder, paths)

    def link(self, folder: str | Path, paths: Iterable[str]) -> "AlbumResult":
        """Make symbolic links to photos. Raises InputError where the folder can't be written."""
        from photosearch.album import link_to

        return link_to(folder, paths)
