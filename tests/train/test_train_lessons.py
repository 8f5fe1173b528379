"""The lessons' parts computed by hand, and the page of their results."""

import re

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from train.__main__ import app
from train.atomic import write_json
from train.export import export
from train.lessons import document, runner
from train.lessons import lesson1_house_price as one
from train.lessons import lesson2_is_it_an_8 as two
from train.lessons import lesson3_tunnel_vision as three
from train.lessons import lesson4_sliding_window as four
from train.lessons import lesson5_more_data as five
from train.lessons import lesson6_convolution as six
from train.tool import Model, find_model, read_card

NUMBERS = tuple(runner.FILES)


@pytest.fixture(scope="module")
def pool():
    """Drawn digits in the form of `digits`: float [100, 20, 20], bool [100]."""
    return five.pen(100, seed=1)


def test_lesson_docstrings_have_idea_source_command_and_result():
    assert NUMBERS == (1, 2, 3, 4, 5, 6)
    for n in NUMBERS:
        found = re.findall(r"^(Idea|Source|Command|Printed): ", runner.read_docstring(n), re.MULTILINE)
        assert found == ["Idea", "Source", "Command", "Printed"], runner.FILES[n].name


# The page

written = pytest.mark.skipif(
    not (document.DOCS / document.RESULTS).exists(), reason="not written yet: python -m train lessons --document"
)


@written
def test_page_is_current():
    results, card = document.read(), read_card(find_model(document.BIRD))
    text = (document.DOCS / document.DOCUMENT).read_text(encoding="utf-8")
    assert text == document.render(results, card), "run `python -m train document`"


@written
@pytest.mark.parametrize("n", NUMBERS)
def test_stored_results_come_from_current_code(n):
    digests = {run[str(n)]["digest"] for run in document.read()["runs"]}
    assert digests == {runner.hash_code(n)}, "run `python -m train lessons --document`"
    assert not any(run[str(n)]["quick"] for run in document.read()["runs"])


@written
@pytest.mark.parametrize("n", NUMBERS)
def test_lesson_docstring_has_its_results(n):
    assert document.describe(n, document.read()) in " ".join(runner.read_docstring(n).split()), (
        "run `python -m train document`"
    )


@written
def test_page_has_small_pictures_of_each_lesson():
    first = document.read()["runs"][0]
    named = {name for n in NUMBERS for name in first[str(n)]["pictures"]}
    sizes = {path.name: path.stat().st_size for path in (document.DOCS / document.IMAGES).glob("lesson*.png")}
    assert set(sizes) == named
    assert all(any(name.startswith(f"lesson{n}-") for name in named) for n in NUMBERS)
    assert max(sizes.values()) < 60_000


@written
def test_results_make_each_next_lesson_necessary():
    for run in document.read()["runs"]:
        numbers = {n: run[str(n)]["numbers"] for n in NUMBERS}
        assert numbers[1]["R2"] > 0.9
        assert numbers[2]["accuracy"] >= 0.99
        assert numbers[2]["recall"] >= 0.95
        assert numbers[3]["recall, moved by 8 pixels"] < 0.5
        assert numbers[6]["lowest recall of any move"] >= 0.95
        assert numbers[6]["recall"] > max(numbers[4]["recall"], numbers[5]["recall"])
        assert numbers[6]["tiles against Conv2d, largest difference"] <= 1e-5
        assert run["6"]["parameters"] <= run["5"]["parameters"] / 10


def test_hash_code_ignores_docstring_and_photosearch_imports(tmp_path, monkeypatch):
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    monkeypatch.setattr(runner, "FILES", {1: first, 2: second})
    second.write_text('"""Two."""\n\nfrom train.lessons.lesson1_a import x\n')
    first.write_text('"""Says this."""\n\nx = 1\n')
    digest = runner.hash_code(2)
    first.write_text('"""Says that,\n\nat length."""\n\nx = 1\n')
    assert runner.hash_code(2) == digest
    first.write_text('"""Says this."""\n\nfrom photosearch.models.card import Card\nx = 1\n')
    assert runner.hash_code(2) == digest
    first.write_text('"""Says this."""\n\nx = 3\n')
    assert runner.hash_code(2) != digest


def test_stamp_replaces_results_only(tmp_path, monkeypatch):
    path = tmp_path / "lesson1.py"
    path.write_text('"""Title.\n\nPrinted: nothing yet.\n"""\n\nprint("Printed: 1")\n')
    monkeypatch.setattr(runner, "FILES", {1: path})
    runs = [{"1": {"numbers": {"R2": value}}} for value in (0.5, 0.25, 1e-7)]
    document.stamp(1, {"machine": "a machine", "runs": runs})
    assert path.read_text() == (
        '"""Title.\n\nPrinted: R2 0.250 (1e-07 to 0.500). On a machine; n = 3 runs, median (lowest to highest).\n"""\n'
        '\nprint("Printed: 1")\n'
    )


