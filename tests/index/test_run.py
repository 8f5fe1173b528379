"""The main path: what an index run makes of a folder after all kinds of changes."""

import os
import shutil
import sqlite3

import pytest
from library import Counting, InThisProcess, Library, Untouched, kept_decoders, make, same_stat
from PIL import Image
from toy import photo, toy_card, write_toy

from photosearch.errors import InputError, ModelError, StoreError
from photosearch.index import scan as scanning
from photosearch.index.events import (
    FilesSkipped,
    ListFailed,
    New,
    ReadFailed,
    RemovalRefused,
    Rescored,
    RootMoved,
    SettingsSaved,
    Unchanged,
)
from photosearch.library import marks, matching
from photosearch.library.database import Database
from photosearch.library.folders import list_roots, read_settings
from photosearch.library.labels import read_labels
from photosearch.library.lock import lock_library
from photosearch.library.models import read_default_model
from photosearch.library.photos import find_image_at, list_newest, list_unreadable, read_counts
from photosearch.library.runs import list_runs, read_last_run


@pytest.fixture(scope="module", autouse=True)
def _decoders():
    with kept_decoders():
        yield


@pytest.fixture
def library(tmp_path):
    made = make(tmp_path)
    with made.db:
        yield made


def another_model(library: Library, name: str, card=None, **options) -> Counting:
    return Counting(write_toy(library.folder.with_name(name), card, **options), provider="cpu", threads=1)


def write_photos(library: Library, n: int, folder: str = "") -> list[str]:
    """Write n photos with different contents -> their names."""
    names = [os.path.join(folder, f"{i:02}.png") for i in range(n)]
    for i, name in enumerate(names):
        library.photo(name, size=(64, 48 + i))
    return names


# ---- new and unchanged


def test_index_scores_and_reports_new_photos(library):
    library.photo("red.png")
    library.photo("sub/blue.png", "blue")
    assert list(library.events()) == [
        New(str(library.path("red.png"))),
        New(str(library.path("sub/blue.png"))),
    ]
    assert (library.find("red"), library.find("blue"), library.find("green")) == (["red.png"], ["sub/blue.png"], [])


def test_index_reads_photos_of_every_format(library):
    import pillow_heif

    pillow_heif.register_heif_opener()
    names = [f"a.{x}" for x in "jpg jpeg jfif png webp gif tif tiff bmp avif heic heif JPG".split()]
    for i, name in enumerate(names):  # each of its own size, so that no two have the same bytes
        library.photo(name, size=(64, 48 + i), format={"jfif": "JPEG", "heic": "HEIF", "heif": "HEIF"}.get(name[2:]))
    assert library.index() == {"New": sorted(names)}
    assert sorted(library.find("red and not green")) == sorted(names)


def test_index_opens_no_unchanged_photo(library):
    names = write_photos(library, 2, "sub")
    library.index()
    assert library.index(decoders=Untouched) == {"Unchanged": names}
    assert (library.model.scored(), library.scores()) == (2, dict.fromkeys(names, 1.0))


@pytest.mark.parametrize("n", [0, 1, 7, 8, 17])
def test_index_writes_the_same_rows_for_any_batch_size(library, n):
    write_photos(library, n)
    library.photo("broken.png").write_bytes(b"no photo")
    library.index(batch_size=1, workers=1)
    for batch_size, workers in ((7, 2), (8, 1), (None, 2)):
        with library.another(f"{batch_size}.db").db as db:
            other = Library(library.folder, db, library.model)
            other.index(batch_size=batch_size, workers=workers)
            assert other.rows() == library.rows()
    assert len(library.rows()["scores"]) == 3 * n


def test_index_commits_each_batch_before_its_events(library):
    write_photos(library, 5)
    reported = 0
    with sqlite3.connect(library.db.path) as reader:
        for _ in library.events(batch_size=2):
            reported += 1
            (scored,) = reader.execute("SELECT count(*) FROM scores").fetchone()
            (stored,) = reader.execute("SELECT count(*) FROM photos").fetchone()
            assert stored >= reported
            assert (scored, stored % 2) == (3 * stored, stored == 5)
    reader.close()
    assert library.model.batches == (2, 2, 1)


def test_index_rescores_only_the_changed_photo(library):
    write_photos(library, 3)
    library.index()
    library.model.scored()
    library.photo("01.png", "blue")
    assert library.index() == {"Changed": ["01.png"], "Unchanged": ["00.png", "02.png"]}
    assert library.scores() == {"00.png": 1.0, "01.png": 0.0, "02.png": 1.0}
    assert library.model.scored() == 1


def test_index_does_not_rescore_a_touched_photo(library):
    path = library.photo("a.png")
    library.index()
    os.utime(path, ns=(0, 12345))
    assert list(library.events()) == [Unchanged(str(path))]
    assert library.index() == {"Unchanged": ["a.png"]}
    assert (library.model.scored(), library.scores()) == (1, {"a.png": 1.0})


def test_index_reads_a_replaced_photo_of_the_same_size_and_date(library):
    red = library.photo("a.bmp")
    blue = library.photo("b.bmp", "blue")
    os.utime(blue, ns=(0, red.stat().st_mtime_ns))
    assert red.stat().st_size == blue.stat().st_size
    library.index()
    shutil.copy2(blue, red)  # as cp -p does
    assert library.index() == {"Changed": ["a.bmp"], "Unchanged": ["b.bmp"]}
    assert (library.find("red"), library.find("blue")) == ([], ["a.bmp", "b.bmp"])


