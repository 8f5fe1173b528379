"""The same search in a browser: pages to keep, and a page to work in. No rule of its own: all goes through Library."""
