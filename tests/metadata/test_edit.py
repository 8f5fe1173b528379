"""Side-cars as other programs write them, edited with all else left byte for byte."""

import re
import shutil
import subprocess
from pathlib import Path
from xml.dom import minidom

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from photosearch.metadata import xmp
from photosearch.metadata.edit import write_xmp
from photosearch.metadata.xmp import UnreadableXmp

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
    return write_xmp(None if data is None else data.encode(), wanted, dict(managed))


def lists(data):
    """tag -> entries, of each list of keywords that is there."""
    properties = xmp.parse(data.encode() if isinstance(data, str) else data).properties
    found = {one.tag: xmp.list_entries(properties, one) for one in (*xmp.TYPED_LISTS, xmp.WRITTEN)}
    return {tag: entries for tag, entries in found.items() if entries}


def wrap(inside):
    declared = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in xmp.NAMESPACES.items())
    return f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {declared}>{inside}</rdf:RDF></x:xmpmeta>'


def describe(inside, attributes=""):
    return wrap(f'<rdf:Description rdf:about=""{attributes}>{inside}</rdf:Description>')


def test_write_xmp_creates_keywords_and_hierarchy():
    data, new, gone = make(None, BIRD)
    assert (new, gone) == (["bird", "my dog & cat"], [])
    assert lists(data) == {
        "dc:subject": list(BIRD), "lr:hierarchicalSubject": ["animal|bird"], "photosearch:keywords": list(BIRD),
    }  # fmt: skip
    minidom.parseString(data)
    assert make(None, {})[1:] == ([], [])


def test_write_xmp_merges_without_touching_the_rest():
    for before in (DARKTABLE, LIGHTROOM, DARKTABLE.replace("\n", "\r\n"), "\ufeff" + DARKTABLE):
        data, new, _ = make(before, BIRD)
        assert new == ["bird", "my dog & cat"]
        was = lists(before)
        assert lists(data)["dc:subject"] == [*was.get("dc:subject", ()), *BIRD]
        assert lists(data)["photosearch:keywords"] == list(BIRD)
        assert xmp.read_xmp(data).rating == xmp.read_xmp(before.encode()).rating
        kept = data.decode()
        for part in re.split(r"(?<=>)", before):  # each tag with the text before it
            assert part in kept or part.replace("/>", ">") in kept  # the one that closed itself is opened
        assert "line one&#10;line two &lt;b&gt;" in kept or "darktable" not in before
        minidom.parseString(data)


def test_write_xmp_restores_original_when_keywords_are_removed():
    data, _, _ = make(DARKTABLE, {"bird": "bird"})
    again, new, gone = make(data.decode(), {}, {"bird": "bird"})
    assert (new, gone) == ([], ["bird"])
    ours = re.compile(rb" {3}<photosearch:keywords.*?</photosearch:keywords>\n", re.S)
    assert ours.sub(b"", again).decode() == DARKTABLE


def test_write_xmp_changes_nothing_for_same_keywords():
    data, _, _ = make(DARKTABLE, BIRD)
    assert make(data.decode(), BIRD, BIRD) == (data, [], [])
    assert make(DARKTABLE, {"Garden": "Garden"}) == (DARKTABLE.encode(), [], [])


def test_write_xmp_never_removes_typed_keyword():
    data, _, gone = make(DARKTABLE, {}, {"Garden": "places|Garden"})
    assert (data, gone) == (DARKTABLE.encode(), [])
    data, _, _ = make(DARKTABLE, {"bird": "animal|bird"})
    typed = data.decode().replace(
        "<rdf:li>animal|bird</rdf:li>", "<rdf:li>animal|bird</rdf:li><rdf:li>seen|bird</rdf:li>"
    )
    data, _, gone = make(typed, {}, {"bird": "animal|bird"})
    assert (gone, lists(data)["lr:hierarchicalSubject"]) == (["bird"], ["places|Garden", "seen|bird"])


def test_write_xmp_removes_only_managed_keywords():
    both, _, _ = make(None, {"bird": "animal|bird", "dog": "animal|dog"})
    data, _, gone = make(both.decode(), {}, {"bird": "animal|bird"})
    assert gone == ["bird"]
    assert lists(data) == {
        "dc:subject": ["dog"], "lr:hierarchicalSubject": ["animal|dog"], "photosearch:keywords": ["dog"],
    }  # fmt: skip


