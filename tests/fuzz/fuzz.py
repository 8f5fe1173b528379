"""Fuzz the readers of untrusted input: make fuzz MINUTES=10

    query   what was typed after `find`         -> a tree, or QueryError
    csv     a sheet of truth                    -> rows, or InputError
    card    an image or text model's card       -> one that can be written and read again, or ValueError
    photo   a file's bytes                      -> pixels of the promised shape, or Unreadable
    shard   a Parquet file's bytes              -> rows that its models can have given, or InputError
    row     values of one row of a shard        -> the same
    graph   an .onnx file's bytes               -> bounded operators, or ValueError
    sidecar an XMP side-car, or a photo's packet -> a record; and an edited side-car that reads as promised
    takeout Google Takeout's JSON, IPTC, Picasa -> a record, or NotTakeout

One target for some seconds: python tests/fuzz/fuzz.py card -max_total_time=600. Any other exception, a crash or a
hang is a finding: libFuzzer leaves its input as crash-* in the current folder. Needs `pip install -e '.[fuzz]'`
(atheris, https://github.com/google/atheris; Linux and macOS).
"""

import io
import json
import math
import os
import random
import sys
import tempfile
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

# Pillow's own code takes a minute to instrument: only where it is what is fuzzed.
with atheris.instrument_imports(include=["photosearch", "PIL"] if "photo" in sys.argv else ["photosearch"]):
    import corpus
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    from photosearch import query
    from photosearch.engines import shards
    from photosearch.errors import InputError, QueryError
    from photosearch.index.infer import PhotoResult, Prediction, Scorer
    from photosearch.judging import truth
    from photosearch.metadata import dates, xmp
    from photosearch.metadata.dates import choose_date
    from photosearch.metadata.edit import write_xmp
    from photosearch.metadata.exif import read_exif
    from photosearch.metadata.iptc import read_iptc
    from photosearch.metadata.picasa import read_picasa
    from photosearch.metadata.record import MAX_NAMES, PhotoMetadata
    from photosearch.metadata.sidecars import match_sidecars
    from photosearch.metadata.takeout import NotTakeout, read_takeout
    from photosearch.models.card import Card, TextCard, parse_card
    from photosearch.models.protobuf import check_operators
    from photosearch.models.session import pool
    from photosearch.photos import decode
    from photosearch.photos.walk import Photo

