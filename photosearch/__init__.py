"""Find the photos you describe, in your own folders, on your own machine.

    from photosearch import Library

    with Library("library.db") as library:
        for event in library.index("/home/me/Pictures"):
            print(event)
        for photo in library.find("bird and not dog", limit=20):
            print(photo.score, photo.path)

The command line and the page use only what this module exports; docs/python.md documents it. Every name is imported
when it is first used, so that `import photosearch` takes a few milliseconds.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from photosearch.album import AlbumResult
    from photosearch.api.albums import AlbumChange
    from photosearch.api.library import Library, default_path, open_thumbnails
    from photosearch.api.question import PhotoFilters, SearchOptions
    from photosearch.api.reports import ReportFigures, measure_report
    from photosearch.api.tools import (
        add_model,
        check_index,
        check_installation,
        check_rebuild,
        complete_directory,
        count_pulled_bytes,
        describe_providers,
        find_extra,
        find_model_offer,
        list_added_models,
        list_backups,
        list_excluded_patterns,
        list_included_models,
        list_model_offers,
        list_models,
        measure_model_offer,
        plot_report,
        pull_model,
        read_model_card,
        rebuild_library,
        remove_model,
    )
    from photosearch.index import events
    from photosearch.index.events import Event
    from photosearch.index.folder_settings import FolderReport
    from photosearch.index.summary import RunSummary
    from photosearch.judging.csv_rows import format_csv
    from photosearch.judging.marking import MarkedImages, UndoneMark
    from photosearch.judging.report import LabelReport
    from photosearch.judging.review_queue import Kind as ReviewKind
    from photosearch.judging.review_queue import ReviewQueue
    from photosearch.keywords import ExportResult
    from photosearch.learning.learn import LearnPreview
    from photosearch.library.albums import AlbumStep
    from photosearch.library.details import FileDetails
    from photosearch.library.facets import Cluster, FolderCount
    from photosearch.library.facets import Count as FacetCount
    from photosearch.library.images import ImageDetails
    from photosearch.library.matching import Match
    from photosearch.library.records import USER_MODEL, Label
    from photosearch.models.card import Card, TextCard
    from photosearch.models.catalog import DEFAULT_MODEL
    from photosearch.ocr.lines import TextLine
    from photosearch.photos.decode import Unreadable
    from photosearch.photos.thumbnails import LARGE as LARGE_THUMBNAIL
    from photosearch.photos.thumbnails import SMALL as SMALL_THUMBNAIL
    from photosearch.photos.thumbnails import Thumbnails
    from photosearch.search.albums import AlbumSummary
    from photosearch.search.bursts import Burst
    from photosearch.search.chips import Chip
    from photosearch.search.duplicates import Group as DuplicateGroup
    from photosearch.search.find import Answer
    from photosearch.search.hints import Hint
    from photosearch.search.label_counts import LabelCount
    from photosearch.search.labels import LabelDetails
    from photosearch.search.limits import (
        FIRST_PAGE,
        MAX_COUNTED,
        MAX_PAGE,
        MAX_PAGE_SIMILAR,
        PREVIEW_PHOTOS,
        TABLE_PHOTOS,
        choose_limits,
    )
    from photosearch.search.listing import Listing
    from photosearch.spares.move import MoveResult, UndoResult
    from photosearch.spares.plan import SparePlan

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_MODEL", "FIRST_PAGE", "LARGE_THUMBNAIL", "MAX_COUNTED", "MAX_PAGE", "MAX_PAGE_SIMILAR", "PREVIEW_PHOTOS",
    "SMALL_THUMBNAIL", "TABLE_PHOTOS", "USER_MODEL", "AlbumChange", "AlbumResult", "AlbumStep", "AlbumSummary",
    "Answer", "Burst", "Card", "Chip", "Cluster", "DuplicateGroup", "Event", "ExportResult", "FacetCount",
    "FileDetails", "FolderCount", "FolderReport", "Hint", "ImageDetails", "Label", "LabelCount", "LabelDetails",
    "LabelReport", "LearnPreview", "Library", "Listing", "MarkedImages", "Match", "MoveResult", "PhotoFilters",
    "ReportFigures", "ReviewKind", "ReviewQueue", "RunSummary", "SearchOptions", "SparePlan", "TextCard", "TextLine",
    "Thumbnails", "UndoResult", "UndoneMark", "Unreadable", "__version__", "add_model", "check_index",
    "check_installation", "check_rebuild", "choose_limits", "complete_directory", "count_pulled_bytes", "default_path",
    "describe_providers", "events", "find_extra", "find_model_offer", "format_csv", "list_added_models",
    "list_backups", "list_excluded_patterns", "list_included_models", "list_model_offers", "list_models",
    "measure_model_offer", "measure_report", "open_thumbnails",
    "plot_report", "pull_model", "read_model_card", "rebuild_library", "remove_model",
]  # fmt: skip

_MODULES = {  # name -> module, or module:name where it has another name there; all others: api.tools
    "DEFAULT_MODEL": "models.catalog", "FIRST_PAGE": "search.limits", "LARGE_THUMBNAIL": "photos.thumbnails:LARGE",
    "MAX_COUNTED": "search.limits", "MAX_PAGE": "search.limits", "MAX_PAGE_SIMILAR": "search.limits",
    "PREVIEW_PHOTOS": "search.limits", "SMALL_THUMBNAIL": "photos.thumbnails:SMALL", "TABLE_PHOTOS": "search.limits",
    "USER_MODEL": "library.records", "AlbumResult": "album", "Answer": "search.find", "Card": "models.card",
    "Chip": "search.chips", "Cluster": "library.facets", "FacetCount": "library.facets:Count",
    "FolderCount": "library.facets", "Listing": "search.listing",
    "AlbumChange": "api.albums", "AlbumStep": "library.albums", "AlbumSummary": "search.albums",
    "Burst": "search.bursts", "MoveResult": "spares.move", "SparePlan": "spares.plan", "UndoResult": "spares.move",
    "DuplicateGroup": "search.duplicates:Group", "Event": "index.events", "ExportResult": "keywords",
    "FileDetails": "library.details", "FolderReport": "index.folder_settings", "Hint": "search.hints",
    "ImageDetails": "library.images", "Label": "library.records", "LabelCount": "search.label_counts",
    "LabelDetails": "search.labels", "LabelReport": "judging.report", "LearnPreview": "learning.learn",
    "Library": "api.library",
    "MarkedImages": "judging.marking",
    "Match": "library.matching",
    "PhotoFilters": "api.question", "ReportFigures": "api.reports", "ReviewKind": "judging.review_queue:Kind",
    "ReviewQueue": "judging.review_queue", "RunSummary": "index.summary", "SearchOptions": "api.question",
    "TextCard": "models.card", "TextLine": "ocr.lines", "Thumbnails": "photos.thumbnails",
    "UndoneMark": "judging.marking", "Unreadable": "photos.decode", "choose_limits": "search.limits",
    "default_path": "api.library", "format_csv": "judging.csv_rows", "measure_report": "api.reports",
    "open_thumbnails": "api.library",
}  # fmt: skip

# From version 1.29 on, ONNX Runtime reports each session on Linux to its maker: it keeps a number for this machine
# under ~/.cache and opens connections. It reads this variable when it is imported; for Windows see models/session.py.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def __getattr__(name: str) -> Any:
    """Import an exported name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'photosearch' has no attribute {name!r}")
    if name == "events":  # the module of all kinds of events
        return importlib.import_module("photosearch.index.events")
    module, _, attribute = _MODULES.get(name, "api.tools").partition(":")
    value = getattr(importlib.import_module(f"photosearch.{module}"), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
