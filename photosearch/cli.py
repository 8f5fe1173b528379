"""The command line: parse, call one function, print. The only file that knows typer and rich.

Results go to stdout, everything else to stderr. Exit 0: done; 1: an error of ours, said in one line; 2: usage;
130: interrupted. What is heavy is imported by the command that needs it, so that --help answers at once.
"""

import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from photosearch import __version__
from photosearch.errors import InputError, ModelError, PhotosearchError

if TYPE_CHECKING:
    from photosearch.index import Event
    from photosearch.report import Judged
    from photosearch.sampling import Answer
    from photosearch.store import Found, Label, Sample, Store

SHOWN = 100  # rows of `find`'s table, where --limit doesn't say
SHARES = ("precision", "recall", "f1", "accuracy")


class _Group(TyperGroup):
    """Where our errors become one line and an exit code. A bug stays a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PhotosearchError as error:
            _note(f"photosearch: {error}")
            raise typer.Exit(1) from None
        except KeyboardInterrupt:
            _note("photosearch: interrupted")
            raise typer.Exit(130) from None


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Find the photos you describe, in your own folders, on your own machine.",
)
truth_app = typer.Typer(no_args_is_help=True, help="What you know of your photos, as CSV.")
models_app = typer.Typer(invoke_without_command=True, help="The models that can be used, and their cards.")
app.add_typer(truth_app, name="truth")
app.add_typer(models_app, name="models")


def _default_db() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("photosearch", appauthor=False)) / "library.db"


Db = Annotated[
    Path | None,
    typer.Option("--db", envvar="PHOTOSEARCH_DB", help="The library's file.", show_default="your data folder"),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Under = Annotated[str | None, typer.Option("--under", metavar="DIR", help="Only photos in this folder and below.")]
OneModel = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Only this model's labels.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"photosearch {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    app(prog_name="photosearch")


# ---- index


@app.command()
def index(
    folders: Annotated[
        list[str] | None, typer.Argument(metavar="[DIR]...", help="Folders of photos; without, all that are known.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A model's name or an .onnx file.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, max=4096, help="Photos scored at once.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Photos opened at once.")] = None,
    provider: Annotated[str, typer.Option(metavar="NAME", help="auto, cuda, coreml, directml, cpu, ...")] = "auto",
    require_gpu: Annotated[bool, typer.Option("--require-gpu", help="Fail rather than run on the CPU.")] = False,
    tiles: Annotated[
        int | None, typer.Option(min=0, max=25, help="Look at so many parts of each photo too: 0, 4, 9.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(metavar="GLOB", help="Pass over names or paths like this; may be repeated.")
    ] = None,
    follow_symlinks: Annotated[bool, typer.Option("--follow-symlinks", help="Follow links; loops are safe.")] = False,
    max_megapixels: Annotated[int | None, typer.Option(min=1, help="Refuse photos larger than this.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Open and score everything again.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Try unreadable photos again.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Believe it when most of a folder is gone.")] = False,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Look at all photos in the folders, and remember what is in them."""
    from photosearch import index as indexing
    from photosearch import photos
    from photosearch.model import Model, resolve
    from photosearch.store import Store

    db = db or _default_db()
    for folder in folders or []:
        if not os.path.isdir(folder) and not db.exists():
            raise InputError(f"{folder}: no such folder")
    loaded = Model(resolve(model), provider=provider)
    if require_gpu and loaded.provider == "cpu":
        raise ModelError(f"no GPU can be used: {loaded.fallback or 'the CPU was asked for'}")
    if loaded.fallback:
        _note(f"on the CPU; {loaded.fallback}" if loaded.provider == "cpu" else loaded.fallback)
    globs = (*photos.EXCLUDED, *(exclude or ()))
    with Store(db, create=True) as store, indexing.only_one(store), _stopping() as stop:
        folders = folders or [root.root for root in store.roots()]
        if not folders:
            raise InputError("no folder given, and none is known yet; name one: photosearch index FOLDER")
        events = indexing.index(
            folders, store, loaded, tiles=tiles, batch_size=batch_size, workers=workers, exclude=globs,
            follow_symlinks=follow_symlinks, max_pixels=max_megapixels and max_megapixels * 1_000_000,
            force=force, retry=retry, prune=prune, stop=stop.is_set,
        )  # fmt: skip
        start = time.perf_counter()
        counts = _follow(events, lambda: sum(len(f.photos) for d in folders for f in photos.find(
            os.path.realpath(d), exclude=globs, follow_symlinks=follow_symlinks)))  # fmt: skip
        seconds = time.perf_counter() - start
        summary = {**counts, "seconds": round(seconds, 3), "provider": loaded.provider, "model": loaded.card.name}
    if as_json:
        typer.echo(json.dumps(summary))
    _note(_summary(counts, seconds, f"{loaded.card.name} on {loaded.provider}"))
    if stop.is_set():
        _note("Stopped. What was done is kept: the same command goes on from here.")
        raise typer.Exit(130)