# In memory where there is such a place: the CSV reader takes a file, and a disk gives it 8 a second.
SCRATCH = Path(tempfile.mkdtemp(prefix="photosearch-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
SIZE = 8
MAX_LENGTHS = {"photo": 30_000, "shard": 30_000, "graph": 30_000, "sidecar": 9_000}


def hold(true: bool) -> None:
    if not true:
        raise AssertionError("what must hold does not")


def fuzz_query(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    try:
        tree = query.parse(text)
    except QueryError as error:
        hold("\n" not in str(error) or "\n" in text)
        return
    names = query.list_labels(tree)
    hold(0 < len(names) <= query.MAX_LABELS)
    zeros, ones, halves = (dict.fromkeys(names, x) for x in (0.0, 1.0, 0.5))
    hold(query.matches(tree, ones, halves) in (True, False))
    hold({query.score(tree, zeros), query.score(tree, ones)} <= {0.0, 1.0})
    hold(query.matches(tree, ones, halves) == (query.score(tree, ones) >= 0.5))


def fuzz_csv(data: bytes) -> None:
    path = SCRATCH / "truth.csv"
    path.write_bytes(data)
    try:
        rows = list(truth.read_rows(path))
    except InputError as error:
        hold(str(path) in str(error))
        return
    for row in rows:
        hold(row.path.startswith("/"))
        hold("\0" not in row.path)
        hold(row.label)
        os.fsencode(row.path)


def fuzz_card(data: bytes) -> None:
    try:
        card = parse_card(data.decode(errors="surrogatepass"))
    except ValueError as error:
        hold("card" in str(error) or isinstance(error, UnicodeDecodeError))
        return
    again = parse_card(card.to_json())
    hold(type(again) is type(card))
    hold(again.to_json() == card.to_json())
    card.to_json().encode()
    if isinstance(card, TextCard):
        return
    hold(isinstance(card, Card) and bool(card.labels) == ("scores" in card.outputs))
    hold(bool(card.space) == bool(card.dimensions) == ("vectors" in card.outputs))
    for tiles in map(int, card.pooling):
        scores = np.random.default_rng(0).random((3, 1 + tiles, len(card.labels))).astype(np.float32)
        pooled = pool(scores, card)
        hold(((pooled >= 0) & (pooled <= 1)).all())
    hold(all(card.min_score <= card.threshold(label) <= 1 for label in card.labels))


def fuzz_photo(data: bytes) -> None:
    try:
        opened = decode.decode(data, [decode.ViewSpec(SIZE, tiles=4)], max_pixels=1_000_000)
    except decode.Unreadable as why:
        hold(0 < len(why.reason) <= 200)
        return
    hold(opened.views[0].shape == (5, SIZE, SIZE, 3))
    hold(opened.width * opened.height > 0)
    hold(opened.taken is None or len(opened.taken) == 19)
    hold((opened.taken is None) == (opened.taken_from is None))
    hold(0 <= opened.fingerprint < 2**64)


MODEL = shards.ModelRef(Scorer("0123456789abcdef", 4), "toy", "1", 0.01)
UNIT = np.full(4, 0.5, np.float16).tobytes()
PHOTOS = tuple(Photo(f"/photos/{name}", 10 + i, i) for i, name in enumerate(("a.png", "b/c.png", "d.png")))
SHARD = shards.Shard("/photos", (MODEL,), PHOTOS, (None, None, b"h" * 32))
RESULTS = (
    PhotoResult(PHOTOS[0], b"a" * 32, 4, 3, "2024-01-02T03:04:05", "xmp", 7,
                {MODEL.scorer: Prediction({"red": 0.5, "blue": 1.0}, UNIT)}),
    PhotoResult(PHOTOS[1], reason="the file is empty", transient=True),
    PhotoResult(PHOTOS[2], b"h" * 32),
)  # fmt: skip


def fuzz_shard(data: bytes) -> None:
    try:
        found = shards.read(io.BytesIO(data), "x.parquet")
    except InputError as error:
        hold(str(error).startswith("x.parquet: ") and str(error).isprintable() and len(str(error)) < 500)
        return
    check_shard(found)


def mutate_shard(data: bytes, max_size: int, seed: int) -> bytes:
    """A change of a byte, or of a length, mostly in the footer and in the pages' headers; the magic stays."""
    if seed % 8 == 0 or len(data) < 20:
        return bytes(atheris.Mutate(data, max_size))
    rng, changed = random.Random(seed), bytearray(data)
    for _ in range(1 + rng.randrange(3)):
        at = rng.randrange(4, len(changed) - 8)
        match rng.randrange(4):
            case 0:
                changed[at] ^= 1 << rng.randrange(8)
            case 1:
                changed[at] = rng.choice((0, 1, 127, 128, 255, changed[rng.randrange(len(changed))]))
            case 2:
                changed[at : at + 1] = bytes([changed[at] | 128, rng.randrange(128)])  # a longer number
                changed[-8:-4] = (int.from_bytes(changed[-8:-4], "little") + 1).to_bytes(5, "little")[:4]
            case 3:
                n = rng.randrange(1, 9)
                changed[at : at + n] = rng.randbytes(n)[: len(changed) - 8 - at]
    return bytes(changed[:max_size])


def fuzz_row(data: bytes) -> None:
    """A sound file whose first row has values that come from the data."""
    given = atheris.FuzzedDataProvider(data)
    table = parquet.read_table(io.BytesIO(shards.write(SHARD, RESULTS)))
    rows, schema = table.to_pylist(), table.schema
    for _ in range(given.ConsumeIntInRange(1, 3)):
        name = given.PickValueInList(schema.names)
        kind = schema.field(name).type
        if pa.types.is_struct(kind):
            scores = [
                (given.ConsumeUnicodeNoSurrogates(4), given.ConsumeFloat())
                for _ in range(given.ConsumeIntInRange(0, 3))
            ]
            numbers = np.array(given.ConsumeFloatListInRange(4, -2.0, 2.0), np.float16)
            length = np.linalg.norm(numbers.astype(np.float64)) if given.ConsumeBool() else 1.0
            with np.errstate(all="ignore"):
                vector = (
                    (numbers / length).astype(np.float16).tobytes() if given.ConsumeBool() else given.ConsumeBytes(9)
                )
            rows[0][name] = {"scores": scores, "vector": vector}
        elif pa.types.is_string(kind):
            rows[0][name] = given.ConsumeUnicodeNoSurrogates(25)
        elif pa.types.is_binary(kind):
            rows[0][name] = given.ConsumeBytes(33)
        elif pa.types.is_boolean(kind):
            rows[0][name] = given.ConsumeBool()
        else:
            rows[0][name] = given.ConsumeIntInRange(0 if kind == pa.uint64() else -(2 ** (kind.bit_width - 1)),
                                                    2 ** (kind.bit_width - 1) - 1)  # fmt: skip
    if given.ConsumeBool():
        values = json.loads(schema.metadata[shards.METADATA_KEY])
        values[given.PickValueInList(list(values))] = given.ConsumeUnicodeNoSurrogates(30).encode().hex()
        schema = schema.with_metadata({shards.METADATA_KEY: json.dumps(values)})
    out = io.BytesIO()
    with np.errstate(all="ignore"):
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), out)
    fuzz_shard(out.getvalue())


def check_shard(found: shards.ShardFile) -> None:
    """What merge relies on."""
    hold(found.root.startswith("/") or "://" in found.root)
    hold(".." not in found.root.split("/"))
    paths = [result.photo.path for result in found.results]
    hold(len(set(paths)) == len(paths))
    for result in found.results:
        hold(result.photo.path.startswith(found.root.rstrip("/") + "/"))
        hold(not {"", ".", ".."} & set(result.photo.path.removeprefix(found.root.rstrip("/") + "/").split("/")))
        hold(result.reason is None or 0 < len(result.reason) <= 200)
        hold(result.taken is None or dates.read_date(result.taken, "xmp").local == result.taken)
        for prediction in result.predictions.values():
            hold(all(math.isfinite(score) and 0 <= score <= 1 for score in prediction.scores.values()))
            if prediction.vector is not None:
                hold(abs(np.linalg.norm(np.frombuffer(prediction.vector, "<f2").astype(np.float64)) - 1) < 2e-3)


def fuzz_graph(data: bytes) -> None:
    try:
        check_operators(io.BytesIO(data))
    except ValueError as error:
        hold(0 < len(str(error)) < 200)


def hold_record(record: PhotoMetadata) -> None:
    hold(PhotoMetadata.from_json(json.loads(json.dumps(record.to_json()))) == record)
    hold(len(record.keywords) <= MAX_NAMES and all(record.keywords) and all("\n" not in k for k in record.keywords))
    hold(record.rating is None or -1 <= record.rating <= 5)
    if record.position is not None:
        hold(abs(record.position.latitude) <= 90 and abs(record.position.longitude) <= 180)
    date = choose_date(record.dates, "IMG_20190203_101112.jpg")
    hold(date is None or len(date.local) == 19)
    json.dumps(record.to_json(), ensure_ascii=False).encode()  # no half of a surrogate pair


def compose(data: bytes) -> bytes:
    """Bytes -> a well-formed side-car: each opens or closes an element of TAGS, or writes a text."""
    parts, opened = [], []
    for byte in data:
        if byte < 100:
            opened.append(TAGS[byte % len(TAGS)])
            parts.append(f"<{opened[-1]}{ATTRIBUTES[byte // 10] if byte // 10 < len(ATTRIBUTES) else ''}>")
        elif byte < 180 and opened:
            parts.append(f"</{opened.pop()}>")
        else:
            parts.append(TEXTS[byte % len(TEXTS)])
    parts += [f"</{name}>" for name in reversed(opened)]
    return describe("".join(parts)).encode("utf-16" if data[:1] == b"\xff" else "utf-8")


def fuzz_sidecar(data: bytes) -> None:
    for one in (data, compose(data[:200])):
        check_sidecar(one)


def check_sidecar(data: bytes) -> None:
    hold_record(xmp.read_packet(data))
    try:
        record = xmp.read_xmp(data)
        new, added, _ = write_xmp(data, {"bird": "animal|bird", "My <dog> & cat": "x"}, {"owl": "animal|owl"})
    except xmp.UnreadableXmp as why:
        hold(0 < len(str(why)) <= 200)
        return
    hold_record(record)
    names = {name.casefold() for name in xmp.list_entries(xmp.parse(new).properties, xmp.SUBJECT)}
    hold({"bird", "my <dog> & cat"} <= names)
    after = xmp.read_xmp(new)
    keywords, then = ({name.casefold() for name in one.keywords} for one in (record, after))
    hold(keywords - {"owl"} <= then | {name.casefold() for name in added})
    hold((after.rating, after.title, after.dates) == (record.rating, record.title, record.dates))


def fuzz_takeout(data: bytes) -> None:
    try:
        hold_record(read_takeout(data))
    except NotTakeout as why:
        hold(0 < len(str(why)) <= 200)
    hold_record(read_iptc(data))
    for record in read_picasa(data).values():
        hold_record(record)
    text = data.decode("latin-1")
    hold_record(
        read_exif({0x010E: text, 0x9C9E: data, 0x4746: text}, {0x9286: data, 0x9003: text}, {2: data, 29: text})
    )
    name, _, other = os.fsdecode(data).partition("\n")
    for names in match_sidecars([name, name + ".jpg"], [other, other + ".json", name + "(1).json"]).values():
        hold(len(names) == len(set(names)))


def describe(inside: str) -> str:
    declared = " ".join(f'xmlns:{prefix}="{address}"' for prefix, address in xmp.NAMESPACES.items())
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF {declared}><rdf:Description rdf:about="" xmp:Rating="3">{inside}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    )


