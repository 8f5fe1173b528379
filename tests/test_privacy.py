"""What a person photographs is nobody else's business: no connection is made, nothing is readable by others, nothing
is left behind where it should be gone, and nothing is ever written among the photos.

Everything through the real command, in processes that are watched.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_hostile import BOUND, snapshot
from toy import photo, write_toy

import photosearch

pytestmark = [pytest.mark.hostile, pytest.mark.timeout(900)]
CHECKOUT = Path(photosearch.__file__).parents[1]
STRACE = shutil.which("strace") is not None
QUIET = ("PHOTOSEARCH_DB", "ORT_DISABLE_TELEMETRY", "CI")  # the last two keep ONNX Runtime's telemetry quiet
PHOTOSEARCH = [sys.executable, "-c", "from photosearch.cli.app import main; main()"]
SEVERAL = """
import sys
from photosearch.cli.app import app
for line in sys.argv[1:]:
    try:
        app(line.split(" "), prog_name="photosearch")
    except SystemExit as end:
        assert not end.code, line
"""
# Python tells a hook of every socket that is made, bound or connected and of every name that is looked up.
GUARD = """
import os, sys
def forbid(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname":
        with open(os.environ["SAID"], "a") as said:
            print(event, arguments, file=said)
        raise PermissionError(event)
sys.addaudithook(forbid)
with open(os.environ["SAID"], "a") as said:
    print("guarded", file=said)
"""


DAY = """
index PHOTOS --model MODEL
index PHOTOS --model MODEL --force --retry
find red
find red and not blue --json
mark PHOTOS/0.jpg --is red
mark PHOTOS/1.png --not red
report --precision-recall --label red
status
errors
labels
marks export
folders
folders set PHOTOS --exclude *.gif
index --json
models
models default toy
sample red -n 4 --to SHEET
judge red --none
report
doctor --provider cpu
"""


@dataclass(frozen=True)
class Home:
    """Photos of each format, a model, a home folder, and an empty folder to stand in."""

    folder: Path

    def path(self, text: str) -> str:
        places = {"PHOTOS": "photos", "MODEL": "toy.onnx", "SHEET": "sheet"}
        for word, place in places.items():
            text = text.replace(word, f"{self.folder}/{place}")
        return text

    @property
    def library(self) -> Path:
        return self.folder / "home" / "data" / "photosearch"

    def run(self, *commands: str) -> None:
        """In one process, one after another."""
        self.start(sys.executable, "-c", SEVERAL, *map(self.path, commands))

    def start(self, *words: str) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if name not in QUIET},
            **{"HOME": str(self.folder / "home"), "XDG_DATA_HOME": str(self.folder / "home" / "data")},
            **{"PYTHONPATH": f"{self.folder / 'guard'}{os.pathsep}{CHECKOUT}", "SAID": str(self.folder / "said")},
        }
        done = subprocess.run(
            words,
            cwd=self.folder / "here",
            env=environment,
            umask=0,  # nothing held back
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (words, done.stderr)

    def held(self, text: str) -> list[str]:
        """The files of the library in which a text stands."""
        return sorted(p.name for p in self.library.iterdir() if text.encode() in p.read_bytes())


def make_home(folder: Path) -> Home:
    for i, kind in enumerate(("jpg", "png", "webp", "gif", "tif", "bmp", "avif")):
        photo(folder / "photos" / f"{i}.{kind}", "red", size=(60 + i, 40))
    (folder / "photos" / "broken.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(50))
    write_toy(folder / "toy.onnx")
    for name in ("here", "guard"):
        (folder / name).mkdir()
    (folder / "guard" / "sitecustomize.py").write_text(GUARD)
    return Home(folder)


@dataclass(frozen=True)
class Day:
    """What one day with the tool left behind: every command ran once, watched by Python and by the kernel."""

    home: Home
    photos_before: dict[str, tuple[int, ...]]
    asked: list[str]  # the calls to the kernel that have to do with the network


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    home = make_home(tmp_path_factory.mktemp("day"))
    before, trace = snapshot(home.folder / "photos"), home.folder / "trace"
    watch = ("strace", "-f", "--seccomp-bpf", "-e", "trace=%network", "-o", str(trace)) if STRACE else ()
    home.start(*watch, sys.executable, "-c", SEVERAL, *home.path(DAY.strip()).splitlines())
    asked = re.findall(r"^\d+ +(\w+\(.*)$", trace.read_text(), re.MULTILINE) if STRACE else []
    return Day(home, before, asked)


def test_commands_create_no_socket(day: Day) -> None:
    said = (day.home.folder / "said").read_text().splitlines()
    assert set(said) == {"guarded"}, "and nothing but that"
    assert len(said) > 2, "the decoders were guarded too"


@pytest.mark.skipif(not STRACE, reason="strace is not here")
def test_commands_make_no_network_system_call(day: Day) -> None:
    """Native libraries included: ONNX Runtime's telemetry was found here."""
    assert day.asked == []


def test_only_its_owner_may_read_a_library(day: Day) -> None:
    library = day.home.library
    modes = {p.name: oct(p.stat().st_mode & 0o777) for p in (library, *library.iterdir())}
    files = ("library.db", "library.db.lock", "library.db.user-copy")
    assert modes == {"photosearch": "0o700", **dict.fromkeys(files, "0o600")}


def test_commands_write_only_beside_the_library(day: Day) -> None:
    folder = day.home.folder
    assert snapshot(folder / "photos") == day.photos_before
    assert list((folder / "here").iterdir()) == []
    written = sorted(str(p.relative_to(folder / "home")) for p in (folder / "home").rglob("*") if p.is_file())
    assert written == [f"data/photosearch/library.db{end}" for end in ("", ".lock", ".user-copy")]


def test_library_log_is_readable_by_owner_only(tmp_path: Path) -> None:
    program = """if True:
        import os, sys
        from photosearch.library.folders import add_root
        from photosearch.library.database import Database
        with Database(sys.argv[1], create=True) as db:
            add_root(db, "/photos")
            for name in sorted(os.listdir(os.path.dirname(sys.argv[1]))):
                print(name, oct(os.stat(os.path.join(os.path.dirname(sys.argv[1]), name)).st_mode & 0o777))
    """
    command = [sys.executable, "-c", program, str(tmp_path / "lib" / "s.db")]
    told = subprocess.check_output(command, text=True, umask=0)
    assert told.splitlines() == ["s.db 0o600", "s.db-shm 0o600", "s.db-wal 0o600", "s.db.user-copy 0o600"]


def test_photos_that_may_not_be_written_are_indexed_all_the_same(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    for path in (*(tmp_path / "photos").iterdir(), tmp_path / "photos"):
        path.chmod(0o500 if path.is_dir() else 0o400)
    home.start(*BOUND, *PHOTOSEARCH, *home.path("index PHOTOS --model MODEL").split(" "))
    (tmp_path / "photos").chmod(0o700)
    assert home.held("6.avif") == ["library.db"]


def test_forget_leaves_no_trace(tmp_path: Path) -> None:
    home = make_home(tmp_path)
    photo(tmp_path / "photos" / "secret-place" / "secret-photo.jpg", "blue")
    photo(tmp_path / "photos" / "secret-file.png", "green", size=(77, 77))
    home.run("index PHOTOS --model MODEL", "mark PHOTOS/secret-file.png --is green")
    assert home.held("secret-place") == home.held("secret-file") == ["library.db"]
    home.run("forget PHOTOS/secret-file.png --yes")
    assert (home.held("secret-place"), home.held("secret-file")) == (["library.db"], [])
    shutil.rmtree(tmp_path / "photos" / "secret-place")  # a folder that is gone can be forgotten too
    home.run("forget PHOTOS/secret-place --yes")
    assert (home.held("secret"), home.held("0.jpg")) == ([], ["library.db"])
    home.run("rebuild --force --yes", "index PHOTOS --model MODEL", "forget --all --yes")
    assert home.held("0.jpg") == home.held("photos/") == home.held("toy") == []
    assert sorted(p.name for p in home.library.iterdir()) == ["library.db", "library.db.lock"]
