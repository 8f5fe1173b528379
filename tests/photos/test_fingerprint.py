"""A fingerprint hardly changes with the image's size, encoding and light, and differs between images."""

import io

import numpy as np
import pytest
from PIL import Image

from photosearch.photos.fingerprint import DCT, PLAIN, fingerprint


def make_picture(seed: int, size=(320, 240)) -> Image.Image:
    """Soft shapes of many sizes, as photographs have them."""
    rng = np.random.default_rng(seed)
    layers = [Image.fromarray(rng.integers(0, 256, (n, n + 1, 3), dtype=np.uint8)) for n in (3, 6, 12)]
    pixels = [np.asarray(layer.resize(size, Image.Resampling.BICUBIC), np.float32) for layer in layers]
    return Image.fromarray((0.6 * pixels[0] + 0.3 * pixels[1] + 0.1 * pixels[2]).astype(np.uint8))


def encode(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data)


def add_noise(image: Image.Image) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, 60, (image.height, image.width, 1))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


def differ(a: Image.Image, b: Image.Image) -> int:
    return (fingerprint(a) ^ fingerprint(b)).bit_count()


@pytest.mark.parametrize(
    "change",
    [
        lambda image: encode(image, 30),
        lambda image: image.resize((160, 120)),
        lambda image: image.resize((900, 700)),
        lambda image: image.convert("L"),
        lambda image: image.point(lambda value: int(0.8 * value)),
        lambda image: image.convert("RGBA"),
        add_noise,
        lambda image: image.crop((3, 2, 318, 238)),
    ],
)
def test_fingerprint_changes_few_bits_on_small_changes(change):
    pictures = [make_picture(seed) for seed in range(20)]
    assert max(differ(picture, change(picture)) for picture in pictures) <= 8


def test_fingerprint_does_not_flip_on_noise_where_an_image_is_symmetric():
    """Left and right alike, so that every second coefficient is zero but for what the encoder adds."""
    half = make_picture(1, (160, 240))
    image = Image.new("RGB", (320, 240))
    image.paste(half, (0, 0))
    image.paste(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (160, 0))
    assert max(differ(image, encode(image, quality)) for quality in range(20, 96, 5)) <= 1


def test_fingerprints_of_different_images_differ_in_half_the_bits():
    codes = [fingerprint(make_picture(seed)) for seed in range(60)]
    bits = [(a ^ b).bit_count() for i, a in enumerate(codes) for b in codes[:i]]
    assert 27 < np.mean(bits) < 33
    assert min(bits) > 8


def test_fingerprint_is_a_stable_64_bit_int():
    found = fingerprint(make_picture(1))
    assert type(found) is int
    assert 0 < found < 2**64
    assert found == fingerprint(make_picture(1))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_fingerprint_of_blank_image_is_plain(mode):
    assert fingerprint(Image.new(mode, (100, 80))) == PLAIN
    assert fingerprint(Image.new(mode, (100, 80), 1)) == PLAIN


def test_fingerprint_of_a_black_frame_with_noise_is_plain():
    noise = np.random.default_rng(1).normal(3, 4, (600, 800)).clip(0, 255).astype(np.uint8)
    assert fingerprint(Image.fromarray(noise)) == PLAIN


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (33, 31)])
def test_fingerprint_accepts_any_image_size(size):
    assert 0 <= fingerprint(make_picture(1, size)) < 2**64


def test_waves_are_orthonormal():
    assert np.allclose(DCT @ DCT.T, np.eye(len(DCT)), atol=1e-6)
