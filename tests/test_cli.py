"""The command as a user types it: what it prints, where, and with which exit code."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from toy import photo, toy_card, write_toy
from typer.testing import CliRunner, Result

from photosearch import __version__
from photosearch.cli import app

COUNTS = {"new": 0, "unchanged": 0, "moved": 0, "removed": 0, "unreadable": 0}


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder of photos, a toy model, and a library that isn't made yet."""

    folder: Path
    photos: Path
    model: Path
    run: Callable[..., Result]

    def index(self, *arguments: object) -> Result:
        return self.run("index", self.photos, "--model", self.model, *arguments)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "data" / "library.db"))
    photos = tmp_path / "photos"
    photo(photos / "red.jpg", "red")
    photo(photos / "2019" / "white.png", "white")
    photo(photos / "2019" / "blue.webp", "blue", lossless=True)

    def run(*arguments: object) -> Result:
        return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)

    return Desk(tmp_path, photos, write_toy(tmp_path / "toy.onnx"), run)


def counts(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    return {k: v for k, v in json.loads(result.stdout).items() if k in COUNTS}


def names(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [os.path.basename(row["path"]) for row in json.loads(result.stdout)]


def test_version_and_help(desk: Desk) -> None:
    assert desk.run("--version").stdout == f"photosearch {__version__}\n"
    for command in ([], ["index"], ["find"], ["mark"], ["truth"], ["report"], ["status"], ["doctor"], ["models"]):
        assert desk.run(*command, "--help").exit_code == 0


def test_an_index_counts_what_it_saw_and_says_what_ran(desk: Desk) -> None:
    result = desk.index("--json", "--provider", "cpu")
    summary = json.loads(result.stdout)
    assert isinstance(summary.pop("seconds"), float)
    assert summary == {**COUNTS, "new": 3, "provider": "cpu", "model": "toy"}
    assert "3 photos: 3 new" in result.stderr
    assert counts(desk.index("--json")) == {**COUNTS, "unchanged": 3}


def test_counts_add_up_over_moves_losses_and_broken_files(desk: Desk) -> None:
    desk.index()
    (desk.photos / "red.jpg").rename(desk.photos / "2019" / "rot.jpg")
    (desk.photos / "2019" / "blue.webp").unlink()
    (desk.photos / "broken.jpg").write_bytes(b"no photo")
    photo(desk.photos / "green.bmp", "green")
    assert counts(desk.index("--json")) == {"new": 1, "unchanged": 1, "moved": 1, "removed": 1, "unreadable": 1}
    assert counts(desk.index("--json")) == {**COUNTS, "unchanged": 3, "unreadable": 1}


def test_index_without_a_folder_takes_all_that_are_known(desk: Desk) -> None:
    assert "no folder given" in desk.run("index", "--model", desk.model).stderr
    desk.index()
    assert counts(desk.run("index", "--model", desk.model, "--json")) == {**COUNTS, "unchanged": 3}


def test_the_same_folder_named_twice_in_one_run_is_looked_at_twice_and_scored_once(desk: Desk) -> None:
    assert counts(desk.index(desk.photos / "2019", "--json")) == {**COUNTS, "new": 3, "unchanged": 2}


def test_find_prints_the_best_first(desk: Desk) -> None:
    desk.index()
    result = desk.run("find", "red")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    # JPEG keeps a red square at 254 of 255; the white one counts as red too.
    assert [(row[0], os.path.basename(row[1])) for row in rows] == [("1.000", "white.png"), ("0.996", "red.jpg")]


def test_find_takes_a_query_with_and_without_quotes(desk: Desk) -> None:
    desk.index()
    assert names(desk.run("find", "red and not blue", "--json")) == ["red.jpg"]
    assert names(desk.run("find", "red", "and", "not", "blue", "--json")) == ["red.jpg"]
    assert names(desk.run("find", "(red", "or", "blue)", "and", "not", "green", "--json")) == ["blue.webp", "red.jpg"]


def test_finds_json_has_stable_keys(desk: Desk) -> None:
    desk.index()
    os.utime(desk.photos / "red.jpg", (0, 0))
    (row,) = json.loads(desk.run("find", "RED", "and", "not", "blue", "--json").stdout)
    assert list(row) == ["path", "label", "score", "taken"]
    assert row["label"] == "RED and not blue"
    assert row["path"] == str(desk.photos / "red.jpg")


def test_finds_csv_and_paths(desk: Desk) -> None:
    odd = photo(desk.photos / 'a,b "c"\nd.png', "red")
    desk.index()
    rows = list(csv.reader(io.StringIO(desk.run("find", "red", "--csv", "--min-score", "1").stdout)))
    assert rows[0] == ["path", "label", "score", "taken"]
    assert {row[0] for row in rows[1:]} == {str(odd), str(desk.photos / "2019" / "white.png")}
    null = desk.run("find", "red", "-0").stdout_bytes
    assert set(null.split(b"\0")) == {
        b"", os.fsencode(odd), os.fsencode(desk.photos / "red.jpg"), os.fsencode(desk.photos / "2019" / "white.png"),
    }  # fmt: skip
    assert desk.run("find", "blue", "--paths", "--limit", "1").stdout.count("\n") == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems allow UTF-8 names only")
def test_a_name_that_is_not_utf8_comes_out_as_it_went_in(desk: Desk) -> None:
    odd = os.path.join(os.fsencode(desk.photos), b"r\xffd.png")
    photo(desk.photos / "x.png", "red").rename(os.fsdecode(odd))
    desk.index()
    assert odd in desk.run("find", "red", "-0").stdout_bytes.split(b"\0")
    assert b"r\\udcffd.png" in desk.run("find", "red").stdout_bytes
    assert desk.run("find", "red", "--copy-to", desk.folder / "album").exit_code == 0
    assert b"r\xffd.png" in os.listdir(os.fsencode(desk.folder / "album"))


def test_a_terminals_commands_in_a_name_are_not_obeyed(desk: Desk) -> None:
    photo(desk.photos / "x\x1b[31m[bold]y.png", "red")
    desk.index()
    out = desk.run("find", "red").stdout
    assert "\x1b" not in out
    assert "x\\x1b[31m[bold]y.png" in out


def test_find_by_date_place_score_and_number(desk: Desk) -> None:
    for name, year in (("red.jpg", 2001), ("2019/white.png", 2019), ("2019/blue.webp", 2020)):
        noon = time.mktime((year, 6, 15, 12, 0, 0, 0, 0, -1))
        os.utime(desk.photos / name, (noon, noon))
    desk.index()
    everything = ("find", "red or blue", "--json")
    assert names(desk.run(*everything)) == ["blue.webp", "white.png", "red.jpg"]
    assert names(desk.run(*everything, "--since", "2019")) == ["blue.webp", "white.png"]
    assert names(desk.run(*everything, "--until", "2019-06-15")) == ["white.png", "red.jpg"]
    assert names(desk.run(*everything, "--since", "2019-06", "--until", "2019-06")) == ["white.png"]
    assert names(desk.run(*everything, "--under", desk.photos / "2019")) == ["blue.webp", "white.png"]
    assert names(desk.run(*everything, "--under", desk.folder)) == ["blue.webp", "white.png", "red.jpg"]
    assert names(desk.run(*everything, "--min-score", "0.999")) == ["blue.webp", "white.png"]
    assert names(desk.run(*everything, "--limit", "1")) == ["blue.webp"]
    assert names(desk.run(*everything, "--limit", "0")) == ["blue.webp", "white.png", "red.jpg"]


def test_nothing_found_is_no_error(desk: Desk) -> None:
    desk.index()
    result = desk.run("find", "green and not red", "--json")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "[]\n", "nothing found\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("find", "rad"), "no label 'rad'; the nearest are: red"),
        (("find", "red and"), "the query ends where a label should stand"),
        (("find", "red", "--since", "soon"), "'soon' is no date"),
        (("find", "red", "--json", "--csv"), "choose one"),
        (("find", "red", "--model", "other"), "no label 'red'"),
        (("index", "nowhere"), "nowhere: no such folder"),
        (("index", "--model", "nothing"), "no model 'nothing'"),
        (("index", "--provider", "abacus"), "no provider 'abacus'"),
        (("index", "--tiles", "5"), "not calibrated for --tiles 5"),
        (("mark", "nowhere.jpg", "--is", "red"), "nowhere.jpg: not in the library"),
        (("mark", "nowhere.jpg"), "--is LABEL, or --not LABEL"),
        (("truth", "import", "nowhere.csv"), "nowhere.csv: can't be read"),
        (("models", "show", "nothing"), "no model 'nothing'"),
    ],
)
def test_wrong_words_get_one_line_and_exit_1(desk: Desk, arguments: tuple[str, ...], message: str) -> None:
    desk.index()
    if arguments[:1] == ("index",) and "--model" not in arguments:
        arguments = (*arguments, "--model", str(desk.model))
    result = desk.run(*arguments)
    lines = [line for line in result.stderr.splitlines() if line.startswith("photosearch: ")]
    assert result.exit_code == 1, result.output
    assert len(lines) == 1
    assert message in lines[0]
    assert result.stdout == ""


