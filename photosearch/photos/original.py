"""A photo's own bytes, for a browser that shows it as large as it is. Only formats that browsers read, told by their
first bytes, and only while the content is what was indexed."""

from collections.abc import Iterable

from photosearch.photos.decode import Unreadable, content_hash, read

MAX_BYTES = 100_000_000
TYPES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png", b"GIF8": "image/gif"}


def read_original(paths: Iterable[str], wanted_hash: bytes) -> tuple[bytes, str]:
    """(bytes, media type) of the first of these photos that has this content. Raises Unreadable."""
    error = Unreadable("no longer in any indexed folder")
    for path in paths:
        try:
            data = read(path)
        except Unreadable as unreadable:
            error = unreadable
            continue
        if content_hash(data) != wanted_hash:
            error = Unreadable("the file was changed since it was indexed; run photosearch index")
            continue
        media_type = _find_type(data)
        if media_type is None or len(data) > MAX_BYTES:
            raise Unreadable("browsers can't show this file itself")
        return data, media_type
    raise error


def _find_type(data: bytes) -> str | None:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[4:12] in (b"ftypavif", b"ftypavis"):
        return "image/avif"
    return next((name for start, name in TYPES.items() if data.startswith(start)), None)
