"""`mark`, `marks`, `keywords`, `sample`, `judge`, `report`, `threshold`, `learn`, `undo`."""

import csv
import io
import json
import os
import re
from pathlib import Path

import pytest
from cli_env import CliEnv, fail, names, notes
from PIL import Image
from toy import photo, sight_card, toy_card, write_toy

import photosearch
from photosearch.judging import metrics
from photosearch.library import marks
from photosearch.metadata import edit


def judged(cli_env: CliEnv) -> None:
    """Five photos with marks for red: red.jpg and white.png score high on it, the others low."""
    photo(cli_env.photos / "green.png", "green")
    photo(cli_env.photos / "black.png", "black")
    cli_env.index()
    rows = [("red.jpg", 1), ("2019/white.png", 0), ("2019/blue.webp", 0), ("green.png", 1), ("black.png", 0)]
    (cli_env.photos / "marks.csv").write_text("path,label,present\n" + "".join(f"{p},red,{yes}\n" for p, yes in rows))
    assert notes(cli_env.run("marks", "import", cli_env.photos / "marks.csv")) == ["5 rows imported"]


def drawn(cli_env: CliEnv, n: int | None = None) -> list[dict[str, str]]:
    """Draw a sample for red -> the rows of its CSV file."""
    folder = cli_env.folder / "sample"
    result = cli_env.run("sample", "red", *(() if n is None else ("-n", n)), "--to", folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    return list(csv.DictReader(io.StringIO((folder / "sample.csv").read_text())))


def is_red(path: Path) -> bool:
    with Image.open(path) as image:
        red, green, _ = image.convert("RGB").getpixel((0, 0))
    return red > 200 > green


@pytest.mark.option("mark --is", "mark --not", "marks export --label", "marks export --under")
def test_mark_then_export_and_import(cli_env: CliEnv) -> None:
    cli_env.index()
    assert notes(cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "RED", "--not", "blue")) == ["1 photo marked"]
    fail(cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red", "--not", "red"))
    rows = list(csv.reader(io.StringIO(cli_env.run("marks", "export").stdout)))
    path = str(cli_env.photos / "red.jpg")
    assert rows == [["path", "label", "present"], [path, "blue", "0"], [path, "red", "1"]]
    (cli_env.folder / "t.csv").write_text(cli_env.run("marks", "export", "--label", "red").stdout)
    assert notes(cli_env.run("marks", "import", cli_env.folder / "t.csv")) == ["1 row imported"]
    assert cli_env.run("marks", "export", "--under", cli_env.photos / "2019").stdout == "path,label,present\n"


@pytest.mark.option("marks import --skip-unknown")
def test_marks_import_skips_unknown_photos_on_request(cli_env: CliEnv) -> None:
    cli_env.index()
    (cli_env.photos / "t.csv").write_text("path,label,present\nred.jpg,red,1\nnowhere.jpg,red,0\n")
    assert cli_env.run("marks", "import", cli_env.photos / "t.csv").exit_code == 1
    assert cli_env.run("marks", "export").stdout.count("\n") == 1, "all, or nothing"
    (line,) = notes(cli_env.run("marks", "import", cli_env.photos / "t.csv", "--skip-unknown"))
    assert line.startswith("1 row imported, 1 skipped")


@pytest.mark.option("report --json")
def test_report_json_keys(cli_env: CliEnv) -> None:
    judged(cli_env)
    known = json.loads(cli_env.run("report", "--precision-recall", "--json").stdout)
    assert {k: known[k] for k in ("label", "threshold", "tp", "fp", "fn", "tn")} == {
        "label": "red", "threshold": 0.5, "tp": 1, "fp": 1, "fn": 1, "tn": 2,
    }  # fmt: skip
    shares = ("precision", "recall", "f1", "accuracy", "always_no_accuracy")
    assert [known[k] for k in shares] == [0.5, 0.5, 0.5, 0.6, 0.6]
    assert set(known["intervals"]) >= {"precision", "recall", "f1", "accuracy"}
    assert (known["n"], known["model"], known["not_scored"]) == (5, "toy", 0)
    assert [os.path.basename(m["path"]) for m in known["mistakes"]["found"]] == ["white.png"]
    assert [os.path.basename(m["path"]) for m in known["mistakes"]["missed"]] == ["green.png"]
    assert "library" not in known


@pytest.mark.option("report --calibration")
def test_report_prints_confusion_matrix_and_mistakes(cli_env: CliEnv) -> None:
    judged(cli_env)
    lines = cli_env.run("report", "--calibration").stdout.splitlines()
    assert [part for part in ("red", "toy", "0.5000", "5 marked photos") if part not in lines[0]] == []
    assert [line.split() for line in lines[2:5]] == [
        ["shows", "it", "does", "not"], ["found", "1", "1"], ["not", "found", "1", "2"],
    ]  # fmt: skip
    assert lines[6].split()[:3] == ["precision", "50.00", "%"]
    assert f"  1.000  {cli_env.photos}/2019/white.png" in lines
    assert lines[-1].startswith("expected calibration error")
    one = cli_env.run("report", "--under", cli_env.photos / "2019").stdout.splitlines()[0]
    assert "2 marked photos" in one


def test_report_precision_recall_is_default(cli_env: CliEnv) -> None:
    judged(cli_env)
    assert cli_env.run("report", "--precision-recall").stdout == cli_env.run("report").stdout


@pytest.mark.option("report --model")
def test_report_on_default_or_named_model(cli_env: CliEnv) -> None:
    judged(cli_env)
    cli_env.run("index", cli_env.photos / "2019", "--model", cli_env.other)
    told = [json.loads(cli_env.run("report", "--json", *m).stdout) for m in ((), ("--model", "other"))]
    assert [(t["model"], t["n"], t["not_scored"]) for t in told] == [("toy", 5, 0), ("other", 2, 3)]
    assert "3 marked photos left out" in cli_env.run("report", "--model", "other").stdout


@pytest.mark.option("threshold set --at-precision", "threshold set --at-recall", "threshold set --under")
@pytest.mark.option("report --at-precision", "report --at-recall")
def test_threshold_set_at_precision_or_recall(cli_env: CliEnv) -> None:
    judged(cli_env)
    (cli_env.photos / "only.csv").write_text("path,label,present\n2019/white.png,red,1\nred.jpg,red,0\n")
    cli_env.run("marks", "import", cli_env.photos / "only.csv")
    result = cli_env.run("report", "--at-precision", "1", "--json")
    known = json.loads(result.stdout)
    assert (known["precision"], known["recall"], known["threshold"]) == (1.0, 0.5, 1.0)
    assert len(notes(result)) == 1, "on what it was chosen"
    assert names(cli_env.run("find", "red", "--json")) == ["white.png", "red.jpg"], "a report changes nothing"
    _, done = notes(cli_env.run("threshold", "set", "red", "--at-precision", "1"))
    assert [part for part in ("red", "1.0000", "0.5000") if part not in done] == []
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]
    rows = {row["label"]: row for row in json.loads(cli_env.run("labels", "--json").stdout)}
    assert rows["red"] == {
        "label": "red", "model": "toy", "threshold": 1.0, "saved": True, "photos": 1, "everyday": True,
    }  # fmt: skip
    assert "red\t1\ttoy\t1.000\tset by you" in cli_env.run("labels").stdout.splitlines()
    assert json.loads(cli_env.run("report", "--at-recall", "1", "--json").stdout)["recall"] == 1.0
    cli_env.run("threshold", "set", "red", "--at-recall", "1")
    assert "green.png" in names(cli_env.run("find", "red", "--json"))
    cli_env.run("threshold", "set", "red", "--at-recall", "1", "--under", cli_env.photos / "2019")
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]


