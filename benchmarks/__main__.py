"""The command line of the benchmarks: `python -m benchmarks all --data DIR --work DIR`. One part a command, or all.

Each part puts its figures into docs/performance.json, with the machine and the versions, and docs/performance.md is
written anew from that file.
"""

import datetime
import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks import pictures
from benchmarks.measure import machine
from benchmarks.page import write
from photosearch.models.catalog import DEFAULT_MODEL, resolve

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
DOCS = Path(__file__).parent.parent / "docs"

Data = Annotated[
    Path | None, typer.Option(envvar="PHOTOSEARCH_DATA", help="Data sets with real pictures; clouds without it.")
]
Work = Annotated[Path, typer.Option(help="Where photos, networks and databases are made, and kept: 7 GB for all.")]
Models = Annotated[list[str] | None, typer.Option("--model", help="By name or file, the default model last.")]
Results = Annotated[Path, typer.Option(help="The figures; the page stands beside it.")]
HERE, RESULTS = Path(".bench"), DOCS / "performance.json"


@app.command("pictures")
def make_pictures(
    to: Annotated[Path, typer.Option(help="The folder.")],
    n: Annotated[int, typer.Option(min=1, help="How many.")] = 1000,
    kind: Annotated[str, typer.Option(help=f"mix, or one of {', '.join(pictures.KINDS)}.")] = "mix",
    data: Data = None,
    seed: int = 1,
) -> None:
    """Make a folder of photos to measure with: the same seed, the same photos."""
    if kind == "mix":
        print(pictures.mixture(to, n, data=data, seed=seed))
    else:
        print(pictures.write(to, kind, n, data=data, seed=seed))


@app.command()
def pipeline(
    data: Data = None,
    work: Work = HERE,
    model: Models = None,
    n: int = 400,
    n_plain: int = 40,
    rounds: int = 3,
    results: Results = RESULTS,
) -> None:
    """(a) (b) (c): from files to rows, against the decode floor, the plain way and a CLIP-sized network."""
    from benchmarks.pipeline import pipeline

    figures = pipeline(work, _models(model), data=data, n=n, n_plain=n_plain, rounds=rounds)
    _keep("pipeline", figures, results)


@app.command()
def kinds(data: Data = None, work: Work = HERE, model: Models = None, n: int = 40, results: Results = RESULTS) -> None:
    """The default network over 48 megapixels, small photos, PNG and HEIC, against the plain way."""
    from benchmarks.pipeline import kinds

    _keep("kinds", kinds(work, _models(model), data=data, n=n), results)


@app.command()
def scaling(
    data: Data = None,
    work: Work = HERE,
    model: str = "bird-classic",
    n: Annotated[list[int] | None, typer.Option(help="Numbers of photos, each ten times the last.")] = None,
    results: Results = RESULTS,
) -> None:
    """(d): time and memory as the folder grows, and the second run that finds all unchanged."""
    from benchmarks.scaling import scaling

    _keep("scaling", scaling(work, resolve(model), data=data, sizes=n or (1000, 10_000, 100_000)), results)


@app.command()
def library(work: Work = HERE, n: int = 1_000_000, repeats: int = 10, results: Results = RESULTS) -> None:
    """(e): questions to a million photos, and the command's start."""
    from benchmarks.library import library

    _keep("library", library(work, n=n, repeats=repeats), results)


@app.command()
def migration(work: Work = HERE, n: int = 100_000, results: Results = RESULTS) -> None:
    """A library of schema 1 comes to today's: time, size, and that every answer is what it was."""
    from benchmarks.migration import migration

    _keep("migration", migration(work, n=n), results)


@app.command()
def networks(model: Models = None, seconds: float = 2.0, results: Results = RESULTS) -> None:
    """(f): the network alone, by batch size and provider."""
    from benchmarks.networks import networks

    _keep("networks", networks(_models(model), seconds=seconds), results)


@app.command()
def oversampling(
    data: Annotated[Path, typer.Option(envvar="PHOTOSEARCH_DATA", help="The data sets: Caltech-101.")] = Path(".data"),
    model: Models = None,
    n: int = 200,
    results: Results = RESULTS,
) -> None:
    """What decoding a JPEG to little more than the network sees does to the scores."""
    from benchmarks.oversampling import oversampling

    _keep("oversampling", oversampling(_models(model), data, n=n), results)


