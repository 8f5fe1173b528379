"""Any picture to RGB as a viewer shows it: 16 bits, floats, transparency, and profiles of wider colours."""

import functools
import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms

USED_BITS = (1023, 4095, 65535)  # 10 and 12 bits a pixel are stored in 16, and seldom moved to their upper end


def rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes -> RGB: 16 bits keep their range, what is transparent lies on white.

    A picture that uses 10 or 12 of its 16 bits is as bright as one that uses all. Floats are taken by the largest of
    them; what is no number is black.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        values = np.asarray(image, np.float32)
        if image.mode == "F":
            values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
        most = float(values.max(initial=0))
        top = max(most, 1e-9) if image.mode == "F" else next((t for t in USED_BITS if 0 < most <= t), USED_BITS[-1])
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def profile_of(image: Image.Image) -> bytes | None:
    """The ICC profile of a picture whose colours are not sRGB's, or None; a printer's is left alone."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or profile[16:20] != b"RGB " or image.mode not in ("RGB", "RGBA", "P"):
        return None
    named = (b"sRGB", "sRGB".encode("utf-16-be"))  # a description is ASCII or UTF-16, by the profile's version
    return None if any(name in profile for name in named) else profile


def to_srgb(pixels: npt.NDArray[np.uint8], profile: bytes) -> npt.NDArray[np.uint8]:
    """Pixels [..., W, 3] of that profile -> the same in sRGB; as they are where the profile is broken."""
    from PIL import ImageCms

    try:
        transform = _transform(profile)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return pixels
    image = Image.fromarray(pixels.reshape(-1, pixels.shape[-2], 3))
    return np.asarray(ImageCms.applyTransform(image, transform)).reshape(pixels.shape)


@functools.lru_cache(maxsize=4)  # a camera's photos have one profile
def _transform(profile: bytes) -> "ImageCms.ImageCmsTransform":
    from PIL import ImageCms

    return ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB"), "RGB", "RGB",
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )  # fmt: skip
