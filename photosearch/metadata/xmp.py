"""XMP sidecars: .xmp files in which other programs store a photo's keywords and rating. Bytes in, bytes out.

Who uses which file:
- darktable reads and writes photo.jpg.xmp, for every format (its manual, "sidecar files").
- digiKam does the same; with "Sidecar file names are compatible with commercial programs" it uses photo.xmp.
- Lightroom reads and writes photo.xmp, for raw files only: for JPEG, TIFF, PNG and DNG it reads the XMP packet in the
  photo itself, which photosearch never writes.
Keywords are a bag of names in dc:subject (XMP specification, part 1, ISO 16684-1, 8.3), and paths in a tree,
animal|bird|robin, in lr:hierarchicalSubject, which is Lightroom's and which the other two read as well.

An existing file is edited in place: only the bytes of these lists change; history, namespaces, comments and the order
of attributes stay byte for byte. The result is parsed again, and must differ in these lists alone. Keywords written by
this tool are also listed under photosearch:keywords, so that it can remove them later, and never one that a person
typed. Input is hostile: no document type, no entities, limited depth.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

MAX_BYTES = 1 << 25  # of a sidecar; masks and histories take megabytes
MAX_DEPTH = 200
PACKET_SCAN_BYTES = 1 << 21  # at the beginning of a photo, where its own packet is searched
RDF, DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
LR, XMP, PHOTOSEARCH = "http://ns.adobe.com/lightroom/1.0/", "http://ns.adobe.com/xap/1.0/", "urn:photosearch:1.0/"
LISTS = {f"{DC} subject": "dc:subject", f"{LR} hierarchicalSubject": "lr:hierarchicalSubject",
         f"{PHOTOSEARCH} keywords": "photosearch:keywords"}  # fmt: skip
SUBJECT, HIERARCHY, WRITTEN = LISTS
XML_LANG = "http://www.w3.org/XML/1998/namespace lang"
ARRAYS = (f"{RDF} Bag", f"{RDF} Seq")
TAG = re.compile(rb"""<(?:[^>"']|"[^"]*"|'[^']*')*>""")
EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="photosearch">\n'
    f' <rdf:RDF xmlns:rdf="{RDF}">\n'
    '  <rdf:Description rdf:about="">\n'
    "  </rdf:Description>\n"
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="w"?>\n'
).encode()


class UnreadableXmp(ValueError):
    """A sidecar that can't be parsed or safely edited. The message is the reason."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """keywords: each once. tree: their paths, animal|bird|robin. written: the keywords that this tool wrote.

    rating: 1 to 5, -1 for rejected, None for none or 0.
    """

    keywords: tuple[str, ...] = ()
    tree: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    rating: float | None = None


def sidecar_path(photo: str, *, short: bool = False) -> str:
    """photo.jpg.xmp; short: photo.xmp."""
    return (os.path.splitext(photo)[0] if short else photo) + ".xmp"


def read_xmp(data: bytes) -> Sidecar:
    """Raises UnreadableXmp."""
    parsed = _parse(data)
    lists = {name: tuple(dict.fromkeys(i.text for p in parsed.lists[name] for i in p.items)) for name in LISTS}
    return Sidecar(lists[SUBJECT], lists[HIERARCHY], lists[WRITTEN], parsed.rating)


def find_packet(data: bytes) -> bytes | None:
    """The XMP packet among a photo's first bytes, or None. The specification allows to scan for it."""
    first = data.find(b"<x:xmpmeta")
    last = data.find(b"</x:xmpmeta>", first)
    return None if first < 0 or last < 0 else data[first : last + len(b"</x:xmpmeta>")]


def write_xmp(
    data: bytes | None, wanted: Mapping[str, str], managed: Sequence[str]
) -> tuple[bytes, list[str], list[str]]:
    """-> (the new file, added keywords, removed keywords). The same bytes if nothing changes.

    data: the existing file, None for a new one. wanted: keyword -> its path in the tree. managed: keywords that are
    removed if they are not wanted and this tool wrote them. Raises UnreadableXmp.
    """
    before = _parse(EMPTY if data is None else data)
    sidecar = read_xmp(before.data)
    removed = [k for k in sidecar.written if k in managed and k not in wanted and k in sidecar.keywords]
    added = [k for k in wanted if k not in sidecar.keywords]
    new_paths = [path for path in wanted.values() if "|" in path and path not in sidecar.tree]
    if not removed and not added and not new_paths:
        return before.data, [], []
    old_paths = [path for path in sidecar.tree if path.rpartition("|")[2] in removed]
    no_longer_written = [k for k in sidecar.written if k in managed and k not in wanted]
    changes = [
        _edit_list(before, SUBJECT, added, removed),
        _edit_list(before, HIERARCHY, new_paths, old_paths),
        _edit_list(before, WRITTEN, [k for k in added if k not in sidecar.written], no_longer_written),
    ]
    edits = [edit for list_edits, _ in changes for edit in list_edits]
    if new_lists := b"".join(new_list for _, new_list in changes):
        edits.append(_insert_lists(before, new_lists))
    result = _apply(before.data, edits)
    if _parse(result).rest_hash != before.rest_hash:
        raise UnreadableXmp("its keywords can't be changed without changing more")
    return result, added, removed


# ---- reading


@dataclass(frozen=True, slots=True)
class _Item:
    """One rdf:li. start, end: its bytes."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class _List:
    """An element of LISTS. start, end: its bytes. array: its rdf:Bag or rdf:Seq, if it has one."""

    start: int
    end: int = 0
    array: tuple[int, int, int] | None = None  # start, start of its end tag, end
    items: list[_Item] = field(default_factory=list)


@dataclass(slots=True)
class _Parsed:
    """parent: of new lists, the first rdf:Description, else rdf:RDF: (start, start of its end tag), which are equal for
    a self-closing tag. rest_hash: of all but the lists.
    """

    data: bytes
    lists: dict[str, list[_List]] = field(default_factory=lambda: {name: [] for name in LISTS})
    rating: float | None = None
    parent: tuple[int, int] | None = None
    parent_is_description: bool = False
    rest_hash: bytes = b""


class _Reader:
    """One parse, by expat's handlers."""

    def __init__(self, data: bytes):
        self._result = _Parsed(data)
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = False
        self._path: list[tuple[str, int]] = []  # (name, start) of each open element
        self._list: _List | None = None  # that the parser is in
        self._text: list[str] = []
        self._rest_hash = hashlib.sha256()
        self._rdf: tuple[int, int] | None = None

    def parse(self) -> _Parsed:
        p = self._parser
        p.StartElementHandler, p.EndElementHandler, p.CharacterDataHandler = self._start, self._end, self._characters
        p.StartDoctypeDeclHandler, p.XmlDeclHandler = self._refuse, self._declare
        p.CommentHandler = lambda text: self._hash("comment", text)
        p.ProcessingInstructionHandler = lambda name, text: self._hash("instruction", name, text)
        try:
            p.Parse(self._result.data, True)
        except expat.ExpatError as error:
            raise UnreadableXmp(f"not XML: {expat.ErrorString(error.code)}, line {error.lineno}") from None
        if self._rdf is None:
            raise UnreadableXmp("not XMP: it has no rdf:RDF")
        if self._result.parent is None:
            self._result.parent = self._rdf
        self._result.rest_hash = self._rest_hash.digest()
        return self._result

    def _refuse(self, *_: object) -> None:
        raise UnreadableXmp("it has a document type, which no sidecar has")

    def _declare(self, version: str, encoding: str | None, standalone: int) -> None:
        if (encoding or "utf-8").casefold() not in ("utf-8", "us-ascii"):
            raise UnreadableXmp(f"it is written in {encoding}, not in UTF-8")

    def _hash(self, *parts: str) -> None:
        if self._list is None and any(part.strip() for part in parts):
            self._rest_hash.update(repr(parts).encode())

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        above = self._path[-1][0] if self._path else ""
        self._path.append((name, at))
        if len(self._path) > MAX_DEPTH:
            raise UnreadableXmp(f"it is more than {MAX_DEPTH} levels deep")
        if self._list is not None:
            self._start_in_list(name, above, at, attributes)
        elif name in LISTS and [part for part, _ in self._path[-3:-1]] == [f"{RDF} RDF", f"{RDF} Description"]:
            if attributes:
                raise UnreadableXmp(f"its {LISTS[name]} is not a plain list")
            self._list = _List(at)
            self._result.lists[name].append(self._list)
        else:
            if name == f"{RDF} Description" and above == f"{RDF} RDF":
                self._read_description(attributes)
            others = {key: value for key, value in attributes.items() if (key, value) != (f"{RDF} about", "")}
            if others or name != f"{RDF} Description":  # an empty description may be added or removed
                self._hash("start", name, repr(sorted(others.items())))
        self._text = []

    def _start_in_list(self, name: str, above: str, at: int, attributes: dict[str, str]) -> None:
        assert self._list is not None
        if name in ARRAYS and above in LISTS and self._list.array is None and not attributes:
            self._list.array = (at, at, at)
        elif not (name == f"{RDF} li" and above in ARRAYS and not set(attributes) - {XML_LANG}):
            raise UnreadableXmp(f"its {LISTS[self._list_name()]} is not a plain list")

    def _list_name(self) -> str:
        return next(name for name, _ in reversed(self._path) if name in LISTS)

    def _read_description(self, attributes: dict[str, str]) -> None:
        for name in LISTS:
            if name in attributes:
                raise UnreadableXmp(f"its {LISTS[name]} is not a plain list")
        self._read_rating(attributes.get(f"{XMP} Rating"))

    def _read_rating(self, text: str | None) -> None:
        try:
            rating = float(text or 0)
        except ValueError:
            return
        if rating and -1 <= rating <= 5:
            self._result.rating = rating

    def _characters(self, text: str) -> None:
        self._text.append(text)
        if self._list is None:
            self._rest_hash.update(text.strip().encode())
        elif text.strip() and self._path[-1][0] != f"{RDF} li":
            raise UnreadableXmp(f"its {LISTS[self._list_name()]} is not a plain list")

    def _end(self, name: str) -> None:
        at = self._parser.CurrentByteIndex
        _, start = self._path.pop()
        self_closing = self._is_self_closing(start)
        end_tag = start if self_closing else at
        end = _find_tag_end(self._result.data, end_tag)
        text, self._text = "".join(self._text), []
        if self._list is not None:
            self._end_in_list(name, text, start, end_tag, end)
            return
        if name != f"{RDF} Description":
            self._hash("end", name)
        if name == f"{XMP} Rating":
            self._read_rating(text.strip())
        if name == f"{RDF} RDF" and self._rdf is None:
            self._rdf = (start, end_tag)
        is_first = name == f"{RDF} Description" and self._result.parent is None
        if is_first and self._path and self._path[-1][0] == f"{RDF} RDF":
            self._result.parent, self._result.parent_is_description = (start, end_tag), True

    def _end_in_list(self, name: str, text: str, start: int, end_tag: int, end: int) -> None:
        assert self._list is not None
        if name == f"{RDF} li":
            self._list.items.append(_Item(text.strip(), start, end))
        elif name in ARRAYS:
            self._list.array = (start, end_tag, end)
        else:
            self._list.end, self._list = end, None

    def _is_self_closing(self, start: int) -> bool:
        return self._result.data[: _find_tag_end(self._result.data, start)].endswith(b"/>")


def _parse(data: bytes) -> _Parsed:
    if len(data) > MAX_BYTES:
        raise UnreadableXmp(f"it has more than {MAX_BYTES >> 20} MB")
    return _Reader(data).parse()


def _find_tag_end(data: bytes, start: int) -> int:
    tag = TAG.match(data, start)
    if tag is None:
        raise UnreadableXmp("it is not XML that can be edited in place")
    return tag.end()


# ---- writing

_Edit = tuple[int, int, bytes]  # start, end, replacement


def _edit_list(parsed: _Parsed, name: str, added: Sequence[str], removed: Sequence[str]) -> tuple[list[_Edit], bytes]:
    """-> (edits that add and remove a list's items, a new list if there is none yet)."""
    items = [item for element in parsed.lists[name] for item in element.items if item.text in removed]
    edits = [(len(parsed.data[: item.start].rstrip()), item.end, b"") for item in items]  # with white space before it
    first = parsed.lists[name][0] if parsed.lists[name] else None
    if not added:
        return edits, b""
    if first is None:
        return edits, _make_list(name, added)
    if first.array is None or first.array[0] == first.array[1]:
        return [*edits, (first.start, first.end, _make_list(name, added).strip())], b""
    prefix, colon, _ = _get_tag_name(parsed.data, first.array[0]).rpartition(":")
    li = prefix + colon + "li"
    lines = "".join(f"\n     <{li}>{escape(text)}</{li}>" for text in added)
    at = len(parsed.data[: first.array[1]].rstrip())  # before the white space before the end tag
    return [*edits, (at, at, lines.encode())], b""


def _make_list(name: str, items: Sequence[str]) -> bytes:
    """A list with its namespaces, valid anywhere."""
    tag, uri = LISTS[name], name.partition(" ")[0]
    prefix = tag.partition(":")[0]
    inside = "".join(f"     <rdf:li>{escape(text)}</rdf:li>\n" for text in items)
    bag = f'    <rdf:Bag xmlns:rdf="{RDF}">\n{inside}    </rdf:Bag>\n'
    return f'   <{tag} xmlns:{prefix}="{uri}">\n{bag}   </{tag}>\n'.encode()


def _insert_lists(parsed: _Parsed, lists: bytes) -> _Edit:
    """At the end of the first rdf:Description, or in a new one."""
    assert parsed.parent is not None
    start, end_tag = parsed.parent
    if not parsed.parent_is_description:
        opening = f'  <rdf:Description xmlns:rdf="{RDF}" rdf:about="">\n'.encode()
        lists = opening + lists + b"  </rdf:Description>\n"
    if start != end_tag:  # before the white space before the end tag
        at = len(parsed.data[:end_tag].rstrip())
        return at, at, b"\n" + lists.rstrip()
    end = _find_tag_end(parsed.data, start)
    return end - 2, end, b">\n" + lists + f"</{_get_tag_name(parsed.data, start)}>".encode()


def _get_tag_name(data: bytes, start: int) -> str:
    """With its prefix."""
    name = re.compile(rb"<([^\s/>]+)").match(data, start)
    assert name is not None
    return name[1].decode()


def _apply(data: bytes, edits: Sequence[_Edit]) -> bytes:
    for start, end, replacement in sorted(edits, reverse=True):
        data = data[:start] + replacement + data[end:]
    return data
