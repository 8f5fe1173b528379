"""Lists the photos below a folder, without what is excluded; no file is opened.

Exclusions are gitignore patterns (https://git-scm.com/docs/gitignore), which `pathspec` turns into regular
expressions. Case is ignored, as cameras and Windows do.
"""

import errno
import importlib.util
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from photosearch.errors import InputError
from photosearch.metadata.sidecars import match_sidecars
from photosearch.photos import remote

RAW = importlib.util.find_spec("rawpy") is not None  # the extra `raw`
JXL = importlib.util.find_spec("pillow_jxl") is not None  # the extra `jxl`
RAW_EXTENSIONS = ".dng .cr2 .cr3 .nef .arw .raf .orf .rw2 .pef".split()
# In lower case. An .insp, from a 360-degree camera, is a JPEG.
_ALWAYS = ".jpg .jpeg .jpe .jfif .mpo .insp .png .webp .gif .tif .tiff .bmp .avif .heic .heif .hif".split()
EXTENSIONS = frozenset((*_ALWAYS, *(RAW_EXTENSIONS if RAW else ()), *((".jxl",) if JXL else ())))
INSTALL_HINTS: Mapping[str, str] = MappingProxyType(  # extension -> what to install to read it
    {**dict.fromkeys(RAW_EXTENSIONS, "pip install 'photosearch[raw]'"), ".jxl": "pip install 'photosearch[jxl]'"}
)
EXCLUDED = (  # gitignore patterns of what systems and programs create for themselves
    ".*",  # hidden, and so .Trash, .Trashes, .Trash-1000, .zfs, .snapshots, .@__thumb, .thumbnails, ._a.jpg of macOS
    *("@eaDir/", r"\#recycle/", r"\#snapshot/", "@SynoResource", "@tmp/"),  # Synology
    *("@Recycle/", "@Recently-Snapshot/"),  # QNAP
    *("~snapshot/", "lost+found/"),  # NetApp; Linux
    *("$RECYCLE.BIN/", "RECYCLER/", "System Volume Information/", "Thumbs.db", "desktop.ini"),  # Windows
    *("**/*.photoslibrary/resources/", "**/*.photoslibrary/private/", "**/*.photoslibrary/scopes/"),  # Apple Photos,
    *("**/*.photolibrary/Thumbnails/", "**/*.photolibrary/resources/"),  # and what came before it
    *("**/*.aplibrary/Thumbnails/", "**/*.aplibrary/Previews/"),  # Aperture
    *("*.lrdata/", "*.cocatalogdb/", "**/CaptureOne/Cache/", "*.dtMipmaps/"),  # Lightroom, Capture One
    "node_modules/",
)


@dataclass(frozen=True, slots=True)
class Photo:
    """A file. `path` is absolute, in Python's own text form of a path (surrogates where it isn't UTF-8).

    ctime_ns, device, inode: 0 if unknown. Devices and inodes beyond 63 bits wrap to negative numbers, and times are
    clamped, so that all fit SQLite's integer. beside: names of the side-cars in its folder.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int = 0
    device: int = 0
    inode: int = 0
    beside: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder's photos, sorted by path.

    reason: why it, or something in it, could not be read; then `photos` may be incomplete. skipped: the number of
    other files by extension in lower case: {".mp4": 2, "": 1}; without excluded ones and side-cars.
    """

    path: str
    photos: tuple[Photo, ...]
    reason: str | None = None
    skipped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """exclude: gitignore patterns, in addition to EXCLUDED. include: patterns that override both."""

    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    follow_symlinks: bool = False


_Match = Callable[[str], object]
ANY_DEPTH = "^(?:.+/)?"  # the prefix of pathspec's regular expressions that match at any depth
MAX_INTEGER = 2**63 - 1  # of SQLite


@dataclass(frozen=True, slots=True)
class _Rule:
    """One of the user's patterns, as typed in `text`."""

    text: str
    excludes: bool
    regex: re.Pattern[str]


