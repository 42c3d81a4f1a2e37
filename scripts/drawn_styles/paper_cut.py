"""paper_cut: gouache-painted papers cut with scissors into algae and leaves, pasted over one another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from drawn_styles.canvas import (
    OVER,
    SIDE,
    WIDE,
    Array,
    DrawnSet,
    Rgb,
    enlarge,
    finish,
    noise,
    normals,
    ribbon,
)

BLUE, WHITE, RED, GREEN, YELLOW, BLACK, PINK, SKY = range(8)
PAPERS: tuple[Rgb, ...] = (
    (26, 66, 160),
    (250, 244, 228),
    (222, 62, 40),
    (24, 128, 84),
    (250, 200, 46),
    (30, 28, 40),
    (236, 122, 150),
    (112, 178, 214),
)
# papers that hold against each other, as (ground, shape)
PAIRS = (
    *((BLUE, WHITE), (RED, YELLOW), (GREEN, WHITE), (YELLOW, BLUE), (BLACK, PINK), (WHITE, RED)),
    *((PINK, GREEN), (SKY, BLACK), (WHITE, BLUE), (BLACK, YELLOW), (GREEN, PINK), (BLUE, RED)),
)
SHADES = tuple((round(0.88 * r), round(0.88 * g), round(0.88 * b)) for r, g, b in PAPERS)
Outline = list[tuple[float, float]]


@dataclass(frozen=True)
class Collage:
    """A sheet to paste on, and the streaks of gouache (running across, running down) of the papers pasted."""

    sheet: Image.Image
    streaks: tuple[Image.Image, Image.Image]

    @classmethod
    def on(cls, paper: int, rng: np.random.Generator) -> Collage:
        """Begin on a sheet of the paper of this number."""
        field = enlarge(noise(rng, 2.0, 9.0) + 0.7 * noise(rng, 12.0, 3.0))
        across = Image.fromarray(np.where(field > 1.0, 255, 0).astype(np.uint8))
        streaks = (across, across.transpose(Image.Transpose.ROTATE_90))
        return cls(Image.new("RGB", (WIDE, WIDE), PAPERS[paper]), streaks)

    def paste(self, outlines: list[Outline], paper: int, lift: float) -> None:
        """Paste a cut shape; `lift` is the width of the shadow that it throws to the lower right, in pixels."""
        corners = np.array([point for outline in outlines for point in outline])
        left, top = (int(c) for c in np.maximum(corners.min(0) - 1, 0))
        right, low = (int(c) for c in np.minimum(corners.max(0) + 2 + lift * OVER, WIDE))
        if left >= right or top >= low:
            return
        mask = Image.new("L", (right - left, low - top))
        pen = ImageDraw.Draw(mask)
        for outline in outlines:
            pen.polygon([(x - left, y - top) for x, y in outline], 255)
        shadow = Image.new("L", mask.size)
        shadow.paste(mask.point([level * 9 // 20 for level in range(256)]), (round(lift * OVER * 0.8),) * 2)
        # how the sheet of paper was turned when it was painted follows from where its shape lies
        streaks = self.streaks[(left + top) // 3 % 2].crop((left, top, right, low))
        self.sheet.paste((16, 14, 30), (left, top), shadow)
        self.sheet.paste(PAPERS[paper], (left, top), mask)
        self.sheet.paste(SHADES[paper], (left, top), ImageChops.multiply(mask, streaks))

    def finished(self) -> Image.Image:
        """The picture in the set's colours."""
        return finish(self.sheet, (*PAPERS, *SHADES))


def scaled(points: Array) -> Outline:
    """An outline of the large drawing from (T, 2) points in pixels."""
    return [(float(x), float(y)) for x, y in points * OVER]


