"""No block, side-car or file beside a photo is read further than its bound, whatever it holds."""

import io
import json
import os
from pathlib import Path

import pytest
from PIL import Image
from test_sources import iptc, takeout
from test_xmp import bag, describe

from photosearch.metadata import iptc as iptcs
from photosearch.metadata import picasa, xmp
from photosearch.metadata import takeout as takeouts
from photosearch.metadata.record import MAX_NAME_CHARACTERS, MAX_TEXT_CHARACTERS, PhotoMetadata
from photosearch.metadata.sidecars import max_bytes, read_sidecar, read_sidecars
from photosearch.photos import blocks


def test_packet_is_searched_up_to_its_bound(monkeypatch):
    packet = describe(bag("dc:subject", "a"))
    data = b" " * 200 + packet
    assert xmp.read_packet(data).keywords == ("a",)
    monkeypatch.setattr(xmp, "MAX_PACKET_BYTES", 200)
    assert xmp.read_packet(data) == PhotoMetadata()


@pytest.mark.parametrize("bound", ["MAX_TAGS", "MAX_ATTRIBUTES"])
def test_packet_of_too_many_tags_says_nothing(monkeypatch, bound):
    """Of a packet that lacks its beginning, too: there the parser is given what was found."""
    packet = b"junk" + describe(bag("dc:subject", "a"), ' a="1" b="2" c="3"')
    assert xmp.read_packet(packet).keywords == ("a",)
    monkeypatch.setattr(xmp, bound, 3)
    assert xmp.read_packet(packet) == PhotoMetadata()


def test_iptc_is_read_up_to_its_bound(monkeypatch):
    block = iptc((2, 25, b"one"), (2, 25, b"two"), (2, 25, b"three"))
    assert iptcs.read_iptc(block).keywords == ("one", "two", "three")
    long = [(2, 25, b"x" * 30_000)] * (iptcs.MAX_BYTES // 30_000 + 1)
    assert "last" in iptcs.read_iptc(iptc((2, 25, b"last"), *long)).keywords
    assert "last" not in iptcs.read_iptc(iptc(*long, (2, 25, b"last"))).keywords
    assert iptcs.MAX_BYTES <= 4_000_000
    monkeypatch.setattr(iptcs, "MAX_BYTES", 16)
    assert iptcs.read_iptc(block).keywords == ("one", "two")


def test_resources_are_counted(monkeypatch):
    def resource(number: int, value: bytes) -> bytes:
        return b"8BIM" + number.to_bytes(2, "big") + b"\0\0" + len(value).to_bytes(4, "big") + value

    block = resource(1, b"") * 5 + resource(blocks.IPTC_RESOURCE, iptc((2, 25, b"one.")))
    assert blocks._find_iptc(block) is not None
    monkeypatch.setattr(blocks, "MAX_RESOURCES", 5)
    assert blocks._find_iptc(block) is None


def test_picasas_file_is_read_up_to_its_bound(monkeypatch):
    data = b"[a.jpg]\ncaption=one\n[b.jpg]\ncaption=two\n"
    assert set(picasa.read_picasa(data)) == {"a.jpg", "b.jpg"}
    monkeypatch.setattr(picasa, "MAX_BYTES", 20)
    assert set(picasa.read_picasa(data)) == {"a.jpg"}


def test_sidecar_that_is_too_long_adds_nothing(monkeypatch):
    own = PhotoMetadata(title="mine")
    for name, module, data in (("a.jpg.json", takeouts, takeout()), ("a.xmp", xmp, describe(bag("dc:subject", "a")))):
        assert read_sidecars([(name, data)], own) != own
        with monkeypatch.context() as patch:
            patch.setattr(module, "MAX_BYTES", len(data) - 1)
            assert read_sidecars([(name, data)], own) == own


@pytest.mark.parametrize("name", ["a.xmp", "a.json"])
def test_no_text_or_list_of_a_sidecar_is_kept_longer_than_bounded(name):
    long = "x" * 50_000
    if name == "a.xmp":
        alt = f"<dc:description><rdf:Alt><rdf:li xml:lang='x-default'>{long}</rdf:li></rdf:Alt></dc:description>"
        data = describe(bag("dc:subject", long) + alt)
    else:
        data = takeout(description=long, people=[{"name": long}])
    found = read_sidecar(name, data)
    assert len(found.caption) == MAX_TEXT_CHARACTERS
    assert all(len(text) <= MAX_NAME_CHARACTERS for text in (*found.keywords, *found.people))


def test_file_beside_a_photo_is_read_only_if_it_is_a_file_within_its_bound(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(b"x" * 100)
    assert blocks.read_file(str(tmp_path / "a.json"), 100) == b"x" * 100
    assert blocks.read_file(str(tmp_path / "a.json"), 99) is None
    os.mkfifo(tmp_path / "pipe.json")  # which nobody writes to: reading would wait for ever
    assert [blocks.read_file(str(tmp_path / name), 100) for name in ("pipe.json", "none.json", "")] == [None] * 3
    assert (max_bytes("A.XMP"), max_bytes("a.json")) == (xmp.MAX_BYTES, takeouts.MAX_BYTES)


def test_exif_of_any_length_costs_no_photo():
    exif = Image.Exif()
    exif[0x010E] = "x" * 60_000  # ImageDescription
    exif[0x9C9B] = "y".encode("utf-16-le") * 2_000  # Windows' title
    image = io.BytesIO()
    Image.new("RGB", (2, 2)).save(image, "PNG", exif=exif)
    with Image.open(image) as opened:
        found = blocks.read_metadata(opened.getexif(), opened.info)
    assert len(found.caption or "") <= MAX_TEXT_CHARACTERS
    assert len(found.title or "") <= MAX_NAME_CHARACTERS
    assert len(json.dumps(found.to_json())) < 2 * MAX_TEXT_CHARACTERS
