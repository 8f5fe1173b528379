"""What photos' files say, from real files through an index to the library: stored, in step, found by words, gone."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from library import Library, kept_decoders, make
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from photosearch.library.database import Database
from photosearch.library.details import FileDetails, count_details
from photosearch.library.forget import forget_all, forget_photos
from photosearch.library.images import read_details
from photosearch.library.photos import find_image_at, find_photo_paths
from photosearch.library.rebuild import rebuild
from photosearch.library.words import find_by_words, split_words
from photosearch.photos.decoders import DecoderPool

PORTO = ("-EXIF:GPSLatitude=41.1496", "-EXIF:GPSLatitudeRef=N", "-EXIF:GPSLongitude=8.611", "-EXIF:GPSLongitudeRef=W")
CANON = ("-EXIF:Make=Canon", "-EXIF:Model=Canon EOS 5D", "-EXIF:LensModel=EF 50mm")
TEXTS = ("-XMP-dc:Title=Jantar", "-XMP-dc:Description=Anna's birthday cake", "-XMP-dc:Subject=cake",
         "-XMP-lr:HierarchicalSubject=party|birthday", "-XMP-iptcExt:PersonInImage=Anna Müller",
         "-XMP-xmp:Rating=4")  # fmt: skip
SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmp:Rating="{rating}" exif:DateTimeOriginal="{date}">
<dc:subject><rdf:Bag><rdf:li>{keyword}</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"""

needs_exiftool = pytest.mark.skipif(shutil.which("exiftool") is None, reason="no exiftool here")


@pytest.fixture(scope="module", autouse=True)
def _decoders() -> Iterator[None]:
    with kept_decoders():
        yield


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    made = make(tmp_path)
    with made.db:
        yield made


class MetadataAlone(DecoderPool):
    """Decoders for a run that is to decode no photo."""

    def open(self, photo: object, select_views: object) -> object:  # type: ignore[override]
        raise AssertionError(f"{photo} was opened")


def write_photo(library: Library, name: str, *arguments: str, colour: str = "red") -> Path:
    path = library.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (48, 32), colour).save(path)
    if arguments:
        command = ["exiftool", "-q", "-q", "-n", "-overwrite_original", "-charset", "utf8", *arguments, str(path)]
        subprocess.run(command, check=True, capture_output=True)
    return path


def details(library: Library, name: str) -> FileDetails | None:
    image_id = find_image_at(library.db, str(library.path(name)))
    assert image_id is not None
    found = read_details(library.db, image_id)
    assert found is not None
    return next(file.details for file in found.files if file.path == str(library.path(name)))


def words(library: Library, text: str, **options: bool) -> list[str]:
    found = [photo_id for photo_id, _ in find_by_words(library.db, text, **options)]
    return sorted(library.below(path) for path in find_photo_paths(library.db, found))


def check_words(library: Library) -> None:
    """The full-text index holds what one that is made anew from the tables holds."""
    db = library.db
    count = "SELECT term, doc, col FROM temp.seen ORDER BY 1, 2, 3"
    db.rows("CREATE VIRTUAL TABLE IF NOT EXISTS temp.seen USING fts5vocab(main, words, instance)")
    before = db.rows(count)
    assert before
    with Database(db.path.with_name("anew.db"), create=True) as other:
        other.rows("PRAGMA foreign_keys = OFF")
        other.rows("ATTACH ? AS old", [str(db.path)])
        with other.transaction():
            for table in ("roots", "folders", "images", "photos", "places", "terms", "details", "texts"):
                other.rows(f"INSERT INTO main.{table} SELECT * FROM old.{table}")
        other.rows("CREATE VIRTUAL TABLE temp.seen USING fts5vocab(main, words, instance)")
        assert other.rows(count) == before
    for file in db.path.parent.glob("anew.db*"):
        file.unlink()
    assert db.rows("SELECT * FROM word_changes") == []


