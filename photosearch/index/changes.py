"""The part of the folders that a run looks at: those in which something has changed."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from photosearch.library.database import is_below
from photosearch.photos.walk import Exclusions


@dataclass(frozen=True, slots=True)
class Changes:
    """folders: in which files have changed; looked at without those below. trees: with all below. All absolute."""

    folders: frozenset[str]
    trees: frozenset[str]

    def touches(self, folder: str) -> bool:
        """Whether one of them is a folder, or below it, or above it."""
        return self.covers(folder) or any(p == folder or is_below(p, folder) for p in (*self.folders, *self.trees))

    def covers(self, folder: str) -> bool:
        """Whether a folder, which may be gone, is one of them."""
        return folder in self.folders or self._is_in_tree(folder)

    def covers_all_below(self, folder: str) -> bool:
        return self._is_in_tree(folder)

    def list_trees(self) -> list[str]:
        """Without those that are below another."""
        return sorted(tree for tree in self.trees if not self._is_in_tree(os.path.dirname(tree)))

    def list_folders(self) -> list[str]:
        """Without those that are in a tree."""
        return sorted(folder for folder in self.folders if not self._is_in_tree(folder))

    def _is_in_tree(self, folder: str) -> bool:
        return any(path in self.trees for path in _list_above(folder))


def _list_above(path: str) -> Iterator[str]:
    """A path, and all above it."""
    yield path
    while (above := os.path.dirname(path)) != path:
        yield (path := above)


@dataclass(frozen=True, slots=True)
class Reach:
    """What a walk from `top` comes to. root: of the patterns, `top` or above it."""

    top: str
    root: str
    exclusions: Exclusions
    follow_symlinks: bool = False

    def has_folder(self, path: str) -> bool:
        """Whether the walk lists a folder if it is there: below, not excluded, and not behind an unfollowed link."""
        if path == self.top:
            return True
        if not is_below(path, self.top):
            return False
        above = path
        while above != self.top:
            if self.exclusions.excludes_folder(self._prefix(above), os.path.basename(above)):
                return False
            if not self.follow_symlinks and os.path.islink(above):
                return False
            above = os.path.dirname(above)
        return True

    def has_file(self, path: str) -> bool:
        """The same for a file."""
        folder, name = os.path.split(path)
        return self.has_folder(folder) and not self.exclusions.excludes_file(self._prefix(path), name)

    def _prefix(self, path: str) -> str:
        """Of the folder that holds a path: '' or 'path/of/folder/', from the root."""
        folder = os.path.dirname(path)
        return "" if folder == self.root else os.path.relpath(folder, self.root).replace(os.sep, "/") + "/"
