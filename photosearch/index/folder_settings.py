"""How folders are indexed: what is said of them adds up, what it means in words, and how a walk goes by it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from photosearch.errors import InputError
from photosearch.library.database import Database
from photosearch.library.folders import (
    FolderSettings,
    count_photos,
    find_scope,
    is_present,
    list_folders,
    list_roots,
    list_settings,
    put_settings,
    read_own_settings,
    read_settings,
    to_stored_path,
)
from photosearch.library.models import read_default_model, read_stored_card
from photosearch.models.card import Card
from photosearch.photos.remote import is_folder
from photosearch.photos.walk import WalkOptions


def to_walk_options(known: FolderSettings) -> WalkOptions:
    return WalkOptions(known.exclude or (), known.include or (), bool(known.follow_symlinks))


def merge_settings(own: FolderSettings, before: FolderSettings, said: FolderSettings, *, known: bool) -> FolderSettings:
    """What a folder remembers from now on: models, exclusions and inclusions add up, the rest is replaced.

    own: what it remembered itself; before: the same over the folders above; said: now. known: whether anything was
    indexed there before; else a model that is named takes the place of the library's own.
    """
    models = own.models
    if said.models is not None:
        have = before.models or ((None,) if known else ())
        models = tuple(dict.fromkeys((*have, *said.models)))
        models = own.models if models == (before.models or (None,)) else models
    exclude, include = own.exclude, own.include
    if said.exclude:
        exclude = tuple(dict.fromkeys((*(before.exclude or ()), *said.exclude)))
        include = tuple(g for g in before.include or () if g not in said.exclude) or None
    if said.include:
        dropped = tuple(g for g in (exclude or before.exclude or ()) if g not in said.include)
        new = [g for g in said.include if g not in (before.exclude or ())]
        exclude = dropped if (exclude or before.exclude) else exclude
        include = tuple(dict.fromkeys((*(before.include or ()), *new))) or include
    return FolderSettings(
        models, own.tiles if said.tiles is None else said.tiles, exclude, include,
        own.follow_symlinks if said.follow_symlinks is None else said.follow_symlinks,
    )  # fmt: skip


def describe_change(before: FolderSettings, after: FolderSettings) -> str:
    """The settings that changed, in a few words."""
    told = []
    for name, value in describe_settings(after).items():
        if value != describe_settings(before)[name]:
            told.append(f"{name}: {value}")
    return ", ".join(told)


def describe_settings(known: FolderSettings) -> Mapping[str, str]:
    """Each setting in a few words, as a person reads it."""
    models = ", ".join("the library's own" if name is None else name for name in known.models or (None,))
    return {
        "models": models,
        "tiles": "as the model's card says" if known.tiles is None else str(known.tiles),
        "excluded": ", ".join(known.exclude or ()) or "nothing more than usual",
        "included": ", ".join(known.include or ()) or "nothing more than usual",
        "links": "followed" if known.follow_symlinks else "passed over",
    }


def describe_folders(db: Database) -> list[dict[str, Any]]:
    """Every root, and every folder with settings of its own: path, counts, there, settings, described, usual."""
    scopes = {scope.path: scope for scope in list_roots(db)}
    scopes |= {scope.path: scope for scope, _ in list_settings(db)}
    rows = []
    for path, scope in sorted(scopes.items()):
        known, counts = read_settings(db, scope), count_photos(db, scope)
        rows.append({
            "path": path, "photos": counts.photos, "unreadable": counts.unreadable, "removed": counts.removed,
            "excluded": counts.excluded, "there": is_present(scope), "settings": known.to_dict(),
            "described": dict(describe_settings(known)), "usual": dict(describe_settings(FolderSettings())),
        })  # fmt: skip
    return rows


def set_folder(
    db: Database, folder: str, said: FolderSettings, card_of: Callable[[str], Card], *, reset: bool = False
) -> str:
    """Keep what is said of a folder in place of what was said before -> how it is indexed now, in words.

    card_of: a model's name or file -> its card. Raises InputError where no folder that is known holds it.
    """
    path = to_stored_path(db, folder)
    scope = find_scope(db, path)
    if scope is None or not (is_folder(path) or list_folders(db, scope)):
        known = ", ".join(root.root for root in list_roots(db)) or "none"
        raise InputError(f"{folder}: not in a folder that is known; known are {known}")
    own = FolderSettings() if reset else read_own_settings(db, scope)
    if said.models is not None:
        said = replace(said, models=tuple(_canonical(db, name, card_of) for name in said.models if name is not None))
    if said.tiles:
        for name in said.models or own.models or (None,):
            card = card_of(name) if name is not None else read_stored_card(db, read_default_model(db) or "")
            if str(said.tiles) not in card.pooling:
                raise InputError(f"{card.name} is not calibrated for {said.tiles} tiles")
    new = said.over(own)
    put_settings(db, scope, new)
    return "; ".join(f"{key}: {value}" for key, value in describe_settings(read_settings(db, scope)).items())


def _canonical(db: Database, name: str, card_of: Callable[[str], Card]) -> str | None:
    """The library's own model as None, a file by its path, any other by its name."""
    card = card_of(name)
    if card.name == read_default_model(db):
        return None
    return os.path.abspath(name) if os.path.isfile(name) else card.name
