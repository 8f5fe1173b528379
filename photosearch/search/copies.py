"""The duplicate photos of a library."""

import numpy as np

from photosearch.library.database import Database
from photosearch.library.models import read_default_model
from photosearch.library.photos import list_photo_files
from photosearch.library.vectors import find_space
from photosearch.search.duplicates import Group, Photo, Vectors, find_duplicates
from photosearch.search.scope import check_folder
from photosearch.search.similar import open_vector_map


def find_duplicates_in_library(db: Database, *, near: bool = True, under: str | None = None) -> list[Group]:
    """Groups, the largest first. near: also the same picture in another size, encoding or crop. Raises InputError."""
    copies = list_photo_files(db, None if under is None else check_folder(db, under))
    photos = [Photo(c.image_id, c.path, c.size_bytes, c.width, c.height, c.content_hash, c.fingerprint) for c in copies]
    return find_duplicates(photos, _read_vectors(db, photos) if near else None, near=near)


def _read_vectors(db: Database, photos: list[Photo]) -> Vectors | None:
    """The default model's vectors, [N, D], NaN where a photo has none; None where the model has no vectors."""
    model = read_default_model(db)
    space = None if model is None else find_space(db, model)
    if space is None:
        return None
    with open_vector_map(db, space) as known:
        found = np.full((len(photos), space.dimensions), np.nan, np.float32)
        for i, photo in enumerate(photos):
            vector = known.vector(photo.image_id)
            if vector is not None:
                found[i] = vector
        return found
