"""Keywords written into XMP side-cars. Bytes in, bytes out.

Who uses which file:
- darktable reads and writes photo.jpg.xmp, for every format (its manual, "sidecar files").
- digiKam does the same; with "Sidecar file names are compatible with commercial programs" it uses photo.xmp.
- Lightroom reads and writes photo.xmp, for raw files only: for JPEG, TIFF, PNG and DNG it reads the XMP packet in the
  photo itself, which photosearch never writes.
Programs read the first list that isn't empty, each in its own order, so a keyword goes into each list that is there:
as a name or, where the list has paths, as its path in the tree. dc:subject is made where it is missing, and
lr:hierarchicalSubject for a keyword with a path.

An existing file is edited in place: only the bytes of these lists change; history, namespaces, comments, the order of
attributes and the encoding stay. The result is parsed again, and must differ in these lists alone. Keywords that no
list had before are also listed under photosearch:keywords, so that this tool can remove them later, and never one that
a person typed.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

from photosearch.metadata.record import last_part
from photosearch.metadata.xmp import (
    ARRAYS,
    CATEGORIES,
    HIERARCHY,
    LI,
    NAMESPACES,
    SUBJECT,
    TREE,
    TYPED_LISTS,
    WRITTEN,
    XML_LANG,
    Document,
    KeywordList,
    Node,
    UnreadableXmp,
    expand,
    find_tag_end,
    get_array,
    get_fields,
    get_text,
    list_entries,
    list_texts,
    parse,
    read_categories,
    walk_keyword_tree,
)

EMPTY = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="photosearch">\n'
    f' <rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}">\n'
    '  <rdf:Description rdf:about="">\n'
    "  </rdf:Description>\n"
    " </rdf:RDF>\n"
    "</x:xmpmeta>\n"
    '<?xpacket end="w"?>\n'
).encode()

_Edit = tuple[int, int, bytes]  # start, end, replacement
_NAME = re.compile(rb"<([^\s/>]+)")
_RDF = f'xmlns:rdf="{NAMESPACES["rdf"]}"'


def write_xmp(
    data: bytes | None, wanted: Mapping[str, str], managed: Mapping[str, str]
) -> tuple[bytes, list[str], list[str]]:
    """-> (the new file, added keywords, removed keywords). The same bytes if nothing changes.

    data: the existing file, None for a new one. wanted: keyword -> its path in the tree, animal|bird. managed: the same
    for keywords that are removed if they are not wanted and this tool wrote them. Raises UnreadableXmp.
    """
    data = EMPTY if data is None else data
    before = parse(data)
    editor = _Editor(before, wanted, managed)
    edits = editor.edit()
    if not edits:
        return data, [], []
    text = _apply(before.text, edits)
    after = parse(text if before.encoding == "utf-8" else _encode(text, before.encoding))
    if after.rest_hash != before.rest_hash or not editor.is_done(after):
        raise UnreadableXmp("its keywords can't be changed without changing more")
    return _encode(text, before.encoding), editor.added, editor.removed


class _Editor:
    """One change of one file. added, removed: keywords, once the edits are made."""

    def __init__(self, document: Document, wanted: Mapping[str, str], managed: Mapping[str, str]):
        self._document, self._wanted = document, wanted
        written = {name.casefold() for name in list_entries(document.properties, WRITTEN)}
        self._gone = {k: path for k, path in managed.items() if k not in wanted and k.casefold() in written}
        self._had = _list_names(document)
        self.added: list[str] = []
        self.removed = [name for name in self._gone if name.casefold() in self._had]

    def edit(self) -> list[_Edit]:
        edits: list[_Edit] = []
        new_lists: list[bytes] = []
        for one in TYPED_LISTS:
            self._edit_list(one, self._choose_entries(one), self._choose_gone(one), edits, new_lists)
        self._edit_tree(edits)
        self._edit_categories(edits)
        ours = [name for name in self.added if name.casefold() not in self._had]
        self._edit_list(WRITTEN, ours, set(map(str.casefold, self._gone)), edits, new_lists)
        if new_lists:
            edits.append(_insert_lists(self._document, b"".join(new_lists)))
        return edits

    def is_done(self, after: Document) -> bool:
        """Whether each list now has what was wanted, and lacks only what was to go."""
        for one in TYPED_LISTS:
            old, new = ({e.casefold() for e in list_entries(d.properties, one)} for d in (self._document, after))
            if not old - self._choose_gone(one) <= new or new & self._choose_gone(one):
                return False
        return set(map(str.casefold, self._wanted)) <= {n.casefold() for n in list_entries(after.properties, SUBJECT)}

    def _choose_entries(self, one: KeywordList) -> list[str]:
        """What a list lacks."""
        entries = list_entries(self._document.properties, one)
        names = (last_part(e.replace(one.separator, "|")) for e in entries) if one.separator else entries
        known = set(map(str.casefold, names))
        lacking = [name for name in self._wanted if name.casefold() not in known]
        if one is HIERARCHY and not entries:
            # No list of paths is made for a keyword that somebody typed elsewhere: it could never be taken back.
            lacking = [name for name in lacking if "|" in self._wanted[name] and name.casefold() not in self._had]
        elif one is not SUBJECT and one.name not in self._document.properties:
            return []
        self.added += [name for name in lacking if name not in self.added]
        return [_to_entry(one, name, self._wanted[name]) for name in lacking]

    def _choose_gone(self, one: KeywordList) -> set[str]:
        """What goes from a list, in lower case."""
        both = [entry for name, path in self._gone.items() for entry in (name, _to_entry(one, name, path))]
        return set(map(str.casefold, both))

    def _edit_list(
        self, one: KeywordList, added: Sequence[str], gone: set[str], edits: list[_Edit], new_lists: list[bytes]
    ) -> None:
        nodes, text = self._document.properties.get(one.name, ()), self._document.text
        for node in nodes:
            for li in _list_items(node):
                if get_text(li).casefold() in gone:
                    edits.append((_skip_space_before(text, li.start), li.end, b""))
        if not added:
            return
        if not nodes:
            new_lists.append(_make_list(one, added))
            return
        node = next((node for node in nodes if _is_open(get_array(node))), nodes[0])
        array = get_array(node)
        if array is not None and _is_open(array):
            if len(node.children) > 1:
                raise UnreadableXmp(f"its {one.tag} is not a plain list")
            prefix, colon, _ = _get_tag_name(text, array.start).rpartition(":")
            li_tag = prefix + colon + "li"
            lines = "".join(f"\n     <{li_tag}>{escape(entry)}</{li_tag}>" for entry in added)
            at = _skip_space_before(text, array.end_tag)
            edits.append((at, at, lines.encode()))
            return
        if set(node.attributes) - {XML_LANG} or any(child.name not in ARRAYS for child in node.children):
            raise UnreadableXmp(f"its {one.tag} is not a plain list")
        kept = [entry for entry in list_texts([node]) if entry.casefold() not in gone]
        if node.attribute:
            edits.append((*_find_attribute(text, node), b""))
            new_lists.append(_make_list(one, [*kept, *added]))
        else:
            edits.append((node.start, node.end, _make_list(one, [*kept, *added]).strip()))

    def _edit_tree(self, edits: list[_Edit]) -> None:
        """mwg-kw's tree: keywords of ours at its top."""
        nodes, text = self._document.properties.get(TREE, ()), self._document.text
        names = {last_part(path).casefold() for path in walk_keyword_tree(nodes)}
        hierarchies = (get_fields(node).get(expand("mwg-kw:Hierarchy")) for node in nodes)
        array = next((a for one in hierarchies if one is not None and _is_open(a := get_array(one))), None)
        if array is None:
            return
        for li in array.children:
            fields = get_fields(li)
            name = fields.get(expand("mwg-kw:Keyword"))
            if name is not None and get_text(name) in self._gone and expand("mwg-kw:Children") not in fields:
                edits.append((_skip_space_before(text, li.start), li.end, b""))
        lacking = [name for name in self._wanted if name.casefold() not in names]
        tag = f'<mwg-kw:Keyword xmlns:mwg-kw="{NAMESPACES["mwg-kw"]}">'
        lines = [
            f'\n<rdf:li {_RDF} rdf:parseType="Resource">{tag}{escape(name)}</mwg-kw:Keyword></rdf:li>'
            for name in lacking
        ]
        if lines:
            at = _skip_space_before(text, array.end_tag)
            edits.append((at, at, "".join(lines).encode()))
            self.added += [name for name in lacking if name not in self.added]

    def _edit_categories(self, edits: list[_Edit]) -> None:
        """ACDSee's, which are XML in a text."""
        for node in self._document.properties.get(CATEGORIES, ()):
            old = get_text(node)
            if node.children or not old.endswith("</Categories>"):
                continue
            new = old
            for name in self._gone:
                new = new.replace(_make_category(name), "")
            names = {last_part(path).casefold() for path in read_categories(old)}
            lacking = [name for name in self._wanted if name.casefold() not in names]
            new = new.removesuffix("</Categories>") + "".join(map(_make_category, lacking)) + "</Categories>"
            if new == old:
                continue
            self.added += [name for name in lacking if name not in self.added]
            if node.attribute:
                start, end = _find_attribute(self._document.text, node)
                tag = self._document.text[start:end].partition(b"=")[0]
                edits.append((start, end, tag + b"=" + quoteattr(new).encode()))
            else:
                start = find_tag_end(self._document.text, node.start)
                edits.append((start, node.end_tag, escape(new).encode()))
            return


