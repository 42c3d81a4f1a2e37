"""Train the bank that comes along: an experiment's styles jointly, then perhaps more with encoder and decoder frozen.

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
from dataclasses import asdict
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Annotated, NoReturn

import torch
import typer

from stylebank import config
from stylebank.bank import bundle, editing
from stylebank.bank.bundle import Bundle
from stylebank.config import Config, Style
from stylebank.errors import OutputError, StyleBankError
from stylebank.files import resources
from stylebank.machine.interrupts import StopRequest
from stylebank.persistence.outlet import check_places
from stylebank.persistence.session import Callbacks
from stylebank.supervision import styleset
from stylebank.terminal.console import Watch
from stylebank.training import added, joint

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
    added: Annotated[
        Path | None, typer.Option(help="Config whose styles are added to it. \\[default: none]")
    ] = None,
    run: Annotated[Path, typer.Option(help="Folder for all runs and unfinished banks.")] = Path(
        "runs/release"
    ),
    out: Annotated[Path, typer.Option(help="The bank, written when all is done.")] = Path("bank.safetensors"),
    minutes: Annotated[float | None, typer.Option(help="Leave after so many. \\[default: when done]")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Styles to add at once; they share the cores.")] = 1,
    steps: Annotated[
        int | None, typer.Option(min=1, help="For each added style. \\[default: until it gets no better]")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    vgg: Annotated[
        Path | None, typer.Option(help="A VGG file. \\[default: the one that comes along]")
    ] = None,
) -> None:
    """Train, add, collect."""
    check_places(run, content=content, out=out, resume=False, force=False)
    if out.resolve().is_relative_to(run.resolve()):
        raise OutputError(f"{out}: lies among the unfinished banks; choose a place outside of --run")
    ends = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
    experiment = config.read(joint, styles_folder=styles)
    more = config.read(added, styles_folder=styles).styles if added else ()
    release = Release(content, run, device, vgg or resources.vgg_weights(), steps)
    if not release.is_trained(experiment):
        with Watch(experiment.training.steps, what="training") as watch:
            release.train(experiment, watch, ends)
        if not release.is_trained(experiment):
            leave("the joint training is not done yet", watch.stop)
    if release.missing(more):
        with StopRequest() as stop:
            release.add(more, jobs, stop=lambda: stop() or time.monotonic() >= ends)
        if missing := release.missing(more):
            leave(f"{len(missing)} of {len(more)} styles are not added yet", stop)
    bank = release.collect(more)
    bundle.write(out, bank)
    typer.echo(f"{out}: {len(bank.entries)} styles")


def leave(why: str, stop: StopRequest) -> NoReturn:
    """End a slice: by the code of the signal that asked for it, or by that of time spent."""
    typer.echo(f"{why}; run again to continue", err=True)
    raise typer.Exit(stop.exit_code if stop.signal else NOT_DONE)


class Release:
    """The runs of a release below one folder, and what each lacks."""

    def __init__(self, content: Path, folder: Path, device: str, vgg: Path, steps: int | None) -> None:
        self.content, self.folder, self.device, self.vgg, self.steps = content, folder, device, vgg, steps
        self.joint = folder / "joint.safetensors"

    def grown(self, style: Style) -> Path:
        """The copy of the joint bank that gets a style."""
        return self.folder / "added" / f"{style.name}.safetensors"

    def is_trained(self, experiment: Config) -> bool:
        """Whether the joint bank is there and its training at its end.

        Raises:
            OutputError: it is of another experiment.
        """
        if not self.joint.exists():
            return False
        bank = bundle.read(self.joint)
        if bank.training["config"] != experiment.to_manifest():
            raise OutputError(f"{self.joint}: is of another experiment; choose another --run")
        return all(entry.card for entry in bank.entries)

    def train(self, experiment: Config, watch: Watch, ends: float) -> None:
        """Train jointly, until asked to stop or until `ends`, a time of the monotonic clock."""
        joint.train(
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

    def missing(self, styles: Sequence[Style]) -> list[Style]:
        """Which of the styles are not added to their copies yet.

        Raises:
            OutputError: one was added from other images, weights or steps.
        """
        return [style for style in styles if not self._is_added(style)]

    def _is_added(self, style: Style) -> bool:
        path = self.grown(style)
        if not path.exists():
            return False
        bank = bundle.read(path)
        if style.name not in bank.names:
            return False
        entry = bank.find(style.name)
        wanted = added.experiment_for(bank, style, steps=self.steps, seed=0)
        images = styleset.resolve(wanted.styles[0], wanted.loss.style_layers, wanted.loss.layer_weights)
        if (entry.style.to_manifest(), entry.recipe["training"]) != (
            images.to_manifest(),
            asdict(wanted.training),
        ):
            raise OutputError(
                f"{path}: '{style.name}' was added by another recipe; to add it anew, delete that file and the "
                f"folder {path.with_suffix('')}"
            )
        return True

    def add(self, styles: Sequence[Style], jobs: int, stop: Callable[[], bool]) -> None:
        """Add what is missing, each style in a process of its own, until all are or `stop` says so."""
        event = _PROCESSES.Event()
        with workers(jobs, event) as pool:
            waiting: set[Future[None]] = {pool.submit(self.add_one, style) for style in self.missing(styles)}
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
            bank.parent.mkdir(exist_ok=True)
            bundle.write(bank, without([style], bundle.read(self.joint)))

        def progress(step: int, losses: Mapping[str, float]) -> None:
            if step % _SPEAK_EVERY == 0:
                typer.echo(f"{style.name} {step}  held back {losses.get('held_back', 0):.3f}", err=True)

        added.add_style(
            style,
            bank=bank,
            content=self.content,
            run=bank.with_suffix(""),
            callbacks=Callbacks(lambda line: typer.echo(line, err=True), progress, stop),
            vgg_weights=self.vgg,
            steps=self.steps,
            device=self.device,
        )

    def collect(self, styles: Sequence[Style]) -> Bundle:
        """The joint bank with the added styles, in this order."""
        bank = without(styles, bundle.read(self.joint))
        for style in styles:
            path = self.grown(style)
            grown = bundle.read(path)
            entry = grown.find(style.name)
            bank = editing.adding(entry, coder_digest=grown.coder_digest(), source=str(path))(bank)
        return bank


def without(styles: Sequence[Style], bank: Bundle) -> Bundle:
    """A bank less its entries of the names of these styles."""
    names = [style.name for style in styles if style.name in bank.names]
    return editing.removing(names)(bank)


def workers(jobs: int, stop: Event) -> Executor:
    """Processes that add styles, sharing the cores, until `stop` is set."""
    threads = max(1, (os.cpu_count() or 1) // jobs)
    return ProcessPoolExecutor(jobs, _PROCESSES, initializer=_begin, initargs=(stop, threads))


def _begin(stop: Event, threads: int) -> None:
    """What each worker starts with: signals are for the parent, which asks all to save and leave."""
    _asked["to stop"] = stop
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(threads)


if __name__ == "__main__":
    try:
        typer.run(main)
    except StyleBankError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
