"""Filters in plain words: "the dog in Portugal with the iPhone" -> in:Portugal, camera:iPhone, and "the dog".

    in Portugal   at Porto   near Rome   from Spain   not in the UK   places that this library has photos of
    with the iPhone   taken with the Canon EOS 5D            its cameras
    Anna on the beach   photos of Anna Müller   without Ben  its people
    a sign saying "gate 14"   screenshot of a map   portrait of   text, and kinds of photos
    photos of   pictures with   find   show me   please      nothing, since all are, and that is what is asked

Conservative: what may be anything else stays. Words after it must not go on with it ("in Nice clothes"), and a name
that is an everyday word (Nice, Orange, Will) needs a capital and a preposition. Sentences with `or` or
brackets are left.

Pure: text, and the names that a library knows, in; filters out.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import date

from photosearch import query
from photosearch.library.filtering import Filter, Kind, KnownNames, fold_text
from photosearch.metadata.dates import MONTHS
from photosearch.search.date_phrases import DECADES, NUMBERS, PREPOSITIONS, SEASONS, WEEKDAYS
from photosearch.search.filter_grammar import read_typed_filters
from photosearch.search.filters import NO_FILTERS, Filters, find_town, join_pieces
from photosearch.search.lexicon import read_lexicon

MAX_NAME_WORDS = 5
RARE = 4  # of 40,000 captions, those that say a word, up to which it is no everyday one where a name may stand
LOWER_CASE = ("uk", "usa", "uae", "england", "scotland", "wales", "britain", "holland")  # places, and no other words
NOUNS = {"in": "a place", "near": "a place", "camera": "a camera", "person": "a person", "text": "text that it shows",
         "is": "a kind of photo"}  # fmt: skip
_JOINTS = {
    *PREPOSITIONS, *NUMBERS, *MONTHS, *SEASONS, *WEEKDAYS, *DECADES,
    *"and but not no without with near by to for since before after until between last this past early late mid taken "
    "shot yesterday today christmas easter halloween where when while who which that is are was were".split(),
}  # fmt: skip
_PICTURES = ("photo", "photograph", "picture", "image", "pic", "shot", "portrait", "selfie")
_NEGATIONS = ("not", "no", "without")
_WORD = re.compile(r"[^\s,;]+")
_SAID = re.compile(r'\b(?:(?:that|which)\s+)?(?:saying|says)\s*:?\s+"(?P<text>[^"]*\w[^"]*)"', re.IGNORECASE)
_KIND = re.compile(r"^\s*(?:(?:a|an|the|my)\s+)?(?P<kind>screenshot|panorama|portrait|video[ -]still)s?\s+of\s+(?=\S)",
                   re.IGNORECASE)  # fmt: skip
_ASKED = re.compile(
    r"^\s*(?:(?:please|can you|could you)\s+)*(?:(?:show|find|give|get)\s+(?:me|us)|find|(?:search|look)\s+for"
    r"|(?:i(?:'m| am)\s+)?looking\s+for|i(?:'d like| would like| want)\s+to\s+see)\s+(?=[^\s,;.])",
    re.IGNORECASE,
)
_PLEASE = re.compile(r"(?<=\w),?\s+please\s*[.!?]*\s*$", re.IGNORECASE)
_PICTURES_OF = re.compile(
    r"^\s*(?:(?:all|my|our|the|some|any)\s+)*(?:photo(?:graph)?|picture|image|pic|shot)s\s+"
    r"(?:(?:of|with|showing)\s+(?=\S)|(?P<rest>(?:from|in|on|at|by|near|taken|shot)\s))",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Phrase:
    """Characters of a text that are a filter."""

    start: int
    end: int
    filter: Filter = field(compare=False)


def read_filters(words: str, known: KnownNames, today: date) -> tuple[Filters, str]:
    """-> (the filters of a question, typed and in plain words, the other words). Raises QueryError."""
    typed, rest = read_typed_filters(drop_request(words), today, known)
    plain, rest = read_plain_filters(rest, known)
    found = replace(typed.add(*plain.parts), hints=plain.hints)
    return found, _drop_pictures_of(rest, is_filtered=found != NO_FILTERS)


def drop_request(words: str) -> str:
    """show me dogs, please -> dogs."""
    return _PLEASE.sub("", _ASKED.sub("", words))


def _drop_pictures_of(words: str, *, is_filtered: bool) -> str:
    """photos of a dog -> a dog. is_filtered: of photos of Anna on a beach, photos on a beach are left -> on a beach."""
    found = _PICTURES_OF.match(words)
    if found is None or (found["rest"] and not is_filtered):
        return words
    return words[found.start("rest") if found["rest"] else found.end() :]


def read_plain_filters(words: str, known: KnownNames) -> tuple[Filters, str]:
    """-> (the filters that words hold in plain English, the other words)."""
    tokens = query.tokenize(words)
    if len(words) > query.MAX_LENGTH or any(t.keyword == "or" or t.kind in ("bracket", "unclosed") for t in tokens):
        return Filters(), words
    phrases = [_Phrase(m.start(), m.end(), Filter("text", " ".join(m["text"].split()))) for m in _SAID.finditer(words)]
    if (found := _KIND.match(words)) is not None:
        phrases.append(_Phrase(0, found.end(), Filter("is", found["kind"].lower().replace(" ", "-"))))
    phrases += _Reader(blank_quotes(words), known).read()
    pieces, hints, end = list[str](), list[str](), 0
    for phrase in sorted(phrases, key=lambda phrase: phrase.start):
        pieces.append(words[end : phrase.start])
        end = phrase.end
        hints.append(f"Read {words[phrase.start : end].strip()!r} as {NOUNS[phrase.filter.kind]}; quotes keep words.")
    if not phrases:
        return Filters(), words
    filters = Filters().add(*(phrase.filter for phrase in phrases))
    return replace(filters, hints=tuple(dict.fromkeys(hints))), join_pieces([*pieces, words[end:]])


def blank_quotes(words: str) -> str:
    """The same text with spaces in place of all in quotes, since only they are sure to be no date and no name."""
    blanked = words
    for token in query.tokenize(words):
        if token.kind in ("double", "single", "unclosed"):
            end = words.find(words[token.start], token.start + 1)
            end = len(words) if end < 0 else end + 1
            blanked = blanked[: token.start] + " " * (end - token.start) + blanked[end:]
    return blanked


class _Reader:
    """Reads names from words. Each method: an index -> (the index after a name, its filter), None for nothing."""

    def __init__(self, text: str, known: KnownNames):
        self.text, self.known = text, known
        self.matches = list(_WORD.finditer(text))
        self.shown = [m[0].strip(".!?:") for m in self.matches]
        self.words = [fold_text(word.lstrip("-\u2212")) for word in self.shown]
        self.has_case = not text.isupper()

    def read(self) -> list[_Phrase]:
        phrases, i = list[_Phrase](), 0
        while i < len(self.words):
            found = self._read_place(i) or self._read_camera(i) or self._read_person(i)
            if found is None:
                i += 1
                continue
            end, each = found
            start = i
            while start and self.words[start - 1] in _NEGATIONS:
                start, each = start - 1, replace(each, wanted=not each.wanted)
            phrases.append(_Phrase(self.matches[start].start(), self._end(end), each))
            i = end
        return phrases

    def _end(self, end: int) -> int:
        last = self.matches[end - 1]
        if "." in self.shown[end - 1]:
            return last.end()  # the U.S.
        return last.end() - (len(last[0]) - len(last[0].rstrip(".!?:")))

    def _read_place(self, i: int) -> tuple[int, Filter] | None:
        """in Portugal, near Cape Town, from the Netherlands, in Lisboa."""
        preposition = self._word(i)
        if preposition not in ("in", "at", "near", "from"):
            return None
        first = i + 1 + (self._word(i + 1) == "the")
        for end, _ in self._list_names(first):
            if not self._is_name(first, end) or not self._ends(end) or not self._is_place(first, end):
                continue
            if self._word(end) == "and" and any(self._is_place(end + 1, to) for to, _ in self._list_names(end + 1)):
                return None  # in Portugal and Spain: no photo is in both
            if preposition == "from" and self._word(end) == "to":
                return None  # a train from Rome to Naples
            shown = self._show(first, end)
            town = find_town(shown) if preposition == "near" else None
            kind: Kind = "near" if town is not None else "in"
            return end, Filter(kind, shown, circle=town)
        return None

    def _is_place(self, first: int, end: int) -> bool:
        """Whether photos are at a place of this name; another name than theirs needs capitals, or be no English."""
        name = " ".join(self.words[first:end])
        if name in self.known.places:
            return True
        lexicon = read_lexicon()
        is_foreign = all(self._is_capital(i) or not lexicon.knows(self._word(i)) for i in range(first, end))
        return (is_foreign or name in LOWER_CASE) and self.known.has_place(name)

    def _read_camera(self, i: int) -> tuple[int, Filter] | None:
        """with the iPhone, taken with the Canon EOS 5D camera."""
        first = i + (self._word(i) in ("taken", "shot"))
        if self._word(first) != "with" or self._word(first + 1) not in ("the", "my", "an", "a", "our"):
            return None
        first += 2
        for end, name in self._list_names(first):
            after = end + (self._word(end) in ("camera", "phone"))
            if self.known.has_camera(name) and self._is_name(first, end) and self._ends(after):
                return after, Filter("camera", self._show(first, end))
        return None

    def _read_person(self, i: int) -> tuple[int, Filter] | None:
        """Anna Müller, with Anna; without Will, whose name is a word."""
        led = self._word(i) in ("with", "of", "and")
        first = i + led
        if self._word(first - 1) == "of" and self._word(first - 2).removesuffix("s") not in _PICTURES:
            return None  # Star of David
        negated = self.shown[first : first + 1] != [] and self.shown[first][:1] in ("-", "\u2212")
        for end, name in self._list_names(first):
            if self.known.has_person(name) and (end > first + 1 or self._is_first_name(first, negated)):
                return end, Filter("person", self._show(first, end).lstrip("-\u2212"), wanted=not negated)
        return None

    def _is_first_name(self, i: int, negated: bool) -> bool:
        """Whether a word that a person here is called is meant as a name."""
        before, lexicon = self._word(i - 1), read_lexicon()
        if lexicon.count(self._word(i)):
            is_led = before in ("with", "of", "and", *_NEGATIONS) or negated
            return is_led and self._is_capital(i) and self._ends(i + 1)
        return (
            self._is_capital(i)
            or not lexicon.knows(self._word(i))
            or (before in ("with", "without") and self._ends(i + 1))
        )

    def _list_names(self, first: int) -> list[tuple[int, str]]:
        """(the index after it, folded words) of what may be a name there, the longest first; a comma ends it."""
        last = first
        while last < min(first + MAX_NAME_WORDS, len(self.words)) and (last == first or self._is_next(last)):
            last += 1
        return [(end, " ".join(self.words[first:end])) for end in range(last, first, -1)]

    def _is_next(self, i: int) -> bool:
        """Whether only spaces stand before a word."""
        return not self.text[self.matches[i - 1].end() : self.matches[i].start()].strip()

    def _is_name(self, first: int, end: int) -> bool:
        """Whether words that a library knows as a name are no everyday word, or have a capital: canon, italy; Nice."""
        if end > first + 1:
            return True
        word = self._word(first)
        return not word.isdecimal() and (self._is_capital(first) or read_lexicon().count(word) <= RARE)

    def _is_capital(self, i: int) -> bool:
        return self.has_case and self.shown[i].lstrip("-\u2212") != self.shown[i].lstrip("-\u2212").lower()

    def _ends(self, i: int) -> bool:
        """Whether a name is over before this word: "in Nice clothes" is none."""
        if i >= len(self.words) or self.shown[i - 1] != self.matches[i - 1][0] or not self._is_next(i):
            return True
        word = self._word(i)
        return word in _JOINTS or word[:1].isdigit() or word.endswith("ing") or self.shown[i][:1] in ("-", "\u2212")

    def _word(self, i: int) -> str:
        return self.words[i] if 0 <= i < len(self.words) else ""

    def _show(self, first: int, end: int) -> str:
        return " ".join(self.shown[first:end])