def _list_names(document: Document) -> set[str]:
    """All keywords that some list has, in lower case."""
    properties = document.properties
    entries = [e.replace(one.separator or "|", "|") for one in TYPED_LISTS for e in list_entries(properties, one)]
    entries += walk_keyword_tree(properties.get(TREE, ()))
    for text in list_texts(properties.get(CATEGORIES, ())):
        entries += read_categories(text)
    return {last_part(entry).casefold() for entry in entries}


def _to_entry(one: KeywordList, name: str, path: str) -> str:
    if not one.separator:
        return name
    return one.separator.join(part.replace(one.separator, " ") for part in path.split("|"))


def _make_category(name: str) -> str:
    return f'<Category Assigned="1">{escape(name)}</Category>'


def _list_items(node: Node) -> Iterable[Node]:
    array = get_array(node)
    return () if array is None else (child for child in array.children if child.name == LI)


def _is_open(array: Node | None) -> bool:
    """Whether there is an array, and an end tag of it before which entries can be put."""
    return array is not None and array.start != array.end_tag


def _find_attribute(text: bytes, node: Node) -> tuple[int, int]:
    """The bytes of an attribute, with the white space before it. Raises UnreadableXmp where that is not clear."""
    local = re.escape(node.name.partition(" ")[2].encode())
    pattern = re.compile(rb"""(?<!\s)\s++[\w.-]++:""" + local + rb"""\s*=\s*(?:"[^"]*"|'[^']*')""")
    found = list(pattern.finditer(text, node.start, find_tag_end(text, node.start)))
    if len(found) != 1:
        raise UnreadableXmp(f"its {node.name.partition(' ')[2]} can't be changed in place")
    return found[0].span()


