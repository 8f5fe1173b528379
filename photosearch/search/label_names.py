"""Which label a word means: by its name, letter case aside, by a synonym or in the plural; an article is ignored.

Pure: names in, a name out. Everything that takes a label from a user asks here: questions, marks, CSV files, keywords,
learning and reports.
"""

import difflib
import functools
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
    folded = _fold_names(tuple(names))
    spellings = list(_list_spellings(word))
    for text in spellings:
        if text in names:
            return text
        if (label := folded.get(fold_name(text))) is not None:
            return label
        synonym = read_synonyms().get(fold_name(text))
        if synonym in names:
            return synonym
    singulars = (one for text in spellings for one in _list_singulars(fold_name(text)))
    return next((folded[one] for one in singulars if one in folded), None)


@functools.lru_cache(maxsize=8)
def _fold_names(names: tuple[str, ...]) -> dict[str, str]:
    """Folded -> the name; of several, the first. All words of a question, and all questions, ask the same names."""
    return {fold_name(name): name for name in reversed(names)}


def fold_name(name: str) -> str:
    """The same text for all spellings of a name: letter case, white space and composed accents (NFC, NFD) aside."""
    return unicodedata.normalize("NFC", " ".join(name.split()).casefold())


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
    """A name for a label of the user's own, tidied: white space, accents. Raises InputError where it can't be one."""
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not name or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        raise InputError(f"{name!r} can't be a label's name: give it up to {MAX_NAME_LENGTH} printable characters")
    return name


def _list_spellings(word: str) -> Iterator[str]:
    yield word
    first, _, rest = word.partition(" ")
    if first.casefold() in ARTICLES and rest:
        yield rest


def _list_singulars(name: str) -> Iterator[str]:
    """What a name may be the regular plural of: my dogs -> my dog."""
    if name.endswith("ies"):
        yield f"{name[:-3]}y"
    if name.endswith("es"):
        yield name[:-2]
    if name.endswith("s") and not name.endswith("ss"):
        yield name[:-1]


def _suggest(word: str, names: list[str]) -> list[str]:
    """The names that are spelled most like a word; where none is, the first ten."""
    folded = _fold_names(tuple(names))
    near = difflib.get_close_matches(fold_name(word), folded, n=MAX_SUGGESTIONS, cutoff=0.5)
    return [folded[name] for name in near] or names[:10]