class Exclusions:
    """What is excluded below `root`: EXCLUDED, then the user's `exclude`, then `include`; the last match decides.

    As with gitignore, nothing below an excluded folder can be included unless that folder is. `./thumbs` and an
    absolute path below the root match that one place, and a leading # is literal. Raises InputError for a pattern that
    can't match anything.
    """

    def __init__(self, options: WalkOptions, root: str):
        self._root = root
        typed = [(text, _to_relative(text, root)) for text in options.exclude]
        typed += [(text, "!" + _to_relative(text, root)) for text in options.include]
        self._rules = [_compile_rule(text, pattern) for text, pattern in typed]
        patterns = [*EXCLUDED, *(pattern for _, pattern in typed)]
        self.match_file_name, self.match_file_path = _match_any([p for p in patterns if not p.endswith("/")])
        self._match_folder_name, self._match_folder_path = _match_any(patterns)
        self._folders: dict[str, bool] = {}
        self._used: set[_Rule] = set()

    def list_unused(self) -> list[tuple[str, bool]]:
        """The user's patterns that have matched nothing so far: (as typed, whether it excludes).

        One that includes is used where it matches something that another pattern excludes.
        """
        return [(rule.text, rule.excludes) for rule in self._rules if rule not in self._used]

    def excludes(self, path: str, *, is_folder: bool = False) -> bool:
        """Whether this file or folder, or a folder above it, is excluded. path: absolute, the root or below it."""
        below = "" if path == self._root else os.path.relpath(path, self._root)
        *folders, name = below.replace(os.sep, "/").split("/")
        prefix = ""
        for folder in folders:
            if self.excludes_folder(prefix, folder):
                return True
            prefix += folder + "/"
        return bool(name) and (self.excludes_folder(prefix, name) if is_folder else self.excludes_file(prefix, name))

    def excludes_file(self, prefix: str, name: str) -> bool:
        """Whether the file `name` is excluded, given that its folder is not. prefix: '' or 'path/of/folder/'."""
        match_path = self.match_file_path
        if not (self.match_file_name(name) or (match_path is not None and match_path(prefix + name))):
            return False
        return not self._rules or self._apply_rules(prefix + name)

    def excludes_folder(self, prefix: str, name: str) -> bool:
        """Whether the folder `name` is excluded, given that the folder above it is not."""
        path = f"{prefix}{name}/"
        excluded = self._folders.get(path)
        if excluded is None:
            match_path = self._match_folder_path
            matches = self._match_folder_name(name + "/") or (match_path is not None and match_path(path))
            excluded = self._folders[path] = bool(matches) and (not self._rules or self._apply_rules(path))
        return excluded

    def _apply_rules(self, path: str) -> bool:
        """Whether a path that some pattern excludes stays excluded after the user's own."""
        excluded = True
        for rule in self._rules:
            if rule.regex.match(path):
                excluded = rule.excludes
                self._used.add(rule)
        return excluded


def _to_relative(pattern: str, root: str) -> str:
    """A pattern as typed -> a gitignore pattern relative to the root."""
    prefix = os.path.join(root, "").replace(os.sep, "/")
    if pattern.replace(os.sep, "/").startswith(prefix):
        return "/" + pattern.replace(os.sep, "/")[len(prefix) :]
    if pattern.startswith("./"):
        return pattern[1:]
    return "\\" + pattern if pattern.startswith("#") else pattern


def _compile_rule(text: str, pattern: str) -> _Rule:
    excludes, regex = _translate(pattern)
    if regex is None:
        raise InputError(f"{text}: not a gitignore pattern, so it can't match anything")
    return _Rule(text, excludes, re.compile(regex, re.IGNORECASE | re.DOTALL))


def _translate(pattern: str) -> tuple[bool, str | None]:
    """A pattern -> (whether it excludes, a regular expression for paths or None); a folder's path ends in /."""
    from pathspec import GitIgnoreSpec  # 60 ms, and decoders don't need it

    try:
        (compiled,) = GitIgnoreSpec.from_lines([pattern]).patterns
    except ValueError:
        return True, None
    if compiled.include is None or compiled.regex is None:
        return True, None
    # A named group may occur only once in the joined regular expression, and $ also matches before a newline.
    regex = compiled.regex.pattern.replace("(?P<ps_d>/)", "/").replace("|$)", r"|\Z)")
    return compiled.include, regex


