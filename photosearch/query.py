"""What the user typed after `find` -> which labels, how they are joined, and what that means.

    bird                     photos with a bird
    bird and not dog         and, or, not, and parentheses; `not` binds first, then `and`, then `or`
    flamingo_head            a label is one word ...
    Geoffroy's cat           an apostrophe inside a word is part of it
    "red panda" or cat       ... or stands in quotes; words side by side are one label too: red panda or cat

Pure: text in, a tree out. `matches` is what a query means, in plain Python; store.find says the same in SQL,
and a property test holds the two together.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from photosearch.errors import QueryError

MAX_LENGTH = 2_000  # characters
MAX_DEPTH = 40  # brackets in brackets
MAX_LABELS = 50  # however often the same; SQLite joins at most 64 tables, and its max() takes at most 127 numbers
_TOKEN = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([()])|([^\s()"']+(?:(?<=\w)'(?=\w)[^\s()"']+)*))""")


@dataclass(frozen=True, slots=True)
class Is:
    label: str


@dataclass(frozen=True, slots=True)
class Not:
    part: "Query"


@dataclass(frozen=True, slots=True)
class And:
    parts: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Or:
    parts: tuple["Query", ...]


Query = Is | Not | And | Or


def parse(text: str) -> Query:
    """Raises QueryError, with what was expected and where."""
    if len(text) > MAX_LENGTH:
        raise QueryError(f"the query has {len(text)} characters, more than {MAX_LENGTH}; ask for less at once")
    tokens = _tokens(text)
    tree = _or(tokens, MAX_DEPTH)
    if tokens:
        raise QueryError(f"don't understand {tokens[0][1]!r} there; quote a label that holds spaces or brackets")
    if _mentions(tree) > MAX_LABELS:
        raise QueryError(f"more than {MAX_LABELS} labels; ask for less at once")
    return tree


def list_labels(q: Query) -> list[str]:
    """The labels in a query, each once, in the order in which they stand there."""
    match q:
        case Is(name):
            return [name]
        case Not(part):
            return list_labels(part)
        case And(parts) | Or(parts):
            return list(dict.fromkeys(name for part in parts for name in list_labels(part)))


def matches(q: Query, scores: Mapping[str, float], thresholds: Mapping[str, float]) -> bool:
    """Whether the query holds for a photo with these scores: a label does from its threshold on."""
    match q:
        case Is(name):
            return scores[name] >= thresholds[name]
        case Not(part):
            return not matches(part, scores, thresholds)
        case And(parts):
            return all(matches(p, scores, thresholds) for p in parts)
        case Or(parts):
            return any(matches(p, scores, thresholds) for p in parts)


def score(q: Query, scores: Mapping[str, float]) -> float:
    """What a match is ranked by: `and` is the smallest, `or` the largest, `not` the rest to 1 (Zadeh's fuzzy logic)."""
    match q:
        case Is(name):
            return scores[name]
        case Not(part):
            return 1.0 - score(part, scores)
        case And(parts):
            return min(score(p, scores) for p in parts)
        case Or(parts):
            return max(score(p, scores) for p in parts)


def resolve(name: str, known: Iterable[str]) -> str:
    """The known label that is meant, letter case aside. Raises QueryError, which lists the nearest ones."""
    names = list(dict.fromkeys(known))
    for candidate in names:
        if candidate == name:
            return candidate
    folded = {n.casefold(): n for n in reversed(names)}
    if name.casefold() in folded:
        return folded[name.casefold()]
    near = difflib.get_close_matches(name.casefold(), folded, n=5, cutoff=0.5)
    nearest = [folded[n] for n in near] or names[:10]
    if not nearest:
        raise QueryError(f"no label {name!r}: nothing is indexed yet; run `photosearch index FOLDER`")
    raise QueryError(f"no label {name!r}; the nearest are: {', '.join(nearest)} (all: `photosearch labels`)")


def _mentions(q: Query) -> int:
    match q:
        case Is():
            return 1
        case Not(part):
            return _mentions(part)
        case And(parts) | Or(parts):
            return sum(map(_mentions, parts))


_Tokens = list[tuple[str, str]]  # ("word" | "quoted" | "end" | "(" | ")", its text)


def _tokens(text: str) -> _Tokens:
    tokens: _Tokens = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at)
        if found is None:
            raise QueryError("a quote is opened and not closed")
        double, single, bracket, word = found.groups()
        quoted = double if double is not None else single
        if quoted is not None:
            tokens.append(("quoted", " ".join(quoted.split())))
        else:
            tokens.append((bracket, bracket) if bracket else ("word", word))
        at = found.end()
    return tokens


def _is(tokens: _Tokens, keyword: str) -> bool:
    return bool(tokens) and tokens[0][0] == "word" and tokens[0][1].lower() == keyword


def _or(tokens: _Tokens, depth: int) -> Query:
    if not depth:
        raise QueryError(f"brackets nest deeper than {MAX_DEPTH}; ask for less at once")
    parts = [_and(tokens, depth)]
    while _is(tokens, "or"):
        tokens.pop(0)
        parts.append(_and(tokens, depth))
    return parts[0] if len(parts) == 1 else Or(tuple(parts))


def _and(tokens: _Tokens, depth: int) -> Query:
    parts = [_not(tokens, depth)]
    while _is(tokens, "and"):
        tokens.pop(0)
        parts.append(_not(tokens, depth))
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _not(tokens: _Tokens, depth: int) -> Query:
    odd = False
    while _is(tokens, "not"):
        tokens.pop(0)
        odd = not odd
    part = _part(tokens, depth)
    return Not(part) if odd else part


def _part(tokens: _Tokens, depth: int) -> Query:
    if not tokens:
        raise QueryError("the query ends where a label should stand; for example: bird and not dog")
    kind, text = tokens.pop(0)
    if kind == "(":
        inside = _or(tokens, depth - 1)
        if not tokens or tokens.pop(0)[0] != ")":
            raise QueryError("a bracket is opened and not closed")
        return inside
    if kind == "quoted" and text:
        return Is(text)
    if kind != "word" or text.lower() in ("and", "or", "not"):
        raise QueryError(f"a label should stand where {text!r} does; for example: bird and not dog")
    words = [text]
    while tokens and tokens[0][0] == "word" and tokens[0][1].lower() not in ("and", "or", "not"):
        words.append(tokens.pop(0)[1])
    return Is(" ".join(words))
