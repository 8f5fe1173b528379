"""Indexing on several machines: shards of photos, workers that score them, and the way back into the library.

    scan -> shards (sharding.py) -> workers (driver.py, ray.py, worker.py) -> Parquet files (shards.py) -> merge

The library stays one SQLite file with one writer; only inference is spread. A plain `photosearch index` imports nothing
from here.
"""
