"""The label hierarchy and the synonyms."""

from photosearch.search.hierarchy import list_above, list_below, read_parents, read_synonyms


def test_tables_are_consistent_and_acyclic():
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


def test_list_above_and_below_are_inverse_and_give_known_labels():
    known = {"fish", "goldfish", "pet", "dog"}
    assert list_above("goldfish", known) == ["fish", "pet"]
    assert "goldfish" in list_below("fish", known)
    assert "goldfish" in list_below("pet", known)
    assert list_above("goldfish", {"pet"}) == ["pet"]
    assert list_below("fish", {"dog"}) == []
    assert list_above("my own label", known) == list_below("my own label", known) == []
