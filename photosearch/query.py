"""The language of questions: labels joined by `and`, `or`, `not` -> a tree, and what that tree means.

    bird                     photos with a bird
    bird and not dog         and, or, not, and parentheses; `not` binds first, then `and`, then `or`
    bird & dog, cat | mouse  the same as signs: & and , for and, | for or
    bird -dog                - before a word, no and without: the same as `and not`
    flamingo_head            a label is one word ...
    Geoffroy's cat           an apostrophe inside a word is part of it
    "red panda" or cat       ... or stands in quotes; words side by side are one label too: red panda or cat

Pure: text in, a tree out. `matches` defines a query's meaning in plain Python; library/matching.py computes the same in
SQL, and a property test holds the two together. `tokenize` is the only place that cuts a question into words: parsing,
completion and the decision between labels and descriptions all read its tokens.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from photosearch.errors import QueryError

MAX_LENGTH = 2_000  # characters
MAX_DEPTH = 40  # nested brackets
MAX_LABELS = 50  # counting repetitions; SQLite joins at most 64 tables, and its max() takes at most 127 numbers
MINUS = "\u2212"  # the sign itself, where a hyphen would be taken for an option
KEYWORDS = {
    "and": "and", "&": "and", "&&": "and", ",": "and", ";": "and", "or": "or", "|": "or", "||": "or", "not": "not",
    "no": "not", "without": "not", "-": "not",
}  # fmt: skip
_TOKEN = re.compile(
    r"""
    (?P<double>"[^"]*") | (?P<single>'[^']*') | (?P<bracket>[()]) | (?P<unclosed>["'].*)
    | (?P<sign>(?<![^\s(])[-\u2212](?=[\w"'(]) | (?<!\S)&&?(?!\S) | \|\|? | [,;](?!\d))
    | (?P<ending>[?!]+(?=[\s),;|]|$) | \.+(?=\s*$))
    | (?P<word>(?:(?![?!]+(?:[\s),;|]|$)|[,;](?!\d)|\.+\s*$)[^\s()"'|]|(?<=\w)'(?=\w))+)
    """,
    re.VERBOSE | re.DOTALL,
)

TokenKind = Literal["word", "keyword", "double", "single", "bracket", "unclosed"]


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a question. start: its place in the text, in characters.

    kind: 'word'; 'keyword' for and, or, not and what stands for them; 'double' and 'single' for text between such
    quotes; 'bracket'; 'unclosed' for a quote without an end and all that follows it. text: without its quotes, its
    white space collapsed.
    """

    kind: TokenKind
    text: str
    start: int

    @property
    def keyword(self) -> str:
        """The one of and, or, not that it means; else empty."""
        return KEYWORDS[self.text.lower()] if self.kind == "keyword" else ""


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
    """A question as a tree. Raises QueryError, which says what was expected where."""
    if len(text) > MAX_LENGTH:
        raise QueryError(f"the query has {len(text)} characters, more than {MAX_LENGTH}; ask for less at once")
    tokens = tokenize(text)
    if any(token.kind == "unclosed" for token in tokens):
        raise QueryError("a quote is opened and not closed")
    tree = _Parser(tokens).parse()
    if _mentions(tree) > MAX_LABELS:
        raise QueryError(f"more than {MAX_LABELS} labels; ask for less at once")
    return tree


def list_labels(q: Query) -> list[str]:
    """The labels of a query, each once, in the order of the text."""
    match q:
        case Is(name):
            return [name]
        case Not(part):
            return list_labels(part)
        case And(parts) | Or(parts):
            return list(dict.fromkeys(name for part in parts for name in list_labels(part)))


def assume(q: Query, known: Mapping[str, bool]) -> Query | bool:
    """What is left of a query where some labels are known to apply or not: dog and not cat, dog applies -> not cat."""
    match q:
        case Is(name):
            return known.get(name, q)
        case Not(part):
            rest = assume(part, known)
            return not rest if isinstance(rest, bool) else Not(rest)
        case And(parts) | Or(parts):
            decides = isinstance(q, Or)  # one part that is so decides
            rests = [assume(part, known) for part in parts]
            if any(rest is decides for rest in rests):
                return decides
            left = tuple(rest for rest in rests if not isinstance(rest, bool))
            return (type(q)(left) if len(left) > 1 else left[0]) if left else not decides


def matches(q: Query, scores: Mapping[str, float], thresholds: Mapping[str, float]) -> bool:
    """Whether the query holds for a photo with these scores. A label holds at its threshold and above."""
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
    """The score that ranks a match: minimum for `and`, maximum for `or`, 1 - score for `not` (Zadeh's fuzzy logic)."""
    match q:
        case Is(name):
            return scores[name]
        case Not(part):
            return 1.0 - score(part, scores)
        case And(parts):
            return min(score(p, scores) for p in parts)
        case Or(parts):
            return max(score(p, scores) for p in parts)


def _mentions(q: Query) -> int:
    match q:
        case Is():
            return 1
        case Not(part):
            return _mentions(part)
        case And(parts) | Or(parts):
            return sum(map(_mentions, parts))


def tokenize(text: str) -> list[Token]:
    """Cut a question into tokens. Never fails: a quote without an end becomes one token of kind 'unclosed'."""
    return [_to_token(found) for found in _TOKEN.finditer(text) if found.lastgroup != "ending"]


def _to_token(found: re.Match[str]) -> Token:
    kind, text = found.lastgroup, found[0].replace(MINUS, "-") if found.lastgroup == "sign" else found[0]
    if kind == "sign" or (kind == "word" and text.isalpha() and text.lower() in KEYWORDS):
        kind = "keyword"
    elif kind in ("double", "single"):
        text = " ".join(text[1:-1].split())
    elif kind == "unclosed":
        text = " ".join(text[1:].split())
    return Token(kind, text, found.start())  # type: ignore[arg-type]  # the groups' names are the kinds


class _Parser:
    """Recursive descent over the tokens of a question: one method for each level of binding."""

    def __init__(self, tokens: Sequence[Token]):
        self._tokens, self._next = tokens, 0
        self._after_minus = False  # a minus holds for one word only

    def parse(self) -> Query:
        tree = self._parse_or(MAX_DEPTH)
        if (rest := self._peek()) is not None:
            raise QueryError(f"don't understand {rest.text!r} there; quote a label that holds spaces or brackets")
        return tree

    def _parse_or(self, depth: int) -> Query:
        if not depth:
            raise QueryError(f"brackets nest deeper than {MAX_DEPTH}; ask for less at once")
        parts = [self._parse_and(depth)]
        while self._skip("or"):
            parts.append(self._parse_and(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _parse_and(self, depth: int) -> Query:
        parts = [self._parse_not(depth)]
        while self._skip("and") or self._follows_without_and():
            parts.append(self._parse_not(depth))
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _follows_without_and(self) -> bool:
        """Whether a part begins here: bird not dog, bird -dog flying."""
        token = self._peek()
        return token is not None and (
            token.keyword == "not" or (token.kind in ("word", "double", "single") and self._after_minus)
        )

    def _parse_not(self, depth: int) -> Query:
        negated = self._after_minus = False
        while (token := self._peek()) is not None and self._skip("not"):
            negated, self._after_minus = not negated, token.text == "-"
        part = self._parse_part(depth)
        return Not(part) if negated else part

    def _parse_part(self, depth: int) -> Query:
        token = self._peek()
        if token is None:
            raise QueryError("the query ends where a label should stand; for example: bird and not dog")
        self._next += 1
        if (token.kind, token.text) == ("bracket", "("):
            return self._parse_brackets(depth)
        if token.kind in ("double", "single") and token.text:
            return Is(token.text)
        if token.kind != "word":
            raise QueryError(f"a label should stand where {token.text!r} does; for example: bird and not dog")
        words = [token.text]
        while not self._after_minus and (token := self._peek()) is not None and token.kind == "word":
            words.append(token.text)
            self._next += 1
        return Is(" ".join(words))

    def _parse_brackets(self, depth: int) -> Query:
        inside = self._parse_or(depth - 1)
        token = self._peek()
        if token is None or (token.kind, token.text) != ("bracket", ")"):
            raise QueryError("a bracket is opened and not closed")
        self._next += 1
        return inside

    def _peek(self) -> Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _skip(self, keyword: str) -> bool:
        """Move past the next token if it is this keyword."""
        token = self._peek()
        found = token is not None and token.keyword == keyword
        self._next += found
        return found
