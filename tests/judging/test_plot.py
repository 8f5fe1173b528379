"""Plots of a report: written whole, for any label, with errors in one line."""

import signal
import sys

import numpy as np
import pytest
from PIL import Image

from photosearch.errors import InputError
from photosearch.judging import metrics, plot

rng = np.random.default_rng(1)
PHOTOS = [metrics.LabeledScore(f"{i}.jpg", float(s), bool(rng.random() < s)) for i, s in enumerate(rng.random(200))]
RED = (0xD5, 0x5E, 0x00)


def reds(path):
    """Where the picture is red: the mean column and row, as shares of its width and height."""
    with Image.open(path) as image:
        there = np.argwhere((np.asarray(image.convert("RGB")) == RED).all(axis=2))
        return there[:, 1].mean() / image.width, there[:, 0].mean() / image.height


@pytest.mark.parametrize("drawing", [plot.draw_precision_recall, plot.draw_reliability])
def test_draw_writes_the_image_and_no_other_file(tmp_path, drawing):
    drawing(tmp_path / "p.png", PHOTOS, 0.5, "bird")
    with Image.open(tmp_path / "p.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 800
    drawing(tmp_path / "p.SVG", PHOTOS, 0.5, "bird")
    svg = (tmp_path / "p.SVG").read_text()
    assert svg.startswith("<?xml")
    assert "<!-- bird" in svg, "its title"
    assert sorted(x.name for x in tmp_path.iterdir()) == ["p.SVG", "p.png"]


def test_file_of_another_program_is_refused_before_anything_is_drawn(tmp_path):
    (tmp_path / "notes.png").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"notes\.png"), plot._figure(tmp_path / "notes.png", (1, 1), force=False):
        raise AssertionError("it is drawn")
    assert (tmp_path / "notes.png").read_bytes() == b"mine"


def test_draw_precision_recall_puts_the_threshold_on_the_curve(tmp_path):
    places = []
    for threshold in (0.2, 0.8):
        plot.draw_precision_recall(tmp_path / "p.png", PHOTOS, threshold, "bird")
        places.append(reds(tmp_path / "p.png"))
    assert places[0][0] > places[1][0] + 0.2  # more recall: further right
    assert places[0][1] > places[1][1]  # less precision: further down


@pytest.mark.slow
def test_draw_reliability_puts_a_line_at_the_threshold(tmp_path):
    places = []
    for threshold in (0.2, 0.8):
        plot.draw_reliability(tmp_path / "p.png", PHOTOS, threshold, "bird")
        places.append(reds(tmp_path / "p.png"))
    assert places[1][0] - places[0][0] == pytest.approx(0.6 * 0.87, abs=0.05)


def test_draw_precision_recall_omits_the_point_where_nothing_is_found(tmp_path):
    plot.draw_precision_recall(tmp_path / "p.png", PHOTOS, 1.0, "bird")
    with Image.open(tmp_path / "p.png") as image:
        assert not (np.asarray(image.convert("RGB")) == RED).all(axis=2).any()


@pytest.mark.slow
@pytest.mark.parametrize("label", ["$x", "$\\frac{$", "鸟", "\\"])
def test_draw_prints_labels_as_text(tmp_path, label):
    for drawing in (plot.draw_precision_recall, plot.draw_reliability):
        drawing(tmp_path / "p.png", PHOTOS, 0.5, label)
        assert (tmp_path / "p.png").stat().st_size > 10_000


@pytest.mark.slow
def test_draw_works_with_one_photo(tmp_path):
    for drawing in (plot.draw_precision_recall, plot.draw_reliability):
        drawing(tmp_path / "p.png", [metrics.LabeledScore("a.jpg", 1.0, True)], 0.5, "bird")
        across, down = reds(tmp_path / "p.png")  # the point and the threshold are there
        assert 0 < across < 1
        assert 0 < down < 1


def test_draw_refuses_in_one_line(tmp_path):
    with pytest.raises(InputError, match="none of the 1 marked photos shows bird"):
        plot.draw_precision_recall(tmp_path / "p.png", [metrics.LabeledScore("a.jpg", 0.9, False)], 0.5, "bird")
    with pytest.raises(InputError, match="there is nothing to draw"):
        plot.draw_reliability(tmp_path / "p.png", [], 0.5, "bird")
    with pytest.raises(InputError, match=r"p\.xyz: unknown image format; end the name in \.png"):
        plot.draw_reliability(tmp_path / "p.xyz", PHOTOS, 0.5, "bird")
    with pytest.raises(InputError, match="can't be written: No such file or directory"):
        plot.draw_reliability(tmp_path / "no" / "p.png", PHOTOS, 0.5, "bird")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_draw_keeps_the_old_image_on_failure(tmp_path):
    resource = pytest.importorskip("resource", reason="a disk that is full, by a limit on the length of files")
    plot.draw_precision_recall(tmp_path / "p.png", PHOTOS, 0.5, "bird")
    before = (tmp_path / "p.png").read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(InputError, match=r"p\.png: can't be written: File too large; make room"):
            plot.draw_reliability(tmp_path / "p.png", PHOTOS, 0.5, "bird")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [(x.name, x.read_bytes()) for x in tmp_path.iterdir()] == [("p.png", before)]


def test_draw_names_the_extra_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'photosearch\[plot\]'"):
        plot.draw_precision_recall(tmp_path / "p.png", PHOTOS, 0.5, "bird")