@app.command()
def teaching(rounds: int = 5, results: Results = RESULTS) -> None:
    """A step of teaching best32, with torch's gradients of convolutions by channel and with ours."""
    from benchmarks.teaching import teaching

    _keep("teaching", teaching(rounds=rounds), results)


@app.command()
def vectors(
    work: Work = HERE,
    n: Annotated[list[int] | None, typer.Option(help="Numbers of vectors.")] = None,
    most_for_a_graph: int = 10_000,
    results: Results = RESULTS,
) -> None:
    """The nearest of a million vectors: numpy over a map, sqlite-vec, usearch."""
    from benchmarks.vectors import vectors

    sizes = tuple(n or (10_000, 100_000, 1_000_000))
    _keep("vectors", vectors(work, sizes=sizes, most=most_for_a_graph), results)


@app.command()
def duplicates(
    data: Annotated[Path, typer.Option(envvar="PHOTOSEARCH_DATA", help="Caltech-101, Flickr8k.")] = Path(".data"),
    strangers: int = 1000,
    changed: int = 120,
    results: Results = RESULTS,
) -> None:
    """Which changes of a photo are found to be the same picture, and that no strangers are."""
    from benchmarks.duplicates import duplicates

    _keep("duplicates", duplicates(data, strangers=strangers, changed=changed), results)


@app.command()
def spread(work: Work = HERE, rows: int = 1_000_000, merged: int = 20_000) -> None:
    """A run on 200 made-up actors: the real driver, the real merge. Prints figures for docs/scale.md."""
    from benchmarks.spread import Costs, measure_merge, simulate, table

    print(json.dumps(measure_merge(work / "merge", rows=merged), indent=1))
    figures = simulate(work / "spread", rows=rows)
    print(json.dumps(figures, indent=1))
    costs = Costs(merge_seconds=figures["core_seconds"] / rows, library_bytes=figures["library_bytes_a_row"])
    faster = replace(costs, link_bytes_a_second=1.25e10, machine_bytes_a_second=1.25e9)
    print(table(costs), table(faster), sep="\n\n")


@app.command()
def browse(
    work: Work = HERE, n: int = 50_000, n_large: int = 40, repeats: int = 10, results: Results = RESULTS
) -> None:
    """A library in the browser: how soon a page, a question, a thumbnail is there; memory."""
    from benchmarks.browse import browse

    _keep("browse", browse(work, n=n, n_large=n_large, repeats=repeats), results)


@app.command()
def screenshots(to: Annotated[Path, typer.Option(help="Where the pictures go.")] = DOCS / "images") -> None:
    """Pictures of the tool at work, for the README, of photographs that may be shown."""
    from benchmarks.screenshots import screenshots

    for path in screenshots(to):
        print(path)


@app.command()
def learn(
    data: Annotated[Path, typer.Option(envvar="PHOTOSEARCH_DATA", help="Caltech-101, tiny-imagenet.")] = Path(".data"),
    work: Work = HERE,
    seeds: int = 5,
    results: Results = RESULTS,
) -> None:
    """Labels learned from a few marks, on all the photos that were not marked."""
    from benchmarks.learn import learn

    _keep("learn", learn(data, work, seeds=seeds), results)


@app.command()
def page(results: Results = RESULTS) -> None:
    """Write the page anew from the figures that are there."""
    print(write(results))


@app.command("all")
def everything(data: Data = None, work: Work = HERE, model: Models = None, results: Results = RESULTS) -> None:
    """All of them: about 15 minutes on two cores, once the photos are made."""
    pipeline(data=data, work=work, model=model, results=results)
    kinds(data=data, work=work, model=model, results=results)
    scaling(data=data, work=work, results=results)
    library(work=work, results=results)
    networks(model=model, results=results)
    teaching(results=results)
    if data is not None:
        oversampling(data=data, model=model, results=results)


def _models(names: list[str] | None) -> dict[str, Path]:
    paths = map(resolve, names or dict.fromkeys(("bird-classic", DEFAULT_MODEL)))
    return {path.stem: path for path in paths}


def _keep(part: str, figures: dict[str, Any], results: Path) -> None:
    """Put one part's figures among the others and write the page."""
    all_parts = json.loads(results.read_text()) if results.exists() else {}
    day = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    all_parts[part] = {"measured_on": day, "machine": machine(), **figures}
    results.parent.mkdir(parents=True, exist_ok=True)
    aside = results.with_suffix(".part")
    aside.write_text(json.dumps(all_parts, indent=1, sort_keys=True) + "\n")
    aside.replace(results)
    print(write(results))


if __name__ == "__main__":
    app()
