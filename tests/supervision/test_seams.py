"""Seams: zero without edges or of the photo itself, the formula at a straight edge, blind to outlines and texture."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank.reference import blemishes
from stylebank.supervision import seams

DARK, LIGHT = (0.2, 0.25, 0.3), (0.8, 0.75, 0.6)
EDGE = 60  # the first light column


def halves(*, left: tuple[float, ...] = DARK, right: tuple[float, ...] = LIGHT, side: int = 128) -> Tensor:
    """An image (1, 3, side, side) of two flat colours that meet between two columns."""
    image = torch.tensor(left).view(1, 3, 1, 1).repeat(1, 1, side, side)
    image[..., EDGE:] = torch.tensor(right).view(3, 1, 1)
    return image


def seamed(colour: tuple[float, ...], *, columns: slice = slice(EDGE - 4, EDGE - 1)) -> Tensor:
    """The same with a line of its own colour along the edge."""
    image = halves()
    image[..., columns] = torch.tensor(colour).view(1, 3, 1, 1)
    return image


def seam(output: Tensor, photo: Tensor) -> float:
    return float(seams.seam_distance(output, seams.edges(photo))[0])


def lab(image: Tensor) -> np.ndarray:
    pixels = (image[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte().numpy()
    found: np.ndarray = blemishes.colours(pixels)
    return found


def test_places_lie_on_the_edge_and_point_to_the_lighter_side() -> None:
    found = seams.edges(halves())[0]
    there = found[found[:, 4] > 0]
    assert len(there) == seams.PLACES
    assert (there[:, 1] - (EDGE - 0.5)).abs().max() <= 0.5
    assert torch.allclose(there[:, 2:4], torch.tensor([0.0, 1.0]).expand(len(there), 2), atol=1e-6)
    assert len(there[:, 0].unique()) > 60, "they are scattered along it"


def test_a_photo_and_another_palette_of_it_have_no_seams() -> None:
    photo = halves()
    assert seam(photo, photo) == pytest.approx(0, abs=1e-4)
    assert seam(1 - photo, photo) == pytest.approx(0, abs=1e-4)
    assert seam(halves(left=(0.9, 0.2, 0.1), right=(0.1, 0.3, 0.7)), photo) == pytest.approx(0, abs=1e-4)


def test_beside_a_straight_edge_it_is_the_formula_by_hand() -> None:
    """Three columns lighter by d than the light side: 3 (d / SEEN)^2, wherever the place lies on the edge's ridge."""
    light = tuple(c + 0.12 for c in LIGHT)
    assert seam(seamed(light), halves()) == pytest.approx(3 * (0.12 / seams.SEEN) ** 2, rel=0.02)


def test_a_colour_that_neither_side_has_is_a_seam_and_a_dark_outline_is_none() -> None:
    assert seam(seamed((0.5, 0.9, 0.2)), halves()) > 5
    assert seam(seamed((0.0, 0.0, 0.0)), halves()) == pytest.approx(0, abs=1e-4)
    assert seam(seamed((0.5, 0.5, 0.45)), halves()) == pytest.approx(0, abs=0.05), "a step between both sides"


def test_it_orders_seams_as_the_detector_does() -> None:
    photo = halves()
    pictures = [seamed(tuple(c + d for c in LIGHT)) for d in (0.0, 0.04, 0.08, 0.16)]
    edges = blemishes.edges(lab(photo))
    wanted = [blemishes.halo(lab(picture), lab(photo), edges) for picture in pictures]
    found = [seam(picture, photo) for picture in pictures]
    assert wanted[-1] is not None
    assert wanted[-1] > 10
    assert sorted(found) == found
    assert np.corrcoef(np.sqrt(found), np.array(wanted, float))[0, 1] > 0.98


def test_photos_without_edges_have_none_whatever_is_painted() -> None:
    flat = torch.full((1, 3, 64, 64), 0.5)
    slope = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    for photo in (flat, slope):
        assert float(seams.edges(photo)[..., 4].sum()) == 0
        assert seam(torch.rand(1, 3, 64, 64), photo) == 0


