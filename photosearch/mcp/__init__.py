"""The library for other programs: tools over the Model Context Protocol, on stdin and stdout, that only read."""
