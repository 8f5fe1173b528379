"""Which photos there are below a folder, and what is passed over; nothing is opened.

What is passed over is said in the patterns of git's ignore files (https://git-scm.com/docs/gitignore), which
`pathspec` turns into regular expressions; letter case is ignored, as cameras and Windows ignore it.
"""

import errno
import importlib.util
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from photosearch.errors import InputError
from photosearch.photos import remote

RAW = importlib.util.find_spec("rawpy") is not None  # the extra `raw`
JXL = importlib.util.find_spec("pillow_jxl") is not None  # the extra `jxl`
RAW_EXTENSIONS = ".dng .cr2 .cr3 .nef .arw .raf .orf .rw2 .pef".split()
# In lower case. An .insp, of a camera that sees all around, is a JPEG.
_ALWAYS = ".jpg .jpeg .jpe .jfif .mpo .insp .png .webp .gif .tif .tiff .bmp .avif .heic .heif .hif".split()
EXTENSIONS = frozenset((*_ALWAYS, *(RAW_EXTENSIONS if RAW else ()), *((".jxl",) if JXL else ())))
READ_BY: Mapping[str, str] = MappingProxyType(  # what would read an extension that may be passed over
    {**dict.fromkeys(RAW_EXTENSIONS, "pip install 'photosearch[raw]'"), ".jxl": "pip install 'photosearch[jxl]'"}
)
EXCLUDED = (  # patterns of git's ignore files: what systems and programs make for themselves
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

    ctime_ns, device, inode: 0 where they are not known. A device or an inode beyond 63 bits comes out negative, so
    that all of them fit a database's integer.
    """

    path: str
    size_bytes: int
    mtime_ns: int
    ctime_ns: int = 0
    device: int = 0
    inode: int = 0


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder that was looked into: its photos in the order of their names.

    reason: why it, or something in it, could not be looked at; then more may be there than `photos`.
    passed_over: how many of its files are no photos, by extension in lower case: {".mp4": 2, "": 1}. What is
    excluded is not counted.
    """

    path: str
    photos: tuple[Photo, ...]
    reason: str | None = None
    passed_over: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """exclude: patterns of git's ignore files, on top of EXCLUDED; include: patterns that override both."""

    exclude: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    follow_symlinks: bool = False


_Meets = Callable[[str], object]
ANYWHERE = "^(?:.+/)?"  # how pathspec begins a pattern that may meet at any depth
MAX_FIELD = 2**63  # beyond it, SQLite holds no integer


@dataclass(frozen=True, slots=True)
class _Rule:
    text: str  # as the user typed it
    excludes: bool
    regex: re.Pattern[str]


class Exclusions:
    """What is passed over below `root`: EXCLUDED, then the user's `exclude`, then `include`; the last to meet counts.

    As in git's ignore files, nothing below an excluded folder comes back by itself: include the folder. `./thumbs`
    and an absolute path below the root mean that one place, and a leading # means itself. Raises InputError for a
    pattern that can meet nothing.
    """

    def __init__(self, options: WalkOptions, root: str):
        self.met: set[str] = set()
        self._root = root
        users = [(text, _of_root(text, root)) for text in options.exclude]
        users += [(text, "!" + _of_root(text, root)) for text in options.include]
        self._users = [_rule(text, pattern) for text, pattern in users]
        patterns = [*EXCLUDED, *(pattern for _, pattern in users)]
        self.file_name, self.file_path = _any_of([p for p in patterns if not p.endswith("/")])
        self._folder_name, self._folder_path = _any_of(patterns)
        self._folders: dict[str, bool] = {}

    def excludes(self, path: str, *, is_folder: bool = False) -> bool:
        """Whether this file, or folder, is passed over, or a folder that it lies in. path: absolute, not above root."""
        below = "" if path == self._root else os.path.relpath(path, self._root)
        *folders, name = below.replace(os.sep, "/").split("/")
        prefix = ""
        for folder in folders:
            if self.excludes_folder(prefix, folder):
                return True
            prefix += folder + "/"
        return bool(name) and (self.excludes_folder(prefix, name) if is_folder else self.excludes_file(prefix, name))

    def excludes_file(self, prefix: str, name: str) -> bool:
        """Whether the file `name` is passed over, given that its folder is not. prefix: '' or 'of/its/folder/'."""
        if not (self.file_name(name) or (self.file_path is not None and self.file_path(prefix + name))):
            return False
        return not self._users or self._settle(prefix + name)

    def excludes_folder(self, prefix: str, name: str) -> bool:
        """The same of a folder."""
        path = f"{prefix}{name}/"
        known = self._folders.get(path)
        if known is None:
            met = self._folder_name(name + "/") or (self._folder_path is not None and self._folder_path(path))
            known = self._folders[path] = bool(met) and (not self._users or self._settle(path))
        return known

    def _settle(self, path: str) -> bool:
        """Something says that this is excluded: whether the user's own patterns agree."""
        excluded = True
        for rule in self._users:
            if rule.regex.match(path):
                self.met.add(rule.text)
                excluded = rule.excludes
        return excluded


def _of_root(pattern: str, root: str) -> str:
    """A pattern as it was typed -> as git's ignore files have it, relative to the root."""
    inside = os.path.join(root, "").replace(os.sep, "/")
    if pattern.replace(os.sep, "/").startswith(inside):
        return "/" + pattern.replace(os.sep, "/")[len(inside) :]
    if pattern.startswith("./"):
        return pattern[1:]
    return "\\" + pattern if pattern.startswith("#") else pattern


def _rule(text: str, pattern: str) -> _Rule:
    excludes, regex = _translate(pattern)
    if regex is None:
        raise InputError(f"{text}: no pattern that git's ignore files know, so it would meet nothing")
    return _Rule(text, excludes, re.compile(regex, re.IGNORECASE | re.DOTALL))


def _translate(pattern: str) -> tuple[bool, str | None]:
    """A pattern -> whether it excludes, and the regular expression that a path meets; a folder's path ends in /."""
    from pathspec import GitIgnoreSpec  # some 60 ms, and a decoder needs none of it

    try:
        (compiled,) = GitIgnoreSpec.from_lines([pattern]).patterns
    except ValueError:
        return True, None
    if compiled.include is None or compiled.regex is None:
        return True, None
    # Its named group may stand once in a regular expression, and $ meets before a newline too.
    regex = compiled.regex.pattern.replace("(?P<ps_d>/)", "/").replace("|$)", r"|\Z)")
    return compiled.include, regex


def _any_of(patterns: Sequence[str]) -> tuple[_Meets, _Meets | None]:
    """What says whether one of these meets a name, wherever it stands, and whether one meets a path below the root.

    Those that bring something back are left out. Names are far the cheaper: a path is asked about only where a
    pattern needs it.
    """
    names: list[str] = []
    paths: list[str] = []
    for pattern in patterns:
        excludes, regex = _translate(pattern)
        if excludes and regex is not None:
            anywhere = regex.startswith(ANYWHERE) and "/" not in pattern.removeprefix("**/").rstrip("/")
            (names if anywhere else paths).append(regex.removeprefix(ANYWHERE) if anywhere else regex)
    return _meets(names), _meets(paths) if paths else None


def _meets(regexes: Sequence[str]) -> _Meets:
    return re.compile("|".join(regexes) or r"(?!)", re.IGNORECASE | re.DOTALL).match


def walk(
    top: str,
    options: WalkOptions = WalkOptions(),
    *,
    root: str | None = None,
    exclusions: Exclusions | None = None,
) -> Iterator[Folder]:
    """Walk the folders at and below `top`, each once, in the order of their names; nothing is opened.

    Only regular files with a photo's extension count. Patterns are relative to `root`, which is `top` or lies above
    it; `top` itself is looked into whatever they say. exclusions: those of these options, where the caller has
    compiled them already. Symbolic links, to files or to folders, are passed over unless followed; then a loop of
    links is walked once, and a file that several links lead to comes once. A folder that can't be listed comes with
    its reason.
    """
    root = top if root is None else root
    if remote.is_address(top):
        yield from _walk_address(top, root, exclusions or Exclusions(options, root))
        return
    walker = _Walker(top, root, exclusions or Exclusions(options, root), options.follow_symlinks)
    todo = [top]
    while todo:
        folder, below = walker.look_into(todo.pop())
        yield folder
        todo.extend(reversed(below))


def _walk_address(top: str, root: str, exclusions: Exclusions) -> Iterator[Folder]:
    """The same in a bucket: a listing a folder, and no links."""
    todo = [top]
    while todo:
        path = todo.pop()
        prefix = "" if path == root else path.removeprefix(root + "/") + "/"
        photos: list[Photo] = []
        below: list[str] = []
        passed_over: Counter[str] = Counter()
        reason = None
        try:
            for name, is_folder, size_bytes, mtime_ns in remote.list_folder(path):
                extension = os.path.splitext(name)[1].lower()
                if is_folder:
                    if not exclusions.excludes_folder(prefix, name):
                        below.append(f"{path}/{name}")
                elif exclusions.excludes_file(prefix, name):
                    continue
                elif extension in EXTENSIONS:
                    photos.append(Photo(f"{path}/{name}", size_bytes, mtime_ns))
                else:
                    passed_over[extension] += 1
        except OSError as error:
            reason = error.strerror or str(error)
        photos.sort(key=lambda photo: photo.path)
        yield Folder(path, tuple(photos), reason, dict(passed_over))
        todo.extend(sorted(below, reverse=True))


class _Walker:
    """What one walk knows of the folders and files that it has met."""

    def __init__(self, top: str, root: str, exclusions: Exclusions, follow_symlinks: bool):
        self._top, self._root, self._exclusions, self._follow = top, root, exclusions, follow_symlinks
        self._real_top = os.path.join(os.path.realpath(top), "") if follow_symlinks else ""
        self._seen: set[tuple[int, int]] = set()  # folders, and files that a link led to

    def look_into(self, path: str) -> tuple[Folder, list[str]]:
        """A folder and the paths of those below it."""
        photos: list[Photo] = []
        below: list[str] = []
        passed_over: Counter[str] = Counter()
        reason = None
        follow, exclusions, splitext = self._follow, self._exclusions, os.path.splitext
        meets, by_path = exclusions.file_name, exclusions.file_path is not None
        try:
            if follow and self._is_seen(os.stat(path)):
                return Folder(path, ()), []
            prefix = "" if path == self._root else os.path.relpath(path, self._root).replace(os.sep, "/") + "/"
            linked = follow and not os.path.join(os.path.realpath(path), "").startswith(self._real_top)
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    try:
                        if entry.is_dir(follow_symlinks=follow):
                            if not exclusions.excludes_folder(prefix, name):
                                below.append(entry.path)
                        # Twice the same question: nearly all names are answered without a call of ours.
                        elif (by_path or meets(name)) and exclusions.excludes_file(prefix, name):
                            continue
                        elif (extension := splitext(name)[1].lower()) in EXTENSIONS:
                            if not follow and entry.is_symlink():
                                continue
                            status = entry.stat(follow_symlinks=follow)
                            if not stat.S_ISREG(status.st_mode):
                                continue
                            if follow and (linked or entry.is_symlink()) and self._comes_otherwise(entry, status):
                                continue
                            photos.append(_photo(entry.path, status))
                        elif entry.is_file(follow_symlinks=follow):
                            passed_over[extension] += 1
                    except OSError as error:
                        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):  # vanished, or leads nowhere
                            reason = error.strerror or str(error)
        except OSError as error:
            return Folder(path, (), error.strerror or str(error)), []
        photos.sort(key=lambda photo: photo.path)
        return Folder(path, tuple(photos), reason, dict(passed_over)), sorted(below)

    def _is_seen(self, status: os.stat_result) -> bool:
        key = status.st_dev, status.st_ino
        seen = key in self._seen
        self._seen.add(key)
        return seen

    def _comes_otherwise(self, entry: os.DirEntry[str], status: os.stat_result) -> bool:
        """Whether a file that a link led to has come by another link, or lies in this walk by its own name."""
        real = os.path.realpath(entry.path)
        if real.startswith(self._real_top) and entry.is_symlink():
            own = os.path.join(self._top, real[len(self._real_top) :])
            if os.path.splitext(real)[1].lower() in EXTENSIONS and not self._exclusions.excludes(own):
                return True
        return self._is_seen(status)


def find_photo(path: str, *, follow_symlinks: bool = False) -> Photo | None:
    """One file as a walk would find it; None where no regular file stands there."""
    try:
        status = os.stat(path, follow_symlinks=follow_symlinks)
    except (OSError, ValueError):
        return None
    return _photo(path, status) if stat.S_ISREG(status.st_mode) else None


def _photo(path: str, status: os.stat_result) -> Photo:
    mtime_ns, ctime_ns, device, inode = status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino
    if not (
        -MAX_FIELD <= mtime_ns < MAX_FIELD > ctime_ns >= -MAX_FIELD and device < MAX_FIELD > inode
    ):  # a file may claim year 36,000
        mtime_ns, ctime_ns = (max(-MAX_FIELD, min(ns, MAX_FIELD - 1)) for ns in (mtime_ns, ctime_ns))
        device, inode = _signed(device), _signed(inode)
    return Photo(path, status.st_size, mtime_ns, ctime_ns, device, inode)


def _signed(number: int) -> int:
    return number if number < MAX_FIELD else (number + MAX_FIELD) % (2 * MAX_FIELD) - MAX_FIELD
