"""`index` and `folders`: what is looked at, and how."""

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photosearch.cli.output import note, print_table, say_count, show_progress
from photosearch.cli.root import (
    App,
    AsJson,
    Db,
    app,
    library_path,
    model_option,
    open_library,
    path_argument,
    path_option,
)
from photosearch.errors import InputError, ModelError
from photosearch.photos.remote import absolute_path, is_folder, real_path

if TYPE_CHECKING:
    from photosearch import Library
    from photosearch.index.events import Event
    from photosearch.index.summary import RunSummary

folders_app = App(invoke_without_command=True, help="The folders that are known, and how each of them is indexed.")
app.add_typer(folders_app, name="folders")

WORDS = {  # counts of a run's summary, in the order in which they are printed
    "new": "new",
    "changed": "changed",
    "rescored": "scored again",
    "unchanged": "unchanged",
    "moved": "moved",
    "returned": "back",
    "unreadable": "unreadable",
    "excluded": "excluded",
    "removed": "removed",
}
Models = Annotated[list[str] | None, model_option("--model", help="A model's name or file; may be repeated.")]
Tiles = Annotated[
    int | None, typer.Option(metavar="N", min=0, max=25, help="Look at so many parts of each photo too: 0, 4, 9.")
]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Pass over what git would ignore by this; may be repeated.")
]
Include = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Take in what would be passed over; may be repeated.")
]
FollowSymlinks = Annotated[
    bool | None, typer.Option("--follow-symlinks/--no-follow-symlinks", help="Follow links; loops are safe.")
]


