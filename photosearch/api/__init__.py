"""The Python interface: `Library`, its parts, and functions without a library. It calls the rooms below it."""
