"""Folders by ids: a page names a folder by a hash of its path, and sends no path."""

import os
from hashlib import blake2s
from typing import TYPE_CHECKING

from photosearch import Library
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import FolderReport


def hash_folder(path: str) -> str:
    return blake2s(os.fsencode(path), digest_size=12).hexdigest()


def find_folder(library: Library, folder_id: str) -> "FolderReport":
    """An indexed folder, or one with settings of its own. Raises InputError."""
    for folder in library.folders.list():
        if hash_folder(folder.path) == folder_id:
            return folder
    raise InputError("this folder is no longer in the library; reload the page")
