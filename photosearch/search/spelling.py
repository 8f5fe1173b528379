"""Slips of the keyboard in a question: words that mean nothing are corrected, doubtful ones asked about.

A noisy channel (Kernighan, Church and Gale, 1990): of the words within one or two edits, the likeliest is the one that
is common in captions or a label that many photos here have, and that a small slip turns into what was typed. Swapped
and doubled letters, neighbouring keys and wrong vowels are small slips. Where the second best is about as likely, or
the typed word means something, nothing is changed. Capitals may be names, so they are only asked about, and so are
words that a photo's file says: oma is a keyword here, and no coma.

Pure: text in, text out. `python -m train spelling` measures it on captions.
"""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from photosearch import query
from photosearch.search.language import detect_language
from photosearch.search.lexicon import Lexicon

MIN_LETTERS, MAX_LETTERS = 3, 24  # of a word that is corrected
MAX_EDITS, TWO_EDITS = 2, 8  # two edits are tried from 8 letters on, else one
MAX_WORDS = 60  # of a question, that are looked at
MARGIN = 1.0  # natural logarithm: how much likelier the best word must be than the second, to be taken
LABEL_WEIGHT = 50  # occurrences in captions that a label is worth that this library has photos of
RARE, FREQUENT = 0, 200  # occurrences of a known word, and of another, from which on it is asked about
MAX_DOUBT = 4.5  # the cost of an edit, up to which a known word is asked about
EDGES = ".,;:!?&+-*#"  # punctuation at a word's edges
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
VOWELS = frozenset("aeiouy")
# Beginnings and ends of the names that cameras and phones give files.
FILE_WORDS = frozenset(
    "dsc dscf dscn img imgp mvi mov vid pict pxl gopr sam heic heif jpg jpeg jxl png gif tif tiff bmp webp avif raw "
    "dng nef arw orf raf xmp".split()
)
ENDINGS = ("s", "es", "ed", "d", "ing", "er", "ers", "ly")
# Costs of slips: natural logarithms of how much rarer than a right word each is.
SWAPPED, DOUBLED, DROPPED, NEIGHBOUR, VOWEL, OTHER = 3.5, 3.0, 4.0, 4.0, 4.5, 6.5
HEARD = 2.5  # spelled by ear: elefant
RESPELLED = (("f", "ph"), ("ph", "f"), ("k", "c"), ("c", "k"), ("k", "ch"), ("z", "s"))
FIRST_LETTER = 2.0  # in addition, where the first letter is wrong


@dataclass(frozen=True, slots=True)
class Change:
    """A word as it was typed, and the word that was meant."""

    typed: str
    meant: str


@dataclass(frozen=True, slots=True)
class Correction:
    """text: the question with its changes made. suggestions: likely words, not taken since the typed ones may be."""

    text: str
    changes: tuple[Change, ...] = ()
    suggestions: tuple[Change, ...] = ()


def correct(
    text: str, lexicon: Lexicon, weights: Mapping[str, int] | None = None,
    is_said: Callable[[str], bool] = lambda word: False,
) -> Correction:  # fmt: skip
    """Correct a question word by word. Quoted text, numbers, file names and other languages stay as they are.

    weights: of the words of labels, as weigh_label_words gives them: they mean something. is_said: whether files say a
    word; asked only of those that would be changed or asked about.
    """
    weights = weights or {}
    if detect_language(text, lexicon) is not None:
        return Correction(text)
    shouted = text.isupper()
    changes, suggestions, result = [], [], text
    for token in reversed([t for t in query.tokenize(text) if t.kind == "word"][:MAX_WORDS]):
        typed = token.text.strip(EDGES)
        word = typed.lower()
        if not _can_be_mistyped(word) or word in weights or word.removesuffix("s") in weights:
            continue
        may_be_name = typed != word and not shouted
        change = Change(typed, "")
        if lexicon.knows(word):
            meant = None if may_be_name else _find_commoner(word, lexicon, weights)
            suggestions += [] if meant is None or is_said(word) else [Change(typed, meant)]
            continue
        ranked = rank_candidates(word, lexicon, weights)
        if not ranked:
            continue
        meant, best = ranked[0]
        change = Change(typed, meant)
        is_doubtful = may_be_name or (len(ranked) > 1 and best - ranked[1][1] < MARGIN)
        if (said := is_said(word)) or is_doubtful:
            suggestions += [] if said and is_doubtful else [change]
            continue
        changes.append(change)
        at = token.start + token.text.index(typed)
        result = result[:at] + meant + result[at + len(typed) :]
    return Correction(result, tuple(reversed(changes)), tuple(reversed(suggestions)))


