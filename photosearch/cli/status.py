"""`status`, `errors`, `doctor`: the state of the library and of the installation."""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from photosearch.cli.output import format_count, format_size, format_time, note, print_table
from photosearch.cli.root import AsJson, Db, app, library_path, model_option, open_library


@app.command("status")
def status_command(ctx: typer.Context, as_json: AsJson = False, db: Db = None) -> None:
    """Show the library, its folders and models."""
    from photosearch import default_path, list_included_models

    path = library_path(ctx, db)
    status: dict[str, Any] = {"database": str(path), "size_bytes": None}
    if path.exists() or path != default_path():  # to ask where one's own library will be is no error
        with open_library(ctx, db) as library:
            status |= {"size_bytes": path.stat().st_size, **library.status().to_json()}
    status |= {"included_models": list_included_models()}
    if as_json:
        typer.echo(json.dumps(status, indent=1))
    else:
        print_table(("", ""), list(_describe_status(status)))


def _describe_status(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    size = status["size_bytes"]
    yield "library", status["database"] + (f" ({format_size(size)})" if size is not None else " (not created yet)")
    if size is not None:
        yield from _describe_library(status)
    yield from (("included model", name) for name in status["included_models"])


def _describe_library(status: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for folder in status["folders"]:
        away = "" if folder["present"] else ", away"
        yield "folder", f"{folder['path']}: {format_count(folder['photos'], 'photo')}{away}"
    counts = [f"{status[kind]:,} {kind}" for kind in ("unreadable", "removed", "excluded") if status[kind]]
    yield "photos", ", ".join([f"{status['photos']:,}", *counts])
    if any(status["photos_with"].values()):
        names = {"position": "a position", "people": "people", "text": "a title or caption"}
        yield "photos with", ", ".join(f"{names[key]}: {n:,}" for key, n in status["photos_with"].items())
    if status["texts"]["read"]:
        read, found = status["texts"]["read"], status["texts"]["found"]
        yield "text in pictures", f"{found:,} of {format_count(read, 'picture')} that were read"
    if bad := status["unusable_vectors"]:
        yield "unusable vectors", f"{bad:,}: not found by description; photosearch index scores these photos again"
    yield "your marks", f"{status['marks']:,}" if status["marks"] else "none yet"
    yield "default model", status["default_model"] or "none yet"
    yield from map(_describe_model, status["models"])
    if run := status["last_run"]:
        ended = "" if run["finished_at"] is None else f" to {format_time(run['finished_at'])}"
        models = " and ".join(run["models"])
        yield "last run", f"{format_time(run['started_at'])}{ended}, {models} on {run['provider']}"


def _describe_model(model: Mapping[str, Any]) -> tuple[str, str]:
    from photosearch import USER_MODEL

    images = format_count(model["images"], "image")
    if model["name"] == USER_MODEL:
        return "your labels", f"from descriptions, {images} scored"
    tiles = f" with {model['tiles']} tiles" if model["tiles"] else ""
    return "model", f"{model['name']} {model['version']}{tiles}: {images} scored"


@app.command("errors")
def errors_command(ctx: typer.Context, as_json: AsJson = False, db: Db = None) -> None:
    """List the photos that could not be read, why, and since when."""
    with open_library(ctx, db) as library:
        rows = library.unreadable()
        rows += [(path, f"its text: {reason}", since) for path, reason, since in library.unreadable_texts()]
    if as_json:
        typer.echo(json.dumps([{"path": path, "reason": reason, "since": at} for path, reason, at in rows], indent=1))
    elif rows:
        print_table(("path", "reason", "since"), [(path, reason, format_time(at)) for path, reason, at in rows])
    else:
        note("No unreadable photos.")


@app.command("doctor")
def doctor_command(
    provider: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Provider to test; repeatable (default: auto and cpu).")
    ] = None,
    model: Annotated[str | None, model_option("--model", help="Model name or .onnx file (default: sight).")] = None,
    as_json: AsJson = False,
) -> None:
    """Test decoding, providers and the database."""
    from photosearch import check_installation

    checks = list(check_installation(model, provider or ("auto", "cpu")))
    if as_json:
        keys = ("name", "works", "installed", "detail", "milliseconds")
        typer.echo(json.dumps([{key: getattr(check, key) for key in keys} for check in checks], indent=1))
    else:
        times = ["" if c.milliseconds is None else f"{c.milliseconds:.2f} ms per photo" for c in checks]
        results = ["FAILS" if c.fails else "works" if c.works else "not installed" for c in checks]
        rows = [(c.name, result, t, c.detail) for c, result, t in zip(checks, results, times, strict=True)]
        print_table(("check", "result", "time", ""), rows)
    if any(check.fails for check in checks):
        raise typer.Exit(1)