def test_threshold_set_and_reset(cli_env: CliEnv) -> None:
    cli_env.index()
    assert "0.9970" in notes(cli_env.run("threshold", "set", "red", "0.997"))[0], "no marks are needed"
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]
    assert "0.5000" in notes(cli_env.run("threshold", "reset", "red"))[0]
    assert names(cli_env.run("find", "red", "--json")) == ["white.png", "red.jpg"]


@pytest.mark.slow
@pytest.mark.option("report --plot")
def test_report_plot_writes_png(cli_env: CliEnv) -> None:
    pytest.importorskip("matplotlib")
    judged(cli_env)
    for arguments in ((), ("--calibration",)):
        result = cli_env.run("report", "--plot", cli_env.folder / "plot.png", *arguments)
        assert notes(result)[0].startswith(f"{cli_env.folder}/plot.png: ")
        assert (cli_env.folder / "plot.png").read_bytes().startswith(b"\x89PNG")
        (cli_env.folder / "plot.png").unlink()


def test_report_without_marks_says_how_to_mark(cli_env: CliEnv) -> None:
    cli_env.index()
    result = cli_env.run("report", "--label", "red")
    assert (result.exit_code, result.stdout) == (1, "")
    for way in ("photosearch mark ", "photosearch marks import ", "photosearch sample red"):
        assert way in result.stderr


