"""What a sentence was understood as, piece by piece, and the sentence without one of these pieces.

A piece is taken away where it stands: the shortest run of words whose removal changes the reading by just that piece.
Where none does, a filter is left out of the filters, which are then written behind the other words as they are typed.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from photosearch import query
from photosearch.errors import QueryError
from photosearch.library.filtering import Filter
from photosearch.search.filters import join_pieces
from photosearch.search.understand import ParsedQuestion

ChipKind = Literal[
    "label", "description", "taken", "in", "near", "camera", "lens", "keyword", "person", "rating", "folder", "text",
    "is", "album", "any",
]  # fmt: skip
MAX_TOKENS, MAX_RUN = 40, 8  # of a sentence that is searched for a piece; of a piece
_LEADING = frozenset(
    "in on at near from since before after until during with without the of taken by and my not".split()
)
_TOKEN = re.compile(r'\S*"[^"]*"|\S+')

Read = Callable[[str], ParsedQuestion]


@dataclass(frozen=True, slots=True)
class Chip:
    """A piece of a question. value: as it was said; of taken: 2019-05-01..2019-05-31, with either end open; of any:
    filters joined by or. wanted: False for what must not hold."""

    kind: ChipKind
    value: str
    wanted: bool = True


def list_chips(parsed: ParsedQuestion) -> tuple[Chip, ...]:
    """The pieces of a question's words: labels and descriptions first, then filters, then dates."""
    words, chips = parsed.words, list[Chip]()
    for tree in (words.query, words.among):
        if tree is not None:
            names = {word: label.name for word, label in words.labels.items()}
            chips += [Chip("label", names.get(name, name), wanted) for name, wanted in _list_labels(tree, True)]
    for each in words.descriptions:
        is_said = each.text in words.labels if not each.wanted else words.query is not None  # as labels
        chips += [] if is_said else [Chip("description", each.text, each.wanted)]
    chips += map(_make_chip, parsed.filters.parts)
    if parsed.since or parsed.until:
        one_day = parsed.since == parsed.until
        chips.append(Chip("taken", parsed.since or "" if one_day else f"{parsed.since or ''}..{parsed.until or ''}"))
    return tuple(dict.fromkeys(chips))


def _make_chip(part: object) -> Chip:
    return Chip(part.kind, part.value, part.wanted) if isinstance(part, Filter) else Chip("any", str(part))


def _list_labels(tree: query.Query, wanted: bool) -> Iterator[tuple[str, bool]]:
    match tree:
        case query.Is(name):
            yield name, wanted
        case query.Not(part):
            yield from _list_labels(part, not wanted)
        case query.And(parts) | query.Or(parts):
            for part in parts:
                yield from _list_labels(part, wanted)


def remove_chip(words: str, chip: Chip, read: Read) -> str:
    """A sentence without one of its pieces; as it was where it has no such piece, or can't be told apart from it.

    read: how a sentence is understood. Raises QueryError for one that can't be.
    """
    parsed = read(words)
    chips = list_chips(parsed)
    if chip not in chips:
        return words
    wanted = tuple(each for each in chips if each != chip)
    tokens = list(_TOKEN.finditer(words))
    if len(tokens) <= MAX_TOKENS:
        for first, end in _list_runs(len(tokens)):
            rest = join_pieces([words[: tokens[first].start()], words[tokens[end - 1].end() :]])
            if _read_chips(rest, read) == wanted:
                return _shorten(words, tokens, first, end, wanted, read) or rest
    return _write(parsed, chip)


def _shorten(
    words: str, tokens: Sequence[re.Match[str]], first: int, end: int, wanted: tuple[Chip, ...], read: Read
) -> str | None:
    """The words without a run and the small words that led to it: "in" of "in May"; None where it has none."""
    rest = None
    while first and tokens[first - 1][0].lower() in _LEADING:
        first -= 1
        shorter = join_pieces([words[: tokens[first].start()], words[tokens[end - 1].end() :]])
        if _read_chips(shorter, read) != wanted:
            break
        rest = shorter
    return rest


def _list_runs(n: int) -> Iterator[tuple[int, int]]:
    """Runs of tokens, the shortest first, as (first, end)."""
    for length in range(1, min(n, MAX_RUN) + 1):
        for first in range(n - length + 1):
            yield first, first + length


def _read_chips(words: str, read: Read) -> tuple[Chip, ...] | None:
    try:
        return list_chips(read(words)) if words else ()
    except QueryError:
        return None


def _write(parsed: ParsedQuestion, chip: Chip) -> str:
    """The words that rank, and the filters as they are typed, without one piece."""
    ranking = chip.kind in ("label", "description")
    parts = [str(part) for part in parsed.filters.parts if _make_chip(part) != chip]
    dates = [f"taken:{each.value}" for each in list_chips(parsed) if each.kind == "taken" and each != chip]
    return " ".join(filter(None, ["" if ranking else parsed.question.words, *parts, *dates]))


def add_chip(words: str, chip: Chip) -> str:
    """A sentence with one more piece: a filter behind it, a label in front of what is asked for."""
    value = chip.value.replace('"', " ").strip()
    if chip.kind == "label":
        name = f'"{value}"' if re.search(r"[^\w-]|^(?:and|or|not)$", value) else value
        return f"{name} and {words}" if words.strip() else name
    quote = '"' if re.search(r"[\s()',;]", value) else ""
    return " ".join(filter(None, [words.strip(), f"{'' if chip.wanted else '-'}{chip.kind}:{quote}{value}{quote}"]))


def replace_dates(words: str, chip: Chip, read: Read) -> str:
    """A sentence with these dates instead of its own."""
    for each in list_chips(read(words)):
        if each.kind == "taken":
            words = remove_chip(words, each, read)
    return add_chip(words, chip)
