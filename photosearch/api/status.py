"""The state of a library."""

from pathlib import Path
from typing import Any

from photosearch.library.database import Database
from photosearch.library.folders import count_photos, is_present, list_roots
from photosearch.library.models import list_models, read_default_model
from photosearch.library.photos import read_counts
from photosearch.library.runs import is_running, read_last_run


def read_status(path: Path, db: Database) -> dict[str, Any]:
    folders = [
        {"path": root.root, "photos": count_photos(db, root).photos, "present": is_present(root)}
        for root in list_roots(db)
    ]
    counts = read_counts(db)
    counts["marks"] = counts.pop("truth")
    return {
        "database": str(path), "size_bytes": path.stat().st_size, "folders": folders, **counts,
        "default_model": read_default_model(db), "models": list_models(db), "last_run": read_last_run(db),
    }  # fmt: skip


def read_progress(db: Database) -> dict[str, Any]:
    run, counts = read_last_run(db), read_counts(db)
    models = run["models"] if run else []
    scored = max((model["images"] for model in list_models(db) if model["name"] in models), default=0)
    return {
        "running": run is not None and is_running(run), "started_at": run and run["started_at"], "models": models,
        "photos": counts["photos"], "unreadable": counts["unreadable"], "scored": scored,
    }  # fmt: skip
