"""Draw the pictures of weights/README.md with the bank that ships."""

import torch

from stylebank import StyleBank, data, images, pictures, resources

SIDE = 384  # pixels
FOR_ONE = "chelsea.jpg"
FOR_SHEET = ("astronaut.jpg", "coffee.jpg", "rocket.jpg")


def main() -> None:
    """Write sheet.jpg, one photo in every style, and photos.jpg, several, with their reconstructions."""
    weights, folder = resources.weights_folder(), resources.photos_folder()
    bank = StyleBank.load(device="cpu")
    photo = images.fitted(images.read(folder / FOR_ONE), long_side=SIDE)
    cells = [("photo", photo), *((name, bank.stylize(photo, name)) for name in bank.styles)]
    images.save(weights / "sheet.jpg", pictures.single_sheet(cells, cell=SIDE))

    network = bank.contents.build()
    rows = []
    for square in data.read_squares([folder / name for name in FOR_SHEET], SIDE, print).split(1):
        with torch.no_grad():
            again = network.reconstruct(square)
        rows.append([square, again, *(bank.stylize(square, style) for style in bank.styles)])
    labels = ["photo", "auto-encoder", *bank.styles]
    images.save(weights / "photos.jpg", pictures.contact_sheet(rows, column_labels=labels, cell=240))


if __name__ == "__main__":
    main()
