"""Draw the pictures of weights/README.md with the bank that ships."""

from pathlib import Path

import torch
from demo_photos import write_photos

from stylebank import StyleBank, images, pictures, resources
from stylebank.model import pad_to_stride

SIDE = 384  # long side of each picture, in pixels
FOR_ONE = "chelsea.png"
FOR_SHEET = ("astronaut.png", "coffee.png", "rocket.png")


def main() -> None:
    """Write sheet.png, one photo in every style, and photos.png, several, with their reconstructions."""
    weights = resources.weights_folder()
    folder = Path("demo/photos")
    write_photos(folder)
    bank = StyleBank.load(device="cpu")
    photos = {path.name: images.fitted(images.read(path), long_side=SIDE) for path in folder.iterdir()}
    cells = [("photo", photos[FOR_ONE])]
    cells += [(name, bank.stylize(photos[FOR_ONE], name)) for name in bank.styles]
    images.save(weights / "sheet.png", pictures.single_sheet(cells, cell=SIDE))

    network = bank.contents.build()
    rows = []
    for name in FOR_SHEET:
        photo = images.to_tensor(photos[name])
        with torch.no_grad():
            again = network.reconstruct(pad_to_stride(photo))[..., : photo.shape[2], : photo.shape[3]]
        rows.append([photo, again, *(bank.stylize(photo, style) for style in bank.styles)])
    labels = ["photo", "auto-encoder", *bank.styles]
    images.save(weights / "photos.png", pictures.contact_sheet(rows, column_labels=labels, cell=240))


if __name__ == "__main__":
    main()
