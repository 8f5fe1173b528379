"""Which label a word means: by its name or a synonym; letter case, Unicode form and an article before it don't matter.

Pure: names in, a name out. Everything that takes a label from a user asks here: questions, marks, CSV files, keywords,
learning and reports.
"""

import difflib
import unicodedata
from collections.abc import Iterable, Iterator

from photosearch.errors import InputError, QueryError
from photosearch.search.hierarchy import read_synonyms

MAX_NAME_LENGTH = 100  # characters
MAX_SUGGESTIONS = 5
ARTICLES = ("a", "an", "the", "some")


def match_label(word: str, known: Iterable[str]) -> str | None:
    """The known label that a word means, None where it means none."""
    names = dict.fromkeys(known)
    folded = {_fold(name): name for name in reversed(names)}
    for text in _spellings(word):
        if text in names:
            return text
        if (label := folded.get(_fold(text))) is not None:
            return label
        synonym = read_synonyms().get(text.casefold())
        if synonym in names:
            return synonym
    return None


def resolve_label(word: str, known: Iterable[str], *, hint: str = "") -> str:
    """The known label that a word means. Raises QueryError, which suggests the nearest labels and gives the hint."""
    names = list(dict.fromkeys(known))
    if (label := match_label(word, names)) is not None:
        return label
    hint = hint and f"; {hint}"
    if not names:
        raise QueryError(f"no label {word!r}: nothing is indexed yet; run `photosearch index FOLDER`{hint}")
    nearest = ", ".join(_suggest(word, names))
    raise QueryError(f"no label {word!r}; the nearest are: {nearest} (all: `photosearch labels`){hint}")


def check_label_name(name: str) -> str:
    """A name for a label of the user's own, white space collapsed. Raises InputError where it can't be one."""
    name = " ".join(name.split())
    if not name or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise InputError(f"{name!r} can't be a label's name: give it up to {MAX_NAME_LENGTH} printable characters")
    return name


def _fold(text: str) -> str:
    """Equal for texts that differ in case, or in how accents are encoded (NFC, NFD)."""
    return unicodedata.normalize("NFC", text.casefold())


def _spellings(word: str) -> Iterator[str]:
    yield word
    first, _, rest = word.partition(" ")
    if first.casefold() in ARTICLES and rest:
        yield rest


def _suggest(word: str, names: list[str]) -> list[str]:
    """The names that are spelled most like a word; where none is, the first ten."""
    folded = {name.casefold(): name for name in reversed(names)}
    near = difflib.get_close_matches(word.casefold(), folded, n=MAX_SUGGESTIONS, cutoff=0.5)
    return [folded[name] for name in near] or names[:10]