@contextlib.contextmanager
def _stopping() -> Iterator[threading.Event]:
    """Ctrl-C, or a polite kill, sets the event; a second one interrupts at once. The old handlers come back."""
    stop = threading.Event()

    def handle(number: int, _: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        _note("\nFinishing the batch; once more to stop at once.")

    signals = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(s, handle) for s in signals]
    try:
        yield stop
    finally:
        for s, handler in zip(signals, before, strict=True):
            signal.signal(s, handler)


def _follow(events: "Iterator[Event]", count: Callable[[], int]) -> dict[str, int]:
    """Run the index to its end behind a progress bar, and say what isn't ordinary -> what was counted."""
    from photosearch import index as ix

    counts = {"new": 0, "unchanged": 0, "moved": 0, "removed": 0, "unreadable": 0}
    with _progress(count) as (advance, say):
        for event in events:
            match event:
                case ix.Scored():
                    counts["new"] += 1
                case ix.Unchanged():
                    counts["unchanged"] += 1
                case ix.Moved():
                    counts["moved"] += 1
                case ix.CouldNotRead():
                    counts["unreadable"] += 1
                case ix.Removed():
                    counts["removed"] += 1
                    continue
                case ix.CouldNotList(path, reason):
                    say(f"{path}: can't be listed: {reason}; what is known of it stays")
                    continue
                case ix.RootMoved(before, path):
                    say(f"{before} is now {path}: its photos moved along")
                    continue
                case ix.KeptAll(path, gone, known):
                    say(f"{path}: {gone:,} of {known:,} photos are gone; is a drive away? Nothing was removed. "
                        "If they are gone for good: index --prune")  # fmt: skip
                    continue
            advance()
    return counts


