"""What a run's events add up to."""

from photosearch.index import events
from photosearch.index.events import Event
from photosearch.index.summary import RunSummary


def summarize(*events: Event) -> RunSummary:
    summary = RunSummary()
    for event in events:
        summary.add(event)
    return summary


def test_summary_counts_each_photo_once_by_what_became_of_it() -> None:
    path = "/a"
    photos = (
        events.New(path), events.New(path), events.Changed(path), events.Rescored(path, "forced"),
        events.Rescored(path, "other tiles"), events.Rescored(path, "forced"), events.Unchanged(path),
        events.Moved(path, "/b"), events.Returned(path), events.ReadFailed(path, "broken"), events.Excluded(path),
        events.Removed(path),
    )  # fmt: skip
    summary = summarize(*photos)
    assert (summary.present, summary.scored) == (10, 6)
    assert summary.to_json() == {
        "new": 2, "changed": 1, "rescored": 3, "unchanged": 1, "moved": 1, "returned": 1, "unreadable": 1,
        "excluded": 1, "removed": 1, "not_scored": 0, "skipped_rows": 0, "metadata_read": 0, "stopped": False,
        "texts_read": 0, "texts_found": 0, "texts_failed": 0,
        "rescored_reasons": {"forced": 2, "other tiles": 1}, "skipped_files": {},
    }  # fmt: skip


def test_summary_counts_what_was_skipped_and_names_folders_that_could_not_be_listed() -> None:
    summary = summarize(
        events.FilesSkipped("/a", {".mp4": 2, "": 1}), events.FilesSkipped("/b", {".mp4": 1}),
        events.ListFailed("/c", "Permission denied"), events.NotScored("/d.jpg", 7, "killed"),
        events.ShardRowSkipped("/e.jpg", "it is missing"), events.RootMoved("/f", "/g"),
        events.WorkerDied("/h.jpg", 7, "killed"), events.RemovalRefused("/i", 3, 4), events.SettingsSaved("/j", ""),
    )  # fmt: skip
    counts = {name: value for name, value in summary.to_json().items() if value}
    assert counts == {"not_scored": 7, "skipped_rows": 1, "skipped_files": {".mp4": 3, "": 1}}
    assert (summary.unlisted, summary.present) == ({"/c"}, 0)


def test_summary_counts_pictures_by_what_was_read_in_them() -> None:
    summary = summarize(
        events.TextPassBegun("/a", 4), events.TextRead("/a.jpg", 0), events.TextRead("/b.jpg", 7),
        events.TextReadFailed("/c.jpg", "broken", False),
    )  # fmt: skip
    assert (summary.texts_read, summary.texts_found, summary.texts_failed, summary.present) == (2, 1, 1, 0)