@app.command("index")
def index_command(
    ctx: typer.Context,
    folders: Annotated[
        list[str] | None, path_argument(metavar="DIR", help="Folders of photos; without, all that are known.")
    ] = None,
    model: Models = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", min=1, max=4096, help="Photos scored at once.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, max=256, help="Photos opened at once.")] = None,
    provider: Annotated[str, typer.Option(metavar="NAME", help="auto, cuda, coreml, directml, cpu, ...")] = "auto",
    require_gpu: Annotated[bool, typer.Option("--require-gpu", help="Fail rather than run on the CPU.")] = False,
    tiles: Tiles = None,
    exclude: Exclude = None,
    include: Include = None,
    follow_symlinks: FollowSymlinks = None,
    max_megapixels: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Refuse photos larger than this.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Open and score everything again.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try unreadable photos again.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Believe it when most of a folder is gone.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name each unreadable photo.")] = False,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Who looks: local, or ray.")] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Of a Ray cluster; without, this machine alone.")
    ] = None,
    shards: Annotated[
        str | None, path_option("--shards", metavar="DIR", help="Where Ray's workers put what they saw.")
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=2000, help="Photos in one of these, about.")
    ] = None,
    cpus_per_actor: Annotated[int | None, typer.Option(metavar="N", min=1, help="Cores of each worker.")] = None,
    gpus_per_actor: Annotated[float, typer.Option(metavar="N", min=0, help="GPUs of each worker.")] = 0.0,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Look at the photos in folders, and remember what is in them.

    The folders remember --model, --tiles, --exclude, --include and --follow-symlinks: later runs keep to them.
    """
    named = folders or []
    if engine not in ("local", "ray"):
        raise typer.BadParameter(f"{engine} is no engine; there are local and ray", param_hint="--engine")
    if engine == "local" and (address or shards or shard_size or cpus_per_actor or gpus_per_actor):
        raise typer.BadParameter("belongs to --engine ray", param_hint="--address, --shards or --...-per-actor")
    for folder in named:
        if os.path.isfile(folder):
            raise InputError(f"{folder}: is a file; name its folder")
    if not library_path(ctx, db).exists():  # and none is made for nothing
        for folder in named:
            if not is_folder(folder):
                raise InputError(f"{folder}: no such folder")
        if not named:
            raise InputError("no folder given, and none is known yet; name one: photosearch index FOLDER")
        from photosearch.models.catalog import read_card, resolve

        for name in model or (None,):  # a run that can't begin leaves no empty library
            read_card(resolve(name))
    with open_library(ctx, db, create=True) as library, _stopping() as stop:
        for name in (*(model or ()),) or (None,):
            loaded = library.models.load(name, provider)
            if require_gpu and loaded.provider == "cpu":
                raise ModelError(f"no GPU can be used: {loaded.fallback or 'the CPU was asked for'}")
            if (
                loaded.fallback
                and not quiet
                and (verbose or provider != "auto" or "no NVIDIA driver" not in loaded.fallback)
            ):
                note(f"on the CPU; {loaded.fallback}" if loaded.provider == "cpu" else loaded.fallback)
        before = library.models.default
        events = library.index(
            *named, models=model or (), tiles=tiles, exclude=exclude or (), include=include or (),
            follow_symlinks=follow_symlinks, provider=provider, batch_size=batch_size, workers=workers,
            max_pixels=max_megapixels and max_megapixels * 1_000_000, force=force, retry=retry, prune=prune,
            stop=stop.is_set,
            engine=None if engine == "local" else library.open_ray(
                address=address, shards=shards, photos_per_shard=shard_size, cpus=cpus_per_actor, gpus=gpus_per_actor,
                provider=provider,
            ),
        )  # fmt: skip
        start = time.perf_counter()
        run, total = _follow(events, lambda: library.folders.count_files(named), quiet=quiet, verbose=verbose)
        run.stopped = stop.is_set()
        seconds = time.perf_counter() - start
        ran = library.last_run()
        names, on = (list(ran.models), ran.provider) if ran is not None else ([], None)
        how = f"{' and '.join(names)} on {on}"
        if as_json:
            told = {**run.to_json(), "seconds": round(seconds, 3), "provider": on, "models": names}
            typer.echo(json.dumps(told))
        if not quiet:
            for line in _describe_run(run, total, seconds, how):
                note(line)
            if before is not None and names and before not in names:
                note(f"find still uses {before}; `photosearch models use {names[0]}` switches")
        empty = [f for f in named if not stop.is_set() and not library.folders.count_photos(f)]
    for folder in empty:
        if real_path(folder) not in run.unlisted:  # that was said already
            note(f"{folder}: holds no photo that can be read here")
    if stop.is_set():
        note("Stopped. What was done is kept: the same command goes on from here.")
        raise typer.Exit(stop.exit_code)
    if empty or run.not_scored or any(real_path(folder) in run.unlisted for folder in named):
        raise typer.Exit(1)


@app.command("merge")
def merge_command(
    ctx: typer.Context,
    shards: Annotated[
        list[str], path_argument(metavar="SHARDS", help="Shards, or folders of them: what index --shards was given.")
    ],
    root: Annotated[
        list[str] | None, typer.Option(metavar="FROM=TO", help="The workers' folder, and where it is here.")
    ] = None,
    model: Models = None,
    tiles: Tiles = None,
    provider: Annotated[str, typer.Option(metavar="NAME", help="auto, cuda, coreml, directml, cpu, ...")] = "auto",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name each row that is dropped.")] = False,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Take into the library what the workers of an engine saw.

    Rows of photos that have changed since are dropped; the next `photosearch index` looks at those, and finds what was
    moved or is gone.
    """
    with open_library(ctx, db, create=True) as library, _stopping() as stop:
        roots = dict(map(_split_root, root or ()))
        events = library.merge(
            *shards, roots=roots, models=model or (), tiles=tiles, provider=provider, stop=stop.is_set
        )  # fmt: skip
        start = time.perf_counter()
        run, total = _follow(events, lambda: library.count_rows(shards), quiet=quiet, verbose=verbose)
        run.stopped = stop.is_set()
        seconds = time.perf_counter() - start
        if as_json:
            typer.echo(json.dumps({**run.to_json(), "seconds": round(seconds, 3)}))
        if not quiet:
            for line in _describe_run(run, total, seconds, "from shards"):
                note(line)
            if run.skipped_rows:
                rows = say_count(run.skipped_rows, "row")
                note(f"{rows} dropped: photos that have changed; the next index looks at them")
    if stop.is_set():
        note("Stopped. What was done is kept: the same command goes on from here.")
        raise typer.Exit(stop.exit_code)


