"""Every option that writes: what is there already is safe, whatever it is, and one line says what to do."""

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cli_env import CliEnv, fail, make_cli_env, notes

from photosearch import outputs
from photosearch.engines.store import FolderStore
from photosearch.errors import InputError

FILES = {  # option -> the command, the file's suffix and its first bytes
    "find --html": (("find", "red", "--html"), ".html", b"<!doctype html>"),
    "report --html": (("report", "--label", "red", "--html"), ".html", b"<!doctype html>"),
    "report --plot png": (("report", "--label", "red", "--plot"), ".png", b"\x89PNG"),
    "report --plot svg": (("report", "--label", "red", "--plot"), ".svg", b"<?xml"),
    "report --plot pdf": (("report", "--label", "red", "--plot"), ".pdf", b"%PDF"),
}
FOLDERS = {
    "find --copy-to": ("find", "red", "--copy-to"),
    "find --link-to": ("find", "red", "--link-to"),
    "sample --to": ("sample", "red", "-n", "4", "--to"),
}
each_file = pytest.mark.parametrize(
    "option", [pytest.param(name, marks=[pytest.mark.slow] * name.endswith(("svg", "pdf"))) for name in FILES]
)
each_folder = pytest.mark.parametrize("option", FOLDERS)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> CliEnv:
    """An indexed library with marks."""
    env = make_cli_env(tmp_path_factory.mktemp("shared"))
    assert env.run("--db", env.library, "index", env.photos, "--model", env.model, "--workers", 1).exit_code == 0
    env.run("--db", env.library, "mark", env.photos / "red.jpg", "--is", "red")
    env.run("--db", env.library, "mark", env.photos / "2019" / "blue.webp", "--not", "red")
    return env


@pytest.fixture
def marked(shared: CliEnv, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliEnv]:
    """That library, and an empty current folder beside it."""
    monkeypatch.setenv("PHOTOSEARCH_DB", str(shared.library))
    (shared.folder / "here").mkdir()
    monkeypatch.chdir(shared.folder / "here")
    yield shared
    shutil.rmtree(shared.folder / "here")


def snapshot(folder: Path) -> dict[str, object]:
    """Everything below a folder: kinds, contents and links, without SQLite's logs and what a search derives."""
    found: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name, status = str(path.relative_to(folder)), path.lstat()
        if stat.S_ISLNK(status.st_mode):
            found[name] = str(path.readlink())
        elif not any(word in name for word in ("-wal", "-shm", ".thumbnails", ".lock")):
            found[name] = path.read_bytes() if stat.S_ISREG(status.st_mode) else stat.S_IFMT(status.st_mode)
    return found


def make_targets(env: CliEnv, suffix: str) -> Iterator[tuple[str, str]]:
    """(path, a word of the error) of what no option may replace, with --force or without."""
    here = Path.cwd()
    (here / "mine.txt").write_text("my notes")
    (here / f"link{suffix}").symlink_to("mine.txt")
    (here / f"dangling{suffix}").symlink_to("nowhere")
    (here / f"to-photo{suffix}").symlink_to(env.photos / "red.jpg")
    (here / f"folder{suffix}").mkdir()
    (here / f"raw{suffix}").write_bytes(b"FUJIFILMCCD-RAW 0201")
    (here / "unreadable.NEF").write_bytes(b"a card that failed")
    (here / "copy.db").write_bytes(env.library.read_bytes())
    os.mkfifo(here / f"pipe{suffix}")
    yield str(env.photos / "red.jpg"), "photo"
    yield str(env.photos / "2019" / "white.png"), "photo"
    yield str(env.photos / "2019" / "blue.webp"), "photo"
    yield f"raw{suffix}", "photo"
    yield "unreadable.NEF", "photo"
    yield str(env.library), "library"
    yield f"{env.library}-wal", "library"
    yield f"{env.library}-journal", "library"
    yield "copy.db", "library"
    yield f"link{suffix}", "symbolic link"
    yield f"dangling{suffix}", "symbolic link"
    yield f"to-photo{suffix}", "symbolic link"
    yield f"folder{suffix}", "folder"
    yield "missing/", "folder"
    yield f"missing/x{suffix}", "No such file or directory"
    yield f"pipe{suffix}", "pipe"
    yield f"http://127.0.0.1:1/x{suffix}", "address"


