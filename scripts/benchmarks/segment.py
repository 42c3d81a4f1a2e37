"""How well found regions are things: a dozen photos with things drawn by hand, and every way that was tried.

All ways get the number of things that was drawn, one seed, and the photo at 512 px; `things` says what the figures are.
Constants were chosen on the dozen. The last columns are of eight photos of other kinds (animals, a dish, a ship, a
street, landscapes), which were drawn afterwards and chose nothing (`--unseen`).

| | overlap | Rand | covering | borders | unseen: overlap | borders |
|---|---|---|---|---|---|---|
| as the program does it | 0.716 | 0.754 | 0.804 | 0.649 | 0.695 | 0.633 |
| one k-means of smoothed encoder features (until this was measured) | 0.424 | 0.328 | 0.517 | 0.352 | 0.489 | 0.476 |
| encoder: k-means of cells, the best of eight | 0.482 | 0.408 | 0.571 | 0.383 | 0.547 | 0.496 |
| relu3_1: k-means of cells | 0.505 | 0.450 | 0.579 | 0.277 | 0.554 | 0.298 |
| relu4_1: k-means of cells | 0.503 | 0.472 | 0.598 | 0.144 | 0.506 | 0.134 |
| relu5_1: k-means of cells | 0.520 | 0.486 | 0.612 | 0.147 | 0.547 | 0.154 |
| relu5_1: cells agglomerated (Ward) | 0.514 | 0.468 | 0.597 | 0.120 | 0.518 | 0.146 |
| relu5_1: normalized cuts of cells | 0.573 | 0.562 | 0.673 | 0.203 | 0.556 | 0.185 |
| relu5_1: the same, guided filter | 0.585 | 0.583 | 0.687 | 0.303 | 0.565 | 0.253 |
| relu5_1: the same, random walker | 0.587 | 0.583 | 0.687 | 0.343 | 0.565 | 0.283 |
| colour alone: normalized cuts of superpixels | 0.480 | 0.429 | 0.584 | 0.458 | 0.585 | 0.532 |
| relu5_1 alone: normalized cuts of superpixels | 0.637 | 0.669 | 0.742 | 0.443 | 0.608 | 0.465 |
| relu5_1, colour: superpixels agglomerated (Ward) | 0.618 | 0.615 | 0.712 | 0.503 | 0.562 | 0.451 |
| relu3_1, colour: normalized cuts of superpixels | 0.571 | 0.576 | 0.678 | 0.588 | 0.672 | 0.649 |
| relu4_1, colour: normalized cuts of superpixels | 0.575 | 0.622 | 0.699 | 0.614 | 0.621 | 0.583 |
| relu5_1, colour: normalized cuts of superpixels | 0.715 | 0.751 | 0.803 | 0.643 | 0.692 | 0.630 |
| the same, random walker | 0.716 | 0.754 | 0.805 | 0.627 | 0.689 | 0.599 |
| the same, guided filter (kept) | 0.716 | 0.754 | 0.804 | 0.650 | 0.695 | 0.636 |
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import ndimage, sparse
from scipy.cluster import hierarchy
from scipy.sparse.linalg import cg

from benchmarks.things import THINGS, UNSEEN, Photo, borders, read, scores
from stylebank import StyleBank
from stylebank.engines import vgg_features
from stylebank.files import resources
from stylebank.painting import regions, segmentation
from stylebank.painting.segmentation import Floats
from stylebank.pixels import images, pictures, resampling

Labels = NDArray[np.int64]
Points = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Seen:
    """A photo as the ways see it: at `segmentation.LONG_SIDE`, the features of a layer (C, h, w), and superpixels."""

    look: Floats
    features: Floats
    pieces: Labels
    colours: Floats
    count: int


def main(
    content: Annotated[Path, typer.Option(help="Folder of the photos that do not come along.")],
    save: Annotated[Path | None, typer.Option(help="Folder for overlays of what the program finds.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    unseen: Annotated[bool, typer.Option(help="The eight photos that no constant was chosen on.")] = False,
) -> None:
    """Overlap and borders of found regions and things drawn by hand, as a Markdown table."""
    bank = StyleBank.load(resources.shipped_bank(), device=device)
    photos = list(read(content, UNSEEN if unseen else THINGS))
    typer.echo("| | overlap | Rand | covering | borders | s |\n|---|---|---|---|---|---|")
    typer.echo(row("as the program does it", photos, partial(_found, bank, save)))
    typer.echo(row("encoder: k-means of cells, the best of eight", photos, partial(_encoder, bank)))
    for name, layer, join, refine in WAYS:
        see = vgg_features.extractor(bank.computing, layer)
        cache = {photo.name: seen(photo, see) for photo in photos}  # times are without this
        typer.echo(row(name, photos, partial(_by, cache, join, refine)))


def row(name: str, photos: list[Photo], find: Callable[[Photo], NDArray[Any]]) -> str:
    """Mean figures of a way as a row of the table."""
    start = time.perf_counter()
    found = [find(photo) for photo in photos]
    seconds = (time.perf_counter() - start) / len(photos)
    figures = np.mean([scores(each, photo.things) for each, photo in zip(found, photos, strict=True)], 0)
    return f"| {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} | {seconds:.2f} |"


def _found(bank: StyleBank, save: Path | None, photo: Photo) -> NDArray[np.uint8]:
    labels = regions.clustered(bank, photo.picture, photo.number)
    if save:
        save.mkdir(parents=True, exist_ok=True)
        images.save(save / f"{photo.name}.png", pictures.label_overlay(labels, photo.picture))
    return labels


def _encoder(bank: StyleBank, photo: Photo) -> NDArray[np.uint8]:
    """Clusters of the bank's own features, smoothed, and of the place, without a look at edges."""
    scale = segmentation.LONG_SIDE / max(photo.picture.size)
    size = tuple(max(16, round(side * scale / 16) * 16) for side in photo.things.shape)
    small = resampling.resized(photo.picture, size=(size[0], size[1]))
    features = bank.open(small).features().astype(np.float64)
    smooth = ndimage.gaussian_filter(features, (0, *[0.012 * max(features.shape[1:])] * 2))
    labels = _k_means(_with_places(smooth), photo.number)
    return _drawn(labels, photo.things.shape)


