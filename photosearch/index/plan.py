"""What an index run will do: which roots and settings it changes, which folders it scans, and with which scorers.

Planning reads the library and loads models, and writes nothing: a run that is refused here has changed nothing.
`execute` in run.py writes the changes and does the rest.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from photosearch.errors import ModelError
from photosearch.index.changes import Changes
from photosearch.index.folder_settings import check_patterns, describe_change, merge_settings, to_walk_options
from photosearch.index.infer import LoadedScorer, Scorer
from photosearch.index.roots import Layout, RootChange, find_place, is_known, plan_root, read_layout
from photosearch.library.database import Database, is_below
from photosearch.library.folders import FolderSettings
from photosearch.library.models import list_models, read_default_model, read_model_path
from photosearch.models.card import check_tiles
from photosearch.models.session import Model
from photosearch.photos.walk import Photo, WalkOptions

NO_SETTINGS = FolderSettings()

Load = Callable[[str | None], Model]


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How one run works; the folders do not remember it.

    batch_size: photos scored at once. workers: photos opened at once. max_pixels: of a photo; larger ones are
    unreadable. force: open and score everything again. retry: open unreadable photos again. prune: remove missing
    photos even if most of a folder is missing. changes: look at these folders alone. leave: whether a photo stays as it
    is known, since it is still being written. lately: folder -> photos of it that runs just before have removed.
    """

    batch_size: int | None = None
    workers: int | None = None
    max_pixels: int | None = None
    force: bool = False
    retry: bool = False
    prune: bool = False
    changes: Changes | None = None
    leave: Callable[[Photo], bool] | None = None
    lately: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SaveSettings:
    """settings: the folder's own. description: what changed, for a folder that was indexed before; else None."""

    path: str
    settings: FolderSettings
    description: str | None


@dataclass(frozen=True, slots=True)
class PlannedScorer:
    """path: of the model's file, where its name does not lead to it. reason: why it scores photos that are known."""

    loaded: LoadedScorer
    path: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedFolder:
    """One scan. apart: folders below that are scanned on their own, since they have settings of their own.

    metadata: whether what files say is stored.
    """

    path: str
    scorers: tuple[Scorer, ...]
    options: WalkOptions
    apart: tuple[str, ...]
    metadata: bool = True


@dataclass(frozen=True, slots=True)
class RunPlan:
    """A run, before anything of it is written.

    changes: of roots and settings, in the order in which they are written. default_model: to be set in a library that
    has none. provider: as the run's record names it. patterns: that the run was given, to exclude or to include.
    """

    options: RunOptions
    changes: tuple[RootChange | SaveSettings, ...]
    folders: tuple[PlannedFolder, ...]
    scorers: tuple[PlannedScorer, ...]
    default_model: str | None
    provider: str
    patterns: tuple[str, ...] = ()

    @property
    def model_names(self) -> list[str]:
        return list(dict.fromkeys(scorer.loaded.model.card.name for scorer in self.scorers))


def plan_run(
    db: Database,
    folders: Sequence[str],
    load: Load,
    *,
    settings: FolderSettings = NO_SETTINGS,
    options: RunOptions | None = None,
) -> RunPlan:
    """Plan a run over some folders.

    load: a model's name or file, None for the tool's default -> the model. settings: new ones for all these folders,
    which will remember them. Raises InputError, ModelError or StoreError.
    """
    check_patterns(settings)
    places = list(dict.fromkeys(find_place(db, folder) for folder in folders))
    load_model = _cache_models(db, load)
    canonical = _to_canonical(db, settings, load_model)
    layout = read_layout(db)
    changes: list[RootChange | SaveSettings] = []
    for place in places:
        for change in plan_root(db, layout, place):
            layout = layout.apply(change)
            changes.append(change)
        saved = _plan_settings(db, layout, place, canonical)
        if saved is not None:
            layout = layout.put_settings(place, saved.settings)
            changes.append(saved)
    paths = _find_scans(layout, places)
    chosen = {path: _choose_scorers(layout.read_settings(path), settings.models, load_model) for path in paths}
    scorers = {scorer.key: scorer for found in chosen.values() for scorer in found}
    first = next(iter(scorers.values()), None)
    return RunPlan(
        options or RunOptions(), tuple(changes),
        tuple(_plan_folder(layout, path, paths, chosen[path]) for path in paths),
        tuple(_plan_scorer(db, scorer) for scorer in scorers.values()),
        first.model.card.name if first is not None and read_default_model(db) is None else None,
        "none" if first is None else first.model.provider,
        (*(settings.exclude or ()), *(settings.include or ())),
    )  # fmt: skip


