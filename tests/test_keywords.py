"""Export of labels to sidecars and import of keywords, on real photos, which are never written."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from embedding_library import BLACK, BLUE, RED, WINE, card, open_seen
from PIL import Image

from photosearch.errors import InputError, QueryError
from photosearch.keywords import _read_file, _replace
from photosearch.metadata import edit, xmp


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
        assert {name: h for name, h in hashes(seen.folder).items() if not name.lower().endswith(".xmp")} == before
        assert not list(seen.folder.rglob("*.part"))


def hashes(folder):
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def keywords(seen, name, tag="dc:subject"):
    properties = xmp.parse((seen.folder / name).read_bytes()).properties
    return [e for one in (*xmp.TYPED_LISTS, xmp.WRITTEN) if one.tag == tag for e in xmp.list_entries(properties, one)]


def short(told):
    return [(os.path.basename(w.path), w.new, w.added, w.removed) for w in told.written]


def test_export_writes_found_and_marked_labels(seen):
    seen.asks.marks.add(seen.folder / "wine.png", negative=["bird"])
    seen.asks.marks.add(seen.folder / "black.png", positive=["bird"])
    told = seen.asks.marks.export_keywords(["bird", "robin", "dog"])
    assert sorted(short(told)) == [
        ("black.png.xmp", True, ("bird",), ()), ("blue.png.xmp", True, ("dog",), ()),
        ("lake.png.xmp", True, ("robin", "dog"), ()), ("red.png.xmp", True, ("bird",), ()),
    ]  # fmt: skip
    paths = keywords(seen, "sub/lake.png.xmp", "lr:hierarchicalSubject")
    assert [path.split("|")[::-1][:2] for path in paths] == [["robin", "songbird"], ["dog", "mammal"]]
    assert not (seen.folder / "wine.png.xmp").exists()
    again = seen.asks.marks.export_keywords(["bird", "robin", "dog"])
    assert (again.written, again.unchanged) == ([], 4)


def test_export_removes_only_its_own_keywords(seen):
    seen.asks.marks.export_keywords(["bird", "dog"])
    path = seen.folder / "red.png.xmp"
    path.write_bytes(
        path.read_bytes().replace(b"<rdf:li>bird</rdf:li>", b"<rdf:li>bird</rdf:li><rdf:li>Me</rdf:li>", 1)
    )
    seen.asks.marks.add(seen.folder / "red.png", negative=["bird"])
    told = seen.asks.marks.export_keywords(["bird"])
    assert short(told) == [("red.png.xmp", False, (), ("bird",))]
    assert (keywords(seen, "red.png.xmp"), keywords(seen, "blue.png.xmp")) == (["Me"], ["dog"])


def test_export_of_chosen_images_touches_no_other_side_car(seen):
    seen.asks.marks.export_keywords(["bird"])
    seen.asks.marks.add([seen.folder / "red.png", seen.folder / "wine.png"], negative=["bird"])
    images = {os.path.basename(photo.path): photo.image_id for photo in seen.asks.find()}
    told = seen.asks.marks.export_keywords(["bird", "dog"], images=[images["wine.png"], images["blue.png"]])
    assert short(told) == [("blue.png.xmp", True, ("dog",), ()), ("wine.png.xmp", False, (), ("bird",))]
    assert keywords(seen, "red.png.xmp") == ["bird"]
    assert short(seen.asks.marks.export_keywords(["bird"], images=[])) == []


def test_short_side_car_of_a_chosen_image_is_not_written_where_it_would_be_anothers_too(seen):
    seen.photo("red.bmp", BLUE)
    seen.index()
    images = {os.path.basename(photo.path): photo.image_id for photo in seen.asks.find()}
    told = seen.asks.marks.export_keywords(["bird"], images=[images["red.png"]], short=True)
    assert (told.written, [reason for _, reason in told.skipped]) == ([], ["it would belong to 2 photos of that name"])
    (seen.folder / "red.bmp").unlink()


def test_album_is_a_keyword_of_its_photos(seen):
    seen.asks.albums.add("Trip|2019 & more", [seen.folder / "red.png", seen.folder / "sub" / "lake.png"])
    told = seen.asks.albums.export_keywords("trip|2019 & more")
    assert sorted(short(told)) == [
        ("lake.png.xmp", True, ("Trip 2019 & more",), ()), ("red.png.xmp", True, ("Trip 2019 & more",), ()),
    ]  # fmt: skip
    seen.asks.albums.remove("Trip|2019 & more", seen.folder / "red.png")
    told = seen.asks.albums.export_keywords("Trip|2019 & more")
    assert (short(told), told.unchanged) == ([("red.png.xmp", False, (), ("Trip 2019 & more",))], 1)


def test_album_named_as_a_label_takes_no_keyword_of_the_label_away(seen):
    seen.asks.marks.export_keywords(["bird"])
    before = keywords(seen, "red.png.xmp")
    seen.asks.albums.add("Bird", [seen.folder / "blue.png"])
    assert [change.path for change in seen.asks.albums.export_keywords("Bird").written] == [
        str(seen.folder / "blue.png.xmp")
    ]
    assert keywords(seen, "red.png.xmp") == before == ["bird"]


def test_export_dry_run_writes_nothing(seen):
    dry = seen.asks.marks.export_keywords(["bird"], dry_run=True)
    assert not list(seen.folder.rglob("*.xmp"))
    assert dry == seen.asks.marks.export_keywords(["bird"])
    assert len(dry.written) == 2


def test_export_marked_only_and_under_a_folder(seen):
    seen.asks.marks.add(seen.folder / "black.png", positive=["dog"])
    assert short(seen.asks.marks.export_keywords(["dog"], marked=True)) == [("black.png.xmp", True, ("dog",), ())]
    assert short(seen.asks.marks.export_keywords(["dog"], under=str(seen.folder / "sub"))) == [
        ("lake.png.xmp", True, ("dog",), ()),
    ]  # fmt: skip
    with pytest.raises(QueryError, match="no label 'dgo'"):
        seen.asks.marks.export_keywords(["dgo"])
    with pytest.raises(InputError, match="say which labels"):
        seen.asks.marks.export_keywords([])


def test_export_skips_unparsable_sidecar_and_reports_it(seen):
    (seen.folder / "red.png.xmp").write_bytes(b"<html>")
    (seen.folder / "blue.png.xmp").symlink_to(seen.folder / "black.png")
    (seen.folder / "wine.png.xmp").mkdir()
    told = seen.asks.marks.export_keywords(["bird", "dog"])
    assert short(told) == [("lake.png.xmp", True, ("dog",), ())]
    assert sorted((os.path.basename(path), why) for path, why in told.skipped) == [
        ("blue.png.xmp", "it is a link, or not a file"),
        ("red.png.xmp", "not XML: no element found, line 1"),
        ("wine.png.xmp", "it is a link, or not a file"),
    ]
    assert (seen.folder / "red.png.xmp").read_bytes() == b"<html>"
    (seen.folder / "wine.png.xmp").rmdir()


def test_export_keeps_the_mode_and_leftovers_of_a_killed_run(seen):
    seen.asks.marks.export_keywords(["bird"])
    path = seen.folder / "red.png.xmp"
    path.chmod(0o640)
    seen.asks.marks.add(seen.folder / "red.png", positive=["dog"])
    left = seen.folder / "wine.png.xmp.part"
    left.write_bytes(b"half")
    seen.asks.marks.add(seen.folder / "wine.png", positive=["dog"])
    told = seen.asks.marks.export_keywords(["bird", "dog"])
    assert path.stat().st_mode & 0o777 == 0o640
    assert [os.path.basename(path) for path, _ in told.skipped] == ["wine.png.xmp"]
    assert left.read_bytes() == b"half"
    left.unlink()


def test_export_skips_missing_photos(seen):
    (seen.folder / "red.png").rename(seen.folder / "elsewhere")
    told = seen.asks.marks.export_keywords(["bird"])
    assert (short(told), told.missing) == ([("wine.png.xmp", True, ("bird",), ())], 1)
    (seen.folder / "elsewhere").rename(seen.folder / "red.png")


def test_export_short_skips_a_shared_name(seen):
    seen.photo("red.jpg", (250, 5, 5))
    seen.index()
    told = seen.asks.marks.export_keywords(["bird"], short=True)
    assert short(told) == [("wine.xmp", True, ("bird",), ())]
    assert told.skipped == [(str(seen.folder / "red.xmp"), "it would belong to 2 photos of that name")]
    (seen.folder / "red.jpg").unlink()


def write(path: Path, *names: str, rating: int | None = None) -> None:
    data, _, _ = edit.write_xmp(None, {name: name for name in names}, {})
    data = data.replace(b"photosearch:keywords", b"other:keywords").replace(
        b'xmlns:photosearch="urn:photosearch:1.0/"', b'xmlns:other="urn:other/"'
    )
    if rating is not None:
        data = data.replace(
            b'rdf:about=""', f'rdf:about="" xmlns:x="http://ns.adobe.com/xap/1.0/" x:Rating="{rating}"'.encode(), 1
        )
    path.write_bytes(data)


def test_import_marks_known_keywords_and_counts_others(seen):
    write(seen.folder / "red.png.xmp", "Birds", "holiday")
    write(seen.folder / "wine.xmp", "places|holiday")
    told = seen.asks.marks.import_keywords()
    assert (told.marks, told.photos, dict(told.unknown)) == (1, 2, {"holiday": 2})
    assert [(os.path.basename(t.path), t.label, t.present) for t in seen.asks.marks.list()] == [
        ("red.png", "bird", True)
    ]
    assert seen.asks.marks.import_keywords(new=["holiday"]).marks >= 2
    assert ("red.png", "holiday") in {(os.path.basename(t.path), t.label) for t in seen.asks.marks.list()}


def test_import_ignores_exported_keywords(seen):
    seen.asks.marks.export_keywords(["bird", "dog"])
    told = seen.asks.marks.import_keywords()
    assert (told.marks, seen.asks.marks.list()) == (0, [])


def test_import_complete_marks_photos_without_the_keyword_negative(seen):
    write(seen.folder / "red.png.xmp", "bird")
    write(seen.folder / "blue.png.xmp", "lake")
    write(seen.folder / "wine.png.xmp")
    seen.asks.marks.import_keywords(complete=["bird"])
    assert sorted((os.path.basename(t.path), t.present) for t in seen.asks.marks.list("bird")) == [
        ("blue.png", False), ("red.png", True),
    ]  # fmt: skip


def test_import_rated_makes_a_label_of_ratings(seen):
    for name, rating in (("red", 5), ("wine", 3), ("blue", -1), ("black", 0)):
        write(seen.folder / f"{name}.png.xmp", rating=rating)
    told = seen.asks.marks.import_keywords(rated={"keeper": 4})
    assert told.marks == 3
    assert sorted((os.path.basename(t.path), t.present) for t in seen.asks.marks.list("keeper")) == [
        ("blue.png", False), ("red.png", True), ("wine.png", False),
    ]  # fmt: skip


def test_import_reads_the_photos_own_packet(seen):
    packet, _, _ = edit.write_xmp(None, {"bird": "bird"}, {})
    packet = packet.replace(b"photosearch:keywords", b"o:k").replace(b"xmlns:photosearch=", b"xmlns:o=").replace(
        b"urn:photosearch:1.0/", b"urn:o/"
    )  # fmt: skip
    path = seen.folder / "inside.jpg"
    Image.new("RGB", (16, 16), (3, 3, 3)).save(path, xmp=packet)
    seen.index()
    assert seen.asks.marks.import_keywords().marks == 1
    assert [os.path.basename(t.path) for t in seen.asks.marks.list("bird")] == ["inside.jpg"]
    path.unlink()


def test_import_skips_unreadable_sidecar_and_reports_it(seen):
    (seen.folder / "red.png.xmp").write_bytes(b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>")
    write(seen.folder / "blue.png.xmp", "dog")
    told = seen.asks.marks.import_keywords()
    assert told.marks == 1
    assert [(os.path.basename(path), why) for path, why in told.skipped] == [
        ("red.png.xmp", "it has a document type, which no side-car has"),
    ]  # fmt: skip


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="no exiftool here")
def test_exiftool_reads_exported_keywords(seen):
    seen.asks.marks.export_keywords(["bird"])
    command = ["exiftool", "-s3", "-srcfile", "%d%f.%e.xmp", "-XMP-dc:Subject", str(seen.folder / "red.png")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "bird\n"


ROBIN = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmp:Rating="5">'
    "<dc:subject><rdf:Bag><rdf:li>Robin</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def marked(seen):
    return {(os.path.basename(t.path), t.label, t.present) for t in seen.asks.marks.list()}


@pytest.mark.parametrize("name", ["red.xmp", "red.png.xmp", "red.XMP", "red.png.Xmp"])
def test_export_writes_into_the_sidecar_that_is_there(seen, name):
    (seen.folder / name).write_text(ROBIN)
    told = seen.asks.marks.export_keywords(["bird"])
    assert (name, False, ("bird",), ()) in short(told)
    assert [p.name for p in seen.folder.iterdir() if p.name.lower().startswith("red") and p.suffix != ".png"] == [name]
    assert keywords(seen, name) == ["Robin", "bird"]
    (seen.folder / name).unlink()


def test_export_writes_into_both_sidecars_and_makes_a_short_one_on_request(seen):
    (seen.folder / "red.png.xmp").write_text(ROBIN)
    assert ("red.xmp", True, ("bird",), ()) in short(seen.asks.marks.export_keywords(["bird"], short=True))
    assert keywords(seen, "red.png.xmp") == ["Robin", "bird"]
    assert not seen.asks.marks.export_keywords(["bird"]).written


@pytest.mark.parametrize("name", ["red.xmp", "red.XMP", "red.png.xmp"])
def test_import_finds_the_same_before_and_after_an_export(seen, name):
    (seen.folder / name).write_text(ROBIN)
    Image.new("RGB", (16, 16), (3, 3, 3)).save(seen.folder / "inside.jpg", xmp=ROBIN.replace("Robin", "dog").encode())
    seen.index()
    before = seen.asks.marks.import_keywords(rated={"keeper": 5}).marks
    was = marked(seen)
    assert {("red.png", "robin", True), ("red.png", "keeper", True), ("inside.jpg", "dog", True)} <= was
    seen.asks.marks.export_keywords(["bird", "robin", "dog"])
    assert (seen.asks.marks.import_keywords(rated={"keeper": 5}).marks, marked(seen)) == (before, was)
    (seen.folder / "inside.jpg").unlink()


def test_import_reads_every_place_of_keywords_at_once(seen):
    (seen.folder / "red.png.xmp").write_text(ROBIN)
    (seen.folder / "red.xmp").write_text(ROBIN.replace("Robin", "dog").replace("dc:subject", "digiKam:TagsList"))
    (seen.folder / ".picasa.ini").write_text("[red.png]\nkeywords=bird,lake\n")
    (seen.folder / "red.png.json").write_text(json.dumps({"photoTakenTime": {"timestamp": "5"}}))
    told = seen.asks.marks.import_keywords()
    assert marked(seen) == {("red.png", "robin", True), ("red.png", "dog", True), ("red.png", "bird", True)}
    assert (told.skipped, dict(told.unknown)) == ([], {"lake": 1})
    for name in (".picasa.ini", "red.png.json"):
        (seen.folder / name).unlink()


def test_export_refuses_read_only_sidecar(seen):
    path = seen.folder / "red.png.xmp"
    path.write_text(ROBIN)
    path.chmod(0o444)
    told = seen.asks.marks.export_keywords(["bird"])
    assert told.skipped == [(str(path), "it is read-only; to change it, make it writable")]
    assert path.read_text() == ROBIN
    assert not seen.asks.marks.export_keywords(["robin"], under=str(seen.folder / "sub")).skipped


def test_export_notices_a_change_between_reading_and_writing(tmp_path):
    path = tmp_path / "red.png.xmp"
    path.write_text(ROBIN)
    before = _read_file(str(path))
    path.write_text(ROBIN.replace("Robin", "Raven"))  # of the same length, and then of the same date
    os.utime(path, ns=(before[1].st_atime_ns, before[1].st_mtime_ns))
    with pytest.raises(xmp.UnreadableXmp, match="another program has changed it meanwhile"):
        _replace(str(path), b"ours", before)
    assert path.read_text() == ROBIN.replace("Robin", "Raven")


def test_import_says_which_bound_a_sidecar_is_over(seen):
    (seen.folder / "red.png.xmp").write_text(ROBIN.replace("<rdf:li>Robin</rdf:li>", "<rdf:li>a</rdf:li>" * 400_000))
    told = seen.asks.marks.import_keywords()
    assert told.skipped == [(str(seen.folder / "red.png.xmp"), "it has more than 500,000 tags")]


def test_sidecar_that_appears_meanwhile_is_left_as_it_is(tmp_path):
    (tmp_path / "a.xmp").write_bytes(b"another program's")
    with pytest.raises(xmp.UnreadableXmp, match="another program has changed it meanwhile"):
        _replace(str(tmp_path / "a.xmp"), b"ours", None)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"another program's"]
