"""When a photo was taken: every source, in their order, and every spelling."""

import pytest
from pictures import WRITTEN, encoded, scene
from PIL import Image, PngImagePlugin, TiffImagePlugin

from photosearch.metadata.dates import Taken, choose_date, date_in_name, read_date
from photosearch.photos.decode import ViewSpec, decode

DAY = {"original": "2011", "xmp": "2013", "iptc": "2014", "digitized": "2012", "date": "2015"}  # of each, to tell by
FROM = {"original": "DateTimeOriginal", "digitized": "DateTimeDigitized", "xmp": "xmp", "iptc": "iptc",
        "date": "DateTime"}  # fmt: skip


def block(*names: str, first_ifd: bool = False) -> bytes:
    """EXIF with these dates; first_ifd: all in the first directory, where they don't belong."""
    exif = Image.Exif()
    for name, tag in (("original", 0x9003), ("digitized", 0x9004), ("date", 0x0132)):
        if name in names:
            inside = exif if first_ifd or name == "date" else exif.get_ifd(0x8769)
            inside[tag] = f"{DAY[name]}:07:20 11:22:33"
    return exif.tobytes()


def xmp(**fields: str) -> bytes:
    return packet("", " ".join(f'{k.replace("_", ":")}="{v}"' for k, v in fields.items()))


def packet(inside: str, attributes: str = "") -> bytes:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" '
        'xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        f"{attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


XMP = xmp(exif_DateTimeOriginal="2013-07-20T11:22:33.45+02:00")
IPTC = b"\x1c\x02\x37\x00\x0820140720" + b"\x1c\x02\x3c\x00\x0b112233+0200"
PHOTOSHOP = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + len(IPTC).to_bytes(4, "big") + IPTC + b"\0" * (len(IPTC) % 2)


def jpeg(*names: str, first_ifd: bool = False) -> bytes:
    data = encoded(
        scene(), format="JPEG", exif=block(*names, first_ifd=first_ifd), **({"xmp": XMP} if "xmp" in names else {})
    )
    if "iptc" in names:
        data = data[:2] + b"\xff\xed" + (len(PHOTOSHOP) + 2).to_bytes(2, "big") + PHOTOSHOP + data[2:]
    return data


def taken(data: bytes) -> tuple[str | None, str | None]:
    opened = decode(data, [ViewSpec(8)])
    return opened.taken, opened.taken_from


@pytest.mark.parametrize("first_ifd", [False, True])
def test_find_taken_prefers_best_source_that_has_a_date(first_ifd):
    names = list(DAY)
    for i, name in enumerate(names):
        assert taken(jpeg(*names[i:], first_ifd=first_ifd)) == (f"{DAY[name]}-07-20T11:22:33", FROM[name])
        assert taken(jpeg(name, first_ifd=first_ifd)) == (f"{DAY[name]}-07-20T11:22:33", FROM[name])
    assert taken(jpeg()) == (None, None)


def test_find_taken_reads_position_date_where_there_is_no_other():
    exif = Image.Exif()
    exif.get_ifd(0x8825)[29] = "2019:02:03"
    exif.get_ifd(0x8825)[7] = (10.0, 11.0, 12.0)
    assert taken(encoded(scene(), format="JPEG", exif=exif)) == ("2019-02-03T10:11:12", "gps")
    exif[0x0132] = "2019:02:03 12:11:12"
    assert taken(encoded(scene(), format="JPEG", exif=exif)) == ("2019-02-03T12:11:12", "DateTime")


def test_find_taken_prefers_made_to_scanned():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9004] = "2015:05:05 09:00:00"
    data = encoded(scene(), format="JPEG", exif=exif, xmp=xmp(photoshop_DateCreated="1985"))
    assert taken(data) == ("1985-01-01T00:00:00", "xmp")


def test_find_taken_reads_packet_that_is_cut_or_lacks_namespaces():
    bare = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description exif:DateTimeOriginal="2013-07-20"/><rdf'
    assert taken(encoded(scene(), format="JPEG", xmp=bare)) == ("2013-07-20T00:00:00", "xmp")


