"""The lessons: their parts computed by hand, and the document that is made of what they printed."""

import re

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from train.__main__ import app
from train.export import export
from train.lessons import document, road
from train.lessons import lesson1_house_price as one
from train.lessons import lesson2_is_it_an_8 as two
from train.lessons import lesson3_tunnel_vision as three
from train.lessons import lesson4_sliding_window as four
from train.lessons import lesson5_more_data as five
from train.lessons import lesson6_convolution as six
from train.tool import Model, find_model, read_card

NUMBERS = tuple(road.FILES)


@pytest.fixture(scope="module")
def pool():
    """Digits without a file, as `digits` gives them: float [100, 20, 20], bool [100]."""
    return five.pen(100, seed=1)


def test_there_are_six_lessons_and_each_opens_with_idea_source_command_and_what_it_printed():
    assert NUMBERS == (1, 2, 3, 4, 5, 6)
    for n in NUMBERS:
        found = re.findall(r"^(Idea|Source|Command|Printed): ", road.docstring(n), re.MULTILINE)
        assert found == ["Idea", "Source", "Command", "Printed"], road.FILES[n].name


# The document

told = pytest.mark.skipif(
    not (document.DOCS / document.KEPT).exists(), reason="not written yet: python -m train lessons --document"
)


@told
def test_the_document_is_what_the_lessons_printed_and_the_bird_models_card_says():
    kept, card = document.read(), read_card(find_model(document.BIRD))
    text = (document.DOCS / document.DOCUMENT).read_text(encoding="utf-8")
    assert text == document.render(kept, card), "run `python -m train document`"


@told
@pytest.mark.parametrize("n", NUMBERS)
def test_the_kept_results_were_printed_by_the_lesson_as_it_is_now(n):
    digests = {run[str(n)]["digest"] for run in document.read()["runs"]}
    assert digests == {road.digest(n)}, "run `python -m train lessons --document`"
    assert not any(run[str(n)]["quick"] for run in document.read()["runs"])


@told
@pytest.mark.parametrize("n", NUMBERS)
def test_a_lessons_file_tells_what_it_printed(n):
    assert document.describe(n, document.read()) in " ".join(road.docstring(n).split()), (
        "run `python -m train document`"
    )


@told
def test_each_lesson_has_pictures_in_the_document_and_they_are_small():
    kept = document.read()["runs"][0]
    named = {name for n in NUMBERS for name in kept[str(n)]["pictures"]}
    there = {path.name: path.stat().st_size for path in (document.DOCS / document.IMAGES).glob("lesson*.png")}
    assert set(there) == named
    assert all(any(name.startswith(f"lesson{n}-") for name in named) for n in NUMBERS)
    assert max(there.values()) < 60_000


@told
def test_the_kept_numbers_make_each_next_lesson_necessary():
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


def test_the_digest_is_of_the_code_and_not_of_what_the_file_says_of_itself(tmp_path, monkeypatch):
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    monkeypatch.setattr(road, "FILES", {1: first, 2: second})
    second.write_text('"""Two."""\n\nfrom train.lessons.lesson1_a import x\n')
    first.write_text('"""Says this."""\n\nx = 1\n')
    digest = road.digest(2)
    first.write_text('"""Says that,\n\nat length."""\n\nx = 1\n')
    assert road.digest(2) == digest
    first.write_text('"""Says this."""\n\nfrom photosearch.models.card import Card\nx = 1\n')
    assert road.digest(2) == digest
    first.write_text('"""Says this."""\n\nx = 3\n')
    assert road.digest(2) != digest


def test_a_stamp_changes_what_a_file_says_it_printed_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "lesson1.py"
    path.write_text('"""Title.\n\nPrinted: nothing yet.\n"""\n\nprint("Printed: 1")\n')
    monkeypatch.setattr(road, "FILES", {1: path})
    runs = [{"1": {"numbers": {"R2": value}}} for value in (0.5, 0.25, 1e-7)]
    document.stamp(1, {"machine": "a machine", "runs": runs})
    assert path.read_text() == (
        '"""Title.\n\nPrinted: R2 0.250 (1e-07 to 0.500). On a machine; n = 3 runs, median (lowest to highest).\n"""\n'
        '\nprint("Printed: 1")\n'
    )


# 1


def test_a_net_of_3_64_1_has_321_weights_and_no_bend_at_its_end():
    network = one.net(3, 64, 1)
    assert one.parameters(network) == 3 * 64 + 64 + 64 + 1
    assert [type(layer) for layer in network] == [nn.Linear, nn.ReLU, nn.Linear]


