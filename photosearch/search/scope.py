"""Where a question looks: with which model, and in which folder."""

import os
from pathlib import Path

from photosearch.errors import InputError
from photosearch.library.database import Database, is_below
from photosearch.library.folders import find_scope, list_equivalent, list_folders, list_roots, to_stored_path
from photosearch.library.models import read_default_model
from photosearch.photos.remote import is_address


def choose_model(db: Database, model: str | None) -> str | None:
    """The name of the given model, which may be a file, else of the default model; None where nothing is indexed."""
    if model is None:
        return read_default_model(db)
    if not os.path.isfile(model):
        return model
    from photosearch.models.catalog import read_card

    return read_card(Path(model)).name


def check_folder(db: Database, folder: str) -> str:
    """A folder's path as the library stores it. Raises InputError where no indexed folder holds it or lies in it."""
    path = to_stored_path(db, folder)
    if not os.path.isdir(path) and (equivalent := list_equivalent(db, path)):
        path = equivalent[0]
    roots = list_roots(db)
    if not any(path == r.root or is_below(path, r.root) or is_below(r.root, path) for r in roots):
        names = ", ".join(root.root for root in roots) or "none"
        raise InputError(f"{folder}: not in an indexed folder; indexed are: {names}")
    scope = find_scope(db, path)
    if scope is not None and (is_address(path) or not os.path.isdir(path)) and not list_folders(db, scope):
        raise InputError(f"{folder}: no such folder, and the library knows none of that name")
    return path
