"""Shared by all commands: the app, which turns errors into one line, options with one meaning, the library to open."""

import contextlib
import importlib
import math
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from photosearch import __version__
from photosearch.cli.output import guard_stdout, note
from photosearch.errors import InputError, PhotosearchError

if TYPE_CHECKING:
    from photosearch import Library


COMMANDS = {  # name -> (module that adds it, its line in the help), in the order in which a user comes to need them
    "index": ("index", "Index the photos in folders."),
    "folders": ("folders", "List, set or remove indexed folders."),
    "find": ("find", "Find photos, best first; without words, all, newest first."),
    "browse": ("browse", "Search, mark and judge photos in a browser."),
    "albums": ("albums", "List your albums and saved searches, with counts."),
    "album": ("albums", "Show or change an album; no photo is changed."),
    "labels": ("labels", "List, show, add or remove labels."),
    "duplicates": ("duplicates", "List groups of duplicate photos."),
    "mark": ("marks", "Mark photos as showing a label or not."),
    "marks": ("marks", "Import or export your marks as CSV."),
    "sample": ("samples", "Draw random photos to judge a label by."),
    "judge": ("samples", "Judge a sample by the numbers on its sheet."),
    "report": ("reports", "Measure how right a label is on the photos that you marked."),
    "threshold": ("thresholds", "Set or reset a label's threshold."),
    "learn": ("learning", "Learn a label from your marks: a new one, or a better one."),
    "undo": ("undo", "Undo marks, an album's change, a threshold or a learned label."),
    "keywords": ("keywords", "Import or export keywords of other programs."),
    "models": ("models", "List, show, choose, add or remove models."),
    "merge": ("merge", "Import shards written by `index --engine ray`."),
    "mcp": ("mcp", "Let another program search the library (MCP)."),
    "status": ("status", "Show the library, its folders and models."),
    "errors": ("status", "List the photos that could not be read, why, and since when."),
    "forget": ("upkeep", "Delete what the library knows of photos or folders."),
    "rebuild": ("upkeep", "Rebuild a damaged library; marks are kept."),
    "doctor": ("status", "Test decoding, providers and the database."),
    "man": ("man", "Print the manual page, to save as photosearch.1."),
}


MAX_NUMBER = 2**53  # that SQLite, JSON and floats hold
MINUS = "\u2212"  # the sign itself, which a question reads like the hyphen of an option


class _Group(TyperGroup):
    """Imports a command's module when it is chosen. Turns our errors into one line; a bug stays a traceback."""

    def __init__(self, *, commands: dict[str, Any], **options: Any):
        named = {name: _Unloaded(name=name, help=help) for name, (_, help) in COMMANDS.items()}
        super().__init__(commands=named | commands, **options)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if isinstance(command, _Unloaded):
            importlib.import_module(f"photosearch.cli.{COMMANDS[command.name][0]}")
            command = self.commands[command.name] = build_command().commands[command.name]
        return name, command, rest

    def make_context(self, *args: Any, **options: Any) -> Any:
        with guard_stdout():  # --help and --version print here
            return super().make_context(*args, **options)

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
    """Shows arguments by their names (DIR...) in its help, without their types in Python."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if any(argument.metavar == "WORDS" for argument in _arguments(self)):
            args = [re.sub(r"^-(?=[^\W\d_]{2,}$)", MINUS, text) for text in args]  # find dog -beach: no options
        for parameter in self.params:
            if (metavar := parameter.metavar or "").startswith("["):
                args = _complete_option(parameter.opts[0], metavar, args)
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            _check_number(ctx, parameter, ctx.params.get(parameter.name))
        return rest

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["[OPTIONS]", *(_name(p) if p.required else f"[{_name(p)}]" for p in _arguments(self))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        options = [p.get_help_record(ctx) for p in self.get_params(ctx) if p.param_type_name == "option"]
        for title, rows in (
            ("Arguments", [(p.metavar, p.help) for p in _arguments(self)]),
            ("Options", [(names, format_range(help)) for names, help in filter(None, options)]),
        ):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


class _Unloaded(TyperCommand):
    """A command by its name and its line in the help, whose module was not imported yet."""

    name: str


def _check_number(ctx: Any, parameter: Any, value: object) -> None:
    """Refuse what a range lets through: nan, which is in none, and a number that SQLite can't hold."""
    if (isinstance(value, float) and math.isnan(value)) or (type(value) is int and abs(value) > MAX_NUMBER):
        raise typer.BadParameter(f"{value} is not a number that can be used.", ctx=ctx, param=parameter)


def _complete_option(name: str, metavar: str, args: list[str]) -> list[str]:
    """Give an option the value 'auto' where none of those in its metavar, [a|b], follows it."""
    kinds, end = metavar.strip("[]").split("|"), args.index("--") if "--" in args else len(args)
    return [
        f"{text}=auto" if text == name and i < end and (i + 1 == end or args[i + 1] not in kinds) else text
        for i, text in enumerate(args)
    ]


def format_range(help: str) -> str:
    """[1<=x<=256] -> [1 to 256], [x>=1] -> [1 or more]."""
    help = re.sub(r"([\d.]+)<=x<=([\d.]+)\]$", r"\1 to \2]", help)
    return re.sub(r"x>=([\d.]+)\]$", r"\1 or more]", help)


def _arguments(command: TyperCommand) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "argument"]