@pytest.mark.option("sample -n", "sample --to")
def test_judged_sample_estimates_whole_library(cli_env: CliEnv) -> None:
    for i in range(40):
        photo(cli_env.photos / f"{i:02}.png", "red" if i % 4 == 0 else "blue", size=(i + 1, 60))
    cli_env.index()
    rows = drawn(cli_env, 20)
    assert sorted(p.name for p in (cli_env.folder / "sample").iterdir()) == ["sample.csv", "sheet-1.jpg"]
    assert [row["number"] for row in rows] == [str(i) for i in range(1, 21)]
    assert all((cli_env.folder / "sample" / row["path"]).is_file() for row in rows)
    show_it = [row["number"] for row in rows if is_red(cli_env.folder / "sample" / row["path"])]

    (line,) = notes(cli_env.run("judge", "red", *show_it))
    assert f"1: 20 judged, {len(show_it)} positive" in line
    assert "photosearch report red" in line
    known = json.loads(cli_env.run("report", "--json").stdout)["library"]
    assert (known["population"], known["drawn"], known["judged"]) == (43, 20, 20)
    assert known["present"] == pytest.approx(11, abs=1)
    assert known["recall"] == 1.0
    assert known["intervals"]["recall"][0] < 1.0
    first = cli_env.run("report").stdout.splitlines()[0]
    assert [part for part in ("43 photos", "20 judged of 20") if part not in first] == []


def test_report_threshold_from_sample_weighs_photos(cli_env: CliEnv) -> None:
    for i in range(40):
        photo(cli_env.photos / f"{i:02}.png", "blue", size=(i + 1, 60))
    cli_env.index()
    rows = drawn(cli_env, 12)
    high = [row["number"] for row in rows if Path(row["path"]).name in ("red.jpg", "white.png")]
    low = [row["number"] for row in rows if row["number"] not in high]
    cli_env.run("judge", "red", *high, *low[:1])

    def threshold(*more: str) -> float:
        return json.loads(cli_env.run("report", "--at-recall", "0.5", "--json", *more).stdout)["threshold"]

    assert len(high) == 2
    assert threshold("--under", str(cli_env.photos)) > 0.5  # two of the three judged reds
    assert threshold() < 0.5  # the third stands for four
    assert "the 12 judged photos of the sample" in cli_env.run("report", "--at-recall", "0.5").stderr


@pytest.mark.option("judge --none")
def test_judge_skips_photo_missing_from_sheet(cli_env: CliEnv) -> None:
    cli_env.index()
    drawn(cli_env)
    (cli_env.photos / "2019" / "blue.webp").unlink()
    assert "2 judged, 0 positive, 1 skipped" in cli_env.run("judge", "red", "--none").stderr


def test_marks_import_of_partly_filled_sample(cli_env: CliEnv) -> None:
    cli_env.index()
    drawn(cli_env)
    path = cli_env.folder / "sample" / "sample.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1] + "1", *lines[2:]]) + "\n")
    assert notes(cli_env.run("marks", "import", path)) == ["1 row imported"]
    known = json.loads(cli_env.run("report", "--json").stdout)["library"]
    assert (known["drawn"], known["judged"]) == (3, 1)


