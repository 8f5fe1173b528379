"""`index --print-service`: a file by which systemd or launchd runs `index --watch` while its user is logged in.

It is printed and never installed: where it goes is said on stderr.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from photosearch.cli.output import note
from photosearch.errors import InputError

KINDS = ("auto", "systemd", "launchd")
NAME = "photosearch-watch"
LABEL = "photosearch.watch"
RETRY_SECONDS = 60  # after an error, such as a full disk
SYSTEMD_HELP = (
    f"To install it: photosearch index --print-service > ~/.config/systemd/user/{NAME}.service && "
    f"systemctl --user daemon-reload && systemctl --user enable --now {NAME}",
    f"To remove it: systemctl --user disable --now {NAME} && rm ~/.config/systemd/user/{NAME}.service",
)
LAUNCHD_HELP = (
    f"To install it: photosearch index --print-service > ~/Library/LaunchAgents/{LABEL}.plist && "
    f"launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{LABEL}.plist",
    f"To remove it: launchctl bootout gui/$(id -u)/{LABEL} && rm ~/Library/LaunchAgents/{LABEL}.plist",
)


def print_service_file(
    kind: str, library: Path, folders: Sequence[str], *, settle: float | None, poll: float | None
) -> None:
    """kind: systemd, launchd, or auto for what this system has. Raises InputError."""
    if kind not in KINDS:
        raise typer.BadParameter(f"{kind} is neither systemd nor launchd", param_hint="--print-service")
    if kind == "auto" and sys.platform == "win32":
        raise InputError("Windows has neither systemd nor launchd; add `photosearch index --watch` to Task Scheduler")
    missing = next((folder for folder in folders if not os.path.isdir(folder)), None)
    if missing is not None:
        raise InputError(f"{missing}: no such folder")
    if not folders and not library.exists():
        raise InputError("no folder is indexed yet; name those that the service shall watch, or index them first")
    words = [*_find_program(), "index", "--watch", "--db", os.path.abspath(library)]
    for name, value in (("--settle", settle), ("--poll", poll)):
        words += [] if value is None else [name, f"{value:g}"]
    words += ["--", *(os.path.abspath(folder) for folder in folders)] if folders else []
    environment = {name: os.environ[name] for name in ("PHOTOSEARCH_MODELS",) if os.environ.get(name)}
    for text in (*words, *environment.values()):
        if any(ord(c) < 32 or 0xDC80 <= ord(c) <= 0xDCFF for c in text):
            raise InputError(f"{text!r}: a service file can't name it: it holds a control character or is not UTF-8")
    launchd = kind == "launchd" or (kind == "auto" and sys.platform == "darwin")
    typer.echo((format_launchd if launchd else format_systemd)(words, environment), nl=False)
    for line in LAUNCHD_HELP if launchd else SYSTEMD_HELP:
        note(line)


def _find_program() -> list[str]:
    """What starts this program, by full paths."""
    own = os.path.abspath(sys.argv[0])
    name = os.path.splitext(os.path.basename(own))[0]
    if name == "photosearch" and os.access(own, os.X_OK) and os.path.isfile(own):
        return [own]
    found = shutil.which("photosearch", path=os.path.dirname(sys.executable))
    return [found] if found else [sys.executable, "-c", "from photosearch.cli.app import main; main()"]


def format_systemd(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """A unit for `systemctl --user` (systemd.service(5))."""
    settings = [f"Environment={_quote_systemd(f'{name}={value}', dollar='$')}\n" for name, value in environment.items()]
    return (
        "[Unit]\n"
        "Description=Index photos as they change (photosearch)\n"
        "\n"
        "[Service]\n"
        f"ExecStart={' '.join(_quote_systemd(word) for word in words)}\n"
        f"{''.join(settings)}"
        "Nice=15\n"
        "IOSchedulingClass=idle\n"
        "Restart=on-failure\n"
        f"RestartSec={RETRY_SECONDS}\n"
        "\n"
        "[Install]\n"
        "WantedBy=default.target\n"
    )


def _quote_systemd(word: str, *, dollar: str = "$$") -> str:
    """Quoted for ExecStart: \\ and " by a backslash, specifiers and variables doubled ("Command lines")."""
    for before, after in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", dollar)):
        word = word.replace(before, after)
    return f'"{word}"'


def format_launchd(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """A property list for `launchctl` (launchd.plist(5))."""
    import plistlib

    job: dict[str, object] = {
        "Label": LABEL, "ProgramArguments": list(words), "RunAtLoad": True, "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": RETRY_SECONDS, "ProcessType": "Background", "LowPriorityIO": True, "Nice": 15,
    }  # fmt: skip
    if environment:
        job["EnvironmentVariables"] = dict(environment)
    return plistlib.dumps(job, sort_keys=False).decode()