@each_file
@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "force"])
def test_output_leaves_what_is_not_its_own(marked: CliEnv, option: str, force: tuple[str, ...]) -> None:
    command, suffix, _ = FILES[option]
    targets = list(make_targets(marked, suffix))
    before = snapshot(marked.folder)
    for path, word in targets:
        if os.path.splitext(path)[1] != suffix and "plot" in option:
            word = ""  # the name alone is refused
        line = fail(marked.run(*command, path, *force))
        assert line.startswith(f"{path}: "), line
        assert word in line
        assert snapshot(marked.folder) == before, path


@each_file
def test_output_leaves_a_device(marked: CliEnv, option: str) -> None:
    command, suffix, _ = FILES[option]
    device = Path(f"full{suffix}")
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    except OSError:
        pytest.skip("only root makes devices")
    for force in ((), ("--force",)):
        assert "is a device or a pipe" in fail(marked.run(*command, device, *force))
        assert device.is_char_device()


@each_file
@pytest.mark.option("find --force", "report --force")
def test_output_replaces_a_users_file_only_with_force(marked: CliEnv, option: str) -> None:
    command, suffix, start = FILES[option]
    if suffix == ".png":
        return  # one of another program is a picture: see above
    marker = b'<meta name="generator" content="photosearch"> <dc:title>photosearch</dc:title> /Creator (photosearch)'
    for text in (b"my notes", b"", start + b" of another program", b"my notes on " + marker):
        path = Path(f"mine{suffix}")
        path.write_bytes(text)
        assert "--force" in fail(marked.run(*command, path))
        assert path.read_bytes() == text
        notes(marked.run(*command, path, "--force"))
        assert path.read_bytes().startswith(start)
        assert path.read_bytes() != text
    assert not list(Path.cwd().glob(".*"))


@each_file
def test_output_replaces_its_own(marked: CliEnv, option: str) -> None:
    command, suffix, start = FILES[option]
    path = Path(f"own{suffix}")
    notes(marked.run(*command, path))
    first = path.stat()
    notes(marked.run(*command, path))
    assert path.stat().st_ino != first.st_ino
    path.chmod(0o444)
    assert "read-only" in fail(marked.run(*command, path))
    notes(marked.run(*command, path, "--force"))
    assert path.read_bytes().startswith(start)


def test_output_does_not_replace_its_own_of_another_form(marked: CliEnv) -> None:
    notes(marked.run("report", "--label", "red", "--plot", "x.svg"))
    notes(marked.run("report", "--label", "red", "--plot", "x.png"))
    assert "--force" in fail(marked.run("find", "red", "--html", "x.svg"))
    assert "picture" in fail(marked.run("find", "red", "--html", "x.png", "--force"))


@pytest.mark.parametrize("force", [False, True])
def test_output_that_another_program_changes_meanwhile_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    page, data = tmp_path / "found.html", outputs.HTML.start + (outputs.HTML.marker or b"")
    outputs.write_output(page, data, outputs.HTML)
    write = Path.write_bytes

    def write_both(part: Path, data: bytes) -> int:
        write(page, b"theirs")
        return write(part, data)

    monkeypatch.setattr(Path, "write_bytes", write_both)
    with pytest.raises(InputError, match=r"found\.html: another program has changed it meanwhile; try again"):
        outputs.write_output(page, data, outputs.HTML, force=force)
    assert snapshot(tmp_path) == {"found.html": b"theirs"}