def test_index_reads_a_photo_rotated_in_place_with_its_date_kept(library):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 1
    path = library.photo("a.jpg", size=(64, 48), exif=exif)
    library.index()
    status, data = path.stat(), path.read_bytes()
    mark = data.index(bytes.fromhex("0112 0003 0000 0001 0001"))  # orientation, a short, one of it: 1
    path.write_bytes(data[: mark + 9] + b"\x06" + data[mark + 10 :])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert library.index() == {"Changed": ["a.jpg"]}
    assert library.db.rows("SELECT width, height FROM images ORDER BY id DESC LIMIT 1") == [(48, 64)]


def test_index_stores_the_date_taken_and_its_source(library):
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:20 11:22:33"
    library.photo("dated.jpg", exif=exif)
    library.photo("IMG-20180203-WA0001.jpg", exif=exif)  # the date in the photo wins over the one in its name
    library.photo("IMG_20180203_101112.jpg")
    os.utime(library.photo("20180203/undated.jpg"), ns=(0, 0))  # the name of a folder gives no date
    library.index()
    found = {library.below(f.path): f.taken for f in matching.find_matches(library.db, _is("red"), library.labels())}
    assert found["dated.jpg"] == found["IMG-20180203-WA0001.jpg"] == "2019-07-20T11:22:33"
    assert found["IMG_20180203_101112.jpg"] == "2018-02-03T10:11:12"
    assert found["20180203/undated.jpg"] == ""  # a modification time of 0 is no date


def test_index_restores_the_date_of_known_content_without_decoding(library):
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:20 11:22:33"
    path = library.photo("a.jpg", exif=exif)
    dated = path.read_bytes()
    library.index()
    library.photo("a.jpg", "blue")
    library.index()
    path.write_bytes(dated)
    assert library.index() == {"Changed": ["a.jpg"]}
    (found,) = matching.find_matches(library.db, _is("red"), library.labels())
    assert (found.taken, found.taken_from) == ("2019-07-20T11:22:33", "DateTimeOriginal")
    assert library.model.scored() == 2


def test_index_reads_the_date_beside_a_photo(library):
    from PIL import Image

    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:20 11:22:33"
    google = '{"title": "x", "photoTakenTime": {"timestamp": "1549188672"}}'
    date = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:e="http://ns.adobe.com/exif/1.0/" e:DateTimeOriginal="2001-02-03T04:05:06+01:00"/></rdf:RDF>'
    )
    beside = {
        "google.jpg": {"google.jpg.json": google},
        "local_20190203_111112.jpg": {"local_20190203_111112.jpg.supplemental-metadata.json": google},
        "corrected.jpg": {"corrected.jpg.xmp": date, "corrected.jpg.json": google},
        "short.jpg": {"short.XMP": date.replace("2001", "2002")},
        "own.jpg": {"own.jpg.json": google},
        "broken.jpg": {"broken.jpg.json": "[" * 100_000, "broken.xmp": "<!DOCTYPE a>" + date},
    }
    for i, (name, files) in enumerate(beside.items()):
        library.photo(name, size=(64, 48 + i), **({"exif": exif} if name in ("corrected.jpg", "own.jpg") else {}))
        for other, text in files.items():
            library.path(other).write_text(text)
    os.mkfifo(library.path("google.xmp"))
    skipped = [event for event in library.events() if isinstance(event, FilesSkipped)]
    assert skipped == []
    found = {library.below(f.path): f for f in matching.find_matches(library.db, _is("red"), library.labels())}
    assert {name: (f.taken, f.taken_from) for name, f in found.items() if name != "broken.jpg"} == {
        "google.jpg": ("2019-02-03T10:11:12", "takeout"),
        "local_20190203_111112.jpg": ("2019-02-03T11:11:12", "name"),
        "corrected.jpg": ("2001-02-03T04:05:06", "sidecar"),
        "short.jpg": ("2002-02-03T04:05:06", "sidecar"),
        "own.jpg": ("2019-07-20T11:22:33", "DateTimeOriginal"),
    }
    assert found["broken.jpg"].taken_from == "file"


def _is(label):
    from photosearch.query import Is

    return Is(label)


# ---- copies


def test_index_scores_copies_once(library):
    first = library.photo("a.png")
    for name in ("b.png", "c.png", "sub/d.png"):
        library.path(name).parent.mkdir(exist_ok=True)
        shutil.copy(first, library.path(name))
    assert library.index(batch_size=2) == {"New": ["a.png", "b.png", "c.png", "sub/d.png"]}
    assert library.model.scored() == 1
    assert library.scores() == dict.fromkeys(["a.png", "b.png", "c.png", "sub/d.png"], 1.0)
    library.path("a.png").unlink()
    assert library.index() == {"Removed": ["a.png"], "Unchanged": ["b.png", "c.png", "sub/d.png"]}
    assert sorted(library.scores()) == ["b.png", "c.png", "sub/d.png"]


def test_index_decodes_no_copy_of_known_content(library):
    first = library.photo("a.png")
    library.index()
    shutil.copy(first, library.path("b.png"))
    library.photo("c.png", "blue")
    # With this limit no photo can be decoded any more.
    assert library.index(max_pixels=1) == {"New": ["b.png"], "ReadFailed": ["c.png"], "Unchanged": ["a.png"]}
    assert library.scores() == {"a.png": 1.0, "b.png": 1.0}


# ---- moved


