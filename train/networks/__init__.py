"""The networks, one file each, without their training."""
