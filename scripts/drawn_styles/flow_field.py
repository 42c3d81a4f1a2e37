"""flow_field: oil strokes that follow a swirling field, night blue through teal to yellow and orange."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from drawn_styles.canvas import (
    SIDE,
    Array,
    DrawnSet,
    Rgb,
    enlarge,
    finish,
    noise,
    normals,
    paint,
    ribbon,
    scatter,
    streamlines,
)

# a ramp from night to lamp; strokes take a place on it, and bristles the neighbouring places
RAMP = (
    (12, 20, 58),
    (24, 46, 118),
    (38, 80, 168),
    (60, 128, 192),
    (66, 160, 160),
    (158, 204, 186),
    (240, 236, 190),
    (250, 214, 84),
    (244, 176, 36),
    (214, 110, 28),
)


def turned(stream: Array) -> Array:
    """The field (2, SIDE, SIDE) of unit vectors along the level lines of a periodic stream function."""
    dy, dx = (np.roll(stream, -1, axis) - np.roll(stream, 1, axis) for axis in (0, 1))
    return np.asarray(np.stack([dy, -dx]) / np.maximum(np.hypot(dx, dy), 1e-9))


def place(value: float) -> Rgb:
    """The ramp's colour at a place in [0, 1], clipped."""
    return RAMP[int(np.clip(value * len(RAMP), 0, len(RAMP) - 1))]


def brush(
    rng: np.random.Generator, field: Array, tone: Array, count: int, length: float, width: float, hairs: int
) -> Image.Image:
    """Lay `count` strokes along the field in random order, each a body and `hairs` thinner ridges of paint on it.

    field: (2, SIDE, SIDE) unit vectors; tone: (SIDE, SIDE), the place on the ramp; length, width: of a middling stroke.
    """
    ground = np.clip(enlarge(tone) * len(RAMP), 0, len(RAMP) - 1).astype(np.int64)
    picture = paint(ground, RAMP)
    pen = ImageDraw.Draw(picture)
    seeds = rng.random((count, 2)) * (SIDE + length) - length / 2  # so that strokes enter over every border
    paths = streamlines(field, seeds, length, 13)
    swell = (1 - np.abs(np.linspace(-1, 1, paths.shape[1])) ** 3) ** 0.5
    for path, seed in zip(paths, seeds.astype(np.int64) % SIDE, strict=True):
        here = tone[seed[1], seed[0]] + 0.16 * (rng.random() + rng.random() - 1)
        cut = int(4 * rng.random())
        path, body = path[cut:], width * (0.7 + 0.6 * rng.random()) * swell[cut:]
        pen.polygon(ribbon(path, body), place(here - 0.04))
        side = normals(path)
        relief = np.sign(-0.6 * side[len(side) // 2, 0] - 0.8 * side[len(side) // 2, 1])
        for k in range(hairs):
            out = (k + 0.5) / hairs - 0.5
            # paint stands up on the side towards the lamp at the upper left, and lies in shade on the other
            shade = here + 0.2 * out * relief + 0.2 * (rng.random() - 0.5)
            pen.polygon(ribbon(path + 0.92 * out * body[:, None] * side, 0.7 * body / hairs), place(shade))
    return finish(picture, RAMP)


def whirls(centres: Array, radii: Array) -> tuple[Array, Array]:
    """Stream function and tone (SIDE, SIDE) of lamps in the night: one whirl with bright rings at every centre.

    The tone is below 0 where no lamp reaches.
    """
    y, x = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    stream, tone = np.zeros((SIDE, SIDE)), np.full((SIDE, SIDE), -1.0)
    for k, ((cx, cy), radius) in enumerate(zip(centres, radii, strict=True)):
        dx, dy = (x - cx + SIDE / 2) % SIDE - SIDE / 2, (y - cy + SIDE / 2) % SIDE - SIDE / 2
        reach = np.hypot(dx, dy) / radius
        stream += (-1) ** k * radius * np.exp(-1.1 * reach**2)
        ring = 0.97 - 0.66 * reach + 0.14 * np.cos(4 * np.pi * reach)
        tone = np.where(reach < 1, np.maximum(tone, ring), tone)
    return stream, tone


def stretched(field: Array) -> Array:
    """A noise field as a tone from 0 to 1 that favours the night end of the ramp."""
    ranks = field.ravel().argsort(kind="stable").argsort(kind="stable").reshape(field.shape) / field.size
    return np.asarray(0.04 + 0.92 * ranks**1.35)


def bristles(rng: np.random.Generator) -> Image.Image:
    """Single hairs of paint, one to two pixels."""
    return brush(rng, turned(noise(rng, 70)), stretched(noise(rng, 7)), 17000, 13, 2.1, 0)


def dashes(rng: np.random.Generator) -> Image.Image:
    """Short dashes of a small brush, four pixels wide."""
    return brush(rng, turned(noise(rng, 70)), stretched(noise(rng, 13)), 7000, 24, 4.6, 2)


def currents(rng: np.random.Generator) -> Image.Image:
    """Currents of strokes eight pixels wide, tones in eddies of 50 pixels."""
    stream = noise(rng, 64)
    return brush(rng, turned(stream), stretched(np.sin(4 * stream) + 0.5 * noise(rng, 24)), 3000, 46, 8.0, 4)


def lamps(rng: np.random.Generator, centres: Array, radii: Array, sky: float) -> tuple[Array, Array]:
    """Field and tone of a night sky with lamps in it; `sky` is the scale of the blues between them."""
    stream, glow = whirls(centres, radii)
    drift = noise(rng, sky * 1.8)
    tone = np.where(glow < 0, 0.62 * stretched(np.sin(2.5 * drift) + 0.6 * noise(rng, sky)), glow)
    return turned(stream + 0.1 * radii.mean() * drift), tone


def stars(rng: np.random.Generator) -> Image.Image:
    """Stars with halos 80 pixels wide, strokes of eleven pixels."""
    field, tone = lamps(rng, scatter(rng, 20), 32 + 16 * rng.random(20), 30)
    return brush(rng, field, tone, 3000, 44, 9.5, 4)


def vortices(rng: np.random.Generator) -> Image.Image:
    """Great vortices 200 pixels wide, strokes as thick as a thumb."""
    field, tone = lamps(rng, scatter(rng, 5), 95 + 35 * rng.random(5), 80)
    return brush(rng, field, tone, 1500, 105, 17.0, 7)


SET = DrawnSet(
    "oil strokes that follow a swirling field: night blue, teal, yellow and orange",
    0,
    (
        ("single bristles, 1-2 px", bristles),
        ("dashes of a small brush, 4 px", dashes),
        ("currents of strokes, 50 px", currents),
        ("stars with halos, 80 px", stars),
        ("great vortices, 200 px", vortices),
    ),
)
