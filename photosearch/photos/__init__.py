"""Files to upright pixels and metadata, decoded in child processes."""
