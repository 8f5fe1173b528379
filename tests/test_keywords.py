"""Labels out to side-cars and keywords in from them, on a library of real photos; no photo is ever touched."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from embedding_library import BLACK, BLUE, RED, WINE, card, open_seen
from PIL import Image

from photosearch.errors import InputError, QueryError
from photosearch.keywords import _is_raw
from photosearch.metadata import xmp


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    its = card(labels=("bird", "robin", "dog"), thresholds={"bird": 0.4, "robin": 0.5, "dog": 0.5},
               pooling={"4": dict.fromkeys(("bird", "robin", "dog"), (0.5, 0.5, 0.0))})  # fmt: skip
    with open_seen(tmp_path, its) as seen:  # red is bird, green robin, blue dog
        for name, colour in {"red": RED, "wine": WINE, "blue": BLUE, "black": BLACK}.items():
            seen.photo(f"{name}.png", colour)
        seen.photo("sub/lake.png", (0, 200, 250))
        seen.index()
        before = hashes(seen.folder)
        yield seen
        assert {name: h for name, h in hashes(seen.folder).items() if not name.endswith(".xmp")} == before
        assert not list(seen.folder.rglob("*.part"))


def hashes(folder):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def keywords(seen, name):
    return xmp.read_xmp((seen.folder / name).read_bytes())


def short(told):
    return [(os.path.basename(w.path), w.new, w.put, w.taken) for w in told.written]


def test_what_is_found_and_what_was_marked_goes_out(seen):
    seen.asks.marks.add(seen.folder / "wine.png", negative=["bird"])
    seen.asks.marks.add(seen.folder / "black.png", positive=["bird"])
    told = seen.asks.marks.export_keywords(["bird", "robin", "dog"])
    assert sorted(short(told)) == [
        ("black.png.xmp", True, ("bird",), ()), ("blue.png.xmp", True, ("dog",), ()),
        ("lake.png.xmp", True, ("robin", "dog"), ()), ("red.png.xmp", True, ("bird",), ()),
    ]  # fmt: skip
    assert [place.split("|")[::-1][:2] for place in keywords(seen, "sub/lake.png.xmp").tree] == [
        ["robin", "songbird"], ["dog", "mammal"],
    ]  # fmt: skip
    assert not (seen.folder / "wine.png.xmp").exists()
    again = seen.asks.marks.export_keywords(["bird", "robin", "dog"])
    assert (again.written, again.same) == ([], 4)


def test_a_correction_takes_out_what_was_written_and_nothing_else(seen):
    seen.asks.marks.export_keywords(["bird", "dog"])
    path = seen.folder / "red.png.xmp"
    path.write_bytes(
        path.read_bytes().replace(b"<rdf:li>bird</rdf:li>", b"<rdf:li>bird</rdf:li><rdf:li>Me</rdf:li>", 1)
    )
    seen.asks.marks.add(seen.folder / "red.png", negative=["bird"])
    told = seen.asks.marks.export_keywords(["bird"])
    assert short(told) == [("red.png.xmp", False, (), ("bird",))]
    assert (keywords(seen, "red.png.xmp").keywords, keywords(seen, "blue.png.xmp").keywords) == (("Me",), ("dog",))


def test_a_dry_run_says_the_same_and_writes_nothing(seen):
    dry = seen.asks.marks.export_keywords(["bird"], dry_run=True)
    assert not list(seen.folder.rglob("*.xmp"))
    assert dry == seen.asks.marks.export_keywords(["bird"])
    assert len(dry.written) == 2


def test_only_marks_and_only_a_folder_can_be_asked_for(seen):
    seen.asks.marks.add(seen.folder / "black.png", positive=["dog"])
    assert short(seen.asks.marks.export_keywords(["dog"], marked=True)) == [("black.png.xmp", True, ("dog",), ())]
    assert short(seen.asks.marks.export_keywords(["dog"], under=str(seen.folder / "sub"))) == [
        ("lake.png.xmp", True, ("dog",), ()),
    ]  # fmt: skip
    with pytest.raises(QueryError, match="no label 'dgo'"):
        seen.asks.marks.export_keywords(["dgo"])
    with pytest.raises(InputError, match="say which labels"):
        seen.asks.marks.export_keywords([])


def test_one_that_cannot_be_understood_is_left_alone_and_named_and_the_others_are_written(seen):
    (seen.folder / "red.png.xmp").write_bytes(b"<html>")
    (seen.folder / "blue.png.xmp").symlink_to(seen.folder / "black.png")
    (seen.folder / "wine.png.xmp").mkdir()
    told = seen.asks.marks.export_keywords(["bird", "dog"])
    assert short(told) == [("lake.png.xmp", True, ("dog",), ())]
    assert sorted((os.path.basename(path), why) for path, why in told.left_alone) == [
        ("blue.png.xmp", "it is a link, or no file"),
        ("red.png.xmp", "not XML: no element found, line 1"),
        ("wine.png.xmp", "it is a link, or no file"),
    ]
    assert (seen.folder / "red.png.xmp").read_bytes() == b"<html>"
    (seen.folder / "wine.png.xmp").rmdir()


def test_a_mode_stays_and_what_a_killed_run_left_is_not_overwritten(seen):
    seen.asks.marks.export_keywords(["bird"])
    path = seen.folder / "red.png.xmp"
    path.chmod(0o640)
    seen.asks.marks.add(seen.folder / "red.png", positive=["dog"])
    left = seen.folder / "wine.png.xmp.part"
    left.write_bytes(b"half")
    seen.asks.marks.add(seen.folder / "wine.png", positive=["dog"])
    told = seen.asks.marks.export_keywords(["bird", "dog"])
    assert path.stat().st_mode & 0o777 == 0o640
    assert [os.path.basename(path) for path, _ in told.left_alone] == ["wine.png.xmp"]
    assert left.read_bytes() == b"half"
    left.unlink()


def test_a_photo_that_is_not_there_gets_none(seen):
    (seen.folder / "red.png").rename(seen.folder / "elsewhere")
    told = seen.asks.marks.export_keywords(["bird"])
    assert (short(told), told.absent) == ([("wine.png.xmp", True, ("bird",), ())], 1)
    (seen.folder / "elsewhere").rename(seen.folder / "red.png")


def test_a_short_name_that_two_photos_share_is_nobodys(seen):
    seen.photo("red.jpg", (250, 5, 5))
    seen.index()
    told = seen.asks.marks.export_keywords(["bird"], short=True)
    assert short(told) == [("wine.xmp", True, ("bird",), ())]
    assert told.left_alone == [(str(seen.folder / "red.xmp"), "it would belong to 2 photos of that name")]
    (seen.folder / "red.jpg").unlink()


def write(path: Path, *names: str, rating: int | None = None) -> None:
    data, _, _ = xmp.write_xmp(None, {name: name for name in names}, [])
    data = data.replace(b"photosearch:keywords", b"other:keywords").replace(
        b'xmlns:photosearch="urn:photosearch:1.0/"', b'xmlns:other="urn:other/"'
    )
    if rating is not None:
        data = data.replace(
            b'rdf:about=""', f'rdf:about="" xmlns:x="http://ns.adobe.com/xap/1.0/" x:Rating="{rating}"'.encode(), 1
        )
    path.write_bytes(data)


def test_keywords_come_in_as_marks_and_what_is_no_label_is_counted(seen):
    write(seen.folder / "red.png.xmp", "Birds", "holiday")
    write(seen.folder / "wine.xmp", "places|holiday")
    told = seen.asks.marks.import_keywords()
    assert (told.marks, told.photos, dict(told.unknown)) == (1, 2, {"holiday": 2})
    assert [(os.path.basename(t.path), t.label, t.present) for t in seen.asks.marks.list()] == [
        ("red.png", "bird", True)
    ]
    assert seen.asks.marks.import_keywords(new=["holiday"]).marks >= 2
    assert ("red.png", "holiday") in {(os.path.basename(t.path), t.label) for t in seen.asks.marks.list()}


def test_what_the_tool_wrote_is_no_truth(seen):
    seen.asks.marks.export_keywords(["bird", "dog"])
    told = seen.asks.marks.import_keywords()
    assert (told.marks, seen.asks.marks.list()) == (0, [])


def test_a_complete_keyword_says_no_by_its_absence(seen):
    write(seen.folder / "red.png.xmp", "bird")
    write(seen.folder / "blue.png.xmp", "lake")
    write(seen.folder / "wine.png.xmp")
    seen.asks.marks.import_keywords(complete=["bird"])
    assert sorted((os.path.basename(t.path), t.present) for t in seen.asks.marks.list("bird")) == [
        ("blue.png", False), ("red.png", True),
    ]  # fmt: skip


def test_ratings_become_a_label_of_ones_own(seen):
    for name, rating in (("red", 5), ("wine", 3), ("blue", -1), ("black", 0)):
        write(seen.folder / f"{name}.png.xmp", rating=rating)
    told = seen.asks.marks.import_keywords(rated={"keeper": 4})
    assert told.marks == 3
    assert sorted((os.path.basename(t.path), t.present) for t in seen.asks.marks.list("keeper")) == [
        ("blue.png", False), ("red.png", True), ("wine.png", False),
    ]  # fmt: skip


def test_keywords_in_the_photo_itself_are_read_where_there_is_no_side_car(seen):
    packet, _, _ = xmp.write_xmp(None, {"bird": "bird"}, [])
    packet = packet.replace(b"photosearch:keywords", b"o:k").replace(b"xmlns:photosearch=", b"xmlns:o=").replace(
        b"urn:photosearch:1.0/", b"urn:o/"
    )  # fmt: skip
    path = seen.folder / "inside.jpg"
    Image.new("RGB", (16, 16), (3, 3, 3)).save(path, xmp=packet)
    seen.index()
    assert seen.asks.marks.import_keywords().marks == 1
    assert [os.path.basename(t.path) for t in seen.asks.marks.list("bird")] == ["inside.jpg"]
    path.unlink()


def test_a_side_car_that_cannot_be_read_is_named_and_costs_nothing_else(seen):
    (seen.folder / "red.png.xmp").write_bytes(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")
    write(seen.folder / "blue.png.xmp", "dog")
    told = seen.asks.marks.import_keywords()
    assert told.marks == 1
    assert [(os.path.basename(path), why) for path, why in told.left_alone] == [
        ("red.png.xmp", "it has a document type, which no sidecar has"),
    ]  # fmt: skip


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="no exiftool here")
def test_exiftool_finds_the_keywords_beside_the_photo(seen):
    seen.asks.marks.export_keywords(["bird"])
    command = ["exiftool", "-s3", "-srcfile", "%d%f.%e.xmp", "-XMP-dc:Subject", str(seen.folder / "red.png")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "bird\n"


def test_raw_files_but_dng_are_what_lightroom_reads_side_cars_for():
    assert [_is_raw(n) for n in ("a.CR2", "a.nef", "a.dng", "a.jpg")] == [True, True, False, False]
