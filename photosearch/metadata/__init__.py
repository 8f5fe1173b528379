"""A photo's metadata, from its file and its XMP sidecar."""