def seen(photo: Photo, see: vgg_features.See) -> Seen:
    """What the ways work on."""
    scale = segmentation.LONG_SIDE / max(photo.picture.size)
    height, width = (max(1, round(side * scale / 16)) * 16 for side in photo.things.shape)
    pixels = images.to_pixels(resampling.resized(photo.picture, size=(height, width)))
    look = (pixels / np.float32(255)).astype(np.float32)
    colours = segmentation.lab(look)
    smooth = ndimage.gaussian_filter(colours, (0.7, 0.7, 0))
    pieces = segmentation.superpixels(smooth, segmentation.SUPERPIXELS)
    return Seen(look, see(pixels), pieces, segmentation.means(colours, pieces), photo.number)


def _by(
    cache: dict[str, Seen],
    join: Callable[[Seen], Labels],
    refine: Callable[[Labels, Floats], Labels],
    photo: Photo,
) -> NDArray[np.uint8]:
    known = cache[photo.name]
    labels = join(known)
    if labels.shape != known.pieces.shape:
        labels = segmentation.enlarged(labels, known.pieces.shape).astype(np.int64)
    return _drawn(refine(segmentation.without_islands(labels), known.look), photo.things.shape)


def _drawn(labels: Labels, size: tuple[int, ...]) -> NDArray[np.uint8]:
    return segmentation.enlarged(segmentation.without_islands(labels), (size[0], size[1]))


def _with_places(features: Points) -> Points:
    """Features (C, h, w) of unit variance in all, and places, (h, w, C + 2)."""
    centred = features - features.mean((1, 2), keepdims=True)
    centred /= np.sqrt(centred.var((1, 2)).sum())
    places = np.indices(features.shape[1:]) / max(features.shape[1:]) - 0.5
    return np.concatenate([centred, places]).transpose(1, 2, 0)


def _k_means(points: Points, count: int) -> Labels:
    """Labels of points (..., D)."""
    flat = points.reshape(-1, points.shape[-1]).astype(np.float64)
    return segmentation.clusters(flat, count, 0).reshape(points.shape[:-1])


def _directions(features: Floats) -> Floats:
    found: Floats = features / np.maximum(np.linalg.norm(features, axis=0), 1e-6)
    return found


