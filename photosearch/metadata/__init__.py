"""What files say of a photo: in the photo itself, and beside it. Bytes in, one record out (record.py)."""
