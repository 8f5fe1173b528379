"""What exported pages say: every value as text, the figures of a report as they were measured."""

import re

from markupsafe import Markup
from test_templates import HOSTILE, Elements, compare_texts

from photosearch.web.html_export import ExportedPhoto, Plot
from photosearch.web.rendering import render

ESCAPED = "&lt;b id=x onload=y&gt;&#39;&#34;"
PAGE = {"policy": "p", "created": "now", "script": Markup("1 < 2"), "style": Markup("a > b")}


def make_photo(number: int, taken_from: str = "exif", **values: object) -> ExportedPhoto:
    day = "2020-05-01 10:00:00"
    return ExportedPhoto(
        f"/a/{HOSTILE}{number}.jpg", 0.12345, day, taken_from, f"data:{number}", copies=number, **values
    )  # type: ignore[arg-type]


def render_found(photos: list[ExportedPhoto], **values: object) -> str:
    given = {"question": HOSTILE, "models": ["a", "<b id>"], "photos": photos, "hints": [HOSTILE], "left_out": 0}
    return render("found.html", **PAGE | given | values)


def check(html: str, *parts: str) -> None:
    """Whole, without elements or attributes of a value, and with all of parts."""
    elements = Elements(html)
    assert elements.open == []
    assert "<b id" not in html
    assert not [name for _, attributes, _ in elements.all for name in attributes if name.startswith("on")]
    assert [part for part in parts if part not in html] == []


def test_found_photos_are_told_as_text() -> None:
    html = render_found(
        [make_photo(0), make_photo(1, "name"), make_photo(2, "file"), make_photo(3, sure=False)], left_out=1200
    )
    check(
        html, f"<title>{ESCAPED} · photosearch</title>",
        f"<h1>{ESCAPED}</h1>\n<p>4 photos (model: a and &lt;b id&gt;); ",
        f"; 1,200 more did not fit on this page.</p>\n<p>{ESCAPED}</p>", "Created by photosearch, now.",
        '<meta http-equiv="Content-Security-Policy" content="p">', '<meta name="referrer" content="no-referrer">',
        "<style>a > b</style>", "<script>1 < 2</script>\n</body>\n</html>", '<label for="filter">',
        '<input id="filter" type="search"', '<p id="shown" class="soft" role="status">',
        f'<img src="data:1" alt="{ESCAPED}1.jpg" loading="lazy"',
    )  # fmt: skip
    captions = re.findall("<figcaption>(.*?)</figcaption>", html)
    first = '<b>0.123</b> 2020-05-01 10:00:00 <span class="soft">(exif)</span><br><bdi>/a/'
    assert captions[0] == f"{first}{ESCAPED}0.jpg</bdi>"
    parts = ("(file name)", " +1 copy<br>"), ("(file date)", " +2 copies<br>")
    assert all(part in caption for caption, both in zip(captions[1:], parts, strict=False) for part in both)
    assert re.findall(r'<a href="(file:///a/.*?)">', html)[0].endswith("0.jpg")
    before, heading, after = html.partition('<h2>Not sure about these</h2>\n<div class="photos">')
    assert (before.count("<figure>"), bool(heading), after.count("<figure>")) == (3, True, 1)


def test_nothing_found_is_a_page_too() -> None:
    compare_texts(render_found([make_photo(1)]), "found")
    html = render_found([], models=[], hints=[])
    check(html, "<p>0 photos.</p>")
    assert "filter" not in html
    one = render_found([ExportedPhoto("s3://a.jpg", None, error="<b id>")])
    check(
        one, "<p>1 photo (model", "<figure><a><span", "a.jpg: &lt;b id&gt;</span></a>\n<figcaption><br><bdi>s3://a.jpg"
    )
    assert "Not sure" not in one


