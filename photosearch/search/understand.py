"""How a question is read: words -> labels, descriptions, pictures and dates, in one pure step.

Words that are all labels, joined by and, or, not, are answered by their scores, and what follows by similarity. All
other words are one description where the model has vectors: "a man and a dog on a beach". The labels that it names rank
as well. What is not wanted (not, no, without, -) lowers a photo's rank, and excludes it where it is a label. `no
parking sign` and `a dog not on a lead` are sentences. What says when a photo was taken becomes dates: "a dog last
summer". `query_mode` overrules all this.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Literal

from photosearch import query
from photosearch.errors import InputError, QueryError
from photosearch.library.records import Label
from photosearch.query import Query
from photosearch.search.date_phrases import DateSpan, find_date_phrases
from photosearch.search.filters import NO_FILTERS, Filters
from photosearch.search.full_text import list_content_words
from photosearch.search.label_names import ARTICLES, match_label, resolve_label
from photosearch.search.labels import index_labels
from photosearch.search.plain_filters import blank_quotes

MAX_SCANNED_WORDS, MAX_LABEL_WORDS = 40, 4  # of a sentence, to find labels in it; of a label there
ONLY_PHOTOS = re.compile(
    r"\s*(?:(?:all|my|our|the|some|any)\s+)*(?:photo(?:graph)?|picture|image|pic|shot)s?(?:\s+(?:of|taken|from|with|that))*\s*",
    re.IGNORECASE,
)  # and nothing that they show
ALL_PHOTOS = re.compile(
    r"\s*(?:(?:all|my|our|the)\s+)*(?:photo(?:graph)?|picture|image|pic)s\s*", re.IGNORECASE
)  # and nothing else
LABEL_PHOTOS = re.compile(r"\s*(.*\S)\s+(?:photo(?:graph)?|picture|image|pic)s?\s*", re.IGNORECASE)
DATE_FORMATS = ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. words: bird and not dog; a cat asleep; dog and "playing in the snow".

    limit: the most photos where labels or dates answer, None: all. max_similar: where similarity ranks, None: 20, or
    less where the list ends before. query_mode: 'label' or 'text' read the words as labels only, or as one description.
    like, unlike: files of pictures, with a weight where one is given: 2:a.jpg. min_score: replaces the labels'
    thresholds, 0..1. min_similarity: -1..1. sure_only: no photos that only come near. copies: list each copy of a
    picture. under: a folder. album: the name of an album. since, until: local dates such as 2024, 2024-05, 2024-05-31,
    inclusive; an undated photo is of the time that its folder's name says. file_dates: it takes its file's date, too.
    sort: 'best' first, or by 'date', the newest first. model: a name or file; None: the default. today: the day that
    "last summer" counts from, None: today.
    """

    words: str = ""
    limit: int | None = None
    max_similar: int | None = None
    query_mode: Literal["label", "text"] | None = None
    like: tuple[str, ...] = ()
    unlike: tuple[str, ...] = ()
    min_score: float | None = None
    min_similarity: float | None = None
    sure_only: bool = False
    copies: bool = False
    under: str | None = None
    album: str | None = None
    since: str | None = None
    until: str | None = None
    file_dates: bool = False
    sort: Literal["best", "date"] = "best"
    model: str | None = None
    today: str | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """Words that rank. wanted: False where photos should be unlike them."""

    text: str
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class ParsedWords:
    """query: labels that answer by themselves, None where words describe or there are none. among: what the labels of
    every photo must fulfil. labels: each name between operators -> the label that it means. descriptions: what ranks,
    after the query's own photos. boosts: labels that the descriptions name, which rank too. named: the share of the
    descriptions' words that name them, 0..1. hints: notes for the user.
    """

    query: Query | None = None
    among: Query | None = None
    labels: Mapping[str, Label] = field(default_factory=dict)
    descriptions: tuple[Description, ...] = ()
    boosts: tuple[Label, ...] = ()
    named: float = 0.0
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ParsedQuestion:
    """A question as it was understood. since, until: as they are compared with the dates of photos."""

    question: Question
    words: ParsedWords
    since: str | None
    until: str | None
    filters: Filters = NO_FILTERS

    @property
    def has_pictures(self) -> bool:
        return bool(self.question.like or self.question.unlike)

    @property
    def ranked_by(self) -> Literal["label", "similarity", "date"]:
        """What orders the answer, or its first photos."""
        if self.words.query is not None:
            return "label"
        return "similarity" if self.words.descriptions or self.has_pictures else "date"


