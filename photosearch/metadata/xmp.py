"""Side-cars: the .xmp files beside photos in which other programs keep keywords and ratings. Bytes in, bytes out.

Which file is read by whom:
- darktable reads and writes photo.jpg.xmp, for every format (its manual, "sidecar files").
- digiKam does the same; with "Sidecar file names are compatible with commercial programs" it takes photo.xmp.
- Lightroom reads and writes photo.xmp, and only beside a camera's raw files: of JPEG, TIFF, PNG and DNG it reads what
  stands in the file itself, which is an original, and is never written here.
Keywords are a bag of names in dc:subject, as the XMP specification has it, part 1 (ISO 16684-1), 8.3, and their places
in a tree, animal|bird|robin, in lr:hierarchicalSubject, which is Lightroom's and which the other two read as well.

A file that is there is never written anew: the few bytes that change are cut out and put in, and all else, a history, a
namespace, a comment, the order of attributes, stays byte for byte. Before the result is given back it is parsed, and
must differ from what was there in these lists alone. What this tool wrote stands in a list of its own beside, so that
it can be taken back, and what a person typed can't. XML comes from anywhere: no document type, no entity, no great
depth.
"""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

MAX_BYTES = 1 << 25  # of a side-car; masks and histories take megabytes
MAX_DEPTH = 200
SCANNED = 1 << 21  # bytes at a photo's beginning, in which its own packet is looked for
RDF, DC = "http://www.w3.org/1999/02/22-rdf-syntax-ns#", "http://purl.org/dc/elements/1.1/"
LR, XMP, OURS = "http://ns.adobe.com/lightroom/1.0/", "http://ns.adobe.com/xap/1.0/", "urn:photosearch:1.0/"
LISTS = {f"{DC} subject": "dc:subject", f"{LR} hierarchicalSubject": "lr:hierarchicalSubject",
         f"{OURS} keywords": "photosearch:keywords"}  # fmt: skip
SUBJECT, TREE, WRITTEN = LISTS
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
    """A side-car that can't be understood, or not be changed safely; it is left alone. The text is the reason."""


@dataclass(frozen=True, slots=True)
class Sidecar:
    """keywords: as they stand, each once. tree: their places, animal|bird|robin. written: those that this tool wrote.

    rating: 1 to 5, -1 for rejected, None where there is none, or 0.
    """

    keywords: tuple[str, ...] = ()
    tree: tuple[str, ...] = ()
    written: tuple[str, ...] = ()
    rating: float | None = None


def sidecar_path(photo: str, *, short: bool = False) -> str:
    """photo.jpg.xmp; short: photo.xmp."""
    return (os.path.splitext(photo)[0] if short else photo) + ".xmp"


def read_xmp(data: bytes) -> Sidecar:
    """Raises NotReadable."""
    found = _parse(data)
    lists = {name: tuple(dict.fromkeys(i.text for p in found.lists[name] for i in p.items)) for name in LISTS}
    return Sidecar(lists[SUBJECT], lists[TREE], lists[WRITTEN], found.rating)


def find_packet(data: bytes) -> bytes | None:
    """The XMP that stands in a photo's own first bytes, as the specification lets one scan for it."""
    first = data.find(b"<x:xmpmeta")
    last = data.find(b"</x:xmpmeta>", first)
    return None if first < 0 or last < 0 else data[first : last + len(b"</x:xmpmeta>")]


def write_xmp(
    data: bytes | None, wanted: Mapping[str, str], managed: Sequence[str]
) -> tuple[bytes, list[str], list[str]]:
    """-> (the file, the keywords that are new in it, those that went). The same bytes where nothing changes.

    data: of the file that is there, None for a new one. wanted: keyword -> its place in the tree. managed: keywords
    that are taken out where they are not wanted, if this tool wrote them. Raises NotReadable.
    """
    known = _parse(EMPTY if data is None else data)
    there = read_xmp(known.data)
    gone = [k for k in there.written if k in managed and k not in wanted and k in there.keywords]
    new = [k for k in wanted if k not in there.keywords]
    if not gone and not new and all(place in there.tree for place in wanted.values() if "|" in place):
        return known.data if data is None else data, [], []
    out_of_tree = [place for place in there.tree if place.rpartition("|")[2] in gone]
    ours = [k for k in there.written if k in managed and k not in wanted]
    changes = [
        _change(known, SUBJECT, new, gone),
        _change(known, TREE, [p for p in wanted.values() if "|" in p and p not in there.tree], out_of_tree),
        _change(known, WRITTEN, [k for k in new if k not in there.written], ours),
    ]
    edits = [edit for some, _ in changes for edit in some]
    if whole := b"".join(lists for _, lists in changes):
        edits.append(_put_home(known, whole))
    made = _apply(known.data, edits)
    again = _parse(made)
    if again.rest != known.rest:
        raise UnreadableXmp("it could not be changed without changing more than its keywords")
    return made, new, gone