@needs_exiftool
def test_index_stores_what_the_file_says(library: Library) -> None:
    write_photo(library, "Rome 2019/IMG_1234.jpg", *PORTO, *CANON, *TEXTS, "-XMP-photoshop:City=Gaia")
    library.index()
    found = details(library, "Rome 2019/IMG_1234.jpg")
    assert found == FileDetails(
        41.1496, -8.611, "Porto", None, "PT", "Portugal", "Porto", "Canon", "Canon EOS 5D", "EF 50mm", 4.0, "Jantar",
        "Anna's birthday cake", "Gaia", None, None, ("birthday", "cake"), ("Anna Müller",),
    )  # fmt: skip
    assert (found.camera, found.where) == ("Canon EOS 5D", "Porto, Portugal")
    counts = count_details(library.db)
    assert (counts.position, counts.people, counts.text) == (1, 1, 1)


@needs_exiftool
def test_words_are_found_wherever_they_are_and_in_two_places_at_once(library: Library) -> None:
    write_photo(library, "Rome 2019/IMG_1234.jpg", *PORTO, *TEXTS)
    write_photo(library, "other/Müller's dog.jpg", colour="blue")
    library.index()
    one = ["Rome 2019/IMG_1234.jpg"]
    for text in ("rome", "2019", "jantar", "birthday", "cake", "muller anna", "porto", "PORTUGAL", "party",
                 "rome cake portugal", '"birthday cake"', "photos rome"):  # fmt: skip
        assert words(library, text) == one, text
    assert words(library, "müller") == sorted([*one, "other/Müller's dog.jpg"])
    assert words(library, "dog") == ["other/Müller's dog.jpg"]
    for text in ("img", "1234", "jpg", "rome dog", '"cake birthday"', "birth", "", '""', "Oporto"):
        assert words(library, text) == [], text
    assert words(library, "birth", prefix=True) == one
    check_words(library)


@pytest.mark.parametrize(
    "text",
    ['"', "a OR b", "NEAR(a b)", "title:x", "red*", "-red", "(", ")", "^red", "a\0b", "a\udcffb", "AND", '"a" "',
     "{x}: y",             "*", "' OR 1=1 --", "\udcff", "é" * 2000, "w " * 5000]
)  # fmt: skip
def test_a_users_words_are_never_syntax(library: Library, text: str) -> None:
    library.photo("a red house/x.png")
    library.index()
    words(library, text)
    assert words(library, f"house {'nowhere'}") == []
    assert words(library, "red") == ["a red house/x.png"]
    assert all('"' not in word for word in split_words(text))


@pytest.mark.slow
@needs_exiftool
def test_words_stay_in_step_with_moves_removals_and_changes(library: Library) -> None:
    path = write_photo(library, "Rome/one.jpg", *PORTO, *TEXTS)
    write_photo(library, "Rome/two.jpg", *CANON, "-XMP-dc:Subject=boat", colour="blue")
    library.index()
    library.path("Oslo").mkdir()
    path.rename(library.path("Oslo/uno.jpg"))
    assert library.index()["Moved"] == [("Rome/one.jpg", "Oslo/uno.jpg")]
    assert (words(library, "oslo cake"), words(library, "rome cake"), words(library, "uno")) == (
        ["Oslo/uno.jpg"], [], ["Oslo/uno.jpg"],
    )  # fmt: skip
    check_words(library)
    subprocess.run(["exiftool", "-q", "-overwrite_original", "-XMP-dc:Subject=ship", str(library.path("Rome/two.jpg"))])
    library.index()
    assert (words(library, "ship"), words(library, "boat")) == (["Rome/two.jpg"], [])
    check_words(library)
    library.path("Rome/two.jpg").unlink()
    library.index(prune=True)
    assert words(library, "ship") == []
    forget_photos(library.db, [str(library.path("Oslo/uno.jpg"))])
    check_words(library)
    assert words(library, "porto") == []
    assert library.db.rows("SELECT name FROM places") == []


@needs_exiftool
def test_words_follow_a_root_that_was_moved(library: Library) -> None:
    write_photo(library, "Rome/one.jpg", *TEXTS)
    library.index("Rome")
    assert words(library, "rome") == ["Rome/one.jpg"]
    library.path("Rome").rename(library.path("Oslo"))
    library.index("Oslo")
    assert (words(library, "oslo"), words(library, "rome")) == (["Oslo/one.jpg"], [])
    library.index()
    assert words(library, "oslo") == ["Oslo/one.jpg"]
    check_words(library)


