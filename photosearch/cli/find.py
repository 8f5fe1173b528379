"""`find`: photos by label, description or example, as a table, paths, JSON, CSV, a folder or a page."""

import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from photosearch.cli.found import Output, print_photos
from photosearch.cli.output import format_count, note
from photosearch.cli.root import (
    AsCsv,
    AsJson,
    Db,
    Force,
    Null,
    OneModel,
    Paths,
    Since,
    Under,
    Until,
    album_option,
    app,
    choose_one,
    label_argument,
    open_library,
    path_option,
    refuse,
)
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import Answer, Library, SearchOptions


@app.command("find")
def find_command(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        label_argument(metavar="WORDS", help='bird; bird -dog; dog or cat; a cat asleep on a sofa; "red panda"'),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Read WORDS as one description.")] = False,
    label: Annotated[bool, typer.Option("--label", help="Read WORDS as labels only.")] = False,
    like: Annotated[
        list[str] | None,
        path_option("--like", metavar="PHOTO", help="Similar to this photo; 2:PHOTO counts twice; repeatable."),
    ] = None,
    unlike: Annotated[
        list[str] | None, path_option("--unlike", metavar="PHOTO", help="Not similar to this photo; repeatable.")
    ] = None,
    min_similarity: Annotated[
        float | None,
        typer.Option(metavar="S", min=-1, max=1, help="Lowest similarity to show."),
    ] = None,
    sure: Annotated[bool, typer.Option("--sure", help="Only photos that surely match.")] = False,
    copies: Annotated[bool, typer.Option("--copies", help="List all copies of a picture one by one.")] = False,
    sort: Annotated[str, typer.Option(metavar="ORDER", help="best, or date (newest first).")] = "best",
    explain: Annotated[
        bool, typer.Option("--explain", help="Explain on stderr how WORDS were read; with --json, print that alone.")
    ] = False,
    min_score: Annotated[
        float | None, typer.Option(metavar="P", min=0, max=1, help="Lowest score to show (default: label's threshold).")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            metavar="N",
            min=0,
            help="Show at most N photos, 0 = all (default: up to 20 for a description, 100 others in a table).",
        ),
    ] = None,
    under: Under = None,
    album: Annotated[str | None, album_option("--album", help="Only photos in this album.")] = None,
    since: Since = None,
    until: Until = None,
    file_dates: Annotated[
        bool, typer.Option("--file-dates", help="For --since and --until, date undated photos by their files.")
    ] = False,
    today: Annotated[
        str | None, typer.Option(metavar="DATE", help='The day that "last summer" counts from (default: today).')
    ] = None,
    paths: Paths = False,
    null: Null = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    copy_to: Annotated[
        str | None, path_option("--copy-to", metavar="DIR", help="Copy the photos to this folder.")
    ] = None,
    link_to: Annotated[
        str | None, path_option("--link-to", metavar="DIR", help="Create links to the photos in this folder.")
    ] = None,
    html: Annotated[
        str | None,
        path_option("--html", metavar="FILE", help="Write one page with thumbnails, 25 MB at most; - is stdout."),
    ] = None,
    force: Force = False,
    open_: Annotated[bool, typer.Option("--open", help="Show such a page in the browser.")] = False,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Columns of the table: taken,place,camera,lens,title,caption,keywords,..."),
    ] = None,
    preview: Annotated[
        bool, typer.Option("--preview", help="Draw thumbnails in the terminal (default: 12 photos).")
    ] = False,
    save: Annotated[
        str | None, typer.Option(metavar="NAME", help="Save this search as an album, which fills itself.")
    ] = None,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Find photos, best first; without words, all, newest first.

    WORDS are labels or a description: bird; bird and not dog; a dog on a beach; "dog last summer".
    """
    output = Output(paths, null, as_json, as_csv, copy_to, link_to, html, force, open_, preview, columns)
    output.check()
    choose_one({"--text": text, "--label": label})
    if save is not None:
        refuse({"--today": today}, "a saved search counts from the day on which it is shown")
    if sort not in ("best", "date"):
        raise InputError(f"--sort {sort}: give best or date")
    options: SearchOptions = {
        "query_mode": "text" if text else "label" if label else None, "like": like or (), "unlike": unlike or (),
        "min_score": min_score, "min_similarity": min_similarity, "sure_only": sure, "copies": copies,
        "under": under, "album": album, "since": since, "until": until, "file_dates": file_dates,
        "sort": "date" if sort == "date" else "best", "model": model,
    }  # fmt: skip
    search = Search(" ".join(words or ()), options, limit, today, output)
    with open_library(ctx, db) as library:
        if explain and as_json:
            reading = library.explain(
                search.query, query_mode=options["query_mode"], since=since, until=until, model=model, today=today
            )
            typer.echo(json.dumps(reading, indent=1))
            return
        answer = search.run(library)
        if save is not None:
            search.store(library, save)
        for line in (*(answer.explanation if explain else ()), *answer.hints):
            note(line)
        if output.is_table:
            search.print_table(library, answer)
        elif not answer.photos:
            note(describe_none(answer, options))
        complete = output.write(library, answer, unsure=limit is not None or min_similarity is not None)
    if not complete:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class Search:
    """A search as it was typed. limit: --limit, None without."""

    query: str
    options: "SearchOptions"
    limit: int | None
    today: str | None
    output: Output

    def run(self, library: "Library") -> "Answer":
        from photosearch import PREVIEW_PHOTOS, TABLE_PHOTOS, choose_limits

        default = TABLE_PHOTOS if self.output.is_table else PREVIEW_PHOTOS if self.output.preview else None
        limit, max_similar = choose_limits(self.limit, default)
        return library.find(self.query, max_labeled=limit, max_similar=max_similar, today=self.today, **self.options)

    def store(self, library: "Library", name: str) -> None:
        from photosearch import choose_limits

        limit, max_similar = choose_limits(self.limit, None)
        change = library.albums.save_search(
            name, self.query, max_labeled=limit, max_similar=max_similar, **self.options
        )
        note(f"Saved as the album {change.name}: photosearch album show {shlex.quote(change.name)}")

    def print_table(self, library: "Library", answer: "Answer") -> None:
        print_photos(library, answer, self.output.column_names)
        if not answer.photos:
            note(describe_none(answer, self.options))
        elif not answer.sure:
            return
        elif answer.ranked_by == "similarity" or any(photo.by == "similarity" for photo in answer):
            more = "; --limit 0 shows all" if answer.more and self.limit is None else ""
            note(f"{format_count(len(answer.photos), 'photo')}{more}")
        else:
            from photosearch import MAX_COUNTED

            total = len(answer.photos)
            if answer.more and self.limit is None:
                total = library.count(self.query, up_to=MAX_COUNTED + 1, today=self.today, **self.options)
            models = "" if answer.ranked_by == "date" else describe_models(answer, library.models.default)
            is_newest = "date" in (answer.ranked_by, self.options["sort"])
            note(describe_found(len(answer.photos), total, models, "newest" if is_newest else "best"))


def describe_found(shown: int, total: int, models: str, first: str = "best") -> str:
    """total: all photos that match, up to MAX_COUNTED + 1."""
    from photosearch import MAX_COUNTED

    if total <= shown:
        return f"{format_count(shown, 'photo')}{models}"
    whole = f"{total:,}" if total <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"
    return f"The {first} {shown:,} of {whole} photos{models}; --limit 0 shows all"


def describe_models(answer: "Answer", default: str | None) -> str:
    """Which models answered, if not the default one alone."""
    from photosearch import USER_MODEL

    if answer.models == (default,):
        return ""
    names = ("your label" if name == USER_MODEL else f"model {name}" for name in answer.models)
    return f" ({', '.join(names)})"


def describe_none(answer: "Answer", options: "SearchOptions") -> str:
    """What to do where filters leave nothing."""
    if options["query_mode"] == "label":
        return "Nothing found; without --label the nearest photos follow."
    given = [name for name, value in (
        ("--min-score", options["min_score"]), ("--min-similarity", options["min_similarity"]),
        ("--sure", options["sure_only"] or None), ("--under", options["under"]), ("--album", options["album"]),
        ("--since", options["since"]), ("--until", options["until"]),
    ) if value is not None]  # fmt: skip
    if given:
        return f"Nothing found; leave out {' or '.join(given)}."
    if answer.since or answer.until:
        return "Nothing found at that time; ask without it."
    return "Nothing found; ask for something else, or index photos: photosearch index FOLDER"
