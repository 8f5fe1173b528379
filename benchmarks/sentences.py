"""A sentence asked of a large library: places, cameras and ten words for every photo, made up.

Each photo has a place, a camera, three keywords and a caption; words are drawn by Zipf's law from VOCABULARY, so
that the commonest is in a large share of the photos. Times are of a running program; core time is that of this process,
which other programs on the machine change less.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks.library import LIMIT, PER_FOLDER, build
from benchmarks.measure import Figures, median_ms
from photosearch import MAX_COUNTED, Library
from photosearch.library.database import Database
from photosearch.library.details import put_details
from photosearch.library.schema import VERSION
from photosearch.library.words import find_by_words
from photosearch.metadata.record import PhotoMetadata, Position

VOCABULARY = 5_000
SEED = 1
TOWNS = ((41.15, -8.61), (38.72, -9.14), (51.51, -0.13), (48.86, 2.35), (41.89, 12.49), (52.37, 4.9), (40.71, -74.01),
         (35.68, 139.69), (-33.92, 18.42), (59.33, 18.07))  # fmt: skip
CAMERAS = (("Apple", "iPhone 12"), ("Canon", "Canon EOS 5D"), ("NIKON", "D90"), ("SONY", "ILCE-7M3"))
SENTENCES = (
    "bird", "bird and dog", "bird or dog", "bird and not dog", "not bird", "dog in portugal", "dog -bird in portugal",
    "bird since june 2026", "dog in france since june 2026", "bird in italy in march 2026",
    "dog in portugal last summer", "in:Portugal or in:France dog", "dog taken with the iPhone", "text:word0", "",
)  # fmt: skip
DESCRIPTIONS = ("word3 word40 on a beach", "a red car on a beach")
WORDS = ("word0", "word10", "word1000", "word0 word10")
TODAY = "2026-11-30"


def measure_sentences(work: Path, *, n: int = 1_000_000, n_vectors: int = 100_000, repeats: int = 10) -> Figures:
    """n: photos in the library that is asked for labels. n_vectors: in the one that is asked for descriptions."""
    rows: list[dict[str, Any]] = []
    with Library(_build_told(work, n)) as library:
        for words in SENTENCES:
            row = _measure(f'find "{words}"', n, repeats, partial(library.find, words, limit=LIMIT, today=TODAY))
            count = partial(library.count, words, up_to=MAX_COUNTED + 1, today=TODAY)
            counted = _measure(words, n, repeats, lambda count=count: range(count()))  # type: ignore[misc]
            rows.append({**row, "count": counted["found"], "count_core_ms": counted["core_ms"]})
    with Database(_build_told(work, n)) as db:
        for words in WORDS:
            rows.append(_measure(f'find_words("{words}")', n, repeats,
                                 partial(find_by_words, db, words, limit=100)))  # fmt: skip
    with Library(_build_told(work, n_vectors, with_vectors=True)) as library:
        for words in DESCRIPTIONS:
            rows.append(_measure(f'find "{words}"', n_vectors, repeats, partial(library.find, words)))
    return {"n": n, "n_vectors": n_vectors, "repeats": repeats, "questions": rows}


def _measure(question: str, n: int, repeats: int, ask: Callable[[], Any]) -> dict[str, Any]:
    found = len(ask())
    begun = time.process_time()
    ms = median_ms(ask, repeats)
    core_ms = 1000 * (time.process_time() - begun) / repeats
    return {"question": question, "photos": n, "found": found, "ms": ms, "core_ms": core_ms}


def _build_told(work: Path, n: int, *, with_vectors: bool = False) -> Path:
    """A library whose files say something; what is there already is kept."""
    told = work / f"sentences-{VERSION}-{n}{'-vectors' if with_vectors else ''}.db"
    if told.exists():
        return told
    built = build(told.with_suffix(".bare"), n, with_vectors=with_vectors)
    random_ = random.Random(SEED)
    shares = list(accumulate(1 / (i + 1) for i in range(VOCABULARY)))
    vocabulary = [f"word{i}" for i in range(VOCABULARY)]
    with Database(built) as db:
        ids = [photo_id for (photo_id,) in db.rows("SELECT id FROM photos ORDER BY id")]
        for first in range(0, n, PER_FOLDER):
            with db.transaction():
                for photo_id in ids[first : first + PER_FOLDER]:
                    words = random_.choices(vocabulary, cum_weights=shares, k=8)
                    make, model = random_.choice(CAMERAS)
                    said = PhotoMetadata(
                        keywords=tuple(dict.fromkeys(words[:3])), caption=" ".join(words[3:]), make=make, model=model,
                        position=Position(*random_.choice(TOWNS)),
                    )  # fmt: skip
                    put_details(db, photo_id, said, 0)
    built.replace(told)
    return told
