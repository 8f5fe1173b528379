"""Sidecars as other programs write them: read, and edited with all else left byte for byte."""

import re
import shutil
import subprocess
from pathlib import Path
from xml.dom import minidom

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photosearch.metadata import xmp
from photosearch.metadata.xmp import Sidecar, UnreadableXmp

# Made by hand after what darktable 4 writes: a history, attributes a line each, keywords of the user's own.
DARKTABLE = """<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:exif="http://ns.adobe.com/exif/1.0/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
   exif:DateTimeOriginal="2024:05:31 12:00:00.000"
   xmp:Rating="4"
   darktable:import_timestamp="63852000000000000"
   darktable:xmp_version="5"
   darktable:history_end="2"
   darktable:note="line one&#10;line two &lt;b&gt;">
   <darktable:masks_history>
    <rdf:Seq/>
   </darktable:masks_history>
   <!-- kept -->
   <darktable:history>
    <rdf:Seq>
     <rdf:li
      darktable:num="0"
      darktable:operation="exposure"
      darktable:enabled="1"
      darktable:params="gz02eJxjYGBgEGAAgR&amp;wAAA=="/>
     <rdf:li darktable:num="1" darktable:operation="colorin" darktable:params="gz48eJzjZ"/>
    </rdf:Seq>
   </darktable:history>
   <dc:subject>
    <rdf:Bag>
     <rdf:li>Garden</rdf:li>
     <rdf:li>darktable|format|jpg</rdf:li>
    </rdf:Bag>
   </dc:subject>
   <lr:hierarchicalSubject>
    <rdf:Bag>
     <rdf:li>places|Garden</rdf:li>
    </rdf:Bag>
   </lr:hierarchicalSubject>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""

# After Lightroom Classic's: a packet, everything in attributes, a Description that closes itself.
LIGHTROOM = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000 1.000000, 0000/00/00-00:00:00        ">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about="" xmlns:crs='http://ns.adobe.com/camera-raw-settings/1.0/'
    crs:Version="16.0" crs:Note='a "quoted" > thing'/>
  <rdf:Description rdf:about="" xmlns:xap="http://ns.adobe.com/xap/1.0/"><xap:Rating>3</xap:Rating></rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""

BIRD = {"bird": "animal|bird", "my dog & cat": "my dog & cat"}


def make(data, wanted, managed=()):
    return xmp.write_xmp(None if data is None else data.encode(), wanted, managed)


def wrap(inside):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">'
        f"{inside}</rdf:RDF></x:xmpmeta>"
    )


def describe(inside, attributes=""):
    return wrap(f'<rdf:Description rdf:about=""{attributes}>{inside}</rdf:Description>')


def test_read_xmp_reads_darktable_and_lightroom():
    assert xmp.read_xmp(DARKTABLE.encode()) == Sidecar(("Garden", "darktable|format|jpg"), ("places|Garden",), (), 4)
    assert xmp.read_xmp(LIGHTROOM.encode()) == Sidecar(rating=3)


def test_write_xmp_creates_keywords_and_hierarchy():
    data, new, gone = make(None, BIRD)
    assert (new, gone) == (["bird", "my dog & cat"], [])
    assert xmp.read_xmp(data) == Sidecar(("bird", "my dog & cat"), ("animal|bird",), ("bird", "my dog & cat"))
    minidom.parseString(data)
    assert make(None, {})[1:] == ([], [])


def test_write_xmp_merges_without_touching_the_rest():
    for before in (DARKTABLE, LIGHTROOM, DARKTABLE.replace("\n", "\r\n"), "\ufeff" + DARKTABLE):
        data, new, _ = make(before, BIRD)
        assert new == ["bird", "my dog & cat"]
        after = xmp.read_xmp(data)
        was = xmp.read_xmp(before.encode())
        assert after == Sidecar((*was.keywords, *BIRD), (*was.tree, "animal|bird"), tuple(BIRD), was.rating)
        kept = data.decode()
        for part in re.split(r"(?<=>)", before):  # each tag with the text before it
            assert part in kept or part.replace("/>", ">") in kept  # the one that closed itself is opened
        assert "line one&#10;line two &lt;b&gt;" in kept or "darktable" not in before
        minidom.parseString(data)


def test_write_xmp_restores_original_when_keywords_are_removed():
    data, _, _ = make(DARKTABLE, {"bird": "bird"})
    again, new, gone = make(data.decode(), {}, ["bird"])
    assert (new, gone) == ([], ["bird"])
    assert xmp.read_xmp(again) == xmp.read_xmp(DARKTABLE.encode())
    ours = re.compile(rb" {3}<photosearch:keywords.*?</photosearch:keywords>\n", re.S)
    assert ours.sub(b"", again).decode() == DARKTABLE


def test_write_xmp_changes_nothing_for_same_keywords():
    data, _, _ = make(DARKTABLE, BIRD)
    assert make(data.decode(), BIRD, list(BIRD)) == (data, [], [])
    assert make(DARKTABLE, {"Garden": "Garden"}) == (DARKTABLE.encode(), [], [])


def test_write_xmp_never_removes_typed_keyword():
    data, _, gone = make(DARKTABLE, {}, ["Garden"])
    assert (data, gone) == (DARKTABLE.encode(), [])


def test_write_xmp_removes_only_managed_keywords():
    both, _, _ = make(None, {"bird": "animal|bird", "dog": "animal|dog"})
    data, _, gone = make(both.decode(), {}, ["bird"])
    assert gone == ["bird"]
    assert xmp.read_xmp(data) == Sidecar(("dog",), ("animal|dog",), ("dog",))


@pytest.mark.parametrize(
    "before",
    [
        wrap(""),
        wrap("").replace("></rdf:RDF>", "/>"),
        wrap('<rdf:Description rdf:about=""/>'),
        describe("<dc:subject/>"),
        describe("<dc:subject></dc:subject>"),
        describe("<dc:subject><rdf:Bag/></dc:subject>"),
        describe("<dc:subject><rdf:Bag></rdf:Bag></dc:subject>"),
        describe("<dc:subject><rdf:Seq><rdf:li>a</rdf:li></rdf:Seq></dc:subject>"),
        describe('<dc:subject><rdf:Bag><rdf:li xml:lang="en">a</rdf:li></rdf:Bag></dc:subject>'),
    ],
)
def test_write_xmp_adds_to_every_form_of_empty_sidecar(before):
    was = xmp.read_xmp(before.encode())
    data, _, _ = make(before, BIRD)
    assert xmp.read_xmp(data).keywords == (*was.keywords, *BIRD)
    minidom.parseString(data)


def test_write_xmp_uses_prefixes_of_file():
    before = (
        DARKTABLE.replace("rdf:", "r:")
        .replace("xmlns:rdf", "xmlns:r")
        .replace("dc:", "d:")
        .replace("xmlns:dc", "xmlns:d")
    )
    data, _, _ = make(before, {"bird": "bird"})
    assert b"<r:li>bird</r:li>" in data
    assert xmp.read_xmp(data).keywords == ("Garden", "darktable|format|jpg", "bird")


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not XML"),
        (b"\xff\xd8\xff\xe0 a photo", "not XML"),
        (DARKTABLE[:900].encode(), "not XML"),
        (DARKTABLE.replace("</x:xmpmeta>", "").encode(), "not XML"),
        (b"<html><body/></html>", "no rdf:RDF"),
        ((BOMB + describe("&b;")).encode(), "a document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "a document type"),
        (describe("&undefined;").encode(), "not XML"),
        (DARKTABLE.replace("UTF-8", "UTF-16").encode("utf-16"), "not XML|written in"),
        (DARKTABLE.replace("UTF-8", "ISO-8859-1").encode("latin-1"), "written in ISO-8859-1"),
        (wrap("<a>" * 300 + "</a>" * 300).encode(), "200 levels"),
        (describe("<dc:subject>bird</dc:subject>").encode(), "dc:subject is not a plain list"),
        (describe("", ' dc:subject="bird"').encode(), "dc:subject is not a plain list"),
        (describe('<dc:subject rdf:resource="x"/>').encode(), "not a plain list"),
        (describe('<dc:subject rdf:parseType="Resource"><a/></dc:subject>').encode(), "not a plain list"),
        (describe("<dc:subject><rdf:Alt><rdf:li>a</rdf:li></rdf:Alt></dc:subject>").encode(), "not a plain list"),
        (describe("<dc:subject><rdf:Bag><rdf:li><b/></rdf:li></rdf:Bag></dc:subject>").encode(), "not a plain list"),
        (describe("<dc:subject><rdf:Bag/><rdf:Bag/></dc:subject>").encode(), "not a plain list"),
    ],
)  # fmt: skip
def test_write_xmp_rejects_unparsable_sidecar(data, why):
    with pytest.raises(UnreadableXmp, match=why):
        xmp.write_xmp(data, BIRD, [])


def test_read_xmp_rejects_large_sidecar(monkeypatch):
    monkeypatch.setattr(xmp, "MAX_BYTES", 100)
    with pytest.raises(UnreadableXmp, match="more than"):
        xmp.read_xmp(DARKTABLE.encode())


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1), max_size=4))
def test_write_xmp_keeps_any_printable_keyword(names):
    wanted = {" ".join(name.split()): "x" for name in names if name.strip() and "|" not in name}
    wanted = {name: name for name in wanted if name}
    for before in (None, DARKTABLE, LIGHTROOM):
        data, _, _ = make(before, wanted)
        assert set(wanted) <= set(xmp.read_xmp(data).keywords)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_write_xmp_raises_only_unreadable_for_any_bytes(data):
    for some in (data, DARKTABLE.encode()[:800] + data + DARKTABLE.encode()[800:]):
        try:
            xmp.write_xmp(some, BIRD, [])
        except UnreadableXmp:
            continue


def test_find_packet_finds_xmp_in_photo():
    assert xmp.find_packet(b"\xff\xd8" + LIGHTROOM.encode() + b"\xff\xd9") is not None
    assert xmp.find_packet(b"\xff\xd8\xff\xd9<x:xmpmeta") is None


def test_sidecar_path_appends_or_replaces_extension():
    assert xmp.sidecar_path("/a/b.jpg") == "/a/b.jpg.xmp"
    assert xmp.sidecar_path("/a/b.c/d.CR2", short=True) == "/a/b.c/d.xmp"


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="no exiftool here")
@pytest.mark.parametrize("before", [None, DARKTABLE, LIGHTROOM])
def test_exiftool_reads_written_sidecar(before: str | None, tmp_path: Path) -> None:
    (tmp_path / "a.jpg.xmp").write_bytes(make(before, BIRD)[0])

    (tmp_path / "before.xmp").write_text(before or "")

    def ask(*tags: str, of: str = "a.jpg.xmp") -> list[str]:
        command = ["exiftool", "-m", "-s3", "-sep", "; ", *tags, str(tmp_path / of)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "Warning" not in run.stderr + run.stdout
        return run.stdout.splitlines()

    was = xmp.read_xmp((before or "").encode()) if before else Sidecar()
    assert ask("-XMP-dc:Subject") == ["; ".join((*was.keywords, *BIRD))]
    assert ask("-XMP-lr:HierarchicalSubject") == ["; ".join((*was.tree, "animal|bird"))]
    assert ask("-XMP-xmp:Rating") == ([] if was.rating is None else [f"{was.rating:g}"])
    if before == DARKTABLE:
        history = ask("-XMP-darktable:all", of="before.xmp")
        assert len(history) > 8
        assert ask("-XMP-darktable:all") == history
    assert ask("-validate", "-warning", "-a") == ["OK"]