@contextlib.contextmanager
def _progress(count: Callable[[], int]) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    """-> (advance by one photo, say a line). A bar only where stderr is a terminal; its total comes when counted."""
    if not sys.stderr.isatty():
        yield (lambda: None), _note
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    rate = TextColumn("{task.fields[rate]}")
    columns = (BarColumn(), TaskProgressColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
    with Progress(*columns, console=_console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None, rate="")
        threading.Thread(target=lambda: progress.update(task, total=count()), daemon=True).start()
        start, done, shown = time.monotonic(), 0, 0.0

        def advance() -> None:
            nonlocal done, shown
            done += 1
            now = time.monotonic()
            if now - shown > 0.1:
                shown = now
                progress.update(task, completed=done, rate=f"{done / max(now - start, 1e-9):,.0f} photos/s")

        yield advance, lambda text: progress.console.print(_text(text))


def _summary(counts: dict[str, int], seconds: float, how: str) -> str:
    photos = sum(n for name, n in counts.items() if name != "removed")
    told = ", ".join(f"{n:,} {name}" for name, n in counts.items() if n or name == "new")
    line = f"{photos:,} photos: {told}; {seconds:.1f} s, {photos / max(seconds, 1e-9):,.0f} photos/s, {how}"
    return line + ("\n`photosearch errors` says why photos were unreadable." if counts["unreadable"] else "")


# ---- find


@app.command()
def find(
    words: Annotated[list[str], typer.Argument(metavar="WORDS", help="bird, or: bird and not dog")],
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="In place of the labels' thresholds.")] = None,
    limit: Annotated[int | None, typer.Option(min=0, help="At most so many, 0 for all.")] = None,
    under: Under = None,
    since: Annotated[str | None, typer.Option(metavar="DATE", help="Taken then or later: 2024, 2024-05-31.")] = None,
    until: Annotated[str | None, typer.Option(metavar="DATE", help="Taken then or before.")] = None,
    paths: Annotated[bool, typer.Option("--paths", help="Print paths only, a line each.")] = False,
    null: Annotated[bool, typer.Option("-0", "--null", help="Like --paths, ended by NUL, for xargs -0.")] = False,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    copy_to: Annotated[str | None, typer.Option(metavar="DIR", help="Copy the photos into this folder.")] = None,
    link_to: Annotated[str | None, typer.Option(metavar="DIR", help="Link to the photos from this folder.")] = None,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """List the photos that show what you describe, best first."""
    from photosearch import album, query
    from photosearch.store import Store

    if sum((paths, null, as_json, as_csv)) > 1:
        raise InputError("--paths, -0, --json and --csv exclude one another; choose one")
    plain = not (paths or null or as_json or as_csv or copy_to or link_to)
    most = SHOWN if limit is None and plain else limit or None
    wanted = query.parse(" ".join(words))
    with Store(db or _default_db()) as store:
        labels = _labels(store, query.labels(wanted), model)
        found = store.find(
            wanted, labels, min_score=min_score, limit=most and most + 1,
            under=under and os.path.realpath(under), since=_date(since), until=_date(until),
        )  # fmt: skip
    more, found = most is not None and len(found) > most, found[:most]
    if not found:
        _note("nothing found")
    name = " ".join(words) if len(labels) > 1 else next(iter(labels.values())).name
    if as_json:
        rows = [{"path": f.path, "label": name, "score": f.score, "taken": f.taken} for f in found]
        typer.echo(json.dumps(rows, indent=1))
    elif as_csv:
        _csv([("path", "label", "score", "taken"), *((f.path, name, f.score, f.taken) for f in found)])
    elif paths or null:
        _raw(found, b"\0" if null else b"\n")
    elif plain:
        _table(("score", "path", "taken"), [(f"{f.score:.3f}", f.path, f.taken.replace("T", " ")) for f in found])
    if more and limit is None:
        _note(f"the best {most} are shown; --limit 0 shows all")
    for folder, make, done in ((copy_to, album.copy_to, "copied"), (link_to, album.link_to, "linked")):
        if folder is not None:
            made, there = make(folder, [f.path for f in found])
            _note(f"{folder}: {made:,} {done}" + (f", {there:,} were there already" if there else ""))


def _labels(store: "Store", names: Iterable[str], model: str | None) -> dict[str, "Label"]:
    """For each name in a query the label that is meant: the model's given, else that of the last model that has it."""
    from photosearch import query

    known = store.labels(_model_name(model))
    by_name: dict[str, Label] = {}
    for label in known:
        by_name.setdefault(label.name, label)
    return {name: by_name[query.resolve(name, by_name)] for name in names}


def _model_name(model: str | None) -> str | None:
    if model is None or not os.path.isfile(model):
        return model
    from photosearch.model import read_card

    return read_card(Path(model)).name


def _date(text: str | None) -> str | None:
    from datetime import datetime

    if text is None:
        return None
    for form in ("%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"):
        with contextlib.suppress(ValueError):
            return datetime.strptime(text.replace(" ", "T"), form).strftime(form)
    raise InputError(f"{text!r} is no date; write it as 2024, 2024-05 or 2024-05-31")


# ---- what the user knows


@app.command()
def mark(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Photos in the library.")],
    is_: Annotated[list[str] | None, typer.Option("--is", metavar="LABEL", help="They show this.")] = None,
    not_: Annotated[list[str] | None, typer.Option("--not", metavar="LABEL", help="They don't show this.")] = None,
    db: Db = None,
) -> None:
    """Tell what you know of photos, for `report` to compare with what the model said."""
    from photosearch import query, truth
    from photosearch.store import Store

    said = [(name, True) for name in is_ or []] + [(name, False) for name in not_ or []]
    if not said:
        raise InputError("say what they show: --is LABEL, or --not LABEL")
    with Store(db or _default_db()) as store:
        known = [label.name for label in store.labels()]
        labels = {query.resolve(name, known): present for name, present in said}
        if len(labels) < len({(query.resolve(name, known), present) for name, present in said}):
            raise InputError("a photo can't both show a label and not show it")
        rows = []
        for path in paths:
            image_id = store.image_of(truth.real(path))
            if image_id is None:
                raise InputError(f"{path}: not in the library, or not readable; index its folder first")
            rows += [(label, image_id, present) for label, present in labels.items()]
        store.put_truth(rows)
    _note(f"{len(paths):,} marked")