LISTS = (
    "<dc:subject><rdf:Bag><rdf:li>robin</rdf:li></rdf:Bag></dc:subject><lr:hierarchicalSubject><rdf:Bag/>"
    "</lr:hierarchicalSubject><photosearch:keywords><rdf:Bag><rdf:li>owl</rdf:li></rdf:Bag></photosearch:keywords>",
    "<digiKam:TagsList><rdf:Seq><rdf:li>animal/owl</rdf:li></rdf:Seq></digiKam:TagsList><dc:subject>a</dc:subject>"
    "<exif:DateTimeOriginal>2003-07-04T10:11:12</exif:DateTimeOriginal>",
    "<acdsee:categories>&lt;Categories>&lt;Category Assigned='1'>owl&lt;/Category>&lt;/Categories></acdsee:categories>"
    "<mwg-kw:Keywords rdf:parseType='Resource'><mwg-kw:Hierarchy><rdf:Bag><rdf:li mwg-kw:Keyword='owl'/></rdf:Bag>"
    "</mwg-kw:Hierarchy></mwg-kw:Keywords><dc:subject><rdf:Alt><rdf:li xml:lang='x-default'>a</rdf:li></rdf:Alt>"
    "</dc:subject>",
)
TAGS = (
    "rdf:Description dc:subject rdf:Bag rdf:li rdf:Seq rdf:Alt rdf:value digiKam:TagsList lr:hierarchicalSubject "
    "photosearch:keywords mwg-kw:Keywords mwg-kw:Hierarchy mwg-kw:Keyword mwg-kw:Children acdsee:categories dc:title "
    "MP:RegionInfo MPRI:Regions mwg-rs:Regions mwg-rs:RegionList mwg-rs:Name MicrosoftPhoto:LastKeywordXMP"
).split()
ATTRIBUTES = (" rdf:parseType='Resource'", " dc:subject='owl'", " acdsee:categories='&lt;Categories>&lt;/Categories>'",
              " mwg-kw:Keyword='owl'", " digiKam:TagsList = 'a/b'", " xml:lang='de'", " rdf:resource='x'")  # fmt: skip
