"""The commands; parses, calls one function, prints.

PyTorch is imported inside the commands, so that `stylebank --help` answers at once. Whatever a user can correct ends
as one line on standard error and exit code 2; 130 and 143 answer SIGINT and SIGTERM; 1 is a bug.
"""

import itertools
import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stylebank.errors import StyleBankError

if TYPE_CHECKING:
    from stylebank.metrics import BankFigures

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Fast style transfer: one small network, a bank of styles.",
)

Bank = Annotated[Path | None, typer.Option(help="Bank file. \\[default: the one that comes with StyleBank]")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output file even if it is of another kind.")]
ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The experiment; see configs/.")]
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
VggSource = Annotated[
    str, typer.Option(metavar="SOURCE", help="bundled, torchvision (downloads it), or a VGG file.")
]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command and leave with its exit code."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # what it warns of, images.py answers
    try:
        code = typer.main.get_command(app).main(arguments, "stylebank", standalone_mode=False)
    except StyleBankError as error:
        code = _complain(str(error))
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        # Usage errors are typer's own; printed here as one line instead of a box of five.
        if not hasattr(error, "format_message"):
            raise
        code = _complain(error.format_message())
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str) -> int:
    typer.echo(f"stylebank: error: {_printable(' '.join(message.split()))}", err=True)
    return 2


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        from stylebank import __version__

        typer.echo(f"stylebank {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def train(
    config: ConfigFile,
    content: Content,
    run: RunFolder,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The bank to write.")],
    styles: StylesFolder = None,
    style: MoreStyles = None,
    device: Device = "auto",
    vgg: VggSource = "bundled",
    resume: Annotated[
        bool, typer.Option("--resume", help="Insist on continuing. By default a run continues if it can.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also write the losses for TensorBoard.")
    ] = False,
    force: Force = False,
) -> None:
    """Train a bank on a folder of photos. The same command again continues where it stopped."""
    from stylebank import config as configs
    from stylebank import resources, styleset
    from stylebank import train as training
    from stylebank.console import Watch

    more = [styleset.from_words(words) for words in style or []]
    experiment = configs.read(config, styles_folder=styles, more_styles=more)
    with Watch(experiment.training.steps, what="training") as watch:
        outcome = training.train(
            experiment,
            content=content,
            run=run,
            out=out,
            callbacks=training.Callbacks(note=watch.note, progress=watch.progress, stop=watch.stop),
            device=device,
            vgg_weights=resources.vgg_weights() if vgg == "bundled" else vgg,
            resume=resume,
            tensorboard=tensorboard,
            force=force,
        )
    if outcome.figures is None:
        typer.echo(
            f"stopped at step {outcome.step}; {out} is the bank so far; run again to continue", err=True
        )
        raise typer.Exit(watch.stop.exit_code)
    names = [style.name for style in experiment.styles]
    _print_figures(outcome.figures, names, experiment.loss.style_layers)
    typer.echo(f"{out}: {len(names)} styles, {outcome.step} steps, {outcome.seconds / 60:.1f} minutes")
    typer.echo(f"{run}: preview.png, curves.png")


@app.command()
def stylize(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos, or folders of them.")],
    style: Annotated[str, typer.Option(help="Name of a style; see 'stylebank list'.")],
    bank: Bank = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE or DIR",
            help="A picture for one photo, else a folder. \\[default: PHOTO-STYLE.png in this folder]",
        ),
    ] = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Paint photos in one style, at their own size."""
    from stylebank import batch
    from stylebank.bank import StyleBank

    loaded = StyleBank.load(bank, device=device)
    loaded.index(style)  # before the style's name becomes part of a file's
    jobs = batch.plan(photos, output, style=style, force=force)
    skipped = batch.run(jobs, lambda image: loaded.stylize(image, style), say=_say)
    if skipped:
        raise StyleBankError(f"{skipped} of {len(jobs)} photos: were skipped, see above; check those files")


@app.command(name="list")
def list_styles(
    bank: Bank = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything the bank knows of its styles.")] = False,
) -> None:
    """List a bank's styles and the images that each was made of."""
    from stylebank import bundle, resources

    contents = bundle.read(bank or resources.default_bank())
    if as_json:
        typer.echo(json.dumps([style.to_manifest() for style in contents.styles], indent=2))
        return
    for style in contents.styles:
        typer.echo(style.name)
        for _, group in itertools.groupby(style.layers, lambda image: (image.same_image(), image.weight)):
            first, *others = group
            layers = f"{first.layer} to {others[-1].layer}" if others else first.layer
            left, top, width, height = first.crop
            rows, columns = first.size
            _say(
                f"  {layers:18}  {first.source}  sha256 {first.sha256[:12] or '-'}  "
                f"crop {width}x{height}+{left}+{top}  resized {columns}x{rows}  weight {first.weight:g}"
            )


@app.command()
def verify(file: Annotated[Path, typer.Argument(help="A bank, checkpoint or VGG file.")]) -> None:
    """Check every byte of a file that StyleBank wrote."""
    from stylebank import bundle, checkpoint, files, tensorfile

    kind = tensorfile.kind_of(file)
    if kind == bundle.KIND:
        bundle.read(file)
    elif kind == checkpoint.KIND:
        checkpoint.read(file)
    else:
        tensorfile.read(file, kind=kind or bundle.KIND)
    typer.echo(f"{file}: intact {kind}, sha256 {files.sha256_file(file)}")


@app.command()
def sheet(
    photo: Annotated[Path, typer.Argument(metavar="PHOTO")],
    bank: Bank = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="\\[default: PHOTO-sheet.png in this folder]"),
    ] = None,
    size: Annotated[int, typer.Option(min=64, max=2048, help="Long side of each picture, in pixels.")] = 384,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Show one photo in every style of a bank, as one picture."""
    from stylebank import batch, images, pictures
    from stylebank.bank import StyleBank

    target = output or Path(f"{photo.stem}-sheet.png")
    batch.check_outputs([target], [photo], force=force)
    loaded = StyleBank.load(bank, device=device)
    small = images.fitted(images.read(photo), long_side=size)
    cells = [("photo", small), *((name, loaded.stylize(small, name)) for name in loaded.styles)]
    images.save(target, pictures.single_sheet(cells, cell=size))
    typer.echo(target)


def _say(line: str) -> None:
    typer.echo(_printable(line), err=line.endswith("skipped"))


def _printable(text: str) -> str:
    """The text with control characters and broken encodings escaped: file names may hold anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _print_figures(figures: "BankFigures", names: list[str], layers: tuple[str, ...]) -> None:
    """One line per style: how far each layer's style loss fell, 0 perfect, 1 unstyled."""
    width = max(map(len, [*names, "median"]))
    typer.echo(f"{'style ratio':{width}}  {'  '.join(layers)}  content   ssim")
    for name, style in zip(names, figures.styles, strict=True):
        ratios = "  ".join(f"{ratio:7.3f}" for ratio in style.style_ratio)
        typer.echo(f"{name:{width}}  {ratios}  {style.content:7.3f}  {style.ssim:5.3f}")
    median = "  ".join(f"{ratio:7.3f}" for ratio in figures.median_style_ratio())
    typer.echo(f"{'median':{width}}  {median}")
    typer.echo(f"auto-encoder: {figures.psnr:.1f} dB PSNR, {figures.ssim:.3f} SSIM, on photos held back")
