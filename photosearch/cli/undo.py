"""`undo`: the last change of marks, of an album, of a threshold, or of what was learned."""

from typing import Annotated

import typer

from photosearch.cli.output import format_count, note
from photosearch.cli.root import App, Db, OneModel, app, label_argument, open_library
from photosearch.errors import InputError

undo_app = App(no_args_is_help=True, help="Undo marks, an album's change, a threshold or a learned label.")
app.add_typer(undo_app, name="undo")

MAX_NAMED = 20  # marks that are named one by one
STATES = {None: "not marked for {}", True: "marked as {} again", False: "marked as not {} again"}


@undo_app.command("marks")
def undo_marks(ctx: typer.Context, db: Db = None) -> None:
    """Undo the last change of marks.

    That is the last `mark`, `judge`, `marks import`, `keywords import` or mark in the browser.
    """
    with open_library(ctx, db) as library:
        undone = library.marks.undo()
    if not undone:
        raise InputError("there are no marks to undo")
    for mark in undone[:MAX_NAMED]:
        note(f"{mark.path or 'a removed photo'}: {STATES[mark.present].format(mark.label)}")
    note(f"{format_count(len(undone), 'mark')} undone")


@undo_app.command("album")
def undo_album(ctx: typer.Context, db: Db = None) -> None:
    """Undo the last change of an album.

    That is the last `album add`, `remove`, `rename` or `delete`, `find --save`, or change in the browser.
    """
    with open_library(ctx, db) as library:
        undone = library.albums.undo()
    if undone is None:
        raise InputError("there is no change of an album to undo")
    photos = format_count(undone.images, "photo")
    note({
        "created": f"Removed the album {undone.name} of {photos}, which was new; no photo is deleted.",
        "renamed": f"The album is called {undone.name} again.",
        "deleted": f"Restored the album {undone.name}: {photos}.",
        "photos": f"{undone.name}: undone for {photos}.",
    }[undone.change])  # fmt: skip


@undo_app.command("threshold")
def undo_threshold(
    ctx: typer.Context,
    label: Annotated[str, label_argument(help="A label whose threshold was set.")],
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Restore the threshold before `threshold set`."""
    with open_library(ctx, db) as library:
        if not library.labels.undo_threshold(library.labels.get(label, model)):
            raise InputError(f"the threshold of {label} was not set")
        own = library.labels.get(label, model)
    note(f"find {own.name} uses the threshold {own.threshold:.4f} again.")


@undo_app.command("learning")
def undo_learning(
    ctx: typer.Context, label: Annotated[str, label_argument(help="A label that was learned.")], db: Db = None
) -> None:
    """Restore a label before the last `learn`; a new one is removed."""
    with open_library(ctx, db) as library:
        now = library.labels.undo_learning(label)
    if now is None:
        note(f"Removed the label {label}.")
    else:
        note(f"find {now.name} uses the label of {now.model} again.")