def cells_by_k_means(known: Seen) -> Labels:
    """Directions and places of cells, of 8 pixels at least: finer ones take minutes."""
    fold = max(1, known.features.shape[1] * 8 // known.look.shape[0])
    found = _directions(known.features)
    found = found.reshape(len(found), found.shape[1] // fold, fold, -1, fold).mean((2, 4))
    return _k_means(_with_places(found), known.count)


def cells_by_ward(known: Seen) -> Labels:
    """The same, agglomerated."""
    points = _with_places(_directions(known.features))
    tree = hierarchy.linkage(points.reshape(-1, points.shape[-1]), "ward")
    return hierarchy.fcluster(tree, known.count, "maxclust").reshape(points.shape[:2]).astype(np.int64) - 1


def cells_by_cuts(known: Seen, power: float = 1) -> Labels:
    """Normalized cuts of the graph of cells, as "Deep spectral methods" (Melas-Kyriazi et al., 2022) makes it."""
    flat = _directions(known.features).reshape(len(known.features), -1)
    alike = np.maximum(flat.T @ flat, 0).astype(np.float64) ** power + 1e-4
    points = segmentation.normalized_cuts(alike, np.ones(len(alike)), known.count)
    return _k_means(points, known.count).reshape(known.features.shape[1:])


def pieces_by_ward(known: Seen) -> Labels:
    """Superpixels by features, colour and place, agglomerated."""
    features = segmentation.pooled(known.features, known.pieces)
    colours = known.colours / segmentation.COLOUR / 2
    features = features / np.sqrt(features.var(0).sum())
    tree = hierarchy.linkage(np.concatenate([features, colours / np.sqrt(2)], 1), "ward")
    return (hierarchy.fcluster(tree, known.count, "maxclust") - 1)[known.pieces].astype(np.int64)


def pieces_by_cuts(known: Seen, *, features: bool = True, colour: bool = True, power: float = 5) -> Labels:
    """Superpixels by normalized cuts; with features and colour what the program does."""
    pooled = segmentation.pooled(known.features, known.pieces)
    if not features:
        pooled = np.ones_like(pooled)
    alike = segmentation.likeness(pooled, known.colours if colour else 0 * known.colours, sharpness=power)
    areas = np.bincount(known.pieces.ravel()).astype(np.float64)
    points = segmentation.normalized_cuts(alike, areas, known.count)
    return segmentation.clusters(points, known.count, 0)[known.pieces]


def as_they_are(labels: Labels, _: Floats) -> Labels:
    """No refinement."""
    return labels


def guided(labels: Labels, look: Floats) -> Labels:
    """The program's."""
    return segmentation.along_edges(labels, look, look)


def random_walk(labels: Labels, look: Floats) -> Labels:
    """Pixels within 8 of a border go where a random walk over the photo ends most often (Grady, 2006)."""
    edges = borders(labels)
    free = ndimage.distance_transform_edt(~edges) <= 8 if edges.any() else edges
    if not free.any():
        return labels
    numbers = np.arange(labels.size).reshape(labels.shape)
    pairs = [(numbers[:, :-1].ravel(), numbers[:, 1:].ravel()), (numbers[:-1].ravel(), numbers[1:].ravel())]
    first, second = (np.concatenate([pair[place] for pair in pairs]) for place in (0, 1))
    flat = look.reshape(-1, 3)
    weights = np.exp(-400 * np.square(flat[first] - flat[second]).sum(1)) + 1e-4
    graph = sparse.coo_array((weights, (first, second)), shape=(labels.size,) * 2).tocsr()
    graph = graph + graph.T
    inside, outside = np.flatnonzero(free), np.flatnonzero(~free)
    matrix = (sparse.diags_array(graph.sum(1)) - graph).tocsr()
    system, sides = matrix[inside][:, inside], -matrix[inside][:, outside]
    given = labels.ravel()[outside]
    values = [
        cg(system, sides @ (given == label) * 1.0, rtol=1e-3, maxiter=200)[0] for label in np.unique(labels)
    ]
    found = labels.copy()
    found.ravel()[inside] = np.unique(labels)[np.argmax(values, 0)]
    return found


WAYS: tuple[tuple[str, str, Callable[[Seen], Labels], Callable[[Labels, Floats], Labels]], ...] = (
    *(
        (f"{layer}: k-means of cells", layer, cells_by_k_means, as_they_are)
        for layer in ("relu3_1", "relu4_1", "relu5_1")
    ),
    ("relu5_1: cells agglomerated (Ward)", "relu5_1", cells_by_ward, as_they_are),
    ("relu5_1: normalized cuts of cells", "relu5_1", cells_by_cuts, as_they_are),
    ("relu5_1: the same, guided filter", "relu5_1", cells_by_cuts, guided),
    ("relu5_1: the same, random walker", "relu5_1", cells_by_cuts, random_walk),
    (
        "colour alone: normalized cuts of superpixels",
        "relu5_1",
        partial(pieces_by_cuts, features=False),
        as_they_are,
    ),
    (
        "relu5_1 alone: normalized cuts of superpixels",
        "relu5_1",
        partial(pieces_by_cuts, colour=False),
        as_they_are,
    ),
    ("relu5_1, colour: superpixels agglomerated (Ward)", "relu5_1", pieces_by_ward, as_they_are),
    ("relu3_1, colour: normalized cuts of superpixels", "relu3_1", pieces_by_cuts, as_they_are),
    ("relu4_1, colour: normalized cuts of superpixels", "relu4_1", pieces_by_cuts, as_they_are),
    ("relu5_1, colour: normalized cuts of superpixels", "relu5_1", pieces_by_cuts, as_they_are),
    ("the same, random walker", "relu5_1", pieces_by_cuts, random_walk),
    ("the same, guided filter (kept)", "relu5_1", pieces_by_cuts, guided),
)
