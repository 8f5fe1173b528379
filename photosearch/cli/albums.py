"""`albums` and `album`: photos under a name, and saved searches."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photosearch.cli.confirm import confirm
from photosearch.cli.found import Output, print_photos
from photosearch.cli.keywords import print_export
from photosearch.cli.output import format_count, format_time, note, print_csv, print_table
from photosearch.cli.root import (
    App,
    AsCsv,
    AsJson,
    Db,
    Null,
    Paths,
    Since,
    Under,
    Until,
    Yes,
    album_argument,
    app,
    choose_one,
    open_library,
    path_argument,
    path_option,
)
from photosearch.errors import InputError, PhotosearchError

if TYPE_CHECKING:
    from photosearch import AlbumSummary, Answer, Library, SearchOptions

album_app = App(no_args_is_help=True, help="Show or change an album; no photo is changed.")
app.add_typer(album_app, name="album")

Photos = Annotated[list[str] | None, path_argument(metavar="PHOTO", help="Photos in the library.")]
Find = Annotated[str | None, typer.Option("--find", metavar="WORDS", help="The photos that `find WORDS` finds.")]
Like = Annotated[
    list[str] | None, path_option("--like", metavar="PHOTO", help="Photos that are similar to this one; repeatable.")
]
Sure = Annotated[bool, typer.Option("--sure", help="Only photos that surely match.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", metavar="N", min=0, help="At most N photos, 0 = all.")]


@app.command("albums")
def albums_command(ctx: typer.Context, as_json: AsJson = False, as_csv: AsCsv = False, db: Db = None) -> None:
    """List your albums and saved searches, with counts."""
    choose_one({"--json": as_json, "--csv": as_csv})
    with open_library(ctx, db) as library:
        rows = [_count(library, album) for album in library.albums.list()]
    if as_json:
        typer.echo(json.dumps(rows, indent=1))
    elif as_csv:
        names = ("name", "photos", "more", "search", "created_at", "error")
        print_csv([names, *([row[name] for name in names] for row in rows)])
    else:
        print_table(("album", "photos", "search", "created"), [_to_cells(row) for row in rows])
        if not rows:
            note("No albums yet; make one: photosearch album add NAME PHOTO, or photosearch find WORDS --save NAME")


def _count(library: "Library", album: "AlbumSummary") -> dict[str, Any]:
    """An album as JSON has it. more: whether it holds more than `photos`. error: why its search finds nothing."""
    from photosearch import MAX_COUNTED

    row: dict[str, Any] = {**album.to_json(), "more": False, "error": None}
    if album.photos is None:
        try:
            photos = library.albums.count(album.name, up_to=MAX_COUNTED + 1)
            row |= {"photos": min(photos, MAX_COUNTED), "more": photos > MAX_COUNTED}
        except PhotosearchError as error:
            row["error"] = str(error)
    return row


def _to_cells(row: dict[str, Any]) -> tuple[str, ...]:
    photos = "" if row["photos"] is None else f"{'more than ' if row['more'] else ''}{row['photos']:,}"
    return row["name"], photos, row["error"] or row["search"] or "", format_time(row["created_at"])


@album_app.command("add")
def album_add(
    ctx: typer.Context,
    name: Annotated[str, album_argument(help="An album; it is made if it does not exist.")],
    photos: Photos = None,
    find: Find = None,
    like: Like = None,
    sure: Sure = False,
    limit: Limit = None,
    under: Under = None,
    since: Since = None,
    until: Until = None,
    db: Db = None,
) -> None:
    """Add photos to an album: named ones, or found ones.

    A photo is in an album by its content: its copies are in it, and it stays in it when it is moved or renamed.
    """
    options: SearchOptions = {"like": like or (), "sure_only": sure, "under": under, "since": since, "until": until}
    with open_library(ctx, db) as library:
        images = _choose_images(library, photos, find, limit, options)
        change = library.albums.add(name, photos or ()) if images is None else library.albums.add_images(name, images)
    note(f"Created the album {change.name}: {format_count(change.photos, 'photo')}." if change.created
         else f"{change.name}: {format_count(change.photos, 'photo')} added")  # fmt: skip


@album_app.command("remove")
def album_remove(
    ctx: typer.Context,
    name: Annotated[str, album_argument(help="An album.")],
    photos: Photos = None,
    find: Find = None,
    like: Like = None,
    sure: Sure = False,
    limit: Limit = None,
    under: Under = None,
    since: Since = None,
    until: Until = None,
    db: Db = None,
) -> None:
    """Remove photos from an album: named ones, or found ones.

    They stay in the library and on the disk.
    """
    options: SearchOptions = {"like": like or (), "sure_only": sure, "under": under, "since": since, "until": until}
    with open_library(ctx, db) as library:
        images = _choose_images(library, photos, find, limit, {**options, "album": name})
        albums = library.albums
        change = albums.remove(name, photos or ()) if images is None else albums.remove_images(name, images)
    note(f"{change.name}: {format_count(change.photos, 'photo')} removed")


def _choose_images(
    library: "Library", photos: Sequence[str] | None, words: str | None, limit: int | None, options: "SearchOptions"
) -> list[int] | None:
    """The images that options find; None where photos are named. Raises InputError where it is neither, or both."""
    from photosearch import choose_limits

    given = {
        "--find": words, "--like": options["like"] or None, "--under": options["under"], "--since": options["since"],
        "--until": options["until"],
    }  # fmt: skip
    if bool(photos) == any(value is not None for value in given.values()):
        raise InputError(f"name photos, or find them with {', '.join(given)}" + "; not both" * bool(photos))
    if photos and (options["sure_only"] or limit is not None):
        raise InputError("--sure and --limit are for photos that are found; leave them out")
    if photos:
        return None
    max_labeled, max_similar = choose_limits(limit, None)
    answer = library.find(words or "", max_labeled=max_labeled, max_similar=max_similar, **options)
    chosen = answer.choose(unsure=limit is not None)
    if not chosen:
        raise InputError("no photo is found; nothing was changed")
    for hint in answer.hints:
        note(hint)
    return [photo.image_id for photo in chosen]


@album_app.command("show")
def album_show(
    ctx: typer.Context,
    name: Annotated[str, album_argument(help="An album or a saved search.")],
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", metavar="N", min=0, help="At most N photos (default: 100 in a table; 0 = all)."),
    ] = None,
    today: Annotated[
        str | None, typer.Option(metavar="DATE", help='The day that "last summer" counts from (default: today).')
    ] = None,
    paths: Paths = False,
    null: Null = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    db: Db = None,
) -> None:
    """Show the photos of an album.

    The newest come first; those of a saved search as `find` gives them today.
    `find WORDS --album NAME` searches in it, and has more ways to show it.
    """
    from photosearch import TABLE_PHOTOS

    output = Output(paths, null, as_json, as_csv)
    output.check()
    most = (TABLE_PHOTOS if output.is_table else None) if limit is None else limit or None
    with open_library(ctx, db) as library:
        answer = library.albums.photos(name, limit=most, today=today)
        for hint in answer.hints:
            note(hint)
        if output.is_table:
            print_photos(library, answer)
            note(_describe_shown(answer))
        output.write(library, answer, unsure=True)


def _describe_shown(answer: "Answer") -> str:
    shown = format_count(len(answer.photos), "photo")
    return f"{shown}; there are more: --limit 0 shows all" if answer.more else shown


@album_app.command("rename")
def album_rename(
    ctx: typer.Context,
    name: Annotated[str, album_argument(help="An album or a saved search.")],
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    db: Db = None,
) -> None:
    """Rename an album."""
    with open_library(ctx, db) as library:
        change = library.albums.rename(name, new_name)
    note(f"Renamed to {change.name}.")


@album_app.command("delete")
def album_delete(
    ctx: typer.Context,
    name: Annotated[str, album_argument(help="An album or a saved search.")],
    yes: Yes = False,
    db: Db = None,
) -> None:
    """Delete an album; its photos stay.

    It can be undone: photosearch undo album.
    """
    with open_library(ctx, db) as library:
        album = library.albums.get(name)
        confirm(f"delete {_describe_album(album)}; no photo is deleted", yes)
        library.albums.delete(album.name)
    note(f"Deleted {_describe_album(album)}; to get it back: photosearch undo album")


def _describe_album(album: "AlbumSummary") -> str:
    if album.photos is None:
        return f"the saved search {album.name}: {album.search}"
    return f"the album {album.name} of {format_count(album.photos, 'photo')}"


@album_app.command("export")
def album_export(
    ctx: typer.Context,
    name: Annotated[str, album_argument(help="An album or a saved search.")],
    to: Annotated[str | None, path_option("--to", metavar="DIR", help="Copy the photos to this folder.")] = None,
    links: Annotated[bool, typer.Option("--links", help="Create links there instead of copies.")] = False,
    keywords: Annotated[
        bool, typer.Option("--keywords", help="Write the album's name as a keyword to side-cars (.xmp).")
    ] = False,
    short: Annotated[
        bool, typer.Option("--short", help="Write photo.xmp instead of photo.jpg.xmp, for Lightroom and raw files.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what --keywords would write and write nothing.")
    ] = False,
    paths: Paths = False,
    null: Null = False,
    db: Db = None,
) -> None:
    """Export an album: a folder, keywords, or paths.

    Photos are never changed. Nothing in the folder is overwritten, so running the command again adds what is new.
    """
    if to is None and not (keywords or paths or null):
        raise InputError("say where to: --to DIR, --keywords, --paths or -0")
    if links and to is None:
        raise InputError("--links: name the folder with --to DIR")
    if (short or dry_run) and not keywords:
        raise InputError("--short and --dry-run are for --keywords; add that, or leave them out")
    output = Output(paths, null, copy_to=None if links else to, link_to=to if links else None)
    output.check()
    complete = True
    with open_library(ctx, db) as library:
        if to is not None or paths or null:
            complete = output.write(library, library.albums.photos(name), unsure=True)
        if keywords:
            complete &= print_export(library.albums.export_keywords(name, short=short, dry_run=dry_run), dry_run)
    if not complete:
        raise typer.Exit(1)
