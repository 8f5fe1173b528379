"""Who runs `look`, where one machine is not enough: shards of photos, workers on many machines, and the way back.

    plan -> shards (cut.py) -> workers (driver.py, ray.py, worker.py) -> Parquet files (shards.py) -> commit, or `merge`

The library stays one SQLite file with one writer; only the looking spreads. Nothing in here is imported by a plain
`photosearch index`.
"""