def _make_list(one: KeywordList, entries: Sequence[str]) -> bytes:
    """A list with its namespaces, valid anywhere."""
    prefix = one.tag.partition(":")[0]
    inside = "".join(f"     <rdf:li>{escape(text)}</rdf:li>\n" for text in entries)
    bag = f"    <rdf:{one.array} {_RDF}>\n{inside}    </rdf:{one.array}>\n"
    return f'   <{one.tag} xmlns:{prefix}="{NAMESPACES[prefix]}">\n{bag}   </{one.tag}>\n'.encode()


def _insert_lists(document: Document, lists: bytes) -> _Edit:
    """At the end of the first rdf:Description, or in a new one."""
    start, end_tag = document.parent
    if not document.parent_is_description:
        lists = f'  <rdf:Description {_RDF} rdf:about="">\n'.encode() + lists + b"  </rdf:Description>\n"
    if start != end_tag:  # before the white space before the end tag
        at = _skip_space_before(document.text, end_tag)
        return at, at, b"\n" + lists.rstrip()
    end = find_tag_end(document.text, start)
    return end - 2, end, b">\n" + lists + f"</{_get_tag_name(document.text, start)}>".encode()


def _get_tag_name(text: bytes, start: int) -> str:
    """With its prefix."""
    name = _NAME.match(text, start)
    assert name is not None
    return name[1].decode()


def _skip_space_before(text: bytes, at: int) -> int:
    while at and text[at - 1 : at].isspace():
        at -= 1
    return at


def _apply(text: bytes, edits: Sequence[_Edit]) -> bytes:
    parts: list[bytes] = []
    at = 0
    for start, end, replacement in sorted(edits):
        if start < at:  # two that touch the same white space
            start = min(at, end)
        parts += [text[at:start], replacement]
        at = max(at, end)
    return b"".join([*parts, text[at:]])


def _encode(text: bytes, encoding: str) -> bytes:
    """To what the file was in; what it can't hold as &#x...;."""
    return text if encoding == "utf-8" else text.decode().encode(encoding, "xmlcharrefreplace")
