"""What can go wrong, in words for the person who typed the command.

    PhotosearchError
    ├── ModelError      a .onnx file, its card or its provider
    ├── StoreError      the library's database
    │   ├── DamagedError    it is damaged: `photosearch rebuild`
    │   ├── BusyError       another program is indexing into it
    │   └── StoppedError    the caller did not wait for the answer (Library.stoppable)
    ├── QueryError      the words after `find`
    └── InputError      anything else that was typed or passed in

One tree, caught once, in cli/root.py. A message is one line: what, where, what to do. Any other exception is a bug and
stays a traceback. A photo that can't be read is neither: it is recorded and the run goes on (photos.decode.Unreadable).
"""

MAX_CHARACTERS = 300  # of another library's message


class PhotosearchError(Exception):
    """The message is one line for the user: what, where, what to do."""


class ModelError(PhotosearchError):
    pass


class StoreError(PhotosearchError):
    pass


class DamagedError(StoreError):
    pass


class BusyError(StoreError):
    pass


class StoppedError(StoreError):
    pass


class QueryError(PhotosearchError):
    pass


class InputError(PhotosearchError):
    pass


def first_line(error: BaseException) -> str:
    """The first line of another library's message, shortened; the error's class where the message is empty."""
    lines = str(error).strip().splitlines()
    return lines[0][:MAX_CHARACTERS] if lines else type(error).__name__
