"""Planning a run: what it finds is what the library holds once it is written, and until then nothing is."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from library import InThisProcess, Library, make
from toy import toy_card, write_toy

from photosearch.errors import InputError, ModelError
from photosearch.index.infer import Scorer
from photosearch.index.plan import NO_SETTINGS, RunPlan, SaveSettings, plan_run
from photosearch.index.roots import AbsorbRoot, AddRoot, Layout, MoveRoot, is_known, read_layout, rebase, write_change
from photosearch.library.folders import FolderSettings, find_scope, list_folders, list_roots, put_settings
from photosearch.models.session import Model

RAW = FolderSettings(exclude=("raw",))
TILES = FolderSettings(tiles=4)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = make(tmp_path)
    with made.db:
        yield made


def index(library: Library, *folders: str) -> None:
    """Index folders of three photos each, which are made."""
    for folder in folders:
        for i in range(3):
            library.photo(f"{folder}/{i}.png", size=(64, 48 + i + len(folder)))
        library.index(folder, decoders=InThisProcess)


def plan(library: Library, *folders: str, settings: FolderSettings = NO_SETTINGS) -> RunPlan:
    paths = [str(library.path(folder)) for folder in folders]
    return plan_run(library.db, paths, lambda name: library.model, settings=settings)


def put(library: Library, folder: str, settings: FolderSettings) -> None:
    scope = find_scope(library.db, str(library.path(folder)))
    assert scope is not None
    put_settings(library.db, scope, settings)


def move(library: Library, before: str, after: str, *, link: bool = False) -> None:
    library.path(after).parent.mkdir(parents=True, exist_ok=True)
    library.path(before).rename(library.path(after))
    if link:
        library.path(before).symlink_to(library.path(after))


def prepare_new_root(library: Library) -> tuple[str, ...]:
    library.photo("a/new.png")
    return ("a",)


def prepare_root_around_others(library: Library) -> tuple[str, ...]:
    index(library, "a/b", "c")
    put(library, "a/b", RAW)
    return ("",)


def prepare_moved_root(library: Library) -> tuple[str, ...]:
    index(library, "old/2019")
    put(library, "old/2019", RAW)
    move(library, "old", "new")
    return ("new/2019",)


def prepare_moved_root_around_another(library: Library) -> tuple[str, ...]:
    index(library, "old")
    library.path("old/2019").mkdir()
    shutil.copy(library.path("old/0.png"), library.path("old/2019/0.png"))
    library.index("old", decoders=InThisProcess)
    move(library, "old", "new")
    library.index("new/2019", decoders=InThisProcess)
    put(library, "new/2019", RAW)
    return ("new",)


def prepare_link_into_another_root(library: Library) -> tuple[str, ...]:
    index(library, "home", "disk")
    put(library, "home", RAW)
    move(library, "home", "disk/home", link=True)
    return ("disk",)


def prepare_link_to_known_folder(library: Library) -> tuple[str, ...]:
    index(library, "home", "disk/home")
    put(library, "home", RAW)
    put(library, "disk/home", TILES)
    shutil.rmtree(library.path("home"))
    library.path("home").symlink_to(library.path("disk/home"))
    return ("home", "disk")


@pytest.mark.parametrize(
    ("prepare", "changes"),
    [
        (prepare_new_root, [AddRoot]), (prepare_root_around_others, [AddRoot]), (prepare_moved_root, [MoveRoot]),
        (prepare_moved_root_around_another, [MoveRoot]), (prepare_link_into_another_root, [AbsorbRoot]),
        (prepare_link_to_known_folder, [AbsorbRoot, AddRoot]),
    ],
)  # fmt: skip
def test_layout_after_planned_changes_is_the_layout_once_they_are_written(
    library: Library, prepare: Callable[[Library], tuple[str, ...]], changes: list[type]
) -> None:
    folders = prepare(library)
    planned = plan(library, *folders)
    layout = read_layout(library.db)
    for change in planned.changes:
        assert not isinstance(change, SaveSettings)
        layout = layout.apply(change)
    names = ("", "a", "a/b", "c", "old", "new", "new/2019", "disk", "disk/home", "disk/x")
    known = {name: is_known(library.db, layout, str(library.path(name))) for name in names}
    for change in planned.changes:
        assert not isinstance(change, SaveSettings)
        write_change(library.db, change)
    stored = read_layout(library.db)
    assert [type(change) for change in planned.changes] == changes
    assert (layout.roots, layout.settings) == (stored.roots, stored.settings)
    for folder, was_known in known.items():
        scope = find_scope(library.db, str(library.path(folder)))
        assert scope is None or was_known is bool(list_folders(library.db, scope)), folder


def test_plan_writes_nothing(library: Library) -> None:
    library.photo("a/new.png")
    planned = plan(library, "a", settings=RAW)
    assert planned.changes == (
        AddRoot(str(library.path("a"))), SaveSettings(str(library.path("a")), RAW, None),
    )  # fmt: skip
    assert [folder.scorers for folder in planned.folders] == [(Scorer(library.model.digest),)]
    assert planned.default_model == "toy"
    assert not any(library.rows().values())


def test_refused_run_leaves_the_library_as_it_was(library: Library) -> None:
    index(library, "old")
    move(library, "old", "new")
    library.photo("a/new.png")
    before = library.rows()
    with pytest.raises(ModelError, match="can't use 9 tiles"):
        library.index("new", "a", tiles=9)
    with pytest.raises(InputError, match="no such folder"):
        library.index("new", "a", "nowhere", exclude=("raw",))
    assert library.rows() == before


def test_plan_scans_folders_with_settings_of_their_own_apart(library: Library) -> None:
    index(library, "a/b", "a/c")
    library.index("a", decoders=InThisProcess)
    put(library, "a/b", RAW)
    planned = plan(library, "a/c", "a", settings=TILES)
    a, b, c = (str(library.path(folder)) for folder in ("a", "a/b", "a/c"))
    assert [(folder.path, folder.apart) for folder in planned.folders] == [(a, (b, c)), (b, ()), (c, ())]
    assert [folder.options.exclude for folder in planned.folders] == [(), ("raw",), ()]
    assert {scorer for folder in planned.folders for scorer in folder.scorers} == {Scorer(library.model.digest, 4)}


def test_plan_loads_each_model_once_and_gives_reasons_to_score_again(library: Library, tmp_path: Path) -> None:
    index(library, "a")
    newer = Model(write_toy(tmp_path / "newer.onnx", toy_card(version="2"), scale=1 / 300), provider="cpu", threads=1)
    loaded: list[str | None] = []

    def load(name: str | None) -> Model:
        loaded.append(name)
        return newer

    for settings, reason in (
        (FolderSettings(), "another version of the model"),
        (TILES, "another version of the model"),
    ):
        loaded.clear()
        planned = plan_run(library.db, [str(library.path("a"))] * 2, load, settings=settings)
        assert [scorer.reason for scorer in planned.scorers] == [reason]
        assert len(loaded) == 1
    (scorer,) = plan(library, "a", settings=TILES).scorers
    assert scorer.reason == "other tiles"


def test_settings_of_a_folder_lie_over_those_above_it() -> None:
    layout = Layout(("/a",), (), {"/a": RAW, "/a/b": TILES, "/a/bc": FolderSettings(tiles=9)})
    assert layout.read_settings("/a/b/c") == FolderSettings(tiles=4, exclude=("raw",))
    assert layout.read_settings("/a/x") == RAW
    assert layout.put_settings("/a", FolderSettings()).read_settings("/a/x") == FolderSettings()


def test_rebase_moves_what_is_below_a_folder_and_nothing_else() -> None:
    moved = [rebase(path, "/a", "/x/y") for path in ("/a", "/a/b", "/ab", "/b")]
    assert moved == ["/x/y", "/x/y/b", "/ab", "/b"]
    assert [rebase("/a/b", "/", "/x"), rebase("/a/b", "/a", "/"), rebase("/a", "/a", "/")] == ["/x/a/b", "/b", "/"]
    assert rebase("s3://b/a/c.jpg", "s3://b/a", "/photos") == "/photos/c.jpg"


def test_roots_are_not_lost_where_nothing_is_planned(library: Library) -> None:
    index(library, "a")
    assert plan(library, "a").changes == ()
    assert [root.root for root in list_roots(library.db)] == [str(library.path("a"))]