# 1


def test_net_of_3_64_1_has_321_weights_and_linear_output():
    network = one.net(3, 64, 1)
    assert one.parameters(network) == 3 * 64 + 64 + 64 + 1
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear]


@pytest.mark.slow
def test_lesson_1_beats_mean_at_any_batch_size(tmp_path):
    result = one.lesson(tmp_path, tmp_path, quick=True)
    assert 0.8 < result["numbers"]["R2"] < 0.99
    session = onnxruntime.InferenceSession(tmp_path / "lesson1.onnx")
    houses, prices = one.houses(7, seed=3)
    dollars = session.run(None, {"houses": houses.numpy()})[0]
    assert dollars.shape == (7,)
    assert one.r2(torch.from_numpy(dollars), prices) > 0.8


# 2


def test_box_keeps_all_ink(data):
    from train.data import mnist

    images, _ = mnist.load(data("MNIST"), "test")
    assert (two.box(images).sum((1, 2), dtype=int) == images.sum((1, 2), dtype=int)).all()


def test_resize_keeps_even_areas():
    assert torch.allclose(two.resize(torch.full((1, 20, 20), 0.5), 18), torch.full((1, 18, 18), 0.5))
    picture = torch.rand(2, 20, 20)
    assert torch.allclose(two.resize(picture, 20), picture)


def test_measure_of_always_no_has_high_accuracy_and_no_recall():
    truth = torch.tensor([True] + [False] * 9)
    assert two.measure(torch.zeros(10), truth) == {"accuracy": pytest.approx(0.9), "precision": 0, "recall": 0}


def test_lesson_command_without_data_names_fetch_command(tmp_path):
    result = CliRunner().invoke(app, ["lesson", "2", "--data", str(tmp_path), "--to", str(tmp_path / "to")])
    assert result.exit_code == 1
    assert "python -m train data --fetch mnist" in str(result.exception)
    assert "\n" not in str(result.exception)


# 3


def test_place_puts_digit_at_position(pool):
    boxes, _ = pool
    canvas = three.place(boxes[:2], torch.tensor([5, 0]), torch.tensor([7, 28]), torch.tensor([20, 20]))
    canvas = canvas.reshape(2, 48, 48)
    assert torch.allclose(canvas[0, 5:25, 7:27], boxes[0])
    assert torch.allclose(canvas[1, 0:20, 28:48], boxes[1])
    assert torch.allclose(canvas.sum((1, 2)), boxes[:2].sum((1, 2)))


# 4


def test_overlap_of_squares():
    box = np.array([0, 0, 10])
    others = np.array([[0, 0, 10], [0, 5, 10], [20, 0, 10]])
    assert four.overlap(box, others).tolist() == [1, pytest.approx(50 / 150), 0]


def test_suppress_keeps_highest_of_overlapping_windows():
    boxes = np.array([[0, 0, 10], [1, 1, 10], [30, 30, 10], [30, 30, 12]])
    assert four.suppress(boxes, np.array([0.9, 0.95, 0.7, 0.2]), 0.5) == [1, 2]


def test_scan_scores_windows_as_one_by_one(pool):
    scan = four.Scan(one.net(two.SIDE**2, two.HIDDEN, 2), three.CANVAS)
    x, _, _ = four.canvases(*pool, 2, seed=1)
    with torch.inference_mode():
        single = [scan.network(window[None]).softmax(1)[0, 0] for window in scan.windows(x)[1]]
    assert torch.allclose(scan(x)[1], torch.stack(single), atol=1e-6)
    assert len(scan.boxes) == len(single) == 679
    assert (scan.boxes[:, :2] + scan.boxes[:, 2:] <= three.CANVAS + 1).all()


def test_scan_window_matches_its_box(pool):
    scan = four.Scan(one.net(two.SIDE**2, two.HIDDEN, 2), three.CANVAS)
    i = next(i for i, box in enumerate(scan.boxes) if tuple(box) == (20, 20, 20))
    x = three.place(pool[0][:1], torch.tensor([20]), torch.tensor([20]), torch.tensor([20]))
    assert (scan.windows(x)[0, i] - two.resize(pool[0][:1], two.SIDE).flatten()).abs().mean() < 0.05


def test_weights_reads_net_of_lesson_2(tmp_path):
    network = one.net(two.SIDE**2, two.HIDDEN, 2).eval()
    export(two.Photo(network, two.SIDE), two.card("lesson2", two.SIDE, "nothing"), tmp_path / "lesson2.onnx")
    again = four.weights(tmp_path / "lesson2.onnx")
    x = torch.rand(3, two.SIDE**2)
    assert torch.equal(again(x), network(x))


