"""`mark`, `truth`, `sample`, `judge`, `learn`, `report`: what you know, and how right the models are."""

import io
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photosearch.cli.output import escape, note, print_table, say_count, to_bytes, to_csv
from photosearch.cli.root import (
    App,
    AsJson,
    Db,
    OneModel,
    Under,
    app,
    label_argument,
    label_option,
    open_library,
    path_argument,
    path_option,
)
from photosearch.errors import InputError

if TYPE_CHECKING:
    from photosearch.judging.marking import UndoneMark

NAMED = 20  # marks, at most, that are named one by one
TOO_FEW = 0.5  # an interval that is wider says next to nothing
SHARES = ("precision", "recall", "f1", "accuracy")

truth_app = App(no_args_is_help=True, help="What you know of your photos, as CSV.")
app.add_typer(truth_app, name="truth")


@app.command("mark")
def mark_command(
    ctx: typer.Context,
    paths: Annotated[list[str] | None, path_argument(metavar="PHOTO", help="Photos in the library.")] = None,
    is_: Annotated[list[str] | None, label_option("--is", help="They show this.")] = None,
    not_: Annotated[list[str] | None, label_option("--not", help="They don't show this.")] = None,
    forget: Annotated[list[str] | None, label_option("--forget", help="Take back such a mark.")] = None,
    new: Annotated[bool, typer.Option("--new", help="The label is a new one of your own, to learn.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what was marked or judged last.")] = False,
    db: Db = None,
) -> None:
    """Tell what you know of photos.

    `report` compares it with what the model said.
    """
    said = [(name, True) for name in is_ or []] + [(name, False) for name in not_ or []]
    if undo:
        if said or forget or paths:
            raise InputError("--undo takes back what was marked last, whatever that was; give it alone")
        with open_library(ctx, db) as library:
            _say_undone(library.marks.undo())
        return
    if not paths:
        raise InputError("say which photos to mark")
    if bool(said) == bool(forget):
        raise InputError("say what they show, --is LABEL or --not LABEL; or take a mark back: --forget LABEL")
    with open_library(ctx, db) as library:
        if forget:
            note(f"{say_count(library.marks.remove(paths, forget), 'mark')} taken back")
            return
        n = library.marks.add(paths, positive=is_ or (), negative=not_ or (), new=new)
    note(f"{say_count(n, 'photo')} marked")


def _say_undone(undone: "Sequence[UndoneMark]") -> None:
    if not undone:
        raise InputError("nothing was marked that could be taken back")
    for mark in undone[:NAMED]:
        now = {None: f"not marked for {mark.label} any more", True: f"marked as {mark.label} again",
               False: f"marked as not {mark.label} again"}[mark.present]  # fmt: skip
        note(f"{mark.path or 'a photo that has left'}: {now}")
    note(f"{say_count(len(undone), 'mark')} taken back")