def _cache_models(db: Database, load: Load) -> Load:
    """`load` that loads each model once, and gives the library's default model for None."""

    @functools.cache
    def load_model(name: str | None) -> Model:
        default = read_default_model(db) if name is None else None
        return load(name if default is None else read_model_path(db, default) or default)

    return load_model


def _to_canonical(db: Database, settings: FolderSettings, load_model: Load) -> FolderSettings:
    """The settings with models by names that lead to them at any time: None is the default, a file is its full path.

    Raises ModelError where a model is not calibrated for the tiles.
    """
    models = {name: load_model(name) for name in settings.models or ()}
    default = read_default_model(db) or (next(iter(models.values())) if models else load_model(None)).card.name
    if settings.tiles:
        for model in models.values() or [load_model(None)]:
            check_tiles(model.card, settings.tiles)
    if settings.models is None:
        return settings
    names: list[str | None] = []
    for name, model in models.items():
        path = os.path.abspath(name) if name is not None and os.path.isfile(name) else None
        names.append(None if model.card.name == default else path or model.card.name)
    return replace(settings, models=tuple(dict.fromkeys(names)))


def _plan_settings(db: Database, layout: Layout, path: str, settings: FolderSettings) -> SaveSettings | None:
    """The settings that a folder remembers from now on, if they are others than before."""
    own, before, known = layout.settings.get(path, NO_SETTINGS), layout.read_settings(path), is_known(db, layout, path)
    merged = merge_settings(own, before, settings, known=known)
    if merged == own:
        return None
    after = layout.put_settings(path, merged).read_settings(path)
    return SaveSettings(path, merged, describe_change(before, after) if known and after != before else None)


def _find_scans(layout: Layout, places: Sequence[str]) -> list[str]:
    """The folders to scan: the named ones, and each folder below them that has settings of its own."""
    tops: list[str] = []
    for place in places:
        if not any(place == top or is_below(place, top) for top in tops):
            tops = [*(top for top in tops if not is_below(top, place)), place]
    return tops + [path for path in sorted(layout.settings) if any(is_below(path, top) for top in tops)]


def _choose_scorers(
    known: FolderSettings, models: tuple[str | None, ...] | None, load_model: Load
) -> list[LoadedScorer]:
    """The scorers of a folder with these settings. models: those that are named now are the only ones of this run."""
    return [_to_scorer(load_model(name), known.tiles) for name in models or known.models or (None,)]


def _to_scorer(model: Model, tiles: int | None) -> LoadedScorer:
    """A model with the tiles that a folder asks for, None for the card's; without, if they are another model's."""
    tiles = model.card.tiles if tiles is None else tiles
    return LoadedScorer(model, tiles if str(tiles) in model.card.pooling else 0)


def _plan_folder(layout: Layout, path: str, paths: Sequence[str], scorers: Sequence[LoadedScorer]) -> PlannedFolder:
    """One scan. paths: of all scans."""
    keys = tuple(dict.fromkeys(scorer.key for scorer in scorers))
    apart = tuple(other for other in paths if is_below(other, path))
    settings = layout.read_settings(path)
    return PlannedFolder(path, keys, to_walk_options(settings), apart, settings.metadata is not False)


def _plan_scorer(db: Database, loaded: LoadedScorer) -> PlannedScorer:
    card, digest = loaded.model.card, loaded.model.digest
    known = [m for m in list_models(db) if m.name == card.name and m.images]
    if any(m.digest == digest and m.tiles != loaded.tiles for m in known):
        reason = "other tiles"
    elif any(m.digest != digest for m in known):
        reason = "another version of the model"
    else:
        reason = "another model"
    return PlannedScorer(loaded, None if _is_findable(loaded.model) else os.path.abspath(loaded.model.path), reason)


def _is_findable(model: Model) -> bool:
    """Whether the model's name leads to this very file at any time."""
    from photosearch.models.catalog import resolve

    try:
        return os.path.samefile(resolve(model.card.name), model.path)
    except (ModelError, OSError):
        return False
