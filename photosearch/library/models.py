"""The scorers of a library (a model's file with a number of tiles), and its default model."""

from typing import Any

from photosearch.errors import StoreError
from photosearch.library import database
from photosearch.library.database import Database, to_path, to_sql
from photosearch.library.records import USER_MODEL, Label
from photosearch.models.card import Card


def put_model(db: Database, card: Card, digest: str, tiles: int, path: str | None = None) -> tuple[int, dict[str, int]]:
    """Make a reading known -> (its id, label name -> label id). path: of its file, where no name leads to it."""
    with db.transaction():
        key = [digest, tiles]
        db.write(
            """
            INSERT INTO models(name, version, digest, tiles, card, floor, path) VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT(digest, tiles) DO UPDATE SET path = excluded.path
            """,
            [card.name, card.version, *key, card.to_json(), card.min_score, None if path is None else to_sql(path)],
        )
        (model_id,) = db.one("SELECT id FROM models WHERE digest = ? AND tiles = ?", key)
        db.write("UPDATE labels SET current = 0 WHERE model = ? AND current", [card.name])
        db.write_many(
            """
            INSERT INTO labels(model, name, card_threshold) VALUES (?, ?, ?)
            ON CONFLICT(model, name) DO UPDATE SET current = 1, card_threshold = excluded.card_threshold
            """,
            [(card.name, label, float(card.threshold(label))) for label in card.labels],
        )
        ids: dict[str, int] = dict(db.rows("SELECT name, id FROM labels WHERE model = ?", [card.name]))
        db.write_many(
            "INSERT INTO knows(model_id, label_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(model_id, ids[label]) for label in card.labels],
        )
    return model_id, {label: ids[label] for label in card.labels}


def list_models(db: Database) -> list[dict[str, Any]]:
    """The readings there are, the last one that ran first: name, version, tiles, digest, images, path, last_run."""
    rows = db.rows(
        """
        SELECT m.name, m.version, m.tiles, m.digest, (SELECT n FROM counts WHERE name = 'looked ' || m.id), m.path, (
            SELECT max(r.started_at) FROM runs r, json_each(r.models) j WHERE j.value = m.name)
        FROM models m ORDER BY 7 DESC, m.id DESC
        """
    )
    names = ("name", "version", "tiles", "digest", "images", "path", "last_run")
    told = [dict(zip(names, row, strict=True)) for row in rows]
    return [{**m, "path": None if m["path"] is None else to_path(m["path"])} for m in told]


def read_default_model(db: Database) -> str | None:
    """The name of the model that answers, or None where nothing was indexed yet."""
    row = db.row("SELECT value FROM library WHERE name = 'model'")
    return row[0] if row else None


def set_default_model(db: Database, name: str) -> None:
    """From now on this model answers. Raises StoreError where it has looked at nothing here."""
    known = [n for (n,) in db.rows("SELECT DISTINCT name FROM models WHERE name <> ? ORDER BY name", [USER_MODEL])]
    if name not in known:
        raise StoreError(
            f"{db.path}: {name} has looked at no photo here yet: photosearch index --model {name}; "
            f"known are {', '.join(known) or 'none'}"
        )
    db.write("INSERT INTO library VALUES ('model', ?) ON CONFLICT(name) DO UPDATE SET value = excluded.value", [name])


def count_active(db: Database, name: str) -> int:
    """How many images a model of this name answers for."""
    its = "SELECT id FROM models WHERE name = ?"
    return int(db.one(f"SELECT count(*) FROM scored WHERE model_id IN ({its}) AND answers", [name])[0])


def read_model_path(db: Database, name: str) -> str | None:
    """The file that a model of this name was last loaded from, where no name leads to it."""
    row = db.row("SELECT path FROM models WHERE name = ? ORDER BY id DESC LIMIT 1", [name])
    return None if row is None or row[0] is None else to_path(row[0])


def find_scorers(db: Database, label: Label) -> dict[int, float]:
    """The readings that give a label: id -> floor."""
    sql = "SELECT m.id, m.floor FROM knows n JOIN models m ON m.id = n.model_id WHERE n.label_id = ? ORDER BY m.id"
    return dict(db.rows(sql, [label.id]))


def read_stored_card(db: Database, model: str) -> Card:
    """The newest card of a model that has looked here. Raises StoreError."""
    row = db.row("SELECT card FROM models WHERE name = ? ORDER BY id DESC LIMIT 1", [model])
    try:
        return Card.from_json(row[0])  # type: ignore[index]
    except (ValueError, TypeError):
        raise StoreError(f"{db.path}: {database.DAMAGED}") from None
