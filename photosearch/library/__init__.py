"""SQLite, and only here: what is known of the photos."""
