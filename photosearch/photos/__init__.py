"""Files to upright pixels, behind a wall of child processes."""