@pytest.mark.slow
def test_lesson_1_beats_the_mean_and_its_file_takes_any_number_of_houses(tmp_path):
    result = one.lesson(tmp_path, tmp_path, quick=True)
    assert 0.8 < result["numbers"]["R2"] < 0.99
    session = onnxruntime.InferenceSession(tmp_path / "lesson1.onnx")
    houses, prices = one.houses(7, seed=3)
    dollars = session.run(None, {"houses": houses.numpy()})[0]
    assert dollars.shape == (7,)
    assert one.r2(torch.from_numpy(dollars), prices) > 0.8


# 2


def test_the_box_keeps_all_ink_of_every_digit(data):
    from train.data import mnist

    images, _ = mnist.load(data("MNIST"), "test")
    assert (two.box(images).sum((1, 2), dtype=int) == images.sum((1, 2), dtype=int)).all()


def test_shrinking_keeps_what_is_even_and_the_same_size_is_the_same_picture():
    assert torch.allclose(two.resize(torch.full((1, 20, 20), 0.5), 18), torch.full((1, 18, 18), 0.5))
    picture = torch.rand(2, 20, 20)
    assert torch.allclose(two.resize(picture, 20), picture)


def test_always_no_is_mostly_right_and_finds_nothing():
    truth = torch.tensor([True] + [False] * 9)
    assert two.measure(torch.zeros(10), truth) == {"accuracy": pytest.approx(0.9), "precision": 0, "recall": 0}


def test_a_lesson_without_its_data_says_what_to_do_in_one_line(tmp_path):
    result = CliRunner().invoke(app, ["lesson", "2", "--data", str(tmp_path), "--to", str(tmp_path / "to")])
    assert result.exit_code == 1
    assert "python -m train data --fetch mnist" in str(result.exception)
    assert "\n" not in str(result.exception)


# 3


def test_a_digit_lands_where_it_was_put(pool):
    boxes, _ = pool
    canvas = three.place(boxes[:2], torch.tensor([5, 0]), torch.tensor([7, 28]), torch.tensor([20, 20]))
    canvas = canvas.reshape(2, 48, 48)
    assert torch.allclose(canvas[0, 5:25, 7:27], boxes[0])
    assert torch.allclose(canvas[1, 0:20, 28:48], boxes[1])
    assert torch.allclose(canvas.sum((1, 2)), boxes[:2].sum((1, 2)))


# 4


def test_overlap_of_squares_is_what_a_ruler_says():
    box = np.array([0, 0, 10])
    others = np.array([[0, 0, 10], [0, 5, 10], [20, 0, 10]])
    assert four.overlap(box, others).tolist() == [1, pytest.approx(50 / 150), 0]


def test_of_windows_on_the_same_thing_the_surest_remains():
    boxes = np.array([[0, 0, 10], [1, 1, 10], [30, 30, 10], [30, 30, 12]])
    assert four.suppress(boxes, np.array([0.9, 0.95, 0.7, 0.2]), 0.5) == [1, 2]


def test_all_windows_at_once_score_as_one_by_one(pool):
    scan = four.Scan(one.net(two.SIDE**2, two.HIDDEN, 2), three.CANVAS)
    x, _, _ = four.canvases(*pool, 2, seed=1)
    with torch.inference_mode():
        single = [scan.network(window[None]).softmax(1)[0, 0] for window in scan.windows(x)[1]]
    assert torch.allclose(scan(x)[1], torch.stack(single), atol=1e-6)
    assert len(scan.boxes) == len(single) == 679
    assert (scan.boxes[:, :2] + scan.boxes[:, 2:] <= three.CANVAS + 1).all()


def test_a_window_sees_the_part_of_the_canvas_that_its_box_says(pool):
    scan = four.Scan(one.net(two.SIDE**2, two.HIDDEN, 2), three.CANVAS)
    i = next(i for i, box in enumerate(scan.boxes) if tuple(box) == (20, 20, 20))
    x = three.place(pool[0][:1], torch.tensor([20]), torch.tensor([20]), torch.tensor([20]))
    assert (scan.windows(x)[0, i] - two.resize(pool[0][:1], two.SIDE).flatten()).abs().mean() < 0.05


def test_lesson_2s_net_comes_back_from_its_file(tmp_path):
    network = one.net(two.SIDE**2, two.HIDDEN, 2).eval()
    export(two.Photo(network, two.SIDE), two.card("lesson2", two.SIDE, "nothing"), tmp_path / "lesson2.onnx")
    again = four.weights(tmp_path / "lesson2.onnx")
    x = torch.rand(3, two.SIDE**2)
    assert torch.equal(again(x), network(x))


