"""XMP to a record: every form, every encoding, every list; and bounds on hostile files."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photosearch.metadata import xmp
from photosearch.metadata.dates import Taken
from photosearch.metadata.record import MAX_NAMES, PhotoMetadata, Position
from photosearch.metadata.xmp import UnreadableXmp, read_packet, read_xmp


def describe(inside: str, attributes: str = "") -> bytes:
    declared = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in xmp.NAMESPACES.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {declared}><rdf:Description rdf:about=""{attributes}>{inside}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def bag(tag: str, *entries: str, array: str = "Bag") -> str:
    return f"<{tag}><rdf:{array}>{''.join(f'<rdf:li>{e}</rdf:li>' for e in entries)}</rdf:{array}></{tag}>"


@pytest.mark.parametrize(
    ("inside", "keywords", "paths"),
    [
        (bag("dc:subject", "robin", "Me"), ("robin", "Me"), ()),
        (bag("dc:subject", "robin", array="Seq"), ("robin",), ()),
        (bag("dc:subject", "robin", array="Alt"), ("robin",), ()),
        ("<dc:subject>robin</dc:subject>", ("robin",), ()),
        (bag("dc:subject", "robin", "Robin", " robin "), ("robin",), ()),
        (bag("dc:subject", "and/or", "places|Garden"), ("and/or", "Garden"), ("places|Garden",)),
        (bag("lr:hierarchicalSubject", "animal|bird", "Me"), ("Me", "bird"), ("animal|bird",)),
        (bag("digiKam:TagsList", "animal/bird", "Me", array="Seq"), ("Me", "bird"), ("animal|bird",)),
        (bag("MicrosoftPhoto:LastKeywordXMP", "animal/bird"), ("bird",), ("animal|bird",)),
        (bag("acdsee:keywords", "bird"), ("bird",), ()),
        (bag("mediapro:CatalogSets", "animal|bird"), ("bird",), ("animal|bird",)),
        ("<acdsee:categories>&lt;Categories>&lt;Category Assigned='0'>animal&lt;Category Assigned='1'>bird"
         "&lt;/Category>&lt;/Category>&lt;/Categories></acdsee:categories>", ("bird",), ("animal|bird",)),
        ("<mwg-kw:Keywords><rdf:Description><mwg-kw:Hierarchy><rdf:Bag><rdf:li><rdf:Description "
         "mwg-kw:Keyword='animal'><mwg-kw:Children><rdf:Bag><rdf:li mwg-kw:Keyword='bird'/></rdf:Bag></mwg-kw:Children>"
         "</rdf:Description></rdf:li><rdf:li rdf:parseType='Resource'><mwg-kw:Keyword>Me</mwg-kw:Keyword></rdf:li>"
         "</rdf:Bag></mwg-kw:Hierarchy>"
         "</rdf:Description></mwg-kw:Keywords>", ("bird", "Me"), ("animal|bird",)),
        (bag("dc:subject", "bird", "Me") + bag("photosearch:keywords", "bird"), ("Me",), ()),
        ("<dc:subject><rdf:Bag><rdf:li rdf:parseType='Resource'><rdf:value>robin</rdf:value></rdf:li></rdf:Bag>"
         "</dc:subject>", ("robin",), ()),
        (bag("dc:subject", "a\tb", "&#10;", "x" * 5000), ("a b", "x" * 1000), ()),
    ],
)  # fmt: skip
def test_read_xmp_reads_every_list_of_keywords(inside, keywords, paths):
    record = read_xmp(describe(inside))
    assert (record.keywords, record.paths) == (keywords, paths)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "iso-8859-1", "cp1252"])
def test_read_xmp_reads_every_encoding(encoding):
    declared = {"utf-8-sig": "utf-8", "utf-16-le": "utf-16", "utf-16-be": "utf-16"}.get(encoding, encoding)
    text = f'<?xml version="1.0" encoding="{declared}"?>' + describe(bag("dc:subject", "Gärten")).decode()
    assert read_xmp(text.encode(encoding)).keywords == ("Gärten",)


def test_read_xmp_reads_attributes_and_old_prefixes():
    expected = PhotoMetadata(
        keywords=("robin",), rating=4.0, city="Porto", make="Canon",
        dates=(Taken("2003-07-04T10:11:12", "sidecar", "+02:00"), Taken("1985-01-01T00:00:00", "sidecar", None, 4),
               Taken("2004-01-01T00:00:00", "sidecar", None, 10, False)),
    )  # fmt: skip
    attributes = (' dc:subject="robin" xap:Rating="4" photoshop:City="Porto" tiff:Make="Canon" '
                  'exif:DateTimeOriginal="2003-07-04T10:11:12+02:00" photoshop:DateCreated="1985" '
                  'xap:CreateDate="2004-01-01"')  # fmt: skip
    assert read_xmp(describe("", attributes)) == expected
    elements = ("<dc:subject>robin</dc:subject><xap:Rating>4</xap:Rating><photoshop:City>Porto</photoshop:City>"
                "<tiff:Make>Canon</tiff:Make><exif:DateTimeOriginal>2003-07-04T10:11:12+02:00</exif:DateTimeOriginal>"
                "<photoshop:DateCreated>1985</photoshop:DateCreated>"
                "<xap:CreateDate>2004-01-01</xap:CreateDate>")  # fmt: skip
    assert read_xmp(describe(elements)) == expected


def test_read_xmp_reads_texts_places_and_people():
    record = read_xmp(describe(
        "<dc:title><rdf:Alt><rdf:li xml:lang='de'>Der See</rdf:li><rdf:li xml:lang='x-default'>The lake</rdf:li>"
        "</rdf:Alt></dc:title><dc:description><rdf:Alt><rdf:li xml:lang='x-default'>Two&#10;lines</rdf:li></rdf:Alt>"
        "</dc:description>" + bag("Iptc4xmpExt:PersonInImage", "Anna") +
        "<mwg-rs:Regions rdf:parseType='Resource'><mwg-rs:RegionList><rdf:Bag>"
        "<rdf:li><rdf:Description mwg-rs:Name='Ben' mwg-rs:Type='Face'/></rdf:li>"
        "<rdf:li><rdf:Description mwg-rs:Name='Rex' mwg-rs:Type='Pet'/></rdf:li></rdf:Bag></mwg-rs:RegionList>"
        "</mwg-rs:Regions>"
        "<MP:RegionInfo rdf:parseType='Resource'><MPRI:Regions><rdf:Bag><rdf:li MPReg:PersonDisplayName='Cleo'/>"
        "<rdf:li MPReg:PersonDisplayName='anna'/></rdf:Bag></MPRI:Regions></MP:RegionInfo>"
        "<Iptc4xmpExt:LocationShown><rdf:Bag><rdf:li Iptc4xmpExt:City='Porto' Iptc4xmpExt:CountryName='Portugal'/>"
        "</rdf:Bag></Iptc4xmpExt:LocationShown><exifEX:LensModel>50mm</exifEX:LensModel>",
        " exif:GPSLatitude='41,9.5S' exif:GPSLongitude='8,37,30W' exif:GPSAltitude='905/10' tiff:Model='EOS'"
        " MicrosoftPhoto:Rating='75'",
    ))  # fmt: skip
    assert record == PhotoMetadata(
        title="The lake", caption="Two\nlines", people=("Anna", "Ben", "Cleo"), city="Porto", country="Portugal",
        position=Position(-(41 + 9.5 / 60), -8.625, 90.5), model="EOS", lens="50mm", rating=4.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("written", "rating"), [("5", 5), ("-1", -1), ("0", None), ("6", None), ("nan", None), ("x", None)]
)
def test_read_xmp_reads_ratings(written, rating):
    assert read_xmp(describe("", f' xmp:Rating="{written}"')).rating == rating


@pytest.mark.parametrize(
    "attributes",
    ["", " exif:GPSLatitude='0,0N' exif:GPSLongitude='0,0E'", " exif:GPSLatitude='91,0N' exif:GPSLongitude='8,0E'",
     " exif:GPSLatitude='nan' exif:GPSLongitude='8,0E'", " exif:GPSLatitude='41,9N'"],
)  # fmt: skip
def test_read_xmp_refuses_impossible_positions(attributes):
    assert read_xmp(describe("", attributes)).position is None


def test_read_packet_reads_what_can_be_read():
    whole = b"junk <?xpacket?>" + describe(bag("dc:subject", "a", "b")) + b"<?xpacket end='w'?>" + b" " * 100 + b"\0"
    assert read_packet(whole).keywords == ("a", "b")
    assert read_packet(whole[:-150]).keywords == ("a", "b")
    assert read_packet(whole[: whole.index(b"<rdf:li>b")]).keywords == ("a",)
    for data in (b"", b"\xff" * 100, b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + whole, b"<x:xmpmeta>" + b"<a>" * 1000):
        assert read_packet(data).keywords in ((), ("a", "b"))


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not XML"),
        (b"<html/>", "no rdf:RDF"),
        (BOMB + describe("&b;"), "a document type"),
        (describe(bag("dc:subject", *map(str, range(MAX_NAMES + 1)))), "more than 10,000 keywords"),
        (describe("<a/>" * (xmp.MAX_TAGS + 1)), "more than 500,000 tags"),
        (describe("", " " + " ".join(f'a{i}=""' for i in range(xmp.MAX_ATTRIBUTES))), "more than 500,000 attributes"),
        (describe("<a>" * 300 + "</a>" * 300), "200 levels"),
        (b" " * (xmp.MAX_BYTES + 1), "larger than 16 MB"),
    ],
    ids="empty html entities keywords tags attributes deep large".split(),
)
def test_read_xmp_says_which_bound(data, why):
    with pytest.raises(UnreadableXmp, match=why):
        read_xmp(data)


CATEGORY, CATEGORY_END = '<Category Assigned="1">a', "</Category>"


@pytest.mark.parametrize(
    ("text", "n"),
    [
        (CATEGORY * xmp.MAX_DEPTH + CATEGORY_END * xmp.MAX_DEPTH, xmp.MAX_DEPTH),
        (CATEGORY * (xmp.MAX_DEPTH + 1) + CATEGORY_END * (xmp.MAX_DEPTH + 1), 0),
        (BOMB.decode() + CATEGORY + CATEGORY_END, 0),
        ("<x>" + (CATEGORY + CATEGORY_END) * (xmp.MAX_TAGS // 2) + "</x>", 0),
    ],
    ids="deep deeper entities tags".split(),
)
def test_categories_are_bounded_like_a_document(text, n):
    assert len(xmp.read_categories(text)) == n


def hostile(kind: str, n: int) -> bytes:
    return {
        "keywords": lambda: describe(bag("digiKam:TagsList", *(f"a/{i}" for i in range(n)))),
        "mixed": lambda: describe("<dc:subject><rdf:Bag>" + "text<rdf:li>a</rdf:li>" * n + "</rdf:Bag></dc:subject>"),
        "nested": lambda: describe(f"<dc:subject><rdf:Bag>{'<rdf:li><a><b/></a></rdf:li>' * n}</rdf:Bag></dc:subject>"),
        "lists": lambda: describe(bag("dc:subject", "a") * n),
        "spaces": lambda: describe("<dc:subject " + " " * (20 * n) + "/>"),
        "attribute": lambda: describe("", f' dc:subject="{"a " * (10 * n)}"'),
        "text": lambda: describe(f"<dc:subject>{'&#97;' * (4 * n)}</dc:subject>"),
        "categories": lambda: describe("", ' acdsee:categories="&lt;a>' + "b" * n
                                       + "&lt;Category Assigned='1'>c&lt;/Category>" * (n // 4) + '&lt;/a>"'),
    }[kind]()  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["keywords", "mixed", "nested", "lists", "spaces", "attribute", "text", "categories"]
)  # fmt: skip
def test_write_xmp_takes_linear_time(kind):
    """Ten times as much takes less than forty times as long: a quadratic reader takes a hundred times."""
    from photosearch.metadata.edit import write_xmp

    def measure(n: int) -> float:
        data, start = hostile(kind, n), time.process_time()
        write_xmp(data, {"bird": "animal|bird"}, {"dog": "dog"})
        return time.process_time() - start

    small, large = (min(measure(n) for _ in range(3)) for n in (900, 9000))
    assert large < 40 * max(small, 0.002)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_read_packet_takes_any_bytes(data):
    whole = describe(bag("dc:subject", "a"))
    for some in (data, whole[:-100] + data + whole[-100:], whole.replace(b">a<", b">" + data + b"<")):
        assert isinstance(read_packet(some), PhotoMetadata)