def make_report(**values: object) -> str:
    intervals = {"precision": (0.1, 0.9), "recall": None, "f1": None, "accuracy": None}
    shares = {
        "precision": 0.5, "recall": 0.25, "f1": None, "accuracy": 1.0, "always_no_accuracy": 0.75,
        "intervals": intervals,
    }  # fmt: skip
    counts = {
        "label": HOSTILE,
        "model": HOSTILE,
        "threshold": 0.12345,
        "n": 1234,
        "tp": 1001,
        "fp": 2,
        "fn": 3,
        "tn": 4,
    }
    library = {**shares, "precision": 0.125, "population": 50_000, "judged": 40, "drawn": 60}
    ends = {"precision": ((1.0, 110.0), (1.0, 130.0)), "recall": ((280.0, 1.0), (310.0, 1.0))}
    given: dict[str, object] = {
        "report": {**shares, **counts, "library": library}, "chosen_on": HOSTILE, "calibration_error": 0.0456,
        "plot": Plot([(0.0, 400.0), (200.0, 100.0)], (300.0, 120.0), ends, 0.9876), "side": 400,  # type: ignore[dict-item]
        "bins": [{"low": 0.1, "high": 0.2, "n": 1500, "score": 0.15, "present": 0.25, "interval": (0.05, 0.5)}],
        "false_positives": [make_photo(1), make_photo(2)], "false_negatives": [make_photo(3)],
    }  # fmt: skip
    return render("report.html", **PAGE | given | values)


def test_report_says_its_figures() -> None:
    html = make_report()
    compare_texts(html, "report")
    check(
        html, f"<h1>Report on {ESCAPED}</h1>\n<p>Model: {ESCAPED}. Threshold: 0.1235.\n",
        f"Report on {ESCAPED} · photosearch</title>", f"The threshold was chosen on {ESCAPED}: expect slightly worse",
        "Whole library (50,000 photos), estimated from 40 of 60 sampled photos", "Created by photosearch, now.",
        "<caption>1,234 photos that you marked, not a random sample</caption>",
        '<th scope="row">found</th><td>1,001</td><td>2</td></tr>',
        '<th scope="row">not found</th><td>3</td><td>4</td></tr>', "<h2>Missed photos</h2>",
    )  # fmt: skip
    others = [("recall", "25.0 %", "–"), ("f1", "–", "–"), ("accuracy", "100.0 %", "–")]
    assert re.findall(r'"row">(\w+)</th><td>(.*?)</td>\n<td>(.*?)</td></tr>', html) == [
        ("precision", "12.5 %", "10.0 to 90.0 %"), *others, ("precision", "50.0 %", "10.0 to 90.0 %"), *others,
    ]  # fmt: skip
    assert html.count('<tr><th scope="row">baseline (always “no”)</th><td>75.0 %</td><td>accuracy</td></tr>') == 2
    found, missed = html.split("<h2>False positives</h2>")[1].split("<h2>Missed photos</h2>")
    assert (found.count("<figure>"), missed.count("<figure>")) == (2, 1)


def test_report_draws_what_it_measured() -> None:
    html = make_report()
    check(
        html, '<polyline class="curve" points="0.0,400.0 200.0,100.0 "/>', "Expected calibration error 0.046.",
        '<line class="whisker" x1="300.0" x2="300.0" y1="110.0" y2="130.0"/>',
        '<line class="whisker" y1="120.0" y2="120.0" x1="280.0" x2="310.0"/>',
        '<circle class="at" cx="300.0" cy="120.0" r="6"/>', '<line class="thin" x1="0" y1="400" x2="400" y2="0"/>',
        '<line class="bar" x1="60.0" x2="60.0" y1="380.0" y2="200.0"/>',
        '<circle class="dot" cx="60.0" cy="300.0" r="5"/>',
        '<th scope="row">0.1 to 0.2</th><td>1,500</td><td>0.150</td><td>25.0 %</td>',
    )  # fmt: skip
    assert html.count("0.988") == 2
    assert html.count('<svg viewBox="-50 -10 465 460"') == 2
    assert html.count('<rect class="axis" x="0" y="0" width="400" height="400"/>') == 2
    across, up = (
        re.findall(r'<text x="([\d.]+)" y="418" text-anchor="middle">([\d.]+)</text>', html),
        re.findall(r'<text x="-8" y="([\d.]+)" text-anchor="end">([\d.]+)</text>', html),
    )
    assert across == [("0", "0"), ("200.0", "0.5"), ("400", "1")] * 2
    assert up == [("405", "0"), ("205.0", "0.5"), ("5", "1")] * 2
    assert re.findall(r'<text x="200.0" y="438" text-anchor="middle">(.*?)</text>', html) == ["recall", "score"]
    turned = re.findall(r'<text x="-34" y="200.0" .*?transform="rotate\(-90 -34 200.0\)">(.*?)<', html)
    assert turned == ["precision", "share that shows it"]


def test_report_without_a_curve_or_mistakes_says_no_more() -> None:
    html = make_report(plot=None, false_positives=[], false_negatives=[], chosen_on=None)
    assert [word for word in ("chosen on", "recall</h2>", "positives", "Missed") if word in html] == []
