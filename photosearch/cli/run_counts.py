"""Counts of an index or merge run, from its events."""

from collections import Counter
from dataclasses import dataclass, field

from photosearch import events

FIELDS = {  # events that count photos -> the field that counts them
    "New": "new",
    "Changed": "changed",
    "Rescored": "rescored",
    "Unchanged": "unchanged",
    "Moved": "moved",
    "Returned": "returned",
    "ReadFailed": "unreadable",
    "Excluded": "excluded",
    "Removed": "removed",
}


@dataclass(slots=True)
class RunCounts:
    """Photos by what became of them.

    rescored_reasons: reason -> photos. skipped_files: extension in lower case -> files that are no readable photos.
    unlisted: folders that could not be listed. not_scored: photos that an engine gave up on. skipped_rows: of shards.
    """

    new: int = 0
    changed: int = 0
    rescored: int = 0
    unchanged: int = 0
    moved: int = 0
    returned: int = 0
    unreadable: int = 0
    excluded: int = 0
    removed: int = 0
    not_scored: int = 0
    skipped_rows: int = 0
    rescored_reasons: Counter[str] = field(default_factory=Counter)
    skipped_files: Counter[str] = field(default_factory=Counter)
    unlisted: set[str] = field(default_factory=set)
    stopped: bool = False

    @property
    def present(self) -> int:
        """Photos that are in the folders."""
        return self.new + self.changed + self.rescored + self.unchanged + self.moved + self.returned + self.unreadable

    @property
    def scored(self) -> int:
        return self.new + self.changed + self.rescored

    def add(self, event: "events.Event") -> None:
        if (name := FIELDS.get(type(event).__name__)) is not None:
            setattr(self, name, getattr(self, name) + 1)
        match event:
            case events.Rescored(_, reason):
                self.rescored_reasons[reason] += 1
            case events.FilesSkipped(_, files):
                self.skipped_files.update(files)
            case events.ListFailed(path):
                self.unlisted.add(path)
            case events.NotScored(_, photos):
                self.not_scored += photos
            case events.ShardRowSkipped():
                self.skipped_rows += 1

    def to_json(self) -> dict[str, object]:
        counts = {name: getattr(self, name) for name in (*FIELDS.values(), "not_scored", "skipped_rows", "stopped")}
        return {
            **counts, "rescored_reasons": dict(self.rescored_reasons), "skipped_files": dict(self.skipped_files),
        }  # fmt: skip
