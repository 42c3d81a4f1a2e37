"""How a clip, or a folder of them, is painted for a person at a terminal: with a bar, notes, and an end to be told."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stylebank import __version__
from stylebank.bank.mixture import Mixture
from stylebank.errors import ConfigError, ImageError, OutputError, SkippedError, StyleBankError
from stylebank.files import atomic
from stylebank.terminal.options import note, say, say_weights
from stylebank.terminal.placing import Places

if TYPE_CHECKING:
    from stylebank.bank.mixture import Mix
    from stylebank.footage.clips import Clip
    from stylebank.machine.interrupts import StopRequest
    from stylebank.painting.painter import StyleBank
    from stylebank.video.pipeline import Order, Painter
    from stylebank.video.timeline import Looks, MaskTrack
    from stylebank.video.work import Outcome


@dataclass(frozen=True)
class Settings:
    """What the options come to, for each clip the same."""

    looks: "Looks"
    places: Places
    feather: float
    codec: str | None
    quality: int | None
    longest: int | None
    fps: Fraction | None
    start: Fraction
    length: Fraction | None
    steady: float | None
    force: bool
    digest: str = ""


def paint(source: Path, target: Path, settings: Settings, bank: "StyleBank") -> None:
    """Paint a clip, or those of a folder; names of styles are checked before anything else.

    Raises:
        SystemExit: somebody asked to stop.
        StyleBankError: see `one` and `folder`.
    """
    from stylebank.machine.interrupts import StopRequest

    for mixed in _named(settings):
        bank.contents.filter_of(mixed)
        say_weights(mixed)
    settings, painter = replace(settings, digest=bank.contents.digest()), painter_of(bank, settings.steady)
    with StopRequest() as stop:
        if source.is_dir():
            folder(source, target, settings, bank, painter, stop)
        else:
            one(source, target, settings, bank, painter, stop)
        if stop.signal is not None:
            raise SystemExit(stop.exit_code)


def _named(settings: Settings) -> list[Mixture]:
    """All mixtures that the options name.

    Raises:
        ConfigError: there is none.
    """
    looks, places = settings.looks, settings.places
    found = [*(looks.timeline.mixtures if looks.timeline else ()), *(mix for _, mix in places.named())]
    mixtures = [mix for mix in (*found, looks.rest) if isinstance(mix, Mixture)]
    if not mixtures and not places.chooses:
        raise ConfigError("regions: all keep the photo, and so does the rest; give one of them a style")
    return mixtures


def painter_of(bank: "StyleBank", steady: float | None) -> "Painter":
    """What paints frames: so that they hold still, unless each is to be by itself."""
    from stylebank.video.work import Plain

    if steady == 0:
        return Plain(bank)
    try:
        from stylebank.video.steadiness import SteadyPainter
    except ImportError:
        if steady is not None:
            raise ConfigError(
                'video --steady: needs OpenCV, which is not installed; pip install "stylebank[video]"'
            ) from None
        note('each frame is painted by itself; pip install "stylebank[video]" makes them hold still')
        return Plain(bank)
    return SteadyPainter(bank) if steady is None else SteadyPainter(bank, steady=steady)


def one(
    source: Path,
    target: Path,
    settings: Settings,
    bank: "StyleBank",
    painter: "Painter",
    stop: "StopRequest",
) -> bool:
    """Paint one clip, and say what became of it; returns whether it is whole."""
    from stylebank.footage import reading
    from stylebank.video import timeline

    clip = reading.open_clip(source, settings.fps)
    try:
        outcome = _painted(clip, target, settings, bank, painter, stop)
    finally:
        clip.close()
    for line in outcome.notes:
        note(f"{source}: {line}")
    pace = outcome.painted / max(outcome.seconds, 1e-6)
    if not outcome.is_whole:
        note(
            f"{target}: holds the first {timeline.shown(outcome.shown)} ({outcome.frames} frames); "
            "the same command goes on from there"
        )
        return False
    say(str(target))
    note(
        f"{outcome.frames} frames, {outcome.painted} painted in {outcome.seconds:.1f} s, {pace:.2g} a second"
    )
    if clip.fault:
        raise SkippedError(
            f"{source}: {clip.fault}; {target} has the {outcome.frames} frames that could be read; check the file"
        )
    return True


def _painted(
    clip: "Clip",
    target: Path,
    settings: Settings,
    bank: "StyleBank",
    painter: "Painter",
    stop: "StopRequest",
) -> "Outcome":
    from stylebank.persistence.pieces import Pieces
    from stylebank.terminal.console import FrameBar
    from stylebank.video import outputs, work
    from stylebank.video.pipeline import Order

    size = work.size_of(clip.facts, settings.longest)
    window = (settings.start, settings.length) if settings.start or settings.length is not None else None
    writer, notes = outputs.writer(
        clip, target, size, codec=settings.codec, quality=settings.quality, window=window
    )
    with atomic.locked(target, wait=False, tidy=True):  # another run would take away what this one has begun
        pieces = Pieces(target, _deciding(clip.path, settings))
        outputs.check(target, clip.path, pieces, force=settings.force)
        order = Order(clip, size, writer, settings.looks, settings.start, settings.length)
        tracks = _tracks(order, settings, bank) if settings.looks.timeline is None else []
        for line in (*clip.facts.notes, *notes):
            note(f"{clip.path}: {line}")
        for track, _ in tracks:
            for line in track.notes(clip.facts.seconds):
                note(line)
        if pieces.done:
            note(f"{target}: {pieces.frames} frames are done already")
        elif pieces.is_other:
            note(f"{target}: what was begun had other options; begins anew")
        order = replace(order, look=replace(settings.looks, regions=tuple(tracks)))
        with FrameBar(clip.path.name, order.count, pieces.frames, stop) as bar:
            return work.run(order, painter, pieces, stop=stop, progress=bar)


def _tracks(order: "Order", settings: Settings, bank: "StyleBank") -> "list[tuple[MaskTrack, Mix]]":
    """Masks of one clip and what they get; labels and things that are found stay where they are in its first frame."""
    from stylebank.painting.canvas import check_fusion
    from stylebank.pixels import masks
    from stylebank.video import pipeline
    from stylebank.video.timeline import MaskTrack

    places = settings.places
    how: dict[str, Any] = {"size": order.size, "fit": places.fit, "feather": settings.feather}
    check_fusion(1, "exact", settings.feather, order.size, settings.looks.overlap)
    if places.masks:
        return [(MaskTrack(Path(path), settings.fps, **how), mix) for path, mix in places.named()]
    found, notes = places.found(bank, pipeline.first(order))
    for line in notes:
        note(line)
    return [(MaskTrack(masks.of(mask), None, **how), mix) for mask, mix in found]


def _deciding(source: Path, settings: Settings) -> dict[str, Any]:
    """All that the frames depend on."""
    files = [source, *settings.places.files]
    stamps = [
        [path.stat().st_size, path.stat().st_mtime_ns] if path.exists() else [str(path)] for path in files
    ]
    words = repr((__version__, replace(settings, force=False)))
    return {"settings": words, "source": str(source.absolute()), "files": stamps}


def folder(
    source: Path,
    target: Path,
    settings: Settings,
    bank: "StyleBank",
    painter: "Painter",
    stop: "StopRequest",
) -> None:
    """Paint every clip below a folder; those that cannot be are skipped, and said.

    Raises:
        SkippedError: some were skipped.
        ImageError: all were.
    """
    from stylebank.batch.planning import Job
    from stylebank.batch.unfinished import Unfinished
    from stylebank.video import outputs

    found = outputs.folder(source, target)
    if not found:
        raise ImageError(f"{source}: holds no clips; put videos in it, as .mp4, .mov, .mkv, .webm or .gif")
    target.mkdir(parents=True, exist_ok=True)
    record = Unfinished(target, {"settings": repr(replace(settings, force=False)), "version": __version__})
    jobs = [Job(clip, place) for clip, place in found]
    left = record.remaining(jobs)
    if len(left) < len(jobs):
        note(f"{len(jobs) - len(left)} of {len(jobs)} clips are done already")
    record.begin()
    skipped = 0
    for job in left:
        is_whole = True
        try:
            is_whole = one(job.photo, job.picture, settings, bank, painter, stop)
        except SkippedError as error:
            say(f"{error}; skipped")
            skipped += 1
        except OutputError:
            raise
        except StyleBankError as error:
            said = str(error)
            say(f"{said if said.startswith(str(job.photo)) else f'{job.photo}: {said}'}; skipped")
            skipped += 1
        if is_whole and job.picture.exists():
            record.add(job)
        if stop.signal is not None:
            return
    record.finish()
    if skipped:
        kind = SkippedError if skipped < len(jobs) else ImageError
        raise kind(f"{skipped} of {len(jobs)} clips: were skipped, see above; check those files")
