"""How folders are indexed: how new settings combine with stored ones, and how a person reads them."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from photosearch.errors import InputError
from photosearch.library.database import Database, is_below
from photosearch.library.folders import (
    FolderCounts,
    FolderSettings,
    Scope,
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
from photosearch.photos.walk import Exclusions, WalkOptions


@dataclass(frozen=True, slots=True)
class FolderReport:
    """A folder with settings, or a root. settings: those in effect; own: without those of the folders above it.

    present: it can be seen now.
    """

    path: str
    counts: FolderCounts
    present: bool
    settings: FolderSettings
    own: FolderSettings

    def to_json(self) -> dict[str, object]:
        counts = self.counts
        return {
            "path": self.path, "photos": counts.photos, "unreadable": counts.unreadable, "removed": counts.removed,
            "excluded": counts.excluded, "present": self.present, "settings": self.settings.to_dict(),
        }  # fmt: skip


def to_walk_options(settings: FolderSettings) -> WalkOptions:
    return WalkOptions(settings.exclude or (), settings.include or (), bool(settings.follow_symlinks))


def check_patterns(settings: FolderSettings) -> None:
    """Raises InputError for a pattern that can't match anything: stored, it would end each later run."""
    Exclusions(to_walk_options(settings), os.sep)


def merge_settings(own: FolderSettings, before: FolderSettings, new: FolderSettings, *, known: bool) -> FolderSettings:
    """The settings that a folder remembers after an index with new ones.

    Models, exclusions and inclusions add up, the others are replaced. own: the folder's own settings so far; before:
    those in effect, with the folders above. known: the folder was indexed before; if not, a new model replaces the
    default model.
    """
    models = own.models
    if new.models is not None:
        former = before.models or ((None,) if known else ())
        models = tuple(dict.fromkeys((*former, *new.models)))
        models = own.models if models == (before.models or (None,)) else models
    exclude, include = own.exclude, own.include
    if new.exclude:
        exclude = tuple(dict.fromkeys((*(before.exclude or ()), *new.exclude)))
        include = tuple(g for g in before.include or () if g not in new.exclude) or None
    if new.include:
        remaining = tuple(g for g in (exclude or before.exclude or ()) if g not in new.include)
        added = [g for g in new.include if g not in (before.exclude or ())]
        exclude = remaining if (exclude or before.exclude) else exclude
        include = tuple(dict.fromkeys((*(before.include or ()), *added))) or include
    return FolderSettings(
        models, own.tiles if new.tiles is None else new.tiles, exclude, include,
        own.follow_symlinks if new.follow_symlinks is None else new.follow_symlinks,
        own.metadata if new.metadata is None else new.metadata,
        own.ocr if new.ocr is None else new.ocr,
    )  # fmt: skip


def describe_change(before: FolderSettings, after: FolderSettings) -> str:
    """The settings that changed, in words."""
    former = describe_settings(before)
    return ", ".join(f"{name}: {text}" for name, text in describe_settings(after).items() if text != former[name])


def describe_settings(settings: FolderSettings) -> Mapping[str, str]:
    """Each setting in words: its name -> its value."""
    models = ", ".join("default" if name is None else name for name in settings.models or (None,))
    return {
        "models": models,
        "tiles": "the model's default" if settings.tiles is None else str(settings.tiles),
        "excluded": ", ".join(settings.exclude or ()) or "nothing extra",
        "included": ", ".join(settings.include or ()) or "nothing extra",
        "links": "followed" if settings.follow_symlinks else "not followed",
        "metadata": "not stored" if settings.metadata is False else "stored",
        "text in pictures": "read" if settings.ocr else "not read",
    }


def follows_links(db: Database, folder: str) -> bool:
    """Whether symbolic links in an absolute folder are followed."""
    scope = find_scope(db, folder)
    return scope is not None and bool(read_settings(db, scope).follow_symlinks)


def is_excluded(db: Database, folder: str) -> bool:
    """Whether an absolute folder below a root, or one above it, is excluded from indexing."""
    scope = find_scope(db, folder)
    if scope is None:
        return False
    return Exclusions(to_walk_options(read_settings(db, scope)), scope.root).excludes(folder, is_folder=True)


def exclude_folder(db: Database, folder: str) -> None:
    """Exclude an absolute folder below a root from indexing, in the settings that hold for it."""
    scope = find_scope(db, folder)
    if scope is None or is_excluded(db, folder):
        return
    above = [own for own, settings in list_settings(db) if own.root_id == scope.root_id and settings.exclude is not None
             and (own.path == folder or is_below(folder, own.path))]  # fmt: skip
    holder = above[-1] if above else Scope(scope.root_id, scope.root, "")
    own = read_own_settings(db, holder)
    pattern = "/" + re.sub(r"([\\*?\[\]])", r"\\\1", scope.below) + "/"
    put_settings(db, holder, replace(own, exclude=(*(own.exclude or ()), pattern)))


def describe_folders(db: Database) -> list[FolderReport]:
    """Every root, and every folder with settings of its own, by path."""
    scopes = {scope.path: scope for scope in list_roots(db)}
    scopes |= {scope.path: scope for scope, _ in list_settings(db)}
    return [
        FolderReport(
            path, count_photos(db, scope), is_present(scope), read_settings(db, scope), read_own_settings(db, scope)
        )
        for path, scope in sorted(scopes.items())
    ]


def set_folder(
    db: Database, folder: str, new: FolderSettings, card_of: Callable[[str], Card], *, reset: bool = False
) -> str:
    """Replace settings of a folder -> all its settings, in words.

    new: None leaves a setting as it is. card_of: a model's name or file -> its card. reset: first forget the settings
    that the folder has. Raises InputError where the folder is not in the library.
    """
    path = to_stored_path(db, folder)
    scope = find_scope(db, path)
    if scope is None or not (is_folder(path) or list_folders(db, scope)):
        known = ", ".join(root.root for root in list_roots(db)) or "none"
        raise InputError(f"{folder}: not in any indexed folder; indexed are {known}")
    check_patterns(new)
    own = FolderSettings() if reset else read_own_settings(db, scope)
    if new.models is not None:
        new = replace(new, models=tuple(_to_canonical(db, name, card_of) for name in new.models if name is not None))
    if new.tiles:
        for name in new.models or own.models or (None,):
            card = card_of(name) if name is not None else read_stored_card(db, read_default_model(db) or "")
            if str(new.tiles) not in card.pooling:
                raise InputError(f"{card.name} is not calibrated for {new.tiles} tiles")
    put_settings(db, scope, new.over(own))
    return "; ".join(f"{name}: {text}" for name, text in describe_settings(read_settings(db, scope)).items())


def _to_canonical(db: Database, name: str, card_of: Callable[[str], Card]) -> str | None:
    """A model as settings name it: None is the library's default model, a file is its full path."""
    card = card_of(name)
    if card.name == read_default_model(db):
        return None
    return os.path.abspath(name) if os.path.isfile(name) else card.name
