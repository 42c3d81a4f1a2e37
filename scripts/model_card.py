"""Write the tables of weights/README.md: report cards, the images of layered sets, artists and titles of paintings."""

import csv
from pathlib import Path
from statistics import median

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.files import resources
from stylebank.supervision.styleset import BLANK

BEGIN, END = "<!-- begin: scripts/model_card.py -->", "<!-- end -->"
"""What stands between these lines of the model card is this script's."""


def main() -> None:
    """Bring the model card up to date with the bank beside it."""
    card = resources.weights_folder() / "README.md"
    before, begin, rest = card.read_text("utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin, f"{card}: lacks the line {BEGIN}"
    assert end, f"{card}: lacks the line {END}"
    tables = section(bundle.read(resources.shipped_bank()), resources.weights_folder() / "paintings.csv")
    card.write_text(f"{before}{BEGIN}\n{tables}\n{END}{after}", "utf-8", newline="\n")


def section(bank: Bundle, paintings: Path) -> str:
    """The tables as Markdown.

    Args:
        bank: whose entries all have report cards.
        paintings: CSV with the columns file, artist, title.
    """
    layers = [image.layer for image in bank.entries[0].style.layers]
    lines = [
        f"| style | r {' | '.join(layers)} | content | SSIM | trained |",
        "|---|" + "---|" * (len(layers) + 3),
        *(_row(entry) for entry in bank.entries),
        _medians(bank),
        "",
        "| layered set | its five images |",
        "|---|---|",
        *(f"| {entry.name} | {_images(entry)} |" for entry in bank.entries if entry.style.is_layered),
        "",
        "| image | by | title |",
        "|---|---|---|",
        *_paintings(bank, paintings),
    ]
    return "\n".join(lines)


def _row(entry: Entry) -> str:
    card = entry.card
    assert card, f"{entry.name}: its training was stopped before its end"
    ratios = " | ".join(f"{ratio:.3f}" for ratio in card.style_ratio)
    how = card.origin if entry.is_joint else f"added, {card.steps} steps"
    if entry.is_joint and entry.recipe:
        how += f", then {entry.recipe['training']['steps']} steps a filter"
    weights = [f"{image.weight:g}" for image in entry.style.layers]
    if set(weights) != {"1"}:
        how += f", weights {' '.join(weights)}"
    return f"| {entry.name} | {ratios} | {card.content:.2f} | {card.ssim:.2f} | {how} |"


def _medians(bank: Bundle) -> str:
    cards = [entry.card for entry in bank.entries if entry.card]
    columns = zip(*(card.style_ratio for card in cards), strict=True)
    ratios = " | ".join(f"**{median(column):.3f}**" for column in columns)
    content, ssim = median(card.content for card in cards), median(card.ssim for card in cards)
    return f"| **median** | {ratios} | **{content:.2f}** | **{ssim:.2f}** | |"


def _images(entry: Entry) -> str:
    """Which image each layer of a set sees, equal neighbours together; a part of one by its size and corner."""
    parts = []
    for where, image in entry.style.runs():
        left, top, width, height = image.crop
        part = f", {width} x {height} px at ({left}, {top})" if left or top else ""
        parts.append(f"{where}: {Path(image.source).stem}{part}")
    return "; ".join(parts)


def _paintings(bank: Bundle, paintings: Path) -> list[str]:
    """A line for each painting that supervises a style, by name; the drawn sets are this project's own."""
    with paintings.open(newline="") as file:
        known = {row["file"]: row for row in csv.DictReader(file)}
    drawn = {path.name for path in resources.drawn_styles().rglob("*")} | {BLANK}
    used = {image.source for entry in bank.entries for image in entry.style.layers} - drawn
    return [
        f"| {Path(name).stem} | {known[name]['artist']} | {known[name]['title']} |" for name in sorted(used)
    ]


if __name__ == "__main__":
    main()