@pytest.mark.slow
@needs_exiftool
def test_forget_leaves_no_trace_of_it_in_the_file(library: Library) -> None:
    write_photo(library, "one.jpg", *PORTO, *CANON, "-XMP-dc:Title=Xylophonist", "-XMP-dc:Subject=Zanzibarian",
                "-XMP-iptcExt:PersonInImage=Quetzalcoatl")  # fmt: skip
    write_photo(library, "two.jpg", "-XMP-dc:Title=Staying", colour="blue")
    library.index()
    secrets = (b"Xylophonist", b"xylophonist", b"anzibarian", b"uetzalcoatl", b"Porto", b"Canon")
    forget_photos(library.db, [str(library.path("one.jpg"))])
    data = library.db.path.read_bytes()
    assert not [secret for secret in secrets if secret in data]
    assert words(library, "staying") == ["two.jpg"]
    forget_all(library.db)
    assert b"staying" not in library.db.path.read_bytes().lower()


@pytest.mark.slow
@needs_exiftool
def test_known_photos_are_read_for_their_metadata_alone(library: Library) -> None:
    write_photo(library, "one.jpg", *PORTO, *TEXTS)
    library.photo("two.png", "blue")
    library.index()
    with library.db.transaction():  # as a library of schema 4 is
        for table in ("photo_terms", "details", "terms", "places"):
            library.db.write(f"DELETE FROM {table}")
    assert library.index(decoders=MetadataAlone) == {
        "MetadataRead": ["one.jpg", "two.png"], "Unchanged": ["one.jpg", "two.png"],
    }  # fmt: skip
    assert words(library, "cake porto") == ["one.jpg"]
    assert library.index(decoders=MetadataAlone) == {"Unchanged": ["one.jpg", "two.png"]}
    check_words(library)


def test_a_side_car_that_changes_is_read_again_and_copies_keep_their_own(library: Library) -> None:
    first, second, third = (library.path(name) for name in ("a/x.png", "b/x.png", "c/x.png"))
    for path in (first, second, third):
        path.parent.mkdir()
        Image.new("RGB", (48, 32), "red").save(path)
    for path, date, keyword in ((first, "2001-02-03T04:05:06", "lake"), (second, "2010-01-02T03:04:05", "sea")):
        Path(f"{path}.xmp").write_text(SIDECAR.format(rating=3, date=date, keyword=keyword))
    library.index()
    taken = {library.below(m.path): (m.taken, m.taken_from) for m in library._found("red")}
    assert taken["a/x.png"] == ("2001-02-03T04:05:06", "sidecar")
    assert taken["b/x.png"] == ("2010-01-02T03:04:05", "sidecar")
    assert taken["c/x.png"][1] == "file"
    assert library.find(since="2010", until="2010") == ["b/x.png"]
    assert library.find(since="2001", until="2001") == ["a/x.png"]
    assert (words(library, "lake"), words(library, "sea")) == (["a/x.png"], ["b/x.png"])
    Path(f"{second}.xmp").write_text(SIDECAR.format(rating=5, date="2011-01-02T03:04:05", keyword="river"))
    assert library.index(decoders=MetadataAlone)["MetadataRead"] == ["b/x.png"]
    found = details(library, "b/x.png")
    assert found is not None
    assert (found.rating, found.keywords, found.taken) == (5, ("river",), "2011-01-02T03:04:05")
    assert (words(library, "sea"), words(library, "river")) == ([], ["b/x.png"])
    assert library.find(since="2011", until="2011") == ["b/x.png"]
    Path(f"{second}.xmp").unlink()
    assert library.index(decoders=MetadataAlone)["MetadataRead"] == ["b/x.png"]
    assert library.find(since="2011", until="2011") == []
    check_words(library)


