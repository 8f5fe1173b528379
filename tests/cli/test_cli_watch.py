"""`index --watch` as a process, and the service files that would start it."""

import json
import os
import plistlib
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_env import CliEnv, fail, photosearch
from toy import photo

from photosearch.cli.runs import stop_on_signal
from photosearch.cli.service import format_systemd


@contextmanager
def watching(cli_env: CliEnv, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """A process that watches the photos, past its first index."""
    run = photosearch("index", cli_env.photos, "--model", cli_env.model, "--watch", *arguments)
    try:
        assert run.stderr is not None
        for line in run.stderr:
            if line.startswith("Watching"):
                break
        yield run
    finally:
        run.kill()
        run.communicate()


@pytest.mark.slow
@pytest.mark.option("index --watch", "index --settle")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_watch_prints_each_round_and_ends_with_0(cli_env: CliEnv, number: signal.Signals) -> None:
    with watching(cli_env, "--json", "--settle", "0.1") as run:
        assert run.stdout is not None
        assert json.loads(run.stdout.readline())["new"] == 3
        photo(cli_env.photos / "late.png", "green")
        changed = json.loads(run.stdout.readline())
        assert (changed["new"], changed["removed"]) == (1, 0)
        run.send_signal(number)
        out, err = run.communicate(timeout=120)
        assert (run.returncode, out) == (0, ""), err
        assert err.splitlines()[-1] == "Stopped watching; finished work is saved."
        assert "Traceback" not in err


@pytest.mark.slow
@pytest.mark.option("index --settle")
def test_watch_settle_holds_a_photo_back(cli_env: CliEnv) -> None:
    with watching(cli_env, "--settle", "3600") as run:
        photo(cli_env.photos / "late.png", "green")
        assert run.stderr is not None
        told: list[str] = []
        reader = threading.Thread(target=lambda: told.extend(run.stderr or ()))
        reader.start()
        reader.join(3)
        run.send_signal(signal.SIGINT)
        reader.join(120)
        assert told == ["Stopped watching; finished work is saved.\n"]


@pytest.mark.slow
@pytest.mark.option("index --poll")
def test_watch_poll_says_how_often(cli_env: CliEnv) -> None:
    run = photosearch("index", cli_env.photos, "--model", cli_env.model, "--watch", "--poll", "7")
    try:
        assert run.stderr is not None
        lines = (line for line in run.stderr if line.startswith("Watching"))
        assert next(lines) == f"Watching {cli_env.photos}, every 7 s\n"
    finally:
        run.kill()
        run.communicate()


@pytest.mark.parametrize("arguments", [("--settle", "1"), ("--poll", "5"), ("--watch", "--engine", "ray")])
def test_watch_options_belong_together(cli_env: CliEnv, arguments: tuple[str, ...]) -> None:
    assert cli_env.index(*arguments).exit_code == 2
    assert not cli_env.library.exists()


def test_signal_while_idle_says_nothing_of_a_batch(capsys: pytest.CaptureFixture[str]) -> None:
    with stop_on_signal() as stop:
        stop.idle = True
        signal.raise_signal(signal.SIGINT)
        assert (stop.is_set(), capsys.readouterr().err) == (True, "")


AWKWARD = 'my "best" photos, 100 %h $HOME \\ ü'


@pytest.mark.option("index --print-service")
def test_systemd_unit_names_folders_and_library(cli_env: CliEnv, tmp_path: Path) -> None:
    folder = cli_env.folder / AWKWARD
    folder.mkdir()
    done = cli_env.run("index", folder, "--print-service", "systemd", "--settle", "3", "--poll", "90")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ExecStart=")]
    unquoted = shlex.split(line.removeprefix("ExecStart="))  # which quotes " and \ as systemd does, and knows no %, $
    words = [word.replace("%%", "%").replace("$$", "$") for word in unquoted]
    start = words.index("index")
    assert words[start:] == [
        "index", "--watch", "--db", str(cli_env.library), "--settle", "3", "--poll", "90", "--", str(folder),
    ]  # fmt: skip
    assert os.path.isabs(words[0])
    assert "systemctl --user enable" in done.stderr
    assert not cli_env.library.exists(), "nothing is indexed"
    if shutil.which("systemd-analyze"):
        unit = tmp_path / "photosearch-watch.service"
        unit.write_text(done.stdout)
        env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
        command = ["systemd-analyze", "verify", "--user", "--man=no", unit]
        checked = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        assert str(unit) not in checked.stderr, checked.stderr


def test_launchd_job_is_a_property_list(cli_env: CliEnv) -> None:
    folder = cli_env.folder / AWKWARD
    folder.mkdir()
    done = cli_env.run("index", folder, "--print-service", "launchd")
    job = plistlib.loads(done.stdout_bytes)
    assert job["ProgramArguments"][-6:] == ["index", "--watch", "--db", str(cli_env.library), "--", str(folder)]
    assert (job["RunAtLoad"], job["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert "launchctl bootstrap" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="systemd")
def test_service_file_without_kind_is_this_systems(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no folder is indexed yet" in fail(cli_env.run("index", "--print-service"))
    assert cli_env.index().exit_code == 0
    monkeypatch.setenv("PHOTOSEARCH_MODELS", "/my models")
    for words in (("--print-service",), ("--print-service", cli_env.photos), ("--print-service", "--", cli_env.photos)):
        done = cli_env.run("index", *words)
        assert done.stdout.startswith("[Unit]"), done.output
        assert 'Environment="PHOTOSEARCH_MODELS=/my models"\n' in done.stdout
        assert (str(cli_env.photos) in done.stdout) == (len(words) > 1)


def test_service_file_refuses_what_it_cannot_name(cli_env: CliEnv) -> None:
    odd = cli_env.folder / "two\nlines"
    odd.mkdir()
    assert "control character" in fail(cli_env.run("index", odd, "--print-service"))
    assert "no such folder" in fail(cli_env.run("index", cli_env.folder / "none", "--print-service"))
    assert cli_env.run("index", "--print-service=cron").exit_code == 2


def test_systemd_quoting_follows_its_manual() -> None:
    assert r'ExecStart="a\\b" "c\"d" "50%%" "$$HOME"' in format_systemd(["a\\b", 'c"d', "50%", "$HOME"], {})
