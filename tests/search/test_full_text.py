"""A description's words in what files say: they raise photos, they explain them, and they change nothing elsewhere."""

import numpy as np
import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, open_seen
from PIL import Image

from photosearch.library import words
from photosearch.library.photos import list_photo_ids
from photosearch.library.schema import WORD_KINDS
from photosearch.library.texts import put_texts
from photosearch.metadata.record import PhotoMetadata, Position
from photosearch.ocr.lines import TextLine, TextWord
from photosearch.search import full_text
from photosearch.search.full_text import fold_words, fuse, list_content_words, list_forms, look_up_words
from photosearch.search.hints import check_words
from photosearch.search.similar import Ranked
from photosearch.search.similarity_cutoff import SURE
from photosearch.search.why import MAX_CHARACTERS, MAX_REASONS

PHOTOS = {  # name -> (colour, what its file says)
    "Rome 2019/IMG_1.png": (RED, PhotoMetadata(caption="Gelato at the fountain", keywords=("ice cream", "Café"))),
    "Rome 2019/IMG_2.png": (GREEN, PhotoMetadata(people=("Anna Müller",), position=Position(41.89, 12.49))),
    "IMG_3.png": (BLUE, PhotoMetadata(title="Gate 14", make="Canon", model="EOS 5D", rating=4)),
    "IMG_4.png": (BLACK, PhotoMetadata(caption="x " * 200 + "the old harbour wall " + "y " * 200)),
    "birthday cake.png": ((250, 250, 0), PhotoMetadata(keywords=("Oma",))),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Five photos of which files say something; none has the name of a colour."""
    folder = tmp_path_factory.mktemp("told")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        with open_seen(folder) as seen:
            for name, (colour, _) in PHOTOS.items():
                Image.new("RGB", (16, 16), colour).save(seen.photo(name, colour))
            seen.index()
            with seen.under.db.transaction():
                for name, (_, said) in PHOTOS.items():
                    seen.put_details(name, said)
            yield seen


def why(told, words: str, **options) -> tuple[str, ...]:
    """The reasons of the best photo, without its similarity."""
    best = told.ask(words, **options)[0]
    assert best.why[-1:] == ((f"similarity {best.score:.2f}",) if best.by == "similarity" else best.why[-1:])
    return tuple(reason for reason in best.why if not reason.startswith("similarity"))


@pytest.mark.parametrize(
    ("words", "best", "reasons"),
    [
        ("gelato", "Rome 2019/IMG_1.png", ("caption: Gelato at the fountain",)),
        ("a fountain of rome", "Rome 2019/IMG_1.png", ("caption: Gelato at the fountain", "folder: Rome 2019")),
        ("cafes", "Rome 2019/IMG_1.png", ("keyword: Café",)),
        ("ice creams", "Rome 2019/IMG_1.png", ("keyword: ice cream",)),
        ("muller", "Rome 2019/IMG_2.png", ("person: Anna Müller",)),
        ("a gate", "IMG_3.png", ("title: Gate 14",)),
        ("birthday cakes", "birthday cake.png", ("name: birthday cake",)),
        ("italy", "Rome 2019/IMG_2.png", ("place: Rome, Italy",)),
        ("fountain -harbour", "Rome 2019/IMG_1.png", ("caption: Gelato at the fountain",)),
        ("person:anna", "Rome 2019/IMG_2.png", ("person: Anna Müller",)),
        ("in:Italy", "Rome 2019/IMG_2.png", ("place: Rome, Italy",)),
        ("camera:canon rating:>3", "IMG_3.png", ("camera: Canon EOS 5D", "rating: 4")),
        ('text:"gate 14"', "IMG_3.png", ("title: Gate 14",)),
        ("folder:rome keyword:cream", "Rome 2019/IMG_1.png", ("folder: Rome 2019", "keyword: ice cream")),
        ("in:Atlantis or person:anna", "Rome 2019/IMG_2.png", ("place: Rome, Italy", "person: Anna Müller")),
        ("text:IMG_3", "IMG_3.png", ("name: IMG_3.png",)),
        ("text:img_3.png", "IMG_3.png", ("name: IMG_3.png",)),
        ("IMG_4", "IMG_4.png", ("name: IMG_4.png",)),
        ("img_2.PNG", "Rome 2019/IMG_2.png", ("name: IMG_2.png",)),
        ("find IMG_3.png", "IMG_3.png", ("name: IMG_3.png",)),
        ("red", "Rome 2019/IMG_1.png", ("label red 1.00",)),
        ("red and not blue", "Rome 2019/IMG_1.png", ("label red 1.00",)),
        ("red -blue taken:>2019", None, None),
    ],
)
def test_words_raise_a_photo_and_say_why(told, words, best, reasons):
    if best is None:
        assert told.find(words) == []
        return
    assert told.find(words)[0] == best
    assert tuple(dict.fromkeys(why(told, words))) == reasons


def test_a_long_text_is_cut_around_the_word(told):
    (reason,) = why(told, "harbour")
    text = reason.removeprefix("caption: ")
    assert "old harbour wall" in text
    assert text.startswith("…")
    assert text.endswith("…")
    assert len(text) <= MAX_CHARACTERS + 2
    assert all(len(photo.why) <= MAX_REASONS for photo in told.ask("gate fountain rome cake muller", limit=100))


def test_a_file_name_finds_its_photos_alone(told):
    assert [told.find(said) for said in ("IMG_4", "text:IMG_4", "text:img_4.png", "text:IMG_4.jpg", "text:4")] == [
        ["IMG_4.png"], ["IMG_4.png"], ["IMG_4.png"], [], [],
    ]  # fmt: skip
    assert told.find("-text:IMG_4 -text:IMG_1 -text:IMG_2") == ["IMG_3.png", "birthday cake.png"]
    assert told.ask("IMG_4").hints == ("Read 'IMG_4' as a file's name; quotes keep words.",)
    for said in ("IMG_9", '"IMG_4"', "IMG_4 dog", "2019", "IMG"):
        assert not any("file's name" in hint for hint in told.ask(said).hints), said


def test_words_that_a_file_says_are_not_corrected(told):
    def read(words):
        return check_words(told.under.db, words, told.asks.labels.list(), "sight").words

    assert (read("oma"), read("runing oma"), read("dgo")) == ("oma", "running oma", "dog")
    db = told.under.db
    word = TextWord("dgo", (0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0))
    with db.transaction():
        put_texts(db, db.row("SELECT min(id) FROM images")[0], 1, [TextLine(0.5, (word,))])
    assert read("dgo") == "dog", "a picture's text may be misread"
    db.write("DELETE FROM texts")


def test_a_photo_that_has_all_words_is_sure(told):
    sure = [
        told.below(photo.path) if hasattr(told, "below") else photo.path for photo in told.ask("gelato") if photo.sure
    ]
    assert len(sure) == 1
    assert sure[0].endswith("IMG_1.png")
    assert not told.ask("gelato volcano").sure  # only a part of them


def test_words_without_a_photo_change_nothing(told, monkeypatch):
    """The order, the similarities and what is sure are those of likeness alone."""
    words = ["purple volcanoes", "a reddish blue", "something dark", "the of and", "green without a volcano"]
    before = [[(p.path, p.score, p.sure, p.by) for p in told.ask(text, limit=9)] for text in words]
    monkeypatch.setattr("photosearch.search.find.look_up_words", lambda *_: None)
    assert [[(p.path, p.score, p.sure, p.by) for p in told.ask(text, limit=9)] for text in words] == before
    assert len(before[0]) > 2


def test_words_don_t_weigh_against_pictures(told):
    """What is like a picture is ranked by likeness alone."""
    answer = told.ask("gelato", like=[str(told.folder / "IMG_3.png")], limit=3)
    assert answer[0].path.endswith("IMG_3.png")


@pytest.mark.parametrize("words", ['"gelato', "gelato* OR", "NEAR(gelato)", "{gelato}", "^gelato", "gelato)"])
def test_syntax_in_words_is_text(told, words):
    assert told.find(words, query_mode="text")[0] == "Rome 2019/IMG_1.png"


@pytest.mark.parametrize(
    "words", ["gelato " * 285, "x" * 2000, "the of and", "a" * 99 + " gelato", "\u0301 \u200b gelato"]
)
def test_hostile_descriptions_are_answered(told, words):
    assert len(told.find(words, query_mode="text", limit=9)) == len(PHOTOS)


def test_common_words_are_read_from_the_texts(told, monkeypatch):
    """Where a word has more photos than are listed, the candidates' texts are read, and the answer is the same."""
    asked = ["a fountain of gelato", "gelato", "muller", "a gate"]
    listed = [told.find(words, limit=9) for words in asked]
    monkeypatch.setattr(full_text, "MAX_LISTED", 0)
    assert [told.find(words, limit=9) for words in asked] == listed


def test_every_kind_of_word_can_be_read():
    """What the full-text index holds can raise a photo and be its reason."""
    assert set(WORD_KINDS.values()) == words._TEXTS.keys() == words._PHOTOS.keys()


def test_texts_are_those_that_are_indexed(told):
    """Each text that is read of a photo finds it."""
    db = told.under.db
    ids = [photo_id for (photo_id,) in db.rows("SELECT id FROM photos")]
    for photo_id, texts in words.read_texts(db, ids).items():
        assert texts
        for _, text in texts:
            for word in fold_words(text):
                images, _ = words.find_images_by_word(db, [word], 100)
                assert list_photo_ids(db, list(images)).keys() >= {photo_id}, (word, text)


def test_content_words_and_their_forms():
    assert list_content_words("A photo of the dogs on Lübeck's beach, and a dog's 2 balls") == [
        "dogs", "lubeck", "beach", "dog", "balls",
    ]  # fmt: skip
    assert list_content_words("the of and") == []
    assert {"dog", "dogs"} <= list_forms("dogs")
    assert {"berry", "berries"} <= list_forms("berry") & list_forms("berries") | {"berry", "berries"}
    assert "beaches" in list_forms("beach")
    assert "beach" in list_forms("beaches")
    assert "glas" not in list_forms("glass")


def test_fusion_keeps_the_order_of_photos_without_words():
    random = np.random.default_rng(1)
    for _ in range(100):
        ranked = [Ranked(i, 0.5 - i / 100, 3.0, 0.5 - i / 100) for i in range(40)]
        weights = {int(i): float(random.random()) for i in random.choice(40, 8, replace=False)}
        fused = [each.image_id for each in fuse(ranked, weights)]
        assert sorted(fused) == list(range(40))
        rest = [i for i in fused if i not in weights]
        assert rest == sorted(rest)
    assert fuse(ranked, {}) == ranked
    best = fuse(ranked, {7: 1.0})[0]
    assert (best.image_id, best.evidence) == (7, SURE)
    weak = [each.image_id for each in fuse(ranked, {39: 0.1})]
    assert weak.index(39) > 30  # one everyday word of many


def test_rare_words_weigh_more(told):
    spoken = look_up_words(told.under.db, "rome gelato", 5, None)
    assert spoken is not None
    weights = sorted(spoken.weigh(i) for i in spoken.found)
    assert weights[-1] == 1.0
    assert weights[0] < 0.5  # rome alone, which two photos have
