"""Whether a description is in another language or script than English. Pure: text in, a name out.

A script is read off the letters. A language in Latin letters is recognised by words of its own, where they outnumber
the words that English captions use: two function words, or one for a thing that people photograph.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from photosearch.search.lexicon import Lexicon

MAX_WORDS = 60  # of a question, that are looked at
MIN_LETTERS = 4  # of a word that tells a language by itself
SCRIPTS = {"CJK": "Chinese or Japanese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}
# Language -> (function words, words for what people photograph). Words that English captions use don't count.
WORDS: Mapping[str, tuple[str, str]] = {
    "German": (
        "der die das ein eine einen einem einer und oder mit auf im am bei vor unter zwischen ist sind nicht ohne "
        "von zum zur über für mein meine",
        "hund hunde katze strand berg berge meer kind kinder frau mann mädchen junge leute menschen haus auto "
        "strasse wald baum blume blumen vogel vögel hochzeit geburtstag schnee himmel sonnenuntergang rotes rote "
        "roter blaue kleiner kleine pferd fahrrad essen kuchen",
    ),
    "French": (
        "le la les un une des du de et ou avec sur dans sous au aux est sont pas sans pour par mon ma mes",
        "chien chienne chat plage montagne mer enfant enfants femme homme fille garçon garcon gens maison rue forêt "
        "foret arbre fleur fleurs oiseau oiseaux mariage anniversaire neige ciel soleil coucher rouge bleu petit "
        "petite cheval vélo voiture gâteau bébé chats noir noire",
    ),
    "Spanish": (
        "el la los las un una unos y o con en de del al sobre bajo es son sin para por mi mis",
        "perro perros gato playa montaña montana mar niño nino niña niños mujer hombre chica chico gente casa calle "
        "bosque árbol arbol flor flores pájaro pajaro boda cumpleaños nieve cielo puesta rojo roja azul pequeño "
        "caballo bicicleta coche tarta bebé",
    ),
    "Italian": (
        "il lo la i gli le un uno una e o con su sulla sul nel nella di del della da in è sono senza per mio mia",
        "cane cani gatto spiaggia montagna mare bambino bambina bambini donna uomo ragazza ragazzo gente casa "
        "strada bosco albero fiore fiori uccello uccelli matrimonio compleanno neve cielo tramonto rosso rossa blu "
        "piccolo cavallo bicicletta macchina torta",
    ),
    "Portuguese": (
        "o a os as um uma e ou com em no na de do da dos das sobre sem para por meu minha",
        "cão cao cachorro gato praia montanha mar criança crianca crianças mulher homem menina menino pessoas casa "
        "rua floresta árvore arvore flor flores pássaro casamento aniversário aniversario neve céu ceu pôr sol "
        "vermelho vermelha azul cavalo bicicleta carro bolo bebê cães",
    ),
    "Dutch": (
        "de het een en of met op in onder bij aan van voor zonder is zijn niet mijn",
        "hond honden kat strand berg zee kind kinderen vrouw meisje jongen mensen huis straat bos boom bloem "
        "bloemen vogel vogels bruiloft verjaardag sneeuw lucht zonsondergang rode rood blauw kleine paard fiets "
        "taart",
    ),
    "Swedish": (
        "en ett och eller med på i under vid av för utan är inte min mitt",
        "hund katt strand hav barn kvinna flicka pojke människor hus gata skog träd blomma blommor fågel bröllop "
        "födelsedag snö himmel solnedgång röd blå häst cykel",
    ),
    "Polish": (
        "i lub z na w pod przy bez jest są nie mój moja",
        "pies kot plaża plaza góra góry morze dziecko dzieci kobieta mężczyzna dziewczyna chłopiec ludzie dom ulica "
        "las drzewo kwiat kwiaty ptak ślub urodziny śnieg niebo zachód słońca czerwony niebieski koń rower",
    ),
}
_LETTERS = re.compile(r"[^\W\d_]+")


def detect_language(text: str, lexicon: Lexicon) -> str | None:
    """The language or script of a question, by its English name; None where it may be English. Quotes count, too."""
    letters = [c for c in text if c.isalpha()]
    if (script := _find_script(letters)) is not None:
        return script
    words = _LETTERS.findall(unicodedata.normalize("NFC", text).casefold())[:MAX_WORDS]
    best, most = None, 0
    in_captions = [word for word in words if lexicon.count(word)]
    for language, (function_words, things) in _OWN.items():
        theirs = [word for word in words if not lexicon.count(word) and word in function_words | things]
        is_sure = len(theirs) > 1 or any(word in things and len(word) >= MIN_LETTERS for word in theirs)
        english = sum(word not in function_words | things for word in in_captions)
        if is_sure and len(theirs) > max(most, english):
            best, most = language, len(theirs)
    return best


def _find_script(letters: list[str]) -> str | None:
    """The name of the script that most letters are of; None for Latin ones, and without letters."""
    names = Counter(unicodedata.name(letter, "").partition(" ")[0].partition("-")[0] for letter in letters)
    if names["HIRAGANA"] + names["KATAKANA"]:
        names["HIRAGANA"] += names.pop("CJK", 0)
    known = {name: n for name, n in names.items() if name}
    if not known or (name := max(known, key=lambda key: known[key])) in ("LATIN", "FULLWIDTH", "MATHEMATICAL"):
        return None
    return SCRIPTS.get(name, name.capitalize())


_OWN = {language: (frozenset(a.split()), frozenset(b.split())) for language, (a, b) in WORDS.items()}
