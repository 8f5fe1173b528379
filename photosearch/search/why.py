"""Why each photo of an answer is in it, in a few words: folder: Rome 2019, label dog 0.93, similarity 0.48.

What a filter asked for comes first, then the texts that have the description's words, labels, and the similarity. A
text is cut around the first word that was asked for. Only photos that are shown are explained; of a longer list than
MAX_EXPLAINED the others tell only what found them.
"""

import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from photosearch.library.database import Database
from photosearch.library.filtering import AllOf, AnyOf, Filter, FilterTree, Kind, fold_text, has_words
from photosearch.library.matching import Match, read_label_scores
from photosearch.library.records import Label
from photosearch.library.words import read_texts, split_words
from photosearch.query import And, Is, Not, Or, Query
from photosearch.search.full_text import fold_words, list_content_words, list_forms
from photosearch.search.understand import ParsedQuestion

if TYPE_CHECKING:
    from photosearch.library.details import FileDetails

MAX_EXPLAINED = 1_000  # photos
MAX_REASONS = 6  # of a photo
MAX_CHARACTERS = 60  # of a text

Texts = Sequence[tuple[str, str]]  # (column of the full-text index, text)


def explain_photos(db: Database, parsed: ParsedQuestion, photos: Sequence[Match]) -> list[Match]:
    """The photos with the reasons of each."""
    head = photos[:MAX_EXPLAINED]
    ids, asked = [photo.photo_id for photo in head], list(_list_filters(parsed.filters.parts))
    words = [word for d in parsed.words.descriptions if d.wanted for word in list_content_words(d.text)]
    forms = frozenset(form for word in words for form in list_forms(word))
    details = _read_details(db, ids) if asked and head else {}
    of_folder = any(each.kind == "in" for each in asked) and not all(i in details and details[i].where for i in ids)
    of_folder = of_folder or any(_is_dated_by_folder(parsed, photo) for photo in head)
    reads_words = bool(forms) or of_folder or any(each.kind in ("folder", "text") for each in asked)
    texts = read_texts(db, ids) if reads_words and head else {}
    labels = _list_labels(parsed)
    scores = {label: read_label_scores(db, label, [photo.image_id for photo in head]) for label in labels}
    explained = []
    for photo in head:
        said = texts.get(photo.photo_id, ())
        reasons = [
            *_explain_filters(asked, details.get(photo.photo_id), said, os.path.basename(photo.path)),
            *_explain_dates(parsed, photo, said),
            *_explain_words(forms, said),
            *_explain_labels(parsed, photo, {label: scores[label].get(photo.image_id, 0.0) for label in labels}),
            *_explain_match(photo),
        ]
        explained.append(replace(photo, why=tuple(dict.fromkeys(reasons))[:MAX_REASONS]))
    rest = ((photo, (*_explain_labels(parsed, photo, {}), *_explain_match(photo))) for photo in photos[MAX_EXPLAINED:])
    return [*explained, *(replace(photo, why=reasons) for photo, reasons in rest)]


def _read_details(db: Database, photo_ids: Sequence[int]) -> "dict[int, FileDetails]":
    from photosearch.library.details import read_file_details  # which a label does without

    return read_file_details(db, photo_ids)


def _list_filters(parts: Sequence[FilterTree]) -> Iterator[Filter]:
    """Those that are wanted, those in brackets too."""
    for part in parts:
        match part:
            case Filter():
                if part.wanted:
                    yield part
            case AllOf(inner) | AnyOf(inner):
                yield from _list_filters(inner)