def test_sample_explains_next_steps_and_keeps_old_folder(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cli_env.folder)
    cli_env.index()
    lines = notes(cli_env.run("sample", "red"))
    assert lines[0] == "sample-red: 3 photos on sheet-1.jpg"
    assert [line.strip() for line in lines if line.startswith("  ")] == [
        "photosearch judge red --sheet 1 3 7 12-15",
        "photosearch marks import sample-red/sample.csv",
        "photosearch report red",
    ]
    again = fail(cli_env.run("sample", "red"))
    assert again.startswith("sample-red: ")
    assert "--to" in again


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("mark", "nowhere.jpg", "--is", "red"), ["nowhere.jpg: "]),
        (("mark", ".", "--is", "red"), [".: is a folder; name its photos, as in ./*.jpg"]),
        (("mark", "nowhere.jpg"), ["--is LABEL", "--not LABEL", "--forget LABEL"]),
        (("mark", "nowhere.jpg", "--is", "red", "--forget", "red"), ["--is LABEL"]),
        (("marks", "import", "nowhere.csv"), ["nowhere.csv: "]),
        (("sample", "red", "--to", "."), ["--to"]),
        (("sample", "rad"), ["'rad'", "red"]),
        (("judge", "red", "1"), ["photosearch sample red"]),
        (("judge", "red"), ["--none"]),
        (("report", "--threshold", "0.5", "--at-recall", "0.9"), ["--threshold", "--at-recall"]),
        (("threshold", "set", "red"), ["VALUE", "--at-precision P", "--at-recall R"]),
        (("threshold", "set", "red", "0.5", "--at-recall", "0.9"), ["VALUE", "--at-recall"]),
        (("threshold", "set", "red", "0.5", "--under", "."), ["VALUE", "--under"]),
        (("threshold", "set", "rad", "0.5"), ["'rad'", "red"]),
    ],
)
def test_judging_commands_reject_wrong_arguments(cli_env: CliEnv, arguments: tuple[str, ...], named: list[str]) -> None:
    cli_env.index()
    error = fail(cli_env.run(*arguments))
    assert [part for part in named if part not in error] == []


def test_judge_rejects_numbers_not_on_sheet(cli_env: CliEnv) -> None:
    cli_env.index()
    drawn(cli_env)
    for numbers in ("0", "4", "2-1", "x", "1-", "²"):
        error = fail(cli_env.run("judge", "red", "--", numbers))
        assert error.startswith(f"{numbers} is not ")
        assert error.endswith("1 to 3")


