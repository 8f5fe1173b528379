"""A toy program whose tests notice one change, miss another, and fail by themselves now and then."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import choose_tests
from changes import ROOT, Change, choose, is_program, list_changes, name
from in_pages import find_in_page
from in_python import find_in_python
from mutants import main

PROGRAM = '''
"""Toy."""
import os

MAX_ROWS = 5
WAIT_SECONDS = 2.0


def write(db, rows, path, sync=True):
    check(rows)
    with db.transaction():
        db.put(path, rows[:MAX_ROWS])
    try:
        if sync and rows:
            os.fsync(db.fd)
    finally:
        db.close()
    if len(rows) >= MAX_ROWS:
        raise ValueError("too many")
    db.query("SELECT id FROM photo WHERE a = ? AND b IS NULL ORDER BY id DESC")
    db.wait(path, timeout=3)
    return escape(rows), path


def end():
    raise Exit(1)
'''
SCRIPT = """
function show(text, first) {
  // if (a) b();
  if (text && first) message.textContent = text;
  put(text, first);
}
"""
TEMPLATE = "{% if shown %}<p hidden>{{ name }}</p>{% endif %}\n"


def show(path: str, text: str) -> dict[tuple[str, str], Change]:
    data = text.encode()
    found = find_in_python(path, data) if path.endswith(".py") else find_in_page(path, data)
    return {(c.kind, c.show(data)): c for c in found}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("guard", "check(rows)", "pass"),
        ("guard", "return escape(rows), path", "return rows, path"),
        ("swap", "return x, y", "return y, x"),
        ("swap", "f(a, b)", "f(b, a)"),
        ("durability", "with db.transaction():", 'with __import__("contextlib").nullcontext():'),
        ("durability", "os.fsync(db.fd)", "pass"),
        ("clean-up", "db.close()", "pass"),
        ("raise", 'raise ValueError("too many")', "pass"),
        ("exit code", "raise Exit(1)", "raise Exit(0)"),
        ("default", "def write(db, rows, path, sync=True):", "def write(db, rows, path, sync=False):"),
        ("bound", "MAX_ROWS = 5", "MAX_ROWS = (5) * 1000"),
        ("bound", "if len(rows) >= MAX_ROWS:", "if len(rows) > MAX_ROWS:"),
        ("bound", "db.put(path, rows[:MAX_ROWS])", "db.put(path, rows[:])"),
        ("condition", "if sync and rows:", "if sync:"),
        ("condition", "if sync and rows:", "if (not (sync and rows)):"),
        ("time-out", "WAIT_SECONDS = 2.0", "WAIT_SECONDS = (2.0) * 1000"),
        ("time-out", "db.wait(path, timeout=3)", "db.wait(path, timeout=(3) * 1000)"),
    ],
)
def test_each_kind_of_change_of_python(kind: str, before: str, after: str) -> None:
    program = PROGRAM + "\n\ndef pair(x, y):\n    f(a, b)\n    return x, y\n"
    assert (kind, f"{before}  ->  {after}") in show("toy/a.py", program)


@pytest.mark.parametrize("after", ["(b IS NULL OR 1) ORDER BY id DESC", "b IS NULL ORDER BY id ASC"])
def test_sql_loses_a_term_or_turns_its_order(after: str) -> None:
    assert any(kind == "SQL" and shown.endswith(f'{after}")') for kind, shown in show("toy/a.py", PROGRAM))


@pytest.mark.parametrize(
    ("path", "kind", "after"),
    [
        ("a.mjs", "statement", ";"),
        ("a.mjs", "swap", "put(first, text);"),
        ("a.mjs", "guard", "if (text && first) message.innerHTML = text;"),
        ("a.mjs", "condition", "if (text || first) message.textContent = text;"),
        ("a.mjs", "condition", "if (!(text && first)) message.textContent = text;"),
        ("a.html", "condition", "{% if not (shown) %}<p hidden>{{ name }}</p>{% endif %}"),
        ("a.html", "guard", "{% if shown %}<p hidden>{{ name|safe }}</p>{% endif %}"),
        ("a.html", "statement", "{% if shown %}<p>{{ name }}</p>{% endif %}"),
    ],
)
def test_each_kind_of_change_of_pages(path: str, kind: str, after: str) -> None:
    found = show(path, SCRIPT if path == "a.mjs" else TEMPLATE)
    (change,) = (c for (k, shown), c in found.items() if k == kind and shown.endswith(f"  ->  {after}"))
    assert is_program(change, (SCRIPT if path == "a.mjs" else TEMPLATE).encode())
    assert not any("//" in shown for _, shown in found)


def test_each_room_has_its_share_by_the_seed_without_what_was_judged() -> None:
    every = [c for room in ("mcp", "ocr") for c in list_changes(ROOT, f"photosearch/{room}")]
    drawn = choose(iter(every), 20, 1)
    assert Counter(c.room for c in drawn) == {"mcp": 10, "ocr": 10}
    assert drawn == choose(iter(every), 20, 1) != choose(iter(every), 20, 2)
    known = name(drawn[0], (ROOT / drawn[0].path).read_bytes())
    assert drawn[0] not in choose(iter(every), 20, 1, judged=[known])


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """f is tested, g is not, h is tested by a test that fails, i hangs once it is broken."""
    root = tmp_path_factory.mktemp("toy")
    program = "".join(f"def {name}(x):\n    if x > 1:\n        return 1\n    return 0\n\n\n" for name in "fgh")
    loop = "def i(x):\n    while x > 1:\n        x -= 1\n    return x\n"
    for path, text in {
        "toy/__init__.py": "",
        "toy/room/__init__.py": "",
        "toy/room/steps.py": program + loop,
        "tests/room/test_steps.py": "from toy.room import steps\n\n\n"
        "def test_f():\n    assert [steps.f(x) for x in (1, 2)] == [0, 1]\n\n\n"
        "def test_g():\n    steps.g(1)\n\n\n"
        "def test_h():\n    assert steps.h(1) == 5\n\n\n"
        "def test_i():\n    assert steps.i(3) == 1\n\n\n"
        "def test_long():\n    import time\n    while time.process_time() < 3:\n        pass\n",
        "pyproject.toml": "[tool.pytest.ini_options]\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.mark.slow
def test_a_change_is_noticed_where_the_test_passes_unbroken(
    toy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("run_tests.LOADED", ["pytest"])
    monkeypatch.setattr("mutants.choose", lambda changes, *_, **__: _choose_four(changes))
    monkeypatch.setattr(
        "mutants.choose_tests", lambda change, *_: [[f"tests/room/test_steps.py::test_{change.names[0]}"]]
    )
    out = tmp_path / "tried.json"
    before = {path: path.read_bytes() for path in toy.rglob("*.py")}
    assert main(["--root", str(toy), "--package", "toy", "--budget", "0.5", "--json", str(out)]) == 0
    tried = {row["change"]["names"][0]: (row["verdict"], row["by"]) for row in json.loads(out.read_text())}
    own = "tests/room/test_steps.py::test_"
    assert tried == {
        "f": ("noticed", f"{own}f"),
        "g": ("survived", ""),
        "h": ("survived", ""),
        "i": ("noticed", f"{own}i"),
    }
    said = capsys.readouterr().out
    assert "| room | 2 / 4 | 50 % |" in said
    assert f"Fail unbroken too:\n- {own}h" in said
    assert "Nobody noticed:\n- toy/room/steps.py:8 (bound): if x > 1:  ->  if x >= 1:" in said
    assert {path: path.read_bytes() for path in toy.rglob("*.py")} == before


@pytest.mark.slow
def test_a_change_is_late_where_the_budget_ends_before_its_tests(
    toy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = "tests/room/test_steps.py::test_"
    monkeypatch.setattr("run_tests.LOADED", ["pytest"])
    monkeypatch.setattr("mutants.choose", lambda changes, *_, **__: _choose_four(changes)[:1])
    monkeypatch.setattr("mutants.choose_tests", lambda *_: [[f"{own}long", f"{own}f"]])
    assert main(["--root", str(toy), "--package", "toy", "--budget", "1"]) == 0
    said = capsys.readouterr().out
    assert "| room | 0 / 1 | 0 % |" in said
    assert "Out of time:\n- toy/room/steps.py" in said


def test_tests_that_share_rare_words_with_a_change_come_first() -> None:
    change = Change("photosearch/cli/output.py", 4, "exit code", 0, 1, "0", ("guard",))
    source = "def guard():\n    # a full disk, a closed pipe\n    if disk:\n        raise Exit(1)\n"
    tests = "".join(f"def test_{i}(run):\n    assert run('find') == {i}\n\n\n" for i in range(20))
    tests += "@pytest.mark.slow\n@pytest.mark.parametrize('to', ['full disk'])\ndef test_end(run, to):\n    run(to)\n"
    files = [
        choose_tests.TestFile("tests/cli/test_faults.py", tests + "\n\ndef test_pipe(run):\n    run('closed pipe')\n")
    ]
    (first, *_), others = choose_tests.choose_tests(change, files, {}, source)
    assert first.endswith("::test_pipe"), "and slow ones behind the quick"
    assert len(others) == 21 - choose_tests.FIRST


def _choose_four(changes: object) -> list[Change]:
    """The bound of f, g and h; of i the step is lost, so that it never ends."""
    found = [c for c in changes if c.kind == ("statement" if c.names == ("i",) else "bound")]  # type: ignore[attr-defined]
    return sorted(found, key=lambda c: c.names)