def alga(rng: np.random.Generator, centre: Array, size: float, fingers: int) -> list[Outline]:
    """A frond `size` pixels long: a bent stem with round-tipped fingers on both sides and one at the end."""
    t = np.linspace(-0.5, 0.5, 24)
    turn, bend = 2 * np.pi * rng.random(), 0.3 * (rng.random() - 0.5)
    ahead, aside = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    stem = centre + size * (t[:, None] * ahead + bend * (4 * t[:, None] ** 2 - 0.5) * aside)
    thick = size * (0.085 - 0.05 * t)
    outlines = [ribbon(stem, thick), disc(stem[0], thick[0] / 2), disc(stem[-1], thick[-1] / 2)]
    right, reach = normals(stem), np.linspace(0, 1, 14)
    for k in range(2 * fingers):
        root = 2 + round((k // 2 + 0.25 * (k % 2)) * 19 / fingers)
        side = right[root] * (1 if k % 2 else -1)
        length = size * (0.4 - 0.5 * t[root] ** 2 - 0.16 * t[root]) * (0.85 + 0.3 * rng.random())
        forward = 0.3 + 0.3 * rng.random()
        path = stem[root] + length * (
            np.outer(reach * (1 - 0.3 * reach), side) + np.outer(forward * reach**1.5, ahead)
        )
        width = size * 0.34 / (fingers + 0.5) * (0.8 + 0.35 * np.sin(np.pi * (0.05 + 0.8 * reach)))
        outlines += [ribbon(path, width), disc(path[-1], width[-1] / 2)]
    return outlines


def disc(centre: Array, radius: float) -> Outline:
    """A round of paper."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return scaled(centre + radius * np.stack([np.cos(turn), np.sin(turn)], 1))


def blob(rng: np.random.Generator, centre: Array, size: float, lobes: int) -> list[Outline]:
    """A freely cut star with `lobes` round arms, about `size` pixels wide."""
    turn, start = np.linspace(0, 2 * np.pi, 90, endpoint=False), 2 * np.pi * rng.random()
    radius = 1 + 0.3 * np.cos(lobes * turn + start) + 0.08 * np.cos(2 * turn + 5 * start)
    return [scaled(centre + size / 2 * radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], 1))]


def leaf(rng: np.random.Generator, centre: Array, size: float) -> list[Outline]:
    """A pointed leaf with a slight swing."""
    t = np.linspace(-0.5, 0.5, 30)
    turn, swing = 2 * np.pi * rng.random(), 0.35 * (rng.random() - 0.5)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    path = centre + size * np.stack([t, swing * (4 * t**2 - 0.5)], 1) @ rotation
    return [ribbon(path, size * 0.46 * np.cos(np.pi * t) ** 0.8 * (1 - 0.4 * t))]


def panels(rng: np.random.Generator, pitch: float) -> tuple[Collage, list[tuple[Array, int]]]:
    """A patchwork of papers about `pitch` pixels wide, and for each its centre and the paper to paste on it."""
    collage, seats, n = Collage.on(BLACK, rng), [], round(SIDE / pitch)
    for k in rng.random(n * n).argsort(kind="stable"):
        row, column = divmod(int(k), n)
        centre = (np.array([column, row]) + 0.45 + 0.1 * rng.random(2)) * pitch
        ground, shape = PAIRS[int(rng.random() * len(PAIRS))]
        half = pitch * (0.52 + 0.1 * rng.random(8)) * np.array([-1, -1, 1, -1, 1, 1, -1, 1])
        collage.paste([scaled(centre + half.reshape(4, 2))], ground, min(2.5, pitch / 16))
        seats.append((centre, shape))
    return collage, seats


def snippets(rng: np.random.Generator) -> Image.Image:
    """Scissor snippets, four to eleven pixels, strewn over one another."""
    collage = Collage.on(WHITE, rng)
    for _ in range(12000):
        centre, size, sides = rng.random(2) * SIDE, 6 + 6 * rng.random(), 3 + int(3 * rng.random())
        angles = 2 * np.pi * (rng.random() + (np.arange(sides) + 0.6 * rng.random(sides)) / sides)
        outline = scaled(centre + size / 2 * np.stack([np.cos(angles), 0.8 * np.sin(angles)], 1))
        collage.paste([outline], int(rng.random() * len(PAPERS)), 0.8)
    return collage.finished()


def petals(rng: np.random.Generator) -> Image.Image:
    """Petals and seeds about 20 pixels long."""
    collage = Collage.on(BLUE, rng)
    for _ in range(2600):
        centre, size = rng.random(2) * SIDE, 17 + 11 * rng.random()
        shape = leaf(rng, centre, size) if rng.random() < 0.7 else [disc(centre, size / 4)]
        collage.paste(shape, int(rng.random() * len(PAPERS)), 1.2)
    return collage.finished()


def sprigs(rng: np.random.Generator) -> Image.Image:
    """A patchwork of small papers, each with its sprig, star or leaf, 50 pixels wide."""
    collage, seats = panels(rng, SIDE / 10)
    for centre, paper in seats:
        kind = rng.random()
        shape = (
            alga(rng, centre, 52, 3)
            if kind < 0.6
            else blob(rng, centre, 34, 5)
            if kind < 0.8
            else leaf(rng, centre, 54)
        )
        collage.paste(shape, paper, 1.5)
    return collage.finished()


def algae(rng: np.random.Generator) -> Image.Image:
    """Algae on papers 100 pixels wide, some reaching over the seam."""
    collage, seats = panels(rng, SIDE / 5)
    for centre, paper in seats:
        collage.paste(alga(rng, centre, 108, 4), paper, 2.2)
    return collage.finished()


def great_cuts(rng: np.random.Generator) -> Image.Image:
    """Very large papers, algae 210 pixels long and stars, overlapping; small leaves hold the corners."""
    pitch = SIDE / 3
    collage, seats = panels(rng, pitch)
    for centre, paper in seats:
        star = rng.random() < 0.25
        shape = blob(rng, centre, 125, 5 + int(2 * rng.random())) if star else alga(rng, centre, 210, 4)
        collage.paste(shape, paper, 3.2)
    for k in range(16):
        corner = (np.array(divmod(k, 4)) + 0.16 * (rng.random(2) - 0.5)) * pitch
        collage.paste(
            leaf(rng, corner, 70 + 30 * rng.random()), (RED, YELLOW, SKY, PINK)[int(4 * rng.random())], 3.2
        )
    return collage.finished()


SET = DrawnSet(
    "gouache-painted papers cut into algae and leaves: eight bold colours",
    3,
    (
        ("scissor snippets, 4-11 px", snippets),
        ("petals and seeds, 20 px", petals),
        ("sprigs on a patchwork, 50 px", sprigs),
        ("algae on papers, 100 px", algae),
        ("very large overlapping cuts, 200 px", great_cuts),
    ),
)