TEXTS = ("owl", "bird", "a/owl", "animal|BIRD", " ", "&lt;Categories>&lt;Category Assigned='1'>owl&lt;/Category>"
         "&lt;/Categories>", "&amp;", "<!--x-->", "<?y z?>", "<![CDATA[<owl>]]>", "\n")  # fmt: skip
SEEDS = {
    "query": [b"bird", b'"red panda" or cat', b"not (a and b) or 'c d' and not not e", b"((x))"],
    "csv": [b"path,label,present\na.jpg,bird,1\n", b'\xef\xbb\xbflabel,present,path\r\nb,0,"a""b"\r\n', b"a;b\n"],
    "card": [
        b'{"name":"t","version":"1","labels":["a","b"],"input_size":8,"thresholds":{"a":0.5},"tiles":4,'
        b'"pooling":{"4":{"a":[1,0,0],"b":[0.5,0.5,-1]}},"fit":"crop","measured":[{"n":1}],"details":{"x":[NaN]}}',
        b'{"name":"s","version":"1","labels":["a"],"input_size":8,"heads":["scores","vectors"],"floor":0.1,'
        b'"space":{"name":"w","dim":4},"thresholds_rest_on":{"a":7}}',
        b'{"kind":"text","name":"t","version":"1","space":{"name":"w","dim":4},"context":8,"pad_to":8,"text_normalization":"lower"}',
        b'{"name":"n","version":"1","labels":["a"],"input_size":8,"outputs":["scores"],"min_score":0.1}',
    ],
    "row": [bytes(100), bytes(range(200))],
    "sidecar": [
        *(describe(inside).encode(encoding) for encoding in ("utf-8", "utf-16") for inside in LISTS),
        ('<?xml version="1.0" encoding="iso-8859-1"?>' + describe(LISTS[0])).encode(),
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description exif:DateTimeOriginal="2013-07-20"/><rdf',
    ],
    "takeout": [
        b'{"title":"a.jpg","description":"x","photoTakenTime":{"timestamp":"1549188672"},"people":[{"name":"Anna"}],'
        b'"geoData":{"latitude":41.1,"longitude":-8.6,"altitude":NaN},"geoDataExif":{"latitude":1e999}}',
        b"\x1c\x01\x5a\0\3\x1b%G\x1c\2\x19\0\4bird\x1c\2\x37\0\x0820030704\x1c\2\x3c\0\x0b101112+0200",
        b"[a.jpg]\ncaption=x\nkeywords=lake,bird\nfaces=rect64(1),ab;\n[Contacts2]\nab=Anna;;\n",
        b"UNICODE\0w\0i\0d\0e\0",
        b"2003: 7: 4 10: 5: 6 PM",
        b"a-edited(1)\na.jpg.supplemental-meta(1)",
    ],
}