@truth_app.command("import")
def truth_import(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Columns path, label, present (1 or 0).")],
    skip_unknown: Annotated[bool, typer.Option("--skip-unknown", help="Pass over photos not in the library.")] = False,
    db: Db = None,
) -> None:
    """Read what you know from a CSV file: all of it, or nothing."""
    from photosearch import truth
    from photosearch.store import Store

    rows = truth.read_rows(file)
    with Store(db or _default_db()) as store:
        kept, passed = truth.import_rows(store, rows, str(file), skip_unknown=skip_unknown)
    _note(f"{kept:,} rows kept" + (f", {passed:,} passed over: not in the library" if passed else ""))


@truth_app.command("export")
def truth_export(
    label: Annotated[str | None, typer.Option(metavar="LABEL", help="Only this label's rows.")] = None,
    under: Under = None,
    db: Db = None,
) -> None:
    """Print what you know as CSV, paths in full."""
    from photosearch import truth
    from photosearch.store import Store

    with Store(db or _default_db()) as store:
        rows = store.truth(label, under=under and os.path.realpath(under))
    text = io.StringIO()
    truth.write_rows(rows, text)
    typer.echo(os.fsencode(text.getvalue()), nl=False)


# ---- how good it is


@app.command()
def report(
    precision_recall: Annotated[
        bool, typer.Option("--precision-recall", help="The counts, precision and recall; what you get anyway.")
    ] = True,
    calibration: Annotated[bool, typer.Option("--calibration", help="Is a score of 0.8 right 8 times in 10?")] = False,
    label: Annotated[str | None, typer.Option(help="Which label; without, the one that you know something of.")] = None,
    under: Under = None,
    model: OneModel = None,
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="In place of the label's own.")] = None,
    at_precision: Annotated[
        float | None, typer.Option(metavar="P", min=0, max=1, help="The threshold that finds most at this precision.")
    ] = None,
    at_recall: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="The most precise threshold at this recall.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Keep the threshold, for find.")] = False,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the curve.")] = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Compare what the model said with what you know of your photos."""
    from photosearch import report as reporting
    from photosearch.store import Store

    if sum(x is not None for x in (threshold, at_precision, at_recall)) > 1:
        raise InputError("--threshold, --at-precision and --at-recall exclude one another; choose one")
    with Store(db or _default_db()) as store:
        chosen = _reported(store, label, model)
        truths = store.truth(chosen.name, scored=chosen, under=under and os.path.realpath(under))
        judged = [reporting.Judged(t.path, t.score, t.present) for t in truths if t.score is not None]
        sample = store.sample(chosen)
        if not judged:
            raise InputError(_how_to_tell(chosen.name, len(truths)))
        weighed = _weighed(sample) if sample and under is None else None
        grounds, weights = weighed or (judged, None)
        at = _threshold(grounds, weights, chosen, threshold, at_precision, at_recall)
        if save:
            store.save_threshold(chosen, at)
            _note(f"find {chosen.name} now takes {at:.4f}")
    known = reporting.to_json(chosen.name, judged, at, calibration=calibration)
    known |= {"model": chosen.model, "not_scored": len(truths) - len(judged)}
    if under is None and (estimate := _library_estimate(sample, chosen.name, at)) is not None:
        known["library"] = estimate
    if plot is not None:
        from photosearch import plot as drawing

        (drawing.reliability if calibration else drawing.precision_recall)(plot, judged, at, chosen.name)
        _note(f"{plot}: drawn")
    typer.echo(json.dumps(known, indent=1) if as_json else _report_text(known))


def _reported(store: "Store", name: str | None, model: str | None) -> "Label":
    """The label to report on: the one that was named, else of those that are marked the only one, or bird."""
    from photosearch import query

    labels = store.labels(_model_name(model))
    by_name = {label.name: label for label in reversed(labels)}
    if name is None:
        marked = list(dict.fromkeys(t.label for t in store.truth() if t.label in by_name))
        if len(marked) > 1 and "bird" not in marked:
            raise InputError(f"you know something of several labels; say which: --label {' or '.join(marked)}")
        name = "bird" if "bird" in marked or not marked else marked[0]
    return by_name[query.resolve(name, by_name)]


