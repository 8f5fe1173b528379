"""Advice on a question, a line each: slips of the keyboard, other languages, labels still to be learned."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from photosearch import query
from photosearch.library import marks
from photosearch.library.database import Database
from photosearch.library.labels import read_labels
from photosearch.library.records import Label
from photosearch.library.words import is_word_said
from photosearch.search import hierarchy, spelling
from photosearch.search.label_counts import count_labels
from photosearch.search.label_names import fold_name, match_label
from photosearch.search.language import detect_language
from photosearch.search.lexicon import read_lexicon
from photosearch.search.marked_labels import check_readiness, describe_first_step

OWN_WORDS = ("my", "our")  # before what only a label of one's own can mean


class Hint(str):
    """A line for the user. words: the question that it suggests. label: one of the user's own, still to be learned.

    model: one to download; `about` is then the line without the command that does it.
    """

    words: str
    label: str
    model: str
    about: str

    def __new__(cls, line: str, *, words: str = "", label: str = "", model: str = "", about: str = "") -> "Hint":
        hint = super().__new__(cls, line)
        hint.words, hint.label, hint.model, hint.about = words, label, model, about
        return hint


@dataclass(frozen=True, slots=True)
class CheckedWords:
    """words: as they should be read. hints: what was changed, and what the user may have meant instead."""

    words: str
    hints: tuple[str, ...] = ()


def check_words(db: Database, words: str, labels: Sequence[Label], model: str | None) -> CheckedWords:
    """Correct the words of a question, and say what may help. Never fails. model: the name of the one that answers."""
    names = dict.fromkeys(label.name for label in labels)
    phrases = _list_phrases(words)
    if phrases and all(text in names or hierarchy.read_synonyms().get(text) in names for text in phrases):
        return CheckedWords(words)  # labels as they are spelled: nothing to advise, and no lexicon to read
    from photosearch.models.catalog import reads_english_only

    own = [name for name in marks.list_marked_labels(db) if name not in names]
    hints = _advise_on_own_labels(db, words, names, own, model)
    english_only = model is None or reads_english_only(model)
    if (language := detect_language(words, read_lexicon())) is not None and _means_no_label(words, [*names, *own]):
        return CheckedWords(words, (*hints, *([_advise_on_language(language, model)] if english_only else [])))
    correction = spelling.correct(
        words, read_lexicon(), db.recall(_weigh_words, tuple(label.id for label in labels), tuple(own)),
        lambda word: is_word_said(db, word),
    )  # fmt: skip
    if not english_only:  # what is no English may be another language
        correction = spelling.Correction(words, (), correction.suggestions)
    for change in correction.changes:
        hints.append(f"Read {change.typed!r} as {change.meant}; in quotes it stays as it is.")
    if correction.suggestions:
        meant = ", ".join(f"{s.meant} for {s.typed!r}" for s in correction.suggestions)
        hints.append(Hint(f"Did you mean {meant}?", words=_take(correction)))
    return CheckedWords(correction.text, tuple(hints))


def advise_on_larger_model(model: str) -> Hint | None:
    """What to do where the included model finds nothing that surely shows a description; None with another model."""
    from photosearch.models.catalog import DEFAULT_MODEL, LARGER_MODEL

    if model != DEFAULT_MODEL:
        return None
    from photosearch.models.hub import OFFERS  # with all that a download needs

    about = f"{model} is a small model; a larger one understands more"
    size = f"{OFFERS[LARGER_MODEL].gigabytes:.1f} GB at most"
    return Hint(f"{about}: photosearch models pull {LARGER_MODEL} ({size})", model=LARGER_MODEL, about=about)


def _take(correction: spelling.Correction) -> str:
    """The question with its suggestions taken."""
    words = correction.text
    for change in correction.suggestions:
        words = re.sub(rf"(?<!\w){re.escape(change.typed)}(?!\w)", change.meant, words, count=1)
    return words


def _weigh_words(db: Database, ids: Sequence[int], own: Sequence[str]) -> Mapping[str, int]:
    """Each word in a name or synonym of a label -> what it is worth. ids: of labels. own: names without a label yet."""
    wanted = set(ids)
    labels = [label for label in read_labels(db) if label.id in wanted]
    counts = count_labels(db, labels, exact=False)
    photos = {label.name: counts[label.id] for label in reversed(labels)}
    others = {word: photos[name] for word, name in hierarchy.read_synonyms().items() if name in photos}
    return spelling.weigh_label_words({**others, **dict.fromkeys(own, 0), **photos})


def _advise_on_language(language: str, model: str | None) -> Hint:
    from photosearch.models.catalog import MULTILINGUAL_MODEL

    reads = "Descriptions are read as English" + (f" by {model}" if model is not None else "")
    about = f"{reads}, and this looks like {language}; for other languages"
    line = f"{about}: photosearch models pull {MULTILINGUAL_MODEL}"
    return Hint(line, model=MULTILINGUAL_MODEL, about=f"{about} there is another model")


def _advise_on_own_labels(
    db: Database, words: str, names: Mapping[str, None], own: Sequence[str], model: str | None
) -> list[str]:
    """The next step of each label that the question names and `find` does not know yet."""
    hints: list[str] = []
    for text in _list_phrases(words):
        if match_label(text, names) is not None:
            continue
        if (marked := match_label(text, own)) is not None:
            hints.append(Hint(check_readiness(db, marked, model).next_step, label=marked))
        elif fold_name(text).partition(" ")[0] in OWN_WORDS and " " in text:
            hints.append(Hint(describe_first_step(text), label=text))
    return list(dict.fromkeys(hints))


def _means_no_label(words: str, names: Sequence[str]) -> bool:
    return all(match_label(text, names) is None for text in _list_phrases(words))


def _list_phrases(words: str) -> list[str]:
    """The texts in quotes, and the words side by side between operators."""
    phrases: list[str] = []
    last = ""
    for token in query.tokenize(words)[: query.MAX_LENGTH]:
        if token.kind == "word" and last == "word":
            phrases[-1] += f" {token.text}"
        elif token.kind in ("word", "double", "single", "unclosed") and token.text:
            phrases.append(token.text)
        last = token.kind
    return phrases
