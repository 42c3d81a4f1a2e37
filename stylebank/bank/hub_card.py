"""What a bank's page on the Hugging Face Hub says: its metadata, how to use it, and its styles with their sources."""

import html
import re
from statistics import median

from stylebank.bank import listing
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry

TAGS = ("stylebank", "style-transfer", "neural-style-transfer", "art")

_LEGEND = (
    "Style ratio: Gram distance of the pictures over that of the unstyled photos, median of the five layers; 0 is "
    "perfect, 1 unstyled. SSIM is to the photo. What a style was made of is known by the names of its image files and "
    "their SHA-256; `stylebank list --long` prints these."
)


def text(contents: Bundle, name: str, *, license: str) -> str:  # noqa: A002  # as the Hub calls it
    """The card as Markdown under YAML: a repository's README.md.

    Args:
        contents: the bank; nothing is said that it does not hold.
        name: of the repository, "owner/bank".
        license: as the Hub abbreviates it.
    """
    entries = contents.entries
    first = entries[0].name if entries else "STYLE"
    front = ["library_name: stylebank", "pipeline_tag: image-to-image", f"license: {license}", "tags:"]
    layered = sum(entry.style.is_layered for entry in entries)
    return "\n".join(
        [
            "---",
            *front,
            *(f"- {tag}" for tag in TAGS),
            "---",
            "",
            f"# {name.rpartition('/')[2]}",
            "",
            _about(contents, layered),
            "",
            "```",
            "pip install 'stylebank[hub]'",
            f"stylebank stylize photo.jpg --bank hf:{name} --style {first} -o painted.png",
            "```",
            "",
            "```python",
            "from stylebank import StyleBank",
            "",
            f'bank = StyleBank.from_pretrained("{name}")',
            f'picture = bank.stylize(photo, "{first}")  # PIL image in, PIL image out; or float tensors',
            "```",
            "",
            "## Styles",
            "",
            *_table(entries),
            "",
            _LEGEND,
            "",
            f"The file checks itself; digest of all that pictures depend on: `{contents.digest()}`.",
            "",
        ]
    )


def _about(contents: Bundle, layered: int) -> str:
    weights = sum(tensor.size for tensor in contents.coder.values()) / 1e6
    return (
        f"A bank of {len(contents.entries)} painting styles for StyleBank, {layered} of them layered: one small "
        f"encoder and decoder ({weights:.1f} million weights), and a filter for each style. Pictures of any size, on "
        "a CPU or a GPU."
    )


def _table(entries: tuple[Entry, ...]) -> list[str]:
    lines = ["| style | made of | kind | style ratio | SSIM |", "|---|---|---|---|---|"]
    for entry in entries:
        kind = "mixture" if entry.mixture else "layered" if entry.style.is_layered else "one image"
        card = entry.card
        measured = f"{median(card.style_ratio):.3f} | {card.ssim:.2f}" if card else "- | -"
        cells = (_name(entry.name), _cell(listing.described(entry)), kind)
        lines.append(f"| {' | '.join(cells)} | {measured} |")
    return lines


def _name(style: str) -> str:
    return f"`{style}`" if re.fullmatch(r"[\w.-]+", style) else _cell(style)


def _cell(words: str) -> str:
    """Words of a file as plain text of a table's cell: they are not to be markup."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in words).split())
    return re.sub(r"([\\`*_\[\]|~#!$])", r"\\\1", html.escape(plain, quote=False))
