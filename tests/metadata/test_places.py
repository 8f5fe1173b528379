"""Positions whose places are known: landmarks, towns, villages, the sea."""

import csv
from pathlib import Path

import pytest

from photosearch.metadata.places import locate_photo, open_places

KNOWN = Path(__file__).with_name("known_positions.csv")
COUNTRIES, PLACES = 222, 195  # of 226 that must be right


def test_known_positions_get_their_country_and_place() -> None:
    with KNOWN.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    countries = places = 0
    for row in rows:
        found = locate_photo(float(row["latitude"]), float(row["longitude"]))
        names = [name for name in row["places"].split("|") if name]
        countries += (found.country_code if found else "") in row["country"].split("|")
        places += found is None if not names else found is not None and bool({found.name, found.wider} & set(names))
    assert len(rows) == 226
    assert countries >= COUNTRIES
    assert places >= PLACES


@pytest.mark.parametrize("position", [(91, 0), (0, 181), (float("nan"), 0), (float("inf"), 0)])
def test_locate_refuses_degrees_that_no_position_has(position: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="no position"):
        open_places().locate(*position)
