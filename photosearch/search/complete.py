"""A query that is being typed -> how it may go on: the labels that the word at its end may become.

Pure: text and names in, texts out.
"""

import re
from collections.abc import Iterable, Mapping

MAX_COMPLETIONS = 12
_KEYWORD = re.compile(r"\b(?:and|or|not)\s+", re.IGNORECASE)
_PLAIN = re.compile(r"[^\s()\"']+(?: [^\s()\"']+)*")


def complete_query(text: str, names: Iterable[str], synonyms: Mapping[str, str] | None = None) -> list[str]:
    """Up to MOST whole texts, each the query with the word at its end made a label; the likeliest first.

    names: the labels, in the order of their rank. synonyms: other words for them -> the label. First come labels that
    begin as the word does, then those with a later word that does, then what its synonyms mean.
    """
    before, word = _cut(text)
    wanted = " ".join(word.casefold().split())
    if not wanted:
        return []
    known = list(dict.fromkeys(names))
    ranked = [name for name in known if name.casefold().startswith(wanted)]
    ranked += [name for name in known if f" {wanted}" in f" {name.casefold()}".replace("-", " ")]
    there = set(known)
    ranked += [label for other, label in (synonyms or {}).items() if other.startswith(wanted) and label in there]
    return [before + _as_typed(name) for name in dict.fromkeys(ranked)][:MAX_COMPLETIONS]


def _cut(text: str) -> tuple[str, str]:
    """(what stands fast, the word that is being typed), which begins after a bracket, a quote, `and`, `or`, `not`."""
    start = max(text.rfind("("), text.rfind(")")) + 1
    if (text.count('"') % 2) == 1:  # a quote is open: the word is all that is in it
        quote = text.rfind('"')
        return text[:quote], text[quote + 1 :]
    for keyword in _KEYWORD.finditer(text):
        start = max(start, keyword.end())
    while start < len(text) and text[start].isspace():
        start += 1
    return text[:start], text[start:]


def _as_typed(name: str) -> str:
    """A label as a query understands it: in quotes where it holds a bracket, a quote or a keyword."""
    words = name.casefold().split()
    plain = _PLAIN.fullmatch(name) and not {"and", "or", "not"} & set(words)
    return name if plain else f'"{name}"'
