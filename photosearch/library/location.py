"""Where a user's own library lies, and what counts as a library at all: nothing else is moved, rebuilt or deleted."""

import re
from pathlib import Path

HEADER = b"SQLite format 3\0"
APPLICATION_ID = int.from_bytes(b"phot")  # how SQLite's header says whose a file is: https://sqlite.org/fileformat.html
_ID_AT = slice(68, 72)
_TABLES = re.compile(rb"CREATE TABLE \W?(?:_sqlite_migrations|sample_photos|folder_settings)\W")  # of every version
_CHUNK, _OVERLAP = 2**20, 100  # bytes


def default_library_path() -> Path:
    """In the user's data folder, as the system has it."""
    import platformdirs

    return Path(platformdirs.user_data_dir("photosearch", appauthor=False)) / "library.db"


def is_library(path: Path) -> bool:
    """Whether a file is a library, however damaged: it is SQLite's, and its header says that it is ours, or the
    words that make our tables stand in it.

    One whose header is lost counts too, as long as it is no text; so does whatever has the name of the user's own
    library, or of a copy of it, in their data folder. A file that can't be read does not.
    """
    own = default_library_path()
    if path.absolute().parent == own.parent and path.name.startswith(own.name):
        return True
    return any(map(_holds_tables, (path, path.with_name(f"{path.name}-wal"))))  # a young library is all in its log


def _holds_tables(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(_CHUNK)
            if head.startswith(HEADER) and head[_ID_AT] == APPLICATION_ID.to_bytes(4):
                return True
            if not head.startswith(HEADER) and b"\0" not in head[: len(HEADER) * 256]:
                return False
            while head:
                if _TABLES.search(head):
                    return True
                head = head[-_OVERLAP:] + more if (more := file.read(_CHUNK)) else b""
    except OSError:
        return False
    return False