def test_moved_photo_keeps_scores_and_marks_without_rescoring(library):
    write_photos(library, 4, "a")
    library.index()
    marks.put_marks(library.db, [("red", find_image_at(library.db, str(library.path("a/00.png"))), True)])
    library.model.scored()
    library.path("b").mkdir()
    for before, after in (("a/00.png", "b/00.png"), ("a/01.png", "a/99.png"), ("a/02.png", "02.png")):
        library.path(before).rename(library.path(after))
    assert library.index() == {
        "Moved": [("a/00.png", "b/00.png"), ("a/01.png", "a/99.png"), ("a/02.png", "02.png")],
        "Unchanged": ["a/03.png"],
    }
    assert (library.model.scored(), sorted(library.scores())) == (0, ["02.png", "a/03.png", "a/99.png", "b/00.png"])
    assert [library.below(t.path) for t in marks.list_marks(library.db)] == ["b/00.png"]
    assert read_counts(library.db).removed == 0


def test_renamed_folder_keeps_its_photos(library):
    write_photos(library, 3, "2019/summer")
    library.photo("other.png", "blue")
    library.index()
    library.path("2019").rename(library.path("2020"))
    events = library.index()
    assert events.keys() == {"Moved", "Unchanged"}
    assert events["Moved"] == [(f"2019/summer/0{i}.png", f"2020/summer/0{i}.png") for i in range(3)]
    assert library.model.scored() == 4


def test_photo_moved_to_another_root_is_found_in_either_order(library):
    for name, goal, order in (("x", "y", ("x", "y")), ("y", "x", ("x", "y"))):
        write_photos(library, 3, name)
        library.path(goal).mkdir(exist_ok=True)
        library.photo(f"{goal}/stays.png", "blue")
        library.index("x", "y")
        for i in range(2):
            library.path(f"{name}/0{i}.png").rename(library.path(f"{goal}/0{i}.png"))
        events = library.index(*order)
        assert events["Moved"] == [(f"{name}/0{i}.png", f"{goal}/0{i}.png") for i in range(2)]
        assert "Removed" not in events
        assert "RemovalRefused" not in events
        shutil.rmtree(library.path(goal))
        library.index("x", "y", prune=True)


def test_photos_with_swapped_names_keep_their_own_scores(library):
    for i, (name, colour) in enumerate((("a.png", "red"), ("b.png", "green"), ("c.png", "blue"))):
        os.utime(library.photo(name, colour), ns=(0, i))
    library.index()
    library.model.scored()
    library.path("a.png").rename(library.path("t"))
    library.path("b.png").rename(library.path("a.png"))
    library.path("t").rename(library.path("b.png"))
    library.index()
    assert [library.find(c) for c in ("red", "green", "blue")] == [["b.png"], ["a.png"], ["c.png"]]
    library.path("c.png").rename(library.path("d.png"))
    library.path("b.png").rename(library.path("c.png"))
    library.index()
    assert [library.find(c) for c in ("red", "green", "blue")] == [["c.png"], ["a.png"], ["d.png"]]
    assert library.model.scored() == 0


def test_photo_moved_over_another_replaces_it(library):
    library.photo("a.png", "red")
    library.photo("b.png", "blue")
    library.photo("c.png", "green")
    library.index()
    library.path("a.png").replace(library.path("b.png"))
    assert library.index() == {"Moved": [("a.png", "b.png")], "Unchanged": ["c.png"]}
    assert (library.find("red"), library.find("blue"), read_counts(library.db).photos) == (["b.png"], [], 2)


def test_touched_photo_is_not_mistaken_for_a_removed_copy(library):
    for name in ("a.png", "b.png", "c.png", "d.png"):
        library.photo(name, size=(64, 48 if name in "a.png b.png" else ord(name[0])))
    library.index()
    library.path("a.png").unlink()
    library.index()
    os.utime(library.path("b.png"), ns=(0, 1))
    assert library.index() == {"Unchanged": ["b.png", "c.png", "d.png"]}
    library.path("b.png").rename(library.path("e.png"))
    assert library.index() == {"Moved": [("b.png", "e.png")], "Unchanged": ["c.png", "d.png"]}


def test_copy_is_not_a_move_while_the_drive_is_away(library):
    """The drive's mount point is missing, then an empty folder; a backup of its photos is indexed meanwhile."""
    write_photos(library, 3, "drive")
    library.photo("drive/only.png", "blue")
    library.index("drive")
    shutil.copytree(library.path("drive"), library.path("backup"))
    library.path("drive").rename(library.path("away"))
    for is_there in (False, True):
        if is_there:
            library.path("drive").mkdir()
        shutil.rmtree(library.path("backup"))
        shutil.copytree(library.path("away"), library.path("backup"), ignore=shutil.ignore_patterns("00.png"))
        events = library.index("backup", prune=True)
        assert "Moved" not in events
        assert "RootMoved" not in events
    assert len(library.find("red", under=str(library.path("drive")))) == 3
    library.path("drive").rmdir()
    library.path("away").rename(library.path("drive"))
    assert library.index("drive") == {"Unchanged": [f"drive/0{i}.png" for i in range(3)] + ["drive/only.png"]}
    assert library.model.scored() == 4


# ---- roots


def test_moved_root_changes_one_row_and_opens_no_photo(library):
    write_photos(library, 5, "old/deep")
    library.index("old")
    before = library.rows()
    library.path("old").rename(library.path("new"))
    events = list(library.events("new", decoders=Untouched))
    assert events[0] == RootMoved(str(library.path("old")), str(library.path("new")))
    assert len(events) == 6
    after = library.rows()
    assert {t for t in before if before[t] != after[t]} == {"roots"}
    assert sorted(library.scores()) == [f"new/deep/0{i}.png" for i in range(5)]


def leave_link(library: Library, before: str, after: str) -> None:
    library.path(after).parent.mkdir(exist_ok=True)
    library.path(before).rename(library.path(after))
    library.path(before).symlink_to(library.path(after))


