"""Filters, typed and in plain words: how sentences are read, and which photos they leave."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pytest
from embedding_library import BLUE, GREEN, RED, WHITE, WINE, open_filled, open_seen
from PIL import Image

from photosearch.errors import QueryError
from photosearch.library.database import Database
from photosearch.library.details import DEGREE, put_dates
from photosearch.library.filtering import (
    AllOf,
    AnyOf,
    Circle,
    Filter,
    FilterTree,
    KnownNames,
    _find_by_other_name,
    filter_by_details,
    negate,
)
from photosearch.library.matching import NO_FILTER
from photosearch.metadata.dates import Taken
from photosearch.metadata.places import measure_km
from photosearch.metadata.record import PhotoMetadata, Position
from photosearch.search.filter_grammar import read_typed_filters
from photosearch.search.filters import NO_FILTERS
from photosearch.search.plain_filters import read_filters

TODAY = date(2026, 11, 30)
PHOTOS = {  # name -> (colour, size, what its file says, when)
    "Rome 2019/red.png": (RED, (16, 24), PhotoMetadata(
        position=Position(41.8902, 12.4922), make="Canon", model="Canon EOS 5D", lens="EF 50mm f/1.4", rating=5,
        title="Gate 14", people=("Anna Müller",), keywords=("holiday",)), "2019-08-03T12:00:00"),
    "Porto/wine.png": (WINE, (24, 16), PhotoMetadata(
        position=Position(41.1496, -8.611), make="Apple", model="iPhone 12", rating=3, caption="Jantar at the gate",
        people=("Ben Ode", "Anna Müller"), keywords=("food", "cake"), paths=("food|cake",)), "2020-05-03T12:00:00"),
    "Porto/green.png": (GREEN, (48, 16), PhotoMetadata(
        position=Position(41.1621, -8.6220), make="Apple", model="iPhone 12", rating=-1), "2021-08-10T12:00:00"),
    "cape/blue.png": (BLUE, (16, 16), PhotoMetadata(city="Cape Town", country="South Africa", keywords=("cheesecake",)),
                      "2024-12-25T12:00:00"),
    "Screenshot 1.png": (WHITE, (20, 16), PhotoMetadata(
        position=Position(43.7102, 7.2620), city="Vieux Nice", country="France"), None),
    "spare/nowhere.png": ((0, 0, 0), (16, 24), PhotoMetadata(city="Turkey", country="Turkey"), None),
}  # fmt: skip


@pytest.fixture(scope="module")
def travels(tmp_path_factory):
    """Six photos with positions, places, cameras, people, ratings and texts."""
    folder = tmp_path_factory.mktemp("travels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        with open_seen(folder) as seen:
            for name, (colour, size, *_) in PHOTOS.items():
                Image.new("RGB", size, colour).save(seen.photo(name, colour))
            seen.index()
            with seen.under.db.transaction():
                for name, (_, _, said, taken) in PHOTOS.items():
                    photo_id = seen.put_details(name, said)
                    if taken:
                        put_dates(seen.under.db, photo_id, Taken(taken, "exif"), None, None)
            yield seen


def find(travels, words: str) -> str:
    """The colours of what is found, in alphabetical order."""
    names = travels.find(words, limit=100, today=TODAY.isoformat())
    return " ".join(sorted(name.rpartition("/")[2].removesuffix(".png") for name in names))


FOUND = [  # words -> the photos that they leave
    ("in:Portugal", "green wine"),
    ("in:porto", "green wine"),
    ("in:Oporto", "green wine"),
    ("in:PT", "green wine"),
    ('in:"cape town"', "blue"),
    ("in:'Cape Town'", "blue"),
    ("in:Cape-Town", "blue"),
    ('in:"Vieux Nice"', "Screenshot 1"),
    ("in:Roma", "red"),
    ("-in:Portugal", "Screenshot 1 blue nowhere red"),
    ("not in:Portugal and -in:Italy", "Screenshot 1 blue nowhere"),
    ("in:Atlantis", ""),
    ("in:Portugal in:Italy", ""),
    ("near:Porto", "green wine"),
    ("near:Porto~1km", "wine"),
    ("near:41.15,-8.61", "green wine"),
    ("near:41.1621,-8.622~0.5km", "green"),
    ('near:"Nice, France"', "Screenshot 1"),
    ("taken:2019", "red"),
    ("taken:2019..2021", "green red wine"),
    ("taken:2020-05..", "blue green wine"),
    ("taken:..2019", "red"),
    ("taken:>=2021", "blue green"),
    ("-taken:2019..2021", "Screenshot 1 blue nowhere"),
    ('taken:"christmas 2024"', "blue"),
    ("on:2020-05-03", "wine"),
    ("camera:iphone", "green wine"),
    ("camera:apple", "green wine"),
    ('camera:"eos 5d"', "red"),
    ("lens:50mm", "red"),
    ("keyword:food", "wine"),
    ("keyword:cake", "wine"),
    ("person:anna", "red wine"),
    ("person:muller -person:ben", "red"),
    ("rating:5", "red"),
    ("rating:>=3", "red wine"),
    ("rating:>3", "red"),
    ("rating:3..5", "red wine"),
    ("rating:-1", "green"),
    ("folder:rome", "red"),
    ("folder:porto -rating:3", "green"),
    ('text:"gate 14"', "red"),
    ("text:gate", "red wine"),
    ("text:ode", "wine"),
    ("is:portrait", "nowhere red"),
    ("is:landscape -is:panorama", "Screenshot 1 wine"),
    ("is:square", "blue"),
    ("is:panorama", "green"),
    ("is:raw", ""),
    ("is:screenshot", "Screenshot 1"),
    ("is:gps and in:Portugal", "green wine"),
    ("red and in:Portugal", "green wine"),  # wine is red, and the nearest follow
    ("-red in:Portugal", "green"),
    ("red in:Italy -camera:iphone", "red"),
    ("in:Italy or in:Porto", "green red wine"),
    ("in:Italy | person:ben", "red wine"),
    ("(camera:Canon or camera:Apple) taken:2019..2020 -person:ben", "red"),
    ("camera:Canon or camera:Apple taken:2019", "red"),  # side by side: both hold
    ("camera:Canon or camera:Apple and taken:2021", "green red"),  # and binds before or
    ("in:Italy or (in:Portugal -is:panorama)", "red wine"),
    ("in:Italy or not is:gps", "blue nowhere red"),
    ("-(in:Portugal or in:Italy)", "Screenshot 1 blue nowhere"),
    ("-(in:Portugal and rating:3)", "Screenshot 1 blue green nowhere red"),
    ("not (in:Italy or not in:Portugal)", "green wine"),
    ("taken:2019 or on:2020-05-03", "red wine"),
    ("in:Italy or in:Atlantis", "red"),
    ("((in:Italy))", "red"),
    ("in:Italy, taken:2019", "red"),
    ("red (in:Italy or in:Portugal) -(is:panorama or rating:5)", "wine"),
]


def test_other_name_of_a_city_means_its_parts_too():
    rows = [(1, "Cedofeita", "Porto", "Porto", "Portugal", "PT"), (2, "Pôrto", "", "Porto", "Portugal", "PT"),
            (3, "Porto", "", "", "Brazil", "BR"), (4, "Camden", "London", "", "United Kingdom", "GB")]  # fmt: skip
    assert _find_by_other_name("Oporto", rows) == [1, 2]
    assert _find_by_other_name("UK", rows) == [4]


@pytest.mark.parametrize(("words", "found"), FOUND)
def test_typed_filter_leaves_the_photos_that_it_holds_for(travels, words, found):
    assert find(travels, words) == found


@pytest.mark.parametrize("read", [-1, 100])
def test_filters_of_many_photos_leave_the_same(travels, monkeypatch, read):
    """Where a filter leaves many, each photo is looked up, there or among what was read, and dates come in order."""
    monkeypatch.setattr("photosearch.library.filtering.MAX_MEASURED", read)
    monkeypatch.setattr("photosearch.library.matching.MAX_LISTED", -1)
    assert [(words, find(travels, words)) for words, _ in FOUND] == FOUND


@pytest.mark.parametrize("read", [-1, 100])
def test_newest_photos_of_a_filter_of_many_are_read_in_the_order_of_their_dates(travels, monkeypatch, read):
    """SQLite would else go through the whole list that a filter leaves once for each photo: minutes at a million."""
    monkeypatch.setattr("photosearch.library.filtering.MAX_MEASURED", read)
    monkeypatch.setattr("photosearch.library.matching.MAX_LISTED", -1)
    plans, read = {}, Database.rows

    def explain(db: Database, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        if "ORDER BY i.taken DESC" in sql:
            plans[sql] = [row[3] for row in read(db, f"EXPLAIN QUERY PLAN {sql}", values)]
        return read(db, sql, values)

    monkeypatch.setattr(Database, "rows", explain)
    for words, _ in FOUND:
        find(travels, words)
    assert len(plans) > 10
    assert any("(taken>? AND taken<?)" in plan[0] for plan in plans.values()), (
        "not from the last date that is asked for"
    )
    for sql, plan in plans.items():
        assert plan[0].startswith("SEARCH i USING INDEX images_taken"), sql
        assert plan[1] == "SEARCH p USING INDEX photos_image (image_id=?)", sql  # not also rowid=?, of the list


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        ("a dog in:Portugal on a beach", "a dog on a beach"),
        ("dog and in:Portugal and cat", "dog and cat"),
        ("in:Portugal and dog", "dog"),
        ("dog and not in:Portugal", "dog"),
        ("dog, -in:Portugal", "dog"),
        ("dog in:Portugal, cat rating:5, mouse", "dog, cat, mouse"),
        ("dog, in:Portugal, cat", "dog, cat"),
        ("dog in:Portugal and not cat", "dog and not cat"),
        ("in:Portugal not cat", "not cat"),
        ("foo:bar dog", "foo:bar dog"),
        ('"in:Portugal" dog', '"in:Portugal" dog'),
        ("a sign:in:Portugal", "a sign:in:Portugal"),
        ("the dog's in:Portugal ball", "the dog's ball"),
        ("in:Portugal or in:Spain dog", "dog"),
        ("dog (in:Portugal or in:Spain) cat", "dog cat"),
        ("dog and (in:Portugal or in:Spain) and cat", "dog and cat"),
        ("(dog or cat) in:Portugal", "(dog or cat)"),
        ("dog or cat in:Portugal", "dog or cat"),
        ("dog or cat, in:Portugal or in:Spain", "dog or cat"),
        ('"dog" or "in:Spain" in:Portugal', '"dog" or "in:Spain"'),
        ("a sign (in red) -in:Portugal", "a sign (in red)"),
    ],
)
def test_other_words_stay(words, rest):
    assert read_typed_filters(words, TODAY)[1] == rest


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("rating:many", "rating:5, rating:>=4, rating:3..5"),
        ("near:Nowhere-at-all", "near:Porto~5km"),
        ("near:95,0", "degrees"),
        ("near:Porto~900km", "up to 500 km"),
        ("taken:soon", "taken:2019..2021"),
        ("on:2019", "on:2019-05-03"),
        ("is:blurry", "portrait, landscape"),
        ("in: Portugal", "in:Portugal"),
        ('in:"Cape Town', "opened and not closed"),
        ("text:!!!", "text:"),
        ("dog or in:Portugal", "in:Portugal: `or` joins filters with filters only"),
        ("in:Portugal or dog", "in:Portugal: `or` joins filters with filters only"),
        ("(in:Portugal or in:Spain) or (dog)", "in:Spain: `or` joins filters with filters only"),
        ("(in:Portugal or in:Spain", "a bracket is opened and not closed"),
        ("(and in:Portugal)", "'and' joins no filters there"),
        ("(" * 41 + "in:Portugal" + ")" * 41, "brackets nest deeper than 40"),
        (" ".join(f"rating:{i % 5}.{i}" for i in range(51)), "more than 50 filters"),
        ("(dog in:Portugal) cat", "in:Portugal: in brackets stand only filters, or only words"),
    ],
)
def test_malformed_filter_gets_one_line_that_says_what_is_accepted(travels, words, said):
    with pytest.raises(QueryError) as error:
        travels.ask(words)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "value",
    [
        "title:gate",
        "a* OR b",
        "NEAR(a b)",
        "gate) OR (x",
        "{title}:gate",
        "-gate",
        "^gate",
        "' OR 1=1 --",
        "%",
        "_",
        "\0gate",
    ],
)
def test_a_users_value_is_never_syntax(travels, value):
    for name in ("in", "camera", "person", "folder"):
        assert not refuse_or_find(travels, f'{name}:"{value}"')
    assert len(refuse_or_find(travels, f'text:"{value}"')) <= 2


def refuse_or_find(travels, words: str) -> list[str]:
    """What is found; nothing where it is refused in one line."""
    try:
        return travels.find(words, limit=100)
    except QueryError as error:
        refused = str(error)
    assert "\n" not in refused
    return []


HOSTILE = [
    'in:"', '"in:', "in:'Porto", 'in:""', "near:~", "in:" + "x" * 1990, "rating:" + "9" * 300, "taken:9999..0000",
    "taken:>9999-12-31", "taken:<0001-01-01", "near:Porto~1e9km", "-in:", "is:is:is", "in:Portugal " * 160,
    " ".join(f"near:{i}" for i in range(200)), "in:Portugal" * 200, "text:" + "a " * 1000, "(in:Porto", ":::", "in::",
    "in Portugal " * 160, "with the " * 220, "Anna " * 400, 'says "gate" ' * 160, "in " * 600, "not " * 400 + "in Rome",
    "a" * 2000, "in Rome " + "b" * 1993,
]  # fmt: skip


@pytest.mark.parametrize("words", HOSTILE)
def test_hostile_filters_are_answered_or_refused_in_one_line(travels, words):
    refuse_or_find(travels, words)


SENTENCES = [  # words -> what is asked for, of the keys of `explain`; all others are None
    ("dog in Portugal", {"description": "dog", "places": ["Portugal"]}),
    ("dog in portugal last summer",
     {"description": "dog", "places": ["portugal"], "since": "2026-06-01", "until": "2026-09-01"}),
    ("a dog near Porto", {"description": "a dog", "near": "Porto"}),
    ("a boat at Porto in 2019",
     {"description": "a boat", "places": ["Porto"], "since": "2019-01-01", "until": "2020-01-01"}),
    ("a church in Rome at night", {"description": "a church at night", "places": ["Rome"]}),
    ("in Rome, a dog", {"description": "a dog", "places": ["Rome"]}),
    ("In Cape Town", {"places": ["Cape Town"]}),
    ("penguins in cape town", {"description": "penguins", "places": ["cape town"]}),
    ("a beach in Nice", {"description": "a beach", "places": ["Nice"]}),
    ("a man in Nice clothes", {"description": "a man in Nice clothes"}),
    ("a girl in nice", {"description": "a girl in nice"}),
    ("a girl in italy with the iphone", {"description": "a girl", "places": ["italy"], "camera": "iphone"}),
    ("nice dog", {"description": "nice dog"}),
    ("Turkey sandwich", {"description": "Turkey sandwich"}),
    ("a market in Turkey", {"description": "a market", "places": ["Turkey"]}),
    ("a turkey in a field", {"description": "a turkey in a field"}),
    ("a man in turkey costume", {"description": "a man in turkey costume"}),
    ("Portugal", {"description": "Portugal"}),
    ("a Portugal shirt", {"description": "a Portugal shirt"}),
    ("a dog in Japan", {"description": "a dog in Japan"}),
    ("a dog in the park", {"description": "a dog in the park"}),
    ("a dog not in Portugal", {"description": "a dog", "unwanted": ["in:Portugal"]}),
    ("in Portugal and Italy", {"description": "in Portugal and Italy"}),
    ("dog in Portugal or Italy", {"description": "dog in Portugal or Italy"}),
    ('"in Portugal"', {"description": "in Portugal"}),
    ("sunset with the iPhone", {"description": "sunset", "camera": "iPhone"}),
    ("sunset taken with the iPhone 12 in Italy", {"description": "sunset", "camera": "iPhone 12", "places": ["Italy"]}),
    ("portraits taken with my Canon", {"description": "portraits", "camera": "Canon"}),
    ("a bird with the Canon EOS 5D camera", {"description": "a bird", "camera": "Canon EOS 5D"}),
    ("a woman with the apple", {"description": "a woman with the apple"}),
    ("a man with the Canon bag", {"description": "a man with the Canon bag"}),
    ("a boy with the camera", {"description": "a boy with the camera"}),
    ("a dog with the # 8", {"description": "a dog with the # 8"}),
    ("a boy with the Nikon", {"description": "a boy with the Nikon"}),
    ("Anna on the beach", {"description": "on the beach", "people": ["Anna"]}),
    ("photos of Anna Müller", {"people": ["Anna Müller"]}),
    ("pictures of anna muller in 2019",
     {"people": ["anna muller"], "since": "2019-01-01", "until": "2020-01-01"}),
    ("Anna and Ben at the sea", {"description": "at the sea", "people": ["Anna", "Ben"]}),
    ("a dog with Anna", {"description": "a dog", "people": ["Anna"]}),
    ("a dog without Ben", {"description": "a dog", "unwanted": ["person:Ben"]}),
    ("a dog -Anna", {"description": "a dog", "unwanted": ["person:Anna"]}),
    ("Anna's birthday cake", {"description": "Anna's birthday cake"}),
    ("a dog with ben, in the park", {"description": "a dog, in the park", "people": ["ben"]}),
    ("the mother of Anna", {"description": "the mother of Anna"}),
    ("an ode to joy", {"description": "an ode to joy"}),
    ('a sign saying "gate 14"', {"description": "a sign", "text": "gate 14"}),
    ('a shirt that says "hello" in Rome', {"description": "a shirt", "text": "hello", "places": ["Rome"]}),
    ("a man saying hello", {"description": "a man saying hello"}),
    ("screenshot of a map", {"description": "a map", "is": ["screenshot"]}),
    ("panorama of Porto", {"description": "Porto", "is": ["panorama"]}),
    ("a man taking a screenshot of a map", {"description": "a man taking a screenshot of a map"}),
    ("in:Portugal dog", {"description": "dog", "places": ["Portugal"]}),
    ('dog and in:"Cape Town"', {"description": "dog", "places": ["Cape Town"]}),
    ("in:Cape Town dog", {"description": "dog", "places": ["Cape Town"]}),  # a shell ate the quotes
    ("dog, person:Anna Müller, cat", {"description": "dog, cat", "people": ["Anna Müller"]}),
    ("dog -in:Portugal", {"description": "dog", "unwanted": ["in:Portugal"]}),
    ("near:Porto~5km boats", {"description": "boats", "near": "Porto~5km"}),
    ("taken:2019..2021", {"since": "2019-01-01", "until": "2022-01-01"}),
    ("on:2019-05-03 cake", {"description": "cake", "since": "2019-05-03", "until": "2019-05-04"}),
    ("camera:iphone keyword:food", {"camera": "iphone", "keywords": ["food"]}),
    ('person:"Anna Müller" rating:>=4', {"people": ["Anna Müller"], "rating": {"min": 4, "max": 5}}),
    ("folder:Rome is:portrait", {"folder": "Rome", "is": ["portrait"]}),
    ('text:"gate 14" rating:3..5', {"text": "gate 14", "rating": {"min": 3, "max": 5}}),
    ("foo:bar dog", {"description": "foo:bar dog"}),
    ("red and not blue in Portugal", {"labels": ["red"], "not_labels": ["blue"], "places": ["Portugal"]}),
    ("red in:Italy is:gps lens:50mm", {"labels": ["red"], "places": ["Italy"], "is": ["gps"], "lens": "50mm"}),
    ("a dog in Portugal christmas 2020 is:gps",
     {"description": "a dog", "places": ["Portugal"], "since": "2020-12-24", "until": "2020-12-27", "is": ["gps"]}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "asked"), SENTENCES)
def test_sentence_is_read(travels, words, asked):
    read = travels.asks.explain(words, today=TODAY.isoformat())
    if read["near"]:
        read["near"] = read["near"]["name"]
    assert {key: value for key, value in read.items() if value is not None} == asked


def test_query_mode_reads_no_filters(travels):
    words = "Anna in:Portugal in Rome"
    assert travels.asks.explain(words, query_mode="text")["description"] == words
    with pytest.raises(QueryError, match="no label"):
        travels.ask(words, query_mode="label")


def test_reading_is_told(travels):
    told = travels.ask("a dog in Portugal with the iPhone without Anna").hints
    assert [hint.partition(";")[0] for hint in told[:3]] == [
        "Read 'in Portugal' as a place",
        "Read 'with the iPhone' as a camera",
        "Read 'without Anna' as a person",
    ]
    assert travels.ask("in:Portugal in:Italy").hints[-1] == "No photo here is all of: in:Portugal, in:Italy."
    assert travels.ask("in:Portugal in:Atlantis").hints[-1] == "No photo here is in:Atlantis."
    assert travels.ask("a red and in:Portugal").question == "red in:Portugal"
    assert "in:Portugal: a filter" in "\n".join(travels.ask("in:Portugal").explanation)


def test_count_follows_filters(travels):
    assert travels.asks.count("in:Portugal", up_to=10) == 2
    assert travels.asks.count("red in:Portugal", up_to=10) == 1


def test_plain_descriptions_stay_though_the_library_has_the_places(data):
    """Flickr8k's 5,000 test captions hold no filter, but for nine that quote what a sign or a shirt says.

    One begins with "A portrait of", which is a kind of photo.
    """
    names = data("Flickr8k") / "Flickr8k" / "Flickr8k_text"
    wanted = set((names / "Flickr_8k.testImages.txt").read_text().split())
    lines = (line.split("\t") for line in (names / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines())
    captions = [caption for photo, caption in lines if photo.partition("#")[0] in wanted]
    known = KnownNames(frozenset(["portugal", "rome", "turkey", "nice"]))
    assert len(captions) == 5000
    read = [(caption, read_filters(caption, known, TODAY)[0]) for caption in captions]
    changed = [(caption, filters) for caption, filters in read if filters != NO_FILTERS]
    plain = [caption for caption, filters in changed if not filters.list_values("text")]
    assert plain == ["A portrait of Einstein is painted on statue of a polar bear ."]
    quoting = [caption for caption, _ in changed if caption not in plain]
    assert len(quoting) == 9
    assert all(' says "' in caption or ' saying "' in caption for caption in quoting)


@pytest.mark.parametrize(("latitude", "longitude"), [(0, 0), (41.15, -8.61), (-34, 18.4), (60, 179.9), (-70, -179.95)])
@pytest.mark.parametrize("km", [1, 25, 500])
def test_near_agrees_with_distances_on_the_sphere(tmp_path, latitude, longitude, km):
    """Except within half a percent of the circle; across the date line as well."""
    random = np.random.default_rng(1)
    spread = 2 * km / 111 * random.uniform(-1, 1, (2, 300))
    north = latitude + spread[0]
    east = (longitude + spread[1] / np.cos(np.radians(latitude)) + 180) % 360 - 180
    with Database(tmp_path / "library.db", create=True) as db, db.transaction():
        db.write("INSERT INTO roots(id, path) VALUES (1, '/photos')")
        db.write("INSERT INTO folders(id, root_id, path) VALUES (1, 1, '')")
        db.write("INSERT INTO images(id, hash, width, height) VALUES (1, x'00', 1, 1)")
        for i, (y, x) in enumerate(zip(north, east, strict=True)):
            db.write(
                "INSERT INTO photos(id, folder_id, name, size_bytes, mtime_ns, image_id) VALUES (?, 1, ?, 1, 1, 1)",
                [i, f"{i}.jpg"],
            )
            db.write(
                "INSERT INTO details(photo_id, sidecars, latitude, longitude) VALUES (?, 0, ?, ?)",
                [i, round(y * DEGREE), round(x * DEGREE)],
            )
        only = filter_by_details(db, [Filter("near", "x", circle=Circle(latitude, longitude, km))], NO_FILTER)
        inside = {i for (i,) in db.rows(f"SELECT p.id FROM photos p WHERE {only.where}", only.values)}
    distances = measure_km(latitude, longitude, north, east)
    assert len(inside) == only.photos  # the strictest filter's
    assert set(np.flatnonzero(distances < 0.995 * km)) <= inside <= set(np.flatnonzero(distances < 1.005 * km))
    assert 0 < len(inside) < 300


LEAVES = [
    Filter("in", "Porto"),
    Filter("person", "Anna Müller"),
    Filter("is", "gps"),
    Filter("keyword", "cake", wanted=False),
]


def draw_tree(random: np.random.Generator, depth: int) -> FilterTree:
    if not depth or random.random() < 0.3:
        return LEAVES[random.integers(len(LEAVES))]
    parts = tuple(draw_tree(random, depth - 1) for _ in range(random.integers(1, 4)))
    tree = AllOf(parts) if random.random() < 0.5 else AnyOf(parts)
    return negate(tree) if random.random() < 0.3 else tree


def holds(tree: FilterTree, true: frozenset[str]) -> bool:
    """What a tree means, in plain Python."""
    match tree:
        case Filter(kind):
            return (kind in true) == tree.wanted
        case AllOf(parts):
            return all(holds(part, true) for part in parts)
        case AnyOf(parts):
            return any(holds(part, true) for part in parts)


def test_a_tree_that_is_written_and_read_means_the_same():
    """So `filters` of --explain --json can be asked as it is."""
    random = np.random.default_rng(1)
    worlds = [frozenset(kinds) for kinds in ((), ("in",), ("in", "person"), ("is", "keyword"), ("person", "keyword"))]
    for _ in range(300):
        tree = draw_tree(random, 4)
        read, rest = read_typed_filters(f"{tree} dog", TODAY)
        assert rest == "dog"
        for true in worlds:
            assert all(holds(part, true) for part in read.parts) == holds(tree, true), str(tree)


def test_or_is_told_as_one_sentence(travels):
    read = travels.asks.explain("red (in:Portugal or in:Italy) -person:Anna taken:2020")
    assert read["filters"] == "(in:Portugal or in:Italy) -person:Anna taken:2020-01-01..2020-12-31"
    assert (read["labels"], read["places"], read["unwanted"], read["since"]) == (
        ["red"], None, ["person:Anna"], "2020-01-01",
    )  # fmt: skip
    assert "filters" not in travels.asks.explain("in:Portugal and in:Italy")
    assert travels.ask("in:Atlantis or in:Utopia").hints[-1] == "No photo here is (in:Atlantis or in:Utopia)."


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("in:Rome", "camera phone scan"), ("in:rome", "camera phone scan"), ("in Rome", "camera phone scan"),
        ("-in:Rome", "fort other"), ("in:Italy", "phone scan"), ("in:Porto", "other"), ("in:Jero", ""),
        ("in:PT", "other"),
        ("folder:rome", "camera fort other phone scan"),
    ],
)  # fmt: skip
def test_folder_says_where_a_photo_without_a_place_was_taken(rome, words, found):
    assert find(rome, words) == found


def test_folder_is_the_reason_where_it_says_the_place(rome):
    why = {photo.path.rpartition("/")[2]: photo.why for photo in rome.ask("in:Rome", limit=100)}
    assert (why["scan.png"], why["camera.png"]) == (("folder: Italy_Rome_1987",), ("folder: Rome 2019",))
    assert why["phone.png"] == ("place: Rome, Italy",)


@pytest.fixture(scope="module")
def rome(tmp_path_factory):
    """A phone's photo with a position, others of the same folders without one, and one that was taken elsewhere."""
    said = {
        "Rome 2019/phone": PhotoMetadata(position=Position(41.8902, 12.4922)), "Rome 2019/PT/camera": PhotoMetadata(),
        "Rome 2019/other": PhotoMetadata(position=Position(41.1496, -8.611)), "Italy_Rome_1987/scan": PhotoMetadata(),
        "Fort Jerome/fort": PhotoMetadata(),
    }  # fmt: skip
    colours = dict(zip(said, (RED, GREEN, BLUE, WINE, WHITE), strict=True))
    with open_filled(tmp_path_factory.mktemp("rome"), colours) as seen:
        with seen.under.db.transaction():
            for name, metadata in said.items():
                seen.put_details(f"{name}.png", metadata)
        yield seen