def _match_any(patterns: Sequence[str]) -> tuple[_Match, _Match | None]:
    """Two matchers for patterns that exclude: of names at any depth, and of paths below the root (None if not needed).

    Names are much cheaper to match than paths.
    """
    names: list[str] = []
    paths: list[str] = []
    for pattern in patterns:
        excludes, regex = _translate(pattern)
        if excludes and regex is not None:
            any_depth = regex.startswith(ANY_DEPTH) and "/" not in pattern.removeprefix("**/").rstrip("/")
            (names if any_depth else paths).append(regex.removeprefix(ANY_DEPTH) if any_depth else regex)
    return _compile(names), _compile(paths) if paths else None


def _compile(regexes: Sequence[str]) -> _Match:
    return re.compile("|".join(regexes) or r"(?!)", re.IGNORECASE | re.DOTALL).match


def walk(
    top: str,
    options: WalkOptions = WalkOptions(),
    *,
    root: str | None = None,
    exclusions: Exclusions | None = None,
    elsewhere: Sequence[str] = (),
) -> Iterator[Folder]:
    """Walk the folders at and below `top`, each once, sorted by name; no file is opened.

    Only regular files with a photo's extension count. Patterns are relative to `root`, which is `top` or above it;
    `top` itself is never excluded. exclusions: of these options, if the caller has compiled them already. elsewhere:
    folders, without links, that are walked on their own. Symbolic links to files or folders are skipped unless
    followed; then a loop of links is walked once, and a file is yielded once: in its own place where that is walked,
    here or elsewhere, else by the first link to it. A folder that can't be listed has a reason.
    """
    root = top if root is None else root
    if remote.is_address(top):
        yield from _walk_address(top, root, exclusions or Exclusions(options, root))
        return
    walker = _Walker(top, root, exclusions or Exclusions(options, root), options.follow_symlinks, elsewhere)
    pending = [top]
    while pending:
        folder, subfolders = walker.list_folder(pending.pop())
        yield folder
        pending.extend(reversed(subfolders))


def _walk_address(top: str, root: str, exclusions: Exclusions) -> Iterator[Folder]:
    """The same in a bucket, where there are no links."""
    pending = [top]
    while pending:
        path = pending.pop()
        prefix = "" if path == root else path.removeprefix(root + "/") + "/"
        photos: list[Photo] = []
        subfolders: list[str] = []
        others: list[str] = []
        reason = None
        try:
            for name, is_folder, size_bytes, mtime_ns in remote.list_folder(path):
                extension = os.path.splitext(name)[1].lower()
                if is_folder:
                    if not exclusions.excludes_folder(prefix, name):
                        subfolders.append(f"{path}/{name}")
                elif exclusions.excludes_file(prefix, name):
                    continue
                elif extension in EXTENSIONS:
                    photos.append(Photo(f"{path}/{name}", size_bytes, mtime_ns))
                else:
                    others.append(name)
        except OSError as error:
            reason = error.strerror or str(error)
        yield _make_folder(path, photos, others, reason)
        pending.extend(sorted(subfolders, reverse=True))


def _make_folder(path: str, photos: list[Photo], others: Sequence[str], reason: str | None) -> Folder:
    """others: names of the files that are no photos."""
    beside = match_sidecars([os.path.basename(photo.path) for photo in photos], others) if others else {}
    if beside:
        photos = [replace(photo, beside=beside.get(os.path.basename(photo.path), ())) for photo in photos]
    photos.sort(key=lambda photo: photo.path)
    matched = {name for names in beside.values() for name in names}
    skipped = Counter(os.path.splitext(name)[1].lower() for name in others if name not in matched)
    return Folder(path, tuple(photos), reason, dict(skipped))


