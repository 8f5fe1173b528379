"""docs/performance.md, written from docs/performance.json: the same text for the same numbers."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

Part = Mapping[str, Any]

HEAD = """# How fast it is

Written by `python -m benchmarks page` from [performance.json](performance.json), which the commands below fill; not by
hand. Core-milliseconds are user and system time of the program and its child processes: what a photo costs the machine,
whatever else runs on it. Photos a second and ratios by the clock are what a user feels, and noisy on a machine that
does other things meanwhile: where more programs wanted to run (the load) than there are cores, go by core time. The
plain ways run ONNX Runtime as it comes, whose threads spin while they wait, and that counts as core time of theirs.
"""
TARGETS = (  # of issue 5, by what a row's text holds: (text, where, least)
    ("bird-classic: share of the decode floor", 0.85),
    ("bird-classic: against the plain way with the same", 6.0),
    ("against the plain way with the same", 4.0),
    ("against the plain way with ViT-B/32", 6.0),
)
WITHIN = ("all", "a hundredth", "half")
CHOICE = """The map is what photosearch uses. It is exact, with filters too; it needs no package beside numpy, and no
second copy of the vectors in the database's own file, which sqlite-vec's table would be. usearch's graph answers sooner
and not exactly, takes far longer to build than all else, and its Python interface takes no filter, which makes it slow
or wrong where few photos are asked about.
"""


def write(results: Path) -> Path:
    to = results.with_suffix(".md")
    to.write_text(page(json.loads(results.read_text())))
    return to


def page(parts: Mapping[str, Part]) -> str:
    makers: dict[str, Callable[[Part], Iterable[str]]] = {
        "pipeline": _pipeline,
        "kinds": _kinds,
        "scaling": _scaling,
        "library": _library,
        "migration": _migration,
        "vectors": _vectors,
        "duplicates": _duplicates,
        "browse": _browse,
        "learn": _learn,
        "networks": _networks,
        "oversampling": _oversampling,
        "teaching": _teaching,
        "gpu": _gpu,
    }
    text = [HEAD]
    for name, maker in makers.items():
        if name in parts:
            text += [*maker(parts[name]), _measured(parts[name]), ""]
    return "\n".join(text)


def _pipeline(p: Part) -> Iterable[str]:
    default = p["default"]
    tiles = {name: f"{1 + n} views of a photo" if n else "the whole photo" for name, n in p["tiles"].items()}
    yield "## From files to rows\n"
    yield f"    python -m benchmarks pipeline --n {p['n']} --rounds {p['rounds']}\n"
    yield (
        f"{p['n']} different JPEGs of 12 megapixels, {p['megabytes']:.1f} MB each, from a warm disk. *floor*: "
        "libjpeg-turbo's decoding at 1/8 scale on all cores and nothing else, which no indexer can undercut. "
        "*photosearch*: a first `index` into a new database, the start of its child processes included. *threads*: the "
        "same without child processes. *plain*: one photo after another, decoded whole by Pillow, resized, scored "
        f"(its first {p['n_plain']} photos). Medians of {p['rounds']} rounds. "
        + "; ".join(f"{name} scores {views}" for name, views in tiles.items())
        + ".\n"
    )
    rows = [[w["way"], f"{w['rate']:.1f}", f"{w['core_ms']:.1f}", f"{w['peak_mb']:.0f}"] for w in p["ways"]]
    yield _table(("way", "photos a second", "core-ms a photo", "peak MB, all processes"), rows)
    yield "Ratios within a round: the median, and in brackets the least and the most.\n"
    rows = [[r["what"], _spread(r["clock"]), _spread(r["cores"]), _target(r["what"])] for r in p["ratios"]]
    yield _table(("", "by the clock", "by core time", "asked for"), rows)
    yield f"Where the core time of one photo goes with {default}:\n"
    rows = [[s["stage"], f"{s['core_ms']:.1f}", f"{s['share']:.0%}"] for s in p["profile"]]
    yield _table(("stage", "core-ms", "share"), rows)


def _kinds(p: Part) -> Iterable[str]:
    yield "## Other photos\n"
    yield f"    python -m benchmarks kinds --n {p['n']}\n"
    yield f"With {p['default']}, against the plain way with the same network (a quarter of the photos), one run each:\n"
    rows = [
        [
            k["kind"],
            k["pixels"],
            str(k["n"]),
            f"{k['ours']['rate']:.1f}",
            f"{k['ours']['core_ms']:.1f}",
            f"{k['plain']['rate']:.1f}",
            f"{k['plain']['core_ms']:.1f}",
        ]
        for k in p["rows"]
    ]
    yield _table(("photos", "pixels", "n", "a second", "core-ms", "plain: a second", "plain: core-ms"), rows)


def _scaling(p: Part) -> Iterable[str]:
    yield "## As the folder grows\n"
    yield "    python -m benchmarks scaling\n"
    yield (
        f"Small photos (320x240), all different, with {p['model']}: what a photo costs besides its pixels. An index of "
        f"{p['few']} photos, which is what starting costs, takes {p['start']['seconds']:.1f} s and "
        f"{p['start']['core_seconds']:.1f} core-seconds; the second run finds all unchanged.\n"
    )
    rows = [
        [
            f"{r['n']:,}",
            f"{r['first']['seconds']:.1f}",
            f"{r['first']['core_seconds']:.1f}",
            f"{r['first']['peak_mb']:.0f}",
            f"{r['again']['seconds']:.2f}",
            f"{r['again']['peak_mb']:.0f}",
            f"{r['bytes_a_photo']:.0f}",
        ]
        for r in p["rows"]
    ]
    head = (
        "photos",
        "seconds",
        "core-seconds",
        "peak MB",
        "again: seconds",
        "again: peak MB",
        "database bytes a photo",
    )
    yield _table(head, rows)
    yield "From one row to the next, starting taken off:\n"
    steps = [
        [f"{s['photos']:.0f} times", f"{s['seconds']:.2f}", f"{s['core_seconds']:.2f}", f"{s['peak']:.2f}"]
        for s in p["steps"]
    ]
    yield _table(("photos", "seconds", "core-seconds", "peak memory"), steps)


def _library(p: Part) -> Iterable[str]:
    yield f"## Questions to {p['n']:,} photos\n"
    yield f"    python -m benchmarks library --n {p['n']}\n"
    yield (
        f"A library of made-up scores for two labels, {p['bytes_a_photo']:.0f} bytes a photo. The answer itself, in a "
        f"program that has started; medians of {p['repeats']}:\n"
    )
    yield _table(
        ("question", "the best", "ms"), [[q["question"], str(q["limit"]), f"{q['ms']:.1f}"] for q in p["questions"]]
    )
    yield "Whole commands, from the shell's return key to the last line:\n"
    yield _table(("command", "ms"), [[f"`{c['command']}`", f"{c['ms']:.0f}"] for c in p["commands"]])


def _migration(p: Part) -> Iterable[str]:
    before, size = p["before"], p["megabytes"]
    yield "## A library of schema 1\n"
    yield f"    python -m benchmarks migration --n {p['n']}\n"
    yield (
        f"{before['photos']:,} photos of {before['images']:,} pictures, {before['scores']:,} scores, "
        f"{before['marks']:,} marks, {before['samples']} samples: {p['seconds']:.1f} s, {p['core_seconds']:.1f} "
        f"core-seconds, the copy put aside included. {size['before']:.1f} MB before, {size['after']:.1f} MB after, "
        f"{size['vacuumed']:.1f} MB once vacuumed: what was freed is filled again. What was asked before, worked out "
        "from the old tables, and after:\n"
    )
    rows = [[kind, f"{n:,}", "yes" if p["equal"][kind] else "NO"] for kind, n in p["compared"].items()]
    yield _table(("", "rows", "equal to the digit"), rows)


def _vectors(p: Part) -> Iterable[str]:
    yield "## The nearest of many vectors\n"
    yield "    python -m benchmarks vectors\n"
    yield (
        f"{p['dimensions']} numbers a vector, around a thousand centres, made up; the {p['limit']} nearest, medians of "
        f"{p['queries']} queries in a running program, and of three whole commands, which do nothing else. Within: a "
        "hundredth, or half, of the vectors are asked about. Recall: of the exact answer, what is found.\n"
    )
    rows = [
        [
            f"{r['n']:,}",
            r["way"],
            f"{r['build']['core_seconds']:.1f}",
            f"{r['build']['megabytes']:.0f}",
            f"{r['command']['peak_mb']:.0f}",
            *(f"{r['answer'][name]['ms']:.0f} ({r['answer'][name]['core_ms']:.0f})" for name in WITHIN),
            f"{r['command']['ms']:.0f} ({r['command']['core_ms']:.0f})",
            f"{r['answer']['recall']:.2f}",
        ]
        for r in p["rows"]
    ]
    head = (
        "vectors",
        "way",
        "build: core-s",
        "MB on disk",
        "peak MB of a command",
        "all: ms (core-ms)",
        "within a hundredth",
    )
    yield _table((*head, "within half", "command: ms (core-ms)", "recall"), rows)
    yield CHOICE


def _duplicates(p: Part) -> Iterable[str]:
    c = p["chosen"]
    yield "## Photos that are there more than once\n"
    yield "    python -m benchmarks duplicates\n"
    yield (
        f"{p['strangers']} different photographs of Flickr8k and Caltech-101, and made changes of {p['changed']} of "
        f"them. Near, with vectors ({p['vectors']}): "
        + "; or ".join(f"at most {bits} of 64 bits differ, cosine {least:g} or more" for bits, least in p["steps"])
        + f". By fingerprint alone: at most {p['alone']} bits. The steps were chosen on {c['photographs']:,} other "
        f"photographs, CUB-200-2011's: of those that call at most {1e6 * c['max_false']:g} in a million pairs of them "
        f"near ({c['called_near']} pairs), they find the most changes. Precision: of the pairs of "
        "one photograph's changes and any photograph that are called near, those that are of one.\n"
    )
    rows = [
        [
            r["change"],
            f"{r['bits']:.0f}",
            f"{r['cosine']:.3f}",
            f"{r['by_fingerprint']['recall']:.2f}",
            _share(r["by_fingerprint"]["precision"]),
            f"{r['with_vectors']['recall']:.2f}",
            _share(r["with_vectors"]["precision"]),
        ]
        for r in p["rows"]
    ]
    head = ("change", "bits, median", "cosine, median", "by fingerprint: recall", "precision", "with vectors: recall")
    yield _table((*head, "precision"), rows)
    pairs = p["strangers"] * (p["strangers"] - 1) // 2
    yield (
        f"Of the {pairs:,} pairs among the different photographs, {p['strangers_called_near']['by_fingerprint']} are "
        f"called near by fingerprint and {p['strangers_called_near']['with_vectors']} with vectors; nearest of all "
        f"came {p['nearest_strangers']['bits']} bits. A fingerprint takes {p['fingerprint_core_ms']:.2f} core-ms.\n"
    )
    rows = [[f"{r['n']:,}", r["vectors"], f"{r['core_seconds']:.1f}", f"{r['more_mb']:.0f}"] for r in p["speed"]]
    yield "How long it takes, a tenth of the photos being changed ones:\n"
    yield _table(("photos", "vectors", "core-seconds", "MB beside them"), rows)


def _browse(p: Part) -> Iterable[str]:
    server, made, b = p["server"], p["thumbnails"], p["browser"]
    yield "## In the browser\n"
    yield f"    python -m benchmarks browse --n {p['n']}\n"
    yield (
        f"`photosearch browse` on {p['n']:,} photos is ready {server['started_ms']:.0f} ms after the command. Medians "
        f"of {p['repeats']}; *first*: the first 120 photos over HTTP, which is what a page waits for; *Python*: the "
        "same by `Library.find`; *all*: until it is known how many there are, once.\n"
    )
    rows = [
        [f"`{q['question']}`", f"{q['found']:,}", f"{q['ms']:.1f}", f"{q['python_ms']:.1f}",
         f"{q['ms'] / q['python_ms']:.2f}", f"{q['whole_ms']:.0f}"]
        for q in server["questions"]
    ]  # fmt: skip
    yield _table(("question", "found", "first: ms", "Python: ms", "ratio", "all: ms"), rows)
    rate = made["a_second"]
    yield (
        f"Thumbnails of {made['n']} photos of 12 megapixels, {p['at_once']} at once: {rate['made']:.1f} a second are "
        f"made, {rate['kept']:.0f} a second served once they are kept, {made['bytes'] / 1000:.0f} kB each. Pillow in "
        f"one process, without a wall around it, makes {rate['plain']:.1f} a second: "
        f"{rate['made'] / rate['plain']:.2f} times as many are made behind it.\n"
    )
    yield (
        f"The server takes {server['at_rest_mb']:.0f} MB at rest and {server['after_mb']:.0f} MB after these "
        f"questions; with its decoders at most {made['peak_mb']:.0f} MB while it makes thumbnails.\n"
    )
    if b:
        weights = [f"{w['heap_mb']:.1f} MB and {w['nodes']:,.0f} nodes" for w in (b["before"], b["after"])]
        yield (
            "In Chromium, a window of 1280x860: the first page with all its pictures is there after "
            f"{b['first_cold_ms']:.0f} ms with no thumbnail kept, after {b['first_ms']:.0f} ms with all kept; the "
            f"answer to a new question after {b['asked_ms']:.0f} ms, at most {b['asked_most_ms']:.0f}. Before "
            f"scrolling the page holds {weights[0]}; at the end of {p['results']:,} photos (place {int(b['end']):,}), "
            f"{weights[1]}, {b['tiles']} tiles among them.\n"
        )


def _networks(p: Part) -> Iterable[str]:
    yield "## The network alone\n"
    yield "    python -m benchmarks networks\n"
    rows = [[r["model"], r["provider"], str(r["batch"]), f"{r['rate']:.0f}", f"{r['core_ms']:.2f}"] for r in p["rows"]]
    yield _table(("network", "provider", "batch", "views a second", "core-ms a view"), rows)
    if "cuda" not in p["providers"]:
        yield (
            "This machine has no GPU; what one gains stands under *On a GPU*. The way that batches take there (a "
            "buffer on the device, ONNX Runtime's IO binding) is tested on the CPU: `tests/test_benchmarks.py`.\n"
        )
    yield "Providers that did not load, and why:\n"
    yield "\n".join(f"- {why}" for why in p["missing"].values()) + "\n"


def _oversampling(p: Part) -> Iterable[str]:
    yield "## How large a photo is decoded\n"
    yield f"    python -m benchmarks oversampling --n {p['n']}\n"
    yield (
        f"{p['n']} validation pictures of Caltech-101, {p['birds']} of them birds, enlarged to 12 megapixels under "
        "noise. A JPEG is decoded to at least once or twice the network's input on each side, or whole, then shrunk by "
        f"a bicubic filter; photosearch decodes to {p['chosen']} times the input. Changes are against whole; "
        "thresholds are the cards'.\n"
    )
    head = ("network", "decoded", "core-ms", "mean change", "most", "decisions changed", "precision", "recall")
    rows = [
        [
            r["model"],
            r["decoded"],
            f"{r['core_ms']:.1f}",
            f"{r['mean_change']:.4f}",
            f"{r['most_change']:.3f}",
            str(r["decisions_changed"]),
            f"{r['precision']:.3f}",
            f"{r['recall']:.3f}",
        ]
        for r in p["rows"]
    ]
    yield _table(head, rows)


def _learn(p: Part) -> Iterable[str]:
    yield "## Labels learned from marks\n"
    yield "    python -m benchmarks learn\n"
    yield (
        f"`photosearch learn` on the vectors of {p['model']}. Figures are of the pictures that were not marked, with "
        f"95 % intervals. New labels: {p['each']} of Caltech-101's 3,736 pictures marked each way, drawn at random; "
        f"two classes under {p['seeds']} seeds, and once all {p['unknown']} classes that no label or synonym names. "
        f"A label took {p['core_seconds']:.1f} core-seconds, {p['seconds']:.1f} by the clock, scores of all pictures "
        "included. Twins among the classes, such as Faces and Faces_easy, count as false alarms.\n"
    )
    rows = [[f"{name}, seed {seed}", *_shares(row)] for name, runs in p["two"].items() for seed, row in enumerate(runs)]
    rows.append([f"all {p['unknown']}, together", *_shares(p["every"])])
    yield _table(("label", "show it", "precision", "recall"), rows)
    yield (
        "A label that errs: bird, sixty marks, the nearest to its threshold (near) or a `sample`, judged. "
        "tiny-imagenet's pictures are 64 pixels wide; its 200 birds and 1,800 others. Whole: the marked ones too, by "
        "heads that had not seen them.\n"
    )
    rows = []
    for b in p["bird"]:
        for when in ("before", "after"):
            marks, kept = f"{b['how']}: {b['yes']} yes, {b['no']} no", b["kept"] if when == "after" else ""
            rows.append([b["library"], marks, when, *_shares(b[when]), *_shares(b["whole"][when])[1:], kept])
    yield _table(("library", "marks", "", "show it", "precision", "recall", "whole: precision", "recall", "kept"), rows)


def _shares(row: Mapping[str, Any]) -> list[str]:
    """How many show it; precision and recall with their intervals."""
    cells = [f"{row['tp'] + row['fn']:,}"]
    for name, of in (("precision", row["tp"] + row["fp"]), ("recall", row["tp"] + row["fn"])):
        low, high = row["intervals"][name] or (0.0, 1.0)
        value = "none found" if row[name] is None else f"{row[name]:.3f}"
        cells.append(f"{value} ({low:.3f} to {high:.3f}, of {of:,})")
    return cells


def _teaching(p: Part) -> Iterable[str]:
    yield "## Teaching best32\n"
    yield f"    python -m benchmarks teaching --rounds {p['rounds']}\n"
    yield (
        f"A step with {p['batch']} pictures on one core, torch {p['torch']}: forward, backward, AdamW, by the way in "
        "which the convolutions by channel find their gradients (`train/networks/depthwise.py`). Medians of "
        f"{p['rounds']} rounds of {p['steps']} steps.\n"
    )
    rows = [[r["way"], f"{r['step_core_ms']:.0f}", _spread(r["times_ours"])] for r in p["rows"]]
    yield _table(("gradients", "core-ms a step", "times ours"), rows)


def _gpu(p: Part) -> Iterable[str]:
    name, megabytes, driver = p["card"] or ("no card", "0", "none")
    yield "## On a GPU\n"
    yield "    bash benchmarks/gpu.sh OUT && python -m benchmarks.gpu keep --to OUT/gpu.json\n"
    yield f"{name}, {int(megabytes):,} MiB, driver {driver}; {', '.join(p['libraries'])}.\n"
    for part, maker in GPU_PARTS.items():
        if part in p:
            yield from maker(p[part])
            if failed := p[part].get("failed"):
                yield "What failed: " + "; ".join(f"{f['what']} ({f['why']})" for f in failed) + ".\n"


def _gpu_scores(p: Part) -> Iterable[str]:
    yield f"Scores on the card against those on the CPU, of {p['rows'][0]['n']} pictures, half of them noise:\n"
    head = ("network", "variant", "largest difference", "largest score or logit", "decisions changed")
    rows = [
        [r["model"], r["variant"], f"{r['difference']:.1g}", f"{r['largest']:.3g}", str(r["decisions"])]
        for r in p["rows"]
    ]
    yield _table(head, rows)


def _gpu_networks(p: Part) -> Iterable[str]:
    yield (
        "The network alone, images a second. *plain*: pixels in the computer's memory are given to ONNX Runtime; "
        "*bound*: copied into a buffer on the card first, by IO binding; *resident*: there already, which leaves out "
        "the bus. *first*: seconds of the first run with a batch of that size, in which cuDNN looks for the fastest "
        "ways. *card*: MB in use on it after that batch and the smaller ones.\n"
    )
    yield _table(GPU_HEAD, _by_way(p["rows"], "model"))
    yield "Where the nodes of each network ran, and which of them stayed on the CPU:\n"
    rows = [
        [
            r["model"],
            ", ".join(f"{n} {name.removesuffix('ExecutionProvider')}" for name, n in sorted(r["ran"].items())),
            ", ".join(f"{n} {name}" for name, n in r["on_cpu"].items()),
        ]
        for r in p["placement"]
    ]
    yield _table(("network", "nodes", "on the CPU"), rows)
    if "options" in p:
        yield "Options of ONNX Runtime's CUDA provider; *another*: seconds of a first run with one picture fewer.\n"
        rows = [
            [
                r["model"],
                r["option"],
                str(r["batch"]),
                f"{r['rate']:,.0f}",
                f"{r['first_seconds']:.1f}",
                f"{r['another_batch_seconds']:.1f}",
            ]
            for r in p["options"]
        ]
        yield _table(("network", "option", "batch", "images a second", "first", "another"), rows)


def _gpu_pipelines(p: Part) -> Iterable[str]:
    yield (
        "The whole `photosearch index`, from the command to its end, into a new library: medians. *few*: an index of "
        "so many photos, which is what starting costs; *start off*: photos a second without it, by one index of *few*. "
        "*small*: pictures of about 300x200; *large*: of 12 megapixels. *main*: cores that the "
        "main process keeps busy; *busy*: percent of the time in which the card had work.\n"
    )
    runs: dict[tuple[str, str], list[Part]] = {}
    for row in p["rows"]:
        runs.setdefault((row["folder"], row["options"]), []).append(row)
    few = {
        options.split()[1]: (rows[0]["n"], _median(rows, "seconds"))
        for (folder, options), rows in runs.items()
        if folder == "few"
    }
    lines = []
    for (folder, options), rows in runs.items():
        n, seconds = rows[0]["n"], _median(rows, "seconds")
        alike = folder != "few" and "--workers" not in options and "--model" not in options
        start = few.get(options.split()[1]) if alike else None
        lines.append(
            [
                folder,
                f"{n:,}",
                f"`{options}`",
                str(len(rows)),
                f"{seconds:.1f}",
                f"{n / seconds:,.0f}",
                f"{(n - start[0]) / (seconds - start[1]):,.0f}" if start and seconds > start[1] else "",
                f"{_median(rows, 'core_ms'):.1f}",
                f"{_median(rows, 'main_cores'):.1f}",
                f"{_median(rows, 'busy'):.0f}",
                f"{_median(rows, 'memory_mb'):,.0f}",
            ]
        )
    yield _table(
        ("photos", "n", "options", "runs", "seconds", "a second", "start off", "core-ms", "main", "busy", "card MB"),
        lines,
    )


def _gpu_commands(p: Part) -> Iterable[str]:
    yield "What the commands say there:\n"
    rows = [
        [f"`{r['command']}`", str(r["code"]), f"{r['seconds']:.1f}", "<br>".join(r["said"]).replace("\t", ", ")]
        for r in p["rows"]
    ]
    yield _table(("command", "exit code", "seconds", "says"), rows)


def _gpu_embeddings(p: Part) -> Iterable[str]:
    yield (
        "Embeddings by a network of ViT-B/32's size at 256 pixels, random weights; least cosine against the CPU's "
        "float32: " + ", ".join(f"{r['format']} {r['least_cosine']:.6f}" for r in p["compared"]) + ".\n"
    )
    yield _table(("numbers", *GPU_HEAD[1:-1]), [r[:-1] for r in _by_way(p["rows"], "format")])


def _by_way(rows: Sequence[Part], key: str) -> Iterable[list[str]]:
    """One line for each network, provider and batch, with the ways side by side."""
    lines: dict[tuple[Any, ...], dict[str, Part]] = {}
    for row in rows:
        lines.setdefault((row[key], row["provider"], row["batch"]), {})[row["way"]] = row
    for (name, provider, batch), ways in lines.items():
        rates = [f"{ways[way]['rate']:,.0f}" if way in ways else "" for way in ("plain", "bound", "resident")]
        costs = [f"{ways[way]['core_ms']:.2f}" if way in ways else "" for way in ("plain", "bound")]
        plain = ways.get("plain", {})
        first = f"{plain['first_seconds']:.2f}" if plain else ""
        yield [name, provider, str(batch), *rates, *costs, first, f"{plain.get('memory_mb', 0):,}" if plain else ""]


def _median(rows: Sequence[Part], key: str) -> float:
    return statistics.median(row[key] or 0 for row in rows)


def _measured(part: Part) -> str:
    machine = dict(part["machine"])
    about = f"{machine.pop('processor')}, {machine.pop('cores')} cores, {machine.pop('memory_gib')} GiB, "
    about += f"{machine.pop('system')}"
    about += f", load {machine.pop('load'):.1f}" if "load" in machine else ""
    return f"*Measured on {part['measured_on']}: {about}; " + ", ".join(f"{k} {v}" for k, v in machine.items()) + ".*"


GPU_PARTS: dict[str, Callable[[Part], Iterable[str]]] = {
    "scores": _gpu_scores,
    "networks": _gpu_networks,
    "pipelines": _gpu_pipelines,
    "commands": _gpu_commands,
    "embeddings": _gpu_embeddings,
}
GPU_HEAD = (
    "network",
    "provider",
    "batch",
    "plain",
    "bound",
    "resident",
    "core-ms plain",
    "core-ms bound",
    "first",
    "card MB",
)


def _target(what: str) -> str:
    return next((f">= {least:g}" for text, least in TARGETS if text in what), "")


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _spread(ratio: Mapping[str, float]) -> str:
    return f"{ratio['median']:.2f} ({ratio['least']:.2f} to {ratio['most']:.2f})"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
