"""A search page in the browser, and pages to export. It calls `Library` alone and has no search rules of its own."""
