"""What happened during an index run, for a progress bar, a test or a page. path: absolute, of a photo or folder."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class New:
    """A file that the library did not know. If it is a copy of a known one, nothing was scored."""

    path: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A known file with new content."""

    path: str


@dataclass(frozen=True, slots=True)
class Rescored:
    """An unchanged photo, scored by a model for the first time, or again because of --force."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    path: str


@dataclass(frozen=True, slots=True)
class MetadataRead:
    """Of an unchanged photo, for the first time or since its side-car changed; its pixels were not."""

    path: str


@dataclass(frozen=True, slots=True)
class Moved:
    path: str
    before: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A photo that was removed or excluded, and is back in its place."""

    path: str


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """remembered: it was unreadable in an earlier run, has not changed since, and was not opened again."""

    path: str
    reason: str
    remembered: bool = False


@dataclass(frozen=True, slots=True)
class Excluded:
    path: str


@dataclass(frozen=True, slots=True)
class Removed:
    path: str


@dataclass(frozen=True, slots=True)
class FilesSkipped:
    """Files of a folder that are not readable photos. files: extension in lower case, '' for none -> number."""

    path: str
    files: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ListFailed:
    """A folder that could not be listed, or not completely. Its photos stay as they are known."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class RootMoved:
    before: str
    path: str


@dataclass(frozen=True, slots=True)
class RemovalRefused:
    """Most of a folder's photos are missing, so none was removed: a drive may be away. `prune` removes them.

    earlier: photos that were removed just before, while it was watched; with these, most are missing.
    """

    path: str
    missing: int
    known: int
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class SettingsSaved:
    """description: the settings of the folder that changed, in words."""

    path: str
    description: str


@dataclass(frozen=True, slots=True)
class PatternUnused:
    """A pattern that this run was given matched nothing below a folder. excludes: or it includes."""

    path: str
    pattern: str
    excludes: bool


@dataclass(frozen=True, slots=True)
class TextPassBegun:
    """The photos of a run are indexed; now the text in this many pictures is read. path: of the first folder."""

    path: str
    pictures: int


@dataclass(frozen=True, slots=True)
class TextRead:
    """lines: of text in the picture. Further photos of the same content are not named."""

    path: str
    lines: int


@dataclass(frozen=True, slots=True)
class TextReadFailed:
    """transient: the next run tries again."""

    path: str
    reason: str
    transient: bool


@dataclass(frozen=True, slots=True)
class TextPassRefused:
    """A folder asks for the text in its pictures, which can't be read here."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ShardRowSkipped:
    """A row of a shard that does not apply here; the next index scores the photo."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker died while it scored this many photos, `path` the first of them; they are tried again."""

    path: str
    photos: int
    reason: str


@dataclass(frozen=True, slots=True)
class NotScored:
    """This many photos, `path` the first of them, could not be scored. They stay as they are known."""

    path: str
    photos: int
    reason: str


@dataclass(frozen=True, slots=True)
class WatchStarted:
    """Changes in a folder are noticed from now on.

    seconds: between two looks at a folder whose system reports no changes, None where it does. reason: why not.
    """

    path: str
    seconds: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FolderAway:
    """A watched folder that can't be seen, as on a drive that was unplugged. Nothing of it changes until it is back."""

    path: str


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """The changes that were noticed are indexed; nothing holds the library until the next ones. seconds: it took."""

    seconds: float


Event = (
    New | Changed | Rescored | Unchanged | MetadataRead | Moved | Returned | ReadFailed | Excluded | Removed
    | TextPassBegun | TextRead | TextReadFailed | TextPassRefused
    | FilesSkipped | ListFailed | RootMoved | RemovalRefused | SettingsSaved | PatternUnused
    | ShardRowSkipped | WorkerDied | NotScored | WatchStarted | FolderAway | RoundEnded
)  # fmt: skip
