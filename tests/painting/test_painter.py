"""A loaded bank: what goes in comes out painted, in its own kind and size, by its own style alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import stylebank
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing, Engine
from stylebank.errors import DeviceError, ImageError, TensorFileError, UnknownStyleError
from stylebank.files import tensorfile
from stylebank.painting.painter import StyleBank

pytestmark = pytest.mark.usefixtures("in_one_pass")

NAMES = ("wave", "night", "scream")


@pytest.fixture(scope="module")
def contents(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank(dict(zip(NAMES, (3, 5, 3), strict=True)))


def opened(contents: Bundle, engine: str, **options: Any) -> StyleBank:
    return StyleBank(contents, computing=Computing(engine, "float32", "cpu"), **options)


@pytest.fixture(scope="module", params=get_args(Engine))
def bank(contents: Bundle, request: pytest.FixtureRequest) -> StyleBank:
    return opened(contents, request.param)


@pytest.fixture(scope="module")
def by_torch(contents: Bundle) -> StyleBank:
    return opened(contents, "torch")


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 45, 3), np.uint8))


def tensor_of(photo: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255


def test_package_offers_the_bank() -> None:
    assert stylebank.StyleBank is StyleBank


def test_styles_keep_the_order_of_the_file(contents: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bank", contents)
    for path in (tmp_path / "bank", str(tmp_path / "bank")):
        bank = StyleBank.load(path, device="cpu")
        assert bank.styles == NAMES
        assert bank.styles == bank.contents.names


def test_a_bank_is_loaded_for_the_engine_that_is_asked_for(contents: Bundle, tmp_path: Path) -> None:
    bundle.write(tmp_path / "bank", contents)
    for engine, kind in (("torch", "TorchStages"), ("onnx", "GraphStages"), ("openvino", "GraphStages")):
        bank = StyleBank.load(tmp_path / "bank", engine=engine, precision="float32", device="cpu")
        assert type(bank.stages).__name__ == kind


def test_without_a_path_the_bank_is_the_one_that_comes_along(
    contents: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle.write(tmp_path / "bank", contents)
    monkeypatch.setattr("stylebank.files.resources.default_bank", lambda: tmp_path / "bank")
    assert StyleBank.load(device="cpu").styles == NAMES


def test_a_pil_image_comes_back_as_a_pil_image_of_its_size(bank: StyleBank, photo: Image.Image) -> None:
    picture = bank.stylize(photo, "wave")
    assert isinstance(picture, Image.Image)
    assert (picture.size, picture.mode) == (photo.size, "RGB")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_a_pil_image_of_any_mode_is_painted_in_rgb(mode: str, bank: StyleBank, photo: Image.Image) -> None:
    picture = bank.stylize(
        photo.convert("L").convert(mode) if mode == "I;16" else photo.convert(mode), "wave"
    )
    assert (picture.size, picture.mode) == (photo.size, "RGB")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 17, 22), (1, 3, 17, 22), (2, 3, 16, 20)])
def test_a_tensor_comes_back_with_its_shape_dtype_and_device(
    shape: tuple[int, ...], dtype: torch.dtype, bank: StyleBank
) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    before, image = image.clone(), image.requires_grad_()
    for output in (
        bank.stylize(image, "night"),
        bank.stylize(image, "night@0.5", keep_color=True),
        bank.fuse(image, [(np.eye(9), "wave")], fit=True),
    ):
        check(output, image, dtype)
    assert torch.equal(image, before), "the photo is left as it was"


def check(output: Tensor, image: Tensor, dtype: torch.dtype) -> None:
    assert (output.shape, output.dtype, output.device) == (image.shape, dtype, image.device)
    assert output.min() >= 0
    assert output.max() <= 1
    assert not output.requires_grad


def test_pil_images_and_tensors_give_the_same_picture(bank: StyleBank, photo: Image.Image) -> None:
    picture = tensor_of(bank.stylize(photo, "wave"))
    # A PIL image holds 255 levels: half of one is lost by rounding; 1e-6 for float32 itself.
    half_a_level = 0.5 / 255 + 1e-6
    assert (picture - bank.stylize(tensor_of(photo), "wave")).abs().max() <= half_a_level
    other = bank.stylize(tensor_of(photo), "night")
    assert (picture - other).abs().max() > half_a_level, "the control: another style is told apart"


def test_images_of_a_batch_do_not_see_each_other(bank: StyleBank) -> None:
    batch = torch.rand(3, 3, 20, 24, generator=torch.Generator().manual_seed(2))
    outputs = bank.stylize(batch, "scream")
    # A batch may be summed in another order: seven layers of float32, about 1e-6 each, with room for gains.
    tolerance = 1e-4
    for image, output in zip(batch, outputs, strict=True):
        assert (bank.stylize(image, "scream") - output).abs().max() < tolerance
    assert (bank.stylize(batch[0], "scream") - outputs[1]).abs().max() > tolerance, "the control"


@pytest.mark.parametrize("engine", get_args(Engine))
def test_same_photo_gives_the_same_bits(engine: str, contents: Bundle, photo: Image.Image) -> None:
    image = tensor_of(photo)
    bank = opened(contents, engine)
    first = bank.stylize(image, "wave")
    assert torch.equal(bank.stylize(image, "wave"), first)
    assert torch.equal(opened(contents, engine).stylize(image, "wave"), first)


@pytest.mark.parametrize("engine", get_args(Engine))
def test_a_style_does_not_depend_on_the_others_of_its_bank(
    engine: str, contents: Bundle, photo: Image.Image
) -> None:
    image = tensor_of(photo)
    whole = opened(contents, engine)
    for entry in contents.entries:
        alone = opened(replace(contents, entries=(entry,)), engine)
        assert torch.equal(alone.stylize(image, entry.name), whole.stylize(image, entry.name))
    assert not torch.equal(whole.stylize(image, "wave"), whole.stylize(image, "scream")), "the control"


def extended(image: Tensor) -> Tensor:
    """(1, 3, H, W), mirrored in its last row and column until there are 16 or more, divisible by 4."""
    for axis in (1, 2):
        while (length := image.shape[axis]) < 16 or length % 4:
            # Past a single pixel there is nothing but itself.
            back = [0] * 16 if length == 1 else range(length - 2, -1, -1)
            wanted = max(16, -(-length // 4) * 4)
            mirror = image.index_select(axis, torch.tensor(list(back)))
            image = torch.cat([image, mirror], axis).narrow(axis, 0, min(wanted, length + len(back)))
    return image.unsqueeze(0)


@pytest.mark.parametrize("height", range(1, 41))
def test_any_size_from_one_pixel_up_is_painted_as_if_it_were_mirrored_to_whole_cells(
    height: int, bank: StyleBank
) -> None:
    width = height * 7 % 40 + 1  # each width from 1 to 40 once, never with the same height twice
    image = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height))
    output = bank.stylize(image, "night")
    assert output.shape == image.shape
    wanted = bank.stylize(extended(image), "night")[0, :, :height, :width]
    # The same numbers, in a batch of their own.
    assert (output - wanted).abs().max() < 1e-4


def test_memory_layout_does_not_matter(bank: StyleBank) -> None:
    image = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(3))
    last = image.to(memory_format=torch.channels_last)
    turned = image.transpose(2, 3).contiguous().transpose(2, 3)
    wanted = bank.stylize(image, "wave")
    for other in (last, turned):
        assert not other.is_contiguous()
        assert (
            bank.stylize(other, "wave") - wanted
        ).abs().max() < 1e-4  # as in a batch: another order of sums


def test_an_unknown_style_is_refused_with_the_nearest_name(bank: StyleBank, photo: Image.Image) -> None:
    with pytest.raises(UnknownStyleError, match=r"'nihgt'.*did you mean 'night'.*wave, night, scream"):
        bank.stylize(photo, "nihgt")
    with pytest.raises(UnknownStyleError, match="'zzz'") as far_off:
        bank.stylize(photo, "zzz")
    assert "did you mean" not in str(far_off.value)


@pytest.mark.parametrize(
    "image",
    [
        torch.zeros(3, 8, 8, dtype=torch.uint8),
        torch.zeros(3, 8, 8, dtype=torch.int64),
        torch.zeros(3, 8, 8, dtype=torch.bool),
        torch.zeros(3, 8, 8, dtype=torch.complex64),
        torch.zeros(8, 8),
        torch.zeros(4, 8, 8),
        torch.zeros(8, 8, 3),
        torch.zeros(1, 1, 3, 8, 8),
        torch.zeros(3, 0, 8),
        torch.zeros(0, 3, 8, 8),
    ],
    ids=lambda image: f"{image.dtype}-{tuple(image.shape)}",
)
def test_a_tensor_that_is_no_image_is_refused(image: Tensor, bank: StyleBank) -> None:
    with pytest.raises(ImageError, match="image tensor"):
        bank.stylize(image, "wave")


def test_an_image_without_pixels_is_refused(bank: StyleBank) -> None:
    with pytest.raises(ImageError):
        bank.stylize(Image.new("RGB", (0, 5)), "wave")


def test_a_file_that_is_no_bank_is_refused(contents: Bundle, tmp_path: Path) -> None:
    with pytest.raises(TensorFileError, match="missing"):
        StyleBank.load(tmp_path / "missing")
    bundle.write(tmp_path / "bank", contents)
    whole = (tmp_path / "bank").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-1])
    tensorfile.write(tmp_path / "other", kind="checkpoint", tensors=contents.coder, manifest={})
    for name in ("cut", "other"):
        with pytest.raises(TensorFileError, match=name):
            StyleBank.load(tmp_path / name)


def test_an_unknown_device_is_refused(contents: Bundle) -> None:
    with pytest.raises(DeviceError, match="auto, cpu, cuda"):
        StyleBank(contents, computing=Computing(device="gpu"))


def test_a_photo_lying_on_its_side_is_painted_upright(bank: StyleBank, photo: Image.Image) -> None:
    lying = photo.transpose(Image.Transpose.ROTATE_90)
    exif = lying.getexif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees to the right
    painted = bank.stylize(lying, "wave")
    assert painted.size == photo.size
    assert painted.tobytes() == bank.stylize(photo, "wave").tobytes()
