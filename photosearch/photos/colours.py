"""Any image to sRGB as a viewer shows it: 16 bits, floats, transparency, and ICC profiles with a wider gamut."""

import functools
import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms

WHITE_LEVELS = (1023, 4095, 65535)  # 10 and 12 bits are stored in 16, usually without shifting them up


def to_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes -> RGB; transparency is blended with white.

    Values of 10, 12 or 16 bits are scaled by the smallest of WHITE_LEVELS that holds them all, floats by their maximum;
    NaN and infinities become black.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, np.float32)
        if image.mode == "F":
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        largest = float(values.max(initial=0))
        level = next((level for level in WHITE_LEVELS if 0 < largest <= level), WHITE_LEVELS[-1])
        white = max(largest, 1e-9) if image.mode == "F" else level
        return Image.fromarray((np.clip(values / white, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        background = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(background, image).convert("RGB")
    return image.convert("RGB")


def get_profile(image: Image.Image) -> bytes | None:
    """The image's ICC profile if it is an RGB profile other than sRGB, else None."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or profile[16:20] != b"RGB " or image.mode not in ("RGB", "RGBA", "P"):
        return None
    names = (b"sRGB", "sRGB".encode("utf-16-be"))  # the description is ASCII or UTF-16, depending on the version
    return None if any(name in profile for name in names) else profile


def to_srgb(pixels: npt.NDArray[np.uint8], profile: bytes) -> npt.NDArray[np.uint8]:
    """Pixels [..., W, 3] in that profile's colours -> sRGB; unchanged if the profile is broken."""
    from PIL import ImageCms

    try:
        transform = _transform(profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return pixels
    image = Image.fromarray(pixels.reshape(-1, pixels.shape[-2], 3))
    return np.asarray(ImageCms.applyTransform(image, transform)).reshape(pixels.shape)


@functools.lru_cache(maxsize=4)  # a camera's photos share one profile
def _transform(profile: bytes) -> "ImageCms.ImageCmsTransform":
    from PIL import ImageCms

    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), "RGB", "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
