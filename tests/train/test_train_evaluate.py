"""`python -m train evaluate`, the test-set ledger and docs/model.md."""

import json
from pathlib import Path

import numpy as np
import pytest
from toy import photo, write_toy
from typer.testing import CliRunner

from photosearch.errors import InputError

pytest.importorskip("torch")

from train import evaluate, figures, pages, test_set_ledger
from train.__main__ import app
from train.atomic import write_json
from train.data import caltech101
from train.tool import read_card


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder of classes; `robin` and `flamingo` are red except for one robin, and so is one `car`."""
    folder = tmp_path / "classes"
    for name, colours in {
        "robin": ["red", "red", "blue"],
        "flamingo": ["red"],
        "car": ["red", "green", "blue", "black"],
        "sky": ["blue", "blue"],
    }.items():
        for i, colour in enumerate(colours):
            photo(folder / name / f"{i}.png", colour)
    return folder


def test_evaluate_counts_folder_by_class(library: Path, tmp_path: Path) -> None:
    file = write_toy(tmp_path / "toy.onnx")
    out = tmp_path / "out.json"
    arguments = ["evaluate", str(file), "--on", str(library), "--bird", "robin", "--bird", "flamingo"]
    ran = CliRunner().invoke(app, [*arguments, "--json", str(out)])
    assert ran.exit_code == 0, ran.output
    result = json.loads(out.read_text())
    assert {k: result[k] for k in ("tp", "fp", "fn", "tn", "n", "precision", "recall", "tiles", "threshold")} == {
        **{"tp": 3, "fp": 1, "fn": 1, "tn": 5, "n": 10, "precision": 0.75, "recall": 0.75},
        **{"tiles": 0, "threshold": 0.5},
    }
    assert result["recall_by_class"] == {"flamingo": [1, 1], "robin": [2, 3]}
    assert result["false_alarms_by_class"] == {"car": [1, 4], "sky": [0, 2]}
    assert "False alarms: car 1 of 4" in ran.output
    assert "Birds missed: robin 1 of 3" in ran.output


def test_evaluate_pools_tiles_by_card(library: Path, tmp_path: Path) -> None:
    file = write_toy(tmp_path / "toy.onnx")
    result = evaluate.run(str(file), str(library), ".", birds=["robin"], tiles=4, progress=lambda *_: None)
    assert (result["tiles"], result["tp"], result["fp"]) == (4, 2, 2)


def test_list_pictures_needs_names_of_bird_folders(library: Path) -> None:
    with pytest.raises(InputError, match="name the subfolders that show birds: --bird NAME"):
        evaluate.list_pictures(str(library), ".", [])
    with pytest.raises(InputError, match="no photos in the subfolder 'eagle'"):
        evaluate.list_pictures(str(library), ".", ["eagle"])
    with pytest.raises(InputError, match="--on takes a folder of classes, or one of caltech-101, tiny-imagenet"):
        evaluate.list_pictures("nowhere", ".", [])


@pytest.mark.slow
def test_bootstrap_interval_narrows_with_more_pictures() -> None:
    rng = np.random.default_rng(3)
    widths = []
    for n in (60, 2000):
        present = rng.random(n) < 0.3
        scores = np.clip(0.35 * present + rng.random(n) * 0.6, 0, 1).round(2)
        low, high = figures.bootstrap_average_precision(scores, present)
        assert low < figures.average_precision(scores, present) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3


def test_bootstrap_interval_of_perfect_ranking_is_a_point() -> None:
    scores = np.arange(10) / 10
    assert figures.bootstrap_average_precision(scores, scores > 0.4) == (1.0, 1.0)


def test_list_pictures_takes_test_part_of_caltech(data) -> None:
    folder = data("101_ObjectCategories")
    pictures = evaluate.list_pictures("caltech-101", folder, [])
    parts = {caltech101.part(p.read()) for p in pictures}
    assert parts == {"test"}
    assert 0.4 < len(pictures) / len(caltech101.pictures(folder)) < 0.6


def test_evaluate_adds_to_ledger_next_to_model(library: Path, tmp_path: Path) -> None:
    file = write_toy(tmp_path / "toy.onnx")
    pictures = evaluate.list_pictures(str(library), ".", ["robin"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(evaluate.SETS, "toys", lambda data: pictures)
        for _ in range(2):
            evaluate.run(str(file), "toys", ".", progress=lambda *_: None)
    evaluate.run(
        str(file), str(library), ".", birds=["robin"], progress=lambda *_: None
    )  # a user's folder is not a test part

    assert test_set_ledger.read(tmp_path / test_set_ledger.LEDGER) == {"toys": {"toy": 2}}
    assert test_set_ledger.locate(test_set_ledger.ROOT / ".runs" / "x.onnx") == (
        test_set_ledger.MEASURED / test_set_ledger.LEDGER
    )


def test_model_page_is_current() -> None:
    ledger = test_set_ledger.read()
    lines = pages.render(pages.read_cards(), pages.read_results(test_set_ledger.MEASURED), ledger)
    text = (test_set_ledger.ROOT / pages.PAGE).read_text(encoding="utf-8")
    assert text == "\n".join(lines) + "\n", "run python -m train pages"


def test_model_page_names_figures_evaluations_and_classes(library: Path, tmp_path: Path) -> None:
    file = write_toy(tmp_path / "toy.onnx")
    result = evaluate.run(str(file), str(library), ".", birds=["robin"], progress=lambda *_: None)
    write_json(tmp_path / "measured" / "toy.json", result)
    results = pages.read_results(tmp_path / "measured")
    text = "\n".join(pages.render({"toy": read_card(file)}, results, {str(library): {"toy": 7}}))
    assert f"| toy | {library} | 10 | 3 | 0.5000 | 0.5000 (" in text
    assert " | 7 |\n" in text
    assert f"- toy on {library}. Birds missed: robin 1 of 3. False alarms: car 1 of 4, flamingo 1 of 1." in text


def test_read_recipe_gives_first_sentence_and_commands() -> None:
    recipe = pages.read_recipe("bird-classic")
    assert recipe.purpose.startswith("the talk's network")
    assert [command.split()[:4] for command in recipe.commands] == [["python", "-m", "train", "bird"]]
    assert pages.read_recipe("toy") == pages.RecipeText("", ())
