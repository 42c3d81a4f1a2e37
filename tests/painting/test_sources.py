"""What is painted keeps its kind through every step between passes, and a batch is its images one by one."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank.painting.sources import Photo, Photos, Source, Tensors

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]
SHAPES = [(3, 22, 31), (1, 3, 22, 31), (3, 3, 17, 30), (2, 3, 1, 1)]

pytestmark = pytest.mark.primed


def drawn(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, *, seed: int = 0) -> Tensor:
    return (0.2 + 0.6 * torch.rand(shape, generator=torch.Generator().manual_seed(seed))).to(dtype)


def image_of(tensor: Tensor) -> Image.Image:
    return Image.fromarray((tensor * 255).round().byte().permute(1, 2, 0).contiguous().numpy())


STEPS: dict[str, Callable[[Tensors, Tensors], Tensors]] = {
    "settled": lambda own, over: own.settled(over, 0.6),
    "primed": lambda own, _: own.primed(0.6),
    "enlarged": lambda own, over: own.ground(over, over, 0.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_settled_tensor_has_its_shape_and_dtype_over_a_ground_of_any(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    own = Tensors(drawn(shape, dtype))
    for over in (drawn(shape, seed=1), drawn(shape, dtype, seed=1)):
        for keep in (0.0, 0.5, 1.0):
            found = own.settled(Tensors(over), keep)
            assert (found.picture.shape, found.picture.dtype) == (shape, dtype)
            assert (found.size, found.count) == (own.size, own.count)
    assert torch.equal(own.settled(Tensors(over), 1.0).picture, own.picture)
    assert min(shape[-2:]) == 1 or not torch.equal(own.settled(Tensors(over), 0.5).picture, own.picture)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_primed_tensor_has_its_shape_and_is_a_ground_in_float32(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    own = Tensors(drawn(shape, dtype))
    found = own.primed(0.6)
    assert (found.picture.shape, found.picture.dtype) == (shape, torch.float32)
    assert torch.equal(own.primed(0.0).picture, own.picture.float())
    assert own.picture.dtype == dtype, "and the photo stays as it is"


@pytest.mark.parametrize("name", STEPS)
def test_a_batch_is_its_images_one_by_one(name: str) -> None:
    batch, over = drawn((3, 3, 40, 60)), drawn((3, 3, 40, 60), seed=1)
    found = STEPS[name](Tensors(batch), Tensors(over)).picture
    for place in range(3):
        alone = STEPS[name](Tensors(batch[place]), Tensors(over[place])).picture
        # A batch's float32 sums may be in another order.
        assert (alone - found[place]).abs().max() < 1e-6
        assert (alone - found[place - 1]).abs().max() > 0.1, "the control: another image"


def test_photos_are_their_images_one_by_one_and_near_the_same_as_tensors() -> None:
    batch, over = drawn((2, 3, 40, 60)), drawn((2, 3, 40, 60), seed=1)
    photos, grounds = [image_of(x) for x in batch], [image_of(x) for x in over]
    steps: tuple[Callable[[Source[object], Source[object]], Source[object]], ...] = (
        lambda own, ground: own.settled(ground, 0.6),
        lambda own, _: own.primed(0.6),
    )
    for step in steps:
        found = step(Photos(photos), Photos(grounds)).picture
        tensors = step(Tensors(batch), Tensors(over)).picture
        assert isinstance(found, list)
        assert isinstance(tensors, Tensor)
        for place, picture in enumerate(found):
            alone = step(Photo(photos[place]), Photo(grounds[place])).picture
            assert isinstance(alone, Image.Image)
            assert alone.tobytes() == picture.tobytes()
            distance = np.abs(np.asarray(picture, float) / 255 - tensors[place].permute(1, 2, 0).numpy())
            # Levels are rounded at every size, and Pillow's cubic is another than torch's.
            assert distance.mean() < 1.5 / 255
            assert distance[4:-4, 4:-4].max() < 6 / 255
