"""The language of questions: tokens, trees, what they mean, and errors."""

import pytest

from photosearch.errors import QueryError
from photosearch.query import And, Is, Not, Or, list_labels, matches, parse, score, tokenize

A, B, C = Is("a"), Is("b"), Is("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("bird", Is("bird")),
        ("  bird\n", Is("bird")),
        ("a and b", And((A, B))),
        ("a and b and c", And((A, B, C))),
        ("a or b or c", Or((A, B, C))),
        ("not a", Not(A)),
        ("not not a", A),
        ("not not not a", Not(A)),
        ("a or b and c", Or((A, And((B, C))))),
        ("a and b or c", Or((And((A, B)), C))),
        ("(a or b) and c", And((Or((A, B)), C))),
        ("(a or b)and(not c)", And((Or((A, B)), Not(C)))),
        ("not a and b", And((Not(A), B))),
        ("not (a and b)", Not(And((A, B)))),
        ("a and not b", And((A, Not(B)))),
        ("((a))", A),
        ("A AND NOT b", And((Is("A"), Not(B)))),
        ("red panda", Is("red panda")),
        ("red   panda or cat", Or((Is("red panda"), Is("cat")))),
        ('"red panda"', Is("red panda")),
        ("' red  panda '", Is("red panda")),
        ('"and" or "or" or "not"', Or((Is("and"), Is("or"), Is("not")))),
        ('"a (b)" and \'say "no"\'', And((Is("a (b)"), Is('say "no"')))),
        ("android and note", And((Is("android"), Is("note")))),
        ("flamingo_head", Is("flamingo_head")),
        ("żubr or 鳥", Or((Is("żubr"), Is("鳥")))),
    ],
)
def test_parse_reads_operators_quotes_and_brackets(text, tree):
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the query ends where a label should stand"),
        ("bird and", "the query ends where a label should stand"),
        ("not", "the query ends where a label should stand"),
        ("and bird", "a label should stand where 'and' does"),
        ("a or and b", "a label should stand where 'and' does"),
        ("()", r"a label should stand where '\)' does"),
        ('a and ""', "a label should stand where '' does"),
        ("(a", "a bracket is opened and not closed"),
        ("(a and b", "a bracket is opened and not closed"),
        ("a)", r"don't understand '\)' there"),
        ("(a)(b)", r"don't understand '\(' there"),
        ('red "panda"', "don't understand 'panda' there"),
        ('"a', "a quote is opened and not closed"),
        ("'tis", "a quote is opened and not closed"),
        ("a" * 2001, "2001 characters, more than 2000"),
        ("(" * 60 + "a" + ")" * 60, "brackets nest deeper than 40"),
        (" or ".join("ab"[i % 2] for i in range(51)), "more than 50 labels"),
    ],
)
def test_parse_refuses_malformed_questions_in_one_line(text, said):
    with pytest.raises(QueryError, match=said) as error:
        parse(text)
    assert "\n" not in str(error.value)


def test_list_labels_gives_each_once_in_order():
    assert list_labels(parse("b and not (a or b) or c")) == ["b", "a", "c"]


def test_matches_at_the_threshold_and_above():
    thresholds = {"a": 0.5, "b": 0.9}
    assert matches(parse("a and not b"), {"a": 0.5, "b": 0.89}, thresholds)
    assert not matches(parse("a and not b"), {"a": 0.5, "b": 0.9}, thresholds)
    assert not matches(parse("a and not b"), {"a": 0.49, "b": 0.0}, thresholds)
    assert matches(parse("a or b"), {"a": 0.0, "b": 0.95}, thresholds)
    assert matches(parse("not (a or b)"), {"a": 0.0, "b": 0.0}, thresholds)


def test_score_is_the_minimum_of_and_and_the_maximum_of_or():
    scores = {"a": 0.25, "b": 0.5, "c": 0.875}
    expected = {"a": 0.25, "not a": 0.75, "a and b": 0.25, "a or b or c": 0.875, "b and not c": 0.125,
                "not (a and b)": 0.75, "(a or b) and c": 0.5}  # fmt: skip
    assert {text: score(parse(text), scores) for text in expected} == expected


@pytest.mark.parametrize("name", ["Geoffroy's cat", "bird o'paradise", "Steller's jay's nest"])
def test_parse_keeps_apostrophes_inside_words(name):
    assert parse(name) == Is(name)
    assert parse(f"not {name} and dog") == And((Not(Is(name)), Is("dog")))
    assert parse(f"'red panda' or {name}") == Or((Is("red panda"), Is(name)))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("a  b", [("word", "a", 0), ("word", "b", 3)]),
        ("NOT bird's", [("keyword", "NOT", 0), ("word", "bird's", 4)]),
        ('("red  panda")', [("bracket", "(", 0), ("double", "red panda", 1), ("bracket", ")", 13)]),
        ("'a b' or", [("single", "a b", 0), ("keyword", "or", 6)]),
        ('dog "red  pa', [("word", "dog", 0), ("unclosed", "red pa", 4)]),
        ("dogs' bowl", [("word", "dogs", 0), ("unclosed", "bowl", 4)]),
        ("note android", [("word", "note", 0), ("word", "android", 5)]),
        (" \n", []),
    ],
)
def test_tokenize_never_fails_and_keeps_places(text, tokens):
    assert [(token.kind, token.text, token.start) for token in tokenize(text)] == tokens


@pytest.mark.parametrize(
    ("signs", "words"),
    [
        ("a & b", "a and b"), ("a, b; c", "a and b and c"), ("a,b", "a and b"), ("a | b", "a or b"), ("a||b", "a or b"),
        ("a -b", "a and not b"), ("a -b c", "a and not b and c"), ('-"b d" a', 'not "b d" and a'),
        ("a no b", "a and not b"), ("a WITHOUT b", "a and not b"), ("a not b", "a and not b"), ("a?", "a"),
        ("a.", "a"), ("(a|b) -c", "(a or b) and not c"), ("a -(b c)", "a and not (b c)"),
    ],
)  # fmt: skip
def test_signs_mean_what_words_mean(signs, words):
    assert parse(signs) == parse(words)


@pytest.mark.parametrize(
    "text", ["t-shirt", "black-and-white", "R&B", "1,000 people", "St. Bernard", "a - b", "-", "3.5"]
)
def test_signs_inside_words_stay(text):
    assert parse(text) == Is(text)
