"""All that is known of one picture: where it stands, what the models said of it, what the user did.

A picture is an image, that is a content: it may stand in several places, and what is known of it is known of all.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from photosearch.library.database import Database, join


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A file that shows the picture and is in the library now."""

    path: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class LabelScore:
    """What a model said of it. score: 0..1. threshold: from which on the label holds."""

    label: str
    model: str
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """content: the hash of its bytes. width, height: upright, in pixels. taken: local time, YYYY-MM-DDTHH:MM:SS, and
    where that stands; None where nothing in the content says. standing: the first that was found comes first. scores:
    the highest first, those above the models' floors. said: label -> whether the user says that it shows that.
    """

    image_id: int
    content: bytes
    width: int
    height: int
    taken: str | None
    taken_from: str | None
    standing: tuple[ImageFile, ...]
    scores: tuple[LabelScore, ...]
    said: Mapping[str, bool]

    @property
    def paths(self) -> list[str]:
        return [s.path for s in self.standing]


def read_details(db: Database, image_id: int) -> ImageDetails | None:
    """None where no photo in the library shows it."""
    row = db.row("SELECT hash, width, height, taken, taken_from FROM images WHERE id = ?", [image_id])
    standing = _standing(db, image_id)
    if row is None or not standing:
        return None
    content, width, height, taken, taken_from = row
    scores, said = _scores(db, image_id), _said(db, image_id)
    return ImageDetails(image_id, content, width, height, taken, taken_from, standing, scores, said)


def find_image_files(db: Database, image_id: int) -> tuple[bytes, list[str]] | None:
    """(the hash of its bytes, where it stands), or None where no photo in the library shows it."""
    row = db.row("SELECT hash FROM images WHERE id = ?", [image_id])
    standing = _standing(db, image_id)
    return None if row is None or not standing else (row[0], [s.path for s in standing])


def read_marks(db: Database, label: str, image_ids: Sequence[int]) -> dict[int, bool]:
    """What the user said of these pictures: image id -> whether it shows the label; the others are left out."""
    rows = db.rows(
        "SELECT t.image_id, t.present FROM json_each(?) c CROSS JOIN marks t ON t.label = ? AND t.image_id = c.value",
        [json.dumps(list(image_ids)), label],
    )
    return {image_id: bool(present) for image_id, present in rows}


def _standing(db: Database, image_id: int) -> tuple[ImageFile, ...]:
    rows = db.rows(
        """
        SELECT r.path, f.path, p.name, p.size_bytes, p.mtime_ns FROM photos p
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
        WHERE p.image_id = ? AND p.absent IS NULL ORDER BY p.id
        """,
        [image_id],
    )
    return tuple(ImageFile(join(r, f, n), size, mtime) for r, f, n, size, mtime in rows)


def _scores(db: Database, image_id: int) -> tuple[LabelScore, ...]:
    rows = db.rows(
        """
        SELECT l.name, l.model, s.score, coalesce(l.threshold, l.card_threshold)
        FROM scores s JOIN labels l ON l.id = s.label_id WHERE s.image_id = ? ORDER BY s.score DESC, l.id
        """,
        [image_id],
    )
    return tuple(LabelScore(*row) for row in rows)


def _said(db: Database, image_id: int) -> dict[str, bool]:
    rows = db.rows("SELECT label, present FROM marks WHERE image_id = ? ORDER BY label", [image_id])
    return {label: bool(present) for label, present in rows}