def _library_estimate(sample: "Sample | None", label: str, threshold: float) -> dict[str, Any] | None:
    """What a sample that was judged, at least in part, says of the whole library."""
    from photosearch import sampling

    if sample is None or not any(p.present is not None for p in sample.photos):
        return None
    return sampling.to_json(label, sampling.estimate(_answers(sample), threshold, seed=sample.seed))


def _answers(sample: "Sample") -> "list[Answer]":
    from photosearch import sampling

    return [sampling.Answer(p.score, p.stratum, p.population, p.present) for p in sample.photos]


def _weighed(sample: "Sample") -> "tuple[list[Judged], list[float]] | None":
    """The photos of a sample that are judged, and how many of the library's each stands for; None where none is."""
    from photosearch import report as reporting
    from photosearch import sampling

    judged = [reporting.Judged(p.path or "", p.score, p.present) for p in sample.photos if p.present is not None]
    return (judged, sampling.weights(_answers(sample))) if judged else None


def _how_to_tell(label: str, not_scored: int) -> str:
    if not_scored:
        return f"none of the {not_scored:,} photos that you know of has a score for {label}; index them first"
    return (
        f"nothing is known of {label} yet; say what you know: photosearch mark PHOTO --is {label}, or "
        f"photosearch truth import FILE.csv, or draw a few to judge: photosearch sample {label} -n 60"
    )


def _threshold(
    judged: "Sequence[Judged]",
    weights: Sequence[float] | None,
    label: "Label",
    threshold: float | None,
    at_precision: float | None,
    at_recall: float | None,
) -> float:
    """weights: as report.curve takes them."""
    from photosearch import report as reporting

    if at_precision is None and at_recall is None:
        return label.threshold if threshold is None else threshold
    if at_precision is not None:
        found = reporting.threshold_at_precision(judged, at_precision, weights)
        wanted = f"precision {at_precision:g}"
    else:
        found = reporting.threshold_at_recall(judged, at_recall or 0.0, weights)
        wanted = f"recall {at_recall:g}"
    if found is None:
        raise InputError(f"no threshold reaches {wanted} on these {len(judged):,} photos; ask for less")
    chosen_on = "these same photos" if weights is None else f"the {len(judged):,} judged photos of the sample"
    _note(f"This threshold was chosen on {chosen_on}: on others, expect a little less.")
    return found


def _report_text(known: dict[str, Any]) -> str:
    """The talk's table, and below it each figure with its 95 % interval; what a sample says of the library first."""
    c = {k: f"{known[k]:,}" for k in ("tp", "fp", "fn", "tn")}
    label = known["label"]
    lines = [
        *_library_lines(known),
        f"{label} by {known['model']}, found from a score of {known['threshold']:.4f} on; "
        f"{known['n']:,} photos whose truth is known",
        "",
        f"{'':12}{'shows it':>12}{'does not':>12}",
        f"{'found':12}{c['tp']:>12}{c['fp']:>12}",
        f"{'not found':12}{c['fn']:>12}{c['tn']:>12}",
        "",
    ]
    lines += [_figure(name, known[name], known["intervals"][name]) for name in SHARES]
    lines.append(f"{'always no':12}{100 * known['always_no_accuracy']:6.2f} % accuracy")
    if known["not_scored"]:
        lines.append(f"{known['not_scored']:,} more could not be compared: they have no score")
    for kind, title in (("found", "found, and wrong"), ("missed", "missed")):
        rows = known["mistakes"][kind]
        lines += ["", f"{title}:", *(f"  {row['score']:.3f}  {row['path']}" for row in rows)] if rows else []
    if "calibration" in known:
        lines += ["", *_calibration_lines(known["calibration"])]
    return _text("\n".join(lines))


def _library_lines(known: dict[str, Any]) -> list[str]:
    if "library" not in known:
        return []
    lib = known["library"]
    lines = [
        f"The whole library, {lib['population']:,} pictures, by {lib['judged']:,} judged of {lib['drawn']:,} drawn:"
    ]
    lines += ["", *(_figure(name, lib[name], lib["intervals"][name]) for name in SHARES)]
    if lib["intervals"]["present"] is not None:
        low, high = lib["intervals"]["present"]
        lines.append(f"{'show it':12}{lib['present']:8,.0f}   {low:,.0f} .. {high:,.0f}")
    return [*lines, "", "The photos whose truth is known, which need not be like the others:", ""]


