"""mosaic: Byzantine tesserae in ultramarine, gold, terracotta, sea green and white, set in dark mortar."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawn_styles.canvas import (
    SIDE,
    Array,
    DrawnSet,
    Ids,
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

MORTAR = (44, 36, 38)
# each glass in a deep, a middle and a light batch, as tiles are never all of one melt
GLASS = (
    ((18, 26, 78), (28, 52, 140), (58, 96, 186)),
    ((176, 120, 30), (218, 166, 48), (244, 214, 118)),
    ((128, 44, 30), (180, 76, 44), (212, 120, 78)),
    ((18, 78, 84), (40, 120, 118), (120, 178, 160)),
    ((206, 194, 170), (232, 224, 202), (250, 246, 234)),
)
BLUE, GOLD, CLAY, SEA, WHITE = range(5)
COLOURS = (MORTAR, *(batch for glass in GLASS for batch in glass))


def set_tiles(u: Array, v: Array, size: float, joint: float, bed: Ids | int) -> tuple[Ids, Array]:
    """Cut curvilinear coordinates (u along a row, v across, both in pixels) into tiles of unequal length.

    Returns the tile's number, different in different beds, and the way to its nearest edge, negative in the joint.
    """
    row = np.floor(v / size).astype(np.int64)
    lane = np.asarray(row * 7919 + bed * 104729 + 500_000_000)
    u = u / size + 31 * chance(lane, 1)
    column = np.floor(u).astype(np.int64)

    def cut(k: Ids) -> Array:
        return k + 0.5 * (chance(lane * 4096 + k, 2) - 0.5)

    column += (u >= cut(column + 1)).astype(np.int64) - (u < cut(column)).astype(np.int64)
    across = np.minimum(v / size - row, row + 1 - v / size)
    along = np.minimum(u - cut(column), cut(column + 1) - u)
    return np.asarray(lane * 4096 + column), np.minimum(across, along) * size - joint / 2


def glaze(tile: Ids, edge: Array, glass: Ids, mixed: float) -> Image.Image:
    """Colour tiles by glass; each takes one of three batches, and a share `mixed` another glass altogether."""
    stray = np.floor(5 * chance(tile, 4)).astype(np.int64)
    glass = np.where(chance(tile, 3) < mixed, stray, glass)
    batch = np.floor(3 * chance(tile, 5)).astype(np.int64)
    return finish(paint(np.where(edge < 0, 0, 1 + 3 * glass + batch), COLOURS), COLOURS)


def grains(rng: np.random.Generator) -> Image.Image:
    """Tesserae of four to five pixels, every one its own colour."""
    x, y = grid()
    turn = 2.5 * enlarge(noise(rng, 36))
    tile, edge = set_tiles(0.9 * x + 0.44 * y + turn, 0.9 * y - 0.44 * x + turn, 4.9, 1.0, 0)
    return glaze(tile, edge, np.floor(5 * chance(tile, 9)).astype(np.int64), 0.0)


def rows(rng: np.random.Generator) -> Image.Image:
    """Andamento: rows of tiles that wave, each row of one glass."""
    x, y = grid()
    sway = 9 * enlarge(noise(rng, 60))
    v = y + sway + 0.3 * x + 1000
    tile, edge = set_tiles(x - 0.3 * y + 0.3 * sway, v, 7.6, 1.3, 0)
    order = np.array(
        [BLUE, WHITE, CLAY, GOLD, BLUE, SEA, WHITE, BLUE, GOLD, CLAY, SEA, GOLD, BLUE, CLAY, WHITE, SEA]
    )
    return glaze(tile, edge, order[np.floor(v / 7.6).astype(np.int64) % len(order)], 0.16)


def rings(dx: Array, dy: Array, size: float) -> tuple[Array, Array]:
    """(u, v) of rows that run in circles: u is the arc on the middle of the row, v the radius."""
    radius = np.hypot(dx, dy)
    middle = (np.floor(radius / size) + 0.5) * size
    return np.arctan2(dy, dx) * middle, radius


def roundels(rng: np.random.Generator) -> Image.Image:
    """Roundels of concentric rings, 70 pixels wide, in a ground of blue."""
    x, y = grid()
    ids, dx, dy, way = cells(rng, x, y, SIDE / 7)
    u, v = rings(dx, dy, 7.8)
    tile, edge = set_tiles(u, v, 7.8, 1.2, ids)
    ring = np.floor(v / 7.8).astype(np.int64)
    schemes = np.array(
        [[GOLD, CLAY, WHITE, BLUE, SEA], [WHITE, BLUE, GOLD, CLAY, BLUE], [CLAY, GOLD, SEA, WHITE, BLUE]]
    )
    kind = np.floor(3 * chance(ids, 7)).astype(np.int64)
    glass = schemes[kind, np.minimum(ring, 4)]
    return glaze(tile, np.minimum(edge, way - 0.8), glass, 0.05)


def scales(x: Array, y: Array, radius: float) -> tuple[Ids, Array, Array]:
    """Overlapping fans as on a fish: the number of the fan, and dx, dy from its foot."""
    ids, done = np.zeros(x.shape, np.int64), np.zeros(x.shape, bool)
    dx, dy = np.zeros(x.shape), np.zeros(x.shape)
    rise = radius / 2
    first = np.floor(y / rise).astype(np.int64)
    columns = round(SIDE / (2 * radius))
    for ahead in (2, 1, 0, -1):  # nearer rows lie on top: their circles are asked first
        row = first + ahead
        shift = np.where(row % 2 == 0, 0.0, radius)
        column = np.round((x - shift) / (2 * radius)).astype(np.int64)
        ex, ey = x - shift - column * 2 * radius, y - row * rise
        hit = (np.hypot(ex, ey) < radius) & ~done
        done |= hit
        ids = np.where(hit, row * 64 + column % columns + 4096, ids)
        dx, dy = np.where(hit, ex, dx), np.where(hit, ey, dy)
    return ids, dx, dy


def fans(rng: np.random.Generator) -> Image.Image:
    """Peacock fans 170 pixels wide: banded rows of tiles round the foot of each."""
    x, y = grid()
    hand = 1.4 * enlarge(noise(rng, 60))  # laid by hand: no fan is quite round
    ids, dx, dy = scales(x + hand, y - hand, SIDE / 6)
    u, v = rings(dx, dy, SIDE / 60)
    tile, edge = set_tiles(u, v, SIDE / 60, 1.0, ids)
    ring = 9 - np.floor(v * 60 / SIDE).astype(np.int64)
    schemes = np.array(
        [
            [WHITE, BLUE, BLUE, BLUE, SEA, SEA, SEA, GOLD, GOLD, CLAY],
            [GOLD, CLAY, CLAY, CLAY, CLAY, WHITE, WHITE, BLUE, BLUE, BLUE],
            [WHITE, SEA, SEA, SEA, BLUE, BLUE, GOLD, GOLD, CLAY, CLAY],
        ]
    )
    kind = np.floor(3 * chance(ids, 7)).astype(np.int64)
    return glaze(tile, edge, schemes[kind, np.clip(ring, 0, 9)], 0.04)


def waves(rng: np.random.Generator) -> Image.Image:
    """Great waves, 256 pixels from crest to crest, with suns of 150 pixels among them."""
    x, y = grid()
    lean = 22 * enlarge(noise(rng, 110))
    crest = 32 * np.sin(2 * np.pi * (x + 0.3 * y + lean) / 256)
    v = y + crest + 0.5 * lean + 600
    tile, edge = set_tiles(x - 0.25 * crest, v, 9.5, 0.8, 0)
    period = np.array([BLUE] * 8 + [WHITE] + [SEA] * 5 + [GOLD] + [BLUE] * 5 + [WHITE] * 4 + [CLAY] * 3)
    glass = period[np.floor(v / 9.5).astype(np.int64) % len(period)]
    sun = np.array([GOLD] * 5 + [WHITE] + [CLAY] * 2 + [GOLD])
    for bed, (centre, radius) in enumerate(zip(scatter(rng, 3), (86.0, 76.0, 68.0), strict=True)):
        at, dx, dy = window(centre, radius + 2)
        du, dv = rings(dx, dy, 9.5)
        disc, way = set_tiles(du, dv, 9.5, 0.9, 10 + bed)
        inside = dv < radius
        tile[at] = np.where(inside, disc, tile[at])
        edge[at] = np.where(inside, np.minimum(way, radius - dv - 1), np.where(dv < radius + 1, -1, edge[at]))
        ray = sun[np.clip(np.floor(dv / 9.5).astype(np.int64), 0, 8)]
        glass[at] = np.where(inside, ray, glass[at])
    return glaze(tile, edge, glass, 0.02)


SET = DrawnSet(
    "Byzantine tesserae: ultramarine, gold, terracotta, sea green and white in dark mortar",
    2,
    (
        ("single tesserae, 5 px", grains),
        ("waving rows of tiles, 8 px", rows),
        ("roundels, 70 px", roundels),
        ("peacock fans, 170 px", fans),
        ("great waves and suns, 200 px", waves),
    ),
)
