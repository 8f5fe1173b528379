"""Every text of the command line, compared with tests/cli/texts/: the help of all commands, and a scripted session.

Elsewhere tests assert facts. To accept changed texts: make texts
"""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest
from cli_env import CliEnv
from option_coverage import list_commands
from toy import photo, sight_card, write_toy, write_toy_text
from two_towers import transformers_js

TEXTS = Path(__file__).parent / "texts"
WRITE = "PHOTOSEARCH_WRITE_TEXTS"
MASKS = (  # what varies, by regular expression -> its place in the text
    (r"\d\d\d\d-\d\d-\d\dT?[ _]?\d\d:?\d\d(:?\d\d)?Z?", "TIME"),
    (r"\d\.\d{7,}", "SCORE"),
    (r"\d+\.\d s(, [\d,.]+ photos/s)?", "SECONDS"),
    (r"\b[\d,.]+ (KB|MB|GB)", "SIZE"),
    (r'"(seconds|size_bytes|mtime_ns|pid)": [\d.]+', r'"\1": N'),
    (r"[\d.]+ ms per photo", "MILLISECONDS"),
    (r"one of \d+ cores?", "one of N cores"),
    (r"text in pictures\t(works|not installed)\t.*", "text in pictures\tWORKS, OR NOT INSTALLED"),
)

SESSION = """
# nothing is indexed yet
find red
status
status --db nowhere.db
index
index nowhere
index photos/red.jpg
index photos --model nothing
index photos --provider abacus
index photos --engine spark
index photos --shards x

# index
index photos --model toy.onnx --workers 1 --json
index photos
index photos --tiles 4
index photos --tiles 5
index photos/2019 --model other.onnx --exclude *.webp
index empty
index photos --require-gpu --provider cpu
folders
folders set photos --exclude notes --follow-symlinks
folders set nowhere --tiles 4
folders remove photos/2019
folders remove nowhere
errors

# find
find red
find red --limit 1
find red --json --limit 1
find green and not red
find red --model other
find red --model nope
find black --limit 3
find black --limit 1
find zebra --limit 1
find zebra --paths
find '"black" and red' --explain --limit 2
find rad --label
find "red and" --label
find "(red"
find --like photos/red.jpg --limit 2
find --like nowhere.jpg
find --unlike photos/red.jpg
find
find red --json --csv
find red --sort size
find red --since soon
find red --under /nowhere
find black --min-score 0.5
find red --copy-to album
find red --copy-to album
find red --html found.html
find red --html nowhere/found.html
find red --preview
duplicates
duplicates --under /nowhere

# labels
labels
labels show red
labels show rad
labels tree
labels add "my night" black
labels add "my night" black
find my night
labels show "my night"
labels remove red
labels remove "my night"

# marks and reports
report
mark photos/red.jpg
mark photos/red.jpg photos/2019/white.png --is red
mark photos/blue0.png photos/black.png --not red
mark nowhere.jpg --is red
mark photos/red.jpg --is rose
mark photos/red.jpg --is red --not red
report
report --calibration
report --labels
report --at-precision 1
report --threshold 0.5 --at-recall 1
report --labels --label red
report --retrieval queries.csv
marks export
marks import marks.csv
marks import wrong.csv
marks import nowhere.csv
undo marks
undo marks
mark photos/red.jpg --forget red
threshold set red 0.75
threshold set red --at-recall 1
threshold set red
undo threshold red
threshold reset red
undo threshold blue

# samples
sample red -n 4
sample red -n 4
judge red
judge red 9
judge red 1 2
report --label red
judge blue 1

# learning
learn rose
mark photos/red.jpg photos/2019/white.png --is rose --new
learn rose
mark GREENS --is lawn --new
mark BLUES --not lawn
learn lawn
learn lawn
undo learning lawn
undo learning lawn

# keywords
keywords export red --dry-run
keywords export red
keywords export red
keywords export nothing
keywords import
keywords import --rated keeper=9

# models
models show toy.onnx
models show nothing
models default other
models default nothing
models add clip
models add clip
models add empty
models pull
models pull clip-b32
models pull nothing
models remove nothing --yes
models remove clip
models remove clip --yes

# upkeep
status
forget photos/black.png
forget photos/black.png --yes
forget
forget --all
rebuild
rebuild --force
rebuild --force --yes
doctor --provider abacus --model toy.onnx
merge nowhere
merge nowhere --root nonsense
"""


def test_help_of_every_command(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    texts = [cli_env.run(*name.split(), "--help").stdout for name, _ in list_commands()]
    compare("help.txt", "\n".join(texts))


@pytest.mark.slow
def test_session(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepare(cli_env))
    monkeypatch.setenv("COLUMNS", "80")
    groups = {"GREENS": [f"photos/green{i}.png" for i in range(6)], "BLUES": [f"photos/blue{i}.png" for i in range(6)]}
    lines = []
    for line in SESSION.strip().splitlines():
        words = [word for part in shlex.split(line, comments=True) for word in groups.get(part, [part])]
        lines += [f"$ photosearch {line}", *run(cli_env, words)] if words else [line]
    compare("session.txt", mask("\n".join(lines) + "\n", cli_env.folder))


def prepare(cli_env: CliEnv) -> Path:
    """The folder of the session: photos of plain colours, some broken and odd files, a model, lists of marks."""
    write_toy(cli_env.model, sight_card())
    (cli_env.folder / "models").mkdir()
    write_toy_text(cli_env.folder / "models" / "toy-text.onnx")
    photo(cli_env.photos / "black.png", "black")
    (cli_env.photos / "copy.jpg").write_bytes((cli_env.photos / "red.jpg").read_bytes())
    (cli_env.photos / "broken.jpg").write_bytes(b"no photo")
    for name in ("film.mp4", "notes"):
        (cli_env.photos / name).write_bytes(b"x")
    for colour in ("green", "blue"):
        for i in range(6):
            photo(cli_env.photos / f"{colour}{i}.png", colour, size=(20 + i, 20))
    (cli_env.folder / "empty").mkdir()
    (cli_env.folder / "marks.csv").write_text("path,label,present\nphotos/red.jpg,red,0\nphotos/black.png,blue,0\n")
    (cli_env.folder / "wrong.csv").write_text("path,label,present\nphotos/red.jpg,red,maybe\n")
    (cli_env.folder / "queries.csv").write_text("query,path\nblack,photos/black.png\n")
    transformers_js(cli_env.folder / "clip")
    return cli_env.folder


def run(cli_env: CliEnv, words: Sequence[str]) -> list[str]:
    """The lines that a command prints: stdout, then stderr behind a bar, then the exit code if it is not 0."""
    result = cli_env.run(*words)
    lines = [*result.stdout.splitlines(), *(f"| {line}" for line in result.stderr.splitlines())]
    if words[0] == "learn":  # its figures may differ between linear algebra libraries
        lines = [re.sub(r"\d+(\.\d+)?", "N", line.removesuffix(" (too few to say)")) for line in lines]
    return [*lines, f"[exit {result.exit_code}]"] if result.exit_code else lines


def mask(text: str, folder: Path) -> str:
    text = text.replace(str(folder), "FOLDER")
    for pattern, place in MASKS:
        text = re.sub(pattern, place, text)
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines())


def compare(name: str, text: str) -> None:
    if os.environ.get(WRITE):
        (TEXTS / name).write_text(text)
    kept = (TEXTS / name).read_text()
    assert text == kept, "the texts changed; to accept them: make texts"
