"""What `find` does with the photos it found: a table, paths, JSON, CSV, albums, a page, thumbnails in the terminal."""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from photosearch.cli.output import format_count, format_size, note, print_csv, print_paths, print_table
from photosearch.cli.preview import check_terminal, draw_photos
from photosearch.cli.root import choose_one
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import AlbumResult, Answer, FileDetails, Library, Match

COLUMNS: Mapping[str, Callable[["Match", "FileDetails"], str | None]] = {  # of the table, on request
    "taken": lambda photo, details: photo.taken.replace("T", " "),
    "place": lambda photo, details: details.where,
    "camera": lambda photo, details: details.camera,
    "lens": lambda photo, details: details.lens,
    "title": lambda photo, details: details.title,
    "caption": lambda photo, details: _shorten(details.caption),
    "keywords": lambda photo, details: _shorten(", ".join(details.keywords)),
    "people": lambda photo, details: _shorten(", ".join(details.people)),
    "rating": lambda photo, details: None if details.rating is None else f"{details.rating:g}",
}
MAX_CELL = 60  # characters of a caption or a list in the table
MAX_NAMED = 20  # photos left out of an album that are named one by one


@dataclass(frozen=True, slots=True)
class Output:
    """The options of `find` that say what to do with the photos; a table without any."""

    paths: bool
    null: bool
    as_json: bool
    as_csv: bool
    copy_to: str | None
    link_to: str | None
    html: str | None
    force: bool
    open_page: bool
    preview: bool
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
        from photosearch import outputs

        choose_one({"--paths": self.paths, "-0": self.null, "--json": self.as_json, "--csv": self.as_csv,
                    "--html -": self.html == outputs.STDOUT})  # fmt: skip
        unknown = [name for name in self.column_names if name not in COLUMNS]
        if unknown:
            raise InputError(f"--columns {','.join(unknown)}: no such column; there are {', '.join(COLUMNS)}")
        if self.columns is not None and not self.is_table:
            raise InputError("--columns: only for the table; --csv and --json have them all")
        if self.html is not None:
            outputs.check_output(self.html, outputs.HTML, force=self.force)
        if self.preview:
            check_terminal()

    def write(self, library: "Library", answer: "Answer") -> bool:
        """All but the table -> whether every photo could be copied or linked."""
        if self.preview:
            draw_photos(library, answer.photos)
        if self.html is not None:
            _write_page(library, answer, self.html, force=self.force)
        if self.open_page:
            _open_page(library, answer)
        if self.as_json:
            _print_json(library, answer)
        if self.as_csv:
            _print_csv(library, answer)
        if self.paths or self.null:
            print_paths([photo.path for photo in answer.photos], null=self.null)
        return self._make_albums(library, [photo.path for photo in answer.photos])

    def _make_albums(self, library: "Library", paths: list[str]) -> bool:
        complete = True
        if self.copy_to is not None:
            complete &= _print_album(self.copy_to, "copied", library.albums.copy(self.copy_to, paths))
        if self.link_to is not None:
            complete &= _print_album(self.link_to, "linked", library.albums.link(self.link_to, paths))
        return complete


def print_photos(library: "Library", answer: "Answer", columns: Sequence[str] = ()) -> None:
    """columns: of COLUMNS, instead of the date and its source."""
    from photosearch import FileDetails

    missing = library.find_missing([photo.path for photo in answer.photos])
    details = library.describe(answer.photos) if columns else [None] * len(answer.photos)
    rows = []
    for photo, described in zip(answer.photos, details, strict=True):
        cells = [COLUMNS[name](photo, described or FileDetails()) or "" for name in columns]
        cells = cells or [photo.taken.replace("T", " "), photo.taken_from]
        rows.append((f"{photo.score:.3f}", photo.path, *cells, missing.get(photo.path, "")))
    score = "score" if answer.ranked_by == "label" else "similarity"
    print_table((score, "path", *(columns or ("taken", "date from")), ""), rows)


def _shorten(text: str | None) -> str | None:
    text = text and " ".join(text.split())
    return text if text is None or len(text) <= MAX_CELL else f"{text[: MAX_CELL - 1]}…"


def _to_facts(details: "FileDetails | None") -> dict[str, object]:
    """What is known of a file, for programs: the same keys always; None, or an empty list, where nothing is known."""
    from photosearch import FileDetails

    known = details or FileDetails()
    return {
        "place": known.where, "latitude": known.latitude, "longitude": known.longitude, "camera": known.camera,
        "lens": known.lens, "title": known.title, "caption": known.caption, "keywords": list(known.keywords),
        "people": list(known.people), "rating": known.rating,
    }  # fmt: skip


def _name_columns(answer: "Answer") -> tuple[str, str]:
    return ("label", "score") if answer.ranked_by == "label" else ("description", "similarity")


def _print_json(library: "Library", answer: "Answer") -> None:
    query, score = _name_columns(answer)
    missing = library.find_missing([photo.path for photo in answer.photos])
    rows = [
        {"path": photo.path, query: answer.question, score: photo.score, "taken": photo.taken,
         "taken_from": photo.taken_from, "model": " and ".join(answer.models), "exists": photo.path not in missing,
         **{key: value for key, value in _to_facts(details).items() if value not in (None, [])}}
        for photo, details in zip(answer.photos, library.describe(answer.photos), strict=True)
    ]  # fmt: skip
    typer.echo(json.dumps(rows, indent=1))


def _print_csv(library: "Library", answer: "Answer") -> None:
    rows = []
    for photo, details in zip(answer.photos, library.describe(answer.photos), strict=True):
        facts = ("; ".join(fact) if isinstance(fact, list) else fact for fact in _to_facts(details).values())
        models = " and ".join(answer.models)
        rows.append((photo.path, answer.question, photo.score, photo.taken, photo.taken_from, models, *facts))
    print_csv([("path", *_name_columns(answer), "taken", "taken_from", "model", *_to_facts(None)), *rows])


def _print_album(folder: str, done: str, album: "AlbumResult") -> bool:
    for path, reason in album.missing[:MAX_NAMED]:
        note(f"{path}: not {done}: {reason}")
    counts = [f"{album.made:,} {done}"] + [f"{album.existing:,} already there"] * bool(album.existing)
    counts += [f"{len(album.missing):,} left out"] * bool(album.missing)
    note(f"{folder}: {', '.join(counts)}")
    return not album.missing


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
