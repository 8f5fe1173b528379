"""What `find` does with the photos it found: a table, paths, JSON, CSV, albums, a page, thumbnails in the terminal."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from photosearch.cli.output import format_count, format_size, note, print_csv, print_paths, print_table
from photosearch.cli.preview import check_terminal, draw_photos
from photosearch.cli.root import choose_one
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import AlbumResult, Answer, Library

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

    @property
    def is_table(self) -> bool:
        files = self.copy_to or self.link_to or self.html or self.open_page
        return not (self.paths or self.null or self.as_json or self.as_csv or files or self.preview)

    def check(self) -> None:
        """Raises InputError where two options contradict, or there is no terminal to draw on."""
        from photosearch import outputs

        choose_one({"--paths": self.paths, "-0": self.null, "--json": self.as_json, "--csv": self.as_csv,
                    "--html -": self.html == outputs.STDOUT})  # fmt: skip
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
            _print_csv(answer)
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


def print_photos(library: "Library", answer: "Answer") -> None:
    missing = library.find_missing([photo.path for photo in answer.photos])
    rows = [(f"{photo.score:.3f}", photo.path, photo.taken.replace("T", " "), photo.taken_from,
             missing.get(photo.path, "")) for photo in answer.photos]  # fmt: skip
    print_table(("score" if answer.ranked_by == "label" else "similarity", "path", "taken", "date from", ""), rows)


def _name_columns(answer: "Answer") -> tuple[str, str]:
    return ("label", "score") if answer.ranked_by == "label" else ("description", "similarity")


def _print_json(library: "Library", answer: "Answer") -> None:
    query, score = _name_columns(answer)
    missing = library.find_missing([photo.path for photo in answer.photos])
    rows = [
        {"path": photo.path, query: answer.question, score: photo.score, "taken": photo.taken,
         "taken_from": photo.taken_from, "model": " and ".join(answer.models), "exists": photo.path not in missing}
        for photo in answer.photos
    ]  # fmt: skip
    typer.echo(json.dumps(rows, indent=1))


def _print_csv(answer: "Answer") -> None:
    rows = [(photo.path, answer.question, photo.score, photo.taken, photo.taken_from, " and ".join(answer.models))
            for photo in answer.photos]  # fmt: skip
    print_csv([("path", *_name_columns(answer), "taken", "taken_from", "model"), *rows])


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
