"""A run in numbers, counted from its events."""

from collections import Counter
from dataclasses import dataclass, field

from photosearch.index import events
from photosearch.index.events import Event

FIELDS: dict[type, str] = {  # events that count photos -> the field that counts them
    events.New: "new",
    events.Changed: "changed",
    events.Rescored: "rescored",
    events.Unchanged: "unchanged",
    events.Moved: "moved",
    events.Returned: "returned",
    events.ReadFailed: "unreadable",
    events.Excluded: "excluded",
    events.Removed: "removed",
}


@dataclass(slots=True)
class RunSummary:
    """Photos by what became of them.

    not_scored: photos that an engine gave up on. skipped_rows: of shards. rescored_reasons: reason -> photos.
    skipped_files: extension in lower case -> files that are no readable photos. unlisted: folders that could not be
    listed. metadata_read: unchanged photos whose metadata was read. texts_read: pictures that the reader of text has
    seen, texts_found: those with text, texts_failed: those that could not be read. stopped: the run ended early, with
    nothing removed.
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
    metadata_read: int = 0
    texts_read: int = 0
    texts_found: int = 0
    texts_failed: int = 0
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

    def add(self, event: Event) -> None:
        name = FIELDS.get(type(event))
        if name is not None:
            setattr(self, name, getattr(self, name) + 1)
            if isinstance(event, events.Rescored):
                self.rescored_reasons[event.reason] += 1
            return
        match event:
            case events.FilesSkipped(_, files):
                self.skipped_files.update(files)
            case events.ListFailed(path):
                self.unlisted.add(path)
            case events.NotScored(_, photos):
                self.not_scored += photos
            case events.MetadataRead():
                self.metadata_read += 1
            case events.TextRead(_, lines):
                self.texts_read += 1
                self.texts_found += lines > 0
            case events.TextReadFailed():
                self.texts_failed += 1
            case events.ShardRowSkipped():
                self.skipped_rows += 1

    def to_json(self) -> dict[str, object]:
        """As `index --json` prints it, and as the library keeps it. Folders are not named."""
        texts = ("texts_read", "texts_found", "texts_failed")
        names = (*FIELDS.values(), "not_scored", "skipped_rows", "metadata_read", *texts, "stopped")
        counts = {name: getattr(self, name) for name in names}
        return {
            **counts, "rescored_reasons": dict(self.rescored_reasons), "skipped_files": dict(self.skipped_files),
        }  # fmt: skip