@each_file
def test_output_dash_is_stdout(marked: CliEnv, option: str) -> None:
    command, suffix, start = FILES[option]
    if suffix in (".svg", ".pdf"):
        return  # a plot's name gives its format; to stdout it is PNG
    result = marked.run(*command, "-")
    assert result.exit_code == 0, result.output
    assert result.stdout_bytes.startswith(start)
    assert os.listdir() == []
    assert "can't be combined" in fail(marked.run(*command, "-", "--json"))


@each_folder
def test_folder_refuses_what_is_no_folder(marked: CliEnv, option: str) -> None:
    Path("file").write_text("mine")
    Path("dangling").symlink_to("nowhere")
    os.mkfifo("pipe")
    before = snapshot(marked.folder)
    for path in ("file", "dangling", "pipe", marked.photos / "red.jpg", marked.library, "-", "http://127.0.0.1:1/x",
                 "file/below"):  # fmt: skip
        fail(marked.run(*FOLDERS[option], path))
        assert {k: v for k, v in snapshot(marked.folder).items() if "library.db" not in k} == {
            k: v for k, v in before.items() if "library.db" not in k
        }, path


def test_store_of_shards_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to("mine")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "photo").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "half").write_bytes(b"PAR1 cut off")
    before = snapshot(tmp_path)
    for name in ("link", "folder", "pipe", "photo"):
        with pytest.raises(InputError, match=name):
            FolderStore(str(tmp_path)).put(name, b"PAR1")
    assert snapshot(tmp_path) == before
    FolderStore(str(tmp_path)).put("half", b"PAR1")
    assert (tmp_path / "half").read_bytes() == b"PAR1"


def test_library_is_not_created_through_a_link(cli_env: CliEnv) -> None:
    cli_env.library.parent.mkdir()
    cli_env.library.symlink_to(cli_env.folder / "nowhere.db")
    assert "symbolic link" in fail(cli_env.index())
    assert not (cli_env.folder / "nowhere.db").exists()


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_export_leaves_a_sidecar_that_is_no_file(marked: CliEnv, kind: str) -> None:
    sidecar = marked.photos / "red.jpg.xmp"
    make: dict[str, Callable[[], object]] = {
        "link": lambda: sidecar.symlink_to(marked.photos / "red.jpg"), "folder": sidecar.mkdir,
        "pipe": lambda: os.mkfifo(sidecar),
    }  # fmt: skip
    make[kind]()
    before = snapshot(marked.photos)
    result = marked.run("keywords", "export", "red", "--marked")
    after = snapshot(marked.photos)
    sidecar.rmdir() if kind == "folder" else sidecar.unlink()
    assert result.exit_code == 1
    assert f"{sidecar}: skipped: " in result.stderr
    assert after == before


@pytest.mark.parametrize(
    ("label", "name"),
    [("bird", "bird"), ("a/b\\c", "a_b_c"), ("CON", "_CON"), ("nul.txt", "_nul.txt"), ("end. ", "end"),
     ("x\u202egpj", "x_gpj"), ("..", "_"), (".hidden", "_.hidden"), ("x" * 300, "x" * 200),
     ("é" * 150, "é" * 100), ("COM¹", "_COM¹")],
)  # fmt: skip
def test_name_is_made_portable(label: str, name: str) -> None:
    assert outputs.to_portable_name(label) == name
    assert outputs.is_portable_name(name)


@pytest.mark.parametrize(("data", "is_photo"), [
    (b"\xff\xd8\xff\xe0", True), (b"\x89PNG\r\n\x1a\n", True), (b"RIFF\x10\0\0\0WEBPVP8 ", True),
    (b"RIFF\x10\0\0\0WAVEfmt ", False), (b"\0\0\0\x18ftypheic", True), (b"BM\x10\0\0\0\0\0\0\0", True),
    (b"BM\x10\0\0\0\1\0\0\0", False), (b"path,score\n", False), (b"", False),
])  # fmt: skip
def test_photos_are_known_by_their_first_bytes(data, is_photo):
    assert outputs._is_photo("/a/photo-without-extension", data) is is_photo
