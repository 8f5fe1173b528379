"""Which words of a file's name were given by a person, not by a camera."""

import os
import re

# What cameras, phones and chat programs begin their names with, in lower case.
COUNTERS = frozenset(
    "img image imgp mvimg pxl dsc dscn dscf dscn dcim dji gopr gp gx sam sdc cimg pict pic photo picture vid mov wp wa "
    "mg psx fb received foto snap burst cover hdr pano edited copy".split()
)
MAX_CHARACTERS = 300

_TOKEN = re.compile(r"[^\W_]+")
_NUMBERED = re.compile(r"[a-z]{0,5}\d{3,}[a-z]{0,5}|[0-9a-f]*\d[0-9a-f]*", re.IGNORECASE)  # P1010001, a UUID's part


def words_in_name(name: str) -> str | None:
    """'IMG_1234 Anna\'s birthday.jpg' -> 'Anna s birthday'; None where no word is left, as of 'DSC_0001.JPG'."""
    stem = os.path.splitext(name[:MAX_CHARACTERS])[0].encode(errors="replace").decode()
    words = [
        token
        for token in _TOKEN.findall(stem)
        if token.lower() not in COUNTERS and not (_NUMBERED.fullmatch(token) and not _is_year(token))
    ]
    return " ".join(words) if any(len(word) > 2 or not word.isascii() for word in words if not word.isdigit()) else None


def _is_year(token: str) -> bool:
    return len(token) == 4 and token.isdigit() and "1826" <= token < "2100"