@pytest.mark.option("learn --json", "learn --dry-run", "mark --new")
def test_new_label_is_marked_learned_found_and_undone(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy(cli_env.model, sight_card())
    for i in range(8):
        photo(cli_env.photos / f"green{i}.png", "green", size=(20 + i, 20))
        photo(cli_env.photos / f"blue{i}.png", "blue", size=(20 + i, 20))
    cli_env.index()
    greens, blues = ([cli_env.photos / f"{colour}{i}.png" for i in range(6)] for colour in ("green", "blue"))
    assert "--new" in fail(cli_env.run("mark", *greens, "--is", "my lawn"))
    marked, hint = notes(cli_env.run("mark", *greens, "--is", "my lawn", "--new"))
    assert marked == "6 photos marked"
    assert hint.endswith("photosearch mark PHOTO... --not 'my lawn'")
    assert "'my lawn'" in fail(cli_env.run("report", "my lawn")), "marked, and not learned"
    few = fail(cli_env.run("learn", "my lawn"))
    assert [part for part in ("my lawn: ", "6", "0") if part not in few] == []
    assert notes(cli_env.run("mark", *blues, "--not", "my lawn"))[1].endswith(": photosearch learn 'my lawn'")
    tried = cli_env.run("learn", "my lawn", "--dry-run")
    assert [p for p in ("Would save the new label.", "Would be found", "green7.png") if p not in tried.stdout] == []
    assert notes(tried) == ["Nothing was saved. To learn it: photosearch learn 'my lawn'"]
    told = json.loads(cli_env.run("learn", "my lawn", "--dry-run", "--json").stdout)
    assert (told["found_before"], len(told["added"])) == (None, 2), "those not marked yet"
    assert "my lawn" not in cli_env.run("labels", "--all").stdout
    learned = cli_env.run("learn", "my lawn")
    assert learned.exit_code == 0
    first = learned.stdout.splitlines()[0]
    assert first.startswith("my lawn: ")
    assert first.endswith(" toy")
    undo, sample = notes(learned)
    assert "photosearch undo learning 'my lawn'" in undo
    assert "photosearch sample 'my lawn' -n 60" in sample
    assert {name[:5] for name in names(cli_env.run("find", "my lawn", "--json"))} == {"green"}
    assert re.search("learned from +6 ", cli_env.run("labels", "show", "my lawn").stdout)
    assert "12 photos were used for training" in cli_env.run("report", "my lawns").stdout
    told = json.loads(cli_env.run("learn", "my lawn", "--json").stdout)
    assert (told["kept"], told["before"]["model"]) == ("before", "yours")
    assert notes(cli_env.run("undo", "learning", "my lawn")) == ["Removed the label my lawn."]
    assert "my lawn" not in cli_env.run("labels", "--all").stdout
    assert "my lawn" in fail(cli_env.run("undo", "learning", "my lawn"))


def test_undo_marks_step_by_step(cli_env: CliEnv) -> None:
    cli_env.index()
    red, white = cli_env.photos / "red.jpg", cli_env.photos / "2019" / "white.png"
    cli_env.run("mark", red, white, "--is", "red")
    cli_env.run("mark", white, "--not", "red")
    cli_env.run("mark", red, "--forget", "red")
    assert notes(cli_env.run("undo", "marks")) == [f"{red}: marked as red again", "1 mark undone"]
    assert notes(cli_env.run("undo", "marks")) == [f"{white}: marked as red again", "1 mark undone"]
    assert cli_env.run("marks", "export").stdout.count(",1\n") == 2
    assert notes(cli_env.run("undo", "marks")) == [
        f"{red}: not marked for red", f"{white}: not marked for red", "2 marks undone",
    ]  # fmt: skip
    fail(cli_env.run("undo", "marks"))


def test_undo_threshold_step_by_step(cli_env: CliEnv) -> None:
    judged(cli_env)
    for threshold in ("0.3", "0.7"):
        cli_env.run("threshold", "set", "red", threshold)
    for now in ("0.3000", "0.5000"):
        assert now in notes(cli_env.run("undo", "threshold", "red"))[0]
    assert "red" in fail(cli_env.run("undo", "threshold", "red"))


@pytest.mark.slow
def test_judge_several_sheets_by_number(cli_env: CliEnv) -> None:
    for i in range(40):
        photo(cli_env.photos / f"{i:02}.png", "red" if i % 4 == 0 else "blue", size=(i + 1, 60))
    cli_env.index()
    for seed in ("0", "1"):
        cli_env.run("sample", "red", "-n", "12", "--seed", seed, "--to", cli_env.folder / f"sample{seed}")
    vague = fail(cli_env.run("judge", "red", "1"))
    assert [part for part in ("red", "1, 2", "--sheet 2") if part not in vague] == []
    wrong = fail(cli_env.run("judge", "red", "1", "--sheet", "7"))
    assert [part for part in ("7", "red", "1, 2") if part not in wrong] == []
    for sheet in ("1", "2"):
        text = (cli_env.folder / f"sample{int(sheet) - 1}" / "sample.csv").read_text()
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["sheet"] for row in rows} == {sheet}
        show_it = [r["number"] for r in rows if is_red(cli_env.folder / f"sample{int(sheet) - 1}" / r["path"])]
        assert f"{sheet}: 12 judged" in notes(cli_env.run("judge", "red", *show_it, "--sheet", sheet))[-1]
    known = json.loads(cli_env.run("report", "--json").stdout)["library"]
    assert (known["population"], known["drawn"], known["judged"], known["sheets"]) == (43, 24, 24, [1, 2])
    assert re.search("24 judged of 24 .*2 sheets", cli_env.run("report").stdout)
    assert "marks changed:" in cli_env.run("judge", "red", "--none", "--sheet", "2").stderr


