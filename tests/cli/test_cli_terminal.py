"""What a terminal gets: escape sequences if it obeys them and nobody objects, and a size that is never 0."""

import sys
from collections.abc import Iterator

import pytest
from cli_env import CliEnv, make_cli_env, run_each
from toy import photo, write_toy

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
COMMANDS = (
    ["find", "red"], ["index", "PHOTOS", "--force", "--workers", "1"], ["find", "red", "--preview"], ["find", "--help"],
    ["find", "red", "--nope"], ["labels", "tree"], ["models"], ["report", "--label", "red"],
)  # fmt: skip


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliEnv]:
    env = make_cli_env(tmp_path_factory.mktemp("env"))
    photo(env.photos / "gpj.\u202egnp\\x.png", "red", size=(90, 70))
    write_toy(env.model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_DB", str(env.library))
        patch.setenv("PHOTOSEARCH_MODELS", str(env.folder / "models"))
        assert env.index().exit_code == 0
        assert env.run("mark", env.photos / "red.jpg", "--is", "red").exit_code == 0
        yield env


def list_commands(env: CliEnv) -> list[list[str]]:
    return [[str(env.photos) if word == "PHOTOS" else word for word in command] for command in COMMANDS]


@pytest.mark.slow
@pytest.mark.parametrize(
    "plain", [{"TERM": "dumb"}, {"NO_COLOR": "1"}, {"TERM": ""}, {"TERM": "dumb", "FORCE_COLOR": "1"}], ids=str
)
def test_plain_terminal_gets_no_escape_sequence(env: CliEnv, plain: dict[str, str]) -> None:
    commands = list_commands(env)[: None if plain == {"TERM": "dumb"} else 3]
    for command, text in zip(commands, run_each(commands, **plain), strict=True):
        assert "\x1b" not in text, (command, text)
        assert "Traceback" not in text
        if "--preview" in command:
            assert "--preview needs a terminal with colours" in text


@pytest.mark.slow
def test_terminal_with_styles_gets_them(env: CliEnv) -> None:
    found, indexed = run_each(list_commands(env)[:2])
    assert "\x1b[1mscore" in found
    assert "\x1b[?25l" in indexed, "a bar, without the cursor"


@pytest.mark.slow
@pytest.mark.parametrize("size", [(0, 0), (80, 0), (1, 1)])
def test_terminal_of_any_size_gets_results(env: CliEnv, size: tuple[int, int]) -> None:
    environment = {"COLUMNS": "0", "LINES": "0"} if size == (0, 0) else {}
    commands = list_commands(env)[:3]
    for command, text in zip(commands, run_each(commands, size, **environment), strict=True):
        assert "Traceback" not in text, (command, text)
        if "--preview" in command and 0 in size:
            assert "set it: stty cols 80 rows 25" in text
        elif command[0] == "find" and size != (1, 1):
            assert "red.jpg" in text


def test_pipe_gets_no_escape_sequence(env: CliEnv) -> None:
    commands = list_commands(env)[:3]
    for command, text in zip(commands, run_each(commands, None, TERM="xterm-256color"), strict=True):
        assert "\x1b" not in text, command


@pytest.mark.slow
def test_name_with_direction_controls_is_shown_whole_and_escaped(env: CliEnv) -> None:
    table, preview = run_each([["find", "red"], ["find", "red", "--preview"]], (300, 25))
    assert "\u202e" not in table + preview
    assert "gpj.\\u202egnp\\\\x.png" in table, "in bash's quoting, where a backslash is two"
