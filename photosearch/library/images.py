"""Everything that is known about one image: its files, its scores, and the user's marks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from photosearch.library.database import Database, join
from photosearch.library.details import FileDetails, read_file_details
from photosearch.library.photos import IndexedFile
from photosearch.library.texts import read_texts
from photosearch.ocr.lines import TextLine


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A photo in the library, with this image as its content. details: None where its metadata was not read."""

    path: str
    size_bytes: int
    mtime_ns: int
    details: FileDetails | None = None
    photo_id: int = 0


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
    first. marks: label -> whether the user marked the image as showing it. texts: the lines in the picture, from the
    top down; None where nobody has looked for any (`index --ocr`).
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
    texts: tuple[TextLine, ...] | None = None

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
    return ImageDetails(
        image_id, content_hash, width, height, taken, taken_from, described, scores, marks, read_texts(db, image_id)
    )


def find_image_files(db: Database, image_id: int) -> tuple[bytes, list[str]] | None:
    """(content hash, paths), or None where no photo in the library shows the image."""
    row = db.row("SELECT hash FROM images WHERE id = ?", [image_id])
    files = _list_files(db, image_id)
    return None if row is None or not files else (row[0], [file.path for file in files.values()])


def find_shown(db: Database, image_ids: Sequence[int]) -> list[int]:
    """Those of these images that a photo on the disk shows, each once, in their order."""
    rows = db.rows(
        """
        SELECT j.value FROM json_each(?) j
        WHERE EXISTS (SELECT 1 FROM photos p WHERE p.image_id = j.value AND p.absent IS NULL) ORDER BY j.key
        """,
        [json.dumps(list(image_ids))],
    )
    return list(dict.fromkeys(image_id for (image_id,) in rows))


def list_image_files(db: Database, image_ids: Sequence[int]) -> dict[int, list[IndexedFile]]:
    """image id -> the files on the disk that show it, in the order in which they were found; in that of the ids."""
    rows = db.rows(
        """
        SELECT i.id, r.path, f.path, p.name, p.size_bytes, p.mtime_ns, i.hash FROM json_each(?) j
        JOIN images i ON i.id = j.value JOIN photos p ON p.image_id = i.id AND p.absent IS NULL
        JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id ORDER BY j.key, p.id
        """,
        [json.dumps(list(dict.fromkeys(image_ids)))],
    )
    found: dict[int, list[IndexedFile]] = {}
    for image_id, root, folder, name, *rest in rows:
        found.setdefault(image_id, []).append(IndexedFile(join(root, folder, name), *rest))
    return found


def list_chosen_images(db: Database) -> list[int]:
    """The ids of the images that the user has marked, or put into an album."""
    return [i for (i,) in db.rows("SELECT image_id FROM marks UNION SELECT image_id FROM album_images")]


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
    return {
        photo_id: ImageFile(join(r, f, n), size, mtime, photo_id=photo_id) for photo_id, r, f, n, size, mtime in rows
    }


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
