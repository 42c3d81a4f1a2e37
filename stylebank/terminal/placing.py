"""Options that say where in a photo or a clip which style goes, and the rule that there is one way to say it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank.bank.mixture import PHOTO
from stylebank.errors import ConfigError
from stylebank.terminal.options import complete_share

if TYPE_CHECKING:
    from PIL.Image import Image

    from stylebank.bank.mixture import Mix
    from stylebank.painting.painter import StyleBank
    from stylebank.painting.regions import Regions

Mixes = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=WEIGHT",
        help="A style of a mixture for all of it. May be repeated.",
        autocompletion=complete_share,
    ),
]
MaskedRegions = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MASK=STYLE",
        help="An image (of a clip: or a clip), white where the style goes and black or transparent elsewhere, and a "
        "style or a mixture, as in wave, wave:0.5+scream:0.5, wave@0.7 (strength), wave@x2 (stroke) or wave@0.7x2; "
        "photo leaves the photo there. May be repeated: later ones are painted over earlier ones.",
    ),
]
LabelFile = Annotated[
    Path | None,
    typer.Option(
        metavar="LABELS", help="One image of many regions: palette entries, greys, numbers or colours."
    ),
]
AutoRegions = Annotated[
    int | None,
    typer.Option(
        metavar="K", help="Find K regions, as 'stylebank segment' does; of a clip, in its first frame."
    ),
]
Assigned = Annotated[
    list[str] | None,
    typer.Option(
        metavar="LABEL=STYLE",
        help="What a label gets, as in 1=wave or '#ff0000=wave'; auto: each other label a style of its own. "
        "May be repeated.",
    ),
]
Overlapping = Annotated[
    str,
    typer.Option(
        metavar="over|share",
        help="over: later regions over earlier ones; share: they divide what both cover.",
    ),
]
Feather = Annotated[float, typer.Option(metavar="PX", help="Width of soft seams, in pixels.")]
Fit = Annotated[bool, typer.Option("--fit", help="Stretch masks and labels of another shape.")]
Rest = Annotated[
    str, typer.Option(metavar="STYLE", help="What uncovered pixels get: photo, a style or a mixture.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of the clustering.")]


@dataclass(frozen=True)
class Places:
    """Regions and their styles as a command line names them, in one of three ways.

    Attributes:
        masks: words MASK=STYLE.
        labels: a label image.
        count: how many regions are to be found.
        assigned: words LABEL=STYLE, of `labels` and of those that are found.
        strength: of regions that say none of their own.
        seed: of the clustering.
        fit: whether masks of another shape are stretched.
    """

    masks: tuple[str, ...] = ()
    labels: Path | None = None
    count: int | None = None
    assigned: tuple[str, ...] = ()
    strength: float = 1.0
    seed: int = 0
    fit: bool = False

    @property
    def files(self) -> list[Path]:
        """The masks and label images."""
        masks = (Path(words.rpartition("=")[0]) for words in self.masks)
        return [*masks, *([self.labels] if self.labels else [])]

    @property
    def chooses(self) -> bool:
        """Whether regions get styles that are not named."""
        return "auto" in self.assigned

    def named(self) -> "list[tuple[str, Mix]]":
        """Masks or labels, and what each is to get.

        Raises:
            ConfigError: the words have another form.
        """
        from stylebank.painting import regions

        pairs = [regions.mask_and_style(words) for words in self.masks]
        where, pairs = (
            ("--region", pairs) if pairs else ("--assign", regions.labels_and_styles(self.assigned))
        )
        return [
            (key, regions.meant(mix, strength=self.strength, where=f"{where} {key}={mix}"))
            for key, mix in pairs
        ]

    def found(self, bank: "StyleBank", photo: "Image") -> "tuple[Regions, list[str]]":
        """The regions of a photo, and what is to be noted if all goes well: an error stands alone.

        Raises:
            ConfigError, ImageError: see `regions.from_masks` and `regions.from_labels`.
        """
        from stylebank.painting import regions
        from stylebank.pixels import masks

        notes: list[str] = []
        if self.masks:
            size = (photo.height, photo.width)
            given = regions.from_masks(
                self.masks, size=size, strength=self.strength, note=notes.append, fit=self.fit
            )
            return given, notes
        if self.labels:
            labels = masks.read_labels(self.labels)
        else:
            assert self.count is not None
            clusters = regions.clustered(bank, photo, self.count, seed=self.seed)
            labels = masks.Labels(f"--auto-regions {self.count}", clusters.astype("int64"), are_colours=False)
        given = regions.from_labels(
            labels,
            self.assigned,
            bank=bank,
            photo=photo,
            strength=self.strength,
            note=notes.append,
            fit=self.fit,
        )
        return given, notes


def places(
    command: str,
    whole: Mapping[str, object],
    regions: tuple[list[str] | None, Path | None, int | None],
    assigned: list[str] | None,
    *,
    only: Mapping[str, bool],
    strength: float,
    fit: bool,
    seed: int = 0,
) -> Places:
    """What a command line says of regions, after seeing that it says what is painted in exactly one way.

    Args:
        command: whose options they are.
        whole: the other ways, options of styles for all of it, and their values.
        regions: values of `--region`, `--regions` and `--auto-regions`.
        assigned: of `--assign`.
        only: see `regional`; `fit` is one of them.
        strength: see `Places`.
        fit: likewise.
        seed: likewise.

    Raises:
        ConfigError: there is no way, or more than one; labels lack what they get; or an option goes with another way.
    """
    ways = {**whole, **dict(zip(("--region", "--regions", "--auto-regions"), regions, strict=True))}
    given = [option for option, value in ways.items() if value not in (None, "", [])]
    if len(given) != 1:
        raise ConfigError(
            f"{command}: has {' and '.join(given) or 'no styles'}; give one of {', '.join(ways)}"
        )
    (way,) = given
    if bool(assigned) != (way in ("--regions", "--auto-regions")):
        raise ConfigError(
            "--assign: goes with --regions and --auto-regions, and they with it; give both or neither"
        )
    idle = [option for option, is_given in {**only, "--fit": fit}.items() if is_given]
    if idle and way in whole:
        goes, left = ("goes", "it") if len(idle) == 1 else ("go", "them")
        raise ConfigError(f"{', '.join(idle)}: {goes} with regions, not with {way}; leave {left} out")
    masks, labels, count = regions
    return Places(tuple(masks or ()), labels, count, tuple(assigned or ()), strength, seed, fit)


def regional(rest: str, feather: float, overlap: str) -> dict[str, bool]:
    """Options that only regions have, and whether each says something else than when it is left out."""
    return {"--rest": rest != PHOTO, "--feather": feather != 0, "--overlap": overlap != "over"}