def _name(argument: Any) -> str:
    return f"{argument.metavar}..." if argument.nargs != 1 else str(argument.metavar)


class App(typer.Typer):
    """A Typer whose commands are _Command."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        return super().command(name, cls=_Command, **options)


def _expand(text: str) -> str:
    """Expand a leading ~, which a shell leaves alone in --option=~/path."""
    if not text.strip():  # "$FOLDER" that is not set would be the folder where one is
        raise typer.BadParameter("the path is empty; the folder where you are is `.`")
    return os.path.expanduser(text)


def _expand_path(text: str) -> Path:
    return Path(os.path.expanduser(text))


def path_option(*names: str, help: str, metavar: str = "PATH", **options: Any) -> Any:
    """An option whose value is a path, as text."""
    return typer.Option(*names, parser=_expand, metavar=metavar, help=help, **options)


def path_argument(*, help: str, metavar: str) -> Any:
    return typer.Argument(parser=_expand, metavar=metavar, help=help)


def model_option(*names: str, help: str) -> Any:
    """An option whose value is a model's name or file."""
    return typer.Option(*names, parser=_expand, metavar="NAME", help=help, autocompletion=complete_model)


def model_argument(*, help: str) -> Any:
    return typer.Argument(parser=_expand, metavar="NAME", help=help, autocompletion=complete_model)


def label_option(*names: str, help: str) -> Any:
    return typer.Option(*names, metavar="LABEL", help=help, autocompletion=complete_label)


def label_argument(*, help: str, metavar: str = "LABEL") -> Any:
    return typer.Argument(metavar=metavar, help=help, autocompletion=complete_label)


def album_option(*names: str, help: str) -> Any:
    return typer.Option(*names, metavar="NAME", help=help, autocompletion=complete_album)


def album_argument(*, help: str) -> Any:
    return typer.Argument(metavar="NAME", help=help, autocompletion=complete_album)


def complete_album(ctx: typer.Context, incomplete: str) -> list[str]:
    """The albums that begin so, for the shell; none where the library can't be read."""
    with contextlib.suppress(PhotosearchError, OSError), open_library(ctx, ctx.params.get("db")) as library:
        return list(library.albums.complete(incomplete))
    return []


def complete_label(ctx: typer.Context, incomplete: str) -> list[str]:
    """The labels that begin so, for the shell, those of most photos first; none where the library can't be read."""
    with contextlib.suppress(PhotosearchError, OSError), open_library(ctx, ctx.params.get("db")) as library:
        names = library.labels.complete(incomplete)
        return [name for name in names if name.casefold().startswith(incomplete.casefold())] or list(names)
    return []


def complete_model(incomplete: str) -> list[str]:
    """The names of models that begin so; a shell that gets none offers files."""
    import photosearch

    with contextlib.suppress(PhotosearchError, OSError):
        names = (*photosearch.list_included_models(), *photosearch.list_added_models())
        return [name for name in names if name.startswith(incomplete)]
    return []


Db = Annotated[
    Path | None,
    typer.Option("--db", parser=_expand_path, metavar="FILE", help="Library file.", show_default="in your data folder"),
]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")]
Force = Annotated[
    bool, typer.Option("--force", help="Replace files that photosearch did not write; never photos or libraries.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Under = Annotated[str | None, path_option("--under", metavar="DIR", help="Only photos in this folder or below it.")]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DATE", help="Taken on or after DATE: 2024, 2024-05, 2024-05-31.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="DATE", help="Taken on or before DATE.")]
Paths = Annotated[
    bool, typer.Option("--paths", help="Print only paths, one per line; a name with a newline takes two: use -0.")
]
Null = Annotated[
    bool, typer.Option("-0", "--null", help="Print only paths, each ended by NUL, newlines as they are, for xargs -0.")
]
OneModel = Annotated[str | None, model_option("--model", help="Use this model instead of the default.")]

app = App(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help takes a third of the time, and shows no types
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
    pass  # library_path reads --db from here


def build_command() -> Any:
    """The program as a command with commands below it: those of the modules that were imported, the others unloaded."""
    return typer.main.get_command(app)


def load_commands() -> Any:
    """The program as a command, with all commands."""
    for module, _ in COMMANDS.values():
        importlib.import_module(f"photosearch.cli.{module}")
    return build_command()


def choose_one(options: Mapping[str, bool]) -> None:
    """Raises InputError where more than one of these options is given."""
    if len(given := [name for name, value in options.items() if value]) > 1:
        raise InputError(f"{' and '.join(given)} can't be combined; choose one")


def refuse(options: Mapping[str, object], reason: str) -> None:
    """Raises InputError where one of these options is given."""
    if given := [name for name, value in options.items() if value not in (None, False, [])]:
        raise InputError(f"{reason}; leave out {', '.join(given)}")


def open_library(ctx: typer.Context, db: Path | None, *, create: bool = False) -> "Library":
    """Open the library that is meant. create: make a missing one. Raises StoreError."""
    from photosearch import Library

    return Library(library_path(ctx, db), create=create)


def library_path(ctx: typer.Context, db: Path | None) -> Path:
    """--db after the command, else before it, else PHOTOSEARCH_DB, else the user's own library."""
    from photosearch import default_path

    above: Any = ctx.parent
    while db is None and above is not None:
        db, above = above.params.get("db"), above.parent
    return db or default_path()