def test_texture_on_both_sides_is_no_seam() -> None:
    torch.manual_seed(0)
    texture = halves() + 0.1 * torch.randn(1, 3, 128, 128)
    bright = seamed(tuple(c + 0.2 for c in LIGHT)) + 0.1 * torch.randn(1, 3, 128, 128)
    assert seam(texture, halves()) < 0.1
    assert seam(bright, halves()) > 20 * seam(texture, halves())


def test_what_the_photo_has_itself_is_allowed() -> None:
    light = seamed(tuple(c + 0.1 for c in LIGHT), columns=slice(EDGE + 1, EDGE + 4))
    assert float(seams.edges(light)[..., 4].sum()) > seams.PLACES / 3
    assert seam(light, halves()) > 1
    assert seam(light, light) < 0.05


def test_faint_edges_and_sides_that_are_not_calm_do_not_count() -> None:
    faint = halves(right=tuple(c + 0.15 for c in DARK))
    striped = halves()
    striped[..., EDGE + 10 :] -= 0.2
    for photo in (faint, striped):
        assert float(seams.edges(photo)[..., 4].sum()) == 0
    assert float(seams.edges(halves(right=tuple(c + 0.25 for c in DARK)))[..., 4].sum()) > 0, "the control"


def test_a_short_edge_has_less_of_a_seam() -> None:
    """Below 24 places the sum is over 24 all the same."""
    photo, picture = halves(), seamed(tuple(c + 0.12 for c in LIGHT))
    edges = seams.edges(photo)
    few = edges.clone()
    few[0, 6:, 4] = 0
    share = float(seams.seam_distance(picture, few)) / float(seams.seam_distance(picture, edges))
    assert share == pytest.approx(6 / 24, rel=0.05)


def test_each_image_of_a_batch_has_its_own_edges() -> None:
    photos = torch.cat([halves(), halves().transpose(2, 3), torch.full((1, 3, 128, 128), 0.3)])
    pictures = torch.cat([seamed((0.5, 0.9, 0.2)), halves().transpose(2, 3), torch.rand(1, 3, 128, 128)])
    edges = seams.edges(photos)
    together = seams.seam_distance(pictures, edges)
    alone = [float(seams.seam_distance(pictures[i : i + 1], edges[i : i + 1])[0]) for i in range(3)]
    assert together.tolist() == pytest.approx(alone, rel=1e-5, abs=1e-6)
    assert together[0] > 5
    assert together[1] < 1e-3
    assert together[2] == 0


def test_its_gradient_takes_seams_away_and_leaves_far_pixels_alone() -> None:
    photo = halves()
    picture = seamed(tuple(c + 0.12 for c in LIGHT)).requires_grad_()
    (gradient,) = torch.autograd.grad(seams.seam_distance(picture, seams.edges(photo)).sum(), picture)
    middle = gradient[0, :, 30:98]
    assert (middle[..., EDGE - 4 : EDGE - 1] > 0).all(), "darker is better"
    assert middle[..., : EDGE - seams.AWAY - 2].abs().max() == 0
    step = 1e-2
    moved = picture.detach() - step * gradient / gradient.norm()
    fallen = seam(picture.detach(), photo) - seam(moved, photo)
    assert fallen == pytest.approx(step * float(gradient.norm()), rel=0.05)


def test_small_images_have_no_places() -> None:
    assert float(seams.edges(torch.rand(1, 3, 20, 20))[..., 4].sum()) == 0


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_numbers_are_counted_in_float32(kind: torch.dtype) -> None:
    picture = seamed(tuple(c + 0.12 for c in LIGHT))
    found = seams.seam_distance(picture.to(kind), seams.edges(halves().to(kind)))
    assert found.dtype == torch.float32
    assert float(found[0]) == pytest.approx(seam(picture, halves()), rel=0.1)