def photo_seeds() -> list[bytes]:
    rng = random.Random(corpus.SEED)
    import pillow_heif

    pillow_heif.register_heif_opener()
    whole = [corpus.encode(rng, **{**how, "size": (20, 16)}) for how in corpus.FORMATS.values()]
    special = [data for _, data in corpus.special_files(rng)]
    return whole + [data for data in special if len(data) < 20_000]


def shard_seeds() -> list[bytes]:
    """As workers write them, and as pyarrow writes the same table in other ways."""
    data = shards.write(SHARD, RESULTS)
    table, found = parquet.read_table(io.BytesIO(data)), [data]
    ways: list[dict[str, object]] = [{"use_dictionary": False}, {"compression": "none"}, {"data_page_version": "2.0"},
                                     {"row_group_size": 1}, {"data_page_size": 1}]  # fmt: skip
    for way in ways:
        out = io.BytesIO()
        parquet.write_table(table, out, **way)
        found.append(out.getvalue())
    return found


def graph_seeds() -> list[bytes]:
    from onnx import helper
    from toy import toy_graph

    plain, with_function = toy_graph(), toy_graph()
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    node = helper.make_node("Identity", ["a"], ["b"])
    with_function.functions.append(helper.make_function("own", "f", ["a"], ["b"], [node], opsets))
    with_function.graph.node.append(helper.make_node("f", ["scores"], ["more"], domain="own"))
    return [plain.SerializeToString(), with_function.SerializeToString()]


def main() -> None:
    name, *options = sys.argv[1:]
    seeds = SCRATCH / name
    seeds.mkdir()
    made = {"photo": photo_seeds, "shard": shard_seeds, "graph": graph_seeds}
    for i, data in enumerate(made[name]() if name in made else SEEDS[name]):
        (seeds / f"{i:03}").write_bytes(data)
    limits = ["-timeout=30", "-rss_limit_mb=4000", f"-max_len={MAX_LENGTHS.get(name, 3000)}"]
    target = {
        "query": fuzz_query, "csv": fuzz_csv, "card": fuzz_card, "photo": fuzz_photo, "shard": fuzz_shard,
        "row": fuzz_row, "graph": fuzz_graph, "sidecar": fuzz_sidecar, "takeout": fuzz_takeout,
    }[name]  # fmt: skip
    mutator = {"custom_mutator": mutate_shard} if name == "shard" else {}
    atheris.Setup([sys.argv[0], *limits, *options, str(seeds)], target, **mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
