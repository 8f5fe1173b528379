"""What `find` does with the photos it found: a table, paths, JSON, CSV, albums, a page, thumbnails in the terminal."""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from photosearch.cli.output import format_count, format_size, note, print_csv, print_paths, print_table
from photosearch.cli.preview import check_terminal, draw_photos
from photosearch.cli.root import choose_one
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import AlbumResult, Answer, Library, Match

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

    def write(self, library: "Library", answer: "Answer", *, unsure: bool) -> bool:
        """All but the table -> whether every photo could be copied or linked.

        unsure: whether paths and albums hold what is not sure beside what is.
        """
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
        if self.paths or self.null or self.copy_to is not None or self.link_to is not None:
            chosen = [photo.path for photo in answer if photo.sure or unsure] or [photo.path for photo in answer]
            if left_out := len(answer) - len(chosen):
                note(f"{format_count(left_out, 'photo')} left out, not sure; -n N takes them too")
            if self.paths or self.null:
                print_paths(chosen, null=self.null)
            return self._make_albums(library, chosen)
        return True

    def _make_albums(self, library: "Library", paths: list[str]) -> bool:
        complete = True
        if self.copy_to is not None:
            complete &= _print_album(self.copy_to, "copied", library.albums.copy(self.copy_to, paths))
        if self.link_to is not None:
            complete &= _print_album(self.link_to, "linked", library.albums.link(self.link_to, paths))
        return complete


def print_photos(library: "Library", answer: "Answer") -> None:
    """The sure ones, then the others below a line that says so."""
    missing = library.find_missing([photo.path for photo in answer.photos])
    for sure in (True, False):
        photos = [photo for photo in answer.photos if photo.sure == sure]
        if photos and not sure:
            note("Not sure about these:")
        rows = [("" if p.score is None else f"{p.score:.3f}", p.path, p.taken.replace("T", " "), p.taken_from,
                 ", ".join(_describe_row(p, missing))) for p in photos]  # fmt: skip
        kinds = dict.fromkeys(
            "score" if photo.by == "label" else "similarity" for photo in photos if photo.by != "date"
        )
        print_table((" or ".join(kinds), "path", "taken", "date from", ""), rows)


def _describe_row(photo: "Match", missing: Mapping[str, str]) -> list[str]:
    copies = format_count(photo.copies, "copy", "copies") if photo.copies else ""
    return [*filter(None, [copies and f"+{copies}", missing.get(photo.path)])]


def _print_json(library: "Library", answer: "Answer") -> None:
    missing = library.find_missing([photo.path for photo in answer.photos])
    photos = [
        {"path": p.path, "by": p.by, **({} if p.score is None else {"score" if p.by == "label" else p.by: p.score}),
         "sure": p.sure, "copies": p.copies, "taken": p.taken, "taken_from": p.taken_from,
         "exists": p.path not in missing}
        for p in answer.photos
    ]  # fmt: skip
    answered = {
        "question": answer.question, "sure": answer.sure, "ranked_by": answer.ranked_by, "labels": answer.labels,
        "models": answer.models, "since": answer.since, "until": answer.until, "more": answer.more,
        "hints": answer.hints, "photos": photos,
    }  # fmt: skip
    typer.echo(json.dumps(answered, indent=1))


def _print_csv(answer: "Answer") -> None:
    rows = [(p.path, answer.question, p.by, p.score, p.sure, p.taken, p.taken_from, " and ".join(answer.models))
            for p in answer.photos]  # fmt: skip
    print_csv([("path", "question", "by", "score", "sure", "taken", "taken_from", "model"), *rows])


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
