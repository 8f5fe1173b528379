"""`report`: how right labels and descriptions are on marked photos."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photosearch.cli.figures import WIDTH, format_figure, format_interval, format_share
from photosearch.cli.output import format_count, format_size, note, print_table
from photosearch.cli.root import (
    AsJson,
    Db,
    Force,
    OneModel,
    Under,
    app,
    choose_one,
    label_argument,
    label_option,
    open_library,
    path_option,
    refuse,
)
from photosearch.errors import InputError
from photosearch.web.escaping import escape

if TYPE_CHECKING:
    from photosearch import LabelReport, Library

MAX_NAMED = 20  # labels in a line
FIGURES = {"precision": "precision", "recall": "recall", "f1": "F1", "accuracy": "accuracy"}  # key -> name


@app.command("report")
def report_command(
    ctx: typer.Context,
    name: Annotated[str | None, label_argument(help="Label to report on (default: the only marked one).")] = None,
    precision_recall: Annotated[
        bool, typer.Option("--precision-recall", help="Counts, precision and recall: the default report.")
    ] = False,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="Also compare scores with the share of photos that show the label.")
    ] = False,
    label: Annotated[str | None, label_option("--label", help="The same as LABEL.")] = None,
    under: Under = None,
    model: OneModel = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="P", min=0, max=1, help="Use this threshold instead of the label's.")
    ] = None,
    at_precision: Annotated[
        float | None,
        typer.Option(metavar="P", min=0, max=1, help="Use the threshold with the best recall at precision P or more."),
    ] = None,
    at_recall: Annotated[
        float | None,
        typer.Option(metavar="R", min=0, max=1, help="Use the threshold with the best precision at recall R or more."),
    ] = None,
    retrieval: Annotated[
        str | None,
        path_option("--retrieval", metavar="FILE.csv", help="Measure descriptions instead; columns query, path."),
    ] = None,
    labels: Annotated[
        bool, typer.Option("--labels", help="Report on all marked labels in one table, with averages.")
    ] = False,
    plot: Annotated[
        str | None,
        path_option(
            "--plot",
            metavar="FILE",
            help="Draw the precision-recall or calibration curve (.png, .svg, .pdf; - prints PNG).",
        ),
    ] = None,
    html: Annotated[
        str | None,
        path_option("--html", metavar="FILE", help="Write a page that shows the mistakes as pictures; - is stdout."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
    db: Db = None,
) -> None:
    """Measure how right a label is on the photos that you marked.

    After `sample` and `judge`, also for the whole library.
    """
    if name is not None and label is not None:
        raise InputError("give the label once: photosearch report LABEL")
    single = {"LABEL": name, "--label": label, "--calibration": calibration, "--threshold": threshold,
              "--at-precision": at_precision, "--at-recall": at_recall, "--plot": plot, "--html": html}  # fmt: skip
    on_stdout = _check_files(html, plot, as_json, force=force)
    with open_library(ctx, db) as library:
        if retrieval is not None:
            refuse({"--precision-recall": precision_recall, "--labels": labels, "--under": under, **single},
                   "--retrieval measures all descriptions in the file")  # fmt: skip
            _print_retrieval(library.report_retrieval(retrieval, model=model).to_json(), as_json)
        elif labels:
            refuse(single, "--labels reports on all labels at their own thresholds")
            _print_labels(library.report_labels(model=model, under=under).to_json(), as_json)
        else:
            report = library.report(
                name or label, model=model, under=under, threshold=threshold, at_precision=at_precision,
                at_recall=at_recall, calibration=calibration,
            )  # fmt: skip
            if html is not None:
                _write_page(library, report, html, force=force)
            if plot is not None:
                _draw_plot(report, plot, calibration=calibration and not precision_recall, force=force)
            if not on_stdout:
                _print_report(report, as_json)


def _check_files(html: str | None, plot: str | None, as_json: bool, *, force: bool) -> bool:
    """Whether a file goes to stdout, in place of the report. Raises InputError where the page can't be written."""
    from photosearch import outputs

    on_stdout = {f"{name} -": path == outputs.STDOUT for name, path in (("--html", html), ("--plot", plot))}
    choose_one({**on_stdout, "--json": as_json})
    if html is not None:
        outputs.check_output(html, outputs.HTML, force=force)
    return any(on_stdout.values())


def _print_report(report: "LabelReport", as_json: bool) -> None:
    if report.chosen_on is not None:
        note(f"Threshold chosen on {report.chosen_on}; other photos may give slightly lower figures.")
    told = report.to_json()
    typer.echo(json.dumps(told, indent=1) if as_json else escape("\n".join(_describe_report(told))))


def _write_page(library: "Library", report: "LabelReport", path: str, *, force: bool) -> None:
    from photosearch.web.html_export import export_report

    page = export_report(library, report, path, force=force)
    note(f"{path}: {format_count(page.photos, 'mistake')} shown, {format_size(page.size_bytes)}")


