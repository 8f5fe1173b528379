"""The words after `find`, and what they mean."""