EVERY_LIST = describe(
    "<dc:subject><rdf:Bag><rdf:li>Garden</rdf:li></rdf:Bag></dc:subject>"
    "<digiKam:TagsList><rdf:Seq><rdf:li>places/Garden</rdf:li></rdf:Seq></digiKam:TagsList>"
    "<MicrosoftPhoto:LastKeywordXMP><rdf:Bag><rdf:li>places/Garden</rdf:li></rdf:Bag></MicrosoftPhoto:LastKeywordXMP>"
    "<acdsee:keywords><rdf:Bag><rdf:li>Garden</rdf:li></rdf:Bag></acdsee:keywords>"
    "<mediapro:CatalogSets><rdf:Bag><rdf:li>places|Garden</rdf:li></rdf:Bag></mediapro:CatalogSets>"
    '<mwg-kw:Keywords rdf:parseType="Resource"><mwg-kw:Hierarchy><rdf:Bag><rdf:li rdf:parseType="Resource">'
    "<mwg-kw:Keyword>Garden</mwg-kw:Keyword></rdf:li></rdf:Bag></mwg-kw:Hierarchy></mwg-kw:Keywords>",
    ' acdsee:categories="&lt;Categories>&lt;Category Assigned=&quot;1&quot;>Garden&lt;/Category>&lt;/Categories>"',
)


def test_write_xmp_writes_into_each_list_that_is_there_and_takes_it_back():
    data, added, _ = make(EVERY_LIST, {"bird": "animal|bird"})
    assert added == ["bird"]
    assert lists(data) == {
        "dc:subject": ["Garden", "bird"], "lr:hierarchicalSubject": ["animal|bird"],
        "digiKam:TagsList": ["places/Garden", "animal/bird"],
        "MicrosoftPhoto:LastKeywordXMP": ["places/Garden", "animal/bird"], "acdsee:keywords": ["Garden", "bird"],
        "mediapro:CatalogSets": ["places|Garden", "animal|bird"], "photosearch:keywords": ["bird"],
    }  # fmt: skip
    properties = xmp.parse(data).properties
    assert list(xmp.walk_keyword_tree(properties[xmp.TREE])) == ["Garden", "bird"]
    assert xmp.read_categories(properties[xmp.CATEGORIES][0].text) == ["Garden", "bird"]
    minidom.parseString(data)
    assert xmp.read_xmp(data).keywords == ("Garden",)  # ours are no keywords of the user's
    again, _, removed = make(data.decode(), {}, {"bird": "animal|bird"})
    assert removed == ["bird"]
    assert lists(again) == lists(EVERY_LIST)
    assert xmp.read_xmp(again) == xmp.read_xmp(EVERY_LIST.encode())


@pytest.mark.parametrize(
    "typed",
    [
        "<dc:subject><rdf:Bag><rdf:li>Robin</rdf:li></rdf:Bag></dc:subject>",
        "<lr:hierarchicalSubject><rdf:Bag><rdf:li>animal|bird|Robin</rdf:li></rdf:Bag></lr:hierarchicalSubject>",
        "<digiKam:TagsList><rdf:Seq><rdf:li>animal/bird/ROBIN</rdf:li></rdf:Seq></digiKam:TagsList>",
    ],
)
def test_write_xmp_adds_no_spelling_or_longer_path_of_typed_keyword(typed):
    path = "animal|vertebrate|bird|songbird|robin"
    data, _, _ = make(describe(typed), {"robin": path})
    (tag, entries), *_ = lists(describe(typed)).items()
    assert lists(data)[tag] == entries
    assert "photosearch:keywords" not in lists(data)  # a person typed it
    assert set(lists(data)) == {tag, "dc:subject"}
    assert "robin" in map(str.lower, xmp.read_xmp(data).keywords)
    assert make(data.decode(), {}, {"robin": path}) == (data, [], [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "iso-8859-1", "windows-1252"])