def _explain_filters(asked: Sequence[Filter], details: "FileDetails | None", texts: Texts, name: str) -> Iterator[str]:
    values: dict[Kind, str | None] = {}
    if details is not None:
        stars = None if details.rating is None else f"{details.rating:g}"
        values = {"in": details.where, "near": details.where, "camera": details.camera, "lens": details.lens,
                  "rating": stars}  # fmt: skip
    for each in asked:
        match each.kind:
            case "in" | "near" | "camera" | "lens" | "rating":
                if values.get(each.kind) is not None:
                    yield f"{'place' if each.kind in ('in', 'near') else each.kind}: {values[each.kind]}"
                elif each.kind == "in":
                    yield from (
                        f"folder: {text}" for kind, text in texts if kind == "folder" and has_words(text, each.value)
                    )
            case "keyword" | "person":
                names = () if details is None else details.people if each.kind == "person" else details.keywords
                yield from (f"{each.kind}: {name}" for name in names if has_words(name, each.value))
            case "folder":
                folded = fold_text(each.value)
                yield from (f"folder: {text}" for kind, text in texts if kind == "folder" and folded in fold_text(text))
            case "text":
                forms = frozenset(word for text in split_words(each.value) for word in fold_words(text))
                yield from _explain_words(forms, [text for text in texts if text[0] not in ("folder", "place")])
                if each.value.casefold() in (name.casefold(), os.path.splitext(name)[0].casefold()):
                    yield f"name: {name}"


def _is_dated_by_folder(parsed: ParsedQuestion, photo: Match) -> bool:
    """Whether only the folder's name can say that a photo was taken when it was asked for."""
    return bool(parsed.since or parsed.until) and not parsed.question.file_dates and photo.taken_from in ("file", "")


def _explain_dates(parsed: ParsedQuestion, photo: Match, texts: Texts) -> Iterator[str]:
    if _is_dated_by_folder(parsed, photo):
        from photosearch.metadata.folder_dates import read_folder_dates  # its patterns

        for kind, text in texts:
            dates = read_folder_dates([text]) if kind == "folder" else None
            if dates and dates[0] <= (parsed.until or "") + "~" and (parsed.since or "") <= dates[1]:
                yield f"folder: {text}"
    elif (parsed.since or parsed.until) and photo.taken:
        yield f"taken: {photo.taken[:10]}"


def _explain_words(forms: Collection[str], texts: Texts) -> Iterator[str]:
    """The texts that have one of these words."""
    for column, text in texts:
        if not set(fold_words(text)).isdisjoint(forms):
            yield f"{column}: {_cut(text, forms)}"


def _cut(text: str, forms: Collection[str]) -> str:
    """A text on one line; of a long one the words around the first that was asked for."""
    line = " ".join(text.split())
    if len(line) <= MAX_CHARACTERS:
        return line
    hit = next((m.start() for m in re.finditer(r"[^\W_]+", line) if not set(fold_words(m[0])).isdisjoint(forms)), 0)
    start = max(0, min(hit - MAX_CHARACTERS // 3, len(line) - MAX_CHARACTERS))
    start = line.find(" ", start - 1) + 1 if 0 < start <= line.find(" ", start - 1) + 1 <= hit else start
    end = start + MAX_CHARACTERS
    return f"{'…' if start else ''}{line[start:end].strip()}{'…' if end < len(line) else ''}"


def _list_labels(parsed: ParsedQuestion) -> list[Label]:
    """Those that are wanted, where the score of the match itself doesn't say it all."""
    words = parsed.words
    trees = [tree for tree in (words.query, words.among) if tree is not None]
    wanted = [words.labels[name] for tree in trees for name in _list_wanted(tree, True)]
    return [] if isinstance(words.query, Is) else list(dict.fromkeys([*wanted, *words.boosts]))


def _list_wanted(tree: Query, wanted: bool) -> Iterator[str]:
    match tree:
        case Is(name):
            if wanted:
                yield name
        case Not(part):
            yield from _list_wanted(part, not wanted)
        case And(parts) | Or(parts):
            for part in parts:
                yield from _list_wanted(part, wanted)


def _explain_labels(parsed: ParsedQuestion, photo: Match, scores: Mapping[Label, float]) -> Iterator[str]:
    if photo.by == "label" and isinstance(parsed.words.query, Is) and photo.score is not None:
        yield f"label {parsed.words.labels[parsed.words.query.label].name} {photo.score:.2f}"
    least = parsed.question.min_score
    for label, score in scores.items():
        if score >= (label.threshold if least is None else least):
            yield f"label {label.name} {score:.2f}"


def _explain_match(photo: Match) -> Iterator[str]:
    if photo.by == "similarity" and photo.score is not None:
        yield f"similarity {photo.score:.2f}"
