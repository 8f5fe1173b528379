"""Typed filters in a question, joined by and, or, not and brackets -> a tree, and the words that are left.

    question := (clause | words) ...           side by side: all hold, and the words describe
    clause   := group ["or" group] ...
    group    := factor ["and" factor] ...
    factor   := ["not" | "-"] (name:value | "(" clause ... ")")

So `not` binds first, then `and`, then `or`, as for labels, and filters side by side all hold: in:Porto or in:Rome
taken:2019 is (in:Porto or in:Rome) and taken:2019. Words and filters hold together, so `or` doesn't join them, and no
bracket holds both. Quotes keep spaces in a value, and keep words that look like a filter: "in:Portugal". Other names
before a colon are words.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from photosearch.errors import QueryError
from photosearch.library.filtering import NO_NAMES, AllOf, AnyOf, Filter, FilterTree, KnownNames, fold_text, negate
from photosearch.query import KEYWORDS, MAX_DEPTH, MAX_LENGTH
from photosearch.search.filters import KINDS, Filters, join_pieces, make_filter

MAX_FILTERS = 50
_TOKEN = re.compile(
    rf"""
    (?P<quoted>"[^"]*" | (?<!\w)'[^']*'(?!\w))
    | (?P<name>{"|".join([*KINDS, "on"])}):
      (?:"(?P<double>[^"]*)" | '(?P<single>[^']*)' | (?P<open>["']) | (?P<bare>[^\s()"|]*))
    | (?P<bracket>[()])
    | (?P<minus>(?<![^\s(])[-\u2212](?=[\w("']))
    | (?P<joint>&&? | \|\|? | [,;])
    | (?P<word>(?:[^\s()",;|] | [,;](?=\d) | (?<=\w)")+)
    | (?P<other>\S)
    """,
    re.VERBOSE | re.IGNORECASE,
)

TokenKind = Literal["filter", "(", ")", "not", "and", "or", "comma", "word"]


@dataclass(frozen=True, slots=True)
class _Token:
    """Characters `start` to `end` of a question."""

    kind: TokenKind
    start: int
    end: int
    filter: Filter | None = None


def read_typed_filters(words: str, today: date, known: KnownNames = NO_NAMES) -> tuple[Filters, str]:
    """-> (the filters that words hold, the other words). Raises QueryError, which says what a filter accepts.

    today: what taken:"last summer" counts from. known: names that need no quotes, which a shell eats: in:Cape Town.
    """
    if ":" not in words or len(words) > MAX_LENGTH:
        return Filters(), words
    tokens = _tokenize(words, today, known)
    if not any(token.kind == "filter" for token in tokens):
        return Filters(), words
    clauses = _Parser(words, tokens).parse()
    pieces, end = list[str](), 0
    for _, first, last in clauses:
        pieces.append(words[end : tokens[first].start])
        end = tokens[last].end
    return Filters().add(*(tree for tree, _, _ in clauses)), join_pieces([*pieces, words[end:]])


def _tokenize(words: str, today: date, known: KnownNames) -> list[_Token]:
    tokens, at, n = list[_Token](), 0, 0
    while (found := _TOKEN.search(words, at)) is not None:
        at = found.end()
        if not found["name"]:
            tokens.append(_Token(_find_kind(found), found.start(), at))
            continue
        name = found["name"].lower()
        if found["open"]:
            raise QueryError(f"{name}: a quote is opened and not closed")
        if n == MAX_FILTERS:
            raise QueryError(f"more than {MAX_FILTERS} filters; ask for less at once")
        value = found["double"] or found["single"] or (found["bare"] or "").rstrip(",;!?")
        if found["bare"]:
            at -= len(found["bare"]) - len(value)
            if value == found["bare"]:
                rest = _find_rest_of_name(name, value, words[at:], known)
                value, at = value + rest, at + len(rest)
        tokens.append(_Token("filter", found.start(), at, make_filter(name, value, today)))
        n += 1
    return tokens


def _find_kind(found: re.Match[str]) -> TokenKind:
    text = found[0]
    if found["bracket"]:
        return "(" if text == "(" else ")"
    keyword = "not" if found["minus"] else "comma" if text in (",", ";") else KEYWORDS.get(text.lower(), "")
    kind: TokenKind = next((kind for kind in ("not", "comma", "and", "or") if kind == keyword), "word")
    return kind


def _find_rest_of_name(name: str, value: str, after: str, known: KnownNames) -> str:
    """The words after a value that belong to it: ' Town' of in:Cape Town, where the library has that place."""
    names = {"in": known.places, "near": known.places, "person": known.people, "album": known.albums}.get(name, ())
    following = re.match(r"(?:[ ][^\s()\"':,;]+){1,3}", after)
    words = following[0].split(" ")[1:] if following and names else []
    texts = (" ".join(["", *words[:n]]) for n in range(len(words), 0, -1))
    return next((text for text in texts if fold_text(value + text) in names), "")


class _Parser:
    """Recursive descent over the tokens of a question: one method for each level of binding."""

    def __init__(self, words: str, tokens: Sequence[_Token]):
        self._words, self._tokens, self._next = words, tokens, 0

    def parse(self) -> list[tuple[FilterTree, int, int]]:
        """(a clause, its first token, its last token), in order; what lies between them is words."""
        clauses = list[tuple[FilterTree, int, int]]()
        while self._next < len(self._tokens):
            first = self._next
            if not self._starts(first):
                self._next += 1
                continue
            if first and self._tokens[first - 1].kind == "or":
                raise self._refuse_or(first)
            tree = self._parse_or(MAX_DEPTH)
            clauses.append((tree, first, self._next - 1))
        return clauses

    def _parse_or(self, depth: int) -> FilterTree:
        parts = [self._parse_and(depth)]
        while self._kind(self._next) == "or":
            if not self._starts(self._next + 1):
                raise self._refuse_or(self._next - 1)
            self._next += 1
            parts.append(self._parse_and(depth))
        return _join(AnyOf, parts)

    def _parse_and(self, depth: int) -> FilterTree:
        parts = [self._parse_not(depth)]
        while self._kind(self._next) == "and" and self._starts(self._next + 1):
            self._next += 1
            parts.append(self._parse_not(depth))
        return _join(AllOf, parts)

    def _parse_not(self, depth: int) -> FilterTree:
        wanted = True
        while self._kind(self._next) == "not":
            wanted, self._next = not wanted, self._next + 1
        token = self._tokens[self._next]
        self._next += 1
        tree = self._parse_brackets(depth) if token.filter is None else token.filter
        return tree if wanted else negate(tree)

    def _parse_brackets(self, depth: int) -> FilterTree:
        if not depth:
            raise QueryError(f"brackets nest deeper than {MAX_DEPTH}; ask for less at once")
        parts = list[FilterTree]()
        while (kind := self._kind(self._next)) != ")":
            if kind == "comma" or (kind == "and" and parts):
                self._next += 1
            elif self._starts(self._next):
                parts.append(self._parse_or(depth - 1))
            else:
                shown = self._words[self._tokens[self._next].start : self._tokens[self._next].end]
                raise QueryError(f"{shown!r} joins no filters there; for example: (in:Portugal or in:Spain) dog")
        self._next += 1
        return _join(AllOf, parts)

    def _starts(self, i: int) -> bool:
        """Whether a filter, or filters in brackets, begin at a token. Raises QueryError where a bracket holds words."""
        while self._kind(i) == "not":
            i += 1
        if self._kind(i) != "(":
            return self._kind(i) == "filter"
        depth, inside = 0, list[_Token]()
        for token in self._tokens[i:]:
            depth += {"(": 1, ")": -1}.get(token.kind, 0)
            inside.append(token)
            if not depth:
                break
        first = next((token for token in inside if token.kind == "filter"), None)
        if first is None:
            return False
        if depth:
            raise QueryError("a bracket is opened and not closed")
        if any(token.kind == "word" for token in inside):
            shown = self._words[first.start : first.end]
            raise QueryError(f"{shown}: in brackets stand only filters, or only words: (in:Portugal or in:Spain) dog")
        return True

    def _refuse_or(self, i: int) -> QueryError:
        near = (t for t in (*self._tokens[i:], *reversed(self._tokens[:i])) if t.kind == "filter")
        token = next(near)
        shown = self._words[token.start : token.end]
        return QueryError(
            f"{shown}: `or` joins filters with filters only, and words with words: (in:Portugal or in:Spain) dog"
        )

    def _kind(self, i: int) -> TokenKind | None:
        return self._tokens[i].kind if i < len(self._tokens) else None


def _join(kind: type[AllOf] | type[AnyOf], parts: Sequence[FilterTree]) -> FilterTree:
    """Parts as one tree, each once, without brackets of the same kind around them."""
    flat = (each for part in parts for each in (part.parts if isinstance(part, kind) else (part,)))
    each_once = tuple(dict.fromkeys(flat))
    return each_once[0] if len(each_once) == 1 else kind(each_once)