def _figure(name: str, value: float | None, interval: Sequence[float] | None) -> str:
    told = "no value" if value is None else f"{100 * value:6.2f} %"
    return f"{name:12}{told}" + (f"   {100 * interval[0]:.2f} .. {100 * interval[1]:.2f}" if interval else "")


def _calibration_lines(calibration: dict[str, Any]) -> list[str]:
    rows = [
        f"{b['low']:.1f}..{b['high']:.1f}{b['n']:>10,}{b['score']:>12.3f}{b['present']:>12.3f}"
        for b in calibration["bins"]
    ]
    error = calibration["expected_calibration_error"]
    return [
        f"{'score':8}{'photos':>10}{'mean score':>12}{'show it':>12}",
        *rows,
        f"expected calibration error {error:.4f}",
    ]


@app.command()
def sample(
    label: Annotated[str, typer.Argument(help="What to judge by.")],
    n: Annotated[int, typer.Option("-n", min=4, max=10_000, help="How many photos.")] = 60,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="A new folder; default: sample-LABEL.")] = None,
    seed: Annotated[int, typer.Option(help="Another number draws other photos.")] = 0,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Draw photos to judge, so that report can speak for the whole library: a contact sheet and a CSV to fill in."""
    from photosearch import sampling, sheet
    from photosearch.store import Store

    with Store(db or _default_db()) as store:
        chosen = _labels(store, [label], model)[label]
        images = store.scored_images(chosen)
        if not images:
            raise InputError(f"no photo has a score for {chosen.name} yet; run photosearch index FOLDER")
        drawn = sampling.draw([score for _, score in images], n, chosen.threshold, seed=seed)
        rows = [(*images[d.index], d.stratum, d.population) for d in drawn]
        folder = to or Path(f"sample-{chosen.name}".replace(os.sep, "_"))
        _new_folder(folder)
        kept = store.put_sample(chosen, chosen.threshold, seed, rows)
    numbered = [(i, p.path) for i, p in enumerate(kept.photos, 1) if p.path is not None]
    cells = [(i, os.path.relpath(path, folder), chosen.name, "") for i, path in numbered]
    (folder / "sample.csv").write_bytes(_csv_bytes([("number", "path", "label", "present"), *cells]))
    sheets = sheet.write(folder, numbered)
    _note(
        f"{folder}: {len(numbered):,} photos on {', '.join(s.name for s in sheets)}. See which show {chosen.name}; the "
        f"others count as not:\n  photosearch judge {chosen.name} 3 7 12-15\n"
        f"or fill in sample.csv (1, 0, or nothing):\n  photosearch truth import {folder / 'sample.csv'}\n"
        "then:\n  photosearch report"
    )


def _new_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise InputError(f"{folder}: is there already; name a new folder with --to") from None
    except OSError as error:
        raise InputError(f"{folder}: can't be made: {error.strerror}; name another with --to") from None


@app.command()
def judge(
    label: Annotated[str, typer.Argument(help="The label that the sample was drawn for.")],
    numbers: Annotated[list[str] | None, typer.Argument(help="On the sheet, those that show it: 3 7 12-15.")] = None,
    none: Annotated[bool, typer.Option("--none", help="None of them shows it.")] = False,
    unsure: Annotated[
        list[str] | None, typer.Option(metavar="NUMBERS", help="Leave these unjudged; may be repeated.")
    ] = None,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Judge the sample that was drawn last by its numbers: those named show the label, all others do not.

    A photo that is not where it was when the sample was drawn was grey on the sheet, and is left unjudged.
    """
    from photosearch.store import Store

    if bool(numbers) == none:
        raise InputError("name the numbers on the sheet that show it, or --none")
    with Store(db or _default_db()) as store:
        chosen = _labels(store, [label], model)[label]
        kept = store.sample(chosen)
        if kept is None:
            raise InputError(f"no sample was drawn for {chosen.name} yet: photosearch sample {chosen.name} -n 60")
        most = len(kept.photos)
        yes, skip = _numbers(numbers or [], most), _numbers(unsure or [], most)
        gone = {i for i, p in enumerate(kept.photos, 1) if p.path is None or not os.path.exists(p.path)} - yes
        judged = [(i, p) for i, p in enumerate(kept.photos, 1) if i not in skip | gone]
        store.put_truth((chosen.name, p.image_id, i in yes) for i, p in judged)
    left = f", {len(gone - skip):,} left out that can't be opened" if gone - skip else ""
    _note(f"{len(judged):,} judged, {len(yes - skip):,} of them {chosen.name}{left}; now: photosearch report")


