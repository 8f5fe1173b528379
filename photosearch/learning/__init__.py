"""Labels learned from the photos that the user marked."""
