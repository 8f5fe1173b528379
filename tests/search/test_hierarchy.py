"""Which label a word means, and what lies above and below a label."""

from photosearch.search.hierarchy import find_label, list_above, list_below, read_parents, read_synonyms


def test_a_label_is_found_by_its_name_its_case_aside_an_article_before_it():
    known = ["dog", "Bird", "hot dog"]
    words = {"dog": "dog", "DOG": "dog", "a dog": "dog", "The Dog": "dog", "bird": "Bird", "some bird": "Bird",
             "hot dog": "hot dog", "an hot dog": "hot dog"}  # fmt: skip
    assert {word: find_label(word, known) for word in words} == words


def test_an_exact_name_goes_before_another_case_of_it_and_before_a_synonym():
    assert find_label("bird", ["Bird", "bird"]) == "bird"
    assert find_label("BIRD", ["Bird", "bird"]) == "Bird"
    assert read_synonyms()["puppy"] == "dog"
    assert find_label("puppy", ["dog", "puppy"]) == "puppy"


def test_a_plural_or_a_synonym_means_its_label_where_that_is_known():
    assert find_label("dogs", ["dog"]) == "dog"
    assert find_label("Puppies", ["dog"]) == "dog"
    assert find_label("the dogs", ["dog"]) == "dog"
    assert find_label("dogs", ["cat"]) is None


def test_what_is_no_label_is_none():
    for word in ("", "a", "a ", "dog on a beach", "dogg", "zzz"):
        assert find_label(word, ["dog"]) is None
    assert find_label("dog", []) is None


def test_a_word_may_be_looked_up_among_labels_that_are_read_once():
    assert find_label("dogs", iter(["cat", "dog"])) == "dog"


def test_the_tables_hold_together():
    """Every synonym names a label, every parent is one, no synonym is a label's own name, nothing is above itself."""
    parents, synonyms = read_parents(), read_synonyms()
    assert len(parents) > 1000
    assert set(synonyms.values()) <= parents.keys()
    assert {above for some in parents.values() for above in some} <= parents.keys()
    assert not synonyms.keys() & {label.casefold() for label in parents}

    def ancestors(label: str, seen: tuple[str, ...] = ()) -> set[str]:
        assert label not in seen, f"a circle: {seen}"
        return {a for p in parents[label] for a in (p, *ancestors(p, (*seen, label)))}

    for label in parents:
        ancestors(label)


def test_above_and_below_are_each_others_opposite_and_hold_what_is_known_alone():
    known = {"fish", "goldfish", "pet", "dog"}
    assert list_above("goldfish", known) == ["fish", "pet"]
    assert "goldfish" in list_below("fish", known)
    assert "goldfish" in list_below("pet", known)
    assert list_above("goldfish", {"pet"}) == ["pet"]
    assert list_below("fish", {"dog"}) == []
    assert list_above("my own label", known) == list_below("my own label", known) == []
