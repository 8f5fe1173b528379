"""`index`: read and score the photos in folders."""

import json
import os
import shlex
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from photosearch.cli.output import note
from photosearch.cli.root import (
    AsJson,
    Db,
    app,
    library_path,
    model_option,
    open_library,
    path_argument,
    path_option,
)
from photosearch.cli.runs import end_if_stopped, follow, print_summary, stop_on_signal
from photosearch.cli.service import print_service_file
from photosearch.cli.watch import watch_folders
from photosearch.errors import InputError, ModelError

if TYPE_CHECKING:
    from photosearch import Library, RunSummary

MEGAPIXEL = 1_000_000
Models = Annotated[
    list[str] | None, model_option("--model", help="Model name or file; repeatable (default: the library's).")
]
Tiles = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, max=25, help="Also score N overlapping tiles of each photo, if the model supports it."
    ),
]
Exclude = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Skip paths that match this gitignore pattern; repeatable.")
]
Include = Annotated[
    list[str] | None, typer.Option(metavar="GLOB", help="Index paths that would otherwise be skipped; repeatable.")
]
FollowSymlinks = Annotated[
    bool | None,
    typer.Option("--follow-symlinks/--no-follow-symlinks", help="Follow symbolic links to folders (default: no)."),
]
Metadata = Annotated[
    bool | None,
    typer.Option("--metadata/--no-metadata", help="Store places, cameras, captions and people (default: yes)."),
]
Ocr = Annotated[
    bool | None,
    typer.Option("--ocr/--no-ocr", help="Read the text in pictures, once the photos are indexed (default: no)."),
]
Provider = Annotated[
    str, typer.Option(metavar="NAME", help="Where the model runs: auto, cuda, coreml, directml, cpu, ...")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print errors only.")]
Watch = Annotated[bool, typer.Option("--watch", help="Go on, and index what changes in the folders until Ctrl-C.")]
Settle = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", min=0.1, max=3600, help="Watch: index a photo once it is unchanged for so long (default: 2)."
    ),
]
Poll = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS", min=1, max=86400,
        help="Watch: look for changes so often (default: wait until the system reports them; on a network, 60).",
    ),
]  # fmt: skip
PrintService = Annotated[
    str | None,
    typer.Option(
        "--print-service", metavar="[systemd|launchd]",
        help="Only print a service file that runs --watch while you are logged in.",
    ),
]  # fmt: skip