def test_find_taken_skips_source_with_zeros_or_blanks():
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    exif.get_ifd(0x8769)[0x9004] = "    :  :     :  :  "
    exif[0x9003] = "2024:01:02 03:04:05"
    assert taken(encoded(scene(), format="JPEG", exif=exif)) == ("2024-01-02T03:04:05", "DateTimeOriginal")
    del exif[0x9003]
    assert taken(encoded(scene(), format="JPEG", exif=exif)) == (None, None)
    exif[0x0132] = "2024:01:02 03:04:05"
    assert taken(encoded(scene(), format="JPEG", exif=exif)) == ("2024-01-02T03:04:05", "DateTime")


def test_find_taken_skips_broken_ifd():
    exif = block("original", "date")
    broken = exif.replace(b"\x87\x69\x00\x04\x00\x00\x00\x01\x00\x00", b"\x87\x69\x00\x04\x00\x00\x00\x01\xff\xff")
    assert broken != exif
    assert taken(encoded(scene(), format="JPEG", exif=broken)) == ("2015-07-20T11:22:33", "DateTime")


@pytest.mark.parametrize("name", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_find_taken_reads_exif_in_every_format(name):
    for field in ("original", "digitized", "date"):
        data = encoded(scene(), **WRITTEN[name], exif=block(field))
        assert taken(data) == (f"{DAY[field]}-07-20T11:22:33", FROM[field])
    assert taken(encoded(scene(), **WRITTEN[name])) == (None, None)


@pytest.mark.parametrize("name", ["jpg", "png", "webp", "tif", "avif", "heic"])
def test_find_taken_reads_xmp_in_every_format(name):
    how = dict(WRITTEN[name])
    if name == "png":
        how["pnginfo"] = PngImagePlugin.PngInfo()
        how["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP.decode())
    elif name == "tif":
        how["tiffinfo"] = TiffImagePlugin.ImageFileDirectory_v2()
        how["tiffinfo"][700] = XMP
    else:
        how["xmp"] = XMP
    assert taken(encoded(scene(), **how)) == ("2013-07-20T11:22:33", "xmp")


def test_find_taken_reads_exif_after_pixels_of_png():
    data = encoded(scene(), format="PNG", exif=block("original"))
    at = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[at : at + 4], "big")
    behind = data[:at] + data[at + length : -12] + data[at : at + length] + data[-12:]
    assert behind.index(b"eXIf") > behind.index(b"IDAT")
    assert taken(behind) == ("2011-07-20T11:22:33", "DateTimeOriginal")


def test_find_taken_reads_xmp_attributes_and_elements_in_order():
    fields = {"xmp_CreateDate": "2003-01-01", "photoshop_DateCreated": "2002-01-01T10:00",
              "exif_DateTimeOriginal": "2001-01-01T10:11:12Z"}  # fmt: skip
    seen = []
    while fields:
        seen.append(taken(encoded(scene(), format="JPEG", xmp=xmp(**fields)))[0])
        fields.popitem()
    assert seen == ["2001-01-01T10:11:12", "2002-01-01T10:00:00", "2003-01-01T00:00:00"]
    element = packet("<xmp:CreateDate>2003-01-01T10:11:12</xmp:CreateDate><xmp:ModifyDate>2009-01-01</xmp:ModifyDate>")
    assert taken(encoded(scene(), format="JPEG", xmp=element)) == ("2003-01-01T10:11:12", "xmp")
    assert taken(encoded(scene(), format="JPEG", xmp=xmp(xmp_ModifyDate="2009-01-01"))) == (None, None)


@pytest.mark.parametrize(
    ("written", "date"),
    [
        ("2003:07:04 10:11:12", "2003-07-04T10:11:12"),
        ("2003:07:04", "2003-07-04T00:00:00"),
        ("2003:07:04 10:00", "2003-07-04T10:00:00"),
        ("2003/07/04 10:11:12", "2003-07-04T10:11:12"),
        ("2003.07.04 10:11:12", "2003-07-04T10:11:12"),
        ("2003-07-04T10:11:12", "2003-07-04T10:11:12"),
        ("2003: 7: 4 10:11:12", "2003-07-04T10:11:12"),
        ("2003:7:4 9:05:07", "2003-07-04T09:05:07"),
        (" 2003:07:04 10:11:12", "2003-07-04T10:11:12"),
        ("2003:07:04 10:11:60", "2003-07-04T10:11:59"),
        ("2003:07:04 10:11:12.345", "2003-07-04T10:11:12"),
        ("2003:07:04 10:11:12+02:00", "2003-07-04T10:11:12"),
        ("2003-07-04T10:11:12.5Z", "2003-07-04T10:11:12"),
        ("2003:07:04   :  :  ", "2003-07-04T00:00:00"),
        ("2003: 7: 4 10: 5: 6", "2003-07-04T10:05:06"),
        ("2003:07:04 24:00:00", "2003-07-05T00:00:00"),
        ("2003:12:31 24:00:00", "2004-01-01T00:00:00"),
        ("2003:07:04 24:00:01", None),
        ("2003:07:04 10:11:12 PM", "2003-07-04T22:11:12"),
        ("2003/07/04 12:11:12 a.m.", "2003-07-04T00:11:12"),
        ("2003/07/04 12:11 pm", "2003-07-04T12:11:00"),
        ("2003/07/04 15:11 PM", "2003-07-04T15:11:00"),
        ("9999:12:31 24:00:00", None),
        (b"2003:07:04 10:11:12\0", "2003-07-04T10:11:12"),
        ("0000:00:00 00:00:00", None),
        ("    :  :     :  :  ", None),
        ("", None),
        (None, None),
        ((2003, 7, 4), None),
        ("2003", None),
        ("2003:07", None),
        ("2003:02:31 10:11:12", None),
        ("2003:07:04 99:11:12", None),
        ("0001:01:01 00:00:00", None),
        ("2003:07:041", None),
        ("٢٠٠٣:٠٧:٠٤ ١٠:١١:١٢", None),
        ("yesterday", None),
    ],
)
def test_read_date_accepts_every_spelling_and_rejects_zeros(written, date):
    read = read_date(written, "xmp")
    assert (read.local if read else None) == date


@pytest.mark.parametrize(
    ("written", "date", "known", "zone"),
    [
        ("2003:07:04 10:11:12", "2003-07-04T10:11:12", 19, None),
        ("2003-07-04T10:11:12.5Z", "2003-07-04T10:11:12", 19, "+00:00"),
        ("2003-07-04T10:11:12-0330", "2003-07-04T10:11:12", 19, "-03:30"),
        ("2003-07-04", "2003-07-04T00:00:00", 10, None),
        ("2003-07", "2003-07-01T00:00:00", 7, None),
        ("2003:07:00 00:00:00", "2003-07-01T00:00:00", 7, None),
        ("1985", "1985-01-01T00:00:00", 4, None),
        ("19850000", "1985-01-01T00:00:00", 4, None),
        ("1985-00-00", "1985-01-01T00:00:00", 4, None),
        ("1985 or so", None, 0, None),
        ("0000-07", None, 0, None),
        ("1985-13", None, 0, None),
    ],
)
def test_read_date_keeps_zone_and_what_is_known(written, date, known, zone):
    read = read_date(written, "xmp", partial=True)
    assert read == (None if date is None else Taken(date, "xmp", zone, known))


def test_choose_date_refines_partial_dates_and_utc():
    scan, year = (
        Taken("2015-05-05T09:00:00", "DateTimeDigitized", made=False),
        Taken("1985-01-01T00:00:00", "xmp", None, 4),
    )
    day, time = Taken("2003-07-04T00:00:00", "iptc", None, 10), Taken("2003-07-04T10:11:12", "DateTime", made=False)
    google, camera = Taken("2019-02-03T01:11:12", "takeout", "+00:00"), Taken("2019-02-02T17:11:12", "DateTimeOriginal")
    gps = Taken("2019-02-03T01:11:00", "gps", "+00:00", made=False)
    for dates, name, best in (
        ([scan, year], "", year),
        ([time, day], "", time),
        ([scan, google], "", google),
        ([gps, google, camera], "", camera),
        ([gps], "", gps),
        ([gps, time], "", time),
        ([google], "IMG_20190202_171112.jpg", None),
        ([google], "IMG-20190203-WA0001.jpg", google),
        ([google], "IMG_20120101_101112.jpg", google),
        ([], "IMG_20190202_171112.jpg", None),
    ):
        assert choose_date(dates, name) == best


@pytest.mark.parametrize(
    ("name", "date"),
    [
        ("IMG_20190203_101112.jpg", "2019-02-03T10:11:12"),
        ("IMG_20190203_101112345.jpg", "2019-02-03T10:11:12"),
        ("PXL_20190203_101112345.MP.jpg", "2019-02-03T10:11:12"),
        ("IMG-20190203-WA0001.jpg", "2019-02-03T00:00:00"),
        ("20190203_101112(0).jpg", "2019-02-03T10:11:12"),
        ("20190203101112.jpg", "2019-02-03T10:11:12"),
        ("2019-02-03 10.11.12.jpg", "2019-02-03T10:11:12"),
        ("2019-02-03_10-11-12_HDR.jpg", "2019-02-03T10:11:12"),
        ("Screenshot_2019-02-03-10-11-12.png", "2019-02-03T10:11:12"),
        ("Screenshot 2019-02-03 at 10.11.12.png", "2019-02-03T10:11:12"),
        ("WhatsApp Image 2019-02-03 at 10.11.12.jpeg", "2019-02-03T10:11:12"),
        ("signal-2019-02-03-101112.jpg", "2019-02-03T10:11:12"),
        ("Screenshot 2019-02-03 at 3.11.12 PM.png", "2019-02-03T15:11:12"),
        ("Screen Shot 2019-02-03 at 12.11.12 AM.png", "2019-02-03T00:11:12"),
        ("Screenshot from 2019-02-03 10-11-12.png", "2019-02-03T10:11:12"),
        ("Screenshot_20190203-101112_Chrome.jpg", "2019-02-03T10:11:12"),
        ("Screenshot_2019-02-03-10-11-12-345_com.app.jpg", "2019-02-03T10:11:12"),
        ("Bildschirmfoto 2019-02-03 um 10.11.12.png", "2019-02-03T10:11:12"),
        ("Capture d’écran 2019-02-03 à 10.11.12.png", "2019-02-03T10:11:12"),
        ("Captura de pantalla 2019-02-03 a la(s) 10.11.12.png", "2019-02-03T10:11:12"),
        ("Schermata 2019-02-03 alle 10.11.12.png", "2019-02-03T10:11:12"),
        ("Skärmavbild 2019-02-03 kl. 10.11.12.png", "2019-02-03T10:11:12"),
        ("截屏2019-02-03 下午3.11.12.png", "2019-02-03T15:11:12"),
        ("2019-02-03 DSC_101112.jpg", "2019-02-03T00:00:00"),
        ("2019-02-03" + " at" * 90 + ".jpg", "2019-02-03T00:00:00"),
        ("WP_20190203_10_11_12_Pro.jpg", "2019-02-03T10:11:12"),
        ("photo 2019.02.03.jpg", "2019-02-03T00:00:00"),
        ("20190203_999999.jpg", "2019-02-03T00:00:00"),
        ("IMG_20191403.jpg", None),
        ("IMG_20190231_101112.jpg", None),
        ("DSC_20190.jpg", None),
        ("120190203.jpg", None),
        ("2019020311.jpg", None),
        ("18490203.jpg", None),
        ("IMG_19991231_235959.jpg", "1999-12-31T23:59:59"),
        ("19700101.jpg", "1970-01-01T00:00:00"),
        ("19691231.jpg", None),
        ("DSC01234.jpg", None),
        ("holiday 2019.jpg", None),
        ("2019-0203.jpg", None),
        ("00000000_20190203.jpg", "2019-02-03T00:00:00"),
    ],
)
def test_date_in_name_finds_dates_and_rejects_other_numbers(name, date):
    assert date_in_name(name) == date
