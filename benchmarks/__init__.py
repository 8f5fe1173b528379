"""How fast photosearch is, measured against what can't be beaten and against the plain way: `python -m benchmarks`."""