@app.command("learn")
def learn_command(
    ctx: typer.Context,
    label: Annotated[str, label_argument(help="One that you marked photos with.")],
    undo: Annotated[bool, typer.Option("--undo", help="Go back to what was there before.")] = False,
    model: OneModel = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Learn a label from your marks: a new one, or a better one.

    Some twenty photos marked each way will do. Nothing is looked at anew, and a label that is better already is kept.
    """
    with open_library(ctx, db) as library:
        if undo:
            now = library.labels.undo_learning(label)
            note(f"{label} is no label any more" if now is None else f"{now.name} is answered by {now.model} again")
            return
        learned = library.labels.learn(label, model=model)
    typer.echo(json.dumps(learned.to_json(), indent=1) if as_json else escape(_describe_learned(learned.to_json())))
    name = shlex.quote(learned.label.name)
    if learned.kept == "learned":
        note(f"find {name} takes what was learned; to go back: photosearch learn {name} --undo")
    if not learned.report.of_the_library:
        note(f"to know how right it is on the whole library: photosearch sample {name} -n 60")


def _describe_learned(told: dict[str, Any]) -> str:
    corrects = "" if told["corrects"] is None else f", on top of what {told['corrects']} says"
    lines = [f"{told['label']}, learned on the vectors of {told['vectors_of']}{corrects}", ""]
    lines += [f"cross-validated; of {told['rests_on']}"]
    lines += [_figure(name, told[name], told["intervals"][name]) for name in ("precision", "recall")]
    lines.append(f"finds {told['found']:,} of {say_count(told['pictures'], 'picture')}")
    if told["expected_present"] is not None:
        lines.append(
            f"about {told['expected_present']:,.0f} are expected to show it, if your marks are like the others"
        )
    if "before" in told:
        before = told["before"]
        lines += ["", f"what stood, by {before['model']}, on the same marks:"]
        lines += [_figure(name, before[name], before["intervals"][name]) for name in ("precision", "recall")]
        lines.append(f"finds {before['found']:,}")
    kept = {"learned": "kept: what was learned", "before": "kept: the label that stood"}[told["kept"]]
    return "\n".join([*lines, "", f"{kept}; {told['why']}"])


@truth_app.command("import")
def truth_import(
    ctx: typer.Context,
    file: Annotated[
        str | None, path_argument(metavar="FILE.csv", help="Columns path, label, present (1 or 0); - is stdin.")
    ] = None,
    skip_unknown: Annotated[bool, typer.Option("--skip-unknown", help="Pass over photos not in the library.")] = False,
    xmp: Annotated[
        bool, typer.Option("--xmp", help="Read keywords: from side-cars, else from the photos themselves.")
    ] = False,
    under: Under = None,
    new: Annotated[
        list[str] | None, typer.Option("--new", metavar="LABEL", help="One that is a new label of your own.")
    ] = None,
    complete: Annotated[
        list[str] | None,
        typer.Option("--complete", metavar="LABEL", help="With --xmp: photos with other keywords only don't show it."),
    ] = None,
    rated: Annotated[
        list[str] | None,
        typer.Option("--rated", metavar="LABEL=STARS", help="With --xmp: shown from so many stars on, not below."),
    ] = None,
    db: Db = None,
) -> None:
    """Read what you know from CSV, or from keywords.

    Of a CSV file all rows are kept, or none.
    """
    if not xmp:
        others = {"--under": under, "--complete": complete, "--rated": rated}
        if given := [name for name, value in others.items() if value]:
            raise InputError(f"{', '.join(given)}: for --xmp only")
        if file is None:
            raise InputError("say which CSV file to read, or --xmp")
        with open_library(ctx, db) as library:
            kept, passed = library.marks.import_csv(file, skip_unknown=skip_unknown, new=new or ())
        note(f"{say_count(kept, 'row')} kept" + (f", {passed:,} passed over: not in the library" if passed else ""))
        return
    if file is not None or skip_unknown:
        raise InputError("--xmp reads beside the photos of the library: leave out the CSV file, or say --under DIR")
    with open_library(ctx, db) as library:
        told = library.marks.import_keywords(
            under=under, new=new or (), complete=complete or (), rated=dict(map(_read_rated, rated or ()))
        )
    for path, why in told.skipped[:NAMED]:
        note(f"{path}: not read: {why}")
    for keyword, n in told.unknown.most_common(NAMED):
        note(f"{keyword}: no label of that name, on {say_count(n, 'photo')}; --new {shlex.quote(keyword)} makes it one")
    note(f"{say_count(told.marks, 'mark')} kept, of {say_count(told.photos, 'photo')} with keywords or a rating")


def _read_rated(text: str) -> tuple[str, float]:
    """keeper=4 -> (keeper, 4.0)."""
    name, equals, stars = text.rpartition("=")
    try:
        least = float(stars)
    except ValueError:
        least = 0.0
    if not equals or not name.strip() or not 1 <= least <= 5:
        raise InputError(f"--rated {text}: give a label and a number of stars from 1 to 5, such as keeper=4")
    return name.strip(), least


@app.command("export")
def export_command(
    ctx: typer.Context,
    labels: Annotated[list[str], typer.Argument(metavar="LABEL", help="What to write as keywords.")],
    xmp: Annotated[bool, typer.Option("--xmp", help="To side-cars, beside the photos: photo.jpg.xmp.")] = False,
    marked: Annotated[bool, typer.Option("--marked", help="Only what you marked, not what is found.")] = False,
    short: Annotated[
        bool, typer.Option("--short", help="To photo.xmp, as Lightroom reads it beside a camera's raw file.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")] = False,
    under: Under = None,
    model: OneModel = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Write labels as keywords for other programs.

    To side-cars, which darktable and digiKam read, and Lightroom beside raw files (--short). Photos are never touched.
    What is in a side-car already stays; one that can't be understood is left alone.
    """
    if not xmp:
        raise InputError("say how: --xmp writes side-cars beside the photos, and leaves the photos alone")
    with open_library(ctx, db) as library:
        told = library.marks.export_keywords(
            labels, under=under, model=model, marked=marked, short=short, dry_run=dry_run
        )
    if as_json:
        typer.echo(json.dumps(told.to_json(), indent=1))
    else:
        changes = [[*(f"+{k}" for k in w.added), *(f"-{k}" for k in w.removed)] for w in told.written]
        rows = [(w.path, "new" if w.new else "merged", " ".join(c)) for w, c in zip(told.written, changes, strict=True)]
        print_table(("side-car", "", "keywords"), rows)
    for path, why in told.skipped[:NAMED]:
        note(f"{path}: left alone: {why}")
    if told.missing:
        note(f"{say_count(told.missing, 'photo')} passed over: not there now")
    done = "would be written" if dry_run else "written"
    alone = f", {len(told.skipped):,} left alone" if told.skipped else ""
    note(f"{say_count(len(told.written), 'side-car')} {done}, {told.unchanged:,} said so already{alone}")
    if told.skipped:
        raise typer.Exit(1)


@truth_app.command("export")
def truth_export(
    ctx: typer.Context,
    label: Annotated[str | None, label_option("--label", help="Only this label's rows.")] = None,
    under: Under = None,
    db: Db = None,
) -> None:
    """Print what you know as CSV, paths in full."""
    from photosearch.judging import truth

    with open_library(ctx, db) as library:
        rows = library.marks.list(label, under=under)
    text = io.StringIO()
    truth.write_rows(rows, text)
    typer.echo(to_bytes(text.getvalue()), nl=False)


@app.command("report")
def report_command(
    ctx: typer.Context,
    precision_recall: Annotated[
        bool, typer.Option("--precision-recall", help="Counts, precision and recall: the usual report.")
    ] = False,
    calibration: Annotated[bool, typer.Option("--calibration", help="Is a score of 0.8 right 8 times in 10?")] = False,
    label: Annotated[
        str | None, label_option("--label", help="Which label; without, the one that you know something of.")
    ] = None,
    under: Under = None,
    model: OneModel = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="P", min=0, max=1, help="In place of the label's own.")
    ] = None,
    at_precision: Annotated[
        float | None, typer.Option(metavar="P", min=0, max=1, help="The threshold that finds most at this precision.")
    ] = None,
    at_recall: Annotated[
        float | None, typer.Option(metavar="R", min=0, max=1, help="The most precise threshold at this recall.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Keep the threshold, for find.")] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Go back from a kept threshold to the model's own.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Go back to the threshold before the last --save.")] = False,
    retrieval: Annotated[
        str | None,
        path_option("--retrieval", metavar="FILE.csv", help="How well descriptions find photos: columns query, path."),
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="A line for each label that you marked, and averages.")
    ] = False,
    plot: Annotated[str | None, path_option("--plot", metavar="FILE.png", help="Draw the curve.")] = None,
    html: Annotated[
        str | None, path_option("--html", metavar="FILE", help="Write a page of it, with the mistakes as pictures.")
    ] = None,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Compare what the model said with what you know.

    Precision, recall and mistakes, on the photos that you marked; after `sample` and `judge`, for the whole library.
    """
    if retrieval is not None:
        others = {"--precision-recall": precision_recall, "--calibration": calibration, "--label": label,
                  "--under": under, "--threshold": threshold, "--at-precision": at_precision,
                  "--at-recall": at_recall, "--save": save, "--plot": plot, "--html": html}  # fmt: skip
        if given := [name for name, value in others.items() if value not in (None, False)]:
            raise InputError(f"--retrieval judges all descriptions of a file at once; leave out {', '.join(given)}")
        with open_library(ctx, db) as library:
            told = library.report_retrieval(retrieval, model=model).to_json()
        typer.echo(json.dumps(told, indent=1) if as_json else _describe_retrieval(told))
        return
    if labels:
        others = {"--label": label, "--calibration": calibration, "--threshold": threshold, "--save": save,
                  "--at-precision": at_precision, "--at-recall": at_recall, "--plot": plot,
                  "--html": html}  # fmt: skip
        if given := [name for name, value in others.items() if value not in (None, False)]:
            raise InputError(f"--labels tells of all of them, each at its own threshold; leave out {', '.join(given)}")
        with open_library(ctx, db) as library:
            told = library.report_labels(model=model, under=under).to_json()
        if as_json:
            typer.echo(json.dumps(told, indent=1))
        else:
            _print_labels(told)
        return
    if undo:
        if label is None:
            raise InputError("say of which label to take the threshold back: --label LABEL")
        with open_library(ctx, db) as library:
            if not library.labels.undo_threshold(library.labels.get(label, model)):
                raise InputError(f"no threshold of {label} was saved")
            own = library.labels.get(label, model)
        note(f"find {own.name} takes {own.threshold:.4f} again")
        return
    if reset:
        if label is None:
            raise InputError("say of which label to reset the threshold: --label LABEL")
        with open_library(ctx, db) as library:
            library.labels.set_threshold(library.labels.get(label, model), None)
            own = library.labels.get(label, model)
        note(f"find {own.name} takes the model's own {own.threshold:.4f} again")
        return
    with open_library(ctx, db) as library:
        compared = library.report(
            label, model=model, under=under, threshold=threshold, at_precision=at_precision, at_recall=at_recall,
            calibration=calibration,
        )  # fmt: skip
        if compared.chosen_on is not None:
            note(f"This threshold was chosen on {compared.chosen_on}: on others, expect a little less.")
        if save:
            library.labels.set_threshold(compared.label, compared.threshold)
            note(f"find {compared.label.name} now takes {compared.threshold:.4f}")
        if html is not None:
            from photosearch.web.html_export import export_report

            written = export_report(library, compared, Path(html))
            note(f"{html}: {say_count(written.photos, 'mistake')} as pictures, {written.size_bytes / 1e6:.1f} MB")
    if plot is not None:
        from photosearch.judging import plot as drawing

        draw = drawing.draw_reliability if calibration and not precision_recall else drawing.draw_precision_recall
        draw(Path(plot), compared.judged, compared.threshold, compared.label.name)
        note(f"{plot}: drawn")
    typer.echo(json.dumps(compared.to_json(), indent=1) if as_json else _describe(compared.to_json()))


def _print_labels(told: dict[str, Any]) -> None:
    head = ("label", "show it", "of", "precision", "95 %", "recall", "95 %", "average", "confused with")
    rows = []
    for row in told["labels"]:
        confused = ", ".join(f"{c['label']} {c['n']:,}" for c in row["confused_with"][:3])
        average = _share(row["average_precision"])
        rows.append((row["label"], f"{row['present']:,}", f"{row['n']:,}", *_shares(row), average, confused))
    micro, macro = told["micro"], told["macro"]
    total = (f"{micro['tp'] + micro['fn']:,}", f"{sum(micro[k] for k in ('tp', 'fp', 'fn', 'tn')):,}")
    rows.append(("all, added up", *total, *_shares(micro), "", ""))
    means = [_share(macro[name]["value"]) for name in ("precision", "recall", "average_precision")]
    rows.append(
        (f"mean of {say_count(len(told['labels']), 'label')}", "", "", means[0], "", means[1], "", means[2], "")
    )
    print_table(head, rows)
    if told["unknown"]:
        note(f"marked, and no label yet: {', '.join(told['unknown'][:NAMED])}; photosearch learn makes it one")


def _shares(row: dict[str, Any]) -> list[str]:
    cells = []
    for name in ("precision", "recall"):
        interval = row["intervals"][name]
        cells += [_share(row[name]), "" if interval is None else f"{100 * interval[0]:.1f} to {100 * interval[1]:.1f}"]
    return cells


def _share(value: float | None) -> str:
    return "no value" if value is None else f"{100 * value:.1f} %"


def _describe_retrieval(told: dict[str, Any]) -> str:
    lines = [f"{say_count(told['queries'], 'description')}, {say_count(told['photos'], 'picture')}", ""]
    names = {"recall_at_1": "found first", "recall_at_5": "among 5", "recall_at_10": "among 10",
             "mrr": "reciprocal", "map": "average"}  # fmt: skip
    lines += [_figure(title, told[key], told["intervals"][key]) for key, title in names.items()]
    return "\n".join(lines)


def _describe(known: dict[str, Any]) -> str:
    """The talk's table, and below it each figure with its 95 % interval; what a sample says of the library first."""
    c = {k: f"{known[k]:,}" for k in ("tp", "fp", "fn", "tn")}
    label = known["label"]
    lines = [
        *_library_lines(known),
        f"{label} by {known['model']}, found from a score of {known['threshold']:.4f} on; "
        f"{say_count(known['n'], 'picture')} whose truth is known",
        "",
        f"{'':12}{'shows it':>12}{'does not':>12}",
        f"{'found':12}{c['tp']:>12}{c['fp']:>12}",
        f"{'not found':12}{c['fn']:>12}{c['tn']:>12}",
        "",
    ]
    lines += [_figure(name, known[name], known["intervals"][name]) for name in SHARES]
    lines.append(f"{'always no':12}{100 * known['always_no_accuracy']:6.2f} % accuracy")
    if n := known["used_for_training"]:
        lines.append(f"{n:,} of them it learned from; they count as they were said before they were seen")
    if known["not_scored"]:
        lines.append(f"{known['not_scored']:,} more could not be compared: they have no score")
    if known["copies"]:
        lines.append(f"{say_count(known['copies'], 'photo')} more show the same pictures: each picture counts once")
    for kind, title in (("found", "found, and wrong"), ("missed", "missed")):
        rows = known["mistakes"][kind]
        lines += ["", f"{title}:", *(f"  {row['score']:.3f}  {row['path']}" for row in rows)] if rows else []
    if "calibration" in known:
        lines += ["", *_calibration_lines(known["calibration"])]
    return escape("\n".join(lines))


