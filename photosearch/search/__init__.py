"""Questions, and the photos that answer them."""
