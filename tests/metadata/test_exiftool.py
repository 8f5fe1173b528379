"""Against exiftool: it writes tags in every format, and both read the same."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from photosearch.metadata.dates import choose_date
from photosearch.metadata.record import PhotoMetadata
from photosearch.metadata.sidecars import read_sidecars
from photosearch.photos import decode
from photosearch.photos.decode import Unreadable

pytestmark = pytest.mark.skipif(shutil.which("exiftool") is None, reason="no exiftool here")

EXIF = ["-EXIF:ImageDescription=Am Lübecker See", "-EXIF:Make=Canon", "-EXIF:Model=EOS R5", "-EXIF:LensModel=RF 50mm",
        "-EXIF:DateTimeOriginal=2003:07:04 10:11:12", "-EXIF:OffsetTimeOriginal=+02:00", "-EXIF:XPTitle=Der See",
        "-EXIF:XPKeywords=robin;Vogel", "-EXIF:Rating=4", "-EXIF:GPSLatitude=41.15", "-EXIF:GPSLatitudeRef=N",
        "-EXIF:GPSLongitude=8.625", "-EXIF:GPSLongitudeRef=W", "-EXIF:GPSAltitude=12.5"]  # fmt: skip
XMP = ["-XMP-dc:Subject=robin", "-XMP-dc:Subject=Vögel", "-XMP-lr:HierarchicalSubject=animal|bird", "-XMP-xmp:Rating=5",
       "-XMP-digiKam:TagsList=places/Porto", "-XMP-microsoft:LastKeywordXMP=animal/heron", "-XMP-dc:Title=The lake",
       "-XMP-dc:Description=Two lines", "-XMP-photoshop:City=Porto", "-XMP-photoshop:State=Norte",
       "-XMP-photoshop:Country=Portugal", "-XMP-iptcExt:PersonInImage=Anna",
       "-RegionInfo={AppliedToDimensions={W=9,H=9},RegionList=[{Area={X=0.5,Y=0.5,W=0.1,H=0.1},Name=Ben,Type=Face}]}",
       "-RegionInfoMP={Regions=[{PersonDisplayName=Cleo}]}", "-XMP-exif:DateTimeOriginal=2001:02:03 04:05:06",
       "-XMP-exif:GPSLatitude=-33.9", "-XMP-exif:GPSLongitude=18.4", "-XMP-tiff:Make=Nikon", "-XMP-aux:Lens=35mm",
       "-XMP-mwg-kw:KeywordInfo={Hierarchy=[{Keyword=season,Children=[{Keyword=winter}]}]}",
       "-XMP-acdsee:Categories=<Categories><Category Assigned=\"1\">owl</Category></Categories>"]  # fmt: skip
IPTC = ["-CodedCharacterSet=UTF8", "-IPTC:Keywords=robin", "-IPTC:Keywords=Vögel", "-IPTC:ObjectName=The lake",
        "-IPTC:Caption-Abstract=Two lines", "-IPTC:City=Porto", "-IPTC:Province-State=Norte",
        "-IPTC:Country-PrimaryLocationName=Portugal", "-IPTC:DateCreated=2003:07:04",
        "-IPTC:TimeCreated=10:11:12+02:00"]  # fmt: skip


def write(path: Path, *arguments: str) -> None:
    if not path.exists() and path.suffix != ".xmp":
        Image.new("RGB", (12, 8)).save(path)
    command = ["exiftool", "-q", "-q", "-overwrite_original", "-charset", "utf8", *arguments, str(path)]
    subprocess.run(command, check=True, capture_output=True)


def ask(path: Path) -> dict[str, Any]:
    """What exiftool reads: group and tag -> a value, or a list."""
    run = subprocess.run(["exiftool", "-json", "-n", "-G0", "-struct", str(path)], capture_output=True, check=True)
    (found,) = json.loads(run.stdout)
    return found


def listed(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [] if value is None else [str(value)]


def read(path: Path) -> PhotoMetadata:
    return decode.read_metadata(str(path))


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_exif_agrees(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    write(path, *EXIF)
    his, ours = ask(path), read(path)
    assert (ours.make, ours.model, ours.lens) == (his["EXIF:Make"], his["EXIF:Model"], his["EXIF:LensModel"])
    assert (ours.caption, ours.title) == (his["EXIF:ImageDescription"], his["EXIF:XPTitle"])
    assert list(ours.keywords) == his["EXIF:XPKeywords"].split(";")
    assert (ours.rating, ours.width, ours.height) == (his["EXIF:Rating"], 12, 8)
    assert ours.position is not None
    assert ours.position.latitude == pytest.approx(his["EXIF:GPSLatitude"])
    assert ours.position.longitude == pytest.approx(-his["EXIF:GPSLongitude"])
    assert ours.position.altitude == his["EXIF:GPSAltitude"]
    date = choose_date(ours.dates)
    assert date is not None
    assert date.local.replace("T", " ").replace("-", ":") == his["EXIF:DateTimeOriginal"]
    assert date.zone == his["EXIF:OffsetTimeOriginal"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "xmp"])
def test_xmp_agrees(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    write(path, *XMP)
    his = ask(path)
    ours = read_sidecars([("a.xmp", path.read_bytes())], PhotoMetadata()) if suffix == "xmp" else read(path)
    flat = [*listed(his["XMP:Subject"]), "bird", "Porto", "heron", "winter", "owl"]
    assert sorted(ours.keywords) == sorted(flat)
    assert set(ours.paths) == {"animal|bird", "places|Porto", "animal|heron", "season|winter"}
    for name, tag in (("title", "Title"), ("caption", "Description"), ("city", "City"), ("state", "State"),
                      ("country", "Country"), ("make", "Make"), ("lens", "Lens"), ("rating", "Rating")):  # fmt: skip
        assert getattr(ours, name) == his[f"XMP:{tag}"], name
    regions = [region["Name"] for region in his["XMP:RegionInfo"]["RegionList"]]
    microsoft = [region["PersonDisplayName"] for region in his["XMP:RegionInfoMP"]["Regions"]]
    assert list(ours.people) == [*listed(his["XMP:PersonInImage"]), *regions, *microsoft]
    assert ours.position is not None
    assert (ours.position.latitude, ours.position.longitude) == pytest.approx(
        (his["XMP:GPSLatitude"], his["XMP:GPSLongitude"])
    )
    assert ours.dates[0].local.replace("T", " ").replace("-", ":") == his["XMP:DateTimeOriginal"]


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_iptc_agrees(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    write(path, *IPTC)
    his, ours = ask(path), read(path)
    assert list(ours.keywords) == listed(his["IPTC:Keywords"])
    for name, tag in (("title", "ObjectName"), ("caption", "Caption-Abstract"), ("city", "City"),
                      ("state", "Province-State"), ("country", "Country-PrimaryLocationName")):  # fmt: skip
        assert getattr(ours, name) == his[f"IPTC:{tag}"], name
    assert (ours.dates[0].local, ours.dates[0].zone) == ("2003-07-04T10:11:12", "+02:00")
    assert his["IPTC:TimeCreated"] == "10:11:12+02:00"


def test_read_metadata_reads_raw_containers(tmp_path):
    path = tmp_path / "a.dng"
    Image.new("RGB", (12, 8)).save(path, format="TIFF", tiffinfo={254: 1})  # first a preview, as in a DNG
    write(path, *EXIF[:4], *XMP[:2])
    ours = read(path)
    assert (ours.make, ours.lens, ours.caption, ours.keywords) == (
        "Canon",
        "RF 50mm",
        "Am Lübecker See",
        ("robin", "Vögel"),
    )


@pytest.mark.slow
def test_xmp_in_raw_profile_of_png_agrees(tmp_path):
    """As ImageMagick writes it."""
    write_xmp = tmp_path / "a.xmp"
    write(write_xmp, *XMP)
    packet, texts = write_xmp.read_bytes(), PngInfo()
    texts.add_text("Raw profile type xmp", f"\nxmp\n{len(packet):8}\n{packet.hex()}\n", zip=True)
    path = tmp_path / "a.png"
    Image.new("RGB", (12, 8)).save(path, pnginfo=texts)
    his, ours = ask(path), read(path)
    assert ours.caption == his["XMP:Description"]
    assert set(listed(his["XMP:Subject"])) < set(ours.keywords)


CAMERAS_OWN = ("digital camera", "digital still camera", "dcf 1.0")  # captions that say nothing, and are left out


def fold(text: object) -> str | None:
    return " ".join(str(text).split()).casefold() or None if text is not None else None


def test_photos_of_others_agree(data):
    """Make, rating, keywords and caption of each readable photo; PHOTOSEARCH_SUITES adds a folder of them."""
    folders = [
        str(data("exif-orientation") / "exif-orientation"),
        *filter(None, [os.environ.get("PHOTOSEARCH_SUITES")]),
    ]
    command = ["exiftool", "-q", "-json", "-n", "-G0", "-struct", "-r", *folders]
    photos = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)
    compared = 0
    for his in photos:
        try:
            ours = read(Path(his["SourceFile"]))
        except Unreadable:
            continue
        compared += 1
        where = his["SourceFile"]
        assert fold(ours.make) == fold(his.get("XMP:Make", his.get("EXIF:Make"))), where
        assert ours.rating == (his.get("XMP:Rating", his.get("EXIF:Rating")) or None), where
        tagged = {fold(word) for tag in ("XMP:Subject", "IPTC:Keywords") for word in listed(his.get(tag))}
        assert set(map(fold, ours.keywords)) == tagged | set(
            map(fold, filter(None, his.get("EXIF:XPKeywords", "").split(";")))
        ), where
        caption = fold(
            his.get("XMP:Description") or his.get("IPTC:Caption-Abstract") or his.get("EXIF:ImageDescription")
        )
        if caption is not None and not caption.endswith(CAMERAS_OWN):
            assert fold(ours.caption) == caption, where
    assert compared >= 18