def _library_lines(known: dict[str, Any]) -> list[str]:
    if "library" not in known:
        return []
    lib = known["library"]
    sheets = f" on {len(lib['sheets'])} sheets" if len(lib["sheets"]) > 1 else ""
    drawn = f"{lib['judged']:,} judged of {lib['drawn']:,} drawn{sheets}"
    lines = [f"The whole library, {lib['population']:,} pictures, by {drawn}:"]
    if lib["sheets_left_out"]:
        numbers = ", ".join(map(str, lib["sheets_left_out"]))
        lines.append(f"(left out, drawn when the library held other photos: sheet {numbers})")
    lines += ["", *(_figure(name, lib[name], lib["intervals"][name]) for name in SHARES)]
    if lib["intervals"]["present"] is not None:
        low, high = lib["intervals"]["present"]
        lines.append(f"{'show it':12}{lib['present']:8,.0f}   95 %: {low:,.0f} to {high:,.0f}")
    return [*lines, "", "The photos whose truth is known, which need not be like the others:", ""]


def _figure(name: str, value: float | None, interval: Sequence[float] | None) -> str:
    told = "no value" if value is None else f"{100 * value:6.2f} %"
    if interval is None:
        return f"{name:12}{told}"
    few = " (too few to say)" if interval[1] - interval[0] > TOO_FEW else ""
    return f"{name:12}{told}   95 %: {100 * interval[0]:.2f} to {100 * interval[1]:.2f}{few}"


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


