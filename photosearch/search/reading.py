"""How a question was read, as one record for programs: its description, labels, dates and filters."""

from dataclasses import asdict
from datetime import datetime, timedelta

from photosearch.library.filtering import Kind
from photosearch.query import And, Is, Not, Or, Query
from photosearch.search.understand import DATE_FORMATS, ParsedQuestion

LISTS: dict[str, Kind] = {"places": "in", "people": "person", "keywords": "keyword", "is": "is"}
TEXTS: dict[str, Kind] = {"text": "text", "camera": "camera", "folder": "folder"}


def describe_reading(parsed: ParsedQuestion) -> dict[str, object]:
    """A question as JSON has it; what it does not ask for is None.

    description: the words that rank. labels, not_labels: those that must, and must not, hold. since, until: ISO dates,
    until no longer in it. places, people, keywords, is: lists. near: name, latitude, longitude in degrees, km. text,
    camera, folder: texts, several joined by spaces. rating: min and max. lens, albums, and unwanted, the filters that
    must not hold, are there only where they are asked for. So is filters, all of them as they can be typed: where `or`
    joins some, which are under no other key.
    """
    words, filters = parsed.words, parsed.filters
    yes, no = list[str](), list[str]()
    for tree in (words.query, words.among):
        if tree is not None:
            _sort_labels(tree, True, yes, no)
    names = {word: label.name for word, label in words.labels.items()}
    described = [d.text for d in words.descriptions if d.wanted and words.query is None]
    no += [d.text for d in words.descriptions if not d.wanted]
    circles = [(part.value, part.circle) for part in filters.list_single("near")]
    stars = [part.stars for part in filters.list_single("rating")]
    lists = {key: filters.list_values(kind) or None for key, kind in LISTS.items()}
    texts = {key: " ".join(filters.list_values(kind)) or None for key, kind in TEXTS.items()}
    nearest = [{"name": name, **asdict(circle)} for name, circle in circles if circle is not None]
    lens = filters.list_values("lens")
    unwanted = [str(part).removeprefix("-") for part in filters.list_single(wanted=False)]
    return {
        "description": " ".join(described) or None,
        "labels": list(dict.fromkeys(names.get(name, name) for name in yes)) or None,
        "not_labels": list(dict.fromkeys(names.get(name, name) for name in no)) or None,
        "since": parsed.since and _first_day(parsed.since),
        "until": parsed.until and _day_after(parsed.until),
        "places": lists["places"],
        "near": nearest[0] if len(nearest) == 1 else nearest or None,
        "text": texts["text"],
        "people": lists["people"],
        "camera": texts["camera"],
        "folder": texts["folder"],
        "keywords": lists["keywords"],
        "is": lists["is"],
        "rating": {"min": max(low for low, _ in stars), "max": min(high for _, high in stars)} if stars else None,
        **({"lens": " ".join(lens)} if lens else {}),
        **({"albums": albums} if (albums := filters.list_values("album")) else {}),
        **({"unwanted": unwanted} if unwanted else {}),
        **({"filters": str(filters)} if filters.has_trees else {}),
    }


def _sort_labels(tree: Query, wanted: bool, yes: list[str], no: list[str]) -> None:
    match tree:
        case Is(name):
            (yes if wanted else no).append(name)
        case Not(part):
            _sort_labels(part, not wanted, yes, no)
        case And(parts) | Or(parts):
            for part in parts:
                _sort_labels(part, wanted, yes, no)


def _first_day(text: str) -> str:
    """2019-05 -> 2019-05-01; with a time as it is."""
    return f"{text}-01-01"[:10] if len(text) == 4 else f"{text}-01"[:10] if len(text) == 7 else text


def _day_after(text: str) -> str:
    """The first day, or minute or second, that is no longer in a date that is included whole."""
    for form in DATE_FORMATS:
        try:
            first = datetime.strptime(text, form)
        except ValueError:
            continue
        if "%H" in form:
            return (first + timedelta(seconds=1 if "%S" in form else 60)).isoformat()
        if "%d" in form:
            return (first + timedelta(1)).date().isoformat()
        month = first.month if "%m" in form else 12
        return f"{first.year + month // 12:04d}-{month % 12 + 1:02d}-01"
    return text
