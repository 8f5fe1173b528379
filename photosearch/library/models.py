"""The scorers of a library (a model file with a number of tiles), and its default model."""

from photosearch.errors import StoreError
from photosearch.library.database import Database, SqlValue, to_path, to_sql
from photosearch.library.records import USER_MODEL, Label, StoredModel
from photosearch.library.runs import read_value, write_value
from photosearch.models.card import Card


def put_model(db: Database, card: Card, digest: str, tiles: int, path: str | None = None) -> tuple[int, dict[str, int]]:
    """Store a scorer, or update its path -> (its id, label name -> label id).

    path: of the file, where the model's name does not lead to it. The card's labels become the model's current ones.
    """
    with db.transaction():
        key: list[SqlValue] = [digest, tiles]
        db.write(
            """
            INSERT INTO models(name, version, digest, tiles, card, min_score, path) VALUES (?, ?, ?, ?, ?, ?, ?)
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
            "INSERT INTO model_labels(model_id, label_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
            [(model_id, ids[label]) for label in card.labels],
        )
    return model_id, {label: ids[label] for label in card.labels}


def list_models(db: Database) -> list[StoredModel]:
    """Every scorer; those of the model that was used last come first."""
    rows = db.rows(
        """
        SELECT m.name, m.version, m.tiles, m.digest, (SELECT n FROM counts WHERE name = 'scored ' || m.id), m.path,
            u.started_at
        FROM models m LEFT JOIN (
            SELECT j.value AS name, max(r.id) AS run, r.started_at FROM runs r, json_each(r.models) j GROUP BY 1
        ) u ON u.name = m.name ORDER BY u.run DESC, m.id DESC
        """
    )
    return [
        StoredModel(name, version, tiles, digest, images, None if path is None else to_path(path), last_run)
        for name, version, tiles, digest, images, path, last_run in rows
    ]


def read_default_model(db: Database) -> str | None:
    """The default model's name, None where nothing was indexed yet."""
    return read_value(db, "default_model")


def set_default_model(db: Database, name: str) -> None:
    """Make a model the default. Raises StoreError where it has not indexed anything here."""
    known = [n for (n,) in db.rows("SELECT DISTINCT name FROM models WHERE name <> ? ORDER BY name", [USER_MODEL])]
    if name not in known:
        raise StoreError(
            f"{db.path}: {name} has not indexed any photos in this library; available models: "
            f"{', '.join(known) or 'none'}; to index with it: photosearch index --model {name}"
        )
    write_value(db, "default_model", name)


def count_active(db: Database, name: str) -> int:
    """How many images have active scores by a model of this name."""
    ids = "SELECT id FROM models WHERE name = ?"
    return int(db.one(f"SELECT count(*) FROM scored WHERE model_id IN ({ids}) AND active", [name])[0])


def read_model_path(db: Database, name: str) -> str | None:
    """The file that a model of this name was last loaded from, where its name does not lead to it."""
    row = db.row("SELECT path FROM models WHERE name = ? ORDER BY id DESC LIMIT 1", [name])
    return None if row is None or row[0] is None else to_path(row[0])


def find_scorers(db: Database, label: Label) -> dict[int, float]:
    """The scorers that give a label: model id -> its min_score."""
    rows = db.rows(
        "SELECT m.id, m.min_score FROM model_labels n JOIN models m ON m.id = n.model_id "
        "WHERE n.label_id = ? ORDER BY m.id",
        [label.id],
    )
    return dict(rows)


def read_stored_card(db: Database, model: str) -> Card:
    """The card of the newest file of a model that was indexed here. Raises StoreError."""
    row = db.row("SELECT card FROM models WHERE name = ? ORDER BY id DESC LIMIT 1", [model])
    return parse_card(db, None if row is None else row[0])


def parse_card(db: Database, text: str | None) -> Card:
    """A card from the models table. Raises StoreError where it is malformed."""
    try:
        return Card.from_json(text or "")
    except (ValueError, TypeError):
        raise db.damaged() from None
