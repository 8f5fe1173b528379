"""Text in pictures: what was read, and the reader."""
