"""Where a user's own library is, and which files count as libraries: no others are renamed, rebuilt or deleted."""

import re
from pathlib import Path

HEADER = b"SQLite format 3\0"
APPLICATION_ID = int.from_bytes(b"phot")  # in SQLite's header, names the program: https://sqlite.org/fileformat.html
_APPLICATION_ID_BYTES = slice(68, 72)
_TABLES = re.compile(rb"CREATE TABLE \W?(?:_sqlite_migrations|sample_photos|folder_settings)\W")  # of every version
_CHUNK_BYTES, _OVERLAP_BYTES = 2**20, 100


def default_library_path() -> Path:
    """library.db in the system's folder for user data."""
    import platformdirs

    return Path(platformdirs.user_data_dir("photosearch", appauthor=False)) / "library.db"


def is_library(path: Path) -> bool:
    """Whether a file is a library, however damaged: an SQLite file with our application id, or with our tables' SQL.

    A binary file without SQLite's header counts too if it holds that SQL; so does every file in the user's data folder
    that has the name of their own library or of a copy of it. A file that can't be read does not.
    """
    own = default_library_path()
    if path.absolute().parent == own.parent and path.name.startswith(own.name):
        return True
    return any(map(_holds_tables, (path, path.with_name(f"{path.name}-wal"))))  # a new library is all in its log


def _holds_tables(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_CHUNK_BYTES)
            if head.startswith(HEADER) and head[_APPLICATION_ID_BYTES] == APPLICATION_ID.to_bytes(4):
                return True
            if not head.startswith(HEADER) and b"\0" not in head[: len(HEADER) * 256]:  # a text file
                return False
            while head:
                if _TABLES.search(head):
                    return True
                head = head[-_OVERLAP_BYTES:] + more if (more := file.read(_CHUNK_BYTES)) else b""
    except OSError:
        return False
    return False
