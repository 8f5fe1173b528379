"""Delete what the library knows about photos."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

from photosearch.library import database
from photosearch.library.database import Database, SqlValue, is_below, to_sql
from photosearch.library.details import delete_details, delete_unused
from photosearch.library.folders import find_scope, list_roots, list_settings, match_folder
from photosearch.library.undo import EMPTY_STEPS
from photosearch.library.user_copy import delete_copies

# Tables whose rows belong to an image, and the others, each before those that its rows refer to.
IMAGE_TABLES = (
    "scores",
    "inactive_scores",
    "scored",
    "vectors",
    "texts",
    "marks",
    "sample_photos",
    "training_marks",
    "undo_marks",
    "album_images",
    "undo_album_images",
)
OTHER_TABLES = (
    "samples", "undo_albums", "undo_log", "albums", "classifiers", "model_labels", "labels", "runs", "models", "photos",
    "images", "folder_settings", "folders", "roots", "properties", "details", "photo_terms", "places", "cameras",
    "terms",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ForgetCounts:
    """What `forget` deletes with some photos. judged: photos of samples that were judged; their marks are in marks.

    in_albums: places of photos in albums. albums: which go whole, with their names, where everything is forgotten.
    """

    photos: int
    marks: int
    judged: int
    in_albums: int = 0
    albums: int = 0


def count_forgotten(db: Database, paths: Sequence[str] | None) -> ForgetCounts:
    """What `forget_photos` would delete, None: `forget_all`."""
    if paths is None:
        photos, images = db.one("SELECT count(*) FROM photos")[0], "SELECT id FROM images"
        values: list[SqlValue] = []
    else:
        photo_ids = _find_all_photo_ids(db, paths)
        photos, images = len(photo_ids), "SELECT value FROM json_each(?)"
        values = [json.dumps(_find_only_images(db, photo_ids))]
    (marks,) = db.one(f"SELECT count(*) FROM marks WHERE image_id IN ({images})", values)
    (judged,) = db.one(
        f"""
        SELECT count(*) FROM sample_photos d JOIN samples s ON s.id = d.sample_id JOIN labels l ON l.id = s.label_id
        JOIN marks t ON t.label = l.name AND t.image_id = d.image_id WHERE d.image_id IN ({images})
        """,
        values,
    )
    (in_albums,) = db.one(f"SELECT count(*) FROM album_images WHERE image_id IN ({images})", values)
    albums = db.one("SELECT count(*) FROM albums")[0] if paths is None else 0
    return ForgetCounts(int(photos), int(marks), int(judged), int(in_albums), int(albums))


def forget_photos(db: Database, paths: Sequence[str]) -> int:
    """Delete photos, and folders with all photos below, by absolute path -> how many photos were deleted.

    With a photo its image is deleted, unless another photo shows the same image; with a folder, its roots and its
    settings. The caller must hold the library (lock_library). Ends with a vacuum, so that the file keeps no traces.
    """
    with db.unchecked(), db.transaction():
        photo_ids = _find_all_photo_ids(db, paths)
        image_ids = _find_only_images(db, photo_ids)
        delete_details(db, photo_ids)
        db.write_many("DELETE FROM photos WHERE id = ?", [(photo_id,) for photo_id in photo_ids])
        db.write_many("DELETE FROM images WHERE id = ?", [(image_id,) for image_id in image_ids])
        _delete_orphans(db)
        for folder, _ in list_settings(db):
            if any(folder.path == path or is_below(folder.path, path) for path in paths):
                key = [folder.root_id, to_sql(folder.below)]
                db.write("DELETE FROM folder_settings WHERE root_id = ? AND path = ?", key)
        for root in list_roots(db):
            if any(root.root == path or is_below(root.root, path) for path in paths):
                db.write("DELETE FROM roots WHERE id = ?", [root.root_id])
    db.vacuum()
    db.flush_copy()
    return len(photo_ids)


def _delete_orphans(db: Database) -> None:
    """Delete the images that no photo shows any more, and what then has no image or photo.

    An image without a photo that no model has scored here is one that `rebuild` rescued: it waits for `index`.
    """
    db.write(
        "DELETE FROM images WHERE id NOT IN (SELECT image_id FROM photos WHERE image_id IS NOT NULL) "
        "AND id IN (SELECT image_id FROM scored)"
    )
    for table in IMAGE_TABLES:
        db.write(f"DELETE FROM {table} WHERE image_id NOT IN (SELECT id FROM images)")
    db.write("DELETE FROM samples WHERE id NOT IN (SELECT sample_id FROM sample_photos)")
    for statement in EMPTY_STEPS:
        db.write(statement)
    db.write("DELETE FROM folders WHERE id NOT IN (SELECT folder_id FROM photos)")
    delete_unused(db)


def forget_all(db: Database) -> int:
    """Delete every row, the user's copy, and the backups that migrations and `rebuild` made -> number of photos."""
    (photos,) = db.one("SELECT count(*) FROM photos")
    with db.unchecked(), db.transaction():
        for table in (*IMAGE_TABLES, *OTHER_TABLES):
            db.write(f"DELETE FROM {table}")
        db.write("INSERT INTO properties VALUES ('id', lower(hex(randomblob(8))))")
        db.write("DELETE FROM counts WHERE name LIKE 'scored %'")
        db.write("UPDATE counts SET n = 0")
    db.accept_change()
    db.vacuum()
    db.flush_copy()
    delete_copies(db.path)
    for backup in database.list_backups(db.path):
        backup.unlink(missing_ok=True)
    return int(photos)


def _find_all_photo_ids(db: Database, paths: Sequence[str]) -> list[int]:
    return sorted({photo_id for path in paths for photo_id in _find_photo_ids(db, path)})


def _find_only_images(db: Database, photo_ids: Sequence[int]) -> list[int]:
    """The images that these photos show and no other photo does."""
    rows = db.rows(
        """
        WITH gone AS MATERIALIZED (SELECT value AS id FROM json_each(?))
        SELECT DISTINCT p.image_id FROM gone CROSS JOIN photos p ON p.id = gone.id
        WHERE p.image_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM photos o WHERE o.image_id = p.image_id AND o.id NOT IN (SELECT id FROM gone))
        """,
        [json.dumps(list(photo_ids))],
    )
    return [image_id for (image_id,) in rows]


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
