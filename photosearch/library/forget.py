"""Delete what the library knows about photos."""

import os
from collections.abc import Sequence

from photosearch.library import database
from photosearch.library.database import Database, is_below, to_sql
from photosearch.library.folders import find_scope, list_roots, list_settings, match_folder

# Tables whose rows belong to an image, and the others, each before those that its rows refer to.
IMAGE_TABLES = (
    "scores",
    "inactive_scores",
    "scored",
    "vectors",
    "marks",
    "sample_photos",
    "training_marks",
    "undo_marks",
)
OTHER_TABLES = (
    "samples", "undo_log", "classifiers", "model_labels", "labels", "runs", "models", "photos", "images",
    "folder_settings", "folders", "roots", "properties",
)  # fmt: skip


def forget_photos(db: Database, paths: Sequence[str]) -> int:
    """Delete photos, and folders with all photos below, by absolute path -> how many photos were deleted.

    With a photo its image is deleted, unless another photo shows the same image; with a folder, its roots and its
    settings. The caller must hold the library (lock_library). Ends with a vacuum, so that the file keeps no traces.
    """
    with db.unchecked(), db.transaction():
        photo_ids = {photo_id for path in paths for photo_id in _find_photo_ids(db, path)}
        db.write_many("DELETE FROM photos WHERE id = ?", [(photo_id,) for photo_id in photo_ids])
        _delete_orphans(db)
        for folder, _ in list_settings(db):
            if any(folder.path == path or is_below(folder.path, path) for path in paths):
                key = [folder.root_id, to_sql(folder.below)]
                db.write("DELETE FROM folder_settings WHERE root_id = ? AND path = ?", key)
        for root in list_roots(db):
            if any(root.root == path or is_below(root.root, path) for path in paths):
                db.write("DELETE FROM roots WHERE id = ?", [root.root_id])
    db.vacuum()
    return len(photo_ids)


def _delete_orphans(db: Database) -> None:
    """Delete the images that no photo shows, and what then has no image or photo."""
    db.write("DELETE FROM images WHERE id NOT IN (SELECT image_id FROM photos WHERE image_id IS NOT NULL)")
    for table in IMAGE_TABLES:
        db.write(f"DELETE FROM {table} WHERE image_id NOT IN (SELECT id FROM images)")
    db.write("DELETE FROM samples WHERE id NOT IN (SELECT sample_id FROM sample_photos)")
    db.write("DELETE FROM undo_log WHERE label_id IS NULL AND id NOT IN (SELECT undo_id FROM undo_marks)")
    db.write("DELETE FROM folders WHERE id NOT IN (SELECT folder_id FROM photos)")


def forget_all(db: Database) -> int:
    """Delete every row, and the backups that migrations and `rebuild` made -> how many photos were deleted."""
    (photos,) = db.one("SELECT count(*) FROM photos")
    with db.unchecked(), db.transaction():
        for table in (*IMAGE_TABLES, *OTHER_TABLES):
            db.write(f"DELETE FROM {table}")
        db.write("INSERT INTO properties VALUES ('id', lower(hex(randomblob(8))))")
        db.write("DELETE FROM counts WHERE name LIKE 'scored %'")
        db.write("UPDATE counts SET n = 0")
    db.vacuum()
    for backup in database.list_backups(db.path):
        backup.unlink(missing_ok=True)
    return int(photos)


def _find_photo_ids(db: Database, path: str) -> list[int]:
    """The ids of the photo at an absolute path, or of all at or below that folder, absent ones included."""
    where, values = match_folder(db, path)
    scope = find_scope(db, os.path.dirname(path))
    if scope is not None:
        where = f"({where}) OR (f.root_id = ? AND f.path = ? AND p.name = ?)"
        values += [scope.root_id, to_sql(scope.below), to_sql(os.path.basename(path))]
    rows = db.rows(
        f"SELECT p.id FROM photos p JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id "
        f"WHERE {where}",
        values,
    )
    return [photo_id for (photo_id,) in rows]
