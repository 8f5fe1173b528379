"""Completion of a question while it is typed: the labels that its last word may become.

Pure: text and names in, texts out.
"""

from collections.abc import Iterable, Mapping

from photosearch import query
from photosearch.errors import QueryError

MAX_COMPLETIONS = 12


def complete_query(text: str, names: Iterable[str], synonyms: Mapping[str, str] | None = None) -> list[str]:
    """Up to MAX_COMPLETIONS whole texts, each the question with its last word replaced by a label, best first.

    names: the labels, in the order of their rank. synonyms: other words for them -> the label. Labels that begin like
    the word come first, then labels with a later word that does, then labels with such a synonym.
    """
    before, typed = _split(text)
    prefix = " ".join(typed.casefold().split())
    if not prefix:
        return []
    known = dict.fromkeys(names)
    ranked = [name for name in known if name.casefold().startswith(prefix)]
    ranked += [name for name in known if f" {prefix}" in f" {name.casefold()}".replace("-", " ")]
    ranked += [label for word, label in (synonyms or {}).items() if word.startswith(prefix) and label in known]
    return [before + _quote(name) for name in dict.fromkeys(ranked)][:MAX_COMPLETIONS]


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