def test_the_scan_is_a_model_whose_score_is_that_of_the_surest_window(tmp_path, pool):
    scan = four.Scan(one.net(two.SIDE**2, two.HIDDEN, 2).eval(), three.CANVAS)
    x, _, _ = four.canvases(*pool, 3, seed=2)
    export(four.Anywhere(scan), two.card("lesson4", 48, "nothing"), tmp_path / "lesson4.onnx")
    scores = Model(tmp_path / "lesson4.onnx", provider="cpu").score(three.pixels(x.reshape(-1, 48, 48)))
    assert np.allclose(scores[:, 0], scan(x).max(1).values, atol=0.01)  # grey in steps of 1/255


# 5


def test_a_seed_makes_the_same_canvases_again_and_they_are_lesson_4s(pool):
    x, is_8 = five.canvases(20, *pool, seed=[0, 1])
    again, also_8, _ = four.canvases(*pool, 20, seed=[0, 1])
    assert torch.equal(x, again)
    assert torch.equal(is_8, also_8)
    assert not torch.equal(x, five.canvases(20, *pool, seed=[0, 2])[0])


def test_half_the_canvases_show_an_8_and_no_ink_is_lost(pool):
    x, is_8 = five.canvases(50, *pool, seed=3)
    assert x.shape == (50, 48 * 48)
    assert int(is_8.sum()) == 25
    assert float(x.min()) == 0
    assert float(x.max()) <= 1 + 1e-6
    assert (x.sum(1) > 10).all()


def test_the_pen_draws_without_a_file_the_same_digits_for_the_same_seed(pool):
    boxes, is_8 = pool
    assert torch.equal(boxes, five.pen(100, seed=1)[0])
    assert boxes.shape == (100, 20, 20)
    assert int(is_8.sum()) == 10
    assert float(boxes.min()) == 0
    assert float(boxes.max()) == 1
    eights = boxes[is_8]
    assert (eights[:, 8:12].amax((1, 2)) > 0.5).all()  # where its two rings meet there is ink


# 6


def test_tiles_fed_one_by_one_to_a_small_net_are_a_convolution(pool, monkeypatch):
    monkeypatch.setattr(six, "digits", lambda data, part: pool)
    steps, difference = six.five_steps(None, seed=0)
    assert len(steps["tiles"]) == 77
    assert steps["grid"].shape == (7, 11, 8)
    assert steps["kept"].shape == (3 * 5, 8)
    assert steps["logits"].shape == (2,)
    assert difference <= 1e-5
    assert steps["grid"].abs().max() > 0.1


def test_the_biggest_of_each_2x2_is_max_pooling(pool, monkeypatch):
    monkeypatch.setattr(six, "digits", lambda data, part: pool)
    steps, _ = six.five_steps(None, seed=0)
    pooled = nn.functional.max_pool2d(steps["grid"].permute(2, 0, 1), 2)
    assert torch.equal(steps["kept"].reshape(3, 5, 8), pooled.permute(1, 2, 0))


def test_the_conv_net_has_a_tenth_of_the_dense_nets_weights():
    dense = one.net(48 * 48, *[five.WIDTH] * min(five.DEPTHS), 2)
    assert one.parameters(six.conv_net()) == 88_226
    assert one.parameters(six.conv_net()) < one.parameters(dense) / 10


def test_the_saved_canvases_come_with_their_truth(tmp_path, pool):
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


def test_a_lesson_runs_those_before_it_only_where_their_files_are_missing_or_old(tmp_path, monkeypatch):
    ran = []

    def run(n, data, models, **how):
        ran.append(n)
        (models / f"lesson{n}.onnx").write_bytes(b"")
        road.keep(models / f"lesson{n}.json", {"digest": road.digest(n), "seed": how["seed"], "quick": False})

    monkeypatch.setattr(road, "run", run)
    road.lesson(3, tmp_path, tmp_path)
    road.lesson(4, tmp_path, tmp_path)
    assert ran == [2, 3, 4]
    road.lesson(4, tmp_path, tmp_path, seed=1)
    assert ran == [2, 3, 4, 2, 4]
    (tmp_path / "lesson2.json").write_text("{")
    road.lesson(3, tmp_path, tmp_path, seed=1)
    assert ran == [2, 3, 4, 2, 4, 2, 3]
