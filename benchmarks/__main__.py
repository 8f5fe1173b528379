"""The benchmarks: `python -m benchmarks all --data DIR --work DIR` measures every part, `... PART` one part.

Each part's figures go into docs/performance.json, with the commit, the schema, the default model, the machine and its
load; docs/performance.md is generated from that file. `benchmarks/gpu.sh` measures the parts that need a card, on a
machine that has one.
"""

import time
from collections.abc import Callable
from pathlib import Path
from subprocess import SubprocessError
from typing import Annotated

import typer

from benchmarks import networks, page, results
from benchmarks.results import PARTS, RESULTS, BusyMachineError, explain_stale, read_parts
from photosearch.errors import PhotosearchError

NEEDS_GPU = "needs an NVIDIA GPU"
WAIT_SECONDS = 300  # for the load of the part before to fade

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

Data = Annotated[
    Path, typer.Option(envvar="PHOTOSEARCH_DATA", help="Data sets; without Caltech-101, photos are clouds.")
]
Work = Annotated[Path, typer.Option(help="Where photos, networks and libraries are made, and kept: 9 GB for all.")]
Results = Annotated[Path, typer.Option(help="The file of figures; the page is written next to it.")]
Busy = Annotated[bool, typer.Option(help="Measure on a busy machine; the page says so.")]


@app.command("all")
def measure_all(
    data: Data = Path(".data"), work: Work = Path(".bench"), file: Results = RESULTS, busy: Busy = False,
    minutes: Annotated[float, typer.Option(min=1, help="Begin no part that would end later, on two cores.")] = 40,
) -> None:  # fmt: skip
    """Measure every part that there is time for, the most important first; a part that fails leaves the others."""
    failed, end = [], time.monotonic() + 60 * minutes
    for name, part in PARTS.items():
        if _lacks_gpu(name):
            typer.echo(f"{name}: skipped, {NEEDS_GPU}", err=True)
            continue
        left = end - time.monotonic() - 60 * part.minutes
        if left < 0:
            typer.echo(f"{name}: skipped, takes about {part.minutes} minutes; --minutes gives it more", err=True)
            continue
        try:
            measure(name, data, work, file, busy=busy, wait_seconds=min(WAIT_SECONDS, left))
        except typer.Exit:
            failed.append(name)
    if failed:
        raise typer.Exit(1)


@app.command("page")
def write_page(
    file: Results = RESULTS,
    add: Annotated[Path | None, typer.Option(help="Another machine's file of figures, to take parts from.")] = None,
) -> None:
    """Remove figures that are not of today's schema and default model, and write the page."""
    parts = read_parts(file)
    for name, part in read_parts(add).items() if add else ():
        known = part["commit"] != "unknown"  # a copy without its history is one of this checkout
        parts[name] = part if known else {**part, "commit": results.read_commit()}
    for name, part in list(parts.items()):
        if (why := explain_stale(name, part)) is not None:
            typer.echo(f"removed {name}: {why}", err=True)
            del parts[name]
    results.write_parts(parts, file)
    print(page.write(file))


@app.command()
def screenshots(to: Annotated[Path, typer.Option(help="Where the pictures go.")] = RESULTS.parent / "images") -> None:
    """Take the README's screenshots, of photographs that are free."""
    from benchmarks.screenshots import take_screenshots

    for path in take_screenshots(to):
        print(path)


@app.command("try-coverage")
def try_coverage(
    scores: Annotated[list[Path] | None, typer.Option(help="Real scores: CSV with path,label,present,score.")] = None,
    draws: Annotated[int, typer.Option(min=1, help="Samples of each library.")] = 200,
) -> None:
    """The part `coverage` on real scores, or on the libraries that the method's constants were chosen on; not kept."""
    from benchmarks.coverage import measure_coverage

    for row in measure_coverage(on="tuning", scores=scores or (), draws=draws)["rows"]:
        print(" ".join(f"{key} {value:.3f}" if isinstance(value, float) else str(value) for key, value in row.items()))


@app.command("text")
def measure_text(
    data: Data = Path(".data"),
    photos: Annotated[int, typer.Option(min=40, help="Pictures with text, and as many without.")] = 200,
) -> None:
    """What `index --ocr` reads in made pictures and in photos without text, and what it costs; not kept."""
    from benchmarks.text import measure as measure_reading

    for line in measure_reading(data, photos):
        print(line, flush=True)


def measure(name: str, data: Path, work: Path, file: Path, *, busy: bool, wait_seconds: float = 0) -> None:
    """Measure one part and write the page. Exits with 1 where the machine is busy, or lacks what the part needs."""
    try:
        if not busy:
            results.wait_until_idle(wait_seconds)
        if _lacks_gpu(name):
            raise RuntimeError(NEEDS_GPU)
        stamp = results.stamp(name, busy=busy)
        figures = PARTS[name].measure(work, data)
    except (BusyMachineError, PhotosearchError, OSError, RuntimeError, SubprocessError) as error:
        typer.echo(f"{name}: {error}", err=True)
        raise typer.Exit(1) from None
    results.save_part(name, {**figures, **stamp}, file)
    print(f"{name}: {page.write(file)}", flush=True)


def _lacks_gpu(name: str) -> bool:
    return PARTS[name].gpu and networks.ask_gpu("name") is None


def _make_command(name: str) -> Callable[..., None]:
    def command(
        data: Data = Path(".data"), work: Work = Path(".bench"), file: Results = RESULTS, busy: Busy = False
    ) -> None:
        measure(name, data, work, file, busy=busy)

    return command


for _name, _part in PARTS.items():
    app.command(_name, help=f"{_part.question} About {_part.minutes} minutes.")(_make_command(_name))


if __name__ == "__main__":
    app()
