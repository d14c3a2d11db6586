"""What the demo's creatures are painted on and with: a picture together with which part each pixel
shows, a palette, filled outlines. Sizes and colours are ours.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

PALETTE = {
    "red": (205, 45, 40),
    "orange": (240, 140, 30),
    "yellow": (240, 215, 60),
    "green": (50, 150, 70),
    "blue": (45, 85, 205),
    "brown": (130, 80, 45),
    "black": (35, 32, 36),
    "white": (242, 242, 238),
}


@dataclass(frozen=True)
class Canvas:
    """The picture while it is drawn, which part each pixel shows (0 = none, else part number + 1),
    and the pose.
    """

    image: Image.Image
    labels: Image.Image
    pose: np.ndarray  # (2, 3): creature coordinates to pixels
    rng: np.random.Generator


def polygon(
    canvas: Canvas, image: Image.Image, outline: np.ndarray, fill: int | tuple[int, ...]
) -> None:
    """Fill ``outline`` (point, 2), in creature coordinates, on ``image``."""
    points = outline @ canvas.pose[:, :2].T + canvas.pose[:, 2]
    ImageDraw.Draw(image).polygon([tuple(point) for point in points], fill=fill)


def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
    """Return 20 points of an ellipse, (20, 2)."""
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return np.column_stack(
        [centre[0] + radii[0] * np.cos(angles), centre[1] + radii[1] * np.sin(angles)]
    )


def tone_of(colour: str, rng: np.random.Generator, spread: float = 12) -> tuple[int, ...]:
    """Return a colour of the palette, each channel off by a normal deviate of ``spread``."""
    channels = np.array(PALETTE[colour]) + rng.normal(0, spread, 3)
    return tuple(int(channel) for channel in np.clip(channels, 0, 255))
