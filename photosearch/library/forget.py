"""Delete what the library knows of photos."""

import os
from collections.abc import Sequence

from photosearch.library import database
from photosearch.library.database import Database, is_below, to_sql
from photosearch.library.folders import below_folder, find_scope, list_roots, list_settings

_ANY = "FROM photos p JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id WHERE 1"


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
    """Delete what is known of photos, and of folders with all below, by their absolute paths -> photos forgotten.

    With a photo goes what was known of its content, unless another photo shows the same; with a folder, its roots and
    how it is indexed.
    Only for who holds the library (lock.only_one). Ends in a vacuum.
    """
    with db.unchecked(), db.transaction():
        photo_ids = {photo_id for path in paths for photo_id in _find_photo_ids(db, path)}
        db.write_many("DELETE FROM photos WHERE id = ?", [(photo_id,) for photo_id in photo_ids])
        db.write("DELETE FROM images WHERE id NOT IN (SELECT image_id FROM photos WHERE image_id IS NOT NULL)")
        for table in IMAGE_TABLES:
            db.write(f"DELETE FROM {table} WHERE image_id NOT IN (SELECT id FROM images)")
        db.write("DELETE FROM samples WHERE id NOT IN (SELECT sample_id FROM sample_photos)")
        db.write("DELETE FROM undo_log WHERE label_id IS NULL AND id NOT IN (SELECT undo_id FROM undo_marks)")
        db.write("DELETE FROM folders WHERE id NOT IN (SELECT folder_id FROM photos)")
        for folder, _ in list_settings(db):
            if any(folder.path == path or is_below(folder.path, path) for path in paths):
                key = [folder.root_id, to_sql(folder.below)]
                db.write("DELETE FROM folder_settings WHERE root_id = ? AND path = ?", key)
        for root in list_roots(db):
            if any(root.root == path or is_below(root.root, path) for path in paths):
                db.write("DELETE FROM roots WHERE id = ?", [root.root_id])
    db.vacuum()
    return len(photo_ids)


def forget_all(db: Database) -> int:
    """Delete every row, and the copies that migrations and `rebuild` put aside -> photos forgotten."""
    (photos,) = db.one("SELECT count(*) FROM photos")
    with db.unchecked(), db.transaction():
        for table in (*IMAGE_TABLES, *OTHER_TABLES):
            db.write(f"DELETE FROM {table}")
        db.write("INSERT INTO properties VALUES ('id', lower(hex(randomblob(8))))")
        db.write("DELETE FROM counts WHERE name LIKE 'scored %'")
        db.write("UPDATE counts SET n = 0")
    db.vacuum()
    for copy in database.list_backups(db.path):
        copy.unlink(missing_ok=True)
    return int(photos)


def _find_photo_ids(db: Database, path: str) -> list[int]:
    """The ids of the photo at an absolute path, or of all at or below the folder there; those that are gone too."""
    where, values = below_folder(db, path)
    inside = find_scope(db, os.path.dirname(path))
    if inside is not None:
        where = f"({where}) OR (f.root_id = ? AND f.path = ? AND p.name = ?)"
        values += [inside.root_id, to_sql(inside.below), to_sql(os.path.basename(path))]
    return [photo_id for (photo_id,) in db.rows(f"SELECT p.id {_ANY} AND ({where})", values)]
