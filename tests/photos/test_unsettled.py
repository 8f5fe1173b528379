"""When a file counts as whole. The clock is a number."""

import sys
from pathlib import Path

import pytest

from photosearch.photos.unsettled import WRITER_PATIENCE_SECONDS, Unsettled, has_writer


def test_file_is_whole_once_unchanged_for_long_enough(tmp_path: Path) -> None:
    file, unsettled = tmp_path / "a.jpg", Unsettled(2.0)
    file.write_bytes(b"half")
    assert unsettled.add(str(file), 10.0)
    assert unsettled.take_whole(11.9) == []
    file.write_bytes(b"half and more")
    assert unsettled.take_whole(12.1) == []
    assert unsettled.take_whole(14.0) == []
    assert unsettled.take_whole(14.2) == [str(file)]
    assert (str(file) in unsettled, len(unsettled)) == (False, 0)


def test_deleted_file_is_taken_at_once(tmp_path: Path) -> None:
    file, unsettled = tmp_path / "a.jpg", Unsettled(2.0)
    file.write_bytes(b"x")
    unsettled.add(str(file), 10.0)
    file.unlink()
    assert unsettled.take_whole(10.1) == [str(file)]
    assert (unsettled.add(str(file), 11.0), unsettled.add(str(tmp_path), 11.0)) == (False, False)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_file_that_is_open_to_be_written_is_not_whole(tmp_path: Path) -> None:
    path, unsettled = tmp_path / "a.jpg", Unsettled(2.0)
    with path.open("wb") as file:
        file.write(b"all of it")
        file.flush()
        if not has_writer(str(path)):
            pytest.skip("this file system has no leases")
        unsettled.add(str(path), 10.0)
        assert unsettled.take_whole(20.0) == []
        assert unsettled.take_whole(10.0 + WRITER_PATIENCE_SECONDS) == [str(path)], "some programs never close a file"
    assert not has_writer(str(path))
    with path.open("rb"):
        assert not has_writer(str(path))
    assert not has_writer(str(tmp_path / "gone"))