def test_a_wrong_option_is_a_usage_error(desk: Desk) -> None:
    assert desk.run("find", "--colour", "red").exit_code == 2
    assert desk.run("find").exit_code == 2


def test_nothing_is_made_where_nothing_could_be_indexed(desk: Desk) -> None:
    desk.run("index", desk.folder / "nowhere", "--model", desk.model)
    assert not (desk.folder / "data").exists()
    assert "no library here yet" in desk.run("find", "red").stderr


def test_a_gpu_that_is_required_and_is_not_there_is_an_error(desk: Desk) -> None:
    result = desk.index("--require-gpu", "--provider", "cpu")
    assert result.exit_code == 1
    assert "no GPU can be used" in result.stderr


def test_marks_come_back_in_the_export(desk: Desk) -> None:
    desk.index()
    assert desk.run("mark", desk.photos / "red.jpg", "--is", "RED", "--not", "blue").exit_code == 0
    assert desk.run("mark", desk.photos / "red.jpg", "--is", "red", "--not", "red").exit_code == 1
    rows = list(csv.reader(io.StringIO(desk.run("truth", "export").stdout)))
    path = str(desk.photos / "red.jpg")
    assert rows == [["path", "label", "present"], [path, "blue", "0"], [path, "red", "1"]]
    (desk.folder / "t.csv").write_text(desk.run("truth", "export", "--label", "red").stdout)
    assert "1 rows kept" in desk.run("truth", "import", desk.folder / "t.csv").stderr


