"""The library: everything that is stored about photos. No other package uses SQLite."""
