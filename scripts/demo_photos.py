"""Copy the public-domain photos that come with scikit-image into a folder."""

import sys
from pathlib import Path

import skimage
from PIL import Image

# Photographs that lie inside the scikit-image package: nothing is downloaded.
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg")


def write_photos(folder: Path) -> None:
    """Write those of the photos that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PHOTOS:
        target = folder / Path(name).with_suffix(".png")
        if not target.exists():
            Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB").save(target)


if __name__ == "__main__":
    write_photos(Path(sys.argv[1]))