def test_sample_numbers_photos_in_drawn_order(cli_env: CliEnv) -> None:
    for i in range(20):
        photo(cli_env.photos / f"{i:02}.png", "red" if i % 4 == 0 else "blue", size=(i + 1, 60))
    cli_env.index()
    rows = drawn(cli_env, 20)
    order = [Path(row["path"]).name for row in rows]
    assert sorted(order) != order
    with photosearch.Library(cli_env.library) as library:
        (number,) = {row["sheet"] for row in rows}
        label = library.labels.get("red")
        kept = marks.find_sample(library._session.db, label, int(number))
    assert kept is not None
    assert [os.path.basename(p.path or "") for p in kept.photos] == order
    assert [p.number for p in kept.photos] == list(range(1, 21))


@pytest.mark.option("keywords export --dry-run", "keywords import --rated")
def test_keywords_export_then_import(cli_env: CliEnv) -> None:
    cli_env.index()
    red, white = cli_env.photos / "red.jpg", cli_env.photos / "2019" / "white.png"
    dry = cli_env.run("keywords", "export", "red", "--dry-run")
    assert notes(dry)[0].startswith("2 side-cars to write, 0 unchanged")
    assert list(cli_env.photos.rglob("*.xmp")) == []
    done = cli_env.run("keywords", "export", "red")
    assert sorted(done.stdout.splitlines()) == sorted(f"{p}.xmp\tnew\t+red" for p in (red, white))
    assert dry.stdout == done.stdout
    assert notes(cli_env.run("keywords", "export", "red")) == ["0 side-cars written, 2 unchanged"]
    Path(f"{red}.xmp").write_bytes(b"")
    bad = cli_env.run("keywords", "export", "red", "--json")
    assert (bad.exit_code, f"{red}.xmp: skipped: not XML" in bad.stderr) == (1, True)
    typed, _, _ = edit.write_xmp(None, {"blue": "blue", "Sun": "Sun"}, {})
    rated = b'rdf:about="" xmlns:x="http://ns.adobe.com/xap/1.0/" x:Rating="5"'
    typed = typed.replace(b"urn:photosearch:1.0/", b"urn:another/").replace(b'rdf:about=""', rated)
    Path(f"{white}.xmp").write_bytes(typed)
    skipped, unknown, summary = notes(cli_env.run("keywords", "import", "--rated", "keeper=4"))
    assert skipped.startswith(f"{red}.xmp: skipped: not XML")
    assert [part for part in ("Sun: ", "1 photo", "--new Sun") if part not in unknown] == []
    assert summary.startswith("2 marks imported from 1 photo ")
    assert "1 photo" in notes(cli_env.run("keywords", "import", "--rated", "keeper=5"))[-1]
    for wrong in ("keeper", "a=9", "=3", "a=x", "a=0", "a=5.5"):
        assert f"--rated {wrong}: " in fail(cli_env.run("keywords", "import", "--rated", wrong))


@pytest.mark.option("report --labels")
def test_report_labels_has_averages_and_confusions(cli_env: CliEnv) -> None:
    judged(cli_env)  # red.jpg and green.png are red, white.png is found and not; blue.webp and black.png neither
    cli_env.run("mark", cli_env.photos / "2019" / "white.png", "--is", "green", "--is", "snow", "--new")
    cli_env.run("mark", cli_env.photos / "green.png", "--is", "green")
    cli_env.run("mark", cli_env.photos / "red.jpg", "--not", "green")
    told = json.loads(cli_env.run("report", "--labels", "--json").stdout)
    rows = {row["label"]: row for row in told["labels"]}
    assert list(rows) == ["green", "red"]
    assert [[rows[x][k] for k in ("tp", "fp", "fn", "tn", "present")] for x in rows] == [
        [2, 0, 0, 1, 2],
        [1, 1, 1, 2, 2],
    ]
    assert rows["red"]["confused_with"] == [{"label": "green", "n": 1}, {"label": "snow", "n": 1}]
    assert rows["green"]["confused_with"] == []
    assert [told["micro"][k] for k in ("tp", "fp", "fn", "tn", "precision", "recall")] == [3, 1, 1, 3, 0.75, 0.75]
    assert told["micro"]["intervals"]["precision"] == pytest.approx(metrics.wilson(3, 4))
    assert told["macro"]["precision"] == {"value": 0.75, "labels": 2}
    assert told["unknown"] == ["snow"]
    result = cli_env.run("report", "--labels")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == [
        "green",
        "red",
        "all labels (micro average)",
        "mean over labels (macro average)",
    ]
    assert lines[1][-1] == "green 1, snow 1"
    assert lines[2][3] == "75.0 %"
    (line,) = notes(result)
    assert [part for part in ("snow", "photosearch learn") if part not in line] == []
    assert "leave out --label" in fail(cli_env.run("report", "--labels", "--label", "red"))


