"""`python -m train evaluate`: the numbers are those of the tool's own way, and nothing but test parts is looked at."""

import json
from pathlib import Path

import numpy as np
import pytest
from toy import photo, write_toy
from typer.testing import CliRunner

from photosearch.errors import InputError

pytest.importorskip("torch")

from train import evaluate, looks, measure, pages
from train.__main__ import app
from train.data import caltech101
from train.tool import metrics, read_card


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A folder of classes in which `robin` and `flamingo` are red, but for one robin; so is one `car`."""
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


def test_a_folder_of_classes_is_counted_by_class(library: Path, tmp_path: Path) -> None:
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
    assert "taken for birds most: car 1 of 4" in ran.output
    assert "birds that are missed most: robin 1 of 3" in ran.output


def test_tiles_are_pooled_as_the_card_says(library: Path, tmp_path: Path) -> None:
    file = write_toy(tmp_path / "toy.onnx")
    result = evaluate.run(str(file), str(library), ".", birds=["robin"], tiles=4, tell=lambda *_: None)
    assert (result["tiles"], result["tp"], result["fp"]) == (4, 2, 2)


def test_a_folder_without_named_birds_is_an_error_that_says_what_to_do(library: Path) -> None:
    with pytest.raises(InputError, match="Name them: --bird NAME"):
        evaluate.list_known(str(library), ".", [])
    with pytest.raises(InputError, match="no photos in a subfolder 'eagle'"):
        evaluate.list_known(str(library), ".", ["eagle"])
    with pytest.raises(InputError, match="give a folder of classes, or one of caltech-101, tiny-imagenet"):
        evaluate.list_known("nowhere", ".", [])


@pytest.mark.slow
def test_average_precision_lies_within_its_interval_and_narrows_with_more_pictures() -> None:
    rng = np.random.default_rng(3)
    widths = []
    for n in (60, 2000):
        present = rng.random(n) < 0.3
        scores = np.clip(0.35 * present + rng.random(n) * 0.6, 0, 1).round(2)
        pairs = zip(scores, present, strict=True)
        judged = [metrics.LabeledScore(str(i), float(s), bool(p)) for i, (s, p) in enumerate(pairs)]
        low, high = measure.bootstrap_average_precision(scores, present)
        assert low < metrics.curve(judged).average_precision < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 3


def test_a_perfect_ranking_has_no_spread() -> None:
    scores = np.arange(10) / 10
    assert measure.bootstrap_average_precision(scores, scores > 0.4) == (1.0, 1.0)


def test_only_the_held_out_half_of_caltech_is_looked_at(data) -> None:
    folder = data("101_ObjectCategories")
    pictures = evaluate.list_known("caltech-101", folder, [])
    parts = {caltech101.part(p.content()) for p in pictures}
    assert parts == {"test"}
    assert 0.4 < len(pictures) / len(caltech101.pictures(folder)) < 0.6


def test_each_look_at_a_test_part_is_counted_where_the_models_figures_are_kept(library: Path, tmp_path: Path) -> None:
    file = write_toy(tmp_path / "toy.onnx")
    known = evaluate.list_known(str(library), ".", ["robin"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(evaluate.SETS, "toys", lambda data: known)
        for _ in range(2):
            evaluate.run(str(file), "toys", ".", tell=lambda *_: None)
    evaluate.run(str(file), str(library), ".", birds=["robin"], tell=lambda *_: None)  # a user's own: no test part

    assert looks.read(tmp_path / looks.LEDGER) == {"toys": {"toy": 2}}
    assert looks.ledger_of(looks.ROOT / ".runs" / "x.onnx") == looks.MEASURED / looks.LEDGER


def test_the_page_about_the_models_is_current() -> None:
    measured = looks.ROOT / pages.MEASURED
    lines = pages.render(pages.read_cards(), pages.read_results(measured), looks.read(measured / looks.LEDGER))
    text = (looks.ROOT / pages.PAGE).read_text(encoding="utf-8")
    assert text == "\n".join(lines) + "\n", "run python -m train pages"


def test_the_page_names_the_figures_the_looks_and_the_classes(library: Path, tmp_path: Path) -> None:
    file = write_toy(tmp_path / "toy.onnx")
    result = evaluate.run(str(file), str(library), ".", birds=["robin"], tell=lambda *_: None)
    evaluate.write(result, tmp_path / "measured" / "toy.json")
    results = pages.read_results(tmp_path / "measured")
    text = "\n".join(pages.render({"toy": read_card(file)}, results, {str(library): {"toy": 7}}))
    assert f"| toy | {library} | 10 | 3 | 0.5000 | 0.5000 (" in text
    assert " | 7 |\n" in text
    assert f"- toy on {library}, birds missed: robin 1 of 3. Taken for birds: car 1 of 4, flamingo 1 of 1." in text


def test_what_a_model_is_for_is_what_its_recipe_says_first() -> None:
    assert pages.purpose_of("bird-classic").startswith("**bird-classic**: the talk's network")
    assert pages.purpose_of("toy") == "**toy**:"
