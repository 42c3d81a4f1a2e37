"""From coarse to fine: in tiles as whole, on every engine, at any strength, in regions with strokes of their own."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.engines.choice import Computing, Engine
from stylebank.engines.stages import Array
from stylebank.machine.memory import Tiling
from stylebank.painting import pyramid, strokes
from stylebank.painting.painter import StyleBank

ENGINES: tuple[Engine, ...] = get_args(Engine)

FIRST = 64
"""Pixels of first passes here: pictures of 200 px have three passes at stroke 1."""

SAME = 1e-4
"""As in test_fusion: float32 sums in another order."""

Paint = Callable[[Any, Any], Any]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strokes, "FIRST", FIRST)


@pytest.fixture(scope="module")
def contents(make_bank: Callable[..., Bundle]) -> Bundle:
    """A bank whose pictures change by little where grounds change by a level, as those of trained banks do."""
    made = make_bank({"dot": 1, "wave": 3, "night": 5})
    calm = {
        name: values * np.float32(0.3 if name.startswith("decoder.") and "norm.weight" in name else 1)
        for name, values in made.coder.items()
    }
    return replace(made, coder=calm)


def opened(contents: Bundle, engine: str = "torch", tile: str = "off", **options: Any) -> StyleBank:
    return StyleBank(contents, computing=Computing(engine, "float32", "cpu"), tiling=Tiling(tile, **options))


@pytest.fixture(scope="module")
def photo(draw: Callable[[int, int], Tensor]) -> Image.Image:
    levels = (draw(150, 203) * 255).round().byte().permute(1, 2, 0)
    return Image.fromarray(levels.contiguous().numpy())


def tensor_of(photo: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255


def half(size: tuple[int, int]) -> NDArray[np.float32]:
    """A mask of the left half of an image (H, W)."""
    return np.broadcast_to(np.arange(size[1]) < size[1] / 2, size).astype(np.float32)


def fused(mode: str, second: str, **options: Any) -> Paint:
    def paint(bank: Any, photo: Any) -> Any:
        left = half((photo.height, photo.width))
        return bank.fuse(photo, [(left, "night@x2"), (0.7 - 0.7 * left, second)], mode=mode, **options)

    return paint


PAINTS: dict[str, Paint] = {
    "two passes": lambda bank, photo: bank.stylize(photo, "wave", stroke=0.6),
    "three passes": lambda bank, photo: bank.stylize(photo, "wave"),
    "strength": lambda bank, photo: bank.stylize(photo, "night@0.5x0.6"),
    "keep_color": lambda bank, photo: bank.stylize(photo, {"dot": 1, "wave": 1}, keep_color=True),
    "enlarged": lambda bank, photo: bank.stylize(photo, "dot", stroke=0.25),
    "exact": fused("exact", "wave@x0.32", feather=6.0),
    "exact, strength": fused("exact", "wave@0.6", rest="dot"),
    "region": fused("region", "wave@0.6x0.6"),
    "paper": fused("paper", "wave@0.6x0.6", keep_color=True),
    "fused enlarged": fused("exact", "wave@x0.25"),
}


def levels(one: Image.Image, other: Image.Image) -> NDArray[np.int16]:
    assert one.size == other.size
    return np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16))


@pytest.fixture(scope="module")
def by_torch(contents: Bundle, photo: Image.Image) -> Callable[[str], Image.Image]:
    """One of `PAINTS` of the photo as a whole by PyTorch, painted once."""
    return lru_cache(lambda name: PAINTS[name](opened(contents), photo))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", PAINTS)
def test_tiled_is_whole_and_every_engine_paints_alike(
    name: str, engine: str, contents: Bundle, photo: Image.Image, by_torch: Callable[[str], Image.Image]
) -> None:
    last, all_ = (PAINTS[name](opened(contents, engine, tile), photo) for tile in ("160", "48"))
    whole = by_torch(name) if engine == "torch" else PAINTS[name](opened(contents, engine), photo)
    # As in test_tiled where the last pass alone is in tiles, but for settling: a level that is rounded otherwise moves
    # the forms around it. One of an earlier pass moves others around it in the next.
    for other, most, share in ((last, 2, 5e-3), (all_, 6, 0.3), (by_torch(name), 6, 0.3)):
        assert levels(whole, other).max() <= most
        assert (levels(whole, other) > 0).mean() <= share
    assert levels(whole, photo).mean() > 5, "the control"


@pytest.mark.parametrize("edition", [Network(width=4, blocks=0, outer_kernel=9), Network(width=4)])
def test_banks_without_revisions_and_of_other_shapes_are_painted_coarse_to_fine_too(
    edition: Network, make_bank: Callable[..., Bundle], photo: Image.Image
) -> None:
    made = make_bank({"wave": 3}, shape=edition, revises=False)
    whole, tiled = (opened(made, tile=tile).stylize(photo, "wave", stroke=0.6) for tile in ("off", "110"))
    assert levels(whole, tiled).max() <= 1
    assert levels(whole, opened(made).stylize(photo, "wave", stroke=0.3)).max() > 20, "the control: one pass"


def test_a_picture_is_the_formula(contents: Bundle, photo: Image.Image) -> None:
    """K over the small photo, R over each enlarged painting, of which the photo's detail is given back.

    Of what R changes of the forms of a painting, what both have at half the size, a part is kept, the less the later.
    """
    image, network = tensor_of(photo)[None], contents.build()

    def resized(x: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(x, size=size, mode="bicubic", antialias=True).clamp(0, 1)

    def settled(x: Tensor, over: Tensor, keep: float) -> Tensor:
        height, width = x.shape[-2:]
        half_ = (height + 1) // 2, (width + 1) // 2
        forms = resized(resized(over, half_), (height, width)) - resized(resized(x, half_), (height, width))
        return (x + (1 - keep) * forms).clamp(0, 1)

    for strength, stroke in ((1.0, 1.0), (0.5, 0.6)):
        share = strength**1.25
        sizes = strokes.sizes((150, 203), stroke)
        assert len(sizes) == (3 if stroke == 1 else 2)
        wanted = None
        before = over = resized(image, sizes[0])
        for place, size in enumerate(sizes):
            current = image if size == (150, 203) else resized(image, size)
            if wanted is not None:
                over = resized(wanted, size) + (1 - share) * (current - resized(before, size))
                over = over.clamp(0, 1)
            unsettled = passed(contents, network, over, again=place > 0, share=share)
            wanted = settled(unsettled, over, (1.0, *pyramid.KEEP)[place])
            before = current
        found = opened(contents).stylize(tensor_of(photo), "night", strength=strength, stroke=stroke)
        assert wanted is not None
        assert (found - wanted[0]).abs().max() < SAME
        picture = tensor_of(opened(contents).stylize(photo, "night", strength=strength, stroke=stroke))
        assert 1 > pyramid.KEEP[0] > pyramid.KEEP[1] > 0
        assert (found - unsettled[0]).abs().max() > 20 * SAME, "the control: nothing settled"
        # PIL images are rounded to levels at each size.
        assert (picture - found).abs().mean() < 2 / 255
        other = opened(contents).stylize(tensor_of(photo), "night", strength=strength, stroke=0.3)
        assert (other - wanted[0]).abs().max() > 20 * SAME, "the control: one pass"


def passed(contents: Bundle, network: Any, over: Tensor, *, again: bool, share: float) -> Tensor:
    """One pass of "night" over images (1, 3, H, W)."""
    from stylebank.network.layers import reflect_conv
    from stylebank.network.model import match_moments

    height, width = over.shape[-2:]
    image = F.pad(over, (0, -width % 4, 0, -height % 4), mode="reflect")
    filter_, gain = contents.find("night").of_pass(again=again)
    features, kernel = network.encode(image), torch.from_numpy(filter_).float()
    mixed = (1 - share) * features + share * gain * reflect_conv(features, kernel)
    plain = network.decode((1 - share + share / gain) * mixed)
    output = share * plain + (1 - share) * match_moments(plain, image)
    cut: Tensor = output[..., :height, :width].clamp(0, 1)
    return cut


@pytest.mark.parametrize("stroke", [0.25, 0.6, 1.0, 4.0])
def test_at_strength_0_every_stroke_gives_the_auto_encoder_of_the_photo(
    stroke: float, contents: Bundle, photo: Image.Image
) -> None:
    """With an auto-encoder that is perfect, the photo itself; this one is told to be."""
    bank, image = opened(contents), tensor_of(photo)
    bank.stages.paint = lambda x, _: x  # type: ignore[method-assign, assignment]
    found = bank.stylize(image, "wave", strength=0.0, stroke=stroke)
    # An enlarged photo that is shrunk again is no more than near.
    if strokes.painted_size((150, 203), [stroke]) == (150, 203):
        assert (found - image).abs().max() < SAME
    else:
        assert (found - image).abs().mean() < 0.03
    half_ = bank.stylize(image, "wave", strength=0.5, stroke=4.0)
    assert (half_ - image).abs().max() > 0.1, "the control: fine detail is lost in the first pass"


def test_a_photo_and_the_same_at_twice_its_size_give_alike_pictures(
    contents: Bundle, photo: Image.Image
) -> None:
    smooth = Image.fromarray(ndimage.gaussian_filter(np.asarray(photo), (2, 2, 0)))
    twice = smooth.resize((406, 300), Image.Resampling.BICUBIC)
    small, large = (
        np.asarray(opened(contents).stylize(image, "night", stroke=stroke).resize((101, 75)), float)
        for image, stroke in ((smooth, 1.0), (twice, 1.0))
    )
    one_pass = np.asarray(
        opened(contents).stylize(twice, "night", stroke=0.16 + 0.09).resize((101, 75)), float
    )

    def alike(one: NDArray[Any], other: NDArray[Any]) -> float:
        return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])

    assert alike(small, large) > alike(small, one_pass)


@pytest.mark.parametrize("words", ["night@x2", "wave@x0.32", "dot@0.5x1"])
def test_away_from_seams_a_region_is_the_whole_picture_in_its_style_and_stroke(
    words: str, contents: Bundle, photo: Image.Image
) -> None:
    bank, left = opened(contents), half((150, 203))
    far = ndimage.distance_transform_edt(left) > 48
    assert far.sum() > 20
    picture = bank.fuse(photo, [(left, words), (1 - left, "wave@0.7x0.6")])
    # Features are summed in another order, and forms that are shared by regions are rounded to levels before they are
    # shrunk; the picture settles on them by rows and columns that are rounded each.
    assert levels(picture, bank.stylize(photo, words))[far].max() <= 3
    assert levels(picture, bank.stylize(photo, words))[far].mean() < 0.5
    name = words.partition("@")[0]
    other = bank.stylize(photo, f"{name}@x4")
    assert levels(picture, other)[far].max() > 5, "the control: another stroke"


def test_a_region_s_stroke_goes_before_the_common_one(contents: Bundle, photo: Image.Image) -> None:
    bank, left = opened(contents), half((150, 203))
    one = bank.fuse(photo, [(left, "night@x2"), (1 - left, "wave")], stroke=0.6)
    other = bank.fuse(photo, [(left, "night@x2"), (1 - left, "wave@x0.6")])
    assert one.tobytes() == other.tobytes()
    assert bank.stylize(photo, "night@x2").tobytes() == bank.stylize(photo, "night", stroke=2).tobytes()
    assert bank.stylize(photo, "night@x2", stroke=1).tobytes() != bank.stylize(photo, "night").tobytes()


def test_uncovered_pixels_stay_the_photo_s_at_every_stroke(contents: Bundle, photo: Image.Image) -> None:
    left = half((150, 203))
    for stroke in (0.25, 1.0):
        picture = opened(contents).fuse(photo, [(left, "night@0.7")], stroke=stroke)
        assert np.array_equal(np.asarray(picture)[:, 102:], np.asarray(photo)[:, 102:])
        assert not np.array_equal(np.asarray(picture)[:, :100], np.asarray(photo)[:, :100])


def test_a_batch_is_its_images_one_by_one(contents: Bundle, draw: Callable[[int, int], Tensor]) -> None:
    one, bank = draw(101, 120), opened(contents)
    batch, left = torch.stack([one, one.flip(1)]), half((101, 120))
    paints: tuple[Callable[[Tensor], Tensor], ...] = (
        lambda x: bank.stylize(x, "night@0.5"),
        lambda x: bank.fuse(x, [(left, "night"), (1 - left, "wave@0.5x0.5")]),
    )
    for paint in paints:
        for found, image in zip(paint(batch), batch, strict=True):
            assert (found - paint(image)).abs().max() < SAME
    photos = [Image.fromarray((x * 255).byte().permute(1, 2, 0).numpy()) for x in batch]
    for found_, photo in zip(bank.stylize_all(photos, "night@0.5"), photos, strict=True):
        alone = bank.stylize(photo, "night@0.5")
        # A level that is rounded otherwise moves forms around it, and what is painted over them.
        assert levels(found_, alone).max() <= 2
        assert (levels(found_, alone) > 0).mean() < 0.05


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_tensor_keeps_its_kind_at_every_stroke(dtype: torch.dtype, contents: Bundle) -> None:
    image = torch.rand(3, 70, 90, generator=torch.Generator().manual_seed(0)).to(dtype)
    for stroke in (0.25, 1.0, 2.0):
        found = opened(contents).stylize(image, "wave", stroke=stroke)
        assert (found.dtype, found.shape) == (dtype, image.shape)


@pytest.mark.parametrize("name", PAINTS)
def test_progress_is_told_over_all_passes_and_ends_at_all_work(
    name: str, contents: Bundle, photo: Image.Image
) -> None:
    told: list[tuple[float, float]] = []
    PAINTS[name](opened(contents, tile="48", report=lambda *work: told.append(work)), photo)
    shares = [done / total for done, total in told]
    assert len({total for _, total in told}) == 1
    assert shares == sorted(shares)
    assert 0 < shares[0] < 0.05
    assert shares[-1] == pytest.approx(1)


def test_pictures_of_a_canvas_share_the_photo_s_features_at_each_size_and_strength(
    contents: Bundle, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = opened(contents)
    canvas, encoded = bank.open(photo), bank.stages.encode
    seen: list[tuple[int, ...]] = []

    def noted(x: Array) -> Array:
        seen.append(tuple(x.shape[-2:]))
        return encoded(x)

    monkeypatch.setattr(bank.stages, "encode", noted)
    words = ("night", "wave", "wave@0.5", "night@0.5")
    wanted = [bank.stylize(photo, each).tobytes() for each in words]
    seen.clear()
    for _ in range(2):
        assert [canvas.stylize(each).tobytes() for each in words] == wanted
    assert seen.count((48, 64)) == 2, "the photo, small, primed for each of two strengths"
    canvas.stylize("night", stroke=2)
    assert seen.count((24, 32)) == 1
    left = half((150, 203))
    seen.clear()
    canvas.fuse([(left, "night@x0.32"), (0.3 * left, "wave@x0.32"), (1 - left, "night@x0.6")])
    assert seen.count((152, 204)) == 2, "the photo for two regions, and a painting"