@pytest.mark.parametrize("named", ["home", "disk", "disk/home"])
def test_moved_root_with_a_link_left_behind_stays_one_root(library, named):
    names = write_photos(library, 3, "home")
    library.index("home")
    marks.put_marks(library.db, [("red", find_image_at(library.db, str(library.path(names[0]))), True)])
    leave_link(library, "home", "disk/home")
    events = library.index(named)
    moved = [f"disk/{name}" for name in names]
    assert events == {"RootMoved": [("home", "disk/home")], "Unchanged": moved}
    assert (library.find(), [library.below(t.path) for t in marks.list_marks(library.db)]) == (moved, moved[:1])
    assert (len(list_roots(library.db)), library.model.scored()) == (1, 3)


def test_next_run_repairs_a_root_that_a_link_duplicated(library):
    names = write_photos(library, 3, "home/deep")
    library.index("home")
    shutil.copytree(library.path("home"), library.path("disk"))
    library.index("disk")
    shutil.rmtree(library.path("home"))
    library.path("home").symlink_to(library.path("disk"))
    assert len(library.find()) == 6
    moved = [name.replace("home", "disk") for name in names]
    assert library.index("home", "disk") == {"RootMoved": [("home", "disk")], "Unchanged": moved}
    assert (library.find(), [r.root for r in list_roots(library.db)]) == (moved, [str(library.path("disk"))])


def test_root_behind_a_dead_link_keeps_its_photos(library):
    names = write_photos(library, 3, "home")
    library.index("home")
    leave_link(library, "home", "disk/home")
    library.path("disk").rename(library.path("unplugged"))
    assert library.index("home") == {"ListFailed": ["home"]}
    assert library.find() == names


@pytest.mark.parametrize("order", [("home", "disk"), ("disk", "home"), ("disk",)])
def test_folder_replaced_by_a_link_has_moved(library, order):
    write_photos(library, 2, "home/2019")
    stays = write_photos(library, 3, "home/2020")
    library.photo("disk/other.png", "blue")
    library.index("home", "disk")
    leave_link(library, "home/2019", "disk/2019")
    events = library.index(*order)
    assert events["Moved"] == [(f"home/2019/0{i}.png", f"disk/2019/0{i}.png") for i in range(2)]
    assert sorted(library.find()) == ["disk/2019/00.png", "disk/2019/01.png", *stays]


def test_folder_with_followed_links_has_not_moved(library):
    write_photos(library, 2, "home/2019")
    library.index("home", follow_symlinks=True)
    leave_link(library, "home/2019", "disk/2019")
    library.photo("disk/other.png", "blue")
    assert "Moved" not in library.index("disk")
    assert "Removed" not in library.index("home")


@pytest.mark.parametrize("left", [None, "lost+found", ".DS_Store", "a link to other photos"])
def test_drive_mounted_elsewhere_is_recognised_by_its_photos(library, left):
    names = write_photos(library, 3, "drive")
    library.index("drive")
    library.path("drive").rename(library.path("elsewhere"))
    library.path("drive").mkdir()
    if left == "a link to other photos":
        library.photo("others/other.png", "blue")
        library.path("drive").rmdir()
        library.path("drive").symlink_to(library.path("others"))
    elif left is not None:
        library.path(f"drive/{left}").mkdir()
    moved = [name.replace("drive", "elsewhere") for name in names]
    assert library.index("elsewhere", decoders=Untouched) == {"RootMoved": [("drive", "elsewhere")], "Unchanged": moved}
    assert library.find() == moved


@pytest.mark.parametrize("same", [True, False])
def test_moved_root_without_dates_is_recognised_by_content(library, same):
    names = write_photos(library, 12, "old")
    library.index("old")
    shutil.copytree(library.path("old"), library.path("new"))
    for name in names:
        path = library.path(name.replace("old", "new"))
        if not same:
            path.write_bytes(path.read_bytes()[:-1] + b"!")
        os.utime(path, ns=(0, 1))
    library.path("old").rename(library.path("away"))
    events = library.index("new")
    assert ("RootMoved" in events, len(list_roots(library.db))) == ((True, 1) if same else (False, 2))
    if same:
        assert (library.model.scored(), len(library.find())) == (12, 12)


def test_forget_finds_a_root_replaced_by_a_link(library):
    from photosearch import Library as Whole

    names = write_photos(library, 2, "home")
    library.index("home")
    leave_link(library, "home", "disk/home")
    library.photo("disk/home/new.png", "blue")
    with Whole(library.db.path) as whole:
        assert whole.forget([library.path("home")]) == 2
    assert list_roots(library.db) == []
    assert library.path(names[0]).exists()


def test_folder_with_other_photos_is_a_new_root_though_one_is_missing(library):
    write_photos(library, 5, "old")
    library.index("old")
    shutil.rmtree(library.path("old"))
    write_photos(library, 3, "new")
    assert library.index("new") == {"New": [f"new/0{i}.png" for i in range(3)]}
    assert len(list_roots(library.db)) == 2


def test_moved_root_takes_in_a_part_indexed_at_its_new_place(library):
    write_photos(library, 4, "old/2024")
    library.index("old")
    library.path("old").rename(library.path("new"))
    library.index("new/2024")
    library.index("new")
    assert [r.root for r in list_roots(library.db)] == [str(library.path("new"))]
    assert sorted(library.scores()) == [f"new/2024/0{i}.png" for i in range(4)]
    assert library.index("new/2024", "new") == {"Unchanged": [f"new/2024/0{i}.png" for i in range(4)]}


