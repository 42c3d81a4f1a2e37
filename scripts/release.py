"""Train the bank that comes along: an experiment's styles jointly, then more with encoder and decoder frozen.

The same command again continues; with --minutes it leaves by itself after each slice, for machines that are lent for
a short while or wanted back. Styles are added to copies of the joint bank, several at once, and collected in the order
of their list, so that the bank does not depend on which was ready first. An added style takes the place of a joint one
of its name: so a recipe is mended without training everything again.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Annotated

import torch
import typer

from stylebank import add_style, bundle, config, editing, resources, train
from stylebank.bundle import Bundle
from stylebank.config import Config, Style
from stylebank.console import Watch
from stylebank.errors import StyleBankError
from stylebank.interrupts import StopRequest
from stylebank.session import Callbacks, check_places

CONFIGS = Path(__file__).resolve().parents[1] / "configs"
NOT_DONE = 75
"""Exit code of a slice that ended before the work: EX_TEMPFAIL of sysexits.h, "try again"."""

_SPEAK_EVERY = 50  # steps

_PROCESSES = multiprocessing.get_context("spawn")  # CUDA does not survive a fork

_asked: dict[str, Event] = {}  # of a worker: whether to stop


def main(
    styles: Annotated[Path, typer.Option(help="Folder that holds the paintings which the configs name.")],
    content: Annotated[Path, typer.Option(help="Folder of photos.")],
    joint: Annotated[Path, typer.Option(help="The experiment.")] = CONFIGS / "release.toml",
    added: Annotated[Path, typer.Option(help="Config whose styles are added to it.")] = CONFIGS
    / "release_added.toml",
    run: Annotated[Path, typer.Option(help="Folder for all runs and unfinished banks.")] = Path(
        "runs/release"
    ),
    out: Annotated[Path, typer.Option(help="The bank.")] = Path("bank.safetensors"),
    minutes: Annotated[float | None, typer.Option(help="Leave after so many. [default: when done]")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Styles to add at once; they share the cores.")] = 1,
    steps: Annotated[
        int | None, typer.Option(min=1, help="For each added style. [default: until it gets no better]")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    vgg: Annotated[Path | None, typer.Option(help="A VGG file. [default: the one that comes along]")] = None,
) -> None:
    """Train, add, collect."""
    check_places(run, content=content, out=out, resume=False, force=False)
    ends = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    experiment = config.read(joint, styles_folder=styles)
    more = config.read(added, styles_folder=styles).styles
    release = Release(content, run, device, vgg or resources.vgg_weights(), steps)
    if not release.train(experiment, ends):
        typer.echo("the joint training is not done yet; run again to continue", err=True)
        raise typer.Exit(NOT_DONE)
    with StopRequest() as stop:
        release.add(more, jobs, stop=lambda: stop() or time.monotonic() >= ends)
    ready = [style for style in more if release.is_ready(style)]
    bank = release.collect(ready)
    bundle.write(out, bank)
    typer.echo(f"{out}: {len(bank.entries)} styles")
    if len(ready) < len(more):
        typer.echo(f"{len(more) - len(ready)} styles are not done yet; run again to continue", err=True)
        raise typer.Exit(NOT_DONE)


class Release:
    """The runs of a release below one folder, and what each lacks."""

    def __init__(self, content: Path, folder: Path, device: str, vgg: Path, steps: int | None) -> None:
        self.content, self.folder, self.device, self.vgg, self.steps = content, folder, device, vgg, steps
        self.joint = folder / "joint.safetensors"

    def grown(self, style: Style) -> Path:
        """The copy of the joint bank that gets a style."""
        return self.folder / f"{style.name}.safetensors"

    def is_ready(self, style: Style) -> bool:
        """Whether a style has been added to its copy."""
        return self.grown(style).exists() and style.name in bundle.read(self.grown(style)).names

    def train(self, experiment: Config, ends: float) -> bool:
        """Train jointly until `ends`, a time of the monotonic clock; whether it is done."""
        if self.joint.exists() and all(entry.card for entry in bundle.read(self.joint).entries):
            return True
        with Watch(experiment.training.steps, what="training") as watch:
            outcome = train.train(
                experiment,
                content=self.content,
                run=self.folder / "joint",
                out=self.joint,
                callbacks=Callbacks(
                    watch.note, watch.progress, stop=lambda: watch.stop() or time.monotonic() >= ends
                ),
                device=self.device,
                vgg_weights=self.vgg,
            )
        return outcome.figures is not None

    def add(self, styles: tuple[Style, ...], jobs: int, stop: Callable[[], bool]) -> None:
        """Add what is missing, each style in a process of its own, until all are or `stop` says so."""
        missing = [style for style in styles if not self.is_ready(style)]
        event = _PROCESSES.Event()
        with workers(jobs, event) as pool:
            waiting: set[Future[None]] = {pool.submit(self.add_one, style) for style in missing}
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=0.5)
                    if stop():
                        event.set()
                    for future in done:
                        future.result()
            finally:
                event.set()  # an error of one ends all

    def add_one(self, style: Style) -> None:
        """Add one style to its copy of the joint bank; runs in a worker."""
        stop = _asked["to stop"].is_set
        if stop():
            return
        bank = self.grown(style)
        if not bank.exists():
            bundle.write(bank, without([style], bundle.read(self.joint)))

        def progress(step: int, losses: Mapping[str, float]) -> None:
            if step % _SPEAK_EVERY == 0:
                typer.echo(f"{style.name} {step}  held back {losses.get('held_back', 0):.3f}", err=True)

        add_style.add_style(
            style,
            bank=bank,
            content=self.content,
            run=self.folder / style.name,
            callbacks=Callbacks(lambda line: typer.echo(line, err=True), progress, stop),
            vgg_weights=self.vgg,
            steps=self.steps,
            device=self.device,
        )

    def collect(self, styles: Sequence[Style]) -> Bundle:
        """The joint bank with styles that are ready, in this order."""
        bank = without(styles, bundle.read(self.joint))
        for style in styles:
            grown = bundle.read(self.grown(style))
            change = editing.adding(
                grown.find(style.name), coder_digest=grown.coder_digest(), source=str(self.grown(style))
            )
            bank = change(bank)
        return bank


def without(styles: Sequence[Style], bank: Bundle) -> Bundle:
    """A bank less its entries of the names of these styles."""
    names = {style.name for style in styles} & set(bank.names)
    return editing.removing(tuple(names))(bank)


def workers(jobs: int, stop: Event) -> Executor:
    """Processes that add styles, sharing the cores, until `stop` is set."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return ProcessPoolExecutor(jobs, _PROCESSES, initializer=_begin, initargs=(stop, threads))


def _begin(stop: Event, threads: int) -> None:
    """What each worker starts with: Ctrl-C is for the parent, which asks all to save and leave."""
    _asked["to stop"] = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)


if __name__ == "__main__":
    try:
        typer.run(main)
    except StyleBankError as error:
        sys.exit(f"error: {error}")
