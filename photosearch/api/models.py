"""`library.models`: the models that indexed this library, and the default one."""

from typing import TYPE_CHECKING

from photosearch.api.session import Session

if TYPE_CHECKING:
    from photosearch.models.session import Model


class Models:
    """The models of a library. For those on this machine see photosearch.list_models."""

    def __init__(self, session: Session):
        self._session = session

    @property
    def default(self) -> str | None:
        """The name of the model that answers questions; None where nothing was indexed yet."""
        return self._session.default_model

    def set_default(self, name: str) -> tuple[int, int]:
        """Make a model the default -> (images that it indexed, all images).

        Raises StoreError where it has not indexed any photos here.
        """
        from photosearch.library.models import count_active, set_default_model
        from photosearch.library.photos import read_counts

        set_default_model(self._session.db, name)
        return count_active(self._session.db, name), read_counts(self._session.db).images

    def load(self, name: str | None = None, provider: str = "auto") -> "Model":
        """Load a model by its name or file; None: the library's default, else the tool's. Raises ModelError."""
        return self._session.load_default(name, provider)