def judged(desk: Desk) -> None:
    """Five photos with what is known of them: red.jpg and white.png score high on red, two of the others not."""
    photo(desk.photos / "green.png", "green")
    photo(desk.photos / "black.png", "black")
    desk.index()
    rows = [("red.jpg", 1), ("2019/white.png", 0), ("2019/blue.webp", 0), ("green.png", 1), ("black.png", 0)]
    (desk.photos / "truth.csv").write_text("path,label,present\n" + "".join(f"{p},red,{yes}\n" for p, yes in rows))
    assert desk.run("truth", "import", desk.photos / "truth.csv").exit_code == 0


def test_the_report_has_the_talks_table_in_its_stable_keys(desk: Desk) -> None:
    judged(desk)
    known = json.loads(desk.run("report", "--precision-recall", "--json").stdout)
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


def test_the_report_reads_as_a_table(desk: Desk) -> None:
    judged(desk)
    lines = desk.run("report", "--calibration").stdout.splitlines()
    assert lines[0] == "red by toy, found from a score of 0.5000 on; 5 photos whose truth is known"
    assert [line.split() for line in lines[2:5]] == [
        ["shows", "it", "does", "not"], ["found", "1", "1"], ["not", "found", "1", "2"],
    ]  # fmt: skip
    assert lines[6].split()[:3] == ["precision", "50.00", "%"]
    assert f"  1.000  {desk.photos}/2019/white.png" in lines
    assert lines[-1].startswith("expected calibration error")


def test_a_threshold_for_a_precision_is_kept_for_find(desk: Desk) -> None:
    judged(desk)
    (desk.photos / "only.csv").write_text("path,label,present\n2019/white.png,red,1\nred.jpg,red,0\n")
    desk.run("truth", "import", desk.photos / "only.csv")
    result = desk.run("report", "--at-precision", "1", "--save", "--json")
    known = json.loads(result.stdout)
    assert (known["precision"], known["recall"], known["threshold"]) == (1.0, 0.5, 1.0)
    assert "chosen on these same photos" in result.stderr
    assert names(desk.run("find", "red", "--json")) == ["white.png"]
    assert json.loads(desk.run("labels", "--json").stdout)[0] == {
        "label": "red", "model": "toy", "threshold": 1.0, "saved": True,
    }  # fmt: skip
    assert json.loads(desk.run("report", "--at-recall", "1", "--json").stdout)["recall"] == 1.0