@app.command("sample")
def sample_command(
    ctx: typer.Context,
    label: Annotated[str, label_argument(help="What to judge by.")],
    n: Annotated[int, typer.Option("-n", metavar="N", min=4, max=10_000, help="How many photos.")] = 60,
    to: Annotated[str | None, path_option("--to", metavar="DIR", help="A new folder; default: sample-LABEL.")] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another number draws other photos.")] = 0,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Draw photos to judge, so that report speaks for all of them.

    A contact sheet to look at, and a CSV file to fill in.
    """
    from photosearch.judging import sheet

    with open_library(ctx, db) as library:
        name = library.labels.get(label, model).name
        folder = Path(to) if to else Path(f"sample-{name}".replace(os.sep, "_"))
        if folder.exists():
            raise InputError(f"{folder}: is there already; name a new folder with --to")
        kept = library.samples.draw(label, n, seed=seed, model=model)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"{folder}: can't be made: {error.strerror}; name another with --to") from None
    numbered = [(p.number, p.path) for p in kept.photos if p.path is not None]
    cells = [(kept.id, i, os.path.relpath(path, folder), name, "") for i, path in numbered]
    (folder / "sample.csv").write_bytes(to_csv([("sheet", "number", "path", "label", "present"), *cells]))
    csv_file = shlex.quote(str(folder / "sample.csv"))
    sheets = sheet.write_sheet(folder, numbered, f"sheet {kept.id}: {name}, drawn {kept.drawn_at[:10]}")
    note(
        f"{folder}: {say_count(len(numbered), 'photo')} on {', '.join(s.name for s in sheets)}. See which show {name}; "
        f"the others count as not:\n  photosearch judge {shlex.quote(name)} --sheet {kept.id} 3 7 12-15\n"
        f"or fill in sample.csv (1, 0, or nothing):\n  photosearch truth import {csv_file}\n"
        "then:\n  photosearch report"
    )


@app.command("judge")
def judge_command(
    ctx: typer.Context,
    label: Annotated[str, label_argument(help="The label that the sample was drawn for.")],
    numbers: Annotated[
        list[str] | None, typer.Argument(metavar="NUMBERS", help="On the sheet, those that show it: 3 7 12-15.")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="None of them shows it.")] = False,
    unsure: Annotated[
        list[str] | None, typer.Option(metavar="NUMBERS", help="Leave these unjudged; may be repeated.")
    ] = None,
    sheet: Annotated[
        int | None, typer.Option("--sheet", metavar="N", help="Which sheet; may be left out where only one was drawn.")
    ] = None,
    model: OneModel = None,
    db: Db = None,
) -> None:
    """Judge a sample by the numbers on its sheet.

    The photos whose numbers you name show the label, all others don't. A photo that is not where it was when the
    sample was drawn was grey on the sheet, and is left unjudged.
    """
    if bool(numbers) == none:
        raise InputError("name the numbers on the sheet that show it, or --none")
    with open_library(ctx, db) as library:
        chosen, told = library.samples.judge(label, numbers or [], unsure or [], model=model, sheet=sheet)
    left = f", {told.unavailable:,} left out that can't be opened" if told.unavailable else ""
    if told.changed:
        note(f"{say_count(len(told.changed), 'mark')} changed: {', '.join(told.changed)}")
    note(
        f"sheet {told.sheet}: {told.judged:,} judged, {told.positive:,} of them {chosen.name}{left}; "
        "now: photosearch report"
    )
