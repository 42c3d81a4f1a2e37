"""Each loss against a float64 transcription of its formula, by hand values, and per image."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank.supervision import losses


def gram_by_loops(features: np.ndarray) -> np.ndarray:
    """G_ij = sum_k F_ik F_jk / (h w), equation 3 of Gatys et al., in float64, one number at a time."""
    channels, height, width = features.shape
    result = np.zeros((channels, channels))
    for i in range(channels):
        for j in range(channels):
            for y in range(height):
                for x in range(width):
                    result[i, j] += features[i, y, x] * features[j, y, x]
    average: np.ndarray = result / (height * width)
    return average


def test_gram_is_the_formula() -> None:
    features = torch.rand(2, 5, 4, 3, dtype=torch.float64)
    found = losses.gram(features)
    for image in (0, 1):
        # The result is float32: 2^-24 of numbers below one.
        assert np.abs(found[image].numpy() - gram_by_loops(features[image].numpy())).max() < 1e-6


def test_gram_is_per_image_and_not_over_the_batch() -> None:
    features = torch.rand(2, 5, 4, 3)
    alone = losses.gram(features[:1])
    assert torch.allclose(losses.gram(features)[:1], alone)
    flat = features.transpose(0, 1).flatten(1)
    over_the_batch = flat @ flat.T / flat.shape[1]
    assert not torch.allclose(over_the_batch, alone[0], atol=1e-2), (
        "the control: the common bug is another number"
    )


def test_gram_does_not_depend_on_the_size_of_a_uniform_image() -> None:
    pattern = torch.rand(1, 5, 1, 1)
    small, large = losses.gram(pattern.expand(1, 5, 2, 3)), losses.gram(pattern.expand(1, 5, 8, 9))
    assert torch.allclose(small, large)


def test_style_distance_by_hand() -> None:
    output = torch.tensor([[[1.0, 0.0], [0.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
    target = torch.tensor([[[0.0, 1.0], [0.0, 4.0]], [[0.0, 0.0], [0.0, 3.0]]])
    assert losses.style_distance(output, target).tolist() == [6.0, 9.0]


def test_content_distance_by_hand() -> None:
    target = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    assert losses.content_distance(torch.zeros_like(target), target).tolist() == [1.0]
    assert losses.content_distance(target, target).tolist() == [0.0]
    assert losses.content_distance(3 * target, target).tolist() == [4.0]


def test_total_variation_by_hand() -> None:
    image = torch.tensor([[0.0, 1.0], [1.0, 0.5]]).expand(1, 3, 2, 2)
    # down: |1 - 0|, |0.5 - 1|; right: |1 - 0|, |0.5 - 1|
    assert losses.total_variation(image).tolist() == [0.75 + 0.75]
    assert losses.total_variation(torch.full((2, 3, 4, 4), 0.3)).tolist() == [0.0, 0.0]


def test_identity_distance_by_hand() -> None:
    image = torch.zeros(2, 3, 2, 2)
    output = image.clone()
    output[1, 0, 0, 0] = 0.6
    assert losses.identity_distance(output, image).tolist() == pytest.approx([0.0, 0.36 / 12])


@pytest.mark.parametrize(
    "loss",
    [
        lambda x: losses.content_distance(x, torch.full_like(x, 0.7)).sum(),
        lambda x: losses.total_variation(x).sum(),
        lambda x: losses.identity_distance(x, torch.full_like(x, 0.7)).sum(),
        lambda x: losses.style_distance(losses.gram(x), torch.ones(2, 3, 3)).sum(),
        lambda x: losses.emptiness(x.repeat_interleave(4, 2).repeat_interleave(4, 3), torch.ones(2)).sum(),
    ],
    ids=["content", "tv", "identity", "style", "emptiness"],
)
def test_the_gradient_is_the_slope(loss: object) -> None:
    """Against a finite difference in a random direction; float32 inside costs about 1e-3 of it."""
    assert callable(loss)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 5, 5, generator=generator, requires_grad=True)
    direction = torch.randn(2, 3, 5, 5, generator=generator)
    value: Tensor = loss(x)
    (gradient,) = torch.autograd.grad(value, x)
    step = 1e-2 * direction / direction.norm()
    with torch.no_grad():
        slope = (loss(x + step) - loss(x - step)) / 2
    assert float(slope) == pytest.approx(float((gradient * step).sum()), rel=2e-2, abs=1e-6)


def test_bfloat16_features_give_nearly_the_same_gram() -> None:
    features = torch.rand(1, 32, 24, 24)
    exact, rough = losses.gram(features), losses.gram(features.bfloat16())
    assert rough.dtype == torch.float32
    # Inputs rounded by 2^-9 each and the sum once more.
    assert (rough / exact - 1).abs().max() < 3 * 2**-9


def contrast_by_loops(image: np.ndarray) -> np.ndarray:
    """Deviation in squares of 8 of the image's 2x2 means, 4 apart, over all colours: (3, H, W) float64 -> (h, w)."""
    small = image.reshape(3, image.shape[1] // 2, 2, image.shape[2] // 2, 2).mean((2, 4))
    rows, columns = ((length - 8) // 4 + 1 for length in small.shape[1:])
    found = np.zeros((rows, columns))
    for row in range(rows):
        for column in range(columns):
            square = small[:, 4 * row : 4 * row + 8, 4 * column : 4 * column + 8]
            found[row, column] = np.sqrt(square.var((1, 2)).mean() + 1e-8)
    return found


def test_local_contrast_is_the_formula() -> None:
    image = torch.rand(2, 3, 24, 36, generator=torch.Generator().manual_seed(0))
    image[1, :, :, 16:] = 0.5
    found = losses.local_contrast(image)
    for place in (0, 1):
        wanted = contrast_by_loops(image[place].double().numpy())
        # Variances are differences of means of 64 squares below 1, 1e-6 off at most; so are deviations of 0.1 by 1e-5,
        # and that of a flat square, 1e-4, by its root.
        assert found[place].shape == wanted.shape
        assert np.abs(found[place].numpy() - wanted).max() < 1e-3
    assert float(found[1, 0, -1]) < 2e-3 < 0.05 < float(found[1, 0, 0])


def test_a_weave_of_single_pixels_is_no_contrast_and_of_four_is() -> None:
    def weave(size: int) -> Tensor:
        rows = torch.arange(32) // size
        return ((rows[:, None] + rows) % 2).float().expand(1, 3, 32, 32)

    assert float(losses.local_contrast(weave(1)).max()) < 1e-3
    assert float(losses.local_contrast(weave(4)).min()) == pytest.approx(0.5, abs=1e-3)


def test_emptiness_by_hand() -> None:
    image = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    image[1] = 0.5
    image[2, :, :, 16:] = 0.5
    contrast = losses.local_contrast(image).double()
    floors = torch.tensor([0.05, 0.1, 0.2])
    wanted = (1 - contrast / floors.double()[:, None, None]).clamp_min(0).square().mean((1, 2))
    found = losses.emptiness(image, floors)
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    assert float(contrast[0].min()) > 0.05
    assert found[0] == 0, "nowhere flatter than its floor"
    # A blank picture's contrast is 1e-4: (1 - 1e-3)^2.
    assert float(found[1]) == pytest.approx(0.998, abs=1e-3)
    assert 0.1 < float(found[2]) < 0.9, "half of it"
    assert not torch.allclose(losses.emptiness(image, floors.flip(0)), found), "each has its own floor"


def tone_by_loops(output: np.ndarray, content: np.ndarray) -> float:
    """1 - cov^2 / (var var + 1e-6) of lightness in parts of 16 pixels: (3, H, W) float64 twice."""
    lightness = []
    for image in (output, content):
        rows, columns = (length // 16 for length in image.shape[1:])
        parts = np.zeros(rows * columns)
        for place in range(rows * columns):
            y, x = 16 * (place // columns), 16 * (place % columns)
            parts[place] = image[:, y : y + 16, x : x + 16].mean()
        lightness.append(parts - parts.mean())
    painted, photo = lightness
    covariance = (painted * photo).mean()
    return float(1 - covariance**2 / ((painted**2).mean() * (photo**2).mean() + 1e-6))


def color_by_loops(output: np.ndarray, content: np.ndarray) -> float:
    """1 - explained / (whole + 1e-4) of colours in parts of 16 pixels, by ridge regression: (3, H, W) float64 twice."""
    rows, columns = (length // 16 for length in content.shape[1:])
    squares = [
        (slice(16 * y, 16 * y + 16), slice(16 * x, 16 * x + 16)) for y in range(rows) for x in range(columns)
    ]
    painted, photo = (
        np.array([image[:, y, x].mean((1, 2)) for y, x in squares]) for image in (output, content)
    )
    terms = np.concatenate([photo, photo**2], axis=1)
    terms, painted = terms - terms.mean(0), painted - painted.mean(0)
    explained = 0.0
    for channel in painted.T:
        products = (terms.T @ channel) / len(terms)
        explained += products @ np.linalg.solve(terms.T @ terms / len(terms) + 1e-4 * np.eye(6), products)
    return float(1 - explained / ((painted**2).mean(0).sum() + 1e-4))


Distance = Callable[[Tensor, Tensor], Tensor]
Formula = Callable[[np.ndarray, np.ndarray], float]


def tone(output: Tensor, content: Tensor) -> Tensor:
    return losses.tone_distance(losses.parts(output), losses.parts(content))


def color(output: Tensor, content: Tensor) -> Tensor:
    return losses.color_distance(losses.parts(output), losses.parts(content))


def areas(count: int, seed: int, *, sides: tuple[int, int] = (50, 67)) -> Tensor:
    """Pictures (B, 3, H, W), light and dark in areas of some 13 pixels; their sides are no multiples of 16."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, sides[0] // 12, sides[1] // 13, generator=generator)
    found: Tensor = torch.nn.functional.interpolate(coarse, sides, mode="bilinear")
    return found


def test_tone_distance_is_the_formula() -> None:
    output, content = areas(3, 0), areas(3, 1)
    found = tone(output, content)
    wanted = [
        tone_by_loops(o.double().numpy(), c.double().numpy()) for o, c in zip(output, content, strict=True)
    ]
    # Means of 768 numbers below 1 in float32, their differences of about 0.1, and squares of those.
    assert found.tolist() == pytest.approx(wanted, abs=1e-4)
    assert max(wanted) - min(wanted) > 0.01, "the control: they differ"
    assert tone(output[:1], content[:1]).tolist() == pytest.approx(wanted[:1], abs=1e-4)


@pytest.mark.parametrize(
    ("distance", "formula", "sides", "rel", "absolute"),
    [(tone, tone_by_loops, (50, 67), 1e-3, 1e-5), (color, color_by_loops, (115, 131), 2e-3, 2e-5)],
)
def test_the_gradient_of_tone_and_color_is_the_slope_of_the_formula(
    distance: Distance, formula: Formula, sides: tuple[int, int], rel: float, absolute: float
) -> None:
    content, generator = areas(1, 1, sides=sides), torch.Generator().manual_seed(2)
    output = areas(1, 0, sides=sides).requires_grad_()
    (gradient,) = torch.autograd.grad(distance(output, content).sum(), output)
    exact, photo = output.detach()[0].double().numpy(), content[0].double().numpy()
    for _ in range(4):
        direction = torch.randn(3, *sides, generator=generator, dtype=torch.float64).numpy()
        up, down = (formula(exact + step * direction, photo) for step in (1e-4, -1e-4))
        slope = float((gradient[0].double().numpy() * direction).sum())
        assert slope == pytest.approx((up - down) / 2e-4, rel=rel, abs=absolute)
        assert abs(slope) > 1e-4, "the control: it is not flat there"


def test_light_turned_dark_enlarged_or_flattened_is_the_photo_s_tone_and_another_light_is_not() -> None:
    photo = areas(1, 0)
    for output in (photo, 1 - photo, 0.2 + 0.5 * photo, 3 * photo - 1):
        # The variance is 0.01, that of the flattened one a quarter: 1e-6 / (0.01 * 0.0025) is left.
        assert float(tone(output, photo)) < 0.045
    assert float(tone(photo.flip(3), photo)) > 0.4
    glaring = photo.clone()
    glaring[:, :, 16:32, 16:32] += 3.0
    assert 0.2 < float(tone(glaring, photo)) < 1, "a spot of its own"


def test_tone_does_not_mind_what_is_smaller_than_its_parts() -> None:
    photo = areas(1, 0)
    weave = 0.4 * ((torch.arange(50)[:, None] + torch.arange(67)) % 2 - 0.5)
    alone = tone(photo, photo).tolist()
    assert tone(photo + weave, photo).tolist() == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("distance", [tone, color])
@pytest.mark.parametrize("size", [(9, 12), (16, 16), (31, 20), (48, 64)])
def test_what_is_of_one_color_has_no_tone_no_color_and_no_gradient(
    size: tuple[int, int], distance: Distance
) -> None:
    """Where one of both is so nothing is explained; a picture of one part is always so."""
    flat = torch.full((1, 3, *size), 0.3, requires_grad=True)
    for content in (torch.full((1, 3, *size), 0.7), torch.rand(1, 3, *size)):
        found = distance(flat, content)
        (gradient,) = torch.autograd.grad(found.sum(), flat)
        assert found.tolist() == pytest.approx([1.0])
        assert gradient.abs().max() < 1e-6


@pytest.mark.parametrize("distance", [tone, color])
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_tone_and_color_of_half_numbers_are_counted_in_float32(kind: torch.dtype, distance: Distance) -> None:
    output, content = areas(2, 0).to(kind), areas(2, 1).to(kind)
    found = distance(output, content)
    assert found.dtype == torch.float32
    assert torch.equal(found, distance(output.float(), content.float()))


def test_color_distance_is_the_formula() -> None:
    output, content = (areas(3, seed, sides=(115, 131)) for seed in (0, 1))
    output = 0.6 * output + 0.4 * content.flip(1)
    found = color(output, content)
    wanted = [
        color_by_loops(o.double().numpy(), c.double().numpy()) for o, c in zip(output, content, strict=True)
    ]
    # An inverse of 6 x 6 numbers whose eigenvalues are between 1e-4 and 0.05 or so, in float32.
    assert found.tolist() == pytest.approx(wanted, abs=2e-4)
    assert min(wanted) > 0.1
    assert max(wanted) - min(wanted) > 0.01, "the control: they differ"
    assert color(output[:1], content[:1]).tolist() == pytest.approx(wanted[:1], abs=2e-4)


def test_any_palette_is_the_photo_s_color_and_a_patch_of_its_own_is_not() -> None:
    photo = areas(1, 0, sides=(115, 131))
    golden = torch.cat([0.9 - 0.5 * photo[:, 1:2].square(), photo[:, :1], 0.3 * photo[:, 2:]], dim=1)
    for output in (photo, 1 - photo, golden, photo.mean(1, keepdim=True).expand_as(photo)):
        assert float(color(output, photo)) < 0.05
    patched = photo.clone()
    patched[:, :, 32:80, 32:80] = torch.tensor([0.2, 0.8, 1.0])[:, None, None]
    assert float(color(patched, photo)) > 0.25
