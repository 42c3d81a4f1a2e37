"""What tutorials show: pictures beside each other, small enough for a page; the photos that they begin with."""

import os
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

from IPython.core.getipython import get_ipython
from IPython.display import Image as Shown
from PIL import Image

ROOT = Path(os.environ["STYLEBANK_DOCS_ROOT"])


def take(*names: str, to: str = ".") -> None:
    """Copy photos that come along, or other files of the checkout, into the tutorial's folder."""
    Path(to).mkdir(parents=True, exist_ok=True)
    for name in names:
        found = ROOT / name if "/" in name else ROOT / "weights" / "photos" / name
        shutil.copy(found, to)


def show(*paths: str, height: int = 320) -> Shown:
    """Pictures in one row, as a JPEG of twice the height that it is shown at."""
    pictures = [Image.open(path).convert("RGB") for path in paths]
    tall = min(2 * height, max(picture.height for picture in pictures))
    fitted = [p.resize((round(p.width * tall / p.height), tall), Image.Resampling.LANCZOS) for p in pictures]
    gap = 8
    row = Image.new("RGB", (sum(p.width + gap for p in fitted) - gap, tall), "white")
    left = 0
    for picture in fitted:
        row.paste(picture, (left, 0))
        left += picture.width + gap
    data = BytesIO()
    row.save(data, "JPEG", quality=88)
    return Shown(data.getvalue(), format="jpeg")


def bash(_line: str, cell: str) -> None:
    """Run a cell of commands and print what they said, in its order, less the counting; a failure ends the page."""
    words = ["bash", "-e", "-o", "pipefail", "-c", cell]
    plain = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "CLICOLOR_FORCE")}
    run = subprocess.run(  # noqa: S603
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env=plain | {"TERM": "dumb"},
    )
    lines = run.stdout.replace(f"{Path.cwd()}/", "").splitlines()
    print(*(line for line in lines if not re.search(r" \d+/\d+( \.\.\.$| {2})", line)), sep="\n")
    run.check_returncode()


get_ipython().register_magic_function(bash, "cell")
