"""Which files below a folder are photos, and which are excluded or skipped."""

import os
import socket
import tempfile
from pathlib import Path

import pytest

from photosearch.errors import InputError
from photosearch.photos import decode as decoding
from photosearch.photos import walk as walking
from photosearch.photos.walk import Exclusions, Folder, Photo, WalkOptions


def tree(folder, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def walk(folder, **options: object) -> dict[str, list[str]]:
    """Folder -> its photos' names, both below `folder`; no folder comes twice."""
    found = [(f.path, [p.path for p in f.photos]) for f in walking.walk(str(folder), WalkOptions(**options))]
    assert len(dict(found)) == len(found)
    below = [(os.path.relpath(path, folder), [os.path.relpath(p, path) for p in inside]) for path, inside in found]
    return dict(below)


def test_walk_finds_photos_by_extension_sorted_by_name(tmp_path):
    tree(
        tmp_path, "b.JPG", "a.jpeg", "notes.txt", "z/1.heic", "z/0.AVIF", "c/x.tiff", "c/d/e.webp", "jpg", "c.jpg.part"
    )
    found = list(walking.walk(str(tmp_path)))
    assert walk(tmp_path) == {".": ["a.jpeg", "b.JPG"], "c": ["x.tiff"], "c/d": ["e.webp"], "z": ["0.AVIF", "1.heic"]}
    status = (tmp_path / "a.jpeg").stat()
    assert found[0].photos[0] == Photo(
        str(tmp_path / "a.jpeg"), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_dev, status.st_ino
    )
    assert [f.path for f in found] == [str(tmp_path / d).rstrip("/.") for d in (".", "c", "c/d", "z")]


MADE_BY_SYSTEMS = """
.hidden/a.jpg ._a.jpg .Trash-1000/files/a.jpg .Trashes/501/a.jpg .zfs/snapshot/x/a.jpg .snapshots/1/snapshot/a.jpg
@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg #recycle/a.jpg #snapshot/s1/a.jpg @SynoResource/a.jpg @Recycle/a.jpg
@Recently-Snapshot/x/a.jpg .@__thumb/a.jpg ~snapshot/a.jpg lost+found/a.jpg $RECYCLE.BIN/S-1-5/a.jpg RECYCLER/a.jpg
System:Volume:Information/a.jpg Mac.photoslibrary/resources/derivatives/a.jpg Mac.photoslibrary/private/x/a.jpg
Old.photolibrary/Thumbnails/a.jpg Old.aplibrary/Previews/a.jpg Catalog:Previews.lrdata/0/a.jpg
Shoot/CaptureOne/Cache/Thumbnails/a.jpg x/node_modules/a.jpg
""".split()
KEPT = """
a.jpg Mac.photoslibrary/originals/0/a.jpg Old.photolibrary/Masters/a.jpg Shoot/CaptureOne/a.jpg resources/a.jpg
snapshot/a.jpg recycle/a.jpg Cache/a.jpg
""".split()


def found(folder, **options: object) -> list[str]:
    """The photos' paths below the folder."""
    return sorted(os.path.join(d, n).removeprefix("./") for d, names in walk(folder, **options).items() for n in names)


@pytest.mark.parametrize("below", ["", "2019/x"])
def test_walk_excludes_system_files_unless_included(tmp_path, below):
    made = [os.path.join(below, p.replace(":", " ")) for p in MADE_BY_SYSTEMS]
    kept = [os.path.join(below, p) for p in KEPT]
    tree(tmp_path, *made, *kept)
    assert found(tmp_path) == sorted(kept)
    assert found(tmp_path, include=("*",)) == sorted(made + kept)
    asked = ("#snapshot", "@RECYCLE/", "*.photoslibrary/resources/" if not below else "**/*.photoslibrary/resources/")
    also = [p for p in made if "#snapshot" in p or "@Recycle" in p or "resources/der" in p]
    assert len(also) == 3
    assert found(tmp_path, include=asked) == sorted(kept + also)


@pytest.mark.parametrize(
    ("pattern", "gone"),
    [
        ("thumbs", {"thumbs/a.jpg", "2019/thumbs/a.jpg", "2019/x/Thumbs/a.jpg"}),
        ("thumbs/", {"thumbs/a.jpg", "2019/thumbs/a.jpg", "2019/x/Thumbs/a.jpg"}),
        ("**/thumbs", {"thumbs/a.jpg", "2019/thumbs/a.jpg", "2019/x/Thumbs/a.jpg"}),
        ("./thumbs", {"thumbs/a.jpg"}),
        ("/thumbs", {"thumbs/a.jpg"}),
        ("2019/thumbs/", {"2019/thumbs/a.jpg"}),
        ("2019/thumbs", {"2019/thumbs/a.jpg"}),
        ("{root}/2019/thumbs", {"2019/thumbs/a.jpg"}),
        ("{root}/2019/thumbs/", {"2019/thumbs/a.jpg"}),
        ("2019/**/thumbs", {"2019/thumbs/a.jpg", "2019/x/Thumbs/a.jpg"}),
        ("2019/*/thumbs", {"2019/x/Thumbs/a.jpg"}),
        ("*.PNG", {"2019/b.png", "#1.png"}),
        ("#1.png", {"#1.png"}),
        ("2019/*.png", {"2019/b.png"}),
        ("2019/**", {"2019/thumbs/a.jpg", "2019/x/Thumbs/a.jpg", "2019/b.png"}),
        ("[ab].png", {"2019/b.png"}),
        ("b.png/", set()),
        ("humbs", set()),
    ],
)
def test_exclude_follows_gitignore_syntax(tmp_path, pattern, gone):
    every = {"a.jpg", "thumbs/a.jpg", "2019/thumbs/a.jpg", "2019/x/Thumbs/a.jpg", "2019/b.png", "#1.png"}
    tree(tmp_path, *every)
    pattern = pattern.replace("{root}", str(tmp_path))
    assert set(found(tmp_path, exclude=(pattern,))) == every - gone
    exclusions = Exclusions(WalkOptions(exclude=(pattern,)), str(tmp_path))
    assert {p for p in every if exclusions.excludes(str(tmp_path / p))} == gone
    walked = [p.path for f in walking.walk(str(tmp_path), exclusions=exclusions) for p in f.photos]
    assert {os.path.relpath(path, tmp_path) for path in walked} == every - gone


def test_walk_below_root_applies_patterns_relative_to_root(tmp_path):
    tree(tmp_path, "2019/thumbs/a.jpg", "2019/a.jpg", "2019/2019/thumbs/a.jpg")
    options = WalkOptions(exclude=("2019/thumbs",))
    below = walking.walk(str(tmp_path / "2019"), options, root=str(tmp_path))
    assert [p.path for f in below for p in f.photos] == [
        str(tmp_path / "2019/a.jpg"), str(tmp_path / "2019/2019/thumbs/a.jpg")]  # fmt: skip


def test_excludes_covers_subfolders_and_last_match_wins(tmp_path):
    options = WalkOptions(exclude=("raw", "!keep", "*.png"), include=("raw/good", "b.png"))
    exclusions = Exclusions(options, str(tmp_path))
    at = {
        p: exclusions.excludes(str(tmp_path / p)) for p in ("raw/x/a.jpg", "x/raw/a.jpg", "a.png", "b.png", "x/b.PNG")
    }
    assert at == {"raw/x/a.jpg": True, "x/raw/a.jpg": True, "a.png": True, "b.png": False, "x/b.PNG": False}
    assert exclusions.excludes(str(tmp_path / "raw"), is_folder=True)
    assert exclusions.excludes(str(tmp_path / "raw/good/a.jpg"))  # as in git: its folder is excluded
    assert not exclusions.excludes(str(tmp_path))
    assert not exclusions.excludes(str(tmp_path), is_folder=True)


@pytest.mark.parametrize("pattern", ["", "/", "foo[", "!"])
def test_exclusions_rejects_pattern_that_cannot_match(pattern):
    with pytest.raises(InputError, match="not a gitignore pattern"):
        Exclusions(WalkOptions(exclude=(pattern,)), "/p")


def test_walk_counts_skipped_files_by_extension(tmp_path):
    tree(tmp_path, "a.jpg", "b.MP4", "c.mp4", "notes", "x/d.CR9", "x/e.jpg", ".hidden.mp4", "x/.f", "Thumbs.db")
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to(tmp_path / "c.mp4")
    told = {os.path.relpath(f.path, tmp_path): f.skipped for f in walking.walk(str(tmp_path))}
    assert told == {".": {".mp4": 2, "": 1}, "x": {".cr9": 1}}


def test_walk_gives_photos_their_sidecars_and_skips_none_of_them(tmp_path):
    tree(tmp_path, "a.jpg", "a.jpg.xmp", "A.XMP", "b.jpg", "b.jpg.supplemental-meta.json", "c.mp4", "c.mp4.json")
    tree(tmp_path, "d.xmp", "e.json")
    (tmp_path / "b.xmp").symlink_to(tmp_path / "d.xmp")
    (folder,) = walking.walk(str(tmp_path))
    assert {os.path.basename(photo.path): photo.beside for photo in folder.photos} == {
        "a.jpg": ("a.jpg.xmp",), "b.jpg": ("b.jpg.supplemental-meta.json",),
    }  # fmt: skip
    assert folder.skipped == {".mp4": 1, ".xmp": 2, ".json": 1}  # A.XMP may be another photo's


def test_install_hints_cover_extensions_of_extras():
    assert set(walking.INSTALL_HINTS) == set(".dng .cr2 .cr3 .nef .arw .raf .orf .rw2 .pef .jxl".split())
    assert walking.INSTALL_HINTS[".cr3"] == "pip install 'photosearch[raw]'"
    assert walking.INSTALL_HINTS[".jxl"] == "pip install 'photosearch[jxl]'"
    assert {".jpg", ".insp", ".heic"} <= walking.EXTENSIONS
    assert (".cr3" in walking.EXTENSIONS) == walking.RAW


def test_walk_lists_hidden_top_folder(tmp_path):
    tree(tmp_path, ".photos/a.jpg")
    assert walk(tmp_path / ".photos") == {".": ["a.jpg"]}


def test_walk_follows_links_only_if_asked(tmp_path):
    tree(tmp_path, "in/a.jpg", "out/b.jpg", "out/deep/c.jpg")
    (tmp_path / "in/file.jpg").symlink_to(tmp_path / "out/b.jpg")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    (tmp_path / "in/dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert walk(tmp_path / "in") == {".": ["a.jpg"]}
    assert walk(tmp_path / "in", follow_symlinks=True) == {
        ".": ["a.jpg", "file.jpg"], "link": [], "link/deep": ["c.jpg"],  # b.jpg came as file.jpg
    }  # fmt: skip


def test_walk_yields_linked_file_once_preferring_its_own_name(tmp_path):
    tree(tmp_path, "in/b/own.jpg", "in/b/data.bin", "in/.c/hidden.jpg", "out/x.jpg")
    for name, to in {"1": "out/x.jpg", "2": "out/x.jpg", "3": "in/b/own.jpg", "4": "in/.c/hidden.jpg",
                     "5": "in/b/data.bin"}.items():  # fmt: skip
        (tmp_path / f"in/{name}.jpg").symlink_to(tmp_path / to)
    os.link(tmp_path / "in/b/own.jpg", tmp_path / "in/b/hard.jpg")  # two names, and no link: two photos, as ever
    expected = {".": ["1.jpg", "4.jpg", "5.jpg"], "b": ["hard.jpg", "own.jpg"]}
    assert walk(tmp_path / "in", follow_symlinks=True) == expected
    (tmp_path / "here").symlink_to(tmp_path / "in")
    assert walk(tmp_path / "here", follow_symlinks=True) == expected


def test_walk_yields_a_linked_folder_in_its_own_place(tmp_path):
    tree(
        tmp_path, "in/z/own.jpg", "in/z/deep/x.jpg", "in/.c/hidden.jpg", "out/x.jpg", "other/y.jpg", "other/deep/z.jpg"
    )
    for name, to in {
        "1": "in/z",
        "2": "in/z/deep",
        "3": "out",
        "4": "out",
        "5": "in/.c",
        "6": "other",
        "7": "in",
    }.items():
        (tmp_path / f"in/{name}").symlink_to(tmp_path / to)
    own = {"z": ["own.jpg"], "z/deep": ["x.jpg"], "3": ["x.jpg"], "5": ["hidden.jpg"]}
    found = {k: v for k, v in walk(tmp_path / "in", follow_symlinks=True).items() if v}
    assert found == own | {"6": ["y.jpg"], "6/deep": ["z.jpg"]}
    options, elsewhere = WalkOptions(follow_symlinks=True), [str(tmp_path / "other")]
    folders = walking.walk(str(tmp_path / "in"), options, elsewhere=elsewhere)
    found = {os.path.relpath(f.path, tmp_path / "in"): [os.path.basename(p.path) for p in f.photos] for f in folders}
    assert {k: v for k, v in found.items() if v} == own


def test_exclusions_name_the_patterns_that_matched_nothing(tmp_path):
    tree(tmp_path, "in/a.jpg", "in/.b/b.jpg", "in/c/c.jpg")
    options = WalkOptions(exclude=("a.*", "nothing", "c/"), include=(".b/", "a?.jpg", "c/c.jpg"))
    exclusions = walking.Exclusions(options, str(tmp_path / "in"))
    found = [p.path for f in walking.walk(str(tmp_path / "in"), options, exclusions=exclusions) for p in f.photos]
    assert found == [str(tmp_path / "in/.b/b.jpg")]
    assert exclusions.list_unused() == [("nothing", True), ("a?.jpg", False), ("c/c.jpg", False)]


def test_walk_ends_in_link_loops(tmp_path):
    tree(tmp_path, "a/b/x.jpg", "c/y.jpg")
    (tmp_path / "a/b/up").symlink_to(tmp_path)
    (tmp_path / "a/b/self").symlink_to(tmp_path / "a/b")
    (tmp_path / "c/again").symlink_to(tmp_path / "a")
    (tmp_path / "c/loop.jpg").symlink_to(tmp_path / "c/loop.jpg")
    found = walk(tmp_path, follow_symlinks=True)
    assert sorted(name for names in found.values() for name in names) == ["x.jpg", "y.jpg"]
    assert all(f.reason is None for f in walking.walk(str(tmp_path), WalkOptions(follow_symlinks=True)))


def test_walk_yields_only_regular_files(tmp_path, monkeypatch):
    tree(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)  # the path of a socket must be short
        listener.bind("socket.jpg")
        assert walk(tmp_path) == {".": ["a.jpg"], "folder.jpg": []}


def test_walk_finds_names_that_are_not_utf8(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    with open(name, "wb") as file:
        file.write(b"bytes")
    (folder,) = walking.walk(str(tmp_path))
    assert [os.fsencode(p.path) for p in folder.photos] == [name]
    assert decoding.read(folder.photos[0].path) == b"bytes"


def test_walk_gives_reason_for_unreadable_folder(as_nobody):
    tree(as_nobody, "a/x.jpg", "b/y.jpg", "c/z.jpg")
    (as_nobody / "a").chmod(0)
    (as_nobody / "b").chmod(0o400)  # its names may be read, and nothing else
    found = list(walking.walk(str(as_nobody)))
    assert [(f.path, f.photos, f.reason) for f in found[:3]] == [
        (str(as_nobody), (), None),
        (str(as_nobody / "a"), (), "Permission denied"),
        (str(as_nobody / "b"), (), "Permission denied"),
    ]
    assert [p.path for p in found[3].photos] == [str(as_nobody / "c/z.jpg")]
    assert list(walking.walk(str(as_nobody / "none"))) == [
        Folder(str(as_nobody / "none"), (), "No such file or directory")
    ]


def test_walk_clamps_mtime_of_year_33658(tmp_path):
    folder = next((f for f in (tmp_path, Path("/dev/shm")) if f.is_dir() and _takes_any_date(f)), None)
    if folder is None:
        pytest.skip("no file system here takes such a date")
    with tempfile.TemporaryDirectory(dir=folder) as far:
        tree(Path(far), "a.jpg")
        os.utime(Path(far, "a.jpg"), (0, 10**12))
        ((photo,),) = [f.photos for f in walking.walk(far)]
    assert photo.mtime_ns == 2**63 - 1


def _takes_any_date(folder: Path) -> bool:
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        os.utime(file.name, (0, 10**12))
        return os.stat(file.name).st_mtime == 10**12


def test_every_pattern_of_excluded_is_needed(tmp_path):
    """Without any one of them, something that it means is found."""
    tree(tmp_path, *(p.replace(":", " ") for p in MADE_BY_SYSTEMS), *PASSED_OVER)
    assert found(tmp_path) == []
    for pattern in walking.EXCLUDED:
        assert found(tmp_path, include=(pattern,)), pattern


PASSED_OVER = """
@tmp/a.jpg Mac.photoslibrary/scopes/a.jpg Old.photolibrary/resources/a.jpg Old.aplibrary/Thumbnails/a.jpg
x.cocatalogdb/a.jpg x.dtMipmaps/a.jpg Thumbs.db/a.jpg desktop.ini/a.jpg
""".split()
