"""Where named folders lie in the library, and how its roots must change for that: planned first, written later.

A root is a folder that was named, and that no other root holds. Its folder may move, another may come to lie around
it, and a link may take its place; its photos keep their rows.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

from photosearch.errors import InputError
from photosearch.library.database import Database, is_below, to_relative
from photosearch.library.folders import (
    FolderSettings,
    Scope,
    absorb_root,
    add_root,
    find_scope,
    is_away,
    is_link,
    list_folders,
    list_roots,
    list_settings,
    move_root,
    to_stored_path,
)
from photosearch.library.photos import list_some_photos
from photosearch.photos.decode import Unreadable, content_hash, read
from photosearch.photos.remote import is_address, is_folder, real_path

MIN_SAME_PHOTOS = 0.9  # of the sampled photos of a root, for a folder to count as that root, moved
MAX_SAMPLED = 64  # photos of a root whose sizes and dates are compared
MAX_HASHED = 8  # of them are read where the dates differ, as in a copy that lost them


@dataclass(frozen=True, slots=True)
class AddRoot:
    """The roots below it become folders of it."""

    path: str


@dataclass(frozen=True, slots=True)
class MoveRoot:
    """The roots below its new path are deleted: it knows the same photos."""

    before: str
    path: str


@dataclass(frozen=True, slots=True)
class AbsorbRoot:
    """A link has replaced the root at `before`, and leads to `path`, in another root: it becomes a folder of that."""

    before: str
    path: str


RootChange = AddRoot | MoveRoot | AbsorbRoot


@dataclass(frozen=True, slots=True)
class Layout:
    """The roots of a library and the settings of its folders, as they are or as planned changes will leave them.

    roots: their paths, the oldest first. origins: each stored root, and the path where its photos will be known.
    settings: path -> those of the folder itself.
    """

    roots: tuple[str, ...]
    origins: tuple[tuple[Scope, str], ...]
    settings: Mapping[str, FolderSettings]

    def find_root(self, path: str) -> str | None:
        return next((root for root in self.roots if path == root or is_below(path, root)), None)

    def read_settings(self, path: str) -> FolderSettings:
        """How a folder is indexed: its own settings over those of the folders above it."""
        settings = FolderSettings()
        for other in sorted(self.settings):  # a folder's path comes before those below it
            if other == path or is_below(path, other):
                settings = self.settings[other].over(settings)
        return settings

    def apply(self, change: RootChange) -> "Layout":
        """The layout after a change; `write_change` writes the same to the library."""
        match change:
            case AddRoot(path):
                return replace(self, roots=(*(r for r in self.roots if not is_below(r, path)), path))
            case MoveRoot(before, path):
                outer = self._drop([root for root in self.roots if root != before and is_below(root, path)])
                return outer._rebase(before, path, tuple(path if root == before else root for root in outer.roots))
            case AbsorbRoot(before, path):
                return self._rebase(before, path, tuple(root for root in self.roots if root != before))

    def put_settings(self, path: str, settings: FolderSettings) -> "Layout":
        others = {other: own for other, own in self.settings.items() if other != path}
        return replace(self, settings=others if settings == FolderSettings() else {**others, path: settings})

    def _drop(self, roots: Sequence[str]) -> "Layout":
        def keep(path: str) -> bool:
            return not any(path == root or is_below(path, root) for root in roots)

        return Layout(
            tuple(filter(keep, self.roots)), tuple(pair for pair in self.origins if keep(pair[1])),
            {path: settings for path, settings in self.settings.items() if keep(path)},
        )  # fmt: skip

    def _rebase(self, before: str, path: str, roots: tuple[str, ...]) -> "Layout":
        """Everything at and below one path lies at and below another; the settings that are there already win."""
        stays = {key: own for key, own in self.settings.items() if rebase(key, before, path) == key}
        moved = {rebase(key, before, path): own for key, own in self.settings.items() if key not in stays}
        origins = tuple((scope, rebase(at, before, path)) for scope, at in self.origins)
        return Layout(roots, origins, {**moved, **stays})


def rebase(path: str, before: str, after: str) -> str:
    """A path at or below one folder -> the same at or below another; other paths are left alone."""
    if path != before and not is_below(path, before):
        return path
    return after.rstrip("/") + path[len(before.rstrip("/")) :] or "/"


def read_layout(db: Database) -> Layout:
    """The layout as it is stored."""
    stored = list_roots(db)
    settings = {scope.path: own for scope, own in list_settings(db)}
    return Layout(tuple(root.root for root in stored), tuple((root, root.root) for root in stored), settings)


def find_place(db: Database, folder: str) -> str:
    """The path of a named folder, without links; as the library knows it where it is not on the disk now.

    Raises InputError where there is no such folder, neither on the disk nor in the library.
    """
    path = real_path(folder)
    if is_folder(path):
        return path
    path = to_stored_path(db, folder)
    scope = find_scope(db, path)
    if not is_folder(path) and (scope is None or not list_folders(db, scope)):
        refuse_folder(folder)
    return path


def refuse_folder(folder: str) -> NoReturn:
    """Raises InputError: what was named is no folder."""
    if os.path.exists(folder):
        raise InputError(f"{folder}: is a file; name its folder")
    if set(folder) & set("*?["):
        raise InputError(f"{folder}: no folder has a name that matches")  # else the shell had put it here
    raise InputError(f"{folder}: no such folder")


def plan_root(db: Database, layout: Layout, path: str) -> Iterator[RootChange]:
    """The changes by which some root holds a folder, and links to it are followed."""
    if layout.find_root(path) is None:
        moved = _find_moved_root(db, layout, path)
        if moved is not None:
            yield MoveRoot(moved, path)
            return
        yield AddRoot(path)
        layout = layout.apply(AddRoot(path))
    for root in layout.roots:
        target = real_path(root)
        if target != root and os.path.isdir(target) and (target == path or is_below(target, path)):
            yield AbsorbRoot(root, target)


def is_known(db: Database, layout: Layout, path: str) -> bool:
    """Whether any folder at or below a path, in one of the roots, was indexed."""
    for scope, at in layout.origins:
        if at == path or is_below(at, path):
            found = list_folders(db, scope)
        elif is_below(path, at):
            found = list_folders(db, replace(scope, below=to_relative(path, at)))
        else:
            continue
        if found:
            return True
    return False


def write_change(db: Database, change: RootChange) -> None:
    """Write a planned change of the roots."""
    stored = {root.root: root for root in list_roots(db)}
    match change:
        case AddRoot(path):
            add_root(db, path)
        case MoveRoot(before, path):
            move_root(db, stored[before], path)
        case AbsorbRoot(before, path):
            scope = find_scope(db, path)
            assert scope is not None
            absorb_root(db, stored[before], scope)


def _find_moved_root(db: Database, layout: Layout, path: str) -> str | None:
    """The root that was moved to this folder: it is away from its place, and most of its sampled photos are here.

    A link in its place that leads here is proof enough. Photos are compared by size and date; where a copy lost the
    dates, by the content of a few of them.
    """
    for scope, root in layout.origins:
        if root not in layout.roots or is_address(root) or is_address(path):
            continue
        if is_link(root) and os.path.realpath(root) == path:
            return root
        if is_away(root) and _holds(path, list_some_photos(db, scope, MAX_SAMPLED)):
            return root
    return None


def _holds(path: str, photos: Sequence[tuple[str, int, int, bytes | None]]) -> bool:
    """Whether a folder holds most of these photos: (path below it, size in bytes, mtime_ns, hash)."""
    dated = 0
    undated: list[tuple[str, bytes]] = []
    for below, size_bytes, mtime_ns, content in photos:
        try:
            status = os.stat(os.path.join(path, below))
        except OSError:
            continue
        if status.st_size == size_bytes and status.st_mtime_ns == mtime_ns:
            dated += 1
        elif status.st_size == size_bytes and content is not None:
            undated.append((os.path.join(path, below), content))
    needed = MIN_SAME_PHOTOS * len(photos)
    if not photos or dated >= needed:
        return bool(photos)
    sampled = undated[:: max(1, len(undated) // MAX_HASHED)][:MAX_HASHED]
    return dated + len(undated) >= needed and all(_has_content(*one) for one in sampled)


def _has_content(path: str, content: bytes) -> bool:
    try:
        return content_hash(read(path)) == content
    except Unreadable:
        return False