def test_report_counts_copies_once(cli_env: CliEnv) -> None:
    for name in ("a", "b"):
        (cli_env.photos / f"{name}.jpg").write_bytes((cli_env.photos / "red.jpg").read_bytes())
    cli_env.index()
    cli_env.run("mark", *(cli_env.photos / f"{name}.jpg" for name in ("red", "a", "b")), "--is", "red")
    told = json.loads(cli_env.run("report", "--json").stdout)
    assert (told["n"], told["tp"], told["copies"]) == (1, 1, 2)
    assert "2 duplicates counted once" in cli_env.run("report").stdout
    assert json.loads(cli_env.run("report", "--labels", "--json").stdout)["micro"]["tp"] == 1


def test_report_without_marks_says_how_to_begin(cli_env: CliEnv) -> None:
    """Of a model that knows no bird, and of a label that is not learned yet."""
    cli_env.index()
    error = fail(cli_env.run("report"))
    assert [part for part in ("photosearch mark PHOTO... --is LABEL", "photosearch labels") if part not in error] == []
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "my rose", "--new")
    for arguments in ([], ["my rose"]):
        assert fail(cli_env.run("report", *arguments)).endswith("photosearch learn 'my rose'")


@pytest.mark.slow
@pytest.mark.parametrize("word", ["Cafe\u0301", "CAFÉ", "cafés", "the cafe\u0301s"])
def test_every_command_takes_a_label_alike(cli_env: CliEnv, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another composition, letter case or number; an unknown one is refused with the same words."""
    monkeypatch.chdir(cli_env.folder)
    write_toy(cli_env.model, sight_card(labels=("café", "green", "blue"), pooling={}))
    cli_env.index()
    red = cli_env.photos / "red.jpg"
    assert notes(cli_env.run("mark", red, "--is", word)) == ["1 photo marked"]
    commands = (["report"], ["sample", "--to", "s"], ["learn"], ["labels", "show"], ["threshold", "set"])
    for command in commands:
        more = ["0.5"] if command[0] == "threshold" else []
        result = cli_env.run(*command, word, *more)
        assert "no label" not in result.stderr
        refused = fail(cli_env.run(*command, "cafx", *more))
        assert refused.startswith("no label 'cafx'; the nearest are: café")
    assert cli_env.run("judge", word, "--none").exit_code == 0
    assert fail(cli_env.run("judge", "cafx", "--none")).startswith("no label 'cafx'; the nearest are: café")
    assert len(names(cli_env.run("find", word, "--json"))) == 2


def test_labels_complete_for_the_shell_by_photos(cli_env: CliEnv) -> None:
    write_toy(cli_env.model, toy_card(labels=("dog", "dowitcher", "door"), pooling={}))
    (cli_env.photos / "2019" / "white.png").unlink()
    photo(cli_env.photos / "red2.jpg", "red", size=(30, 20))
    cli_env.index()
    words = {"_PHOTOSEARCH_COMPLETE": "complete_bash", "COMP_WORDS": "photosearch labels show do", "COMP_CWORD": "3"}
    assert cli_env.run(env=words).stdout.split() == ["dog", "door", "dowitcher"]
