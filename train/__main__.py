"""The command line of training: `python -m train COMMAND`. Parses, calls one function, prints.

Each command imports its recipe itself, so that `python -m train --help` answers at once and without torch. A recipe
is a module of train/recipes/ with `Settings` and `train`; one that can be resumed has `finish` as well. To add one,
add a command of a few lines below.
"""

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import TaskID

from photosearch.errors import InputError, PhotosearchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fetch the data, teach the networks, export them.",
)

BIRDS = ("classic", "best32")  # recipes of 32x32 pixels

Data = Annotated[
    Path, typer.Option("--data", envvar="PHOTOSEARCH_DATA", metavar="DIR", help="Where the data sets lie.")
]


@app.command()
def data(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Data sets; default: all.")] = None,
    fetch: Annotated[bool, typer.Option("--fetch", help="Download what is not there, from its publisher.")] = False,
    to: Annotated[Path, typer.Option(envvar="PHOTOSEARCH_DATA", metavar="DIR", help="The data folder.")] = Path(
        ".data"
    ),
) -> None:
    """Say which data sets are there, or fetch them: `--fetch cifar-10 cub mnist --to DIR`."""
    from train.data import fetch as fetching

    sources = [fetching.source(name) for name in names or fetching.SOURCES]
    for source in sources:
        if fetch:
            came = "fetched" if fetching.fetch(source, to) else "already there"
        else:
            came = "there" if fetching.present(source, to) else "not there"
        typer.echo(f"{source.name}: {came}, {to / source.folder}")


FORWARDED = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


@app.command(context_settings=FORWARDED)
def words(ctx: typer.Context) -> None:
    """Teach the space that words and pictures share: `--data DIR --to sight-text.onnx`; before sight."""
    from train.recipes import words as recipe

    recipe.main(ctx.args)


@app.command(context_settings=FORWARDED)
def sight(ctx: typer.Context) -> None:
    """Make the default model, of a network that stays as it is: `--data DIR --to sight.onnx`."""
    from train.recipes import sight as recipe

    recipe.main(ctx.args)


@app.command()
def bird(
    data: Data = Path(".data"),
    net: Annotated[str, typer.Option(help="Which network: classic or best32.")] = "classic",
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the pictures, if not the net's own.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the network's own.")] = None,
    run: Annotated[Path | None, typer.Option(help="The checkpoints' folder; default: .runs/bird-NET.")] = None,
    to: Annotated[Path | None, typer.Option(help="The model's file; default: RUN/bird-NET.onnx.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    fit: Annotated[
        int | None,
        typer.Option(min=1, help="Teach only this one of best32's networks; --resume without it exports all."),
    ] = None,
) -> None:
    """Teach a bird network of 32x32 pixels, export it, and print the talk's table for the test part."""
    if net not in BIRDS:
        raise InputError(f"no network {net!r}: --net takes one of {', '.join(BIRDS)}")
    if fit and net != "best32":
        raise InputError(f"--fit teaches one of best32's networks, and {net} is one network")
    if fit and to:
        raise InputError("--fit writes no model: leave out --to, and give it with --resume when all are taught")
    recipe = import_module(f"train.recipes.{net}")
    settings = _change(recipe.Settings(), epochs=epochs, seed=seed)
    run = run or Path(".runs") / f"bird-{net}"
    try:
        with _progress() as tell:
            if fit:
                recipe.teach_some(settings, data, run, [fit - 1], resume=resume, tell=tell)
            else:
                recipe.train(settings, data, run, to or run / f"bird-{net}.onnx", resume=resume, tell=tell)
    except KeyboardInterrupt:
        _stderr(f"stopped; {run} keeps the best and the last checkpoint, go on with --resume")
        sys.exit(130)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="The checkpoints' folder of a run.")],
    to: Annotated[Path, typer.Option(help="The model's file.")],
    data: Data = Path(".data"),
) -> None:
    """Make a model of a run's best epoch: choose on validation, write, compare, measure on the test part."""
    from train.fit import BEST, read

    import_module(read(run / BEST)["recipe"]).finish(run, data, to)


@app.command()
def lessons(
    data: Data = Path(".data"),
    quick: Annotated[bool, typer.Option("--quick", help="Less data and fewer steps: does it all still run?")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="DIR", help="Save the lessons' pictures there.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed.")] = 0,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the lessons' networks go.")] = Path(".runs/lessons"),
    document: Annotated[bool, typer.Option("--document", help="Run thrice and write docs/from-8-to-bird.md.")] = False,
) -> None:
    """From one "8" to convolution: run the six lessons, print what each found."""
    from train.lessons import document as page
    from train.lessons import road

    if document:
        page.write(data, to)
    else:
        road.lessons(data, to, seed=seed, quick=quick, plot=plot)