@pytest.mark.slow
def test_anywhere_scores_highest_window(tmp_path, pool):
    scan = four.Scan(one.net(two.SIDE**2, two.HIDDEN, 2).eval(), three.CANVAS)
    x, _, _ = four.canvases(*pool, 3, seed=2)
    export(four.Anywhere(scan), two.card("lesson4", 48, "nothing"), tmp_path / "lesson4.onnx")
    scores = Model(tmp_path / "lesson4.onnx", provider="cpu").score(three.pixels(x.reshape(-1, 48, 48)))
    assert np.allclose(scores[:, 0], scan(x).max(1).values, atol=0.01)  # grey in steps of 1/255


# 5


def test_canvases_are_deterministic_and_equal_lesson_4(pool):
    x, is_8 = five.canvases(20, *pool, seed=[0, 1])
    again, also_8, _ = four.canvases(*pool, 20, seed=[0, 1])
    assert torch.equal(x, again)
    assert torch.equal(is_8, also_8)
    assert not torch.equal(x, five.canvases(20, *pool, seed=[0, 2])[0])


def test_canvases_show_an_8_in_half(pool):
    x, is_8 = five.canvases(50, *pool, seed=3)
    assert x.shape == (50, 48 * 48)
    assert int(is_8.sum()) == 25
    assert float(x.min()) == 0
    assert float(x.max()) <= 1 + 1e-6
    assert (x.sum(1) > 10).all()


def test_pen_draws_same_digits_for_same_seed(pool):
    boxes, is_8 = pool
    assert torch.equal(boxes, five.pen(100, seed=1)[0])
    assert boxes.shape == (100, 20, 20)
    assert int(is_8.sum()) == 10
    assert float(boxes.min()) == 0
    assert float(boxes.max()) == 1
    eights = boxes[is_8]
    assert (eights[:, 8:12].amax((1, 2)) > 0.5).all()  # ink where the two rings meet


# 6


def test_five_steps_equal_convolution(pool, monkeypatch):
    monkeypatch.setattr(six, "digits", lambda data, part: pool)
    steps, difference = six.five_steps(None, seed=0)
    assert len(steps["tiles"]) == 77
    assert steps["grid"].shape == (7, 11, 8)
    assert steps["kept"].shape == (3 * 5, 8)
    assert steps["logits"].shape == (2,)
    assert difference <= 1e-5
    assert steps["grid"].abs().max() > 0.1


def test_five_steps_equal_max_pooling(pool, monkeypatch):
    monkeypatch.setattr(six, "digits", lambda data, part: pool)
    steps, _ = six.five_steps(None, seed=0)
    pooled = nn.functional.max_pool2d(steps["grid"].permute(2, 0, 1), 2)
    assert torch.equal(steps["kept"].reshape(3, 5, 8), pooled.permute(1, 2, 0))


def test_conv_net_has_a_tenth_of_the_dense_weights():
    dense = one.net(48 * 48, *[five.WIDTH] * min(five.DEPTHS), 2)
    assert one.parameters(six.conv_net()) == 88_226
    assert one.parameters(six.conv_net()) < one.parameters(dense) / 10


def test_save_writes_canvases_and_truth(tmp_path, pool):
    x, is_8 = five.canvases(4, *pool, seed=1)
    six.save(x, is_8, tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.png")) == [
        "8-000.png",
        "8-002.png",
        "other-001.png",
        "other-003.png",
    ]
    lines = (tmp_path / "truth.csv").read_text().splitlines()
    assert lines == ["path,label,present", "8-000.png,8,1", "other-001.png,8,0", "8-002.png,8,1", "other-003.png,8,0"]


# The runner


@pytest.mark.slow
def test_run_with_needed_runs_missing_or_outdated_lessons(tmp_path, monkeypatch):
    runs = []

    def run(n, data, models, **options):
        runs.append(n)
        (models / f"lesson{n}.onnx").write_bytes(b"")
        write_json(models / f"lesson{n}.json", {"digest": runner.hash_code(n), "seed": options["seed"], "quick": False})

    monkeypatch.setattr(runner, "run", run)
    runner.run_with_needed(3, tmp_path, tmp_path)
    runner.run_with_needed(4, tmp_path, tmp_path)
    assert runs == [2, 3, 4]
    runner.run_with_needed(4, tmp_path, tmp_path, seed=1)
    assert runs == [2, 3, 4, 2, 4]
    (tmp_path / "lesson2.json").write_text("{")
    runner.run_with_needed(3, tmp_path, tmp_path, seed=1)
    assert runs == [2, 3, 4, 2, 4, 2, 3]