def rank_candidates(word: str, lexicon: Lexicon, weights: Mapping[str, int]) -> list[tuple[str, float]]:
    """(candidate, log-likelihood) of the words that one may have been meant by another, the likeliest first.

    weights: words of labels -> occurrences that they are worth.
    """
    from rapidfuzz import process  # 20 ms to import
    from rapidfuzz.distance import OSA

    slips: dict[str, float] = {}
    for choices in (lexicon.counts, weights):
        near = process.extract(word, choices.keys(), scorer=OSA.distance, score_cutoff=count_edits(word), limit=None)
        slips |= {candidate: measure_slip(candidate, word) for candidate, _, _ in near}
    for written, meant in RESPELLED:
        if (candidate := word.replace(written, meant)) != word and (
            candidate in lexicon.counts or candidate in weights
        ):
            slips[candidate] = min(HEARD, slips.get(candidate, HEARD))
    found = {
        candidate: math.log(lexicon.count(candidate) + weights.get(candidate, 0) + 0.5) - cost
        for candidate, cost in slips.items()
        if len(candidate) >= MIN_LETTERS - 1
    }
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def count_edits(word: str) -> int:
    """How many edits away a word's candidates may lie."""
    return MAX_EDITS if len(word) >= TWO_EDITS else 1


def measure_slip(meant: str, typed: str) -> float:
    """The cost of typing one word for another: the sum over its edits."""
    from rapidfuzz.distance import OSA, Levenshtein

    cost = 0.0 if meant[:1] == typed[:1] else FIRST_LETTER
    edits = [(edit.tag, edit.src_pos, edit.dest_pos) for edit in Levenshtein.editops(meant, typed)]
    if (swaps := len(edits) - OSA.distance(meant, typed)) > 0:
        return cost + swaps * SWAPPED + (len(edits) - 2 * swaps) * OTHER
    for kind, i, j in edits:
        if kind == "replace":
            cost += _measure_replaced(meant[i], typed[j])
        elif kind == "insert":  # doubled, or a key beside the right one too
            beside = {meant[k] for k in (i - 1, i) if 0 <= k < len(meant)}
            doubled = typed[j] in beside
            cost += DOUBLED if doubled else NEIGHBOUR if any(typed[j] in _find_neighbours(c) for c in beside) else OTHER
        else:
            around = (meant[i - 1 : i], meant[i + 1 : i + 2])
            cost += DOUBLED if meant[i] in around else DROPPED
    return cost


def _measure_replaced(meant: str, typed: str) -> float:
    if typed in _find_neighbours(meant):
        return NEIGHBOUR
    return VOWEL if {meant, typed} <= VOWELS else OTHER


@functools.cache
def _find_neighbours(letter: str) -> frozenset[str]:
    """The keys beside, above and below a letter's."""
    for y, row in enumerate(ROWS):
        if (x := row.find(letter)) >= 0:
            places = [(y, x - 1), (y, x + 1), (y - 1, x), (y - 1, x + 1), (y + 1, x - 1), (y + 1, x)]
            return frozenset(ROWS[j][i] for j, i in places if 0 <= j < len(ROWS) and 0 <= i < len(ROWS[j]))
    return frozenset()


def _find_commoner(word: str, lexicon: Lexicon, weights: Mapping[str, int]) -> str | None:
    """A word that is much commoner than this known one, and a small slip away; None without one."""
    if lexicon.count(word) > RARE:
        return None
    for candidate, _ in rank_candidates(word, lexicon, weights)[:1]:
        frequent = lexicon.count(candidate) >= FREQUENT or weights.get(candidate, 0) > LABEL_WEIGHT
        if frequent and measure_slip(candidate, word) <= MAX_DOUBT and not _is_form(word, candidate):
            return candidate
    return None


def _is_form(word: str, other: str) -> bool:
    """Whether two words differ by an ending only, as climb and climbs do."""
    shorter, longer = sorted((word, other), key=len)
    return longer.startswith(shorter) and longer[len(shorter) :] in ENDINGS


def _can_be_mistyped(word: str) -> bool:
    usual = word.isascii() and word.isalpha() and word not in FILE_WORDS
    return usual and MIN_LETTERS <= len(word) <= MAX_LETTERS


def weigh_label_words(labels: Mapping[str, int]) -> dict[str, int]:
    """Each word of the labels -> what it is worth: the more, the more photos have such a label.

    labels: names, and other words for them -> how many photos here have them.
    """
    weights: dict[str, int] = {}
    for name, photos in labels.items():
        for word in name.casefold().split():
            weights[word] = max(weights.get(word, 0), LABEL_WEIGHT + photos if photos else 0)
    return weights