def test_write_xmp_keeps_encoding(encoding):
    before = DARKTABLE.replace("Garden", "Gärten").replace("UTF-8", "UTF-16" if "16" in encoding else encoding)
    data, added, _ = write_xmp(before.encode(encoding), {"bird": "bird", "鳥": "鳥"}, {})
    assert added == ["bird", "鳥"]
    text = data.decode(encoding)
    assert "<rdf:li>Gärten</rdf:li>" in text
    assert ("<rdf:li>鳥</rdf:li>" if "16" in encoding else "<rdf:li>&#40165;</rdf:li>") in text
    assert lists(data)["dc:subject"] == ["Gärten", "darktable|format|jpg", "bird", "鳥"]


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
        describe("<dc:subject><rdf:Alt><rdf:li>a</rdf:li></rdf:Alt></dc:subject>"),
        describe("<dc:subject>a</dc:subject>"),
        describe("", ' dc:subject="a"'),
        describe("", " dc:subject='a &amp; b' xmp:Rating='3'"),
    ],
)
def test_write_xmp_adds_to_every_form_of_empty_sidecar(before):
    data, _, _ = make(before, BIRD)
    assert lists(data)["dc:subject"] == [*lists(before).get("dc:subject", ()), *BIRD]
    assert lists(data)["photosearch:keywords"] == list(BIRD)
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
    assert lists(data)["dc:subject"] == ["Garden", "darktable|format|jpg", "bird"]


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
        (DARKTABLE.replace("UTF-8", "EBCDIC-CP-US").encode(), "written in ebcdic-cp-us"),
        (DARKTABLE.replace("UTF-8", "ISO-8859-12").encode(), "not valid iso-8859-12"),
        (b"\xff\xfe<\0?\0x", "not valid utf-16"),
        (describe("<dc:subject><rdf:Bag><rdf:li>a</rdf:li></rdf:Bag><rdf:Bag/></dc:subject>").encode(), "plain list"),
        (wrap("<a>" * 300 + "</a>" * 300).encode(), "200 levels"),
        (describe('<dc:subject rdf:resource="x"/>').encode(), "not a plain list"),
        (describe('<dc:subject rdf:parseType="Resource"><a/></dc:subject>').encode(), "not a plain list"),
    ],
)  # fmt: skip
def test_write_xmp_rejects_unparsable_sidecar(data, why):
    with pytest.raises(UnreadableXmp, match=why):
        write_xmp(data, BIRD, {})


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1), max_size=4))
@example(["JPG"])  # the end of a path that somebody typed among the names: darktable|format|jpg
def test_write_xmp_keeps_any_printable_keyword(names):
    wanted = {" ".join(name.split()): "x" for name in names if name.strip() and "|" not in name}
    wanted = {name: name for name in wanted if name}
    for before in (None, DARKTABLE, LIGHTROOM):
        data, _, _ = make(before, wanted)
        assert {k.casefold() for k in wanted} <= {k.casefold() for k in lists(data).get("dc:subject", ())}


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_write_xmp_raises_only_unreadable_for_any_bytes(data):
    for some in (data, DARKTABLE.encode()[:800] + data + DARKTABLE.encode()[800:]):
        try:
            write_xmp(some, BIRD, BIRD)
        except UnreadableXmp:
            continue


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("exiftool") is None, reason="no exiftool here")
@pytest.mark.parametrize("before", [None, DARKTABLE, LIGHTROOM])
def test_exiftool_reads_written_sidecar(before: str | None, tmp_path: Path) -> None:
    data = make(before, BIRD)[0]
    (tmp_path / "a.jpg.xmp").write_bytes(data)
    (tmp_path / "before.xmp").write_text(before or "")

    def ask(*tags: str, of: str = "a.jpg.xmp") -> list[str]:
        command = ["exiftool", "-m", "-s3", "-sep", "; ", *tags, str(tmp_path / of)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "Warning" not in run.stderr + run.stdout
        return run.stdout.splitlines()

    was, rating = (lists(before), xmp.read_xmp(before.encode()).rating) if before else ({}, None)
    assert ask("-XMP-dc:Subject") == ["; ".join((*was.get("dc:subject", ()), *BIRD))]
    assert ask("-XMP-lr:HierarchicalSubject") == ["; ".join(lists(data)["lr:hierarchicalSubject"])]
    assert ask("-XMP-xmp:Rating") == ([] if rating is None else [f"{rating:g}"])
    if before == DARKTABLE:
        history = ask("-XMP-darktable:all", of="before.xmp")
        assert len(history) > 8
        assert ask("-XMP-darktable:all") == history
    assert ask("-validate", "-warning", "-a") == ["OK"]
