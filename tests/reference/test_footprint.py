"""What an optimisation takes of memory: more than enough is estimated, and what does not fit is painted smaller."""

import subprocess
import sys
from pathlib import Path

import pytest

from stylebank.errors import ImageError
from stylebank.reference.footprint import Footprint, amount

PHOTO = (2000, 3000)
GB = 10**9


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
@pytest.mark.parametrize("limit", [800 * 10**6, GB, 4 * GB, 12 * GB])
def test_the_largest_size_that_fits_is_found(limit: int, method: str) -> None:
    taken = Footprint(PHOTO, 300, method)
    size = taken.fitting(limit)
    assert 0.95 * limit < taken.needed(size) <= limit
    assert size[1] / size[0] == pytest.approx(1.5, rel=0.02)


def test_a_photo_that_fits_is_painted_at_its_own_size() -> None:
    taken = Footprint((771, 1024), 300, "lbfgs")
    assert taken.fitting(taken.needed()) == (771, 1024)
    assert taken.fitting(taken.needed() - 1) != (771, 1024), "the control"


def test_more_steps_of_lbfgs_remember_more_up_to_twenty_and_adam_s_none() -> None:
    def needed(steps: int, method: str) -> int:
        return Footprint(PHOTO, steps, method).needed()

    assert needed(1, "lbfgs") < needed(19, "lbfgs") < needed(20, "lbfgs") == needed(300, "lbfgs")
    assert needed(1, "adam") == needed(300, "adam") < needed(300, "lbfgs")


@pytest.mark.parametrize("limit", [-GB, 0, 600 * 10**6])
def test_where_not_even_a_small_picture_fits_it_is_refused(limit: int) -> None:
    with pytest.raises(ImageError, match=r"^photo: 3000 x 2000 px need 20 GB .*; close other programs"):
        Footprint(PHOTO, 300, "lbfgs").fitting(limit)


def test_style_images_that_are_too_large_are_refused_by_their_option() -> None:
    assert Footprint((300, 300), 300, "lbfgs", style_side=1024).fitting(2 * GB) == (300, 300)
    with pytest.raises(ImageError, match=r"^style images: 8192 px a side need 54 GB .* --size"):
        Footprint((300, 300), 300, "lbfgs", style_side=8192).fitting(2 * GB)


def test_the_note_says_both_sizes_and_both_amounts() -> None:
    line = Footprint(PHOTO, 4, "lbfgs").note((733, 1100), 4_400_000_000)
    assert line == (
        "photo: 3000 x 2000 px would take 18 GB of memory (room for 4.4 GB): painted at 1100 x 733 px, "
        "enlarged to its size"
    )
    assert [amount(count) for count in (-5, 8 * 10**8, 4.42 * GB, 31 * GB)] == [  # type: ignore[arg-type]
        "0 MB",
        "800 MB",
        "4.4 GB",
        "31 GB",
    ]


MEASURE = """
import sys, torch
from stylebank.config import Loss, Style
from stylebank.files import resources
from stylebank.reference import optimization
from stylebank.reference.footprint import Footprint

def taken(word):
    return 1024 * int(next(row for row in open("/proc/self/status") if row.startswith(word)).split()[1])

photo = torch.rand(1, 3, 112, 144)
before = taken("VmRSS")
settings = optimization.Settings(steps=1)
style = Style("s", image=sys.argv[1], size=64)
optimization.paint(photo, style, Loss(), settings, device="cpu", vgg_weights=resources.vgg_weights())
print(taken("VmHWM") - before, Footprint((112, 144), 1, "lbfgs").needed())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux says it in this file")
def test_the_estimate_is_above_what_is_taken_and_not_far_above(paintings: Path) -> None:
    command = [sys.executable, "-c", MEASURE, str(paintings / "0.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found, estimated = map(int, done.stdout.split())
    # Most of so small an estimate is what any size takes; at 1.5 megapixels it is 4.6 GB for 4.1 measured.
    assert 0.4 * estimated < found < estimated
