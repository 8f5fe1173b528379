"""WordNet 3.0's nouns: words of a synset, hypernyms, and the senses of a word by frequency.

Source: Christiane Fellbaum (ed.), "WordNet: An Electronic Lexical Database", 1998, https://wordnet.princeton.edu. The
publisher's own database files (WNdb-3.0.tar.gz, or Debian's wordnet-base below /usr/share/wordnet): data.noun,
index.noun, noun.exc; their format is wndb(5WN). An id is `n` and the eight digits of the offset, as in ImageNet, and
valid for version 3.0 only. n02084071 is the dog.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from train.data import need

NAME = "wordnet"
HINT = "unpack the publisher's WNdb-3.0.tar.gz, then use --wordnet with the folder of data.noun"


@dataclass(frozen=True, slots=True)
class Synset:
    """One sense. words: the most usual one first. above: the ids of its direct hypernyms."""

    id: str
    words: tuple[str, ...]
    above: tuple[str, ...]
    gloss: str


def synsets(folder: str | Path) -> dict[str, Synset]:
    """Every noun, by id. Raises InputError."""
    lines = need(Path(folder) / "data.noun", NAME, HINT).read_text(encoding="latin-1").splitlines()
    return {s.id: s for s in parse(lines)}


def parse(lines: Iterable[str]) -> Iterator[Synset]:
    """Lines of data.noun; the licence's lines begin with two spaces."""
    for line in lines:
        if line.startswith("  ") or not line.strip():
            continue
        fields, _, gloss = line.partition("|")
        parts = fields.split()
        count = int(parts[3], 16)
        words = tuple(parts[4 + 2 * i].replace("_", " ") for i in range(count))
        start = 4 + 2 * count
        pointers = [parts[start + 1 + 4 * i : start + 5 + 4 * i] for i in range(int(parts[start]))]
        above = tuple(f"n{offset}" for kind, offset, *_ in pointers if kind in ("@", "@i"))
        yield Synset(f"n{parts[0]}", words, above, gloss.strip())


def senses(folder: str | Path) -> dict[str, tuple[str, ...]]:
    """A word in lower case -> the ids of its senses as a noun, the most frequent one first."""
    found = {}
    for line in need(Path(folder) / "index.noun", NAME, HINT).read_text(encoding="latin-1").splitlines():
        if line.startswith("  "):
            continue
        parts = line.split()
        found[parts[0].replace("_", " ")] = tuple(f"n{offset}" for offset in parts[-int(parts[2]) :])
    return found


def plurals(folder: str | Path) -> dict[str, str]:
    """Irregular plurals: mouse -> mice. Of several, the first in the alphabet."""
    found: dict[str, str] = {}
    for line in need(Path(folder) / "noun.exc", NAME, HINT).read_text(encoding="latin-1").splitlines():
        many, one = line.split()[:2]
        found.setdefault(one.replace("_", " "), many.replace("_", " "))
    return found


def climb(id: str, nouns: Mapping[str, Synset]) -> set[str]:
    """The ids of all hypernyms of a synset, and its own."""
    found: set[str] = set()
    todo = [id]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += nouns[one].above
    return found
