"""The main path: a folder of photos to rows in the library."""
