"""This checkout beside another one, such as the commit before a change, in one run: what a user waits for."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image

from stylebank.files import resources

ROOT = Path(__file__).resolve().parents[2]

_TIMED = """
import sys, time
from PIL import Image
import numpy as np
def best(f, rounds):
    f()
    found = []
    for _ in range(rounds):
        start = time.perf_counter(); f(); found.append(time.perf_counter() - start)
    return min(found)
photo = Image.open(sys.argv[1]).convert("RGB").resize((512, 512))
style = "van_gogh_starry_night"
"""
_ENGINE = (
    _TIMED
    + """
try:
    import stylebank.painting
except ImportError:  # before there were wings
    from stylebank import bundle, crew, engines, mixture, resources
    work = engines.Work(bundle.read(resources.shipped_bank()), mixture.parse(style))
    paint = crew.gather("openvino", work, photos=1).paint
    print(best(lambda: paint([photo]), 40))
else:
    from stylebank import StyleBank
    bank = StyleBank.load(engine="openvino")
    print(best(lambda: bank.stylize(photo, style), 40))
"""
)
_PYTHON = (
    _TIMED
    + """
from stylebank import StyleBank
bank = StyleBank.load()
print(best(lambda: bank.stylize(photo, style), 10))
"""
)
_FUSE = (
    _TIMED
    + """
from stylebank import StyleBank
bank, column = StyleBank.load(), np.arange(512)[None].repeat(512, 0) * 3 // 512
styles = (style, "munch_the_scream", "hokusai_great_wave")
regions = [((column == place).astype(np.float32), name) for place, name in enumerate(styles)]
print(best(lambda: bank.fuse(photo, regions), 5))
"""
)
_COMMAND = """
import os, resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run([sys.executable, "-m", "stylebank", *sys.argv[2:]], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20)
"""


def main(
    before: Annotated[Path, typer.Option(help="The other checkout.")],
    megapixels: Annotated[list[float], typer.Option(help="Of large photos. May be repeated.")] = [12],  # noqa: B006
    rounds: Annotated[int, typer.Option(help="Of each measurement, in turn; the best counts.")] = 3,
    only: Annotated[str, typer.Option(help="Part of the names of what is measured.")] = "",
) -> None:
    """Each line is processes of their own, first of the other checkout, then of this one."""
    photo = resources.photos_folder() / "coffee.jpg"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases: dict[str, tuple[str, list[str]]] = {
            "512 px, OpenVINO, bfloat16": (_ENGINE, []),
            "512 px, StyleBank.load().stylize": (_PYTHON, []),
            "512 px, fuse of three regions": (_FUSE, []),
            "start to first picture": (
                _COMMAND,
                ["stylize", str(photo), "--style", "mosaic", "-o", str(folder / "first.png")],
            ),
            "sheet of all styles": (_COMMAND, ["sheet", str(photo), "-o", str(folder / "sheet.png")]),
        }
        for size in megapixels:
            large = _large(photo, size, folder)
            words = ["stylize", str(large), "--style", "mosaic", "-o", str(folder / "large.png")]
            cases[f"{size:g} megapixels"] = (_COMMAND, [*words, "--max-memory", "2.5GiB"])
        typer.echo("| | before, s | now, s | before / now | peak GiB before, now |\n|---|---|---|---|---|")
        for label, (program, words) in cases.items():
            if only in label:
                _row(label, program, [str(photo), *words], before, 1 if "megapixels" in label else rounds)


def _row(label: str, program: str, words: list[str], before: Path, rounds: int) -> None:
    pairs = [[_run(program, words, code) for code in (before, ROOT)] for _ in range(rounds)]
    (then, then_peak), (now, now_peak) = (min(column) for column in zip(*pairs, strict=True))
    peaks = f"{then_peak:.2f}, {now_peak:.2f}" if then_peak else ""
    typer.echo(f"| {label} | {then:.3f} | {now:.3f} | {then / now:.2f} | {peaks} |")


def _run(program: str, words: list[str], code: Path) -> tuple[float, float]:
    """Seconds and, of a command, the peak of its memory."""
    environment = os.environ | {"PYTHONPATH": str(code)}
    done = subprocess.run(  # noqa: S603  # this file's own programs
        [sys.executable, "-c", program, *words],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
        cwd=tempfile.gettempdir(),
    )
    seconds, *peak = map(float, done.stdout.split())
    return seconds, peak[0] if peak else 0.0


def _large(photo: Path, megapixels: float, folder: Path) -> Path:
    path = folder / f"{megapixels:g}.jpg"
    image = Image.open(photo).convert("RGB")
    scale = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    image.resize((round(image.width * scale), round(image.height * scale))).save(path, quality=92)
    return path
