"""`library.labels`: what `find` can look for: labels of models, and the user's own."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from photosearch.api.session import Session

if TYPE_CHECKING:
    from photosearch.learning.learn import LearnPreview, LearnResult
    from photosearch.library.records import Label
    from photosearch.search.label_counts import LabelCount
    from photosearch.search.labels import LabelDetails
    from photosearch.search.marked_labels import Readiness


class Labels:
    """The labels of a library."""

    def __init__(self, session: Session):
        self._session = session

    def list(self, model: str | None = None) -> "list[Label]":
        """All labels, those of the default model first; model: only that model's."""
        from photosearch.search.labels import list_labels

        return list_labels(self._session.db, model)

    def list_counts(self, model: str | None = None, *, exact: bool = True) -> "Sequence[LabelCount]":
        """All labels with the number of photos that each finds: everyday names first, then by photos.

        exact: count again where photos have changed since the last run; else give its counts at once.
        """
        from photosearch.search.label_counts import list_label_counts
        from photosearch.search.labels import list_labels

        return list_label_counts(self._session.db, list_labels(self._session.db, model), exact=exact)

    def suggest(self, n: int = 3) -> "Sequence[LabelCount]":
        """Up to n everyday labels that many photos show, none of them above or below another: to try `find` with."""
        from photosearch.search.label_counts import suggest_labels

        return suggest_labels(self.list_counts(exact=False), n)

    def complete(self, text: str) -> "Sequence[str]":
        """The labels that a typed beginning may become, marked ones too: those with the most photos first."""
        from photosearch.search.complete import complete_name
        from photosearch.search.hierarchy import read_synonyms
        from photosearch.search.label_counts import rank_labels
        from photosearch.search.labels import list_known_names

        db = self._session.db
        return complete_name(text, list_known_names(db), read_synonyms(), rank_labels(db, self.list()))

    def list_unlearned(self) -> "Sequence[str]":
        """The labels that photos are marked with, and that `find` does not know yet."""
        from photosearch.library.marks import list_marked_labels

        known = {label.name for label in self.list()}
        return [name for name in list_marked_labels(self._session.db) if name not in known]

    def get(self, name: str, model: str | None = None) -> "Label":
        """Find a label by name or synonym. Raises QueryError, which lists the nearest labels; InputError."""
        from photosearch.search.labels import find_label

        return find_label(self._session.db, name, model)

    def describe(self, name: str, model: str | None = None) -> "LabelDetails":
        """A label's model and threshold, its place in the hierarchy, synonyms, figures. Raises QueryError."""
        from photosearch.search.labels import describe_label

        return describe_label(self._session.db, name, model)

    def tree(self, model: str | None = None) -> "Sequence[tuple[int, str]]":
        """(depth, name) of each label under each of its parents, from the top; a label without a parent has depth 0."""
        from photosearch.search import hierarchy

        names = list(dict.fromkeys(label.name for label in self.list(model)))
        known, rows = set(names), []

        def walk(name: str, depth: int) -> None:
            rows.append((depth, name))
            for child in hierarchy.list_below(name, known):
                walk(child, depth + 1)

        for name in names:
            if not hierarchy.list_above(name, known):
                walk(name, 0)
        return rows

    def add(self, name: str, text: str | None = None, *, model: str | None = None) -> "Label":
        """Make a description, None: the name, a label to sample, judge and report on. Raises InputError, QueryError."""
        from photosearch.search.user_labels import add_label

        with self._session.open_search(model) as search:
            return add_label(self._session.db, search, name, name if text is None else text)

    def remove(self, name: str) -> None:
        """Remove a label that was made from a description. Marks stay. Raises QueryError."""
        from photosearch.search.user_labels import remove_label

        remove_label(self._session.db, name)

    def learn(self, name: str, *, model: str | None = None, seed: int = 0) -> "LearnResult":
        """Learn a label from marks, and keep it where it is better than before. Raises InputError.

        model: learn on its vectors instead of the default model's.
        """
        from photosearch.learning.learn import learn_label

        with self._session.open_search(model) as search:
            return learn_label(self._session.db, search.space, search.map, search.model, name, seed=seed)

    def preview_learning(
        self, name: str, *, model: str | None = None, limit: int = 24, seed: int = 0
    ) -> "LearnPreview":
        """What `learn` would do, without doing it: its report, and photos that would be found, or no more.

        limit: of these photos, each way. Raises InputError, QueryError.
        """
        from photosearch.learning.learn import preview_learning

        with self._session.open_search(model) as search:
            return preview_learning(self._session.db, search.map, search.model, name, limit=limit, seed=seed)

    def check_readiness(self, name: str, *, model: str | None = None) -> "Readiness":
        """Whether a label has enough marks to be learned, and what is missing; any name may be asked."""
        from photosearch.search.label_names import match_label
        from photosearch.search.labels import list_known_names
        from photosearch.search.marked_labels import check_readiness

        known = match_label(name, list_known_names(self._session.db))
        return check_readiness(self._session.db, known or name, model)

    def undo_learning(self, name: str) -> "Label | None":
        """Take back what was learned last -> the label of that name now, if any. Raises QueryError."""
        from photosearch.learning.learn import undo_learning

        return undo_learning(self._session.db, name, self._session.open_search)

    def set_threshold(self, label: "Label", threshold: float | None) -> None:
        """Show a label's photos from this score on (0..1); None: from its card's threshold."""
        from photosearch.library.labels import save_threshold

        save_threshold(self._session.db, label, threshold)

    def undo_threshold(self, label: "Label") -> bool:
        """Restore the threshold before the last change -> whether there was one."""
        from photosearch.library.labels import undo_threshold

        return undo_threshold(self._session.db, label)
