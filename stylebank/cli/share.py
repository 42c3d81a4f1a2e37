"""Commands that keep and share: list, verify, bake, remove, rename, export, import, merge."""

import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank.errors import ConfigError, several
from stylebank.terminal.options import (
    AsJson,
    Bank,
    Force,
    OwnBank,
    complete_share,
    complete_style,
    note,
    printable,
    say,
    say_weights,
)

if TYPE_CHECKING:
    from stylebank.bank.entries import Entry

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A style of the bank.", autocompletion=complete_style)
]


def list_styles(
    words: Annotated[
        str | None, typer.Argument(metavar="[WORDS]", help="Only styles with these in name, artist or title.")
    ] = None,
    bank: Bank = None,
    long: Annotated[
        bool, typer.Option("--long", help="Report cards, and the images by their digests.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List a bank's styles: name, artist and title where known, layered or a mixture."""
    from stylebank.bank import listing, personal
    from stylebank.files import resources

    path = resources.bank_named(bank)
    contents = personal.read(path)
    entries = listing.matching(contents.entries, words)
    if as_json:
        typer.echo(json.dumps([listing.to_json(entry) for entry in entries], indent=2))
        return
    if long:
        print_cards(entries)
        _print_images(entries)
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        typer.echo("\n".join(map(printable, listing.lines(entries, columns=columns))) or "no styles")
    if bank is None:
        for line in personal.notes(path, contents):
            note(line)


def _print_images(entries: Sequence["Entry"]) -> None:
    """The images that each style was made of."""
    for entry in entries:
        if not entry.style.layers:
            continue
        typer.echo(f"\n{entry.name}")
        for layers, first in entry.style.runs():
            left, top, width, height = first.crop
            rows, columns = first.size
            say(
                f"  {layers:18}  {first.source}  sha256 {first.sha256[:12] or '-'}  "
                f"crop {width}x{height}+{left}+{top}  resized {columns}x{rows}  weight {first.weight:g}"
            )


def verify(
    file: Annotated[Path, typer.Argument(help="A bank, style file, checkpoint or VGG file; or 'shipped'.")],
) -> None:
    """Check every byte of a file that StyleBank wrote."""
    from stylebank.bank import bundle, entries
    from stylebank.files import atomic, resources, tensorfile

    file = resources.bank_named(file)
    kind = tensorfile.kind_of(file)
    if kind == bundle.KIND:
        bundle.read(file)
    elif kind == entries.KIND:
        entries.read(file)
    elif kind == "checkpoint":
        from stylebank.persistence import checkpoint

        checkpoint.read(file)
    else:
        tensorfile.read(file, kind=kind or bundle.KIND)
    typer.echo(f"{file}: intact {kind}, sha256 {atomic.sha256_file(file)}")


def remove_style(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Styles of the bank.", autocompletion=complete_style),
    ],
    bank: OwnBank = None,
) -> None:
    """Take styles out of a bank."""
    from stylebank.bank import editing, personal

    target = personal.to_change(bank)
    left = editing.edit(target, editing.removing(names), note=note)
    typer.echo(f"{target}: {several(left.names)}")


def rename_style(
    old: Annotated[
        str, typer.Argument(metavar="OLD", help="A style of the bank.", autocompletion=complete_style)
    ],
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.")],
    bank: OwnBank = None,
) -> None:
    """Give a style of a bank another name."""
    from stylebank.bank import editing, personal

    target = personal.to_change(bank)
    found = editing.edit(target, editing.renaming(old, new), note=note)
    typer.echo(f"{target}: {several(found.names)}")


def bake(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the new style.")],
    mix: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=WEIGHT",
            help="A style of the mixture. May be repeated.",
            autocompletion=complete_share,
        ),
    ],
    bank: OwnBank = None,
) -> None:
    """Save a mixture of a bank's styles as a style of its own, with no training."""
    from stylebank.bank import editing, mixture, personal

    target = personal.to_change(bank)
    mixed = mixture.from_options(mix)
    editing.edit(target, editing.baking(name, mixed), note=note)
    say_weights(mixed)
    typer.echo(f"{target}: has '{name}' now, {mixed}")


def export_style(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The style file. \\[default: NAME.style.safetensors in this folder]",
        ),
    ] = None,
    bank: Bank = None,
    force: Force = False,
) -> None:
    """Write one style of a bank as a file of its own, to share."""
    from stylebank.bank import editing
    from stylebank.files import resources

    target = output or Path(f"{name}.style.safetensors")
    editing.export_style(name, bank=resources.bank_named(bank), out=target, force=force)
    typer.echo(f"{target}: {target.stat().st_size:,} bytes")


def import_style(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A style file.")],
    bank: OwnBank = None,
    name: Annotated[str | None, typer.Option(help="Its name in the bank. \\[default: its own]")] = None,
) -> None:
    """Append the style of a style file to a bank that it fits."""
    from stylebank.bank import editing, personal

    target = personal.to_change(bank)
    entry = editing.import_style(file, bank=target, name=name, note=note)
    typer.echo(f"{target}: has '{entry.name}' now")


def merge(
    banks: Annotated[
        list[Path], typer.Argument(metavar="BANK...", help="Banks grown from one; 'shipped' for StyleBank's.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="The bank to write; may be one of them.")
    ],
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="BANK:OLD=NEW", help="Take a style under another name. May be repeated."),
    ] = None,
    force: Force = False,
) -> None:
    """Merge banks that share encoder and decoder into one."""
    from stylebank.bank import editing
    from stylebank.files import resources

    renames = []
    for words in rename or []:
        path, colon, names = words.rpartition(":")
        old, equals, new = names.partition("=")
        if not (colon and equals):
            raise ConfigError(f"--rename {words}: has another form; write BANK:OLD=NEW")
        renames.append((resources.bank_named(path), old, new))
    paths = [resources.bank_named(bank) for bank in banks]
    found = editing.merge(paths, out=output, renames=renames, force=force)
    typer.echo(f"{output}: {several(found.names)}")


def print_cards(entries: Sequence["Entry"]) -> None:
    """A table of report cards."""
    if not entries:
        typer.echo("no styles")
        return
    layers = max((entry.style.layers for entry in entries), key=len)
    width = max(len("style ratio"), *(len(entry.name) for entry in entries))
    typer.echo(
        f"{'style ratio':{width}}  {'  '.join(image.layer for image in layers)}  content   ssim   gain  trained"
    )
    for entry in entries:
        if entry.mixture:
            parts = " + ".join(f"{weight:.3g} {name}" for name, weight in entry.mixture.items())
            typer.echo(f"{entry.name:{width}}  mixture of {parts}")
            continue
        if entry.card is None:
            typer.echo(f"{entry.name:{width}}  unfinished")
            continue
        card = entry.card
        ratios = "  ".join(f"{ratio:7.3f}" for ratio in card.style_ratio)
        seconds = f", {card.seconds:.0f} s" if card.seconds else ""
        typer.echo(
            f"{entry.name:{width}}  {ratios}  {card.content:7.3f}  {card.ssim:5.3f}  {entry.gain:5.3f}  "
            f"{card.origin}, {card.steps} steps{seconds}"
        )