def understand(
    question: Question, labels: Sequence[Label], *, model: str | None, has_vectors: bool, today: date | None = None,
    filters: Filters = NO_FILTERS,
) -> ParsedQuestion:  # fmt: skip
    """Read a question. Raises QueryError, InputError.

    labels: those that can be asked for, the first of a name counts. model: the name of the model that answers, None
    where nothing is indexed. has_vectors: whether it can rank by descriptions. today: what "last summer" counts from.
    filters: what was read of the question before.
    """
    known = index_labels(labels)
    since, until = parse_date(question.since), parse_date(question.until)
    question, span, hints = _read_dates(question, known, today or date.today())
    question = replace(question, words=_drop_photos(question, known, bool(hints) or filters != NO_FILTERS))
    first = span.since.isoformat() if span.since else None
    last = (span.until - timedelta(1)).isoformat() if span.until else None
    since = max((day for day in (since, first, filters.since) if day), default=None)
    until = min((day for day in (until, last, filters.until) if day), key=lambda day: f"{day}~", default=None)
    words = _parse_words(question, known, model, has_vectors)
    words = replace(words, hints=filters.hints + hints + words.hints)
    parsed = ParsedQuestion(question, words, since, until, filters)
    if question.min_score is not None and not parsed.words.labels:
        raise QueryError("a minimum score applies to labels, and this question names none; give a minimum similarity")
    if question.min_similarity is not None and not (parsed.words.descriptions or parsed.has_pictures):
        raise QueryError("a minimum similarity applies to descriptions and pictures; for a label, give a minimum score")
    return parsed


def _drop_photos(question: Question, known: Iterable[str], is_filtered: bool) -> str:
    """bird photos -> bird; of photos of Anna, and of all my photos, nothing is left, since it says nothing."""
    words = question.words
    if question.query_mode is not None or match_label(" ".join(words.split()), known) is not None:
        return words
    if (ONLY_PHOTOS if is_filtered else ALL_PHOTOS).fullmatch(words):
        return ""
    found = LABEL_PHOTOS.fullmatch(words)
    return words if found is None or match_label(" ".join(found[1].split()), known) is None else found[1]


def parse_date(text: str | None) -> str | None:
    """2024, 2024-05 or 2024-05-31 12:00 -> the same as photos' dates are compared with it. Raises InputError."""
    if text is None:
        return None
    for form in DATE_FORMATS:
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.replace(" ", "T"), form).strftime(form)
    raise InputError(f"{text!r} is not a date; write it as 2024, 2024-05 or 2024-05-31")


def read_day(text: str | None) -> date:
    """2026-11-30 -> that day; None: today. Raises InputError."""
    try:
        return date.today() if text is None else date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r} is not a day; write it as 2024-05-31") from None


def _read_dates(question: Question, known: Iterable[str], today: date) -> tuple[Question, DateSpan, tuple[str, ...]]:
    """-> (the question without the words that say when, the days that they mean, what to tell of it)."""
    words = question.words
    if question.query_mode is not None or match_label(" ".join(words.split()), known) is not None:
        return question, DateSpan(), ()
    span, hints = DateSpan(), list[str]()
    for phrase in reversed(find_date_phrases(blank_quotes(words), today)):
        hints.insert(0, f"Read {words[phrase.start : phrase.end]!r} as {_name_days(phrase.span)}; quotes keep words.")
        words = f"{words[: phrase.start].rstrip().rstrip(',')} {words[phrase.end :].lstrip(' ,')}"
        span = span.intersect(phrase.span)
    return replace(question, words=words.strip()), span, tuple(hints)


