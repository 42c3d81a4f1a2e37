"""hatching: copperplate engraving in ink and sepia on cream, with vermilion as the one accent."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawn_styles.canvas import (
    OVER,
    SIDE,
    Array,
    DrawnSet,
    Ids,
    blank,
    cells,
    chance,
    enlarge,
    finish,
    grid,
    noise,
    paint,
    scatter,
    window,
)

COLOURS = (244, 233, 208), (205, 168, 118), (116, 66, 34), (30, 24, 32), (196, 52, 30)
CREAM, TAN, SEPIA, INK, VERMILION = range(5)


def hairlines(rng: np.random.Generator) -> Image.Image:
    """Short strokes of one to two pixels whose direction drifts; darker where two directions cross."""
    picture, pen = blank(COLOURS[CREAM])
    bend, dark = noise(rng, 36), noise(rng, 14)
    for _ in range(15000):
        x, y = rng.random(2) * SIDE
        shade = dark[int(y), int(x)]
        crossing = rng.random() < 0.35 + 0.25 * shade
        angle = 1.3 * bend[int(y), int(x)] + (1.2 if crossing else 0.0) + 0.12 * (rng.random() - 0.5)
        reach = (5 + 6 * rng.random()) * OVER
        dx, dy = reach * np.cos(angle), reach * np.sin(angle)
        pick = rng.random() + 0.13 * shade
        colour = VERMILION if pick < 0.12 else TAN if pick < 0.3 else SEPIA if pick < 0.55 else INK
        x, y = x * OVER, y * OVER
        pen.line([x - dx, y - dy, x + dx, y + dy], COLOURS[colour], 2 + 2 * int(rng.random() * 2.4))
        if rng.random() < 0.2:  # scraped highlights keep the paper alive between the strokes
            pen.line([x - dy, y + dx, x + dy, y - dx], COLOURS[CREAM], 3)
    return finish(picture, COLOURS)


def engrave(rng: np.random.Generator, dark: Array, phases: list[Array], ink: Ids, paper: Ids) -> Image.Image:
    """Rule one family of lines for each phase; lines swell with darkness, later families only enter shadows.

    dark: (WIDE, WIDE) in [0, 1]; phases: one line per unit; ink, paper: colour numbers at each pixel.
    """
    tremor, swell = enlarge(noise(rng, 7)), enlarge(noise(rng, 4))
    index = paper.copy()
    for turn, phase in enumerate(phases):
        entry = turn / len(phases)
        cover = np.clip((dark - 0.75 * entry) * (1.05 + 0.6 * entry) + 0.05 * swell, 0, 0.86)
        offset = phase + 0.07 * tremor
        line = np.abs(offset - np.round(offset)) * 2 < np.where(cover < 0.1, 0, cover)
        index = np.where(line, ink, index)
    return finish(paint(index, COLOURS), COLOURS)


def ruled(x: Array, y: Array, angle: Array | float, pitch: float) -> Array:
    """The phase of straight parallel lines `pitch` pixels apart."""
    return (x * np.sin(angle) + y * np.cos(angle)) / pitch


def patches(rng: np.random.Generator) -> Image.Image:
    """Cross-hatching as a patchwork: every patch has its own direction and tone."""
    x, y = grid()
    wobble = 1.5 * enlarge(noise(rng, 12))
    ids, _, _, edge = cells(rng, x + wobble, y - wobble, SIDE / 20)
    angle = np.pi * chance(ids, 1)
    dark = np.where(edge < 0.7, 0.0, 0.24 + 0.5 * chance(ids, 2))
    pick = chance(ids, 3)
    ink = np.where(pick < 0.16, VERMILION, np.where(pick < 0.45, SEPIA, INK))
    paper = np.where(chance(ids, 4) < 0.22, TAN, CREAM)
    phases = [ruled(x, y, angle, 5.2), ruled(x, y, angle + 1.25, 5.2), ruled(x, y, angle + 0.6, 5.0)]
    return engrave(rng, dark, phases, ink, paper)


def lit(nx: Array, ny: Array) -> Array:
    """Darkness in [0, 1] of a surface with slopes (nx, ny) under a lamp at the upper left."""
    up = np.sqrt(np.maximum(1 - nx**2 - ny**2, 0))
    return np.asarray(np.clip(0.95 - 1.05 * (-0.55 * nx - 0.6 * ny + 0.58 * up), 0, 1))


def pebbles(rng: np.random.Generator) -> Image.Image:
    """A beach of pebbles, each rounded by lines that run around it."""
    x, y = grid()
    wobble = 3 * enlarge(noise(rng, 22))
    ids, dx, dy, edge = cells(rng, x + wobble, y + wobble, SIDE / 10)
    size = SIDE / 10 * 0.68
    slope = np.clip(1 - edge / (0.42 * size), 0, 1) ** 1.3
    reach = np.maximum(np.hypot(dx, dy), 1e-6)
    dark = np.where(edge < 1.6, 1.0, lit(slope * dx / reach, slope * dy / reach))
    turn = 2 * np.pi * chance(ids, 1)
    u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    around = [(v + 0.012 * u**2) / 5.2, (u - 0.012 * v**2) / 5.2, (u + v) / 6]
    pick = chance(ids, 2)
    ink = np.where(edge < 1.6, INK, np.where(pick < 0.2, VERMILION, np.where(pick < 0.45, SEPIA, INK)))
    return engrave(rng, dark, around, ink, np.where(chance(ids, 3) < 0.3, TAN, CREAM))


def globes_over(
    rng: np.random.Generator, dark: Array, phases: list[Array], centres: Array, radii: Array, pitch: float
) -> Ids:
    """Lay globes with their shadows over a drawn ground, in the order given.

    Changes dark and phases in place; returns the number of the globe at each pixel, -1 where there is none.
    """
    number = np.full(dark.shape, -1)
    for k, (centre, radius) in enumerate(zip(centres, radii, strict=True)):
        at, dx, dy = window(centre, 1.5 * radius)
        dx, dy = dx / radius, dy / radius
        shade = 0.95 * np.clip(3.5 * (1.13 - np.hypot(dx - 0.24, dy - 0.27)), 0, 1)
        inside = dx**2 + dy**2 < 1
        rim = dx**2 + dy**2 > (1 - 2.2 / radius) ** 2
        dark[at] = np.where(inside, np.where(rim, 1.0, lit(dx, dy)), np.maximum(dark[at], shade))
        up = np.sqrt(np.maximum(1 - dx**2 - dy**2, 0))
        turn = rng.random() * np.pi
        u, v = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
        # parallels and meridians of a tilted globe crowd towards the rim, as an engraver draws them
        lines = (np.arcsin(np.clip(0.8 * v + 0.6 * up, -1, 1)), np.arctan2(u, 1.25 * up), u + v)
        for phase, line in zip(phases, lines, strict=True):
            phase[at] = np.where(inside, line * radius / pitch, phase[at])
        number[at] = np.where(inside, k, number[at])
    return number


def globes(rng: np.random.Generator) -> Image.Image:
    """Fruit on a dark cloth: many globes about 80 pixels wide."""
    x, y = grid()
    weave = 0.5 * enlarge(noise(rng, 30))
    dark = 0.62 + 0.1 * enlarge(noise(rng, 25))
    phases = [ruled(x, y, 0.7, 5.5) + weave, ruled(x, y, -0.8, 5.5) + weave, ruled(x, y, 0.1, 5.5)]
    number = globes_over(rng, dark, phases, scatter(rng, 58), 28 + 22 * rng.random(58), 5.5)
    cloth = number < 0
    pick = chance(number, 2)
    ink = np.where(cloth, INK, np.where(pick < 0.3, VERMILION, np.where(pick < 0.5, SEPIA, INK)))
    return engrave(rng, dark, phases, ink, np.where(cloth | (chance(number, 3) < 0.3), TAN, CREAM))


def drapery(rng: np.random.Generator) -> Image.Image:
    """Heavy folds of cloth 150 pixels wide with a few great globes lying in them."""
    x, y = grid()
    sway = x + 0.5 * y + 26 * enlarge(noise(rng, 90))
    height = np.sin(2 * np.pi * sway / 128) + 0.4 * enlarge(noise(rng, 60))
    gy, gx = np.gradient(height, 1 / OVER)
    dark = np.clip(0.36 + 7.5 * gx + 5 * gy - 0.16 * height, 0.06, 0.88)
    phases = [(y + 20 * height) / 6.5, (y - 0.9 * x + 14 * height) / 6.5, ruled(x, y, 0.9, 6)]
    centres = np.array([[96.0, 120.0], [330.0, 60.0], [430.0, 330.0], [190.0, 400.0]])
    number = globes_over(rng, dark, phases, centres, np.array([92.0, 62.0, 98.0, 70.0]), 7.0)
    cloth = number < 0
    band = np.floor(sway / 128 + 0.75).astype(np.int64) % 4
    ink = np.where(cloth, np.where(band == 0, SEPIA, INK), np.where(number % 3 == 1, INK, VERMILION))
    return engrave(rng, dark, phases, ink, np.where(cloth & (band % 2 == 1), TAN, CREAM))


SET = DrawnSet(
    "copperplate engraving: ink and sepia on cream, vermilion the one accent",
    1,
    (
        ("hairlines, 1-2 px", hairlines),
        ("cross-hatched patches, 25 px", patches),
        ("engraved pebbles, 50 px", pebbles),
        ("globes on a dark cloth, 80 px", globes),
        ("drapery and great globes, 170 px", drapery),
    ),
)
