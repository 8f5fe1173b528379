"""What photos' files say, at the command line: columns, CSV, JSON, status, and folders that store none of it."""

import csv
import io
import json
from pathlib import Path

import pytest
from cli_env import CliEnv, fail, notes

from photosearch import FileDetails, Library, Match
from photosearch.cli.found import COLUMNS
from photosearch.web.responses import make_details

SIDECAR = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmp:Rating="4" tiff:Make="Canon"
 tiff:Model="Canon EOS 5D" exif:GPSLatitude="41,8.976N" exif:GPSLongitude="8,36.66W">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Jantar</rdf:li></rdf:Alt></dc:title>
<dc:subject><rdf:Bag><rdf:li>cake</rdf:li><rdf:li>party</rdf:li></rdf:Bag></dc:subject>
<Iptc4xmpExt:PersonInImage><rdf:Bag><rdf:li>Anna</rdf:li></rdf:Bag></Iptc4xmpExt:PersonInImage>
</rdf:Description></rdf:RDF></x:xmpmeta>"""
RED = Match("red.jpg", 0.9, "", "", 1)
ALL = "taken,place,camera,lens,title,caption,keywords,people,rating,why"


@pytest.fixture
def described(cli_env: CliEnv) -> CliEnv:
    Path(f"{cli_env.photos / 'red.jpg'}.xmp").write_text(SIDECAR)
    return cli_env


def find_red(env: CliEnv, *arguments: str) -> str:
    result = env.run("find", "red and not blue", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.option("find --columns")
def test_find_columns_shows_what_is_asked_for(described: CliEnv) -> None:
    described.index()
    path = str(described.photos / "red.jpg")
    (line,) = find_red(described, "--columns", "place,camera,title,keywords,people,rating").splitlines()
    assert line.split("\t") == [
        "0.996", path, "Porto, Portugal", "Canon EOS 5D", "Jantar", "cake, party", "Anna", "4", "",
    ]  # fmt: skip
    assert len(find_red(described, "--columns", ALL.upper()).splitlines()[0].split("\t")) == 13
    assert find_red(described, "--columns", "why").splitlines()[0].split("\t")[2:] == ["label red 1.00", ""]
    assert "no such column; there are taken, place" in fail(described.run("find", "red", "--columns", "place,size"))
    assert "only for the table" in fail(described.run("find", "red", "--columns", "place", "--csv"))


@pytest.mark.parametrize("column", ["caption", "keywords", "people", "text"])
def test_cell_of_the_table_is_cut(column: str) -> None:
    for text, cell in (("x" * 60, "x" * 60), ("x" * 61, "x" * 59 + "…"), ("x" * 9999, "x" * 59 + "…")):
        details = FileDetails(caption=text, keywords=(text,), people=(text,))
        assert COLUMNS[column](RED, details, text) == cell


def test_find_csv_and_json_have_what_is_known(described: CliEnv) -> None:
    described.index()
    (row,) = csv.DictReader(io.StringIO(find_red(described, "--csv")))
    assert (row["place"], row["camera"], row["keywords"], row["people"], row["rating"], row["title"]) == (
        "Porto, Portugal", "Canon EOS 5D", "cake; party", "Anna", "4.0", "Jantar",
    )  # fmt: skip
    assert (round(float(row["latitude"]), 4), round(float(row["longitude"]), 4)) == (41.1496, -8.611)
    (known,) = json.loads(find_red(described, "--json"))["photos"]
    assert (known["place"], known["keywords"]) == ("Porto, Portugal", ["cake", "party"])
    assert "caption" not in known


def test_status_counts_what_is_known(described: CliEnv) -> None:
    described.index()
    assert json.loads(described.run("status", "--json").stdout)["photos_with"] == {
        "position": 1,
        "people": 1,
        "text": 1,
    }
    assert "photos with\ta position: 1, people: 1, a title or caption: 1" in described.run("status").stdout


@pytest.mark.option("index --metadata", "folders set --metadata")
def test_no_metadata_stores_none_until_it_is_wanted(described: CliEnv) -> None:
    described.index("--no-metadata")
    assert "metadata: not stored" in described.run("folders").stdout
    (row,) = csv.DictReader(io.StringIO(find_red(described, "--csv")))
    assert (row["place"], row["title"]) == ("", "")
    assert described.run("folders", "set", described.photos, "--metadata").exit_code == 0
    assert any("Metadata read of 3 unchanged photos, " in line for line in notes(described.run("index")))
    (row,) = csv.DictReader(io.StringIO(find_red(described, "--csv")))
    assert row["place"] == "Porto, Portugal"


def test_details_of_the_page_and_of_python_have_them_by_file(described: CliEnv) -> None:
    described.index()
    with Library(described.library) as library:
        photo = next(p for p in library.find("red and not blue").photos if p.path.endswith("red.jpg"))
        details = library.details(photo.image_id)
        assert details is not None
        file = make_details(details, (), {}).files[0]
        assert file.details is not None
        assert {file.details[key] for key in ("where", "camera", "title")} == {
            "Porto, Portugal", "Canon EOS 5D", "Jantar",
        }  # fmt: skip
        (described_photo,) = library.describe([photo])
        assert described_photo == details.files[0].details
        assert library.find_words("cake anna portugal") == [photo.path]
        assert library.find_words("ca", prefix=True, limit=1) == [photo.path]
        assert library.find_words("nothing") == []