def _name_days(span: DateSpan) -> str:
    """since: from that day on; until: that day is no longer in it."""
    since, until = span.since, span.until and span.until - timedelta(1)
    if since is None or until is None:
        return f"from {since} on" if since else f"until {until}"
    return f"{since}" if since == until else f"{since} to {until}"


def _parse_words(question: Question, known: Mapping[str, Label], model: str | None, has_vectors: bool) -> ParsedWords:
    words, hints = _trim(question.words)
    whole = " ".join(words.split())
    if not whole:
        if question.words.strip():
            raise QueryError("say what to find; for example: bird and not dog")
        return ParsedWords()
    if question.query_mode == "text":
        return ParsedWords(descriptions=(Description(" ".join(question.words.split()).strip("\"'")),))
    if (label := match_label(whole, known)) is not None:  # its name may hold anything
        tree: query.Query | None = query.Is(whole)
        meant: dict[str, str | None] = {whole: label}
    else:
        tree = _parse_tree(words, may_describe=has_vectors and question.query_mode is None)
        meant = {} if tree is None else {name: match_label(name, known) for name in query.list_labels(tree)}
    if question.query_mode == "label" or not has_vectors:
        if tree is not None and None not in meant.values():
            return ParsedWords(tree, None, {name: known[label] for name, label in meant.items() if label}, hints=hints)
        if question.query_mode is None and (found := find_labels(whole, known)):
            hints += (f"{model} knows labels only; read as: {' and '.join(found)}",)
            tree = _join([query.Is(name) for name in found])
            return ParsedWords(tree, None, {name: known[name] for name in found}, hints=hints)
        _refuse_unknown(next(name for name, label in meant.items() if label is None), known, model)
    return replace(_describe(question, words, tree, meant, known), hints=hints)


def _trim(words: str) -> tuple[str, tuple[str, ...]]:
    """-> (the words without operators at their beginning and end that join nothing, what to tell of it)."""
    tokens = query.tokenize(words)
    last = len(tokens)
    while last and tokens[last - 1].keyword:
        last -= 1
    first = next((i for i, token in enumerate(tokens[:last]) if token.keyword not in ("and", "or")), last)
    dropped = [token.text for token in (*tokens[:first], *tokens[last:])]
    if not tokens[first:last] or not dropped:
        return (words if tokens[first:last] else ""), ()
    end = tokens[last].start if last < len(tokens) else len(words)
    hints = [f"{text!r} joins nothing there, so it was ignored" for text in dict.fromkeys(dropped) if text.isalpha()]
    return words[tokens[first].start : end], tuple(hints)


def _parse_tree(words: str, *, may_describe: bool) -> query.Query | None:
    """The words as a tree; None for a sentence that is none: it has an apostrophe at a word's end, or "and and"."""
    try:
        return query.parse(words)
    except QueryError:
        if not may_describe or len(words) > query.MAX_LENGTH or _has_brackets(words):
            raise
        return None


def _has_brackets(words: str) -> bool:
    """Whether words hold brackets or double quotes, which no sentence needs."""
    tokens = query.tokenize(words)
    return any(t.kind in ("bracket", "double") or (t.kind == "unclosed" and words[t.start] == '"') for t in tokens)


def _refuse_unknown(name: str, known: Mapping[str, Label], model: str | None) -> None:
    if not known and model is not None:
        raise QueryError(f"no label {name!r}: {model} knows no labels, only descriptions")
    resolve_label(name, known)