def test_root_whose_photos_moved_up_a_folder_has_moved(library):
    write_photos(library, 4, "x/pictures")
    library.index("x/pictures")
    for i in range(4):
        library.path(f"x/pictures/0{i}.png").rename(library.path(f"x/0{i}.png"))
    library.path("x/pictures").rmdir()
    assert library.index("x") == {"RootMoved": [("x/pictures", "x")], "Unchanged": [f"x/0{i}.png" for i in range(4)]}


def test_folder_around_roots_takes_them_in_without_opening_photos(library):
    for folder in ("a/b", "c"):
        write_photos(library, 2, folder)
        library.index(folder)
    events = library.index(decoders=Untouched)
    assert events == {"Unchanged": ["a/b/00.png", "a/b/01.png", "c/00.png", "c/01.png"]}
    assert [r.root for r in list_roots(library.db)] == [str(library.folder)]


def test_folder_below_a_root_is_part_of_it(library):
    names = write_photos(library, 2, "a/b") + write_photos(library, 1, "c")
    library.index()
    library.photo("a/b/new.png", "blue")
    library.photo("c/new.png", "green")
    assert library.index("a/b") == {"New": ["a/b/new.png"], "Unchanged": names[:2]}
    library.path("a/b/00.png").unlink()
    library.path("c/00.png").unlink()
    assert library.index("a/b") == {"Removed": ["a/b/00.png"], "Unchanged": ["a/b/01.png", "a/b/new.png"]}
    assert [r.root for r in list_roots(library.db)] == [str(library.folder)]
    assert sorted(library.scores()) == ["a/b/01.png", "a/b/new.png", "c/00.png"]


def test_index_accepts_a_folder_and_its_parent_in_one_run(library):
    names = write_photos(library, 4, "a/b")
    library.index("a/b", "a", "a")
    library.path("a/b/00.png").unlink()
    assert library.index("a", "a/b") == {"Removed": ["a/b/00.png"], "Unchanged": names[1:]}


def test_root_is_the_same_for_all_spellings_of_its_path(library, monkeypatch):
    write_photos(library, 2, "a")
    library.index("a")
    library.path("link").symlink_to(library.path("a"))
    monkeypatch.chdir(library.folder)
    for folder in (".", "a/", "./a/../a", "link"):
        events = [type(e).__name__ for e in library.events(os.path.join("..", "photos", folder))]
        assert events == ["Unchanged", "Unchanged"]


def test_index_refuses_a_missing_folder_before_writing(library):
    write_photos(library, 2, "a")
    with pytest.raises(InputError, match=r"b: no such folder"):
        library.index("a", "b")
    assert library.rows()["photos"] == []
    library.index("a")
    library.photo("a.png")
    for folder, said in (("a/typo", "no such folder"), ("a/00.png", "is a file"), ("a.png", "is a file")):
        with pytest.raises(InputError, match=f"{folder}: {said}"):
            library.index(folder)


# ---- missing


def test_removed_photo_returns_without_rescoring(library):
    names = write_photos(library, 5)
    library.index()
    library.path("00.png").rename(library.folder.with_name("aside.png"))
    assert library.index() == {"Removed": ["00.png"], "Unchanged": names[1:]}
    assert (sorted(library.scores()), read_counts(library.db).removed) == (names[1:], 1)
    assert library.index() == {"Unchanged": names[1:]}
    library.folder.with_name("aside.png").rename(library.path("00.png"))
    library.model.scored()
    assert library.index() == {"Returned": ["00.png"], "Unchanged": names[1:]}
    assert (sorted(library.scores()), read_counts(library.db).removed) == (names, 0)
    assert library.model.scored() == 0


def test_removed_photo_that_returns_changed_is_scored(library):
    write_photos(library, 5)
    library.index()
    library.path("00.png").unlink()
    library.index()
    library.photo("00.png", "blue")
    assert library.index()["Changed"] == ["00.png"]
    assert library.find("blue") == ["00.png"]


def test_removed_folder_removes_its_photos(library):
    write_photos(library, 2, "gone/deep")
    stays = write_photos(library, 3, "stays")
    library.index()
    shutil.rmtree(library.path("gone"))
    assert library.index() == {"Removed": ["gone/deep/00.png", "gone/deep/01.png"], "Unchanged": stays}


@pytest.mark.parametrize("how", ["missing", "empty", "more than half"])
def test_index_removes_most_photos_of_a_root_only_with_prune(library, how):
    write_photos(library, 3, "root/a")
    write_photos(library, 2, "root/b")
    library.index("root")
    shutil.rmtree(library.path("root" if how == "missing" else "root/a"))
    if how == "empty":
        shutil.rmtree(library.path("root/b"))
    gone = 3 if how == "more than half" else 5
    events = list(library.events("root"))
    assert events[-1] == RemovalRefused(str(library.path("root")), gone, 5)
    assert (read_counts(library.db).removed, len(library.scores())) == (0, 5)
    pruned = library.index("root", prune=True)
    assert len(pruned["Removed"]) == gone
    assert len(library.scores()) == 5 - gone
    assert "Removed" not in library.index("root")


def test_index_removes_half_of_the_photos_without_prune(library):
    write_photos(library, 4)
    library.index()
    for name in ("00.png", "01.png"):
        library.path(name).unlink()
    assert library.index() == {"Removed": ["00.png", "01.png"], "Unchanged": ["02.png", "03.png"]}