def _numbers(words: Sequence[str], most: int) -> set[int]:
    """3 7 12-15, or 3,7,12-15 -> the numbers. Raises InputError for what is no number from 1 to `most`."""
    numbers: set[int] = set()
    for word in " ".join(words).replace(",", " ").split():
        first, dash, last = word.partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last) <= most):
            raise InputError(f"{word!r} is no number on the sheet, nor two with - between; they go from 1 to {most}")
        numbers.update(range(int(first), int(last) + 1))
    return numbers


# ---- what there is


@app.command()
def status(as_json: AsJson = False, db: Db = None) -> None:
    """The library, its folders and models, and what can run them."""
    from photosearch.model import AUTO, PROVIDERS, choose_provider, shipped
    from photosearch.store import Store

    path = db or _default_db()
    providers = {}
    for name in PROVIDERS:
        chosen, why = choose_provider(name)
        if chosen == name or name in AUTO:
            providers[name] = "ready" if chosen == name else (why or "").removeprefix(f"{name}: ")
    known: dict[str, Any] = {"database": str(path), "size_bytes": path.stat().st_size if path.exists() else None}
    if path.exists():
        with Store(path) as store:
            roots = [{"path": r.root, "photos": store.count(r), "there": os.path.isdir(r.root)} for r in store.roots()]
            known |= {"roots": roots, **store.counts(), "models": store.models(), "last_run": store.last_run()}
    known |= {"shipped": sorted(shipped()), "providers": providers}
    if as_json:
        typer.echo(json.dumps(known, indent=1))
        return
    _print_status(known)


def _print_status(known: dict[str, Any]) -> None:
    size = known["size_bytes"]
    rows = [("library", known["database"] + (f" ({size / 1e6:,.1f} MB)" if size is not None else " (not made yet)"))]
    for root in known.get("roots", []):
        rows.append(("folder", f"{root['path']}: {root['photos']:,} photos" + ("" if root["there"] else ", away")))
    if "photos" in known:
        rows.append(("photos", f"{known['photos']:,}, {known['unreadable']:,} of them unreadable"))
        rows.append(("known to you", f"{known['truth']:,} marks"))
    for model in known.get("models", []):
        tiles = f", {model['tiles']} tiles" if model["tiles"] else ""
        rows.append(("model", f"{model['name']} {model['version']}{tiles}: {model['images']:,} pictures scored"))
    rows += [("comes along", name) for name in known["shipped"]]
    rows += [("provider", f"{name}: {state}") for name, state in known["providers"].items()]
    _table(("", ""), rows)


@app.command()
def errors(as_json: AsJson = False, db: Db = None) -> None:
    """The photos that could not be read, why, and since when."""
    from photosearch.store import Store

    with Store(db or _default_db()) as store:
        rows = store.unreadable()
    if as_json:
        typer.echo(json.dumps([dict(zip(("path", "reason", "since"), row, strict=True)) for row in rows], indent=1))
    elif rows:
        _table(("path", "reason", "since"), rows)
    else:
        _note("every photo could be read")


@app.command()
def labels(model: OneModel = None, as_json: AsJson = False, db: Db = None) -> None:
    """What `find` can look for, and from which score on."""
    from photosearch.store import Store

    with Store(db or _default_db()) as store:
        known = store.labels(_model_name(model))
    if as_json:
        rows = [{"label": x.name, "model": x.model, "threshold": x.threshold, "saved": x.saved} for x in known]
        typer.echo(json.dumps(rows, indent=1))
    else:
        cells = [(x.name, x.model, f"{x.threshold:.3f}" + (" (yours)" if x.saved else "")) for x in known]
        _table(("label", "model", "threshold"), cells)


@models_app.callback()
def models(ctx: typer.Context, as_json: AsJson = False) -> None:
    from photosearch.model import DEFAULT, read_card, shipped

    if ctx.invoked_subcommand is not None:
        return
    cards = [read_card(path) for path in shipped().values()]
    if as_json:
        keys = ("name", "version", "labels", "input_size")
        rows = [{**{k: getattr(c, k) for k in keys}, "default": c.name == DEFAULT} for c in cards]
        typer.echo(json.dumps(rows, indent=1))
        return
    cells = [
        (c.name, c.version, ", ".join(c.labels[:8]), f"{c.input_size} px", "yes" if c.name == DEFAULT else "")
        for c in cards
    ]
    _table(("name", "version", "labels", "input", "default"), cells)