@needs_exiftool
def test_a_folder_without_metadata_stores_none_and_drops_what_it_has(library: Library) -> None:
    write_photo(library, "one.jpg", *PORTO, *TEXTS, "-EXIF:DateTimeOriginal=2003:07:04 10:11:12")
    library.index(metadata=False)
    assert details(library, "one.jpg") is None
    assert words(library, "cake") == []
    assert library.find(since="2003", until="2003") == ["one.jpg"]  # dates are no part of it
    library.index(metadata=True)
    assert words(library, "cake") == ["one.jpg"]
    library.index(metadata=False)
    assert library.index() == {"Unchanged": ["one.jpg"]}
    for table in ("details", "photo_terms", "terms", "places"):
        assert library.db.rows(f"SELECT * FROM {table}") == [], table
    check_words(library)


def test_hostile_texts_and_positions_are_bounded(library: Library) -> None:
    library.path("").mkdir(exist_ok=True)
    texts = PngInfo()
    texts.add_itxt("Title", "t\x00\x1b[2J" + "T" * 100_000)
    texts.add_itxt("Description", "word\x07 " * 200_000)
    Image.new("RGB", (48, 32), "red").save(library.path("a.png"), pnginfo=texts)
    bag = "".join(f"<rdf:li>key{i}</rdf:li>" for i in range(9_000))
    Image.new("RGB", (48, 32), "red").save(library.path("b.png"))
    Path(f"{library.path('b.png')}.xmp").write_text(
        SIDECAR.format(rating="1e999", date="nan", keyword="k").replace("<rdf:li>k</rdf:li>", bag)
    )
    for name, latitude, longitude in (("c", "0", "0"), ("d", "NaN", "NaN"), ("e", "91", "8"), ("f", "1e400", "3")):
        Image.new("RGB", (48, 32), "blue").save(library.path(f"{name}.png"))
        takeout = f'{{"title": "{name}.png", "geoData": {{"latitude": {latitude}, "longitude": {longitude}}}}}'
        library.path(f"{name}.png.json").write_text(takeout)
    library.index()
    found = details(library, "a.png")
    assert found is not None
    assert found.title is not None
    assert found.caption is not None
    assert (len(found.title) <= 1_000, len(found.caption) <= 10_000) == (True, True)
    assert (found.title + found.caption).replace("\n", " ").isprintable()
    keyed = details(library, "b.png")
    assert keyed is not None
    assert (len(keyed.keywords), keyed.rating) == (1_000, None)
    assert count_details(library.db).position == 0
    assert library.db.path.stat().st_size < 2_000_000
    check_words(library)


@needs_exiftool
def test_rebuild_leaves_it_to_be_read_again(library: Library) -> None:
    write_photo(library, "one.jpg", *PORTO, *TEXTS)
    library.index()
    path = library.db.path
    library.db.close()
    rebuild(path, force=True)
    with Database(path) as db:
        again = Library(library.folder, db, library.model)
        again.index()
        assert words(again, "cake porto") == ["one.jpg"]
        check_words(again)


@needs_exiftool
def test_bytes_of_a_photo_with_position_and_camera(library: Library) -> None:
    """Measured as the pages of the tables that hold it."""
    library.index()
    n = 2_000
    with library.db.transaction():
        library.db.write("INSERT INTO roots VALUES (9, '/x')")
        library.db.write("INSERT INTO folders(id, root_id, path) VALUES (9, 9, 'a')")
        library.db.write("INSERT INTO cameras VALUES (1, 'Canon', 'Canon EOS 5D', 'EF 50mm')")
        for i in range(n):
            library.db.write("INSERT INTO images VALUES (?, ?, 4, 3, NULL, NULL, NULL)", [i + 1, os.urandom(32)])
            library.db.write(
                "INSERT INTO photos(id, folder_id, name, size_bytes, mtime_ns, image_id) VALUES (?, 9, ?, 1, 1, ?)",
                [i + 1, f"IMG_{i:04}.jpg", i + 1],
            )
            library.db.write(
                "INSERT INTO details VALUES (?, 0, ?, ?, NULL, 1, NULL, NULL, NULL, NULL)",
                [i + 1, 41_000_000 + 7919 * i % 999_983, -8_000_000 + i],
            )
    names = [name for (name,) in library.db.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'details%'")]
    size = library.db.one(f"SELECT sum(pgsize) FROM dbstat WHERE name IN ({', '.join('?' * len(names))})", names)[0]
    assert size / n < 120