@app.command("index")
def index_command(
    ctx: typer.Context,
    folders: Annotated[
        list[str] | None, path_argument(metavar="DIR", help="Folders to index (default: all known folders).")
    ] = None,
    model: Models = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=4096, help="Photos per model run (default: by provider).")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=256, help="Photos decoded at the same time (default: by CPU cores)."),
    ] = None,
    provider: Provider = "auto",
    require_gpu: Annotated[bool, typer.Option("--require-gpu", help="Fail instead of running on the CPU.")] = False,
    tiles: Tiles = None,
    exclude: Exclude = None,
    include: Include = None,
    follow_symlinks: FollowSymlinks = None,
    metadata: Metadata = None,
    ocr: Ocr = None,
    max_megapixels: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Refuse photos with more megapixels (default: 300).")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Read and score all photos again.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try unreadable photos again.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove photos even if most of a folder is missing.")] = False,
    quiet: Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Name each unreadable photo.")] = False,
    watch: Watch = False,
    settle: Settle = None,
    poll: Poll = None,
    print_service: PrintService = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Where to run the models: local or ray.")] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Ray cluster (default: start Ray on this machine).")
    ] = None,
    shards: Annotated[
        str | None,
        path_option("--shards", metavar="DIR", help="Ray: folder for results, visible to all machines."),
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=2000, help="Ray: approximate photos per shard (default: 500).")
    ] = None,
    cpus_per_actor: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Ray: CPU cores per actor (default: 1 without a GPU).")
    ] = None,
    gpus_per_actor: Annotated[float, typer.Option(metavar="N", min=0, help="Ray: GPUs per actor.")] = 0.0,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Index the photos in folders.

    Folders remember --model, --tiles, --exclude, --include, --follow-symlinks, --metadata and
    --ocr for later runs.
    """
    ray_only = bool(address or shards or shard_size or cpus_per_actor or gpus_per_actor)
    _check_arguments(folders or [], engine, ray_only)
    if print_service is not None:
        print_service_file(print_service, library_path(ctx, db), folders or (), settle=settle, poll=poll)
        return
    _check_watch(engine, {"--settle": settle, "--poll": poll}, watch=watch)
    if not library_path(ctx, db).exists():  # a first run that can't begin leaves no empty library
        from photosearch import check_index

        check_index(folders or (), model or (), ocr=bool(ocr))
    with open_library(ctx, db, create=True) as library, stop_on_signal() as stop:
        _load_models(library, model or (), provider, require_gpu=require_gpu, quiet=quiet, verbose=verbose)
        default, start = library.models.default, time.perf_counter()
        events = library.index(
            *(folders or ()), models=model or (), tiles=tiles, exclude=exclude or (), include=include or (),
            follow_symlinks=follow_symlinks, metadata=metadata, ocr=ocr, provider=provider, batch_size=batch_size,
            workers=workers,
            max_pixels=max_megapixels and max_megapixels * MEGAPIXEL, force=force, retry=retry, prune=prune,
            stop=stop.is_set,
            engine=None if engine == "local" else library.open_ray(
                address=address, shards=shards, photos_per_shard=shard_size, cpus=cpus_per_actor, gpus=gpus_per_actor,
                provider=provider,
            ),
        )  # fmt: skip
        run, total, text_seconds = follow(
            events, lambda: library.folders.count_files(folders or ()), quiet=quiet, verbose=verbose
        )  # fmt: skip
        run.stopped = stop.is_set()
        seconds = time.perf_counter() - start - text_seconds
        _print_run(library, run, seconds, text_seconds, total, default, as_json=as_json, quiet=quiet)
        incomplete = _print_empty(library, folders or (), run)
        if watch and not stop.is_set():
            watch_folders(
                library.watch(
                    *(folders or ()), provider=provider, batch_size=batch_size, workers=workers,
                    max_pixels=max_megapixels and max_megapixels * MEGAPIXEL, settle_seconds=settle, poll_seconds=poll,
                    stop=stop.is_set,
                ),
                stop, lambda: _name_source(*_read_source(library)), as_json=as_json, quiet=quiet, verbose=verbose,
            )  # fmt: skip
            return
    end_if_stopped(stop)
    if incomplete or run.not_scored:
        raise typer.Exit(1)


def _check_arguments(folders: Sequence[str], engine: str, ray_only: bool) -> None:
    if engine not in ("local", "ray"):
        raise typer.BadParameter(f"{engine} is not an engine; give local or ray", param_hint="--engine")
    if engine == "local" and ray_only:
        raise typer.BadParameter("only for --engine ray", param_hint="--address, --shards or --...-per-actor")
    for folder in folders:
        if os.path.isfile(folder):
            raise InputError(f"{folder}: is a file; name its folder")


def _check_watch(engine: str, options: dict[str, float | None], *, watch: bool) -> None:
    if watch and engine != "local":
        raise typer.BadParameter(f"can't be combined with --engine {engine}", param_hint="--watch")
    for name, value in options.items():
        if value is not None and not watch:
            raise typer.BadParameter("only with --watch", param_hint=name)


def _load_models(
    library: "Library", names: Sequence[str], provider: str, *, require_gpu: bool, quiet: bool, verbose: bool
) -> None:
    """Say where the models run, if not where they should. Raises ModelError."""
    for name in names or (None,):
        model = library.models.load(name, provider)
        if require_gpu and model.provider == "cpu":
            raise ModelError(f"no usable GPU: {model.fallback or '--provider cpu was given'}")
        expected = provider == "auto" and "no NVIDIA driver" in (model.fallback or "")  # on most machines
        if model.fallback and not quiet and (verbose or not expected):
            note(f"Running on the CPU: {model.fallback}" if model.provider == "cpu" else model.fallback)


def _print_run(
    library: "Library", run: "RunSummary", seconds: float, text_seconds: float, total: int | None,
    default: str | None, *, as_json: bool, quiet: bool,
) -> None:  # fmt: skip
    """seconds: without text_seconds, which reading text took. default: the library's default model before the run."""
    models, provider = _read_source(library)
    if as_json:
        times = {"seconds": round(seconds, 3), "text_seconds": round(text_seconds, 3)}
        row = {**run.to_json(), **times, "provider": provider, "models": models}
        typer.echo(json.dumps(row))
    if quiet:
        return
    print_summary(run, seconds, _name_source(models, provider), total if run.stopped else None, text_seconds)
    if default is not None and models and default not in models:
        note(f"The default model is still {default}; to change it: photosearch models default {models[0]}")
    if default is None and not run.stopped and not as_json:
        _suggest_questions(library)


def _read_source(library: "Library") -> tuple[list[str], str | None]:
    """The models of the last run, and where they ran."""
    last = library.last_run()
    return ([], None) if last is None else (list(last.models), last.provider)


def _name_source(models: Sequence[str], provider: str | None) -> str:
    return f"{' and '.join(models)} on {provider}"


def _suggest_questions(library: "Library") -> None:
    """After a first run: what to try, with labels that were found here."""
    names = [row.label.name for row in library.labels.suggest()]
    questions = [f"photosearch find {shlex.quote(name)}" for name in names]
    if questions:
        note(f"Try: {', '.join(questions)}; or see them all: photosearch browse")
    elif library.status().counts.photos:
        note("To see your photos: photosearch browse")


def _print_empty(library: "Library", folders: Sequence[str], run: "RunSummary") -> bool:
    """Name the folders without a readable photo -> whether there are any, or some that could not be listed."""
    unlisted = [folder for folder in folders if library.folders.resolve(folder) in run.unlisted]
    empty = [] if run.stopped else [f for f in folders if f not in unlisted and not library.folders.count_photos(f)]
    for folder in empty:
        note(f"{folder}: contains no readable photos")
    return bool(empty or unlisted)