# ---- reading


@dataclass(frozen=True, slots=True)
class _Item:
    """text, and the bytes from which to which it stands."""

    text: str
    start: int
    end: int


@dataclass(slots=True)
class _List:
    """One of LISTS, as it stands: its bytes, those of the array inside, its items. array: None where it is empty."""

    start: int
    end: int = 0
    array: tuple[int, int, int] | None = None  # its start, the start of its end tag, its end
    items: list[_Item] = field(default_factory=list)


@dataclass(slots=True)
class _Parsed:
    """rest: a hash of all but the lists. home: of the first rdf:Description, else of rdf:RDF, (start, start of its
    end tag). Of what closes itself both are the same.
    """

    data: bytes
    lists: dict[str, list[_List]] = field(default_factory=lambda: {name: [] for name in LISTS})
    rating: float | None = None
    home: tuple[int, int] | None = None
    is_description: bool = False
    rest: bytes = b""


class _Reader:
    """The handlers of one parse."""

    def __init__(self, data: bytes):
        self.found = _Parsed(data)
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = False
        self._path: list[tuple[str, int]] = []  # (name, start) of each open element
        self._inside: _List | None = None
        self._text: list[str] = []
        self._rest = hashlib.sha256()
        self._rdf: tuple[int, int] | None = None

    def parse(self) -> _Parsed:
        p = self._parser
        p.StartElementHandler, p.EndElementHandler, p.CharacterDataHandler = self._start, self._end, self._characters
        p.StartDoctypeDeclHandler, p.XmlDeclHandler = self._refuse, self._declare
        p.CommentHandler = lambda text: self._note("comment", text)
        p.ProcessingInstructionHandler = lambda name, text: self._note("instruction", name, text)
        try:
            p.Parse(self.found.data, True)
        except expat.ExpatError as error:
            raise UnreadableXmp(f"not XML: {expat.ErrorString(error.code)}, line {error.lineno}") from None
        if self._rdf is None:
            raise UnreadableXmp("not XMP: it has no rdf:RDF")
        if self.found.home is None:
            self.found.home = self._rdf
        self.found.rest = self._rest.digest()
        return self.found

    def _refuse(self, *_: object) -> None:
        raise UnreadableXmp("it has a document type, which no side-car has")

    def _declare(self, version: str, encoding: str | None, standalone: int) -> None:
        if (encoding or "utf-8").casefold() not in ("utf-8", "us-ascii"):
            raise UnreadableXmp(f"it is written in {encoding}, not in UTF-8")

    def _note(self, *what: str) -> None:
        if self._inside is None and any(part.strip() for part in what):
            self._rest.update(repr(what).encode())

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at = self._parser.CurrentByteIndex
        above = self._path[-1][0] if self._path else ""
        self._path.append((name, at))
        if len(self._path) > MAX_DEPTH:
            raise UnreadableXmp(f"it is more than {MAX_DEPTH} levels deep")
        if self._inside is not None:
            self._start_inside(name, above, at, attributes)
        elif name in LISTS and [part for part, _ in self._path[-3:-1]] == [f"{RDF} RDF", f"{RDF} Description"]:
            if attributes:
                raise UnreadableXmp(f"its {LISTS[name]} is no plain list")
            self._inside = _List(at)
            self.found.lists[name].append(self._inside)
        else:
            if name == f"{RDF} Description" and above == f"{RDF} RDF":
                self._read_description(attributes)
            said = {key: value for key, value in attributes.items() if (key, value) != (f"{RDF} about", "")}
            if said or name != f"{RDF} Description":  # one that says nothing may come or go
                self._note("start", name, repr(sorted(said.items())))
        self._text = []

    def _start_inside(self, name: str, above: str, at: int, attributes: dict[str, str]) -> None:
        assert self._inside is not None
        if name in ARRAYS and above in LISTS and self._inside.array is None and not attributes:
            self._inside.array = (at, at, at)
        elif not (name == f"{RDF} li" and above in ARRAYS and not set(attributes) - {XML_LANG}):
            raise UnreadableXmp(f"its {LISTS[self._list_name()]} is no plain list")

    def _list_name(self) -> str:
        return next(name for name, _ in reversed(self._path) if name in LISTS)

    def _read_description(self, attributes: dict[str, str]) -> None:
        for name in LISTS:
            if name in attributes:
                raise UnreadableXmp(f"its {LISTS[name]} is no plain list")
        self._rate(attributes.get(f"{XMP} Rating"))

    def _rate(self, text: str | None) -> None:
        try:
            rating = float(text or 0)
        except ValueError:
            return
        if rating and -1 <= rating <= 5:
            self.found.rating = rating

    def _characters(self, text: str) -> None:
        self._text.append(text)
        if self._inside is None:
            self._rest.update(text.strip().encode())
        elif text.strip() and self._path[-1][0] != f"{RDF} li":
            raise UnreadableXmp(f"its {LISTS[self._list_name()]} is no plain list")

    def _end(self, name: str) -> None:
        at = self._parser.CurrentByteIndex
        _, start = self._path.pop()
        closed = self._closes_itself(start)
        end_tag = start if closed else at
        end = _tag_end(self.found.data, end_tag)
        text, self._text = "".join(self._text), []
        if self._inside is not None:
            self._end_inside(name, text, start, end_tag, end)
            return
        if name != f"{RDF} Description":
            self._note("end", name)
        if name == f"{XMP} Rating":
            self._rate(text.strip())
        if name == f"{RDF} RDF" and self._rdf is None:
            self._rdf = (start, end_tag)
        is_first = name == f"{RDF} Description" and self.found.home is None
        if is_first and self._path and self._path[-1][0] == f"{RDF} RDF":
            self.found.home, self.found.is_description = (start, end_tag), True

    def _end_inside(self, name: str, text: str, start: int, end_tag: int, end: int) -> None:
        assert self._inside is not None
        if name == f"{RDF} li":
            self._inside.items.append(_Item(text.strip(), start, end))
        elif name in ARRAYS:
            self._inside.array = (start, end_tag, end)
        else:
            self._inside.end, self._inside = end, None

    def _closes_itself(self, start: int) -> bool:
        return self.found.data[: _tag_end(self.found.data, start)].endswith(b"/>")


