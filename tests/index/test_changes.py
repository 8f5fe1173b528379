"""Which folders a run over changes looks at."""

from pathlib import Path

from photosearch.index.changes import Changes, Reach
from photosearch.photos.walk import Exclusions, WalkOptions


def test_changes_cover_folders_and_trees() -> None:
    changes = Changes(frozenset({"/p/a", "/p/t/x"}), frozenset({"/p/t", "/p/t/u"}))
    covered = {path: changes.covers(path) for path in ("/p", "/p/a", "/p/a/b", "/p/t", "/p/t/deep/er", "/p/t2")}
    assert covered == {
        "/p": False, "/p/a": True, "/p/a/b": False, "/p/t": True, "/p/t/deep/er": True, "/p/t2": False,
    }  # fmt: skip
    assert (changes.list_folders(), changes.list_trees()) == (["/p/a"], ["/p/t"])
    assert [changes.touches(path) for path in ("/p", "/p/t/u/v", "/q")] == [True, True, False]


def test_reach_stops_at_exclusions_and_links(tmp_path: Path) -> None:
    root = str(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    reach = Reach(root, root, Exclusions(WalkOptions(exclude=("out/", "*.gif")), root))
    folders = {name: reach.has_folder(f"{root}/{name}") for name in ("in/deep", "out/deep", ".hidden", "link", "gone")}
    assert folders == {"in/deep": True, "out/deep": False, ".hidden": False, "link": False, "gone": True}
    assert (reach.has_folder(root), reach.has_folder("/elsewhere")) == (True, False)
    assert [reach.has_file(f"{root}/in/{name}") for name in ("a.jpg", "a.gif", "._a.jpg")] == [True, False, False]
    assert Reach(root, root, Exclusions(WalkOptions(), root), follow_symlinks=True).has_folder(f"{root}/link")
