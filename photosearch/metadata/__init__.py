"""What a file and its side-car say of a photo besides its pixels."""