def test_a_plot_is_drawn(desk: Desk) -> None:
    pytest.importorskip("matplotlib")
    judged(desk)
    for arguments in ((), ("--calibration",)):
        assert desk.run("report", "--plot", desk.folder / "plot.png", *arguments).exit_code == 0
        assert (desk.folder / "plot.png").read_bytes().startswith(b"\x89PNG")
        (desk.folder / "plot.png").unlink()


def test_a_report_without_truth_says_how_to_give_some(desk: Desk) -> None:
    desk.index()
    result = desk.run("report", "--label", "red")
    assert result.exit_code == 1
    for way in ("photosearch mark PHOTO --is red", "photosearch truth import FILE.csv", "photosearch sample red"):
        assert way in result.stderr


def test_a_sample_is_judged_by_its_numbers_and_speaks_for_the_library(desk: Desk) -> None:
    for i in range(40):
        photo(desk.photos / f"{i:02}.png", "red" if i % 4 == 0 else "blue", size=(i + 1, 60))
    desk.index()
    drawn = desk.run("sample", "red", "-n", "20", "--to", desk.folder / "sample")
    assert drawn.exit_code == 0, drawn.output
    assert sorted(p.name for p in (desk.folder / "sample").iterdir()) == ["sample.csv", "sheet-1.jpg"]
    rows = list(csv.DictReader(io.StringIO((desk.folder / "sample" / "sample.csv").read_text())))
    assert [row["number"] for row in rows] == [str(i) for i in range(1, 21)]
    assert all((desk.folder / "sample" / row["path"]).is_file() for row in rows)
    show_it = [row["number"] for row in rows if is_red(desk.folder / "sample" / row["path"])]

    assert f"20 judged, {len(show_it)} of them red" in desk.run("judge", "red", *show_it).stderr
    known = json.loads(desk.run("report", "--json").stdout)["library"]
    assert (known["population"], known["drawn"], known["judged"]) == (43, 20, 20)
    assert known["present"] == pytest.approx(11, abs=1)
    assert known["recall"] == 1.0
    assert known["intervals"]["recall"][0] < 1.0
    assert "The whole library, 43 pictures, by 20 judged of 20 drawn:" in desk.run("report").stdout


def test_a_threshold_chosen_on_a_sample_weighs_its_photos(desk: Desk) -> None:
    for i in range(40):
        photo(desk.photos / f"{i:02}.png", "blue", size=(i + 1, 60))
    desk.index()
    desk.run("sample", "red", "-n", "12", "--to", desk.folder / "sample")
    rows = list(csv.DictReader(io.StringIO((desk.folder / "sample" / "sample.csv").read_text())))
    high = [row["number"] for row in rows if Path(row["path"]).name in ("red.jpg", "white.png")]
    low = [row["number"] for row in rows if row["number"] not in high]
    desk.run("judge", "red", *high, *low[:1])

    def threshold(*more: str) -> float:
        return json.loads(desk.run("report", "--at-recall", "0.5", "--json", *more).stdout)["threshold"]

    assert len(high) == 2
    assert threshold("--under", str(desk.photos)) > 0.5  # two of the three judged reds
    assert threshold() < 0.5  # the third stands for four
    assert "the 12 judged photos of the sample" in desk.run("report", "--at-recall", "0.5").stderr


def test_a_photo_that_was_grey_on_the_sheet_stays_unjudged(desk: Desk) -> None:
    desk.index()
    desk.run("sample", "red", "--to", desk.folder / "sample")
    (desk.photos / "2019" / "blue.webp").unlink()
    assert "2 judged, 0 of them red, 1 left out that can't be opened" in desk.run("judge", "red", "--none").stderr


def is_red(path: Path) -> bool:
    with Image.open(path) as image:
        red, green, _ = image.convert("RGB").getpixel((0, 0))
    return red > 200 > green


