"""What a script reads: 0 done, 1 error or not all done, 2 wrong usage, 130 Ctrl-C, 143 SIGTERM."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from cli_env import CliEnv, make_cli_env

from photosearch import Library, default_path, events
from photosearch.api.folders import Folders
from photosearch.cli.runs import end_if_stopped, stop_on_signal


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliEnv]:
    """An empty library: what is done to it is made up."""
    env = make_cli_env(tmp_path_factory.mktemp("exit"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_DB", str(env.library))
        env.library.parent.mkdir()
        Library(env.library).close()
        yield env


def index(indexed: CliEnv, monkeypatch: pytest.MonkeyPatch, *told: events.Event) -> int:
    monkeypatch.setattr(Library, "index", lambda *_, **__: iter(told))
    monkeypatch.setattr(Folders, "count_photos", lambda *_: 1)
    return indexed.run("index", indexed.photos, "--model", indexed.model, "--quiet").exit_code


def test_index_that_left_photos_unscored_fails(indexed: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    done = events.Unchanged(str(indexed.photos / "red.jpg"))
    assert index(indexed, monkeypatch, done) == 0
    assert index(indexed, monkeypatch, done, events.NotScored(done.path, 3, "its worker died")) == 1


def test_index_that_found_nothing_fails(indexed: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = indexed.folder / "empty"
    empty.mkdir()
    monkeypatch.setattr(Library, "index", lambda *_, **__: iter(()))
    assert indexed.run("index", empty, "--model", indexed.model, "--quiet").exit_code == 1


def test_ctrl_c_in_any_command_is_130(indexed: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "status", interrupt)
    result = indexed.run("status")
    assert (result.exit_code, result.stderr.strip()) == (130, "photosearch: interrupted")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_that_was_stopped_ends_with_the_signals_code(number: signal.Signals, code: int) -> None:
    with stop_on_signal() as stop:
        end_if_stopped(stop)
        signal.raise_signal(number)
    with pytest.raises(typer.Exit) as ended:
        end_if_stopped(stop)
    assert ended.value.exit_code == code


@pytest.mark.parametrize(
    "words", [("find", "-n", "9" * 20), ("album", "show", "x", "-n", "9" * 20), ("threshold", "set", "red", "nan"),
              ("find", "red", "--min-score", "nan"), ("index", "--settle", "nan")]
)  # fmt: skip
def test_numbers_that_no_range_excludes_are_wrong_usage(indexed: CliEnv, words: tuple[str, ...]) -> None:
    result = indexed.run(*words)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].endswith("is not a number that can be used.")


def test_wrong_usage_is_2_and_an_error_is_1(indexed: CliEnv) -> None:
    assert indexed.run("status", "--no-such-option").exit_code == 2
    assert indexed.run("find", "no such label", "--label").exit_code == 1
    assert indexed.run("find", "red", "--db", indexed.folder / "none.db").exit_code == 1


def test_library_named_by_the_environment_may_begin_with_a_tilde(
    indexed: CliEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(indexed.folder))
    monkeypatch.setenv("PHOTOSEARCH_DB", "~/data/library.db")
    monkeypatch.chdir(indexed.folder)
    assert default_path() == indexed.library
    assert (indexed.run("status").exit_code, Path("~").exists()) == (0, False)
