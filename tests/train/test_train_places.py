"""The table of towns: made from a tiny source by the command, read by the tool."""

import json
from pathlib import Path

from typer.testing import CliRunner

from photosearch.metadata.places import Places
from train.__main__ import app


def write_source(folder: Path) -> None:
    towns = {
        "1": {"name": "Köln", "latitude": 50.9333, "longitude": 6.95, "countrycode": "DE", "admin1code": "07",
              "population": 963_395, "alternatenames": ["Cologne", "KOLN", "Кёльн", "cologne", "Keulen"]},
        "2": {"name": "Deutz", "latitude": 50.937, "longitude": 6.975, "countrycode": "DE", "admin1code": "07",
              "population": 15_000, "alternatenames": []},
        "3": {"name": "Springfield", "latitude": 39.8017, "longitude": -89.6437, "countrycode": "US",
              "admin1code": "IL", "population": 116_250, "alternatenames": []},
        "4": {"name": "Nowhere", "latitude": 1.0, "longitude": 1.0, "countrycode": "XX", "admin1code": "",
              "population": 600, "alternatenames": []},
    }  # fmt: skip
    countries = {"DE": {"name": "Germany"}, "US": {"name": "United States"}}
    for name, values in (("cities500", towns), ("countries", countries), ("us_states", {"IL": {"name": "Illinois"}})):
        (folder / f"{name}.json").write_text(json.dumps(values), encoding="utf-8")


def test_places_writes_a_table_that_is_read(tmp_path: Path) -> None:
    write_source(tmp_path)
    to = tmp_path / "places.npz"
    run = CliRunner().invoke(app, ["places", "--to", str(to), "--source", str(tmp_path)])
    assert (run.exit_code, run.output) == (0, f"3 towns, {to.stat().st_size:,} bytes\n")
    places = Places(to)
    near = places.locate(50.94, 6.96)
    assert near is not None
    assert (near.name, near.country_code, near.country, near.division, near.wider) == (
        "Köln", "DE", "Germany", "", "Köln",
    )  # fmt: skip
    assert [place.name for name in ("cologne", "Keulen", "koln") for place in places.find(name)] == ["Köln"] * 3
    assert [(place.name, place.division) for place in places.find("Springfield")] == [("Springfield", "Illinois")]
    assert places.locate(1, 1) is None


def test_places_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["places", "--to", str(tmp_path / "places.npz"), "--source", str(tmp_path)])
    assert run.exit_code == 1
    assert "cities500.json: not there; name a folder with" in str(run.exception or run.output)