def _describe(
    question: Question, words: str, tree: query.Query | None, meant: Mapping[str, str | None],
    known: Mapping[str, Label],
) -> ParsedWords:  # fmt: skip
    """Words where descriptions are possible: labels alone answer, and all else ranks, less what is not wanted."""
    labels = {name: known[label] for name, label in meant.items() if label is not None}
    parts = tree.parts if isinstance(tree, query.And) else () if tree is None else (tree,)
    unwanted = [part for part in parts if isinstance(part, query.Not)]
    if tree is None or any(_stands_in_sentence(part, words, labels) for part in unwanted):
        whole = " ".join(words.split())
        boosts, named = _find_boosts(whole, known)
        return ParsedWords(descriptions=(Description(whole),), boosts=boosts, named=named)
    has_pictures, is_labels = bool(question.like or question.unlike), len(labels) == len(meant)
    if is_labels and (has_pictures or question.min_score is not None):  # who gives these takes labels as a filter
        return ParsedWords(None if has_pictures else tree, tree if has_pictures else None, labels)
    strict = has_pictures or question.min_score is not None
    filters = [part for part in (parts if strict else unwanted) if labels.keys() >= set(query.list_labels(part))]
    ranking = [part for part in parts if part not in unwanted and part not in filters]
    as_typed = ranking == list(parts) and not _has_quotes(words)
    text = " ".join(words.split()) if as_typed else _write(ranking, labels)
    descriptions = [Description(text)] if text else []
    if text or not is_labels:
        descriptions += [Description(_write([part.part], labels), wanted=False) for part in unwanted]
    if not (is_labels or unwanted or _has_quotes(words)):
        labels = {}  # `and` joins no labels there: it stands in a sentence
    boosts, named = ((), 0.0) if strict else _find_boosts(text, known)
    return ParsedWords(tree if is_labels else None, _join(filters), labels, tuple(descriptions), boosts, named)


def _stands_in_sentence(part: query.Not, words: str, labels: Mapping[str, Label]) -> bool:
    """Whether `no` or `not` is a word like any other there: a dog not on a lead, no parking sign."""
    names = query.list_labels(part)
    tokens = query.tokenize(words)
    if labels.keys() >= set(names) or _has_quotes(words) or any(t.text.lower() in ("-", "without") for t in tokens):
        return False
    return any(len(_drop_articles(name)) > 1 for name in names)


def _has_quotes(words: str) -> bool:
    return any(t.kind in ("bracket", "double", "single") for t in query.tokenize(words))


def _drop_articles(text: str) -> list[str]:
    return [word for word in text.split() if word.casefold() not in ARTICLES]


def _join(parts: Sequence[query.Query]) -> query.Query | None:
    return None if not parts else parts[0] if len(parts) == 1 else query.And(tuple(parts))


def _write(parts: Sequence[query.Query], labels: Mapping[str, Label]) -> str:
    """Parts of a tree as a description: dog, "on a beach" -> dog on a beach; two labels: dog and beach."""
    text, before = "", False
    for part in parts:
        match part:
            case query.Is(name):
                written, is_label = name, name in labels
            case query.Not():
                continue
            case query.And(inner):
                written, is_label = _write(inner, labels), False
            case query.Or(inner):
                written, is_label = " or ".join(filter(None, (_write([p], labels) for p in inner))), False
        text = f"{text}{' and ' if before and is_label else ' '}{written}" if text else written
        before = is_label
    return text


def _find_boosts(text: str, known: Mapping[str, Label]) -> tuple[tuple[Label, ...], float]:
    names, share = measure_named(text, known)
    return tuple(known[name] for name in names), share


def find_labels(text: str, known: Iterable[str]) -> list[str]:
    """The labels that a sentence names, each once, the longest of those that overlap: a dog on a beach: dog, beach."""
    return measure_named(text, known)[0]


def measure_named(text: str, known: Iterable[str]) -> tuple[list[str], float]:
    """-> (find_labels, the share of a sentence's content words that name them, 0..1): a dog runs on a beach: 2 of 3."""
    found = list(_scan(text, known))
    named = list_content_words(" ".join(words for _, words in found))
    share = len(named) / max(len(list_content_words(text)), len(named), 1)
    return list(dict.fromkeys(label for label, _ in found)), share


def _scan(text: str, known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """-> (a label, the words that name it), in order."""
    names = dict.fromkeys(known)
    words = [t.text for t in query.tokenize(text) if t.kind == "word"][:MAX_SCANNED_WORDS]
    at = 0
    while at < len(words):
        taken = 1
        for n in range(min(MAX_LABEL_WORDS, len(words) - at), 0, -1):
            said = " ".join(words[at : at + n])
            label = None if words[at].casefold() in ARTICLES else match_label(said, names)
            if label is not None:
                yield label, said
                taken = n
                break
        at += taken
