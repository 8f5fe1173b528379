"""Everything that is known about one image: its files, its scores, and the user's marks."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from photosearch.library.database import Database, join
from photosearch.library.details import FileDetails, read_file_details


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A photo in the library, with this image as its content. details: None where its metadata was not read."""

    path: str
    size_bytes: int
    mtime_ns: int
    details: FileDetails | None = None


@dataclass(frozen=True, slots=True)
class LabelScore:
    """score: 0..1. threshold: the label applies from this score on."""

    label: str
    model: str
    score: float
    threshold: float


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """width, height: upright, in pixels. taken: local time, YYYY-MM-DDTHH:MM:SS, and the metadata field it is from;
    None where the content has no date. files: in the order in which they were found. scores: the stored ones, highest
    first. marks: label -> whether the user marked the image as showing it.
    """

    image_id: int
    content_hash: bytes
    width: int
    height: int
    taken: str | None
    taken_from: str | None
    files: tuple[ImageFile, ...]
    scores: tuple[LabelScore, ...]
    marks: Mapping[str, bool]

    @property
    def paths(self) -> list[str]:
        return [file.path for file in self.files]


def read_details(db: Database, image_id: int) -> ImageDetails | None:
    """None where no photo in the library shows the image."""
    row = db.row("SELECT hash, width, height, taken, taken_from FROM images WHERE id = ?", [image_id])
    files = _list_files(db, image_id)
    if row is None or not files:
        return None
    details = read_file_details(db, list(files))
    described = tuple(replace(file, details=details.get(photo_id)) for photo_id, file in files.items())
    content_hash, width, height, taken, taken_from = row
    scores, marks = _list_scores(db, image_id), _read_marks(db, image_id)
    return ImageDetails(image_id, content_hash, width, height, taken, taken_from, described, scores, marks)


def find_image_files(db: Database, image_id: int) -> tuple[bytes, list[str]] | None:
    """(content hash, paths), or None where no photo in the library shows the image."""
    row = db.row("SELECT hash FROM images WHERE id = ?", [image_id])
    files = _list_files(db, image_id)
    return None if row is None or not files else (row[0], [file.path for file in files.values()])


def list_chosen_images(db: Database) -> list[int]:
    """The ids of the images that the user has marked, or put into an album."""
    tables = [
        name for (name,) in db.rows("SELECT name FROM sqlite_schema WHERE name IN ('marks', 'album_images') ORDER BY 1")
    ]
    return [i for (i,) in db.rows(" UNION ".join(f"SELECT image_id FROM {table}" for table in tables))]


def _list_files(db: Database, image_id: int) -> dict[int, ImageFile]:
    """By photo id, in the order in which they were found."""
    rows = db.rows(
        """
        SELECT p.id, r.path, f.path, p.name, p.size_bytes, p.mtime_ns FROM photos p
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
        WHERE p.image_id = ? AND p.absent IS NULL ORDER BY p.id
        """,
        [image_id],
    )
    return {photo_id: ImageFile(join(r, f, n), size, mtime) for photo_id, r, f, n, size, mtime in rows}


def _list_scores(db: Database, image_id: int) -> tuple[LabelScore, ...]:
    rows = db.rows(
        """
        SELECT l.name, l.model, s.score, coalesce(l.threshold, l.card_threshold)
        FROM scores s JOIN labels l ON l.id = s.label_id WHERE s.image_id = ? ORDER BY s.score DESC, l.id
        """,
        [image_id],
    )
    return tuple(LabelScore(*row) for row in rows)


def _read_marks(db: Database, image_id: int) -> dict[str, bool]:
    rows = db.rows("SELECT label, present FROM marks WHERE image_id = ? ORDER BY label", [image_id])
    return {label: bool(present) for label, present in rows}
