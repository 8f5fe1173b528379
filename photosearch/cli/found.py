"""What `find` does with the photos it found: a table, paths, JSON, CSV, folders, a page, thumbnails in the terminal."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from photosearch.cli.output import format_count, format_size, note, print_csv, print_paths, print_table
from photosearch.cli.root import choose_one
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import AlbumResult, Answer, FileDetails, Library, Match

COLUMNS: Mapping[str, Callable[["Match", "FileDetails", str | None], str | None]] = {  # of the table, on request
    "taken": lambda photo, details, text: photo.taken.replace("T", " "),
    "place": lambda photo, details, text: details.where,
    "camera": lambda photo, details, text: details.camera,
    "lens": lambda photo, details, text: details.lens,
    "title": lambda photo, details, text: details.title,
    "caption": lambda photo, details, text: _shorten(details.caption),
    "keywords": lambda photo, details, text: _shorten(", ".join(details.keywords)),
    "people": lambda photo, details, text: _shorten(", ".join(details.people)),
    "rating": lambda photo, details, text: None if details.rating is None else f"{details.rating:g}",
    "text": lambda photo, details, text: _shorten(text),
    "why": lambda photo, details, text: "; ".join(photo.why),
}
MAX_CELL = 60  # characters of a caption or a list in the table
MAX_NAMED = 20  # photos left out of a folder that are named one by one


@dataclass(frozen=True, slots=True)
class Output:
    """The options of `find` that say what to do with the photos; a table without any."""

    paths: bool = False
    null: bool = False
    as_json: bool = False
    as_csv: bool = False
    copy_to: str | None = None
    link_to: str | None = None
    html: str | None = None
    force: bool = False
    open_page: bool = False
    preview: bool = False
    columns: str | None = None

    @property
    def is_table(self) -> bool:
        files = self.copy_to or self.link_to or self.html or self.open_page
        return not (self.paths or self.null or self.as_json or self.as_csv or files or self.preview)

    @property
    def column_names(self) -> list[str]:
        return [name.strip().lower() for name in (self.columns or "").split(",") if name.strip()]

    def check(self) -> None:
        """Raises InputError where two options contradict, or there is no terminal to draw on."""
        choose_one({"--paths": self.paths, "-0": self.null, "--json": self.as_json, "--csv": self.as_csv,
                    "--html -": self.html == "-"})  # fmt: skip
        unknown = [name for name in self.column_names if name not in COLUMNS]
        if unknown:
            raise InputError(f"--columns {','.join(unknown)}: no such column; there are {', '.join(COLUMNS)}")
        if self.columns is not None and not self.is_table:
            raise InputError("--columns: only for the table; --csv and --json have them all")
        if self.html is not None:
            from photosearch import outputs

            outputs.check_output(self.html, outputs.HTML, force=self.force)
        if self.preview:
            from photosearch.cli.preview import check_terminal

            check_terminal()

    def write(self, library: "Library", answer: "Answer", *, unsure: bool) -> bool:
        """All but the table -> whether every photo could be copied or linked.

        unsure: whether paths and folders hold what is not sure beside what is.
        """
        if self.preview:
            from photosearch.cli.preview import draw_photos

            draw_photos(library, answer.photos)
        if self.html is not None:
            _write_page(library, answer, self.html, force=self.force)
        if self.open_page:
            _open_page(library, answer)
        if self.as_json:
            _print_json(library, answer)
        if self.as_csv:
            _print_csv(library, answer)
        if self.paths or self.null or self.copy_to is not None or self.link_to is not None:
            chosen = [photo.path for photo in answer.choose(unsure=unsure)]
            if left_out := len(answer) - len(chosen):
                note(f"{format_count(left_out, 'photo')} left out, not sure; -n N takes them too")
            if self.paths or self.null:
                print_paths(chosen, null=self.null)
            return self._fill_folders(library, chosen)
        return True

    def _fill_folders(self, library: "Library", paths: list[str]) -> bool:
        complete = True
        if self.copy_to is not None:
            complete &= _print_folder(self.copy_to, "copied", library.albums.copy(self.copy_to, paths))
        if self.link_to is not None:
            complete &= _print_folder(self.link_to, "linked", library.albums.link(self.link_to, paths))
        return complete


def print_photos(library: "Library", answer: "Answer", columns: Sequence[str] = ()) -> None:
    """The sure ones, then the others below a line that says so. columns: of COLUMNS, instead of the date."""
    from photosearch import FileDetails

    missing = library.find_missing([photo.path for photo in answer.photos])
    nothing: Sequence[None] = [None] * len(answer.photos)
    described = library.describe(answer.photos) if columns else nothing
    texts = library.read_texts(answer.photos) if "text" in columns else nothing
    for sure in (True, False):
        photos = [row for row in zip(answer.photos, described, texts, strict=True) if row[0].sure == sure]
        if photos and not sure:
            note("Not sure about these:")
        rows = []
        for p, details, text in photos:
            cells = [COLUMNS[name](p, details or FileDetails(), text) or "" for name in columns]
            cells = cells or [p.taken.replace("T", " "), p.taken_from]
            score = "" if p.score is None else f"{p.score:.3f}"
            rows.append((score, p.path, *cells, ", ".join(_describe_row(p, missing))))
        kinds = dict.fromkeys("score" if p.by == "label" else "similarity" for p, *_ in photos if p.by != "date")
        print_table((" or ".join(kinds), "path", *(columns or ("taken", "date from")), ""), rows)


def _shorten(text: str | None) -> str | None:
    text = text and " ".join(text.split())
    return text if text is None or len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"


def _to_facts(details: "FileDetails | None", text: str | None) -> dict[str, object]:
    """What is known of a photo, for programs: the same keys always; None, or an empty list, where nothing is known."""
    from photosearch import FileDetails

    known = details or FileDetails()
    return {
        "place": known.where, "latitude": known.latitude, "longitude": known.longitude, "camera": known.camera,
        "lens": known.lens, "title": known.title, "caption": known.caption, "keywords": list(known.keywords),
        "people": list(known.people), "rating": known.rating, "text": text,
    }  # fmt: skip


def _describe(library: "Library", answer: "Answer") -> "Iterator[tuple[Match, FileDetails | None, str | None]]":
    """(photo, what its file says, the text in it)"""
    return zip(answer.photos, library.describe(answer.photos), library.read_texts(answer.photos), strict=True)


def _describe_row(photo: "Match", missing: Mapping[str, str]) -> list[str]:
    copies = format_count(photo.copies, "copy", "copies") if photo.copies else ""
    return [*filter(None, [copies and f"+{copies}", missing.get(photo.path)])]


def _print_json(library: "Library", answer: "Answer") -> None:
    missing = library.find_missing([photo.path for photo in answer.photos])
    photos = [
        {"path": p.path, "by": p.by, **({} if p.score is None else {"score" if p.by == "label" else p.by: p.score}),
         "sure": p.sure, "copies": p.copies, "taken": p.taken, "taken_from": p.taken_from,
         "exists": p.path not in missing, "why": list(p.why),
         **{key: value for key, value in _to_facts(details, text).items() if value not in (None, [])}}
        for p, details, text in _describe(library, answer)
    ]  # fmt: skip
    answered = {
        "question": answer.question, "sure": answer.sure, "ranked_by": answer.ranked_by, "labels": answer.labels,
        "models": answer.models, "since": answer.since, "until": answer.until, "more": answer.more,
        "hints": answer.hints, "photos": photos,
    }  # fmt: skip
    typer.echo(json.dumps(answered, indent=1))


def _print_csv(library: "Library", answer: "Answer") -> None:
    rows, models = [], " and ".join(answer.models)
    for p, details, text in _describe(library, answer):
        facts = ("; ".join(fact) if isinstance(fact, list) else fact for fact in _to_facts(details, text).values())
        rows.append((p.path, answer.question, p.by, p.score, p.sure, p.taken, p.taken_from, models, *facts))
    names = ("path", "question", "by", "score", "sure", "taken", "taken_from", "model")
    print_csv([(*names, *_to_facts(None, None)), *rows])


def _print_folder(folder: str, done: str, filled: "AlbumResult") -> bool:
    for path, reason in filled.missing[:MAX_NAMED]:
        note(f"{path}: not {done}: {reason}")
    counts = [f"{filled.made:,} {done}"] + [f"{filled.existing:,} already there"] * bool(filled.existing)
    counts += [f"{len(filled.missing):,} left out"] * bool(filled.missing)
    note(f"{folder}: {', '.join(counts)}")
    if filled.indexed is not None:
        note(f"photosearch: {folder} is in {filled.indexed}, which is indexed: the next index lists these copies too")
    return not filled.missing


def _write_page(library: "Library", answer: "Answer", path: str | Path, *, force: bool = False) -> None:
    from photosearch.web.html_export import export_found

    page = export_found(library, answer, path, force=force)
    more = f"; no room for {page.left_out:,} more" if page.left_out else ""
    note(f"{path}: {format_count(page.photos, 'photo')}, {format_size(page.size_bytes)}{more}")


def _open_page(library: "Library", answer: "Answer") -> None:
    import webbrowser

    with contextlib.suppress(OSError):  # where it can't be deleted, it can't be written either
        library.opened_page.unlink(missing_ok=True)
    _write_page(library, answer, library.opened_page)
    if not webbrowser.open(library.opened_page.absolute().as_uri()):
        raise InputError(f"can't open a browser here; the page is {library.opened_page}")
