"""A folder of bad input, made on the spot: `build(folder, files)` writes about `files` of them, the same for a seed.

Each format whole, cut short and with bytes flipped; files that lie about themselves; bombs; names and folders that
nobody expects. Not random garbage alone: each special case is one that ended somebody's run somewhere.
"""

import contextlib
import io
import os
import random
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin

SEED = 20261123
SIDE = 48  # pixels: decoding costs next to nothing, and every part of a format is there
FORMATS = {
    "jpg": {"format": "JPEG", "quality": 90},
    "progressive.jpg": {"format": "JPEG", "quality": 80, "progressive": True},
    "gray.jpg": {"format": "JPEG", "mode": "L"},
    "cmyk.jpg": {"format": "JPEG", "mode": "CMYK"},
    "png": {"format": "PNG"},
    "palette.png": {"format": "PNG", "mode": "P"},
    "rgba.png": {"format": "PNG", "mode": "RGBA"},
    "bits16.png": {"format": "PNG", "mode": "I;16"},
    "webp": {"format": "WEBP"},
    "lossless.webp": {"format": "WEBP", "lossless": True},
    "gif": {"format": "GIF", "mode": "P"},
    "lzw.tif": {"format": "TIFF", "compression": "tiff_lzw"},
    "deflate.tif": {"format": "TIFF", "compression": "tiff_adobe_deflate"},
    "jpeg.tif": {"format": "TIFF", "compression": "jpeg"},
    "bmp": {"format": "BMP"},
    "avif": {"format": "AVIF"},
    "heic": {"format": "HEIF"},
}
DATES = {
    "february_31": "2024:02:31 10:00:00",
    "hour_99": "2024:01:01 99:99:99",
    "zeros": "0000:00:00 00:00:00",
    "arabic": "٢٠٢٤:٠١:٠١ ١٠:٠٠:٠٠",
    "long": "2024" * 9000,
    "future": "9999:12:31 23:59:59",
    "nul": "2024\0:01",
}


def build(folder: Path, files: int) -> int:
    """Write the corpus -> the number of files in it."""
    rng = random.Random(SEED)
    pillow_heif.register_heif_opener()
    whole = {name: encode(rng, **how) for name, how in FORMATS.items()}
    special = dict(special_files(rng))
    for name, data in {**{f"whole/whole.{n}": d for n, d in whole.items()}, **special}.items():
        write(folder / name, data)
    n = len(whole) + len(special)
    for i in range(files - n):
        name, data = list(whole.items())[i % len(whole)]
        how, broken = ("cut", cut(rng, data)) if i // len(whole) % 2 else ("flipped", flip(rng, data))
        write(folder / how / f"{i:05}.{name}", broken)
    return max(n, files) + odd_names(folder / "names", whole["png"]) + odd_kinds(folder / "kinds", whole["png"])


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def picture(rng: random.Random, mode: str = "RGB", size: tuple[int, int] = (SIDE, SIDE - 8)) -> Image.Image:
    noise = np.frombuffer(rng.randbytes(size[0] * size[1] * 3), np.uint8).reshape(size[1], size[0], 3) // 4
    image = Image.fromarray(noise + np.linspace(0, 190, size[0], dtype=np.uint8)[None, :, None])
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257)
    return image.convert(mode)


def encode(rng: random.Random, *, mode: str = "RGB", size: tuple[int, int] = (SIDE, SIDE - 8), **how: object) -> bytes:
    file = io.BytesIO()
    picture(rng, mode, size).save(file, **how)
    return file.getvalue()


def cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def flip(rng: random.Random, data: bytes) -> bytes:
    """1 to 20 bytes made others, most of them near the front, where the headers stand."""
    broken = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 20])):
        end = len(broken) if rng.random() < 0.4 else min(400, len(broken))
        broken[rng.randrange(end)] = rng.randrange(256)
    return bytes(broken)


