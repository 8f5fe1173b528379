"""After a run: scores of new photos for the user's own labels, described or learned.

They, the similarities that descriptions have in this library and the photos of each label would cost the next search
time otherwise.
"""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from photosearch.errors import ModelError
from photosearch.library import classifiers
from photosearch.library.database import Database
from photosearch.library.labels import list_described_labels
from photosearch.library.models import read_default_model
from photosearch.library.records import USER_MODEL
from photosearch.library.runs import read_value, write_value
from photosearch.library.vectors import find_space
from photosearch.search.label_counts import update_label_counts

if TYPE_CHECKING:
    from photosearch.search.similar import SimilaritySearch

STATE = "own labels"  # the name of a value in the library: the labels and vectors that were scored last

OpenSearch = Callable[[str], "SimilaritySearch"]


def rescore_user_labels(db: Database, open_search: OpenSearch) -> None:
    """Score photos for the user's labels, if the labels or the photos changed; prepare search by description.

    open_search: a model's name -> a search by its vectors. Where a model's files are gone, what is stored stays, and
    the next run tries again.
    """
    state = classifiers.read_user_labels_state(db)
    if state and state != read_value(db, STATE) and _rescore(db, open_search):
        write_value(db, STATE, classifiers.read_user_labels_state(db))
    default = read_default_model(db)
    if default is not None and find_space(db, default) is not None:
        with contextlib.suppress(ModelError), open_search(default) as search:  # without a text model: images alone
            search.embed_everyday()
    update_label_counts(db)


def _rescore(db: Database, open_search: OpenSearch) -> bool:
    """-> whether all labels could be scored."""
    from photosearch.learning.learn import update_learned  # slow to import, and most libraries have no such labels
    from photosearch.search.user_labels import update_described

    described = not list_described_labels(db, USER_MODEL) or update_described(db, open_search)
    return update_learned(db, open_search) and described