def _split_root(text: str) -> tuple[str, str]:
    before, equals, ours = text.partition("=")
    if not (before and equals and ours):
        raise typer.BadParameter(f"{text}: say it as FROM=TO", param_hint="--root")
    return before.rstrip("/") or "/", absolute_path(os.path.expanduser(ours))


def _describe_run(run: "RunSummary", total: int | None, seconds: float, how: str) -> Iterator[str]:
    """total: photos in the folders, where they were counted. how: the models and where they ran."""
    told = []
    for name, word in WORDS.items():
        n: int = getattr(run, name)
        if n or name == "new":
            why = f" ({', '.join(run.rescored_reasons)})" if name == "rescored" and run.rescored_reasons else ""
            told.append(f"{n:,} {word}{why}")
    speed = run.scored / max(seconds, 1e-9)
    rate = f", {speed:,.{0 if speed >= 10 else 1}f} photos/s, {how}" if run.scored else ""
    photos = say_count(run.present, "photo")
    if run.stopped and total is not None:
        photos = f"{run.present:,} of {say_count(total, 'photo')}"
    yield f"{photos}: {', '.join(told)}; {seconds:.1f} s{rate}"
    if run.unreadable:
        yield "`photosearch errors` says why photos were unreadable."
    if run.skipped_files:
        yield _describe_passed_over(run.skipped_files)


def _describe_passed_over(files: Counter[str]) -> str:
    from photosearch.photos.walk import INSTALL_HINTS

    most = files.most_common(8)
    told = [f"{n:,} {extension or 'without an extension'}" for extension, n in most]
    if len(files) > len(most):
        told.append(f"{sum(files.values()) - sum(n for _, n in most):,} others")
    would = dict.fromkeys(INSTALL_HINTS[extension] for extension, _ in most if extension in INSTALL_HINTS)
    reader = f"; would be read with {' and '.join(would)}" if would else ""
    return f"passed over: {', '.join(told)}{reader}"


def _follow(
    events: "Iterator[Event]", count: Callable[[], int], *, quiet: bool, verbose: bool
) -> "tuple[RunSummary, int | None]":
    """Run the index to its end behind a progress bar, and say what isn't ordinary -> (summary, photos to expect)."""
    from photosearch.index import events as happened
    from photosearch.index.summary import RunSummary

    run = RunSummary()
    with show_progress(count, quiet) as progress:
        say = progress.say
        for event in events:
            before = run.present
            run.add(event)
            match event:
                case happened.ReadFailed(path, reason, remembered) if verbose and not remembered:
                    say(f"{path}: {reason}")
                case happened.ListFailed(path, reason):
                    say(f"{path}: can't be listed: {reason}; what is known of it stays")
                case happened.RootMoved(earlier, path):
                    say(f"{earlier} is now {path}: its photos moved along")
                case happened.SettingsSaved(path, what):
                    say(f"{path} is indexed so from now on: {what}")
                case happened.ShardRowSkipped(path, why) if verbose:
                    say(f"{path}: dropped: {why}")
                case happened.WorkerDied(path, photos, reason):
                    say(f"{reason}, with {say_count(photos, 'photo')} in hand, from {path} on")
                case happened.NotScored(path, _, reason):
                    say(f"{path}: not looked at: {reason}; run the same command again")
                case happened.RemovalRefused(path, missing, known):
                    say(f"{path}: {missing:,} of {known:,} photos are gone; is a drive away? Nothing was removed. "
                        "If they are gone for good: index --prune")  # fmt: skip
            if run.present > before:
                progress.advance()
    return run, progress.total


class _Stop(threading.Event):
    """exit_code: 130 after Ctrl-C, 143 after a polite kill, as shells have it."""

    exit_code = 130