@models_app.command("show")
def models_show(name: Annotated[str, typer.Argument(help="A model's name or an .onnx file.")]) -> None:
    """Print a model's card, as JSON: what it was taught with, and how good it was found to be."""
    from photosearch.model import read_card, resolve

    typer.echo(json.dumps(json.loads(read_card(resolve(name)).to_json()), indent=1))


@app.command()
def forget(
    paths: Annotated[list[str] | None, typer.Argument(metavar="[PATH]...", help="Photos, or folders.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Everything, with the copies put aside.")] = False,
    db: Db = None,
) -> None:
    """Remove from the library what it knows of photos. The photos themselves are left alone."""
    from photosearch import truth
    from photosearch.index import only_one
    from photosearch.store import Store, copies

    if bool(paths) == all_:
        raise InputError("name photos or folders to forget, or --all")
    db = db or _default_db()
    with Store(db) as store, only_one(store):
        places = [os.path.realpath(p) if os.path.isdir(p) else truth.real(p) for p in paths or []]
        known = store.forget_all() if all_ else store.forget(places)
    _note(f"{known:,} photos forgotten")
    for copy in copies(db):
        _note(f"{copy} still holds what the library held when it was put aside; delete it, if that must go too")


@app.command()
def rebuild(
    force: Annotated[bool, typer.Option("--force", help="Even if it isn't damaged.")] = False, db: Db = None
) -> None:
    """Start a damaged library anew; your marks and thresholds are rescued as far as they can be read."""
    from photosearch.rebuild import rebuild as start_anew

    rescued = start_anew(db or _default_db(), force=force)
    _note(f"rescued: {rescued.marks:,} marks, {rescued.thresholds:,} thresholds, {rescued.folders:,} folders; "
          f"the old library stands at {rescued.aside}; now run photosearch index")  # fmt: skip


@app.command()
def doctor(
    provider: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Try this one; may be repeated.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="A model's name or an .onnx file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Run one batch through each part, and say what works and how fast."""
    from photosearch import doctor as examination
    from photosearch.model import resolve

    checks = list(examination.examine(resolve(model), provider or ["auto", "cpu"]))
    if as_json:
        keys = ("name", "works", "detail", "milliseconds")
        typer.echo(json.dumps([{k: getattr(c, k) for k in keys} for c in checks], indent=1))
    else:
        times = ["" if c.milliseconds is None else f"{c.milliseconds:.2f} ms a photo" for c in checks]
        rows = [(c.name, "works" if c.works else "FAILS", t, c.detail) for c, t in zip(checks, times, strict=True)]
        _table(("", "", "", ""), rows)
    if not all(c.works for c in checks):
        raise typer.Exit(1)


# ---- printing


def _console(*, stderr: bool = False, width: int | None = None) -> Any:
    from rich.console import Console

    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def _text(text: str) -> str:
    """Text for a terminal: a file's name may hold anything, and what a terminal would obey must not reach it."""
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape", "replace").decode() for c in text)


def _note(text: str) -> None:
    typer.echo(_text(text), err=True)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table where a person reads, tab-separated lines where a program does."""
    if not rows:
        return
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(_text(cell).replace("\n", "\\n").replace("\t", "\\t") for cell in row))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=any(head), header_style="bold")
    for name in head:
        table.add_column(name, justify="right" if name == "score" else "left")
    for row in rows:
        table.add_row(*(Text(_text(cell).replace("\n", "\\n")) for cell in row))
    _console(width=100_000).print(table, soft_wrap=False)  # a path that is folded can't be copied


def _csv(rows: Iterable[Sequence[object]]) -> None:
    typer.echo(_csv_bytes(rows), nl=False)


def _csv_bytes(rows: Iterable[Sequence[object]]) -> bytes:
    import csv

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return os.fsencode(text.getvalue())


def _raw(found: "Sequence[Found]", end: bytes) -> None:
    typer.echo(b"".join(os.fsencode(f.path) + end for f in found), nl=False)
