"""`mark`, `truth`, `report`, `sample`, `judge` as a user types them."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from cli_env import Desk, names, said
from PIL import Image
from toy import photo, sight_card, write_toy

import photosearch
from photosearch.judging import metrics
from photosearch.library import marks
from photosearch.metadata import xmp


def judged(desk: Desk) -> None:
    """Five photos with what is known of them: red.jpg and white.png score high on red, two of the others not."""
    photo(desk.photos / "green.png", "green")
    photo(desk.photos / "black.png", "black")
    desk.index()
    rows = [("red.jpg", 1), ("2019/white.png", 0), ("2019/blue.webp", 0), ("green.png", 1), ("black.png", 0)]
    (desk.photos / "truth.csv").write_text("path,label,present\n" + "".join(f"{p},red,{yes}\n" for p, yes in rows))
    assert said(desk.run("truth", "import", desk.photos / "truth.csv")) == ["5 rows kept"]


def drawn(desk: Desk, n: int | None = None) -> list[dict[str, str]]:
    """Draw a sample for red -> the rows of its CSV file."""
    folder = desk.folder / "sample"
    result = desk.run("sample", "red", *(() if n is None else ("-n", n)), "--to", folder)
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    return list(csv.DictReader(io.StringIO((folder / "sample.csv").read_text())))


def is_red(path: Path) -> bool:
    with Image.open(path) as image:
        red, green, _ = image.convert("RGB").getpixel((0, 0))
    return red > 200 > green


@pytest.mark.option("mark --is", "mark --not", "truth export --label", "truth export --under")
def test_marks_come_back_in_the_export(desk: Desk) -> None:
    desk.index()
    assert said(desk.run("mark", desk.photos / "red.jpg", "--is", "RED", "--not", "blue")) == ["1 photo marked"]
    contradiction = desk.run("mark", desk.photos / "red.jpg", "--is", "red", "--not", "red")
    assert (contradiction.exit_code, contradiction.stderr) == (
        1, "photosearch: a photo can't both show a label and not show it\n",
    )  # fmt: skip
    rows = list(csv.reader(io.StringIO(desk.run("truth", "export").stdout)))
    path = str(desk.photos / "red.jpg")
    assert rows == [["path", "label", "present"], [path, "blue", "0"], [path, "red", "1"]]
    (desk.folder / "t.csv").write_text(desk.run("truth", "export", "--label", "red").stdout)
    assert said(desk.run("truth", "import", desk.folder / "t.csv")) == ["1 row kept"]
    assert desk.run("truth", "export", "--under", desk.photos / "2019").stdout == "path,label,present\n"


@pytest.mark.option("truth import --skip-unknown")
def test_rows_of_photos_that_are_not_there_can_be_passed_over(desk: Desk) -> None:
    desk.index()
    (desk.photos / "t.csv").write_text("path,label,present\nred.jpg,red,1\nnowhere.jpg,red,0\n")
    assert desk.run("truth", "import", desk.photos / "t.csv").exit_code == 1
    assert desk.run("truth", "export").stdout.count("\n") == 1, "all, or nothing"
    assert said(desk.run("truth", "import", desk.photos / "t.csv", "--skip-unknown")) == [
        "1 row kept, 1 passed over: not in the library"
    ]


@pytest.mark.option("report --json")
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


@pytest.mark.option("report --calibration")
def test_the_report_reads_as_a_table(desk: Desk) -> None:
    judged(desk)
    lines = desk.run("report", "--calibration").stdout.splitlines()
    assert lines[0] == "red by toy, found from a score of 0.5000 on; 5 pictures whose truth is known"
    assert [line.split() for line in lines[2:5]] == [
        ["shows", "it", "does", "not"], ["found", "1", "1"], ["not", "found", "1", "2"],
    ]  # fmt: skip
    assert lines[6].split()[:3] == ["precision", "50.00", "%"]
    assert f"  1.000  {desk.photos}/2019/white.png" in lines
    assert lines[-1].startswith("expected calibration error")
    one = desk.run("report", "--under", desk.photos / "2019").stdout.splitlines()[0]
    assert one == "red by toy, found from a score of 0.5000 on; 2 pictures whose truth is known"


def test_precision_and_recall_are_the_usual_report(desk: Desk) -> None:
    judged(desk)
    assert desk.run("report", "--precision-recall").stdout == desk.run("report").stdout


@pytest.mark.option("report --model")
def test_the_report_is_on_the_model_that_answers_or_the_one_that_is_named(desk: Desk) -> None:
    judged(desk)
    desk.run("index", desk.photos / "2019", "--model", desk.other)
    told = [json.loads(desk.run("report", "--json", *m).stdout) for m in ((), ("--model", "other"))]
    assert [(t["model"], t["n"], t["not_scored"]) for t in told] == [("toy", 5, 0), ("other", 2, 3)]
    assert "3 more could not be compared: they have no score" in desk.run("report", "--model", "other").stdout


@pytest.mark.option("report --at-precision", "report --at-recall", "report --save")
def test_a_threshold_for_a_precision_is_kept_for_find(desk: Desk) -> None:
    judged(desk)
    (desk.photos / "only.csv").write_text("path,label,present\n2019/white.png,red,1\nred.jpg,red,0\n")
    desk.run("truth", "import", desk.photos / "only.csv")
    result = desk.run("report", "--at-precision", "1", "--save", "--json")
    known = json.loads(result.stdout)
    assert (known["precision"], known["recall"], known["threshold"]) == (1.0, 0.5, 1.0)
    assert said(result) == [
        "This threshold was chosen on these same photos: on others, expect a little less.",
        "find red now takes 1.0000",
    ]
    assert names(desk.run("find", "red", "--json")) == ["white.png"]
    assert json.loads(desk.run("labels", "--json").stdout)[0] == {
        "label": "red", "model": "toy", "threshold": 1.0, "saved": True,
    }  # fmt: skip
    assert desk.run("labels").stdout.splitlines()[0] == "red\ttoy\t1.000 (yours)"
    assert json.loads(desk.run("report", "--at-recall", "1", "--json").stdout)["recall"] == 1.0


@pytest.mark.option("report --plot")
def test_a_plot_is_drawn(desk: Desk) -> None:
    pytest.importorskip("matplotlib")
    judged(desk)
    for arguments in ((), ("--calibration",)):
        result = desk.run("report", "--plot", desk.folder / "plot.png", *arguments)
        assert said(result) == [f"{desk.folder}/plot.png: drawn"]
        assert (desk.folder / "plot.png").read_bytes().startswith(b"\x89PNG")
        (desk.folder / "plot.png").unlink()


def test_a_report_without_truth_says_how_to_give_some(desk: Desk) -> None:
    desk.index()
    result = desk.run("report", "--label", "red")
    assert (result.exit_code, result.stdout) == (1, "")
    for way in ("photosearch mark PHOTO --is red", "photosearch truth import FILE.csv", "photosearch sample red"):
        assert way in result.stderr


@pytest.mark.option("sample -n", "sample --to")
def test_a_sample_is_judged_by_its_numbers_and_speaks_for_the_library(desk: Desk) -> None:
    for i in range(40):
        photo(desk.photos / f"{i:02}.png", "red" if i % 4 == 0 else "blue", size=(i + 1, 60))
    desk.index()
    rows = drawn(desk, 20)
    assert sorted(p.name for p in (desk.folder / "sample").iterdir()) == ["sample.csv", "sheet-1.jpg"]
    assert [row["number"] for row in rows] == [str(i) for i in range(1, 21)]
    assert all((desk.folder / "sample" / row["path"]).is_file() for row in rows)
    show_it = [row["number"] for row in rows if is_red(desk.folder / "sample" / row["path"])]

    assert said(desk.run("judge", "red", *show_it)) == [
        f"sheet 1: 20 judged, {len(show_it)} of them red; now: photosearch report"
    ]
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
    rows = drawn(desk, 12)
    high = [row["number"] for row in rows if Path(row["path"]).name in ("red.jpg", "white.png")]
    low = [row["number"] for row in rows if row["number"] not in high]
    desk.run("judge", "red", *high, *low[:1])

    def threshold(*more: str) -> float:
        return json.loads(desk.run("report", "--at-recall", "0.5", "--json", *more).stdout)["threshold"]

    assert len(high) == 2
    assert threshold("--under", str(desk.photos)) > 0.5  # two of the three judged reds
    assert threshold() < 0.5  # the third stands for four
    assert "the 12 judged photos of the sample" in desk.run("report", "--at-recall", "0.5").stderr


@pytest.mark.option("judge --none")
def test_a_photo_that_was_grey_on_the_sheet_stays_unjudged(desk: Desk) -> None:
    desk.index()
    drawn(desk)
    (desk.photos / "2019" / "blue.webp").unlink()
    assert "2 judged, 0 of them red, 1 left out that can't be opened" in desk.run("judge", "red", "--none").stderr


def test_a_sample_that_is_filled_in_is_imported_bit_by_bit(desk: Desk) -> None:
    desk.index()
    drawn(desk)
    path = desk.folder / "sample" / "sample.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1] + "1", *lines[2:]]) + "\n")
    assert said(desk.run("truth", "import", path)) == ["1 row kept"]
    known = json.loads(desk.run("report", "--json").stdout)["library"]
    assert (known["drawn"], known["judged"]) == (3, 1)


def test_what_a_sample_says_of_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    desk.index()
    assert said(desk.run("sample", "red")) == [
        "sample-red: 3 photos on sheet-1.jpg. See which show red; the others count as not:",
        "  photosearch judge red --sheet 1 3 7 12-15",
        "or fill in sample.csv (1, 0, or nothing):",
        "  photosearch truth import sample-red/sample.csv",
        "then:",
        "  photosearch report",
    ]
    again = desk.run("sample", "red")
    assert (again.exit_code, again.stderr) == (
        1, "photosearch: sample-red: is there already; name a new folder with --to\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mark", "nowhere.jpg", "--is", "red"), "nowhere.jpg: not in the library"),
        (("mark", "nowhere.jpg"), "--is LABEL or --not LABEL"),
        (("truth", "import", "nowhere.csv"), "nowhere.csv: can't be read"),
        (("sample", "red", "--to", "."), "is there already"),
        (("sample", "rad"), "no label 'rad'; the nearest are: red"),
        (("judge", "red", "1"), "no sample was drawn for red yet"),
        (("judge", "red"), "name the numbers"),
        (("report", "--threshold", "0.5", "--at-recall", "0.9"), "choose one"),
    ],
)
def test_judging_goes_wrong_in_one_line(desk: Desk, arguments: tuple[str, ...], message: str) -> None:
    desk.index()
    result = desk.run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("photosearch: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_numbers_that_are_not_on_the_sheet_are_refused(desk: Desk) -> None:
    desk.index()
    drawn(desk)
    for numbers in ("0", "4", "2-1", "x", "1-", "²"):
        result = desk.run("judge", "red", "--", numbers)
        assert result.exit_code == 1
        assert result.stderr == (
            f"photosearch: {numbers} is not a number on this sheet, nor a range such as 3-5; they go from 1 to 3\n"
        )


@pytest.mark.option("learn --json", "learn --undo", "mark --new")
def test_a_label_of_ones_own_is_marked_learned_found_and_undone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    write_toy(desk.model, sight_card())
    for i in range(8):
        photo(desk.photos / f"green{i}.png", "green", size=(20 + i, 20))
        photo(desk.photos / f"blue{i}.png", "blue", size=(20 + i, 20))
    desk.index()
    greens, blues = ([desk.photos / f"{colour}{i}.png" for i in range(6)] for colour in ("green", "blue"))
    typo = desk.run("mark", *greens, "--is", "my lawn")
    assert (typo.exit_code, "for a label of your own that is new, add --new" in typo.stderr) == (1, True)
    assert said(desk.run("mark", *greens, "--is", "my lawn", "--new")) == ["6 photos marked"]
    few = desk.run("learn", "my lawn")
    assert (few.exit_code, few.stdout) == (1, "")
    assert few.stderr.startswith("photosearch: my lawn: 6 marked yes and 0 no")
    desk.run("mark", *blues, "--not", "my lawn")
    learned = desk.run("learn", "my lawn")
    assert learned.exit_code == 0
    lines = learned.stdout.splitlines()
    assert lines[0] == "my lawn, learned on the vectors of toy"
    assert "cross-validated; of 6 marked yes and 6 no, none of them drawn by `sample`" in learned.stdout
    assert lines[-1] == "kept: what was learned; no label of that name was there before"
    assert learned.stderr.splitlines() == [
        "find 'my lawn' takes what was learned; to go back: photosearch learn 'my lawn' --undo",
        "to know how right it is on the whole library: photosearch sample 'my lawn' -n 60",
    ]
    assert {name[:5] for name in names(desk.run("find", "my lawn", "--json"))} == {"green"}
    assert "learned from your marks: 6 marked yes" in desk.run("labels", "my lawn").stdout
    assert "12 of them it learned from" in desk.run("report", "--label", "my lawn").stdout
    told = json.loads(desk.run("learn", "my lawn", "--json").stdout)
    assert (told["kept"], told["before"]["model"]) == ("before", "yours")
    assert said(desk.run("learn", "my lawn", "--undo")) == ["my lawn is no label any more"]
    assert desk.run("learn", "my lawn", "--undo").exit_code == 1


@pytest.mark.option("mark --undo")
def test_marks_are_taken_back_step_by_step(desk: Desk) -> None:
    desk.index()
    red, white = desk.photos / "red.jpg", desk.photos / "2019" / "white.png"
    desk.run("mark", red, white, "--is", "red")
    desk.run("mark", white, "--not", "red")
    desk.run("mark", red, "--forget", "red")
    assert said(desk.run("mark", "--undo")) == [f"{red}: marked as red again", "1 mark taken back"]
    assert said(desk.run("mark", "--undo")) == [f"{white}: marked as red again", "1 mark taken back"]
    assert desk.run("truth", "export").stdout.count(",1\n") == 2
    assert said(desk.run("mark", "--undo")) == [
        f"{red}: not marked for red any more", f"{white}: not marked for red any more", "2 marks taken back",
    ]  # fmt: skip
    nothing = desk.run("mark", "--undo")
    assert (nothing.exit_code, nothing.stderr) == (1, "photosearch: nothing was marked that could be taken back\n")
    assert desk.run("mark", red, "--undo").exit_code == 1


@pytest.mark.option("report --undo")
def test_a_saved_threshold_goes_back_to_the_one_before(desk: Desk) -> None:
    judged(desk)
    for threshold in ("0.3", "0.7"):
        desk.run("report", "--threshold", threshold, "--save")
    for now in ("0.3000", "0.5000"):
        assert said(desk.run("report", "--label", "red", "--undo")) == [f"find red takes {now} again"]
    assert desk.run("report", "--label", "red", "--undo").stderr == "photosearch: no threshold of red was saved\n"


def test_of_several_sheets_the_one_that_is_judged_is_named_and_all_count(desk: Desk) -> None:
    for i in range(40):
        photo(desk.photos / f"{i:02}.png", "red" if i % 4 == 0 else "blue", size=(i + 1, 60))
    desk.index()
    for seed in ("0", "1"):
        desk.run("sample", "red", "-n", "12", "--seed", seed, "--to", desk.folder / f"sample{seed}")
    vague = desk.run("judge", "red", "1")
    assert (vague.exit_code, vague.stderr) == (
        1, "photosearch: several sheets were drawn for red: 1, 2; say which you judge: --sheet 2\n",
    )  # fmt: skip
    wrong = desk.run("judge", "red", "1", "--sheet", "7")
    assert wrong.stderr == "photosearch: no sheet 7 was drawn for red; there are 1, 2\n"
    for sheet in ("1", "2"):
        text = (desk.folder / f"sample{int(sheet) - 1}" / "sample.csv").read_text()
        rows = list(csv.DictReader(io.StringIO(text)))
        assert {row["sheet"] for row in rows} == {sheet}
        show_it = [r["number"] for r in rows if is_red(desk.folder / f"sample{int(sheet) - 1}" / r["path"])]
        assert said(desk.run("judge", "red", *show_it, "--sheet", sheet))[-1].startswith(f"sheet {sheet}: 12 judged")
    known = json.loads(desk.run("report", "--json").stdout)["library"]
    assert (known["population"], known["drawn"], known["judged"], known["sheets"]) == (43, 24, 24, [1, 2])
    assert "24 judged of 24 drawn on 2 sheets" in desk.run("report").stdout
    changed = desk.run("judge", "red", "--none", "--sheet", "2").stderr
    assert "marks changed:" in changed


def test_a_sheet_is_in_the_drawn_order_and_tells_its_label_and_date(desk: Desk) -> None:
    for i in range(20):
        photo(desk.photos / f"{i:02}.png", "red" if i % 4 == 0 else "blue", size=(i + 1, 60))
    desk.index()
    rows = drawn(desk, 20)
    order = [Path(row["path"]).name for row in rows]
    assert sorted(order) != order
    with photosearch.Library(desk.library) as library:
        (number,) = {row["sheet"] for row in rows}
        label = library.labels.get("red")
        kept = marks.find_sample(library._session.db, label, int(number))
    assert kept is not None
    assert [os.path.basename(p.path or "") for p in kept.photos] == order
    assert [p.number for p in kept.photos] == list(range(1, 21))


@pytest.mark.option("export --xmp", "export --dry-run", "truth import --xmp", "truth import --rated")
def test_keywords_go_out_to_side_cars_and_come_in_as_marks(desk: Desk) -> None:
    desk.index()
    red, white = desk.photos / "red.jpg", desk.photos / "2019" / "white.png"
    dry = desk.run("export", "red", "--xmp", "--dry-run")
    assert said(dry) == ["2 side-cars would be written, 0 said so already"]
    done = desk.run("export", "red", "--xmp")
    assert sorted(done.stdout.splitlines()) == sorted(f"{p}.xmp\tnew\t+red" for p in (red, white))
    assert dry.stdout == done.stdout
    assert said(desk.run("export", "red", "--xmp")) == ["0 side-cars written, 2 said so already"]
    Path(f"{red}.xmp").write_bytes(b"")
    bad = desk.run("export", "red", "--xmp", "--json")
    assert (bad.exit_code, f"{red}.xmp: left alone: not XML" in bad.stderr) == (1, True)
    assert desk.run("export", "red").stderr.startswith("photosearch: say how: --xmp")
    typed, _, _ = xmp.write_xmp(None, {"blue": "blue", "Sun": "Sun"}, [])
    rated = b'rdf:about="" xmlns:x="http://ns.adobe.com/xap/1.0/" x:Rating="5"'
    typed = typed.replace(b"urn:photosearch:1.0/", b"urn:another/").replace(b'rdf:about=""', rated)
    Path(f"{white}.xmp").write_bytes(typed)
    told = said(desk.run("truth", "import", "--xmp", "--rated", "keeper=4"))
    assert told == [
        f"{red}.xmp: not read: not XML: no element found, line 1",
        "Sun: no label of that name, on 1 photo; --new Sun makes it one",
        "2 marks kept, of 1 photo with keywords or a rating",
    ]
    for wrong in (
        [],
        ["--rated", "a=4"],
        ["x.csv", "--xmp"],
        ["--xmp", "--rated", "keeper"],
        ["--xmp", "--rated", "a=9"],
    ):
        result = desk.run("truth", "import", *wrong)
        assert (result.exit_code, result.stderr.count("\n")) == (1, 1)


@pytest.mark.option("report --labels")
def test_all_labels_are_told_of_in_a_table_with_averages_and_confusions(desk: Desk) -> None:
    judged(desk)  # red.jpg and green.png are red, white.png is found and not; blue.webp and black.png neither
    desk.run("mark", desk.photos / "2019" / "white.png", "--is", "green", "--is", "snow", "--new")
    desk.run("mark", desk.photos / "green.png", "--is", "green")
    desk.run("mark", desk.photos / "red.jpg", "--not", "green")
    told = json.loads(desk.run("report", "--labels", "--json").stdout)
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
    result = desk.run("report", "--labels")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert [line[0] for line in lines] == ["green", "red", "all, added up", "mean of 2 labels"]
    assert lines[1][-1] == "green 1, snow 1"
    assert lines[2][3] == "75.0 %"
    assert result.stderr == "marked, and no label yet: snow; photosearch learn makes it one\n"
    wrong = desk.run("report", "--labels", "--label", "red")
    assert (wrong.exit_code, "leave out --label" in wrong.stderr) == (1, True)


def test_copies_of_one_marked_picture_count_once(desk: Desk) -> None:
    for name in ("a", "b"):
        (desk.photos / f"{name}.jpg").write_bytes((desk.photos / "red.jpg").read_bytes())
    desk.index()
    desk.run("mark", *(desk.photos / f"{name}.jpg" for name in ("red", "a", "b")), "--is", "red")
    told = json.loads(desk.run("report", "--json").stdout)
    assert (told["n"], told["tp"], told["copies"]) == (1, 1, 2)
    assert "2 photos more show the same pictures: each picture counts once" in desk.run("report").stdout
    assert json.loads(desk.run("report", "--labels", "--json").stdout)["micro"]["tp"] == 1
