"""Google Takeout's JSON, IPTC, EXIF and Picasa's file to a record; and which files beside a photo are its own."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photosearch.metadata.dates import Taken
from photosearch.metadata.exif import read_exif
from photosearch.metadata.iptc import read_iptc
from photosearch.metadata.picasa import read_picasa
from photosearch.metadata.record import MAX_DATES, PhotoMetadata, Position, merge
from photosearch.metadata.sidecars import match_sidecars, read_sidecars
from photosearch.metadata.takeout import MAX_BYTES, NotTakeout, read_takeout

TAKEOUT = {
    "title": "IMG_1.jpg", "description": "At the lake", "photoTakenTime": {"timestamp": "1549188672", "formatted": "x"},
    "geoData": {"latitude": 0.0, "longitude": 0.0, "altitude": 0.0},
    "geoDataExif": {"latitude": 41.15, "longitude": -8.6, "altitude": 12.0},
    "people": [{"name": "Anna"}, {"name": "Ben"}, {"no": "name"}, 7],
}  # fmt: skip


def takeout(**changes: object) -> bytes:
    return json.dumps(TAKEOUT | changes).encode()


def test_read_takeout_reads_date_position_people_and_description():
    assert read_takeout(takeout()) == PhotoMetadata(
        caption="At the lake", people=("Anna", "Ben"), dates=(Taken("2019-02-03T10:11:12", "takeout", "+00:00"),),
        position=Position(41.15, -8.6, 12.0),
    )  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"photoTakenTime": {"timestamp": "0"}},
        {"photoTakenTime": {"timestamp": "9" * 30}},
        {"photoTakenTime": {"timestamp": None}},
        {"photoTakenTime": 5, "people": "Anna", "geoDataExif": [1], "description": {"a": 1}},
        {"photoTakenTime": {"timestamp": "nan"}, "geoDataExif": {"latitude": float("nan"), "longitude": 1e999}},
    ],
)
def test_read_takeout_ignores_nonsense(changes):
    record = read_takeout(takeout(**changes))
    assert record.dates == ()
    if "people" in changes:
        assert record == PhotoMetadata()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"{", "not JSON"), (b"\xff\xfe\0", "not JSON"), (b"[" * 100_000, "not JSON"), (b"[]", "photoTakenTime"),
        (b'{"a": 1}', "photoTakenTime"), (b" " * (MAX_BYTES + 1), "larger than 1 MB"), (b"1" * 5000, "not JSON"),
    ],
    ids="cut bytes deep list other large number".split(),
)  # fmt: skip
def test_read_takeout_says_why_not(data, why):
    with pytest.raises(NotTakeout, match=why):
        read_takeout(data)


def iptc(*datasets: tuple[int, int, bytes]) -> bytes:
    return b"".join(b"\x1c" + bytes([r, n]) + len(value).to_bytes(2, "big") + value for r, n, value in datasets)


def test_read_iptc_reads_what_newspapers_write():
    block = iptc((1, 90, b"\x1b%G"), (2, 5, b"Der See"), (2, 25, "Vögel".encode()), (2, 25, b"Me"),
                 (2, 55, b"20030704"), (2, 60, b"101112+0200"), (2, 62, b"20150000"), (2, 90, b"Porto"),
                 (2, 95, b"Norte"), (2, 101, b"Portugal"), (2, 120, b"At the\rlake"))  # fmt: skip
    expected = PhotoMetadata(
        keywords=("Vögel", "Me"), title="Der See", caption="At the\nlake", city="Porto", state="Norte",
        country="Portugal",
        dates=(Taken("2003-07-04T10:11:12", "iptc", "+02:00"), Taken("2015-01-01T00:00:00", "iptc", None, 4, False)),
    )  # fmt: skip
    assert read_iptc(block) == expected
    assert read_iptc(block[: block.index(b"Me") + 1]).keywords == ("Vögel",)  # cut
    assert read_iptc(b"\0\0" + block) == expected
    assert read_iptc(iptc((2, 25, "Vögel".encode("latin-1")))).keywords == ("Vögel",)
    long = b"\x1c\x02\x19\x80\x04\x00\x00\x00\x03bee"
    assert read_iptc(long + iptc((2, 25, b"wasp"))).keywords == ("bee", "wasp")
    assert read_iptc(iptc((2, 55, b"00000000"))) == PhotoMetadata()


def test_read_exif_reads_texts_windows_and_positions():
    first = {0x010E: "L\xc3\xbcbeck", 0x010F: "Canon\0", 0x0110: "EOS  R", 0x0132: "2003:07:04 10:11:12", 0x4746: 4,
             0x9C9B: "Title\0".encode("utf-16-le"), 0x9C9E: tuple("robin; Me\0".encode("utf-16-le"))}  # fmt: skip
    own = {0x9003: "2003:07:04 09:11:12", 0x9011: "+02:00", 0xA434: "50mm", 0x9286: b"ASCII\0\0\0comment"}
    gps = {1: "N", 2: (41.0, 9.0, 0.0), 3: "W", 4: (8.0, 37.0, 30.0), 5: b"\0", 6: 12.5, 7: (8.0, 11.0, 12.0),
           29: "2003:07:04"}  # fmt: skip
    assert read_exif(first, own, gps) == PhotoMetadata(
        keywords=("robin", "Me"), rating=4.0, title="Title", caption="Lübeck", make="Canon", model="EOS R", lens="50mm",
        dates=(Taken("2003-07-04T09:11:12", "DateTimeOriginal", "+02:00"),
               Taken("2003-07-04T10:11:12", "DateTime", None, 19, False),
               Taken("2003-07-04T08:11:12", "gps", "+00:00", 19, False)),
        position=Position(41.15, -8.625, 12.5),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("comment", "caption"),
    [
        (b"ASCII\0\0\0plain", "plain"), (b"UNICODE\0" + "wide".encode("utf-16-le"), "wide"),
        (b"UNICODE\0" + "wide".encode("utf-16-be"), "wide"),
        (b"UNICODE\0" + "鳥".encode("utf-16-le"), "鳥"), (b"JIS\0\0\0\0\0\x1b$B$\"\x1b(B", "あ"),
        (b"\0" * 8 + b"plain", "plain"), (b"ASCII\0\0\0" + b" " * 50, None), (b"unknown!", None), (b"", None),
        ("text", None),
    ],
)  # fmt: skip
def test_read_exif_reads_comments_in_every_character_set(comment, caption):
    assert read_exif({0x010E: "OLYMPUS DIGITAL CAMERA         "}, {0x9286: comment}, {}).caption == caption


@pytest.mark.parametrize(("text", "caption"), [
    ("SANYO DIGITAL CAMERA", None), ("Konica Minolta Digital  Camera", None), ("digital still camera", None),
    ("My first digital camera", "My first digital camera"), ("a new digital camera bag", "a new digital camera bag"),
])  # fmt: skip
def test_captions_of_cameras_are_none(text, caption):
    assert read_exif({0x010E: text}, {}, {}).caption == caption


@pytest.mark.parametrize("value", [None, (), ("a", "b", "c"), (1e400, 0, 0), (91.0, 0, 0), b"abc", [float("nan")] * 3])
def test_read_exif_refuses_impossible_positions(value):
    assert read_exif({}, {}, {1: "N", 2: value, 3: "E", 4: (1.0, 2.0, 3.0)}).position is None
    assert read_exif({}, {}, {1: "N", 2: (0.0,), 3: "E", 4: (0.0,)}).position is None


def test_read_picasa_reads_keywords_captions_and_faces():
    data = (b"[Picasa]\nname=x\n[a.jpg]\ncaption=At the lake\nkeywords=lake,bird\n"
            b"faces=rect64(3f845bcb59418507),8e62398ebda8c1a5;rect64(1),ffffffffffffffff\n[b.jpg]\nrotate=rotate(1)\n"
            b"[Contacts2]\n8e62398ebda8c1a5=Anna;;\n")  # fmt: skip
    assert read_picasa(data) == {"a.jpg": PhotoMetadata(("lake", "bird"), caption="At the lake", people=("Anna",))}
    assert read_picasa(b"\xff\xfe[a\n]]=\n=[x]\n") == {}


@pytest.mark.parametrize("amount", [-1, 0, 1e9, float("nan"), float("inf"), "fast", [1]])
def test_exposure_that_no_camera_has_is_none(amount):
    """As a shard of another machine may have it."""
    values = {**PhotoMetadata(iso=100.0).to_json(), "aperture": amount}
    read = PhotoMetadata.from_json(values)
    assert (read.iso, read.aperture) == (100.0, None)


def test_merge_joins_lists_and_takes_first_values():
    one = PhotoMetadata(keywords=("Robin",), title="A", dates=(Taken("2003-07-04T10:11:12", "sidecar"),))
    other = PhotoMetadata(keywords=("robin", "Me"), title="B", rating=3.0, dates=(Taken("2004-07-04T10:11:12", "xmp"),))
    assert merge([one, other]) == PhotoMetadata(
        keywords=("Robin", "Me"), title="A", rating=3.0, dates=one.dates + other.dates
    )
    assert merge([]) == PhotoMetadata()
    many = PhotoMetadata(dates=one.dates * (MAX_DATES - 1))
    assert merge([many, one, other]) == PhotoMetadata(
        keywords=("Robin", "Me"), title="A", rating=3.0, dates=one.dates * MAX_DATES
    ), "no more dates than are stored"
    assert PhotoMetadata.from_json(json.loads(json.dumps(merge([one, other]).to_json()))) == merge([one, other])


@pytest.mark.parametrize(
    "wrong",
    [{"width": -1}, {"width": "9"}, {"dates": [{"local": "x", "source": "xmp"}]}, {"rating": None, "more": 1},
     {"dates": [{"local": "2003-07-04T10:11:12", "source": "moon"}]}, {"position": {"latitude": 1}}, {"keywords": 5}],
)  # fmt: skip
def test_from_json_refuses_what_no_reader_gives(wrong):
    with pytest.raises((ValueError, TypeError, KeyError)):
        PhotoMetadata.from_json({**json.loads(json.dumps(PhotoMetadata().to_json())), **wrong})


LONG = "A very long name of a photo that some camera gave it.jpg"


@pytest.mark.parametrize(
    ("photo", "beside"),
    [
        ("a.jpg", "a.jpg.xmp"), ("a.jpg", "a.jpg.XMP"), ("a.JPG", "a.jpg.xmp"), ("a.jpg", "a.xmp"), ("a.jpg", "a.XMP"),
        ("a.jpg", "a.jpg.json"), ("a.JPG", "a.JPG.JSON"), ("a.jpg", "a.jpg.supplemental-metadata.json"),
        ("a.jpg", "a.jpg.supplemental-meta.json"), ("a.jpg", "a.jpg.s.json"), ("a.jpg", "a.jpg..json"),
        ("a(1).jpg", "a.jpg(1).json"), ("a(1).jpg", "a(1).jpg.json"),
        ("a(1).jpg", "a.jpg.supplemental-metadata(1).json"),
        ("a-edited.jpg", "a.jpg.json"), ("a-edited(1).jpg", "a.jpg(1).json"), ("a.jpg", "a.json"),
        (LONG, LONG[:46] + ".json"), (LONG, LONG + ".xmp"), (LONG[:41] + ".jpg", LONG[:41] + ".jpg..json"),
    ],
)  # fmt: skip
def test_match_sidecars_finds_every_name(photo, beside):
    assert match_sidecars([photo, "b.jpg"], [beside, "b.txt"]) == {photo: (beside,)}


@pytest.mark.parametrize(
    ("photos", "others", "found"),
    [
        (["a.jpg", "a.png"], ["a.xmp"], {}),
        (["a.jpg", "a.cr2"], ["a.xmp"], {"a.cr2": ("a.xmp",)}),
        (["a.jpg"], ["a.xmp", "a.NEF"], {"a.NEF": ("a.xmp",)}),  # a raw file that is not read here
        (["a.heic"], ["a.mov", "a.xmp"], {"a.heic": ("a.xmp",)}),
        (["a.jpg"], ["a.jpg.xmp", "a.xmp", "a.jpg.json"], {"a.jpg": ("a.jpg.xmp", "a.xmp", "a.jpg.json")}),
        (["a.jpg"], ["a.mp4", "a.mp4.json"], {"a.mp4": ("a.mp4.json",)}),
        (["a.jpg", "a(1).jpg"], ["a.jpg.json", "a.jpg(1).json"],
         {"a.jpg": ("a.jpg.json",), "a(1).jpg": ("a.jpg(1).json",)}),
        (["a.JPG", "a.jpg"], ["a.jpg.xmp", "a.JPG.xmp"], {"a.JPG": ("a.JPG.xmp",), "a.jpg": ("a.jpg.xmp",)}),
        (["a.jpg"], ["A.jpg.xmp", "b.json", "metadata.json"], {}),
    ],
)  # fmt: skip
def test_match_sidecars_gives_a_file_to_whom_it_belongs(photos, others, found):
    assert match_sidecars(photos, others) == found


def test_read_sidecars_takes_each_source_at_its_place():
    own = PhotoMetadata(title="own", caption=None)
    xmp = (b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
           b'xmlns:p="http://ns.adobe.com/photoshop/1.0/" p:Headline="side"/></rdf:RDF>')  # fmt: skip
    found = read_sidecars([("a.jpg.json", takeout()), ("a.XMP", xmp), ("b.xmp", b"<"), ("c.json", b"{}")], own)
    assert (found.title, found.caption, found.people) == ("side", "At the lake", ("Anna", "Ben"))
    assert read_sidecars([("b.xmp", b"<")], own) is own


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=60))
def test_readers_take_any_bytes_and_names(data, name):
    assert isinstance(read_iptc(b"\x1c\x02" + data), PhotoMetadata)
    read_picasa(b"[a]\n" + data)
    read_exif({0x010E: data, 0x9C9E: data, 0x4746: name}, {0x9286: data, 0x9003: name}, {2: data, 29: name})
    match_sidecars([name + ".jpg"], [name + ".json", name + "(1).json", name])
