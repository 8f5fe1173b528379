"""The page's own rules in JavaScript, which need no page: their tests run in Node, in one process. Skipped where there
is none."""

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node") or shutil.which("nodejs")
TESTS = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))


@pytest.mark.skipif(NODE is None, reason="no Node here: apt-get install nodejs")
def test_scripts_pass_their_tests() -> None:
    assert NODE is not None
    imports = "".join(f"await import({file.as_uri()!r});" for file in TESTS)
    run = subprocess.run([NODE, "--input-type=module", "--eval", imports], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# fail 0" in run.stdout or "ℹ fail 0" in run.stdout
