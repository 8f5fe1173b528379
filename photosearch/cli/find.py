"""`find` and `labels`: what is asked."""

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from photosearch.cli.output import escape, note, print_csv, print_paths, print_table, say_count
from photosearch.cli.preview import check_terminal, draw_photos
from photosearch.cli.root import App, AsJson, Db, OneModel, Under, app, label_argument, open_library, path_option
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch import Library
    from photosearch.search.find import Answer

SHOWN = 100  # rows of `find`'s table of a label, where --limit doesn't say
PREVIEWED = 12  # photos that --preview draws, where --limit doesn't say
SHOWN_SIMILAR = 20  # the same for a description
EVERYTHING = 10**9
NAMED = 20  # missing photos, at most, that are named one by one
COUNTED = 10_000  # matches, at most, that are counted to say how many there are


@app.command("find")
def find_command(
    ctx: typer.Context,
    words: Annotated[
        list[str] | None,
        label_argument(metavar="WORDS", help='bird; bird and not dog; a cat asleep; dog and "playing in the snow"'),
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="Read the words as one description.")] = False,
    label: Annotated[bool, typer.Option("--label", help="Read the words as labels, or fail.")] = False,
    like: Annotated[
        list[str] | None, path_option("--like", metavar="PHOTO", help="Like this picture; 2:PHOTO counts twice.")
    ] = None,
    unlike: Annotated[list[str] | None, path_option("--unlike", metavar="PHOTO", help="Unlike this picture.")] = None,
    min_similarity: Annotated[
        float | None, typer.Option(metavar="S", min=-1, max=1, help="Show what is at least so similar.")
    ] = None,
    sort: Annotated[str, typer.Option(metavar="ORDER", help="best first, or by date.")] = "best",
    explain: Annotated[bool, typer.Option("--explain", help="Say how the words were read.")] = False,
    min_score: Annotated[
        float | None, typer.Option(metavar="P", min=0, max=1, help="In place of the labels' thresholds.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", metavar="N", min=0, help="At most so many, 0 for all.")
    ] = None,
    under: Under = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Taken then or later: 2024, 2024-05-31.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Taken then or before.")] = None,
    file_dates: Annotated[
        bool, typer.Option("--file-dates", help="For --since and --until, count undated photos by their files' dates.")
    ] = False,
    paths: Annotated[bool, typer.Option("--paths", help="Print paths only, a line each.")] = False,
    null: Annotated[bool, typer.Option("-0", "--null", help="Like --paths, ended by NUL, for xargs -0.")] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    copy_to: Annotated[
        str | None, path_option("--copy-to", metavar="DIR", help="Copy the photos into this folder.")
    ] = None,
    link_to: Annotated[
        str | None, path_option("--link-to", metavar="DIR", help="Link to the photos from this folder.")
    ] = None,
    html: Annotated[
        str | None, path_option("--html", metavar="FILE", help="Write one page of them, pictures and all: 25 MB.")
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Show them in the browser, as such a page.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Draw them here, in the terminal.")] = False,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """List the photos that show what you describe, best first."""
    from photosearch import album

    if sum((paths, null, as_json, as_csv)) > 1:
        raise InputError("--paths, -0, --json and --csv exclude one another; choose one")
    plain = not (paths or null or as_json or as_csv or copy_to or link_to or html or open_ or preview)
    if text and label:
        raise InputError("--text and --label exclude one another; choose one")
    if sort not in ("best", "date"):
        raise InputError(f"--sort {sort}: give best or date")
    if not (words or like or unlike):
        raise typer.BadParameter('say what to find; for example: bird, or "a cat asleep"', param_hint="WORDS")
    asked = " ".join(words or ())
    if preview:
        check_terminal()
    most = SHOWN if limit is None and plain else PREVIEWED if limit is None and preview else limit or None
    similar = SHOWN_SIMILAR if limit is None else limit or EVERYTHING
    with open_library(ctx, db) as library:
        options: dict[str, Any] = {
            "min_score": min_score, "under": under, "since": since, "until": until, "file_dates": file_dates,
            "model": model, "query_mode": "text" if text else "label" if label else None,
            "like": like or (), "unlike": unlike or (),
            "min_similarity": min_similarity,
        }  # fmt: skip
        order: Literal["best", "date"] = "date" if sort == "date" else "best"
        answer = library.find(asked, limit=most, max_similar=similar, sort=order, **options)
        labelled = answer.by == "label"
        unseen = library.find_missing([f.path for f in answer.found]) if plain or as_json else {}
        of = library.count(asked, up_to=COUNTED + 1, **options) if labelled and answer.more and limit is None else 0
        if preview:
            draw_photos(library, answer.found)
        if html is not None:
            _write_page(library, answer, Path(html))
        if open_:
            _open_page(library, answer)
    if explain:
        for line in answer.explained:
            note(line)
    found, by = answer.found, " and ".join(answer.models)
    if as_json:
        what, how = ("label", "score") if labelled else ("description", "similarity")
        rows = [{"path": f.path, what: answer.asked, how: f.score, "taken": f.taken, "taken_from": f.taken_from,
                 "model": by, "there": f.path not in unseen} for f in found]  # fmt: skip
        typer.echo(json.dumps(rows, indent=1))
    elif as_csv:
        kinds = ("label", "score") if labelled else ("description", "similarity")
        head = ("path", *kinds, "taken", "taken_from", "model")
        print_csv([head, *((f.path, answer.asked, f.score, f.taken, f.taken_from, by) for f in found)])
    elif paths or null:
        print_paths(found, b"\0" if null else b"\n")
    elif plain:
        cells = [(f"{f.score:.3f}", f.path, f.taken.replace("T", " "),
                  ", ".join(filter(None, (f"by {f.taken_from}", unseen.get(f.path))))) for f in found]  # fmt: skip
        print_table(("score" if labelled else "similarity", "path", "taken", ""), cells)
    if not answer.similar:
        note(f"nothing found is similar enough to {answer.asked!r}, by {by}; --min-similarity -1 shows the nearest")
    elif not found:
        note(f"nothing found by {by}")
    elif plain:
        if labelled:
            note(describe_found(len(found), of, by, "newest" if sort == "date" else "best"))
        else:
            rest = "; --limit 0 shows all" if answer.more and limit is None else ""
            note(f"the most similar {say_count(len(found), 'photo')}, by {by}{rest}")
    missing = False
    for folder, make, done in ((copy_to, album.copy_to, "copied"), (link_to, album.link_to, "linked")):
        if folder is not None:
            filled = make(folder, [f.path for f in found])
            for path, reason in filled.missing[:NAMED]:
                note(f"{path}: not {done}: {reason}")
            told = [f"{filled.made:,} {done}"] + [f"{filled.existing:,} were there already"] * bool(filled.existing)
            told += [f"{len(filled.missing):,} missing"] * bool(filled.missing)
            note(f"{folder}: {', '.join(told)}")
            missing = missing or bool(filled.missing)
    if missing:
        raise typer.Exit(1)


def _write_page(library: "Library", answer: "Answer", path: Path) -> None:
    from photosearch.web.html_export import export_found

    written = export_found(library, answer, path)
    more = f"; {written.left_out:,} more found no room" if written.left_out else ""
    note(f"{path}: {say_count(written.photos, 'photo')}, {written.size_bytes / 1e6:.1f} MB{more}")


def _open_page(library: "Library", answer: "Answer") -> None:
    import webbrowser

    _write_page(library, answer, library.opened_page)
    if not webbrowser.open(library.opened_page.absolute().as_uri()):
        raise InputError(f"no browser can be opened here; the page is {library.opened_page}")


def describe_found(shown: int, of: int, by: str, first: str = "best") -> str:
    """of: how many there are where some are left out, else 0."""
    if not of:
        return f"{say_count(shown, 'photo')} by {by}"
    whole = f"{of:,}" if of <= COUNTED else f"more than {COUNTED:,}"
    return f"the {first} {shown:,} of {whole} by {by}; --limit 0 shows all"


@app.command("labels")
def labels_command(
    ctx: typer.Context,
    name: Annotated[str | None, label_argument(help="Tell of this one; without, list all.")] = None,
    tree: Annotated[bool, typer.Option("--tree", help="Show what lies above and below what.")] = False,
    model: OneModel = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """What `find` can look for, and from which score on."""
    with open_library(ctx, db) as library:
        known = library.labels.list(model)
        told = None if name is None else library.labels.describe(name, model)
    if told is not None:
        typer.echo(json.dumps(told, indent=1) if as_json else escape(_describe_label(told)))
    elif as_json:
        rows = [{"label": x.name, "model": x.model, "threshold": x.threshold, "saved": x.saved} for x in known]
        typer.echo(json.dumps(rows, indent=1))
    elif tree:
        for line in _draw_tree(list(dict.fromkeys(x.name for x in known))):
            typer.echo(escape(line))
    else:
        cells = [(x.name, x.model, f"{x.threshold:.3f}" + (" (yours)" if x.saved else "")) for x in known]
        print_table(("label", "model", "threshold"), cells)


def _describe_label(told: dict[str, Any]) -> str:
    lines = [f"{told['label']}: a label of {told['model']}, found from a score of {told['threshold']:.3f} on"]
    if told["learned"] is not None:
        lines.append(f"learned from your marks: {told['rests_on']}")
    elif told["rests_on"] is not None:
        n = told["rests_on"]
        rests_on = f"{say_count(n, 'validation picture')} that show it" if isinstance(n, int) else n
        lines.append(f"that threshold rests on: {rests_on}")
    if told["text"] is not None:
        lines.append(f"it is the description: {told['text']}")
    for key, title in (("above", "above it"), ("below", "below it"), ("synonyms", "also found by")):
        if told[key]:
            lines.append(f"{title}: {', '.join(told[key])}")
    for row in told["measured"]:
        lines.append(f"{row.get('split', '')}: precision {row.get('precision')}, recall {row.get('recall')}")
    return "\n".join(lines)


def _draw_tree(names: list[str]) -> list[str]:
    from photosearch.search import hierarchy

    known, lines = set(names), []

    def draw(name: str, depth: int) -> None:
        lines.append("  " * depth + name)
        for below in hierarchy.list_below(name, known):
            draw(below, depth + 1)

    for name in names:
        if not hierarchy.list_above(name, known):
            draw(name, 0)
    return lines


label_app = App(no_args_is_help=True, help="Labels of your own: descriptions, and what was learned.")
app.add_typer(label_app, name="label")


@label_app.command("add")
def label_add(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What `find` will know it by.")],
    text: Annotated[str, typer.Option("--from", metavar="WORDS", help="The description that it stands for.")],
    db: Db = None,
) -> None:
    """Make a description a label.

    `sample`, `judge` and `report` then tell how right it is on your photos.
    """
    with open_library(ctx, db) as library:
        label = library.labels.add(name, text)
    note(f"{label.name} is a label now, found from {label.threshold:.3f} on; see how good it is on your photos: "
         f"photosearch sample {shlex.quote(label.name)} -n 60")  # fmt: skip


@label_app.command("remove")
def label_remove(
    ctx: typer.Context, name: Annotated[str, label_argument(metavar="NAME", help="Its name.")], db: Db = None
) -> None:
    """Forget a label of your own: a description, or what was learned. What you marked stays."""
    with open_library(ctx, db) as library:
        library.labels.remove(name)
    note(f"{name} is no label any more")


@app.command("duplicates")
def duplicates_command(
    ctx: typer.Context,
    exact: Annotated[bool, typer.Option("--exact", help="Only the same content, byte for byte.")] = False,
    under: Under = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Photos that are there more than once, in groups.

    In each group the one to keep comes first. Nothing is deleted.
    """
    with open_library(ctx, db) as library:
        groups = library.find_duplicates(near=not exact, under=under)
    if as_json:
        rows = [[{"path": m.photo.path, "how": m.how, "size_bytes": m.photo.size_bytes, "width": m.photo.width,
                  "height": m.photo.height} for m in g.members] for g in groups]  # fmt: skip
        typer.echo(json.dumps(rows, indent=1))
        return
    for n, group in enumerate(groups, 1):
        cells = [(str(n), m.how, f"{m.photo.width}x{m.photo.height}", f"{m.photo.size_bytes:,}", m.photo.path)
                 for m in group.members]  # fmt: skip
        print_table(("", "", "", "", ""), cells)
    spare = sum(group.spare_bytes for group in groups)
    photos = sum(len(group.members) for group in groups)
    note(f"{say_count(len(groups), 'group')}, {say_count(photos, 'photo')}, {spare / 1e6:,.1f} MB besides the ones to "
         "keep" if groups else "no photo is there twice")  # fmt: skip