@contextlib.contextmanager
def _stopping() -> Iterator["_Stop"]:
    """Ctrl-C, or a polite kill, sets the event; a second one interrupts at once. The old handlers come back."""
    stop = _Stop()

    def handle(number: int, _: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        stop.exit_code = 128 + number
        note("\nFinishing the batch; once more to stop at once.")

    signals = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(s, handle) for s in signals]
    try:
        yield stop
    finally:
        for s, handler in zip(signals, before, strict=True):
            signal.signal(s, handler)


# ---- folders


def _read_folders(library: "Library") -> list[dict[str, Any]]:
    from photosearch.index.folder_settings import describe_settings
    from photosearch.library.folders import FolderSettings

    usual = describe_settings(FolderSettings())
    return [
        {**row.to_json(), "described": describe_settings(row.settings), "usual": usual}
        for row in library.folders.list()
    ]


@folders_app.callback()
def folders_command(ctx: typer.Context, as_json: AsJson = False, db: Db = None) -> None:
    """The folders that are known: how many photos each holds, and how it is indexed."""
    if ctx.invoked_subcommand is not None:
        return
    with open_library(ctx, db) as library:
        rows = _read_folders(library)
    if as_json:
        words = ("described", "usual")
        typer.echo(json.dumps([{k: v for k, v in row.items() if k not in words} for row in rows], indent=1))
        return
    cells = []
    for row in rows:
        counts = [say_count(row["photos"], "photo")]
        counts += [f"{row[kind]:,} {kind}" for kind in ("unreadable", "removed", "excluded") if row[kind]]
        state = "" if row["there"] else "away"
        cells.append((row["path"], ", ".join(counts), state, _describe_row(row)))
    print_table(("folder", "photos", "", "indexed with"), cells)
    if not rows:
        note("no folder is known yet; name one: photosearch index FOLDER")
        return
    from photosearch.photos.walk import EXCLUDED

    note(f"passed over everywhere: {', '.join(EXCLUDED)}")


def _describe_row(row: dict[str, Any]) -> str:
    told = [row["described"]["models"]]
    told += [f"{key}: {row['described'][key]}" for key in ("tiles", "excluded", "included", "links")
             if row["described"][key] != row["usual"][key]]  # fmt: skip
    return "; ".join(told)


@folders_app.command("set")
def folders_set(
    ctx: typer.Context,
    folder: Annotated[str, path_argument(metavar="DIR", help="A folder that is known, or one below it.")],
    model: Models = None,
    tiles: Tiles = None,
    exclude: Exclude = None,
    include: Include = None,
    follow_symlinks: FollowSymlinks = None,
    reset: Annotated[bool, typer.Option("--reset", help="First forget all that was said of it.")] = False,
    db: Db = None,
) -> None:
    """Say how a folder is indexed from now on.

    Each option takes the place of what was said by it before; the next `photosearch index` goes by it.
    """
    with open_library(ctx, db) as library:
        what = library.folders.set(
            folder, models=model, tiles=tiles, exclude=exclude, include=include,
            follow_symlinks=follow_symlinks, reset=reset,
        )  # fmt: skip
    note(f"{folder} is indexed so from now on: {what}; run photosearch index for it to take effect")


@folders_app.command("drop")
def folders_drop(
    ctx: typer.Context,
    folder: Annotated[str, path_argument(metavar="DIR", help="A folder that is known.")],
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    db: Db = None,
) -> None:
    """Forget a folder, with all that is known of its photos.

    Your marks on them go as well. The photos themselves are left alone.
    """
    from photosearch.cli.maintenance import confirm

    with open_library(ctx, db) as library:
        every = _read_folders(library)
        rows = [row for row in every if row["path"] in (absolute_path(folder), real_path(folder))]
        if not rows:
            known = ", ".join(row["path"] for row in every) or "none"
            raise InputError(f"{folder}: not a folder that is known; known are {known}")
        confirm(f"forget {rows[0]['path']}: {say_count(rows[0]['photos'], 'photo')} and your marks on them", yes)
        n = library.forget([rows[0]["path"]])
    note(f"{say_count(n, 'photo')} forgotten")
