"""XMP, the packet in a photo or a side-car file beside it, to a record. XMP specification, part 1: ISO 16684-1.

Parsed by expat, with namespaces by their addresses, so `xmp:` and `xap:` are one. Properties may be elements or
attributes, lists rdf:Bag, rdf:Seq or rdf:Alt, or a single text; files UTF-8, UTF-16 or an 8-bit encoding they declare.
Input is hostile: no document type and so no entities of its own, and bounds, checked before parsing, on the bytes, the
tags and the attributes; then on the depth. Time and memory are linear in the file.
"""

import functools
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from photosearch.metadata.dates import Taken, read_date
from photosearch.metadata.record import (
    MAX_NAME_CHARACTERS,
    MAX_NAMES,
    PhotoMetadata,
    Position,
    clean_name,
    clean_names,
    clean_rating,
    clean_text,
    last_part,
    make_position,
    rate_percent,
    split_paths,
)

MAX_BYTES = 1 << 24  # of a side-car; masks and histories take megabytes
MAX_TAGS = 500_000  # start tags and end tags
MAX_ATTRIBUTES = 500_000
MAX_DEPTH = 200
MAX_PACKET_BYTES = 1 << 22  # of the packet in a photo, read at index
NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xap": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/",
    "acdsee": "http://ns.acdsee.com/iptc/1.0/",
    "mediapro": "http://ns.iview-multimedia.com/mediapro/1.0/",
    "mwg-kw": "http://www.metadataworkinggroup.com/schemas/keywords/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "photosearch": "urn:photosearch:1.0/",
}


@functools.cache
def expand(name: str) -> str:
    """dc:subject -> http://purl.org/dc/elements/1.1/ subject, as expat writes it."""
    prefix, _, local = name.partition(":")
    return f"{NAMESPACES[prefix]} {local}"


@dataclass(frozen=True, slots=True)
class KeywordList:
    """A list of keywords. separator: of the parts of a path, "" where entries are no paths. array: its usual kind."""

    tag: str
    separator: str = ""
    array: str = "Bag"

    @property
    def name(self) -> str:
        return expand(self.tag)


SUBJECT, HIERARCHY, WRITTEN = KeywordList("dc:subject"), KeywordList("lr:hierarchicalSubject", "|"), KeywordList(
    "photosearch:keywords"
)  # fmt: skip
TYPED_LISTS = (
    SUBJECT, HIERARCHY, KeywordList("digiKam:TagsList", "/", "Seq"),
    KeywordList("MicrosoftPhoto:LastKeywordXMP", "/"), KeywordList("acdsee:keywords"),
    KeywordList("mediapro:CatalogSets", "|"),
)  # fmt: skip
CATEGORIES, TREE = expand("acdsee:categories"), expand("mwg-kw:Keywords")
DATES = (("exif:DateTimeOriginal", True), ("photoshop:DateCreated", True), ("xmp:CreateDate", False))
RDF, DESCRIPTION, LI = expand("rdf:RDF"), expand("rdf:Description"), expand("rdf:li")
ARRAYS = frozenset(map(expand, ("rdf:Bag", "rdf:Seq", "rdf:Alt")))
XML_LANG = "http://www.w3.org/XML/1998/namespace lang"
RESOURCE = expand("rdf:parseType")
_SIMPLE = (
    "xmp:Rating MicrosoftPhoto:Rating acdsee:rating dc:title photoshop:Headline acdsee:caption dc:description "
    "tiff:ImageDescription acdsee:notes exif:UserComment exif:DateTimeOriginal photoshop:DateCreated xmp:CreateDate "
    "exif:GPSLatitude exif:GPSLongitude exif:GPSAltitude exif:GPSAltitudeRef exif:GPSTimeStamp photoshop:City "
    "photoshop:State photoshop:Country tiff:Make tiff:Model aux:Lens exifEX:LensModel mwg-rs:Regions MP:RegionInfo "
    "Iptc4xmpExt:PersonInImage Iptc4xmpExt:LocationShown Iptc4xmpExt:LocationCreated mediapro:People"
).split()
_WANTED = {name: name for name in (*map(expand, _SIMPLE), *(one.name for one in (*TYPED_LISTS, WRITTEN)), CATEGORIES,
                                   TREE)}  # fmt: skip
