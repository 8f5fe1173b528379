"""Fuzz the four readers of untrusted input: make fuzz MINUTES=10

    query   what was typed after `find`         -> a tree, or QueryError
    csv     a sheet of truth                    -> rows, or InputError
    card    an image or text model's card       -> one that can be written and read again, or ValueError
    photo   a file's bytes                      -> pixels of the promised shape, or Unreadable

One target for some seconds: python tests/fuzz/fuzz.py card -max_total_time=600. Any other exception, a crash or a
hang is a finding: libFuzzer leaves its input as crash-* in the current folder. Needs `pip install -e '.[fuzz]'`
(atheris, https://github.com/google/atheris; Linux and macOS).
"""

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

    from photosearch import query
    from photosearch.errors import InputError, QueryError
    from photosearch.judging import truth
    from photosearch.models.card import Card, TextCard, parse_card
    from photosearch.models.session import pool
    from photosearch.photos import decode

# In memory where there is such a place: the CSV reader takes a file, and a disk gives it 8 a second.
SCRATCH = Path(tempfile.mkdtemp(prefix="photosearch-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
SIZE = 8


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
}


def photo_seeds() -> list[bytes]:
    rng = random.Random(corpus.SEED)
    import pillow_heif

    pillow_heif.register_heif_opener()
    whole = [corpus.encode(rng, **{**how, "size": (20, 16)}) for how in corpus.FORMATS.values()]
    special = [data for _, data in corpus.special_files(rng)]
    return whole + [data for data in special if len(data) < 20_000]


def main() -> None:
    name, *options = sys.argv[1:]
    seeds = SCRATCH / name
    seeds.mkdir()
    for i, data in enumerate(photo_seeds() if name == "photo" else SEEDS[name]):
        (seeds / f"{i:03}").write_bytes(data)
    limits = ["-timeout=30", "-rss_limit_mb=4000", "-max_len=30000" if name == "photo" else "-max_len=3000"]
    target = {"query": fuzz_query, "csv": fuzz_csv, "card": fuzz_card, "photo": fuzz_photo}[name]
    atheris.Setup([sys.argv[0], *limits, *options, str(seeds)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
