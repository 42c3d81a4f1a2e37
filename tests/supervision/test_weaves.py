"""Weaves: none of noise, of strokes or beside a lively photo; peaks as the detector finds them; gradients that help."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank.reference import spectra
from stylebank.supervision import weaves

SIDE = 256
FLAT = torch.full((1, 3, SIDE, SIDE), 0.5)


def noise(seed: int = 0, *, deviation: float = 0.05, side: int = SIDE) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return 0.5 + deviation * torch.randn(1, 1, side, side, generator=random).expand(1, 3, side, side)


def lattice(period: float, height: float, side: int = SIDE) -> Tensor:
    """A wave along rows and one along columns."""
    wave = height * torch.sin(2 * torch.pi * torch.arange(side) / period)
    return wave[:, None] + wave


def weave(picture: Tensor, photo: Tensor = FLAT, own: float = 0.0) -> float:
    return float(weaves.weave_distance(picture, weaves.flat_windows(photo), torch.tensor([own]))[0])


def luma(image: Tensor) -> np.ndarray:
    found: np.ndarray = 255 * image[0, 0].numpy()
    return found


def test_noise_has_no_weave_and_a_lattice_has_one() -> None:
    assert weave(noise()) == 0
    assert weave(noise() + lattice(8.0, 0.03)) > 1
    assert weave(noise(deviation=0) + lattice(8.0, 0.0005)) == 0, "nobody sees it"


@pytest.mark.parametrize("period", [4.0, 6.4, 8.0, 16.0, 21.3])
def test_peaks_are_those_of_the_detector(period: float) -> None:
    """Luma, at the better of both sizes, within a decibel: its rings' medians are other ones of two."""
    waves = np.fft.fftfreq(spectra.SIDE)
    wide = np.hypot(*np.meshgrid(waves, waves)) >= 1 / weaves.LONGEST
    picture = noise() + lattice(period, 0.02)
    views = weaves.views(picture, weaves.flat_windows(FLAT))
    found = [float(peaks.max()) for peaks, _ in views][::2]
    wanted = []
    for plane in (luma(picture), spectra.halved(luma(picture))):
        levels = spectra.spectrum(plane)
        assert levels is not None
        wanted.append(float(spectra.peaks(levels)[wide].max()))
    assert max(found) == pytest.approx(max(wanted), abs=1.0)
    assert max(wanted) > 8


def test_the_style_s_own_weave_is_allowed() -> None:
    picture = noise() + lattice(8.0, 0.02)
    own = weaves.own_weave([picture])
    assert own > 8
    assert weave(picture) > 0.5
    assert weave(picture, own=own) == 0
    assert weaves.own_weave([noise(side=48)]) == 0, "too small to say"
    assert weaves.own_weave([noise()]) < 5


def test_what_lies_on_a_lively_photo_does_not_count() -> None:
    lively = noise(3, deviation=0.2)
    picture = noise() + lattice(8.0, 0.03)
    assert float(weaves.flat_windows(lively).sum()) == 0
    assert weave(picture, lively) == 0


def test_slopes_are_flat_and_windows_lie_as_the_detector_s() -> None:
    photo = FLAT * torch.linspace(0.2, 1.8, SIDE)[:, None]
    photo[..., : SIDE // 2] = noise(1, deviation=0.2)[..., : SIDE // 2]
    found = weaves.flat_windows(photo)[0]
    wanted = spectra.flat_windows(luma(photo))
    assert found[0].bool().tolist() == wanted.tolist()
    assert 0 < wanted.mean() < 1
    half = spectra.flat_windows(spectra.halved(luma(photo)))
    assert found[1, : len(half)].bool().tolist() == half.tolist()


def test_blobs_on_a_lattice_now_lighter_now_darker_are_a_weave() -> None:
    """They leave no peak in luma: half of them make up for the other half."""
    random = torch.Generator().manual_seed(5)
    signs = torch.randint(0, 2, (SIDE // 8, SIDE // 8), generator=random) * 2.0 - 1
    blob = torch.zeros(8, 8)
    blob[2:6, 2:6] = 0.15
    picture = noise(deviation=0.01) + torch.kron(signs, blob)
    luma_peaks, change_peaks = (float(peaks.max()) for peaks, _ in weaves.views(picture, None)[:2])
    assert luma_peaks < 5
    assert change_peaks > 8
    assert weave(picture) > 0.2


def test_it_is_the_sum_of_squares_of_what_is_over_the_limit() -> None:
    picture, flat = noise() + lattice(8.0, 0.02), weaves.flat_windows(FLAT)
    wanted = 0.0
    for peaks, count in weaves.views(picture, flat):
        limit = 1.5 + 2 + 8 / float(count) ** 0.5
        wanted += sum(((float(peak) - limit) / 10) ** 2 for peak in peaks[0] if float(peak) > limit)
    assert wanted > 0.5
    assert weave(picture, own=1.5) == pytest.approx(wanted, rel=1e-4)


def test_of_few_windows_nothing_is_said() -> None:
    picture, photo = noise() + lattice(8.0, 0.03), noise(3, deviation=0.2)
    photo[..., :64, :160] = 0.5  # four windows
    assert float(weaves.flat_windows(photo).sum()) == 4
    assert weave(picture, photo) == 0
    photo[..., :96, :160] = 0.5
    assert float(weaves.flat_windows(photo).sum()) >= 8
    assert weave(picture, photo) > 0.1, "the control"


def test_images_of_a_batch_are_judged_alone() -> None:
    pictures = torch.cat([noise() + lattice(8.0, 0.03), noise(1), noise(2) + lattice(5.0, 0.02)])
    photos = torch.cat([FLAT, FLAT, noise(3, deviation=0.2)])
    flat, own = weaves.flat_windows(photos), torch.tensor([0.0, 0.0, 0.0])
    together = weaves.weave_distance(pictures, flat, own)
    alone = [float(weaves.weave_distance(pictures[i : i + 1], flat[i : i + 1], own[:1])[0]) for i in range(3)]
    assert together.tolist() == pytest.approx(alone, rel=1e-3, abs=1e-6)
    assert together[0] > 1
    assert together[1:].tolist() == [0, 0]


def test_its_gradient_takes_the_lattice_away() -> None:
    grid = lattice(8.0, 0.03)
    picture = (noise() + grid).requires_grad_()
    flat = weaves.flat_windows(FLAT)
    found = weaves.weave_distance(picture, flat, torch.zeros(1)).sum()
    (gradient,) = torch.autograd.grad(found, picture)
    along = (gradient * grid).sum()
    assert along > 0
    moved = weave((picture - 0.001 * grid).detach())
    assert float(found.detach()) - moved == pytest.approx(0.001 * float(along), rel=0.05)


def test_crops_without_room_for_windows_have_no_weave() -> None:
    small = noise(side=48)
    assert weaves.flat_windows(small).shape == (1, 2, 0)
    assert weave(small, small) == 0
