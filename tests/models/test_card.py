"""Model cards, written and read. Which ones are refused: test_models_are_input.py."""

import dataclasses
import json

import pytest
from toy import sight_card, toy_card, toy_text_card, write_toy

from photosearch.errors import ModelError
from photosearch.models.card import OLD_NAMES, Card, TextCard, check_tiles, parse_card
from photosearch.models.catalog import list_shipped, read_card
from photosearch.models.session import Model


def test_card_read_from_file_equals_card_written(tmp_path):
    card = toy_card(
        version="7", fit="crop", thresholds={"red": 0.25}, min_score=0.125, thresholds_rest_on={"red": 40}, tiles=4,
        trained_on="squares", licence="MIT",
        measured=({"split": "test", "precision": 0.97},), details={"seconds": 3.5, "seeds": [1, 2]},
    )  # fmt: skip
    path = write_toy(tmp_path / "toy.onnx", card)
    as_json = json.loads(card.to_json())
    assert json.loads(read_card(path).to_json()) == as_json
    assert json.loads(Model(path, provider="cpu").card.to_json()) == as_json


def test_missing_fields_of_card_have_defaults():
    card = Card.from_json('{"name": "n", "version": "1", "labels": ["a", "b"], "input_size": 32}')
    assert dataclasses.asdict(card) == {
        "name": "n", "version": "1", "labels": ("a", "b"), "input_size": 32, "fit": "squash",
        "outputs": ("scores",), "min_score": 0.0, "space": "", "dimensions": 0, "thresholds": {},
        "thresholds_rest_on": {}, "tiles": 0, "pooling": {}, "trained_on": "", "licence": "",
        "measured": (), "details": {},
    }  # fmt: skip
    assert (card.threshold("a"), toy_card(thresholds={"red": 0.25}).threshold("red")) == (0.5, 0.25)


def test_card_file_holds_space_with_its_dimensions():
    card = sight_card()
    assert json.loads(card.to_json())["space"] == {"name": "toy-space", "dim": 4}
    pooling = json.loads(card.to_json())["pooling"]
    assert parse_card(card.to_json()) == dataclasses.replace(card, pooling=pooling)
    assert "space" not in json.loads(toy_card().to_json())


def test_card_may_have_vectors_alone():
    card = Card("v", "1", input_size=8, outputs=("vectors",), space="s", dimensions=4)
    assert Card.from_json(card.to_json()) == card


def test_threshold_is_never_below_min_score():
    assert toy_card(min_score=0.7, thresholds={"red": 0.8}).threshold("red") == 0.8
    assert toy_card(min_score=0.7).threshold("blue") == 0.7
    with pytest.raises(ValueError, match="a threshold is below min_score"):
        Card.from_json(toy_card(min_score=0.7, thresholds={"red": 0.6}).to_json())


@pytest.mark.parametrize("name", ["trained_on", "licence", "tokenizer_sha256"])
def test_texts_of_a_text_card_are_texts(name):
    card = {**json.loads(toy_text_card().to_json()), name: 7}
    with pytest.raises(ValueError, match=f"{name} must be text"):
        TextCard.from_json(json.dumps(card))


def test_text_card_parsed_equals_card_written():
    card = toy_text_card(pad_id=1, pad_to=8, text_normalization="canonical", licence="MIT", details={"seed": 1})
    assert json.loads(card.to_json())["kind"] == "text"
    assert parse_card(card.to_json()) == card == TextCard.from_json(card.to_json())


def test_card_of_other_kind_is_refused():
    with pytest.raises(ValueError, match="its card is a text model's"):
        Card.from_json(toy_text_card().to_json())
    with pytest.raises(ValueError, match="its card is not a text model's"):
        TextCard.from_json(sight_card().to_json())


@pytest.mark.parametrize(
    "card",
    [
        sight_card(min_score=0.125),
        toy_text_card(text_normalization="canonical"),
    ],
    ids=["image", "text"],
)
def test_card_with_old_field_names_is_read(card):
    new = json.loads(card.to_json())
    old = {next((was for was, now in OLD_NAMES.items() if now == name), name): value for name, value in new.items()}
    assert old.keys() != new.keys()
    assert parse_card(json.dumps(old)).to_json() == card.to_json()
    assert parse_card(json.dumps(old | new)).to_json() == card.to_json()
    both = {**new, **dict.fromkeys(old.keys() - new.keys(), "nonsense")}
    assert parse_card(json.dumps(both)).to_json() == card.to_json(), "the new name counts"


def test_shipped_cards_keep_what_they_said_under_old_names():
    cards = {name: read_card(path) for name, path in list_shipped().items()}
    assert cards["sight"].outputs == ("scores", "vectors")
    assert cards["sight"].min_score > 0
    assert cards["bird-photo"].outputs == ("scores",)


def test_check_tiles_names_a_shipped_model_that_can_use_them():
    cards = {name: read_card(path) for name, path in list_shipped().items()}
    with pytest.raises(ModelError, match="'sight' can't use tiles; add --model bird-photo"):
        check_tiles(cards["sight"], 9)
    check_tiles(cards["bird-photo"], 9)
    with pytest.raises(ModelError, match="'bird-photo' can't use 25 tiles, only 0, 4, 9, 16"):
        check_tiles(cards["bird-photo"], 25)