def test_folder_without_permission_keeps_its_photos(as_nobody, monkeypatch):
    monkeypatch.setattr("library.KEPT", [InThisProcess])
    library = make(as_nobody)
    with library.db:
        write_photos(library, 2, "a")
        library.photo("a/deep/x.png", "green")
        write_photos(library, 4, "b")
        library.index()
        library.path("a").chmod(0)
        events = library.index()
        assert events == {"ListFailed": ["a"], "Unchanged": [f"b/0{i}.png" for i in range(4)]}
        assert ListFailed(str(library.path("a")), "Permission denied") in list(library.events())
        assert len(library.scores("green")) == 7
        library.path("a").chmod(0o400)  # now its names can be read, and nothing else
        assert library.index() == {**events, "ListFailed": ["a", "a/deep"]}
        assert len(library.scores()) == 7
        library.path("a").chmod(0o700)
        assert len(library.index()["Unchanged"]) == 7


# ---- unreadable


def test_unreadable_photo_is_not_opened_again_until_it_changes(library):
    broken = library.photo("a.png")
    good = broken.read_bytes()
    same_stat(broken, b"no photo")
    library.photo("b.png", "blue")
    first = ReadFailed(str(broken), "not a photo in a known format")
    assert first in list(library.events())
    assert [(library.below(p), why) for p, why, _ in list_unreadable(library.db)] == [("a.png", first.reason)]
    assert next(library.events(decoders=Untouched)) == ReadFailed(str(broken), first.reason, remembered=True)
    same_stat(broken, good)
    assert library.index() == {"Changed": ["a.png"], "Unchanged": ["b.png"]}
    assert (list_unreadable(library.db), library.find("red")) == ([], ["a.png"])


def test_unreadable_photo_is_opened_again_with_force(library):
    for name in ("a.png", "b.png"):
        library.photo(name).write_bytes(b"no photo")
    assert library.index() == {"ReadFailed": ["a.png", "b.png"]}
    library.photo("a.png")
    assert library.index() == {"Changed": ["a.png"], "ReadFailed": ["b.png"]}
    assert library.index(force=True) == {"Rescored": ["a.png"], "ReadFailed": ["b.png"]}


def test_broken_photo_is_found_again_once_repaired(library):
    path = library.photo("a.png")
    good = path.read_bytes()
    library.photo("b.png", "blue")
    library.index()
    path.write_bytes(good[:50])
    assert library.index() == {"ReadFailed": ["a.png"], "Unchanged": ["b.png"]}
    assert library.scores() == {"b.png": 0.0}
    path.write_bytes(good)
    assert library.index() == {"Changed": ["a.png"], "Unchanged": ["b.png"]}
    assert (library.scores(), library.model.scored()) == ({"a.png": 1.0, "b.png": 0.0}, 2)


def test_transient_reason_is_retried_and_costs_no_score(as_nobody, monkeypatch):
    monkeypatch.setattr("library.KEPT", [InThisProcess])
    library = make(as_nobody)
    with library.db:
        for name in ("known.png", "new.png"):
            library.photo(name, size=(64, len(name)))
            library.path(name).chmod(0o600 if name == "known.png" else 0)
        assert library.index() == {"New": ["known.png"], "ReadFailed": ["new.png"]}
        assert [why for _, why, _ in list_unreadable(library.db)] == ["permission denied"]
        library.path("known.png").chmod(0)
        assert library.index(force=True) == {"ReadFailed": ["known.png", "new.png"]}
        assert library.scores() == {"known.png": 1.0}
        library.path("known.png").chmod(0o600)
        library.path("new.png").chmod(0o600)
        assert library.index() == {"Changed": ["new.png"], "Unchanged": ["known.png"]}
        assert (library.scores(), list_unreadable(library.db)) == ({"known.png": 1.0, "new.png": 1.0}, [])


# ---- models


def test_force_rescores_everything(library):
    names = write_photos(library, 3)
    library.index()
    library.path("00.png").write_bytes(b"no photo")
    assert library.index(force=True) == {"ReadFailed": ["00.png"], "Rescored": names[1:]}
    assert library.model.scored() == 5


def test_failed_batch_keeps_those_before_it(library):
    for i in range(6):
        library.photo(f"{i}.png", "white" if i == 3 else "black", size=(64, 48 + i))
    fails = another_model(library, "fails.onnx", scale=1 / 200)  # white is more than 1
    with pytest.raises(ModelError, match="outside 0"):
        library.index(model=fails, batch_size=2)
    assert sorted(library.scores()) == ["0.png", "1.png"]
    assert len(library.rows()["photos"]) == 2
    assert library.index() == {"Rescored": ["0.png", "1.png"], "New": [f"{i}.png" for i in range(2, 6)]}
    assert library.scores()["3.png"] == 1.0


def test_new_version_replaces_scores_batch_by_batch(library):
    names = write_photos(library, 5)
    library.index()
    newer = another_model(library, "newer.onnx", toy_card(version="2"), scale=1 / 510)
    run = library.events(model=newer, batch_size=2)
    next(run)
    run.close()
    halves, whole = dict.fromkeys(names[:2], 0.5), dict.fromkeys(names[2:], 1.0)
    assert library.scores() == {**halves, **whole}
    assert library.index(model=newer) == {"Rescored": names[2:], "Unchanged": names[:2]}
    assert (library.scores(), newer.scored()) == (dict.fromkeys(names, 0.5), 5)
    assert len(library.rows()["scores"]) == 15


def test_label_unknown_to_a_new_version_goes_with_its_last_score(library):
    names = write_photos(library, 3)
    library.index()
    newer = another_model(library, "newer.onnx", toy_card(version="2", labels=("red", "sea", "sky"), pooling={}))
    run = library.events(model=newer, batch_size=2)
    next(run)
    run.close()
    assert (library.find("not green"), library.find("not sea")) == (names[2:], names[:2])
    library.index(model=newer)
    assert library.labels().keys() == {"red", "sea", "sky"}
    assert (library.find("red and not sea"), len(library.rows()["scores"])) == (names, 9)


