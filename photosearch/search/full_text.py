"""A description's words in what files say of photos, fused with likeness by reciprocal rank.

A photo's words are those of its folders, name, title, caption, keywords, people and places. Its weight is the share of
the description's words that are among them, each by how rare it is here (inverse document frequency), so that one
everyday word of many weighs little. Of two lists of one question a photo's rank is the sum of its reciprocal ranks
(Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
2009), that of the words times its weight. Photos without words keep their order.

The work is bounded whatever the library holds: of a word so many photos have that they are not all listed, only the
best candidates' texts are read.
"""

import functools
import math
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from photosearch.library.database import Database
from photosearch.library.photos import list_photo_ids
from photosearch.library.words import find_images_by_word, read_texts

if TYPE_CHECKING:
    from photosearch.search.similar import Ranked

RRF_K = 60  # the paper's
# Of a photo's weight. Chosen on half of Flickr8k's 1,000 test photos, a fifth of which had a caption, each found by
# another caption: of 0 to 4 the one that all but keeps the rank of those without (R@1 0.197: 0.192, with 0: 0.023).
POWER = 4.0
MAX_WORDS = 16  # of a description
MAX_LISTED = 20_000  # images of all words together
MAX_READ = 1_000  # images whose texts are read
WHOLE = 0.999  # weight of a photo that has all words
STOP_WORDS = frozenset(
    "a an the some this that these those its his her their my our your and or but nor not no without of in on at by to "
    "from with into onto over under up down out off near for as is are was were be been being am do does did has have "
    "had having it he she they we you i him them me us who whom whose which what where when while there here one "
    "another other each all any both through across along around behind above below between beside next front back "
    "top very just so than then too also if because about against during before after during until since like look "
    "looking photo photos picture pictures image images".split()
)
_WORD = re.compile(r"[^\W_]+")


@dataclass(slots=True)
class SpokenWords:
    """The words of a description that are looked up. forms: of each word. rarity: of each, 0 and more.

    found: image -> the words it is known to have, as indices. common: the words of which not all images are listed.
    """

    forms: Sequence[frozenset[str]]
    rarity: Sequence[float]
    found: dict[int, set[int]]
    common: Collection[int] = ()
    checked: set[int] = field(default_factory=set)

    def weigh(self, image_id: int) -> float:
        """The share of the words that a photo of the image has, each by its rarity, 0..1."""
        return sum(self.rarity[i] for i in self.found.get(image_id, ())) / sum(self.rarity)


def list_content_words(text: str) -> list[str]:
    """The words that say something, each once, folded: a dog on the beach -> dog, beach."""
    words = dict.fromkeys(word for word in fold_words(text) if word not in STOP_WORDS and len(word) > 1)
    return list(words)[:MAX_WORDS]


@functools.lru_cache(maxsize=50_000)
def fold_words(text: str) -> tuple[str, ...]:
    """The words of a text as the full-text index takes them: lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text.lower())
    return tuple(_WORD.findall("".join(c for c in plain if not unicodedata.combining(c))))


def list_forms(word: str) -> frozenset[str]:
    """A word, its regular plural, and what it may be the plural of: dogs -> dog, dogs."""
    forms = {word, f"{word}s"}
    if word.endswith("y"):
        forms.add(f"{word[:-1]}ies")
    if word.endswith(("s", "x", "ch", "sh")):
        forms.add(f"{word}es")
    if word.endswith("ies") and len(word) > 4:
        forms.add(f"{word[:-3]}y")
    if word.endswith("es") and len(word) > 4:
        forms.add(word[:-2])
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        forms.add(word[:-1])
    return frozenset(forms)


def look_up_words(db: Database, text: str, n_images: int, among: Sequence[int] | None) -> SpokenWords | None:
    """Which images have which words of a description; None where no photo has any. among: image ids, None: all."""
    forms = [list_forms(word) for word in list_content_words(text)]
    if not forms:
        return None
    limit, found, common, counts = MAX_LISTED // len(forms), dict[int, set[int]](), set[int](), list[int]()
    allowed = None if among is None else set(among)
    for i, each in enumerate(forms):
        images, is_whole = find_images_by_word(db, sorted(each), limit)
        counts.append(len(images))
        if not is_whole:
            common.add(i)
        for image_id in images:
            if allowed is None or image_id in allowed:
                found.setdefault(image_id, set()).add(i)
    rarity = [math.log1p(n_images / (1 + count)) for count in counts]
    return SpokenWords(forms, rarity, found, common) if found or common else None


def check_texts(db: Database, spoken: SpokenWords, image_ids: Sequence[int]) -> None:
    """Read which of the common words these images have, MAX_READ of them."""
    left = [i for i in image_ids[:MAX_READ] if i not in spoken.checked]
    if not spoken.common or not left:
        return
    spoken.checked.update(left)
    images = list_photo_ids(db, left)
    for photo_id, texts in read_texts(db, list(images)).items():
        words = {word for _, text in texts for word in fold_words(text)}
        has = {i for i in spoken.common if spoken.forms[i] & words}
        if has:
            spoken.found.setdefault(images[photo_id], set()).update(has)


def fuse_words(db: Database, spoken: SpokenWords, ranked: "Sequence[Ranked]") -> "list[Ranked]":
    """Images in the order of likeness -> in that of likeness and words."""
    check_texts(db, spoken, [each.image_id for each in ranked])
    weights = {each.image_id: spoken.weigh(each.image_id) for each in ranked if each.image_id in spoken.found}
    return fuse(ranked, weights)


def fuse(ranked: "Sequence[Ranked]", weights: Mapping[int, float]) -> "list[Ranked]":
    """Images in the order of likeness -> in that of likeness and words. weights: of the images that have words, 0..1.

    An image that has all words surely is what is asked for, whatever its evidence was.
    """
    from photosearch.search.similarity_cutoff import SURE

    if not weights:
        return list(ranked)
    places = _rank_weights([round(weights.get(r.image_id, 0.0), 6) for r in ranked])
    fused = []
    for i, (each, place) in enumerate(zip(ranked, places, strict=True), 1):
        weight = weights.get(each.image_id, 0.0)
        rank = 1 / (RRF_K + i) + weight**POWER / (RRF_K + place)
        evidence = max(each.evidence, SURE) if weight >= WHOLE else each.evidence
        fused.append(replace(each, rank=rank, evidence=evidence))
    return sorted(fused, key=lambda each: -each.rank)


def _rank_weights(weights: Sequence[float]) -> list[int]:
    """The place of each in the order of weights, from 1; equal ones share the first."""
    first: dict[float, int] = {}
    for i, weight in enumerate(sorted(weights, reverse=True), 1):
        first.setdefault(weight, i)
    return [first[weight] for weight in weights]