_WANTED |= {  # Windows has written its address with the slash and without
    name.replace("/1.0/ ", "/1.0 "): name for name in _WANTED if name.startswith(NAMESPACES["MicrosoftPhoto"])
}
_DECLARATIONS = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in NAMESPACES.items())
_AROUND = f"<all {_DECLARATIONS}>".encode()
EDITED = frozenset({*(one.name for one in (*TYPED_LISTS, WRITTEN)), CATEGORIES, TREE})
ENCODINGS = re.compile(r"utf-?8|us-ascii|utf-?16(le|be)?|iso-?8859-?1?[0-9]|latin-?1|windows-125[0-8]|cp125[0-8]", re.I)

_DECLARED = re.compile(rb"""\s*<\?xml[^>]{1,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_COORDINATE = re.compile(
    r"\s*([0-9]{1,3}(?:\.[0-9]{1,15})?)(?:,([0-9]{1,2}(?:\.[0-9]{1,15})?))?(?:,([0-9]{1,2}(?:\.[0-9]{1,15})?))?\s*([NSEW])"
)


class UnreadableXmp(ValueError):
    """XMP that can't be parsed or safely edited. The message is the reason."""


def read_xmp(data: bytes, source: str = "sidecar") -> PhotoMetadata:
    """A side-car, or another whole XMP document. source: of its dates. Raises UnreadableXmp."""
    properties = _read_document(data).properties
    if any(len(list_texts(properties.get(one.name, ()))) > MAX_NAMES for one in TYPED_LISTS):
        raise UnreadableXmp(f"it has more than {MAX_NAMES:,} keywords")
    return to_record(properties, source)


def read_packet(data: bytes) -> PhotoMetadata:
    """The packet in a photo: what can be read counts, also where the packet is cut or lacks a namespace."""
    try:
        text, _ = decode(data[:MAX_PACKET_BYTES])
        first = min(
            (at for tag in (b"<x:xmpmeta", b"<x:xapmeta", b"<rdf:RDF") if (at := text.find(tag)) >= 0), default=-1
        )
        if first < 0:
            return to_record(_read_document(data[:MAX_PACKET_BYTES]).properties, "xmp")
        _check_bounds(text)
    except UnreadableXmp:
        return PhotoMetadata()
    reader = Reader(text)
    reader.read(_AROUND, text[first:])
    return to_record(reader.properties, "xmp")


# ---- parsing


@dataclass(slots=True)
class Node:
    """An element of a wanted property. start, end_tag, end: where it starts, its end tag starts, and it ends, in bytes.

    attribute: it is no element but an attribute of the one that starts at `start`.
    """

    name: str
    attributes: Mapping[str, str]
    start: int
    attribute: bool = False
    end_tag: int = 0
    end: int = 0
    text: str = ""
    children: list["Node"] = field(default_factory=list)


Properties = Mapping[str, Sequence[Node]]


@dataclass(slots=True)
class Document:
    """A parsed side-car. text: in UTF-8, to which all places refer. encoding: of the file.

    parent: of new lists, the first rdf:Description, else rdf:RDF: (start, start of its end tag), which are equal for
    a self-closing tag. rest_hash: of all but the lists of keywords.
    """

    text: bytes
    encoding: str
    properties: Properties
    parent: tuple[int, int]
    parent_is_description: bool
    rest_hash: bytes


def parse(data: bytes) -> Document:
    """For edits. Raises UnreadableXmp."""
    text, encoding = decode(data)
    _check_bounds(text)
    reader = Reader(text, for_edits=True)
    reader.read_all(text)
    parent = reader.description or reader.rdf
    assert parent is not None
    known = reader.description is not None
    return Document(text, encoding, reader.properties, parent, known, reader.rest_hash.digest())


def _read_document(data: bytes) -> "Reader":
    """Raises UnreadableXmp."""
    text, _ = decode(data)
    _check_bounds(text)
    reader = Reader(text)
    reader.read_all(text)
    return reader


def decode(data: bytes) -> tuple[bytes, str]:
    """-> (UTF-8, the encoding that it was in). Raises UnreadableXmp."""
    if len(data) > MAX_BYTES:
        raise UnreadableXmp(f"it is larger than {MAX_BYTES >> 20} MB")
    encoding = find_encoding(data)
    if encoding == "utf-8":
        return data, encoding
    try:
        return data.decode(encoding).encode(), encoding
    except (UnicodeError, LookupError):
        raise UnreadableXmp(f"it is not valid {encoding}") from None


def find_encoding(data: bytes) -> str:
    """By the byte order mark, else by the zeros of UTF-16, else as declared. Raises UnreadableXmp."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16-le" if data[0] == 0xFF else "utf-16-be"
    for encoding, zeros in (("utf-16-be", data[:4:2]), ("utf-16-le", data[1:4:2])):
        if zeros == b"\0\0":
            return encoding
    found = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    name = found[1].decode().lower() if found else "utf-8"
    if ENCODINGS.fullmatch(name) is None:
        raise UnreadableXmp(f"it is written in {name}, which is not known here")
    return "utf-8" if name in ("utf-8", "utf8", "us-ascii") or name.startswith("utf") else name


def _check_bounds(text: bytes) -> None:
    """In advance, so that a parse takes bounded time and memory. Raises UnreadableXmp."""
    if text.count(b"<") > MAX_TAGS:
        raise UnreadableXmp(f"it has more than {MAX_TAGS:,} tags")
    if text.count(b"=") > MAX_ATTRIBUTES:
        raise UnreadableXmp(f"it has more than {MAX_ATTRIBUTES:,} attributes")


class Reader:
    """One parse, by expat's handlers. for_edits: the places of elements and the hash of the rest are wanted too."""

    def __init__(self, text: bytes, *, for_edits: bool = False):
        self.properties: dict[str, list[Node]] = {}
        self.description: tuple[int, int] | None = None
        self.rdf: tuple[int, int] | None = None
        self.rest_hash = hashlib.sha256()
        self._text = text
        self._path: list[tuple[str, int]] = []  # (name, start) of each open element
        self._open: list[Node] = []  # the property that the parser is in, and below it
        self._characters: list[str] = []
        self._is_edited = False  # whether that property is a list of keywords
        self._parser = p = expat.ParserCreate("utf-8", " ")
        p.buffer_text = True
        p.StartElementHandler, p.EndElementHandler, p.CharacterDataHandler = self._start, self._end, self._characters_in
        p.StartDoctypeDeclHandler = self._refuse
        self._for_edits = for_edits
        if for_edits:
            p.CommentHandler = lambda text: self._hash("comment", text)
            p.ProcessingInstructionHandler = lambda name, text: self._hash("instruction", name, text)

    def read(self, *parts: bytes) -> str | None:
        """-> why it ended early, or None."""
        try:
            for i, part in enumerate(parts, 1):
                self._parser.Parse(part, i == len(parts))
        except expat.ExpatError as error:
            return f"not XML: {expat.ErrorString(error.code)}, line {error.lineno}"
        except UnreadableXmp as error:
            return str(error)
        return None

    def read_all(self, text: bytes) -> None:
        """Raises UnreadableXmp."""
        if (error := self.read(text)) is not None:
            raise UnreadableXmp(error)
        if self.rdf is None:
            raise UnreadableXmp("not XMP: it has no rdf:RDF")

    def _refuse(self, *_: object) -> None:
        raise UnreadableXmp("it has a document type, which no side-car has")

    def _hash(self, *parts: str) -> None:
        if not self._is_edited and any(part.strip() for part in parts):
            self.rest_hash.update(repr(parts).encode(errors="surrogatepass"))

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        at, path = self._parser.CurrentByteIndex if self._for_edits else 0, self._path
        if len(path) >= MAX_DEPTH:
            raise UnreadableXmp(f"it is more than {MAX_DEPTH} levels deep")
        if self._open:
            node = Node(name, attributes, at)
            self._open[-1].children.append(node)
            self._open.append(node)
        elif name in _WANTED and len(path) > 1 and path[-1][0] == DESCRIPTION and path[-2][0] == RDF:
            self._open = [Node(name, attributes, at)]
            self.properties.setdefault(_WANTED[name], []).append(self._open[0])
            self._is_edited = _WANTED[name] in EDITED
        elif name == DESCRIPTION and path and path[-1][0] == RDF:
            for key in attributes.keys() & _WANTED.keys():
                node = Node(key, {}, at, True, text=attributes[key])
                self.properties.setdefault(_WANTED[key], []).append(node)
        if self._for_edits and not self._is_edited:
            self._hash_start(name, attributes)
        self._characters = []
        path.append((name, at))

    def _hash_start(self, name: str, attributes: Mapping[str, str]) -> None:
        kept = attributes.items()
        if name == DESCRIPTION:  # an empty one may be added
            kept = {
                k: v for k, v in kept if _WANTED.get(k) not in EDITED and (k, v) != (expand("rdf:about"), "")
            }.items()
        if kept or name != DESCRIPTION:
            self._hash("start", name, repr(sorted(kept)))

    def _characters_in(self, text: str) -> None:
        if self._open:
            self._characters.append(text)
        if self._for_edits and not self._is_edited:
            self.rest_hash.update(text.strip().encode())

    def _end(self, name: str) -> None:
        _, start = self._path.pop()
        at = self._parser.CurrentByteIndex if self._for_edits else 0
        if self._open:
            node = self._open.pop()
            if not node.children:  # else it is white space
                node.text, self._characters = "".join(self._characters), []
            if not self._for_edits:
                return
            if self._closes_itself(start, at):
                node.end_tag, node.end = start, at
            else:
                node.end_tag, node.end = at, self._text.find(b">", at) + 1
            if self._open:
                return
            edited, self._is_edited = self._is_edited, False
            if edited:
                return
        if self._for_edits and name != DESCRIPTION:
            self._hash("end", name)
        if name == RDF and self.rdf is None:
            self.rdf = start, start if self._closes_itself(start, at) else at
        elif name == DESCRIPTION and self.description is None and self._path and self._path[-1][0] == RDF:
            self.description = start, start if self._closes_itself(start, at) else at

    def _closes_itself(self, start: int, end: int) -> bool:
        """expat ends <a/> at the end of its tag, which may be followed by the end tag of another element."""
        return self._text[end : end + 2] != b"</" or (
            self._text[end - 2 : end] == b"/>" and find_tag_end(self._text, start) == end
        )


_TAG = re.compile(rb"""<(?:[^>"']++|"[^"]*+"|'[^']*+')*+>""")


def find_tag_end(text: bytes, start: int) -> int:
    tag = _TAG.match(text, start)
    return start if tag is None else tag.end()


# ---- properties to values


def get_array(node: Node) -> Node | None:
    return next((child for child in node.children if child.name in ARRAYS), None)


def get_text(node: Node) -> str:
    """Of a simple value: its text, or its rdf:value where it has qualifiers."""
    if node.children:
        fields = get_fields(node)
        return get_text(fields[expand("rdf:value")]) if expand("rdf:value") in fields else ""
    return node.text.strip() or node.attributes.get(expand("rdf:value"), "")


def list_texts(nodes: Sequence[Node]) -> list[str]:
    """The entries of a property, of whatever form; the x-default of an rdf:Alt first."""
    found = []
    for node in nodes:
        array = get_array(node)
        entries = [li for li in array.children if li.name == LI] if array is not None else [node]
        if array is not None and array.name == expand("rdf:Alt"):
            entries.sort(key=lambda li: li.attributes.get(XML_LANG) != "x-default")
        found += [text for text in map(get_text, entries) if text]
    return found


def get_fields(node: Node) -> dict[str, Node]:
    """A structure's fields: children, those of an rdf:Description in it, and attributes of both."""
    found: dict[str, Node] = {}
    for one in (node, *(child for child in node.children if child.name == DESCRIPTION)):
        for key, value in one.attributes.items():
            found.setdefault(key, Node(key, {}, one.start, True, text=value))
        for child in one.children:
            found.setdefault(child.name, child)
    return found


def list_structures(node: Node | None) -> list[dict[str, Node]]:
    """The structures in an array."""
    array = None if node is None else get_array(node)
    return [get_fields(li) for li in array.children] if array is not None else []


def walk_keyword_tree(nodes: Sequence[Node]) -> Iterator[str]:
    """mwg-kw: the paths of keywords that are applied, or that have nothing below them: animal|bird."""
    keyword, applied, below = (expand(f"mwg-kw:{name}") for name in ("Keyword", "Applied", "Children"))
    pending = [("", one) for node in nodes for one in list_structures(get_fields(node).get(expand("mwg-kw:Hierarchy")))]
    pending.reverse()
    while pending:
        above, fields = pending.pop()
        if keyword not in fields:
            continue
        path = f"{above}{get_text(fields[keyword])}"
        children = list_structures(fields.get(below))
        if get_text(fields[applied]).casefold() in ("true", "1") if applied in fields else not children:
            yield path
        pending += [(path[:MAX_NAME_CHARACTERS] + "|", child) for child in reversed(children)]


def read_categories(text: str) -> list[str]:
    """ACDSee's tree -> the paths of what is assigned.

    <Categories><Category Assigned="0">animal<Category Assigned="1">bird</Category></Category></Categories>
    """
    found: list[str] = []
    path: list[str] = []  # names of the open categories
    assigned: list[bool] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(path) >= MAX_DEPTH:
            raise UnreadableXmp("too deep")
        path.append("")
        assigned.append(name == "Category" and attributes.get("Assigned") == "1")

    def read(text: str) -> None:
        path[-1] = (path[-1] + text)[:MAX_NAME_CHARACTERS]

    def end(name: str) -> None:
        if assigned.pop():
            found.append("|".join(name.strip() for name in path if name.strip()))
        path.pop()

    def refuse(*_: object) -> None:
        raise UnreadableXmp("it has a document type")

    data = text.encode()
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler, parser.EndElementHandler, parser.StartDoctypeDeclHandler = start, end, refuse
    parser.CharacterDataHandler = read
    try:
        _check_bounds(data)
        parser.Parse(data, True)
    except (expat.ExpatError, UnreadableXmp):
        pass
    return found


# ---- properties to a record


def to_record(properties: Properties, source: str) -> PhotoMetadata:
    def texts(*names: str) -> list[str]:
        return [text for name in names for text in list_texts(properties.get(expand(name), ()))]

    def first(*names: str) -> str | None:
        return next(iter(texts(*names)), None)

    keywords, paths = _read_keywords(properties)
    city, state, country = _read_place(properties, first)
    return PhotoMetadata(
        keywords=keywords, paths=paths, rating=_read_rating(texts),
        title=clean_name(first("dc:title", "photoshop:Headline", "acdsee:caption")),
        caption=clean_text(first("dc:description", "tiff:ImageDescription", "acdsee:notes", "exif:UserComment")),
        people=clean_names(_list_people(properties, texts)), dates=tuple(_read_dates(texts, source)),
        position=_read_position(first), city=city, state=state, country=country,
        make=clean_name(first("tiff:Make")), model=clean_name(first("tiff:Model")),
        lens=clean_name(first("exifEX:LensModel", "aux:Lens")),
    )  # fmt: skip


def list_entries(properties: Properties, one: KeywordList) -> list[str]:
    return list_texts(properties.get(one.name, ()))


def _read_keywords(properties: Properties) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(keywords, paths), without what photosearch wrote."""
    written = {text.casefold() for text in list_entries(properties, WRITTEN)}
    flat: list[str] = []
    paths: list[str] = []
    for one in TYPED_LISTS:
        entries = list_entries(properties, one)
        some = split_paths(entries, one.separator or "|")
        paths += some
        flat += [entry for entry in entries if (one.separator or "|") not in entry] + list(map(last_part, some))
    trees = list(walk_keyword_tree(properties.get(TREE, ())))
    for text in list_texts(properties.get(CATEGORIES, ())):
        trees += read_categories(text)
    paths += [path for path in trees if "|" in path]
    flat += map(last_part, trees)
    return (
        clean_names(name for name in flat if name.strip().casefold() not in written),
        clean_names(path for path in paths if last_part(path).casefold() not in written),
    )


def _read_rating(texts: Callable[..., list[str]]) -> float | None:
    stars = (clean_rating(text) for text in texts("xmp:Rating", "acdsee:rating"))
    percents = (rate_percent(text) for text in texts("MicrosoftPhoto:Rating"))
    return next((rating for rating in (*stars, *percents) if rating is not None), None)


def _read_dates(texts: Callable[..., list[str]], source: str) -> Iterator[Taken]:
    for name, made in DATES:
        for text in texts(name):
            if (date := read_date(text, source, made=made, partial=True)) is not None:
                yield date
    for text in texts("exif:GPSTimeStamp"):
        if (date := read_date(text, "gps", made=False)) is not None:
            yield Taken(date.local, "gps", "+00:00", date.known, False)


def _read_position(first: Callable[..., str | None]) -> Position | None:
    north, east = (_read_coordinate(first(f"exif:GPS{name}")) for name in ("Latitude", "Longitude"))
    text = first("exif:GPSAltitude") or ""
    number, slash, divisor = text.partition("/")
    try:
        up = float(number) / float(divisor) if slash else float(number)
    except (ValueError, ZeroDivisionError):
        return make_position(north, east)
    return make_position(north, east, -up if first("exif:GPSAltitudeRef") == "1" else up)


def _read_coordinate(text: str | None) -> float | None:
    """'48,51.5N', '48,51,30N' or '48.8583N' -> degrees."""
    found = _COORDINATE.match(text or "")
    if found is None:
        return None
    degrees = float(found[1]) + float(found[2] or 0) / 60 + float(found[3] or 0) / 3600
    return -degrees if found[4] in "SW" else degrees


def _read_place(properties: Properties, first: Callable[..., str | None]) -> tuple[str | None, str | None, str | None]:
    """(city, state, country): photoshop's, else where the photo was made, else what it shows."""
    names = (("photoshop:City", "City"), ("photoshop:State", "ProvinceState"), ("photoshop:Country", "CountryName"))
    found = [clean_name(first(name)) for name, _ in names]
    if not any(found):
        for name in ("Iptc4xmpExt:LocationCreated", "Iptc4xmpExt:LocationShown"):
            for node in properties.get(expand(name), ()):
                for fields in list_structures(node) or [get_fields(node)]:
                    nodes = [fields.get(expand(f"Iptc4xmpExt:{part}")) for _, part in names]
                    found = [None if one is None else clean_name(next(iter(list_texts([one])), None)) for one in nodes]
                    if any(found):
                        return found[0], found[1], found[2]
    return found[0], found[1], found[2]


def _list_people(properties: Properties, texts: Callable[..., list[str]]) -> Iterator[str]:
    yield from texts("Iptc4xmpExt:PersonInImage")
    for node in properties.get(expand("mwg-rs:Regions"), ()):
        for region in list_structures(get_fields(node).get(expand("mwg-rs:RegionList"))):
            kind, name = region.get(expand("mwg-rs:Type")), region.get(expand("mwg-rs:Name"))
            if name is not None and (kind is None or get_text(kind) in ("", "Face")):
                yield get_text(name)
    for node in properties.get(expand("MP:RegionInfo"), ()):
        for region in list_structures(get_fields(node).get(expand("MPRI:Regions"))):
            if (name := region.get(expand("MPReg:PersonDisplayName"))) is not None:
                yield get_text(name)
    yield from texts("mediapro:People")