def test_a_sample_that_is_filled_in_is_imported_bit_by_bit(desk: Desk) -> None:
    desk.index()
    desk.run("sample", "red", "--to", desk.folder / "sample")
    path = desk.folder / "sample" / "sample.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1] + "1", *lines[2:]]) + "\n")
    assert "1 rows kept" in desk.run("truth", "import", path).stderr
    known = json.loads(desk.run("report", "--json").stdout)["library"]
    assert (known["drawn"], known["judged"]) == (3, 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sample", "red", "--to", "."), "is there already"),
        (("judge", "red", "1"), "no sample was drawn for red yet"),
        (("judge", "red"), "name the numbers"),
        (("report", "--threshold", "0.5", "--at-recall", "0.9"), "choose one"),
    ],
)
def test_judging_goes_wrong_in_one_line(desk: Desk, arguments: tuple[str, ...], message: str) -> None:
    desk.index()
    result = desk.run(*arguments)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize("numbers", ["0", "4", "2-1", "x", "1-", "²"])
def test_numbers_that_are_not_on_the_sheet_are_refused(desk: Desk, numbers: str) -> None:
    desk.index()
    desk.run("sample", "red", "--to", desk.folder / "sample")
    result = desk.run("judge", "red", "--", numbers)
    assert result.exit_code == 1
    assert f"{numbers!r} is no number on the sheet" in result.stderr


def test_errors_say_why_and_since_when(desk: Desk) -> None:
    assert desk.index().exit_code == 0
    assert desk.run("errors").stderr == "every photo could be read\n"
    (desk.photos / "broken.jpg").write_bytes(b"no photo")
    assert "`photosearch errors` says why" in desk.index().stderr
    (row,) = json.loads(desk.run("errors", "--json").stdout)
    assert row["path"] == str(desk.photos / "broken.jpg")
    assert row["reason"] == "not a photo in a format that is known"
    assert row["since"][:2] == "20"


def test_status_and_labels_tell_what_there_is(desk: Desk) -> None:
    assert "not made yet" in desk.run("status").stdout
    desk.index()
    known = json.loads(desk.run("status", "--json").stdout)
    assert known["roots"] == [{"path": str(desk.photos), "photos": 3, "there": True}]
    assert (known["photos"], known["unreadable"], known["truth"]) == (3, 0, 0)
    assert known["models"][0]["images"] == 3
    assert known["providers"]["cpu"] == "ready"
    rows = json.loads(desk.run("labels", "--json").stdout)
    assert rows[0] == {"label": "red", "model": "toy", "threshold": 0.5, "saved": False}


def test_a_models_card_is_shown_whole(desk: Desk) -> None:
    card = json.loads(desk.run("models", "show", desk.model).stdout)
    assert card == json.loads(toy_card().to_json())
    rows = json.loads(desk.run("models", "--json").stdout)
    assert [list(row) for row in rows] == [["name", "version", "labels", "input_size", "default"]] * len(rows)
    assert [row["name"] for row in rows if row["default"]] != []


def test_the_doctor_says_what_works(desk: Desk) -> None:
    checks = json.loads(desk.run("doctor", "--model", desk.model, "--json").stdout)
    assert [c["name"] for c in checks] == ["decoding", "provider auto", "provider cpu", "storing"]
    assert all(c["works"] and c["milliseconds"] > 0 for c in checks)


def photosearch(*arguments: object, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", "from photosearch.cli import main; main()", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,  # type: ignore[call-overload]
    )  # fmt: skip


def test_results_can_be_piped_into_a_program_that_stops_reading(desk: Desk) -> None:
    desk.index()
    find = photosearch("find", "red")
    find.stdout.close()
    assert "Traceback" not in find.stderr.read()
    find.stderr.close()
    find.wait()


def test_ctrl_c_finishes_the_batch_says_how_to_go_on_and_exits_130(desk: Desk) -> None:
    for i in range(300):
        photo(desk.photos / f"{i}.png", "red", size=(i + 1, 600))
    run = photosearch("index", desk.photos, "--model", desk.model, "--batch-size", 4, "--workers", 1, "--json")
    while run.poll() is None and not status_photos(desk):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate()
    assert run.returncode == 130, err
    assert "the same command goes on from here" in err
    new = json.loads(out)["new"]
    assert 0 < new < 303
    assert counts(desk.index("--json")) == {**COUNTS, "new": 303 - new, "unchanged": new}


def status_photos(desk: Desk) -> int:
    result = desk.run("status", "--json")
    return json.loads(result.stdout).get("photos", 0) if result.exit_code == 0 else 0
