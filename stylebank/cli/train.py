"""Commands that learn: train a bank, add a style to one."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stylebank.errors import OutputError
from stylebank.terminal.options import Device, Force, OwnBank, StyleWords, VggSource, printable

if TYPE_CHECKING:
    from stylebank.bank.bundle import Bundle
    from stylebank.config import Config, Style
    from stylebank.supervision.metrics import BankFigures
    from stylebank.training.joint import Outcome


def _located(path: Path) -> Path:
    """An experiment by its path, or by the name of one that comes along."""
    from stylebank.files import experiments

    return experiments.located(path)


ConfigFile = Annotated[
    Path,
    typer.Argument(
        metavar="CONFIG",
        callback=_located,
        help="The experiment: a TOML file, or one that comes along; 'stylebank configs' lists these.",
    ),
]
Content = Annotated[Path, typer.Option(metavar="DIR", help="Folder of photos, nested, any sizes.")]
RunFolder = Annotated[
    Path, typer.Option(metavar="DIR", help="This run's folder: checkpoint, previews, curves.")
]
StylesFolder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Where style images lie. \\[default: beside the config]")
]
MoreStyles = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=STYLE",
        help="One more style: an image; five images in layer order, separated by commas, 'blank' for a white "
        "one; zoom:LARGE,SECOND or zoom:LARGE,SECOND@relu1_1; or SET.toml. May be repeated.",
    ),
]

NewName = Annotated[str, typer.Argument(metavar="NAME", help="The new style's name.")]
SomeContent = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Folder of photos to learn on; hundreds of your own kind are best. "
        "\\[default: the five that come with StyleBank]",
    ),
]
RunFolderOrNot = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="This run's folder: checkpoint, preview, curves. \\[default: runs/NAME]"
    ),
]
Steps = Annotated[
    int | None, typer.Option(min=1, max=10**6, help="How many. \\[default: until it gets no better]")
]
Size = Annotated[
    int | None,
    typer.Option(
        min=16,
        max=8192,
        help="Long side of the style images, in pixels; smaller, finer marks. "
        "\\[default: as the bank's others]",
    ),
]
Kernel = Annotated[
    int | None, typer.Option(min=1, max=7, help="Side of the filter, 1, 3, 5 or 7. \\[default: 3]")
]
TrainSteps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        max=10**8,
        help="How many; more continue a finished run. \\[default: as the config says]",
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of everything random.")]


def train(
    config: ConfigFile,
    content: Content,
    run: RunFolder,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The bank to write.")],
    styles: StylesFolder = None,
    style: MoreStyles = None,
    network: Annotated[
        str | None,
        typer.Option(help="stylebank, or johnson: a network for one style. \\[default: as the config says]"),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="A bank of the same network, or 'shipped', to go on from."
        ),
    ] = None,
    device: Device = "auto",
    vgg: VggSource = "bundled",
    steps: TrainSteps = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Insist on continuing. By default a run continues if it can.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write the losses for TensorBoard.")
    ] = False,
    force: Force = False,
) -> None:
    """Train a bank on a folder of photos. The same command again continues where it stopped."""
    from stylebank.files import resources
    from stylebank.machine import distributed
    from stylebank.terminal.console import Watch

    with distributed.joined() as group:
        experiment = _experiment(config, styles, style or [], network=network, steps=steps)
        first = _start(config, start, out)
        kept = _kept(run, out, "run")
        with Watch(experiment.training.steps, what="training", kept=kept, group=group) as watch:
            from stylebank.persistence.session import Callbacks
            from stylebank.training import joint as training

            outcome = training.train(
                experiment,
                content=content,
                run=run,
                out=out,
                callbacks=Callbacks(watch.note, watch.progress, watch.stop, watch.stage),
                device=device,
                vgg_weights=resources.vgg_source(vgg),
                resume=resume,
                tensorboard=tensorboard,
                force=force,
                start=first,
                group=group,
            )
    if group.is_main:
        _print_outcome(outcome, experiment, run=run)
    if outcome.figures is None and not outcome.before:
        raise typer.Exit(watch.stop.exit_code)


def add_style(
    name: NewName,
    style: StyleWords,
    bank: OwnBank = None,
    content: SomeContent = None,
    run: RunFolderOrNot = None,
    steps: Steps = None,
    size: Size = None,
    kernel: Kernel = None,
    seed: Seed = 0,
    device: Device = "auto",
    vgg: VggSource = "bundled",
) -> None:
    """Add a style to a bank, in minutes. Nothing else in the bank changes. The same command again continues."""
    from stylebank.bank import personal
    from stylebank.files import resources
    from stylebank.machine import distributed
    from stylebank.supervision import style_words
    from stylebank.terminal.console import Watch

    with distributed.joined() as group:
        group.refuse_several("add-style")
    target = personal.to_change(bank)
    folder = run or Path("runs") / name
    given = style_words.from_arguments(name, style, size=size, kernel=kernel)
    photos = content or resources.photos_folder()
    _check(given, target, photos)
    with Watch(None, what=name, at_most=steps is None, kept=_kept(folder, target, "add it")) as watch:
        watch.preparing()  # said before PyTorch is loaded
        from stylebank.persistence.session import Callbacks
        from stylebank.training import added as addition

        watch.expect(addition.FILTERS * (steps or addition.MOST_STEPS))
        outcome = addition.add_style(
            given,
            bank=target,
            content=photos,
            run=folder,
            callbacks=Callbacks(watch.note, watch.progress, watch.stop, watch.stage),
            vgg_weights=resources.vgg_source(vgg),
            steps=steps,
            seed=seed,
            device=device,
        )
    if outcome.entry is None:
        typer.echo(f"stopped at step {outcome.step}; {target} is as it was; run again to continue", err=True)
        raise typer.Exit(watch.stop.exit_code)
    from stylebank.cli.share import print_cards

    print_cards([outcome.entry])
    typer.echo(f"{target}: has '{name}' now, {outcome.step} steps, {outcome.seconds / 60:.1f} minutes")
    typer.echo(f"{folder}: preview.png, curves.png")
    _warn(target, outcome.warning)


def _check(style: "Style", bank: Path, photos: Path) -> None:
    """Refuse what can be refused before anything large is loaded."""
    from stylebank.bank import editing, personal
    from stylebank.pixels import folders, images
    from stylebank.supervision import styleset

    contents = personal.contents(bank)
    editing.check_free(contents, style.name)
    personal.check_open(bank)
    for file in styleset.files_of(style):
        images.read(file)
    folders.checked(photos)


def _kept(run: Path, bank: Path, what: str) -> str:
    """What is said of a job that is interrupted before its first step."""
    then = "continue" if (run / "checkpoint.safetensors").exists() else "start"
    return f"stopped before the first step; nothing is lost, {bank} and {run} are as they were; {what} again to {then}"


def _warn(bank: Path, warning: str) -> None:
    if warning:
        typer.echo(printable(f"warning: {bank}: {warning}"), err=True)


def _experiment(
    path: Path, folder: Path | None, words: list[str], *, network: str | None, steps: int | None
) -> "Config":
    """What a config and the options beside it ask for."""
    from stylebank import config
    from stylebank.supervision import style_words

    more = [style_words.from_words(style) for style in words]
    found = config.read(path, styles_folder=folder, more_styles=more, network=network)
    return replace(found, training=replace(found.training, steps=steps)) if steps else found


def _start(experiment: Path, path: Path | None, out: Path) -> "Bundle | None":
    """The bank to go on from, which stays as it is, as the experiment does."""
    from stylebank.bank import bundle
    from stylebank.files import atomic, resources

    there = atomic.identity(out)
    if there and there == atomic.identity(experiment):
        raise OutputError(f"{out}: is the experiment itself; choose another --out")
    if path is None:
        return None
    path = resources.bank_named(path)
    if there and there == atomic.identity(path):
        raise OutputError(f"{out}: is the bank to go on from; choose another --out")
    return bundle.read(path)


def _print_outcome(outcome: "Outcome", experiment: "Config", *, run: Path) -> None:
    """What a training came to: the bank's figures, where it stopped, or that there was nothing to do."""
    if outcome.before:
        typer.echo(outcome.before)
        return
    if outcome.figures is None:
        typer.echo(
            f"stopped at step {outcome.step}; {outcome.out} is the bank so far; run again to continue",
            err=True,
        )
        return
    names = [style.name for style in experiment.styles]
    _print_figures(outcome.figures, names, experiment.loss.style_layers)
    if experiment.network.is_bank:
        psnr, ssim = outcome.figures.psnr, outcome.figures.ssim
        typer.echo(f"auto-encoder: {psnr:.1f} dB PSNR, {ssim:.3f} SSIM, on photos held back")
    typer.echo(
        f"{outcome.out}: {len(names)} styles, {outcome.step} steps, {outcome.seconds / 60:.1f} minutes"
    )
    typer.echo(f"{run}: preview.png, curves.png")
    _warn(outcome.out, outcome.warning)


def _print_figures(figures: "BankFigures", names: list[str], layers: tuple[str, ...]) -> None:
    """One line per style: how far each layer's style loss fell, 0 perfect, 1 unstyled."""
    width = max(map(len, [*names, "median"]))
    typer.echo(f"{'style ratio':{width}}  {'  '.join(layers)}  content   ssim")
    for name, style in zip(names, figures.styles, strict=True):
        ratios = "  ".join(f"{ratio:7.3f}" for ratio in style.style_ratio)
        typer.echo(f"{name:{width}}  {ratios}  {style.content:7.3f}  {style.ssim:5.3f}")
    median = "  ".join(f"{ratio:7.3f}" for ratio in figures.median_style_ratio())
    typer.echo(f"{'median':{width}}  {median}")
