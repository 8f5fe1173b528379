"""The command line of training: `python -m train COMMAND`. Parses, calls one function, prints.

Each command imports what it needs itself, so that `python -m train --help` answers at once and without torch.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from photosearch.errors import PhotosearchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fetch the data, teach the networks, export them.",
)

Data = Annotated[
    Path, typer.Option("--data", envvar="PHOTOSEARCH_DATA", metavar="DIR", help="Where the data sets lie.")
]


@app.command()
def bird(
    data: Data = Path(".data"),
    net: Annotated[str, typer.Option(help="Which network: classic.")] = "classic",
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the pictures, if not the net's own.")] = None,
    seed: Annotated[int | None, typer.Option(help="Another seed than the network's own.")] = None,
    run: Annotated[Path | None, typer.Option(help="The checkpoints' folder; default: .runs/bird-NET.")] = None,
    to: Annotated[Path | None, typer.Option(help="The model's file; default: RUN/bird-NET.onnx.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
) -> None:
    """Teach a bird network, export it, and print the talk's table for the test part."""
    from train.bird import settings_of, train

    settings = settings_of(net, epochs=epochs, seed=seed)
    run = run or Path(".runs") / f"bird-{net}"
    try:
        train(settings, data, run, to or run / f"bird-{net}.onnx", resume=resume)
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
    from train.bird import finish

    finish(run, data, to)


def _stderr(text: str) -> None:
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def main() -> None:
    """The one place where an error for the user is caught: a line on stderr, exit 1."""
    try:
        app()
    except PhotosearchError as error:
        _stderr(f"error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
