"""What can go wrong, in words for the person who typed the command.

    PhotosearchError
    ├── ModelError      a .onnx file, its card or its provider
    ├── StoreError      the database
    ├── QueryError      the words after `find`
    └── InputError      anything else that was typed or handed in

One tree, caught once, in cli.py. A message is one line: what, where, what to do. Anything that is not
a PhotosearchError is a bug and stays a traceback. A photo that can't be read is none of these: it is
news, not an error (photos.Unreadable).
"""


class PhotosearchError(Exception):
    """The message is one line for the user: what, where, what to do."""


class ModelError(PhotosearchError):
    pass


class StoreError(PhotosearchError):
    pass


class QueryError(PhotosearchError):
    pass


class InputError(PhotosearchError):
    pass
