"""Picasa's own file, one a folder: .picasa.ini, or Picasa.ini of old versions.

    [IMG_1.jpg]
    caption=At the lake
    keywords=lake,bird
    faces=rect64(3f845bcb59418507),8e62398ebda8c1a5;rect64(...),ffffffffffffffff
    [Contacts2]
    8e62398ebda8c1a5=Anna;;

Picasa writes captions and keywords of JPEGs into their IPTC block, and here for all other formats.
"""

import re
from collections import defaultdict
from collections.abc import Mapping

from photosearch.metadata.record import PhotoMetadata, clean_names, clean_text

NAMES = (".picasa.ini", "picasa.ini")  # in lower case
MAX_BYTES = 1 << 24

_FACE = re.compile(r"rect64\([0-9a-fA-F]{1,16}\),([0-9a-fA-F]{1,16})")


def read_picasa(data: bytes) -> dict[str, PhotoMetadata]:
    """File name -> what Picasa knows of it. Of more than MAX_BYTES, only the first are read."""
    sections: defaultdict[str, dict[str, str]] = defaultdict(dict)
    section = ""
    for line in data[:MAX_BYTES].decode("utf-8-sig", "replace").splitlines():
        if line.startswith("[") and line.rstrip().endswith("]"):
            section = line.strip()[1:-1]
        elif (parts := line.partition("="))[1] and section:
            sections[section].setdefault(parts[0].strip(), parts[2].strip())
    contacts = {key: name.partition(";")[0] for key, name in sections.pop("Contacts2", {}).items()}
    found = {name: _read_section(values, contacts) for name, values in sections.items()}
    return {name: record for name, record in found.items() if record != PhotoMetadata()}


def _read_section(values: Mapping[str, str], contacts: Mapping[str, str]) -> PhotoMetadata:
    faces = (found[1].lower() for found in _FACE.finditer(values.get("faces", "")))
    return PhotoMetadata(
        keywords=clean_names(values.get("keywords", "").split(",")), caption=clean_text(values.get("caption")),
        people=clean_names(contacts.get(face) for face in faces),
    )  # fmt: skip