class _Walker:
    """One walk: its options, and the folders and files it has seen."""

    def __init__(self, top: str, root: str, exclusions: Exclusions, follow_symlinks: bool, elsewhere: Sequence[str]):
        self._top, self._root, self._exclusions, self._follow = top, root, exclusions, follow_symlinks
        self._elsewhere = tuple(os.path.join(folder, "") for folder in elsewhere)
        self._real_top = os.path.join(os.path.realpath(top), "") if follow_symlinks else ""
        self._seen: set[tuple[int, int]] = set()  # folders, and files reached through a link

    def list_folder(self, path: str) -> tuple[Folder, list[str]]:
        """A folder and the paths of its subfolders."""
        photos: list[Photo] = []
        subfolders: list[str] = []
        others: list[str] = []
        reason = None
        follow, exclusions, splitext = self._follow, self._exclusions, os.path.splitext
        match_name, by_path = exclusions.match_file_name, exclusions.match_file_path is not None
        try:
            if follow and self._is_seen(os.stat(path)):
                return Folder(path, ()), []
            prefix = "" if path == self._root else os.path.relpath(path, self._root).replace(os.sep, "/") + "/"
            linked = follow and not os.path.join(os.path.realpath(path), "").startswith(self._real_top)
            with os.scandir(path) as entries:
                # Of two links to a file, the first by name.
                listed: Iterable[os.DirEntry[str]] = sorted(entries, key=_get_name) if follow else entries
                for entry in listed:
                    name = entry.name
                    try:
                        if entry.is_dir(follow_symlinks=follow):
                            if follow and (linked or entry.is_symlink()) and self._has_own_place(entry, is_folder=True):
                                continue
                            if not exclusions.excludes_folder(prefix, name):
                                subfolders.append(entry.path)
                        # Checked twice: nearly all names need no call of excludes_file.
                        elif (by_path or match_name(name)) and exclusions.excludes_file(prefix, name):
                            continue
                        elif splitext(name)[1].lower() in EXTENSIONS:
                            if not follow and entry.is_symlink():
                                continue
                            status = entry.stat(follow_symlinks=follow)
                            if not stat.S_ISREG(status.st_mode):
                                continue
                            if follow and (linked or entry.is_symlink()) and self._is_listed_elsewhere(entry, status):
                                continue
                            photos.append(_photo(entry.path, status))
                        elif entry.is_file(follow_symlinks=follow):
                            others.append(name)
                    except OSError as error:
                        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # deleted, or a broken link
                            reason = error.strerror or str(error)
        except OSError as error:
            return Folder(path, (), error.strerror or str(error)), []
        return _make_folder(path, photos, others, reason), sorted(subfolders)

    def _is_seen(self, status: os.stat_result) -> bool:
        key = status.st_dev, status.st_ino
        seen = key in self._seen
        self._seen.add(key)
        return seen

    def _is_listed_elsewhere(self, entry: os.DirEntry[str], status: os.stat_result) -> bool:
        """Whether a file reached through a link was reached through another, or is walked by its own name."""
        return self._has_own_place(entry, is_folder=False) or self._is_seen(status)

    def _has_own_place(self, entry: os.DirEntry[str], *, is_folder: bool) -> bool:
        """Whether what was reached through a link is walked without links, here or elsewhere."""
        real = os.path.realpath(entry.path)
        if not is_folder and os.path.splitext(real)[1].lower() not in EXTENSIONS:
            return False
        inside = os.path.join(real, "") if is_folder else real
        if inside.startswith(self._elsewhere):
            return True
        own = os.path.normpath(os.path.join(self._top, inside[len(self._real_top) :]))
        return inside.startswith(self._real_top) and not self._exclusions.excludes(own, is_folder=is_folder)


def _get_name(entry: os.DirEntry[str]) -> str:
    return entry.name


def find_photo(path: str, *, follow_symlinks: bool = False) -> Photo | None:
    """One file as a walk would find it; None if there is no regular file."""
    try:
        status = os.stat(path, follow_symlinks=follow_symlinks)
    except (OSError, ValueError):
        return None
    return _photo(path, status) if stat.S_ISREG(status.st_mode) else None


def _photo(path: str, status: os.stat_result) -> Photo:
    mtime_ns, ctime_ns, device, inode = status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino
    if not (
        -MAX_INTEGER <= mtime_ns <= MAX_INTEGER >= ctime_ns >= -MAX_INTEGER and device <= MAX_INTEGER >= inode
    ):  # a file may claim the year 36,000
        mtime_ns, ctime_ns = (max(-MAX_INTEGER, min(ns, MAX_INTEGER)) for ns in (mtime_ns, ctime_ns))
        device, inode = _to_signed(device), _to_signed(inode)
    return Photo(path, status.st_size, mtime_ns, ctime_ns, device, inode)


def _to_signed(number: int) -> int:
    """The lowest 64 bits as a signed integer."""
    return (number + 2**63) % 2**64 - 2**63
