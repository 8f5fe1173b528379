"""Photos whose time only their folder says, "Rome 2019": neither their metadata nor their names have a date."""

import json
import re

from photosearch.library.database import Database
from photosearch.library.folders import list_folder_names

# Photos `d` without a date of their own. Its value: the ids of their folders, as a JSON list.
UNDATED_IN = """
    FROM photos d JOIN images i ON i.id = d.image_id WHERE d.folder_id IN (SELECT value FROM json_each(?))
    AND d.taken IS NULL AND i.taken IS NULL AND d.name_date IS NULL
"""
_HAS_YEAR = re.compile(r"(?:18|19|20)[0-9][0-9]")


def match_folders(db: Database, since: str, until: str) -> str:
    """The ids of the folders whose names say a time that lies in a period whole, as a JSON list.

    since, until: the texts that dates stand between.
    """
    return json.dumps([i for i, first, last in db.recall(_read_dates) if since <= first and last <= until])


def count_undated(db: Database, folders: str, limit: int) -> int:
    """The number of undated photos in folders, as match_folders gives them, up to `limit`."""
    return int(db.one(f"SELECT count(*) FROM (SELECT 1 {UNDATED_IN} LIMIT ?)", [folders, limit])[0])


def _read_dates(db: Database) -> list[tuple[int, str, str]]:
    """(folder id, the first and the last second that it may be of)."""
    named = [(i, names) for i, names in list_folder_names(db) if any(map(_HAS_YEAR.search, names))]
    if not named:
        return []
    from photosearch.metadata.folder_dates import read_folder_dates  # its patterns

    return [(i, *dates) for i, names in named if (dates := read_folder_dates(names)) is not None]
