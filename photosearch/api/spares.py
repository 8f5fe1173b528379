"""`library.spares`: spare photos, moved to a folder and back."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from photosearch.api.session import Session

if TYPE_CHECKING:
    from photosearch.search.duplicates import Group
    from photosearch.spares.move import MoveResult, UndoResult
    from photosearch.spares.plan import SparePlan


class Spares:
    """Move the spare photos of groups of duplicates to a folder; nothing is deleted, nothing is overwritten."""

    def __init__(self, session: Session):
        self._session = session

    def plan(self, folder: str | Path, groups: "Sequence[Group]") -> "SparePlan":
        """What `move` would do: which files go where, and which photos stay, and why. Nothing is written.

        groups: of `find_duplicates`, all or some. Side-cars and the video of a Live Photo go with their photo. Files
        keep their path below the indexed folder; of several, below the folder above them. Raises InputError where the
        folder can't be used.
        """
        from photosearch.spares.plan import plan_move

        return plan_move(self._session.db, groups, os.fspath(folder))

    def move(self, plan: "SparePlan", progress: Callable[[], None] | None = None) -> "MoveResult":
        """Move what a plan names, each photo only if it and the one to keep are still what was indexed.

        The folder gets a log (`MoveResult.log`), for `undo`. After a kill, plan and move again: that finishes. Photos
        that were moved are no longer in the library. progress: called after each photo with its files. Raises
        InputError, StoreError.
        """
        from photosearch.spares.move import move_spares

        return move_spares(self._session.db, plan, progress)

    def undo(self, log: str | Path, progress: Callable[[], None] | None = None) -> "UndoResult":
        """Move back what a log tells of; photos are in the library again. Repeat it after a kill.

        A file that has changed meanwhile, or whose old place is taken, stays, and the result says why. Raises
        InputError, StoreError.
        """
        from photosearch.spares.move import undo_move

        return undo_move(self._session.db, os.fspath(log), progress)