def test_failed_new_version_keeps_the_old_scores(library):
    names = write_photos(library, 4)
    library.index()
    loud = another_model(library, "loud.onnx", toy_card(version="2"), scale=1 / 100)
    with pytest.raises(ModelError):
        library.index(model=loud, batch_size=2)
    assert library.scores() == dict.fromkeys(names, 1.0)
    assert library.index() == {"Unchanged": names}


def test_index_rescores_with_other_tiles(library):
    names = write_photos(library, 2)
    library.index()
    events = list(library.events(tiles=4))
    assert events[0] == SettingsSaved(str(library.folder), "tiles: 4")
    assert events[1:] == [Rescored(str(library.path(name)), "other tiles") for name in names]
    assert library.index() == library.index(tiles=4) == {"Unchanged": names}
    assert library.model.scored() == 4
    assert library.scores() == dict.fromkeys(names, 1.0)
    with pytest.raises(ModelError, match="can't use 9 tiles"):
        library.index(tiles=9)
    assert read_settings(library.db, list_roots(library.db)[0]).tiles == 4


def test_index_activates_stored_scores_of_the_folders_tiles(library):
    from PIL import Image

    image = Image.new("RGB", (90, 90))
    image.paste((255, 0, 0), (0, 0, 60, 60))  # the first of four tiles, whole
    image.save(library.path("a.png"))
    library.index()
    plain = library.scores()["a.png"]
    library.index(tiles=4)
    tiled = library.scores()["a.png"]
    assert tiled > plain
    library.model.scored()
    for tiles, expected in ((0, plain), (4, tiled), (0, plain)):
        assert library.index(tiles=tiles, decoders=Untouched) == {"SettingsSaved": [""], "Unchanged": ["a.png"]}
        assert library.scores()["a.png"] == expected
    assert library.model.scored() == 0
    os.utime(library.photo("b.png"), ns=(0, 1))
    shutil.copy(library.path("a.png"), library.path("c.png"))
    assert library.index() == {"New": ["b.png", "c.png"], "Unchanged": ["a.png"]}
    assert library.scores() == {"a.png": plain, "b.png": 1.0, "c.png": plain}


def test_index_uses_the_tiles_of_the_card(library):
    from PIL import Image

    image = Image.new("RGB", (90, 90))
    image.paste((255, 0, 0), (0, 0, 60, 60))  # the first of four tiles, whole
    image.save(library.path("a.png"))
    pooling = {"4": {"red": (0, 1, 0), "green": (1, 0, 0), "blue": (1, 0, 0)}}
    tiled = another_model(library, "tiled.onnx", toy_card(tiles=4, pooling=pooling))
    library.index(model=tiled)
    assert library.scores()["a.png"] > 0.95
    library.index(model=tiled, tiles=0)
    assert 0.4 < library.scores()["a.png"] < 0.5  # 4 of 9 parts are red


def test_models_with_different_names_keep_separate_scores(library):
    names = write_photos(library, 2)
    library.index()
    other = another_model(library, "other.onnx", toy_card(name="other", labels=("red", "sea", "sky"), pooling={}))
    assert library.index(model=other) == {"SettingsSaved": [""], "Rescored": names}
    assert library.index(model=other) == library.index(decoders=Untouched) == {"Unchanged": names}
    assert read_default_model(library.db) == "toy"
    labels = [(label.model, label.name) for label in read_labels(library.db)]
    assert sorted(labels) == [("other", x) for x in ("red", "sea", "sky")] + [
        ("toy", x) for x in ("blue", "green", "red")
    ]
    assert len(library.rows()["scores"]) == 12


# ---- links, exclusions, names


def test_links_are_followed_only_with_the_option_and_loops_end(library):
    names = write_photos(library, 2, "a")
    outside = library.folder.with_name("outside")
    photo(outside / "x.png", "blue")
    library.path("a/link").symlink_to(outside)
    library.path("a/loop").symlink_to(library.folder)
    assert library.index() == {"New": names}
    assert library.index(follow_symlinks=True) == {
        "SettingsSaved": [""], "New": ["a/link/x.png"], "Unchanged": names,
    }  # fmt: skip
    assert library.index() == {"Unchanged": [*names, "a/link/x.png"]}


def test_index_does_not_enter_excluded_folders(library):
    write_photos(library, 2, "keep")
    write_photos(library, 2, "skip/deep")
    write_photos(library, 2, ".hidden")
    assert library.index(exclude=["skip", ".*"]) == {"New": ["keep/00.png", "keep/01.png"]}


def test_index_keeps_names_that_are_not_utf8(library):
    folder = os.fsdecode(b"f\xf6lder")
    write_photos(library, 2, folder)
    strange = os.fsdecode(b"\xff\xfe\n[b].png")
    library.photo(os.path.join(folder, strange), "blue")
    library.photo("źdźbło 🐦.png", "green")
    assert len(library.index()["New"]) == 4
    assert len(library.index()["Unchanged"]) == 4
    assert library.find("blue", under=str(library.path(folder))) == [os.path.join(folder, strange)]
    assert library.find("green") == ["źdźbło 🐦.png"]
    library.path(folder).rename(library.path(os.fsdecode(b"\xfe")))
    assert len(library.index()["Moved"]) == 3
    assert library.find("blue") == [os.path.join(os.fsdecode(b"\xfe"), strange)]
    library.path(library.find("blue")[0]).unlink()
    assert library.index()["Removed"] == [os.path.join(os.fsdecode(b"\xfe"), strange)]
    assert library.index(os.fsdecode(b"\xfe")) == {"Unchanged": [os.fsdecode(b"\xfe/0%d.png" % i) for i in range(2)]}


