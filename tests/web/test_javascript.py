"""The page's own rules in JavaScript, which need no page: their tests run in Node. Skipped where there is none."""

import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node") or shutil.which("nodejs")
TESTS = sorted((Path(__file__).parent / "js").glob("*.test.mjs"))


@pytest.mark.skipif(NODE is None, reason="no Node here: apt-get install nodejs")
@pytest.mark.parametrize("file", TESTS, ids=lambda file: file.name)
def test_script_passes_its_tests(file: Path) -> None:
    assert NODE is not None
    run = subprocess.run([NODE, "--test", str(file)], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# fail 0" in run.stdout or "ℹ fail 0" in run.stdout