def _parse(data: bytes) -> _Parsed:
    if len(data) > MAX_BYTES:
        raise UnreadableXmp(f"it has more than {MAX_BYTES >> 20} MB")
    return _Reader(data).parse()


def _tag_end(data: bytes, start: int) -> int:
    found = TAG.match(data, start)
    if found is None:
        raise UnreadableXmp("not XML that can be changed in place")
    return found.end()


# ---- writing

_Edit = tuple[int, int, bytes]  # from, to, what comes in its place


def _change(known: _Parsed, name: str, new: Sequence[str], gone: Sequence[str]) -> tuple[list[_Edit], bytes]:
    """-> (what to cut out and put in, so that a list gains and loses items; a whole list, where there is none yet)."""
    leaving = [i for some in known.lists[name] for i in some.items if i.text in gone]
    edits = [(len(known.data[: i.start].rstrip()), i.end, b"") for i in leaving]  # with the blanks before it
    first = known.lists[name][0] if known.lists[name] else None
    if not new:
        return edits, b""
    if first is None:
        return edits, _whole(name, new)
    if first.array is None or first.array[0] == first.array[1]:
        return [*edits, (first.start, first.end, _whole(name, new).strip())], b""
    prefix, colon, _ = _tag_name(known.data, first.array[0]).rpartition(":")
    li = prefix + colon + "li"
    items = "".join(f"\n     <{li}>{escape(text)}</{li}>" for text in new)
    at = len(known.data[: first.array[1]].rstrip())  # before the blanks that stand before the end tag
    return [*edits, (at, at, items.encode())], b""


def _whole(name: str, items: Sequence[str]) -> bytes:
    """A list with its namespaces, as it may stand anywhere."""
    tag, uri = LISTS[name], name.partition(" ")[0]
    prefix = tag.partition(":")[0]
    inside = "".join(f"     <rdf:li>{escape(text)}</rdf:li>\n" for text in items)
    bag = f'    <rdf:Bag xmlns:rdf="{RDF}">\n{inside}    </rdf:Bag>\n'
    return f'   <{tag} xmlns:{prefix}="{uri}">\n{bag}   </{tag}>\n'.encode()


def _put_home(known: _Parsed, lists: bytes) -> _Edit:
    """New lists go to the end of the first rdf:Description, or into a new one."""
    assert known.home is not None
    start, end_tag = known.home
    if not known.is_description:
        opening = f'  <rdf:Description xmlns:rdf="{RDF}" rdf:about="">\n'.encode()
        lists = opening + lists + b"  </rdf:Description>\n"
    if start != end_tag:  # before the blanks that stand before the end tag
        at = len(known.data[:end_tag].rstrip())
        return at, at, b"\n" + lists.rstrip()
    end = _tag_end(known.data, start)
    return end - 2, end, b">\n" + lists + f"</{_tag_name(known.data, start)}>".encode()


def _tag_name(data: bytes, start: int) -> str:
    """As it is written, with its prefix."""
    found = re.compile(rb"<([^\s/>]+)").match(data, start)
    assert found is not None
    return found[1].decode()


def _apply(data: bytes, edits: Sequence[_Edit]) -> bytes:
    for start, end, what in sorted(edits, reverse=True):
        data = data[:start] + what + data[end:]
    return data