def _draw_plot(report: "LabelReport", path: str, *, calibration: bool, force: bool) -> None:
    from photosearch import plot_report

    plot_report(report, path, calibration=calibration, force=force)
    note(f"{path}: written")


def _describe_report(told: dict[str, Any]) -> Iterator[str]:
    """The confusion matrix, each figure with its interval, and mistakes; the whole library's figures first.

    told: as --json prints it.
    """
    yield from _describe_library(told)
    photos = format_count(told["n"], "marked photo")
    yield f"{told['label']} (model {told['model']}), threshold {told['threshold']:.4f}, on {photos}:"
    yield ""
    yield f"{'':12}{'shows it':>12}{'does not':>12}"
    yield f"{'found':12}{told['tp']:>12,}{told['fp']:>12,}"
    yield f"{'not found':12}{told['fn']:>12,}{told['tn']:>12,}"
    yield ""
    yield from (format_figure(FIGURES[name], told[name], told["intervals"][name]) for name in FIGURES)
    yield f"{'baseline':{WIDTH}}{100 * told['always_no_accuracy']:6.2f} % accuracy, if nothing is found"
    if told["used_for_training"]:
        yield f"{told['used_for_training']:,} photos were used for training; their cross-validated scores are used."
    if told["not_scored"]:
        yield f"{format_count(told['not_scored'], 'marked photo')} left out: no score yet."
    if told["copies"]:
        yield f"{format_count(told['copies'], 'duplicate')} counted once."
    for kind, title in (("found", "False positives:"), ("missed", "False negatives:")):
        rows = told["mistakes"][kind]
        yield from ["", title, *(f"  {row['score']:.3f}  {row['path']}" for row in rows)] if rows else []
    if "calibration" in told:
        yield from _describe_calibration(told["calibration"])


def _describe_library(told: dict[str, Any]) -> Iterator[str]:
    """What the judged samples say of the whole library; nothing without one."""
    if "library" not in told:
        return
    library = told["library"]
    sheets = f" on {len(library['sheets'])} sheets" if len(library["sheets"]) > 1 else ""
    judged = f"{library['judged']:,} judged of {format_count(library['drawn'], 'sampled photo')}{sheets}"
    yield f"The whole library ({format_count(library['population'], 'photo')}), estimated from {judged}:"
    if library["sheets_left_out"]:
        numbers = ", ".join(map(str, library["sheets_left_out"]))
        yield f"(without sheet {numbers}: the library has changed too much since)"
    yield ""
    yield from (format_figure(FIGURES[name], library[name], library["intervals"][name]) for name in FIGURES)
    if (interval := library["intervals"]["present"]) is not None:
        yield f"{'show it':{WIDTH}}{library['present']:8,.0f}   95 %: {interval[0]:,.0f} to {interval[1]:,.0f} photos"
    yield from ("", "All photos you marked, which may differ from the rest:")


def _describe_calibration(calibration: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"{'score':8}{'photos':>10}{'mean score':>12}{'show it':>12}")
    for b in calibration["bins"]:
        yield f"{b['low']:.1f}..{b['high']:.1f}{b['n']:>10,}{b['score']:>12.3f}{b['present']:>12.3f}"
    yield f"expected calibration error {calibration['expected_calibration_error']:.4f}"


def _print_labels(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told, indent=1))
        return
    rows = []
    for row in told["labels"]:
        confused = ", ".join(f"{c['label']} {c['n']:,}" for c in row["confused_with"][:3])
        average = format_share(row["average_precision"])
        rows.append((row["label"], f"{row['present']:,}", f"{row['n']:,}", *_format_shares(row), average, confused))
    micro, macro = told["micro"], told["macro"]
    counts = (f"{micro['tp'] + micro['fn']:,}", f"{sum(micro[k] for k in ('tp', 'fp', 'fn', 'tn')):,}")
    rows.append(("all labels (micro average)", *counts, *_format_shares(micro), "", ""))
    means = [format_share(macro[name]["value"]) for name in ("precision", "recall", "average_precision")]
    rows.append(("mean over labels (macro average)", "", "", means[0], "", means[1], "", means[2], ""))
    head = ("label", "positive", "marked", "precision", "95 %", "recall", "95 %", "average precision", "confused with")
    print_table(head, rows)
    if told["unknown"]:
        note(
            f"Marked, but no label yet: {', '.join(told['unknown'][:MAX_NAMED])}. To learn one: photosearch learn LABEL"
        )


def _format_shares(row: dict[str, Any]) -> list[str]:
    cells = []
    for name in ("precision", "recall"):
        cells += [format_share(row[name]), format_interval(row["intervals"][name])]
    return cells


def _print_retrieval(told: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(told, indent=1))
        return
    typer.echo(f"{format_count(told['queries'], 'description')}, {format_count(told['photos'], 'photo')}\n")
    names = {"recall_at_1": "recall at 1", "recall_at_5": "recall at 5", "recall_at_10": "recall at 10",
             "mrr": "MRR", "map": "MAP"}  # fmt: skip
    for key, name in names.items():
        typer.echo(format_figure(name, told[key], told["intervals"][key]))
