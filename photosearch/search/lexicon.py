"""The English words that photographs are described with, and how common each is.

`python -m train lexicon` made lexicon.txt: each word with its occurrences in 30,000 captions, 0 for other usual words;
behind an empty line rare words, which are right and hardly meant by another. Its sources: the words of Flickr8k's
training captions (Hodosh, Young and Hockenmaier, 2013), of which only the counts are here; WordNet 3.0, whose licence
lies beside it; the vocabulary of all-MiniLM-L6-v2 (Apache-2.0).
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

LEXICON = Path(__file__).parent / "lexicon.txt"
MIN_PART, MIN_USED = 3, 5  # letters of each part of a compound, and its occurrences in captions
_DOUBLING = re.compile("[^aeiou]?[^aeiou][aeiou][^aeiouwxy]")  # run, stop: the last letter is doubled before -ing


@dataclass(frozen=True, slots=True)
class Lexicon:
    """counts: word in lower case -> its occurrences in captions, 0 for other usual words. rare: words beside these."""

    counts: Mapping[str, int]
    rare: frozenset[str] = frozenset()

    def count(self, word: str) -> int:
        return self.counts.get(word, 0)

    def count_name(self, name: str) -> int:
        """How common a name is: its rarest word's count."""
        return min((self.count(word) for word in name.casefold().split()), default=0)

    def knows(self, word: str) -> bool:
        """Whether a word in lower case is English: listed, a form of a listed one, or made of two that captions use."""
        return self.knows_form(word) or any(
            min(self.count(word[:i]), self.count(word[i:])) >= MIN_USED
            for i in range(MIN_PART, len(word) - MIN_PART + 1)
        )

    def knows_form(self, word: str) -> bool:
        """Whether a word is listed, or a regular form of a listed one."""
        if word in self.counts or word in self.rare:
            return True
        bases, short = _list_bases(word)
        return any(base in self.counts or base in self.rare for base in bases) or any(map(self.count, short))


@functools.cache
def read_lexicon() -> Lexicon:
    counted, _, rare = LEXICON.read_text(encoding="utf-8").partition("\n\n")
    fields = counted.split()
    return Lexicon(dict(zip(fields[::2], map(int, fields[1::2]), strict=True)), frozenset(rare.split()))


def _list_bases(word: str) -> tuple[list[str], list[str]]:
    """The words that this would be a form of: dog of dogs, run of running; short ones with e: ride of riding.

    The short ones may be another word's slip: rune of runing.
    """
    bases, short = [], []
    if word.endswith("es") and word[:-2].endswith(("s", "x", "z", "ch", "sh", "o")):
        bases.append(word[:-2])
    if word.endswith("s") and not word.endswith(("ss", "us")):
        bases.append(word[:-1])
    bases += [f"{word[: -len(ending)]}y" for ending in ("ies", "ied", "ier", "iers", "iest") if word.endswith(ending)]
    for ending in ("ing", "ed", "er", "ers", "est"):
        base = word.removesuffix(ending)
        if base == word or len(base) < MIN_PART:
            continue
        if _DOUBLING.fullmatch(base):
            short.append(f"{base}e")
        else:
            bases += [base, f"{base}e"] + ([base[:-1]] if base[-1] == base[-2] else [])
    return bases, short
