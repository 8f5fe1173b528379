"""The networks, a file each: what goes in, what comes out, and nothing of how they are taught."""
