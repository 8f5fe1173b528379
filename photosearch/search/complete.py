"""Completion of a label, or of a question while it is typed: the labels that its last word may become.

Pure: text and names in, texts out.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from photosearch import query
from photosearch.errors import QueryError

MAX_COMPLETIONS = 12
_ALBUM = re.compile(
    r"""(?:^|[\s(,;\-\u2212])(?P<filter>album:)(?:"(?P<double>[^"]*)|'(?P<single>[^']*)|(?P<bare>[^\s()"']*))$""", re.I
)

Rank = Callable[[str], tuple[float, ...]]


def complete_query(
    text: str, names: Iterable[str], synonyms: Mapping[str, str] | None = None, rank: Rank | None = None
) -> list[str]:
    """Up to MAX_COMPLETIONS whole texts, each the question with its last word replaced by a label, best first.

    names, synonyms, rank: as in complete_name.
    """
    before, typed = _split(text)
    if not typed.strip():
        return []
    return [before + _quote(name) for name in complete_name(typed, names, synonyms, rank)[:MAX_COMPLETIONS]]


def complete_album(text: str, names: Iterable[str]) -> list[str] | None:
    """Whole texts whose last word, album:be or album:"be, is the filter of an album; None where it is no such filter.

    names: of the albums, in the order of the texts; those that begin so come before those with a later word that does.
    """
    typed = _ALBUM.search(text)
    if typed is None:
        return None
    before, begun = text[: typed.end("filter")], typed["double"] or typed["single"] or typed["bare"] or ""
    return [before + _quote_value(name) for name in complete_name(begun, names)[:MAX_COMPLETIONS]]


def _quote_value(name: str) -> str:
    quote = "'" if '"' in name else '"'
    return name if name.isalnum() else f"{quote}{name}{quote}"


def complete_name(
    typed: str, names: Iterable[str], synonyms: Mapping[str, str] | None = None, rank: Rank | None = None
) -> list[str]:
    """The names that a typed beginning may become, best first; all for no text.

    Names that begin like it come first, then names with a later word that does, then names with such a synonym.
    synonyms: other words for names -> the name. rank: of a name, the lowest first; without it, in the order given.
    """
    prefix = " ".join(typed.casefold().split())
    meant = {label for word, label in (synonyms or {}).items() if word.startswith(prefix)}
    found = []
    for place, name in enumerate(dict.fromkeys(names)):
        folded = name.casefold()
        later_word = f" {prefix}" in f" {folded}".replace("-", " ")
        if folded.startswith(prefix) or later_word or name in meant:
            group = 0 if folded.startswith(prefix) else 1 if later_word else 2
            found.append((group, (place,) if rank is None else rank(name), name))
    return [name for _, _, name in sorted(found)]


def _split(text: str) -> tuple[str, str]:
    """(the finished part, the label being typed): the words at the end, or all that follows an open quote."""
    tokens = query.tokenize(text)
    if tokens and tokens[-1].kind == "unclosed":
        return text[: tokens[-1].start], text[tokens[-1].start + 1 :]
    start = len(text)
    for token in reversed(tokens):
        # A keyword at the very end may still grow into another word: and -> android.
        is_typed = token.kind == "keyword" and token is tokens[-1] and not text[-1].isspace()
        if token.kind != "word" and not is_typed:
            break
        start = token.start
    return text[:start], text[start:]


def _quote(name: str) -> str:
    """A label as a question must spell it: in quotes where it would be read as anything else."""
    try:
        return name if query.parse(name) == query.Is(name) else f'"{name}"'
    except QueryError:
        return f'"{name}"'
