"""What is around the demo's creatures: a cluttered background, leaves, light. All sizes, colours
and probabilities here are ours.
"""

import numpy as np
from PIL import Image, ImageDraw

from zslpipe.datasets.canvas import PALETTE, ellipse, tone_of


def background(side: int, rng: np.random.Generator) -> Image.Image:
    """Return a blurred patchwork of natural colours with leaves and twigs of any colour on it."""
    base = rng.choice(np.array([(150, 185, 210), (120, 150, 95), (165, 145, 115), (140, 140, 145)]))
    brightness, tint = rng.normal(0, 26, (6, 6, 1)), rng.normal(0, 13, (6, 6, 3))
    patches = np.clip(base + brightness + tint, 0, 255).astype(np.uint8)
    image = Image.fromarray(patches).resize((side, side), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(rng.integers(2, 6)):
        ends = rng.uniform(0, side, 4)
        tone = tone_of(rng.choice(list(PALETTE)), rng)
        pen.line(list(ends), fill=tone, width=int(rng.integers(2, 9)))
    for _ in range(rng.integers(4, 10)):
        draw_leaf(image, None, rng)
    return image


def draw_leaf(image: Image.Image, labels: Image.Image | None, rng: np.random.Generator) -> None:
    """Draw one leaf anywhere; with ``labels`` it hides what it covers."""
    side = image.width
    length, width = side * rng.uniform(0.05, 0.14), side * rng.uniform(0.02, 0.06)
    angle = rng.uniform(0, np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    outline = ellipse((0, 0), (length, width)) @ turn.T + rng.uniform(0, side, 2)
    points = [tuple(point) for point in outline]
    colour = rng.choice(list(PALETTE)) if labels is None else "green"
    ImageDraw.Draw(image).polygon(points, fill=tone_of(colour, rng, spread=30))
    if labels is not None:
        ImageDraw.Draw(labels).polygon(points, fill=0)


def light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Apply brightness, a colour cast, a shade from one side to the other, and grain to a square
    picture.
    """
    angle = rng.uniform(0, 2 * np.pi)
    across = np.linspace(-1, 1, image.width)
    shade = 1 + 0.18 * (np.cos(angle) * across[None, :] + np.sin(angle) * across[:, None])
    gain = rng.uniform(0.75, 1.15) * rng.uniform(0.93, 1.07, 3)
    lit = np.asarray(image, np.float32) * shade[:, :, None] * gain
    grain = rng.normal(0, 5, (image.width, image.width, 1))
    return Image.fromarray(np.clip(lit + grain, 0, 255).astype(np.uint8))