@app.command()
def lesson(
    number: Annotated[int, typer.Argument(min=1, max=6, help="1 to 6.")],
    data: Data = Path(".data"),
    plot: Annotated[Path | None, typer.Option(metavar="DIR", help="Save the lesson's pictures there.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed.")] = 0,
    to: Annotated[Path, typer.Option(metavar="DIR", help="Where the lessons' networks go.")] = Path(".runs/lessons"),
) -> None:
    """Run one lesson, and before it those whose networks it needs."""
    from train.lessons import road

    road.lesson(number, data, to, seed=seed, plot=plot)


@app.command()
def document() -> None:
    """Write docs/from-8-to-bird.md again, from what the lessons printed when they ran last."""
    from train.lessons.document import again

    again()


@app.command()
def photo(
    data: Data = Path(".data"),
    seed: Annotated[int, typer.Option(help="Another seed.", min=1)] = 1,
    fits: Annotated[int, typer.Option(help="How many networks to teach, whose weights are averaged.", min=1)] = 2,
    run: Annotated[Path, typer.Option(metavar="DIR", help="Where it works; needs 2 GB for a while.")] = Path(
        ".runs/photo"
    ),
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The model's file; default: RUN/bird-photo.onnx.")
    ] = None,
) -> None:
    """Teach the photo model: bird or not, on photographs; calibrate it, export it."""
    from train.recipes.photo import Settings, train

    to = to or run / "bird-photo.onnx"
    with _progress() as tell:
        card = train(Settings(seed=seed, fits=fits), data, to, scratch=run, tell=tell)
    _stderr(f"{to}: threshold {card.threshold('bird'):.4f}; now: python -m train evaluate {to} --on caltech-101")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(help="The name of a model in the repository, or an .onnx file.")],
    on: Annotated[
        str, typer.Option(help="caltech-101, cifar-10, tiny-imagenet, cub, small-birds, or a folder of classes.")
    ],
    data: Data = Path(".data"),
    bird: Annotated[list[str] | None, typer.Option(help="A folder's class that shows birds; may be repeated.")] = None,
    tiles: Annotated[int | None, typer.Option(help="0, 4, 9 or 16; default: the model's own.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write all the numbers there.")] = None,
) -> None:
    """How good is a model on pictures that it was neither taught nor tuned with?"""
    from train import evaluate as judge

    with _progress() as tell:
        result = judge.run(model, on, data, birds=bird or (), tiles=tiles, tell=tell)
    judge.show(result)
    if json:
        judge.write(result, json)


@app.command()
def pages() -> None:
    """Write docs/model.md and the README's table again, from the models' cards and from docs/measured/."""
    from train import pages as writer

    writer.write()
    writer.write_readme()


@app.command()
def deep(
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="A folder with one subfolder a class.")],
    classes: Annotated[int, typer.Option(min=2, help="So many of the classes: those with the most pictures.")],
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the pictures, if not 40.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than 0.")] = None,
    to: Annotated[Path, typer.Option(metavar="FILE", help="The model's file.")] = Path(".runs/deep.onnx"),
) -> None:
    """Teach the talk's network of 224x224 on any folder of classes, export it, and print top-1 and top-5."""
    from train.recipes.deep import Settings, train

    with _progress() as tell:
        train(_change(Settings(), epochs=epochs, seed=seed), data, to, classes, tell=tell)


def _change(settings: Any, **given: Any) -> Any:
    """A recipe's settings, with what was typed in their place."""
    return replace(settings, **{name: value for name, value in given.items() if value is not None})


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Gives tell(what, done, of): a bar on stderr for each thing that is told of."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars: dict[str, TaskID] = {}

        def tell(what: str, done: int, of: int) -> None:
            if what not in bars:
                bars[what] = progress.add_task(what, total=of)
            progress.update(bars[what], completed=done, total=of)

        yield tell


def _stderr(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def keep_memory() -> None:
    """Have glibc keep what is freed; another C library goes on as it does.

    torch takes its large buffers anew at each step, and the kernel hands them over cleared, page by page: a quarter of
    what a step of best32 costs.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: nothing has a mapping of its own
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
