"""Albums by the names that a user types, and saved searches: the question that is stored, and what it finds today.

A saved search keeps the words and options of a question as they were typed, not the day: "last summer" stays relative.
What it holds is what it shows: its sure photos, or all where none is sure.
"""

import json
import os
import shlex
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace

from photosearch.errors import PhotosearchError, QueryError
from photosearch.library import albums
from photosearch.library.albums import Album
from photosearch.library.database import Database
from photosearch.library.filtering import Filter, fold_text
from photosearch.photos.remote import absolute_path
from photosearch.search.understand import Question, read_day

NAMED = 10  # albums that an error lists
OPTIONS = {  # of `find`, for the fields of a question that are typed apart from its words; the others are told below
    "like": "--like", "unlike": "--unlike", "min_score": "--min-score", "min_similarity": "--min-similarity",
    "sure_only": "--sure", "copies": "--copies", "under": "--under", "album": "--album", "since": "--since",
    "until": "--until", "file_dates": "--file-dates", "sort": "--sort", "model": "--model",
}  # fmt: skip

T = typing.TypeVar("T")
Run = Callable[[Question, frozenset[int]], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class AlbumSummary:
    """An album in a list. photos: pictures of it that a file on the disk shows; None for a saved search.

    search: what a saved search asks, as `find` takes it; None for chosen photos. created_at: UTC.
    """

    name: str
    photos: int | None
    search: str | None
    created_at: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def list_albums(db: Database) -> list[AlbumSummary]:
    """Every album, by its name. No saved search is run."""
    return [_summarize(album, album.photos) for album in albums.list_albums(db)]


def summarize(db: Database, album: Album) -> AlbumSummary:
    """An album as the list has it."""
    return _summarize(album, albums.count_album(db, album) if album.question is None else None)


def _summarize(album: Album, photos: int | None) -> AlbumSummary:
    return AlbumSummary(
        album.name, photos, None if album.question is None else describe_search(album), album.created_at
    )


def match_album(db: Database, name: str) -> Album | None:
    """The album that a name means, letter case and, where that is enough, accents aside; None where it means none."""
    if (album := albums.find_album(db, name)) is not None:
        return album
    same = [other for other in albums.list_album_names(db) if fold_text(other) == fold_text(name)]
    return albums.find_album(db, same[0]) if len(same) == 1 else None


def get_album(db: Database, name: str) -> Album:
    """The same. Raises QueryError where a name means no album."""
    if (album := match_album(db, name)) is not None:
        return album
    names = albums.list_album_names(db)
    if not names:
        raise QueryError(f"no album {name!r}: there are none yet; make one: photosearch album add NAME PHOTO")
    more = ", ..." if len(names) > NAMED else ""
    raise QueryError(f"no album {name!r}; there are: {', '.join(names[:NAMED])}{more}")


def get_chosen(db: Database, name: str) -> Album:
    """The same of an album whose photos were chosen. Raises QueryError for a saved search."""
    album = get_album(db, name)
    if album.question is not None:
        raise QueryError(f"'{album.name}' is a saved search, which fills itself: photos can't be added or removed")
    return album


# ---- saved searches


def write_question(question: Question) -> str:
    """A question as it is stored, with absolute paths; without the day that it was asked on."""
    from photosearch.search.similar import read_weight

    def to_absolute(picture: str) -> str:
        weight, path = read_weight(picture)
        return f"{'' if weight == 1 else f'{weight:g}:'}{absolute_path(path)}"

    model, under = question.model, question.under
    kept = replace(
        question, today=None, like=tuple(map(to_absolute, question.like)),
        unlike=tuple(map(to_absolute, question.unlike)), under=None if under is None else absolute_path(under),
        model=absolute_path(model) if model is not None and os.path.isfile(model) else model,
    )  # fmt: skip
    default = asdict(Question())
    return json.dumps({name: value for name, value in asdict(kept).items() if value != default[name]})


def read_question(album: Album, today: str | None = None) -> Question:
    """The question of a saved search. today: the day that "last summer" counts from. Raises QueryError."""
    kinds = typing.get_type_hints(Question)
    try:
        stored = json.loads(album.question or "")
        values: dict[str, typing.Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in stored.items()}
    except (ValueError, AttributeError, RecursionError):
        values = {"": None}
    if not all(name in kinds and name != "today" and _fits(kinds[name], value) for name, value in values.items()):
        raise QueryError(
            f"album {album.name}: its search can't be read, another version of photosearch may have saved it; "
            "delete the album and save the search again"
        )
    return replace(Question(**values), today=today)


def _fits(kind: object, value: object) -> bool:
    """Whether a value is of a field's type, as Question has them."""
    inner = typing.get_args(kind)
    match typing.get_origin(kind):
        case types.UnionType | typing.Union:
            return any(_fits(one, value) for one in inner)
        case typing.Literal:
            return value in inner
        case origin if origin is tuple:
            return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is kind


def describe_search(album: Album) -> str:
    """What a saved search asks, as `find` takes it: dog last summer --sure. Empty where that can't be read."""
    try:
        return " ".join(_list_words(read_question(album)))
    except QueryError:
        return ""


def _list_words(question: Question) -> Iterator[str]:
    yield from filter(None, [question.words])
    if question.query_mode is not None:
        yield f"--{question.query_mode}"
    default = Question()
    for field in fields(question):
        value, option = getattr(question, field.name), OPTIONS.get(field.name)
        if option is not None and value != getattr(default, field.name):
            for one in value if isinstance(value, tuple) else [value]:
                yield option if one is True else f"{option} {shlex.quote(str(one))}"
    if question.max_similar is not None:
        yield f"-n {question.limit or 0}"


def run_saved(album: Album, today: str | None, ask: Callable[[Question], T]) -> T:
    """Ask what a saved search asks. Raises what `find` raises, with the album's name."""
    read_day(today)
    question = read_question(album, today)
    try:
        return ask(question)
    except PhotosearchError as error:
        raise type(error)(f"album {album.name}: its search finds nothing any more: {error}") from None


def resolve_album(db: Database, part: Filter, today: str | None, within: frozenset[int], run: Run) -> Filter:
    """A filter of an album with what is in it; any other filter as it is. Raises QueryError, and what `run` raises.

    within: ids of the saved searches that ask this. run: (a question, those ids) -> the images that it finds.
    """
    if part.kind != "album":
        return part
    album = get_album(db, part.value)
    if album.question is None:
        return replace(part, album=album.id)
    if album.id in within:
        raise QueryError(f"album {album.name} is a saved search that asks for itself; delete it and save another")
    return replace(part, images=run_saved(album, today, lambda question: run(question, within | {album.id})))
