"""The manual page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_env import CliEnv
from option_coverage import list_commands

OPTIONS = [(name, p.opts) for name, command in list_commands() for p in command.params if p.param_type_name == "option"]


def test_manual_page_names_every_command_and_option(cli_env: CliEnv) -> None:
    page = cli_env.run("man").stdout.replace("\\-", "-")
    sections = dict(re.findall(r'^\.SS "photosearch ([a-z ]+?) (?:\[|[A-Z]).*"\n((?:(?!\.S[SH]).*\n)*)', page, re.M))
    runnable = {name for name, command in list_commands() if name and getattr(command, "invoke_without_command", True)}
    assert set(sections) == runnable
    missing = [(name, option) for name, names in OPTIONS for option in names if name and option not in sections[name]]
    assert missing == []


def test_manual_page_is_shown_as_it_was_written(cli_env: CliEnv, tmp_path: Path) -> None:
    if not shutil.which("groff"):
        pytest.skip("no groff here")
    page = cli_env.run("man").stdout
    command = ["groff", "-man", "-Tutf8", "-ww", "-P-cbou"]
    done = subprocess.run(command, input=page, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "photosearch find [OPTIONS] [WORDS...]" in done.stdout
    assert ("130" in done.stdout, "PHOTOSEARCH_DB" in done.stdout) == (True, True)
