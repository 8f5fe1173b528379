"""What happened during an index run, for whoever watches: a progress bar, a test, a page."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class New:
    """A file that the library did not know. Its content may be known, as that of a copy; then nothing was scored."""

    path: str


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that the library knew, with another content than it had."""

    path: str


@dataclass(frozen=True, slots=True)
class Rescored:
    """A photo that is what it was, and that a model looked at for the first time, or because it was told to."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Unchanged:
    path: str


@dataclass(frozen=True, slots=True)
class Moved:
    path: str
    before: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A photo that was removed or excluded, and stands again where it stood."""

    path: str


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """`remembered`: it could not be read at an earlier run, has not changed, and was not opened again."""

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
    """Files of a folder that are no photos that can be read here: extension in lower case, '' for none -> how many."""

    path: str
    files: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ListFailed:
    """A folder that could not be looked into, or not at all that is in it. What is known of its photos stays."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class RootMoved:
    before: str
    path: str


@dataclass(frozen=True, slots=True)
class RemovalRefused:
    """So many of a folder's photos are gone that none was removed: a drive may be away. `prune` insists."""

    path: str
    gone: int
    known: int


@dataclass(frozen=True, slots=True)
class SettingsSaved:
    """From now on the folder is indexed so: a few words."""

    path: str
    what: str


@dataclass(frozen=True, slots=True)
class ShardRowSkipped:
    """A row of a shard that does not count, and why; the next index looks at the photo itself."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class WorkerDied:
    """A worker was lost, with the photos that it had in hand; they are tried again. path: of the first of them."""

    path: str
    photos: int
    reason: str


@dataclass(frozen=True, slots=True)
class NotScored:
    """So many photos, the first of them at `path`, could not be looked at. What is known of them stays."""

    path: str
    photos: int
    reason: str


Event = (
    New | Changed | Rescored | Unchanged | Moved | Returned | ReadFailed | Excluded | Removed
    | FilesSkipped | ListFailed | RootMoved | RemovalRefused | SettingsSaved | ShardRowSkipped | WorkerDied | NotScored
)  # fmt: skip
