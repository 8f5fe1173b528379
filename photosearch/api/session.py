"""What the parts of a `Library` share: the database, the loaded models, the space that descriptions search."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from photosearch.library.database import Database

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from PIL.Image import Image

    from photosearch.models.session import Model
    from photosearch.search.similar import SimilaritySearch


class Session:
    """An open library and the models that were loaded for it."""

    def __init__(self, path: Path, *, create: bool, read_only: bool = False):
        """Raises StoreError."""
        self.path = path
        self.db = Database(path, create=create, read_only=read_only)
        self._models: dict[str | None, Model] = {}

    def close(self) -> None:
        self.db.close()

    def unload(self) -> None:
        """Free the models' memory; each is loaded again when it is needed."""
        from photosearch.models.memory import release_memory
        from photosearch.search.similar import close_text_model

        self._models.clear()
        close_text_model()
        release_memory()

    @property
    def default_model(self) -> str | None:
        """The name of the model that answers questions; None where nothing was indexed yet."""
        from photosearch.library.models import read_default_model

        return read_default_model(self.db)

    def load(self, name: str | None = None, provider: str = "auto") -> "Model":
        """Load a model by its name or file, None for the tool's default, and keep it. Raises ModelError."""
        from photosearch.errors import ModelError
        from photosearch.library.models import read_model_path
        from photosearch.models.catalog import resolve
        from photosearch.models.session import Model

        if name not in self._models:
            try:
                path = resolve(name)
            except ModelError:  # a file that indexed photos here before is found by its name too
                known = name and read_model_path(self.db, name)
                if not known:
                    raise
                path = Path(known)
            self._models[name] = Model(path, provider=provider)
        return self._models[name]

    def load_default(self, name: str | None = None, provider: str = "auto") -> "Model":
        """Load a model; None: the library's default, else the tool's. Raises ModelError."""
        from photosearch.library.models import read_model_path

        if name is None and (own := self.default_model) is not None:
            name = read_model_path(self.db, own) or own
        return self.load(name, provider)

    def read_views(self, photo: "str | Path | Image", model: "Model") -> "npt.NDArray[np.uint8]":
        """A photo as a model sees it: uint8 [1, 1, S, S, 3]. Raises InputError where it can't be read."""
        import numpy as np

        from photosearch.errors import InputError
        from photosearch.index.infer import LoadedScorer
        from photosearch.photos import decode

        spec = LoadedScorer(model).view_spec
        if not isinstance(photo, str | Path):
            return np.expand_dims(decode.make_views(photo, spec.size, fit=spec.fit), 0)
        try:
            return np.expand_dims(decode.decode(decode.read(os.fspath(photo)), [spec]).views[0], 0)
        except decode.Unreadable as error:
            raise InputError(f"{photo}: can't be read: {error.reason}") from None

    def read_vector(self, picture: str, model: str) -> "npt.NDArray[np.float32]":
        """The vector, float32 [D], of a photo that the library does not hold. Raises InputError, ModelError."""
        from photosearch.errors import ModelError
        from photosearch.library.models import read_model_path

        loaded = self.load(read_model_path(self.db, model) or model)
        outputs = loaded.predict(self.read_views(picture, loaded))
        if outputs.vectors is None:
            raise ModelError(f"{model} gives no vectors")
        vector: npt.NDArray[np.float32] = outputs.vectors[0]
        return vector

    def open_search(self, model: str | None = None) -> "SimilaritySearch":
        """Search by descriptions and pictures, by the default model or another. Raises QueryError."""
        from photosearch.search.similar import open_similarity_search

        return open_similarity_search(self.db, model, self.read_vector)

    def rescore(self) -> None:
        """After a run: score new photos by the user's labels, and learn what similarities mean in this library.

        Both would cost the next question time.
        """
        from photosearch.index.rescore import rescore_user_labels

        rescore_user_labels(self.db, self.open_search)
