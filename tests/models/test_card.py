"""What a model says of itself, as it is written and read. What is refused: test_models_are_input.py."""

import dataclasses
import json

import pytest
from toy import sight_card, toy_card, toy_text_card, write_toy

from photosearch.models.card import Card, TextCard, parse_card
from photosearch.models.catalog import read_card
from photosearch.models.session import Model


def test_a_card_comes_back_from_the_file_as_it_was_written(tmp_path):
    card = toy_card(
        version="7", fit="crop", thresholds={"red": 0.25}, floor=0.125, thresholds_rest_on={"red": 40}, tiles=4,
        trained_on="squares", licence="MIT",
        measured=({"split": "test", "precision": 0.97},), details={"seconds": 3.5, "seeds": [1, 2]},
    )  # fmt: skip
    path = write_toy(tmp_path / "toy.onnx", card)
    as_json = json.loads(card.to_json())
    assert json.loads(read_card(path).to_json()) == as_json
    assert json.loads(Model(path, provider="cpu").card.to_json()) == as_json


def test_what_a_card_leaves_out_has_a_default():
    card = Card.from_json('{"name": "n", "version": "1", "labels": ["a", "b"], "input_size": 32}')
    assert dataclasses.asdict(card) == {
        "name": "n", "version": "1", "labels": ("a", "b"), "input_size": 32, "fit": "squash",
        "heads": ("scores",), "floor": 0.0, "space": "", "dimensions": 0, "thresholds": {}, "thresholds_rest_on": {},
        "tiles": 0, "pooling": {}, "trained_on": "", "licence": "", "measured": (), "details": {},
    }  # fmt: skip
    assert (card.threshold("a"), toy_card(thresholds={"red": 0.25}).threshold("red")) == (0.5, 0.25)


def test_the_space_of_the_vectors_stands_in_the_file_with_its_dimensions():
    card = sight_card()
    assert json.loads(card.to_json())["space"] == {"name": "toy-space", "dim": 4}
    pooling = json.loads(card.to_json())["pooling"]
    assert parse_card(card.to_json()) == dataclasses.replace(card, pooling=pooling)
    assert "space" not in json.loads(toy_card().to_json())


def test_a_model_may_give_vectors_alone():
    card = Card("v", "1", input_size=8, heads=("vectors",), space="s", dimensions=4)
    assert Card.from_json(card.to_json()) == card


def test_no_threshold_lies_below_the_floor():
    assert toy_card(floor=0.7, thresholds={"red": 0.8}).threshold("red") == 0.8
    assert toy_card(floor=0.7).threshold("blue") == 0.7
    with pytest.raises(ValueError, match="a threshold lies below the floor"):
        Card.from_json(toy_card(floor=0.7, thresholds={"red": 0.6}).to_json())


def test_a_text_towers_card_comes_back_as_it_was_written():
    card = toy_text_card(pad_id=1, pad_to=8, form="canonical", licence="MIT", details={"seed": 1})
    assert json.loads(card.to_json())["kind"] == "text"
    assert parse_card(card.to_json()) == card == TextCard.from_json(card.to_json())


def test_the_two_kinds_of_card_are_not_taken_for_each_other():
    with pytest.raises(ValueError, match="its card is a text tower's"):
        Card.from_json(toy_text_card().to_json())
    with pytest.raises(ValueError, match="its card is not a text tower's"):
        TextCard.from_json(sight_card().to_json())
