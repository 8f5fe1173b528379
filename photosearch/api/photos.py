"""`library.photos`: all photos in an order, what they have in common, and the pieces of a question."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from photosearch.api.question import make_question
from photosearch.api.session import Session

if TYPE_CHECKING:
    from typing import Unpack

    from photosearch.api.question import PhotoFilters
    from photosearch.library.facets import Box, Cluster, Count, Facet, FolderCount
    from photosearch.library.listing import Sort
    from photosearch.library.matching import Match
    from photosearch.search.chips import Chip
    from photosearch.search.listing import Listing


class Photos:
    """The photos of a library, in lists that may hold all of them: by ids, whose rows are read some at a time.

    words: as in `Library.find`; only what they filter by counts, nothing ranks. filters: see `PhotoFilters`.
    """

    def __init__(self, session: Session):
        self._session = session

    def list(
        self,
        words: str = "",
        *,
        sort: "Sort" = "newest",
        limit: int | None = None,
        copies: bool = False,
        kept: Sequence[int] = (),
        **filters: "Unpack[PhotoFilters]",
    ) -> "Listing | None":
        """The photos that words filter, as ids in order; None where the words rank. Raises QueryError, InputError.

        sort: newest, oldest, name or size. Undated photos come last, by their files' dates. limit: look at so
        many files, None: all. copies: list each equal copy; else one stands for all, which is one of the ids `kept`
        where that has one.
        """
        from photosearch.search.listing import list_photos

        return list_photos(
            self._session.db, make_question(words, **filters), self._session.read_vector, sort, limit,
            copies=copies, kept=kept,
        )  # fmt: skip

    def read(self, photo_ids: Sequence[int]) -> "dict[int, Match]":
        """The photos with these ids; those that are no longer in the library are left out."""
        from photosearch.library.matching import read_matches

        return read_matches(self._session.db, photo_ids)

    def sort(self, photo_ids: Sequence[int], sort: "Sort") -> Sequence[int]:
        """The same ids in another order."""
        from photosearch.library.listing import sort_photos

        return sort_photos(self._session.db, photo_ids, sort)

    def count(
        self,
        facet: "Facet",
        words: str = "",
        *,
        among: Sequence[int] | None = None,
        **filters: "Unpack[PhotoFilters]",
    ) -> "Sequence[Count]":
        """The values that photos have, most frequent first: of place, camera, person, keyword, rating, is or label.

        among: the photos with these ids instead. 300 values at most. Raises QueryError, InputError.
        """
        from photosearch.search.listing import count

        question = make_question(words, **filters)
        return count(self._session.db, question, self._session.read_vector, facet, among)

    def count_folders(
        self,
        words: str = "",
        *,
        among: Sequence[int] | None = None,
        **filters: "Unpack[PhotoFilters]",
    ) -> "Sequence[FolderCount]":
        """The folders that the photos are in, and those above them, with numbers of photos. Raises as `count`."""
        from photosearch.search.listing import count_folders

        question = make_question(words, **filters)
        return count_folders(self._session.db, question, self._session.read_vector, among)

    def find_clusters(
        self,
        box: "Box",
        words: str = "",
        *,
        among: Sequence[int] | None = None,
        cells: int = 16,
        limit: int = 400,
        **filters: "Unpack[PhotoFilters]",
    ) -> "Sequence[Cluster]":
        """Where photos were taken: their number in each cell of a grid over a box (west, south, east, north).

        cells: along the longer side. limit: those with the most photos. Raises as `count`.
        """
        from photosearch.search.listing import find_clusters

        question = make_question(words, **filters)
        return find_clusters(self._session.db, question, self._session.read_vector, among, box, cells, limit)

    def find_neighbours(self, photo_id: int, n: int = 6) -> "Sequence[Match]":
        """Up to n photos taken before one, the photo itself, and up to n after it, in the order of their dates."""
        from photosearch.library.listing import list_neighbours

        ids = list_neighbours(self._session.db, photo_id, n)
        found = self.read(ids)
        return [found[each] for each in ids if each in found]

    def read_original(self, image_id: int) -> tuple[bytes, str] | None:
        """(bytes, media type) of a photo that shows an image; None where no photo in the library does.

        Only of formats that browsers show: JPEG, PNG, WebP, GIF, AVIF. Raises Unreadable.
        """
        from photosearch.library.images import find_image_files
        from photosearch.photos.original import read_original

        found = find_image_files(self._session.db, image_id)
        return None if found is None else read_original(found[1], found[0])

    def chips(self, words: str) -> "Sequence[Chip]":
        """What words were understood as, piece by piece. Raises QueryError, InputError."""
        from photosearch.search.listing import read_chips

        return read_chips(self._session.db, make_question(words))

    def without_chip(self, words: str, chip: "Chip") -> str:
        """The words without one of these pieces, as they were where they have no such piece. Raises as `chips`."""
        from photosearch.search.listing import without_chip

        return without_chip(self._session.db, make_question(words), chip)

    def with_chip(self, words: str, chip: "Chip") -> str:
        """The words with one more piece; dates replace those that are there. Raises as `chips`."""
        from photosearch.search.listing import with_chip

        return with_chip(self._session.db, make_question(words), chip)
