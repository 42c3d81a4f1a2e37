"""Photos with things drawn by hand, and how near regions come to them.

Overlap: each thing's intersection over union with the region that is its own (Hungarian assignment). Rand: adjusted
Rand index of pairs of pixels. Covering: each thing's best intersection over union, by its area. Borders: F of borders
within 0.75 % of the diagonal.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from stylebank.errors import ConfigError
from stylebank.files import resources
from stylebank.pixels import images

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

THINGS = Path(__file__).with_name("things.json")
"""Photos by file and digest; of each the things' polygons in thousandths of its long side, later ones over earlier."""

UNSEEN = Path(__file__).with_name("things_unseen.json")
"""The same of photos that no constant was chosen on: drawn afterwards, of other kinds, and not to be chosen on."""

Labels = NDArray[np.int64]

TOLERANCE = 0.0075
"""Of borders, in units of the diagonal."""


class Photo(NamedTuple):
    """A photo and its things, (H, W) from 0."""

    name: str
    picture: "Picture"
    things: Labels

    @property
    def number(self) -> int:
        """How many things there are."""
        return int(self.things.max()) + 1


def read(content: Path, drawn: Path = THINGS) -> Iterator[Photo]:
    """The photos with their things.

    Raises:
        ConfigError: one is missing, or another file has its name.
    """
    for entry in json.loads(drawn.read_text("utf-8")):
        paths = [folder / entry["file"] for folder in (resources.photos_folder(), content)]
        path = next((path for path in paths if path.is_file()), None)
        if path is None or hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            raise ConfigError(f"{entry['file']}: is not the photo whose things were drawn; give its folder")
        picture = images.read(path)
        names = list(dict.fromkeys(thing["name"] for thing in entry["things"]))
        canvas, scale = Image.new("L", picture.size), max(picture.size) / 1000
        draw = ImageDraw.Draw(canvas)
        for thing in entry["things"]:
            corners = [(x * scale, y * scale) for x, y in thing["polygon"]]
            draw.polygon(corners, fill=names.index(thing["name"]))
        yield Photo(path.stem, picture, np.asarray(canvas, np.int64))


def scores(found: NDArray[Any], things: NDArray[Any]) -> tuple[float, float, float, float]:
    """Overlap, adjusted Rand index, covering and borders' F of regions (H, W) and things (H, W)."""
    first, second = (np.unique(labels, return_inverse=True)[1].ravel() for labels in (things, found))
    shape = (int(first.max()) + 1, int(second.max()) + 1)
    common = np.bincount(first * shape[1] + second, minlength=shape[0] * shape[1]).reshape(shape) * 1.0
    rows, columns = common.sum(1), common.sum(0)
    overlaps = common / (rows[:, None] + columns - common)
    overlap = overlaps[linear_sum_assignment(-overlaps)].sum() / len(rows)
    same, ours, theirs, every = (
        float((n * (n - 1) / 2).sum()) for n in (common, rows, columns, common.sum()[None])
    )
    expected, most = ours * theirs / every, (ours + theirs) / 2
    rand = (same - expected) / (most - expected) if most > expected else 1.0
    covering = float((overlaps.max(1) * rows).sum() / rows.sum())
    reach = TOLERANCE * float(np.hypot(*things.shape))
    one, other = borders(found), borders(things)
    precision, recall = _near(one, other, reach), _near(other, one, reach)
    return float(overlap), rand, covering, 2 * precision * recall / max(precision + recall, 1e-9)


def borders(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the next pixel below or to the right has another label."""
    found = np.zeros(labels.shape, bool)
    found[:-1] |= labels[:-1] != labels[1:]
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return found


def _near(ours: NDArray[np.bool_], theirs: NDArray[np.bool_], reach: float) -> float:
    if not (ours.any() and theirs.any()):
        return 0.0
    return float((ndimage.distance_transform_edt(~theirs)[ours] <= reach).mean())