# ---- interrupted


@pytest.mark.parametrize("after", [0, 1, 3, 5, 8])
def test_stopped_run_is_completed_by_the_next_with_the_same_rows(library, after):
    write_photos(library, 5, "a")
    shutil.copytree(library.path("a"), library.path("b"))
    library.photo("b/broken.png").write_bytes(b"no photo")
    write_photos(library, 60, "c")  # far more than are in flight at once
    undisturbed = library.another("undisturbed.db")
    with undisturbed.db:
        undisturbed.index(batch_size=2)
        events = []
        for event in library.events(batch_size=2, stop=lambda: len(events) >= after):
            events.append(event)
        assert after <= len(events) < 5 + 5 + 1 + 60
        library.index(batch_size=3)
        assert library.rows() == undisturbed.rows()
        assert read_last_run(library.db).finished_at is not None


def test_run_stops_among_folders_without_photos(library, monkeypatch):
    for i in range(20):
        library.path(f"{i:02}").mkdir()
    looked, find = [], scanning.walk
    monkeypatch.setattr(scanning, "walk", lambda *a, **k: (looked.append(f) or f for f in find(*a, **k)))
    assert library.index(stop=lambda: len(looked) >= 5) == {}
    assert len(looked) == 5


def test_stopped_run_removes_nothing(library):
    write_photos(library, 5)
    library.index()
    library.path("00.png").unlink()
    events = []
    for event in library.events(stop=lambda: len(events) >= 2):
        events.append(event)
    assert read_counts(library.db).removed == 0
    assert library.index()["Removed"] == ["00.png"]


def test_abandoned_run_keeps_its_batches(library):
    names = write_photos(library, 7)
    run = library.events(batch_size=2)
    next(run)
    run.close()
    assert sorted(library.scores()) == names[:2]
    assert library.index() == {"New": names[2:], "Unchanged": names[:2]}


def test_finished_run_stores_its_summary(library):
    write_photos(library, 3)
    library.photo("broken.png").write_bytes(b"no photo")
    library.index()
    last = read_last_run(library.db)
    assert (last.pid, last.provider, last.finished_at is not None) == (os.getpid(), "cpu", True)
    counted = {name: n for name, n in last.summary.items() if n}
    assert counted == {"new": 3, "unreadable": 1}
    assert last.summary["stopped"] is False


def test_list_runs_gives_the_last_ones_newest_first(library):
    for n in (1, 2, 3):
        write_photos(library, n)
        library.index()
    assert [run.summary["new"] for run in list_runs(library.db, 2)] == [1, 1]
    assert [run.summary["unchanged"] for run in list_runs(library.db, 10)] == [2, 1, 0]
    assert list_runs(library.db, 1) == [read_last_run(library.db)]


def test_list_newest_gives_readable_photos_that_came_last(library):
    write_photos(library, 3)
    library.index()
    library.photo("zz.png").write_bytes(b"no photo")
    later = library.photo("a-later.png", "green")
    library.index()
    found = list_newest(library.db, 2)
    assert next(path for _, path in found) == str(later)
    assert len(found) == 2
    later.unlink()
    library.index()
    assert str(later) not in [path for _, path in list_newest(library.db, 10)]
    assert len(list_newest(library.db, 10)) == 3


def test_only_one_run_at_a_time_holds_a_library(library):
    write_photos(library, 3)
    held = rf"is being indexed by process {os.getpid()} on .* since .*; wait for it, or use another --db"
    with lock_library(library.db), Database(library.db.path) as second:
        run = library.events(batch_size=1)
        next(run)
        with pytest.raises(StoreError, match=held), lock_library(second):
            pass
        assert read_counts(second).photos == 1
        run.close()
    with lock_library(library.db):
        pass


def test_two_folders_with_other_tiles_share_no_scores(library):
    """Half red and half black: with tiles the reddest part counts as well."""
    for name in ("plain/a.png", "tiled/b.png"):
        image = Image.new("RGB", (64, 48), "black")
        image.paste((255, 0, 0), (0, 0, 32, 48))
        library.path(name).parent.mkdir()
        image.save(library.path(name))
        library.path(name).write_bytes(library.path(name).read_bytes() + name.encode())  # two contents
    library.index("plain")
    library.index("tiled", tiles=4)
    apart = library.scores()
    assert apart["tiled/b.png"] > apart["plain/a.png"] + 0.05
    library.index(force=True)  # both in one run
    assert library.scores() == apart
    kinds = library.db.rows(
        "SELECT p.name, m.tiles FROM photos p JOIN scored k ON k.image_id = p.image_id AND k.active "
        "JOIN models m ON m.id = k.model_id ORDER BY p.name"
    )
    assert kinds == [("a.png", 0), ("b.png", 4)]


def test_photo_that_came_back_is_missing_no_more(library):
    names = write_photos(library, 3)
    library.index()
    away = library.path(names[0]).rename(library.folder.with_name("away.png"))
    assert library.index()["Removed"] == [names[0]]
    assert set(library.index()) == {"Unchanged"}, "it is not counted as missing again"
    away.rename(library.path(names[0]))
    assert library.index()["Returned"] == [names[0]]
    assert (read_counts(library.db).removed, set(library.index())) == (0, {"Unchanged"})
