"""What all commands share: the group that turns errors into a line, options of one meaning, which library is meant."""

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from photosearch import __version__
from photosearch.cli.output import guard_stdout, note
from photosearch.errors import PhotosearchError

if TYPE_CHECKING:
    from photosearch import Library


ORDER = (  # of the commands in the help: as a person comes to need them
    "index", "folders", "find", "browse", "labels", "label", "duplicates", "report", "mark", "truth", "sample",
    "judge", "learn", "export", "models", "merge", "status", "errors", "forget", "rebuild", "doctor",
)  # fmt: skip


class _Group(TyperGroup):
    """Where our errors become one line and an exit code. A bug stays a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))

    def invoke(self, ctx: Any) -> Any:
        try:
            with guard_stdout():
                return super().invoke(ctx)
        except PhotosearchError as error:
            note(f"photosearch: {error}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            note("photosearch: interrupted")
            raise typer.Exit(130) from None


class _Command(TyperCommand):
    """Its help names an argument as a person would: DIR, and neither its type in Python nor brackets in brackets."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(_name(p) if p.required else f"[{_name(p)}]" for p in _arguments(self))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        options = [p.get_help_record(ctx) for p in self.get_params(ctx) if p.param_type_name == "option"]
        for title, rows in (
            ("Arguments", [(p.metavar, p.help) for p in _arguments(self)]),
            ("Options", [(names, _in_words(help)) for names, help in filter(None, options)]),
        ):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _in_words(help: str) -> str:
    """[1<=x<=256] as 1 to 256, [x>=1] as 1 or more."""
    help = re.sub(r"([\d.]+)<=x<=([\d.]+)\]$", r"\1 to \2]", help)
    return re.sub(r"x>=([\d.]+)\]$", r"\1 or more]", help)


def _arguments(command: TyperCommand) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "argument"]


def _name(argument: Any) -> str:
    return f"{argument.metavar}..." if argument.nargs != 1 else str(argument.metavar)


class App(typer.Typer):
    """A Typer whose commands have the help above."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        return super().command(name, cls=_Command, **options)


def _expand(text: str) -> str:
    """A path as a person types it: a leading ~ is the home folder, also where no shell has seen to it."""
    return os.path.expanduser(text)


def _expand_path(text: str) -> Path:
    return Path(os.path.expanduser(text))


def path_option(*names: str, help: str, metavar: str = "PATH", **options: Any) -> Any:
    """An option whose value is a path, as text."""
    return typer.Option(*names, parser=_expand, metavar=metavar, help=help, **options)


def path_argument(*, help: str, metavar: str) -> Any:
    return typer.Argument(parser=_expand, metavar=metavar, help=help)


def model_option(*names: str, help: str) -> Any:
    """An option whose value is a model: a name, or a file."""
    return typer.Option(*names, parser=_expand, metavar="NAME", help=help, autocompletion=complete_model)


def model_argument(*, help: str) -> Any:
    return typer.Argument(parser=_expand, metavar="NAME", help=help, autocompletion=complete_model)


def label_option(*names: str, help: str) -> Any:
    return typer.Option(*names, metavar="LABEL", help=help, autocompletion=complete_label)


def label_argument(*, help: str, metavar: str = "LABEL") -> Any:
    return typer.Argument(metavar=metavar, help=help, autocompletion=complete_label)


def complete_label(ctx: typer.Context, incomplete: str) -> list[str]:
    """The labels of the library that begin so, for a shell that asks; none where it can't be read."""
    with contextlib.suppress(PhotosearchError, OSError), open_library(ctx, ctx.params.get("db")) as library:
        names = dict.fromkeys(label.name for label in library.labels.list())
        return [name for name in names if name.startswith(incomplete)]
    return []


def complete_model(incomplete: str) -> list[str]:
    """The models that begin so, by name; a shell that gets none offers files."""
    from photosearch.models.catalog import list_added, list_shipped

    with contextlib.suppress(OSError):
        return [name for name in (*list_shipped(), *list_added()) if name.startswith(incomplete)]
    return []


Db = Annotated[
    Path | None,
    typer.Option(
        "--db", parser=_expand_path, metavar="FILE", help="The library's file.", show_default="in your data folder"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Under = Annotated[str | None, path_option("--under", metavar="DIR", help="Only photos in this folder and below.")]
OneModel = Annotated[str | None, model_option("--model", help="Ask this model, in place of the one that answers.")]

app = App(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: a third of the time, and no types in it
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find the photos you describe, in your own folders, on your own machine.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"photosearch {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    db: Db = None,
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass  # library_path looks for --db here


def open_library(ctx: typer.Context, db: Path | None, *, create: bool = False) -> "Library":
    """The library that is meant, opened. create: made, where there is none. Raises StoreError."""
    from photosearch import Library

    return Library(library_path(ctx, db), create=create)


def library_path(ctx: typer.Context, db: Path | None) -> Path:
    """The library that is meant: --db after the command, else before it, else PHOTOSEARCH_DB, else the user's own."""
    from photosearch import default_path

    above: Any = ctx.parent
    while db is None and above is not None:
        db, above = above.params.get("db"), above.parent
    return db or default_path()