def special_files(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    jpeg, png, tiff, heic = (encode(rng, format=f) for f in ("JPEG", "PNG", "TIFF", "HEIF"))
    yield "special/empty.jpg", b""
    yield "special/one_byte.png", b"\x89"
    yield "special/text.jpg", b"I am not a photo.\n" * 50
    yield "special/html.heic", b"<!doctype html><title>404</title>"
    yield "special/jpeg_named.png", jpeg
    yield "special/png_named.heic", png
    yield "special/postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    yield "special/svg.png", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://example.com/"/></svg>'
    yield "special/pickle.tif", b"\x80\x04cos\nsystem\n(S'true'\ntR."
    yield "special/ycck.jpg", ycck(rng)
    yield "special/one_pixel.png", encode(rng, format="PNG", size=(1, 1))
    yield "special/tall.png", encode(rng, format="PNG", size=(1, 60_000))
    yield "special/wide.jpg", encode(rng, format="JPEG", size=(60_000, 1))
    yield "special/bilevel.tif", encode(rng, format="TIFF", mode="1", compression="group4")
    yield "special/float.tif", encode(rng, format="TIFF", mode="F")
    yield "special/nan.tif", saved(Image.fromarray(np.full((20, 20), np.nan, np.float32)), "TIFF")
    yield "special/lab.tif", encode(rng, format="TIFF", mode="LAB")
    yield "special/int32.tif", encode(rng, format="TIFF", mode="I")
    yield "special/gray_alpha.png", encode(rng, format="PNG", mode="LA")
    yield "special/jpeg_with_rubbish_behind.jpg", jpeg + rng.randbytes(5000)
    frames = [picture(rng) for _ in range(4)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF", "AVIF"):
        yield f"special/animated.{kind.lower()}", saved(frames[0], kind, save_all=True, append_images=frames[1:])
    yield "bombs/deep.png", bomb_png(30_000, 30_000)
    yield "bombs/claims_all_there_is.png", bomb_png(2**31 - 1, 2**31 - 1)
    yield "bombs/zero_wide.png", bomb_png(0, 100)
    yield "bombs/huge.gif", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0\0\0\0\xff\xff\xff" + b"\x2c" * 30
    yield "bombs/huge.bmp", b"BM" + struct.pack("<IHHIIiiHH", 100, 0, 0, 54, 40, 50_000, 50_000, 1, 24) + bytes(74)
    yield "bombs/huge.jpg", jpeg.replace(struct.pack(">HH", SIDE - 8, SIDE), struct.pack(">HH", 65500, 65500), 1)
    yield "bombs/text.png", saved(picture(rng), "PNG", pnginfo=text_chunk("a" * 80_000_000, zipped=True))
    yield "bombs/many_texts.png", saved(picture(rng), "PNG", pnginfo=many_texts(5000))
    yield "bombs/icc_of_10_MB.png", saved(picture(rng), "PNG", icc_profile=bytes(10_000_000))
    yield "tiff/loop.tif", tiff_loop()
    yield "tiff/offset_beyond_the_end.tif", b"II*\0" + struct.pack("<I", 2**31)
    yield "tiff/directory_of_65535.tif", b"II*\0\x08\0\0\0\xff\xff" + bytes(500)
    huge = {256: 2**31, 257: 2**31, 258: 8, 262: 1, 273: 8, 279: 9}
    yield "tiff/huge.tif", tiff_fields(huge)
    yield "tiff/strips_of_4_GB.tif", tiff_fields({**huge, 256: 4, 257: 4, 278: 2**32 - 1, 279: 2**32 - 1})
    yield (
        "tiff/tiles_of_4_GB.tif",
        tiff_fields({256: 4, 257: 4, 258: 8, 262: 1, 322: 65520, 323: 65520, 324: 8, 325: 9}),
    )
    yield "tiff/flipped_tags.tif", tiff[:-200] + flip(rng, tiff[-200:])
    yield "heif/half.heic", heic[: len(heic) // 2]
    yield "heif/only_its_first_box.heic", heic[:40]
    yield "heif/box_of_4_GB.heic", b"\xff\xff\xff\xff" + heic[4:]
    yield "heif/box_of_no_length.heic", heic[:24] + bytes(4) + heic[28:]
    yield "heif/unknown_brand.heif", heic[:8] + b"evil" + heic[12:]
    for i in range(12):
        yield f"exif/flipped_{i:02}.jpg", saved(picture(rng), "JPEG", exif=b"Exif\0\0" + flip(rng, exif_block())[6:])
    for orientation in range(10):
        yield f"exif/orientation_{orientation}.jpg", saved(picture(rng), "JPEG", exif=exif_block(orientation))
    for name, date in DATES.items():
        yield f"exif/date_{name}.jpg", saved(picture(rng), "JPEG", exif=exif_block(1, date))
    yield "exif/orientation_is_text.jpg", saved(picture(rng), "JPEG", exif=exif_block("six"))
    yield "exif/rubbish.jpg", saved(picture(rng), "JPEG", exif=b"Exif\0\0" + rng.randbytes(2000))
    yield "exif/rubbish.png", saved(picture(rng), "PNG", exif=rng.randbytes(2000))
    yield "exif/rubbish.webp", saved(picture(rng), "WEBP", exif=rng.randbytes(2000))
    yield "icc/rubbish.jpg", saved(picture(rng), "JPEG", icc_profile=rng.randbytes(3000))
    yield "icc/rubbish.png", saved(picture(rng), "PNG", icc_profile=rng.randbytes(3000))
    yield "icc/of_many_parts.jpg", saved(picture(rng), "JPEG", icc_profile=rng.randbytes(500_000))


def saved(image: Image.Image, kind: str, **how: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **how)
    return file.getvalue()


def ycck(rng: random.Random) -> bytes:
    """A CMYK JPEG whose Adobe marker says that its first three colours are YCbCr."""
    data = encode(rng, format="JPEG", mode="CMYK")
    adobe = data.index(b"Adobe")
    return data[: adobe + 11] + b"\x02" + data[adobe + 12 :]


def exif_block(orientation: int | str = 6, date: str = "2019:07:20 12:34:56") -> bytes:
    """Written by hand: Pillow writes no lies."""
    text = date.encode() + b"\0"
    if isinstance(orientation, int):
        value = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    else:
        value = struct.pack("<HHI4s", 0x0112, 2, 4, orientation.encode())
    behind = 8 + 2 + 2 * 12 + 4
    directory = struct.pack("<H", 2) + value + struct.pack("<HHII", 0x0132, 2, len(text), behind) + bytes(4)
    return b"Exif\0\0II*\0\x08\0\0\0" + directory + text


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb_png(width: int, height: int) -> bytes:
    rows = zlib.compress(bytes(2_000_000), 9)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def text_chunk(text: str, *, zipped: bool) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", text, zip=zipped)
    return info


def many_texts(n: int) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for i in range(n):
        info.add_text(f"key{i}", "a" * 900_000 if i < 100 else "b", zip=True)
    return info


def tiff_fields(fields: dict[int, int], after: int = 0) -> bytes:
    """fields: tag -> value, all as LONG. after: where the next directory stands."""
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(fields)) + body + struct.pack("<I", after) + bytes(64)


def tiff_loop() -> bytes:
    """One grey 4x4 picture whose next directory, and whose sub-directory, is itself."""
    fields = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 278: 4, 279: 16, 330: 8, 34665: 8}
    return tiff_fields(fields, after=8).ljust(200, b"\0") + bytes(range(0, 160, 10))


NAMES = [
    *(
        b"new\nline",
        b"quote'",
        b'quote"',
        b"a[b]",
        b"[red]x[bold]",
        b"-rf",
        b"--help",
        b" ",
        b"%s%n%d",
        b"$(id)",
        b"`id`",
    ),
    *(b"a;b", b"a|b", b"*", b"~", b"tab\t", b"esc\x1b[2J", b"bell\x07", b"cr\r", b"\\", b"a,b", b"null", b"x" * 251),
    *(b"not\xff\xfeutf8", b"\xc3\x28"),
    *map(str.encode, ("שלום", "🦜🦜", "\u202egnp.exe", "é", "e\u0301")),
]


def odd_names(folder: Path, data: bytes) -> int:
    """Files, and folders, with names that some program has tripped over."""
    for i, name in enumerate(map(os.fsdecode, NAMES)):
        write(folder / f"{name}.png", data + bytes([i]))
        write(folder / f"in {name[:200]}" / "x.PNG", data + bytes([i, 1]))
    deep = folder / "deep"
    while len(str(deep)) < 1500:
        deep = deep / ("d" * 100)
    write(deep / "x.png", data + b"deep")
    return 2 * len(NAMES) + 1


def odd_kinds(folder: Path, data: bytes) -> int:
    """What is no plain file, though its name says so -> the number of plain files among them."""
    write(folder / "target.png", data + b"target")
    (folder / "dangling.png").symlink_to("nowhere.png")
    (folder / "link.png").symlink_to("target.png")
    (folder / "itself.png").symlink_to("itself.png")
    (folder / "loop").symlink_to(folder)
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    with contextlib.suppress(PermissionError):
        os.mknod(folder / "zero.png", 0o20666, os.makedev(1, 5))
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as one, contextlib.chdir(folder):  # its path must be short
        one.bind("socket.png")
    with open(folder / "terabyte.png", "wb") as file:  # a hole, all of it
        file.truncate(2**40)
    with open(folder / "half_gigabyte.png", "wb") as file:
        file.truncate(2**29)
    return 3
