"""How many photos an answer shows: the defaults of programs, the command line and the page, and how a limit is read.

All photos of a label answer a question; behind the most similar photos of a description come ever less similar ones.
"""

DEFAULT_SIMILAR = 20  # photos, where similarity ranks
ALL_SIMILAR = 10**9  # more than any library holds
TABLE_PHOTOS = 100  # of a label, in a table that a person reads
PREVIEW_PHOTOS = 12  # drawn in a terminal
MAX_COUNTED = 10_000  # matches, to say how many there are
FIRST_PAGE = 120  # photos in a page's first answer: some screenfuls
MAX_PAGE = 250_000  # photos of a label in a page: a browser's page can't be longer
MAX_PAGE_SIMILAR = 1000  # the same, where similarity ranks


def choose_limits(limit: int | None, default: int | None) -> tuple[int | None, int | None]:
    """-> (the most photos of a label, None: all; the most similar photos, None: 20, or less where the list ends).

    limit: as the user gave it, 0: all. default: of a label, where the user gave none; None: all.
    """
    if limit is None:
        return default, None
    return limit or None, limit or ALL_SIMILAR
