"""A canvas encodes its photo once for each strength, and paints from there what the bank paints of the photo."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from stylebank.bank.bundle import Bundle
from stylebank.engines.choice import Computing, Engine
from stylebank.engines.stages import Array, Given
from stylebank.errors import ConfigError, ImageError, UnknownStyleError
from stylebank.machine.memory import Tiling
from stylebank.network.architecture import ENCODER, Part
from stylebank.painting import fusion, pyramid
from stylebank.painting.fusion import Mode
from stylebank.painting.painter import StyleBank

pytestmark = pytest.mark.usefixtures("in_one_pass")

Floats = NDArray[np.float32]

SAME = 1e-4
"""As in test_fusion: the same float32 sums in another order."""


@pytest.fixture(scope="module")
def contents(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "night": 5, "dot": 1})


def opened(contents: Bundle, engine: str = "torch", **options: Any) -> StyleBank:
    return StyleBank(contents, computing=Computing(engine, "float32", "cpu"), **options)


@pytest.fixture(scope="module", params=get_args(Engine))
def bank(contents: Bundle, request: pytest.FixtureRequest) -> StyleBank:
    return opened(contents, request.param)


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (61, 90, 3), np.uint8))


@pytest.fixture(scope="module")
def left() -> Floats:
    """A mask of the photo's left part."""
    return np.broadcast_to(np.arange(90) < 40, (61, 90)).astype(np.float32)


def encodings(bank: StyleBank, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Noted from now on: whenever the encoder gives features."""
    seen: list[str] = []
    run, encode = bank.stages.run, bank.stages.encode

    def ran(part: Part, x: Array, *, kernel: Floats | None = None, given: Given | None = None) -> Array:
        if part.name == ENCODER and given:  # of a tile
            seen.append(part.name)
        return run(part, x, kernel=kernel, given=given)

    def encoded(x: Array) -> Array:
        seen.append("whole")
        return encode(x)

    monkeypatch.setattr(bank.stages, "run", ran)
    monkeypatch.setattr(bank.stages, "encode", encoded)
    return seen


STRENGTHS = 4
"""How many strengths `pictures` are of, 1, 0.6, 0.4 and 0.5: first passes at each are over a photo primed for it."""


def pictures(of: Any, left: Floats, image: Any = None) -> list[Any]:
    """What is painted of an image by a bank, or by a canvas that has it."""
    given = [] if image is None else [image]
    regions = [(left, "wave"), (1 - left, "night@0.4")]
    return [
        of.stylize(*given, "wave"),
        of.stylize(*given, {"dot": 1, "night": 2}, strength=0.6),
        of.stylize(*given, "night", keep_color=True),
        *(of.fuse(*given, regions, mode=mode, feather=4.0) for mode in ("exact", "region", "paper")),
        of.fuse(*given, regions[:1], rest="dot", strength=0.5),
        of.fuse(*given, regions[:1], keep_color=True),
    ]


def bytes_of(picture: Any) -> bytes:
    return bytes(picture.tobytes() if isinstance(picture, Image.Image) else picture.numpy().tobytes())


@pytest.mark.parametrize("kind", ["PIL", "tensor"])
def test_a_canvas_encodes_once_a_strength_and_paints_what_the_bank_paints(
    kind: str, bank: StyleBank, photo: Image.Image, left: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    image: Any = photo if kind == "PIL" else torch.from_numpy(np.array(photo)).permute(2, 0, 1) / 255
    canvas = bank.open(image)
    wanted = pictures(bank, left, image)
    seen = encodings(bank, monkeypatch)
    found = pictures(canvas, left)
    # A bank paints one picture in one go, features and all: sums in another order.
    for one, other in zip(found, wanted, strict=True):
        if isinstance(one, Image.Image):
            distance = np.abs(np.asarray(one, int) - np.asarray(other, int))
            assert (one.size, one.mode) == (photo.size, "RGB")
            assert distance.max() <= 1
            assert (distance > 0).mean() <= 0.01
        else:
            assert one.shape == image.shape
            assert (one - other).abs().max() < SAME
    assert len(set(map(bytes_of, found))) == len(found), "the control: no two are alike"
    pictures(canvas, left)
    assert len(seen) == STRENGTHS
    bank.fuse(image, [(left, "wave")])
    bank.fuse(image, [(left, "wave")])
    assert len(seen) == STRENGTHS + 2, "the control: the bank itself encodes each time"


@pytest.mark.parametrize("engine", get_args(Engine))
def test_a_canvas_in_tiles_encodes_once_a_strength_too(
    engine: str, contents: Bundle, photo: Image.Image, left: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = opened(contents, engine, tiling=Tiling("32"))
    wanted = pictures(bank, left, photo)
    canvas = bank.open(photo)
    seen = encodings(bank, monkeypatch)
    canvas.stylize("dot")
    count = len(seen)
    assert count > 0
    found = pictures(canvas, left)
    assert [bytes_of(one) for one in found] == [bytes_of(one) for one in wanted]
    assert len(seen) == STRENGTHS * count
    pictures(canvas, left)
    assert len(seen) == STRENGTHS * count


def test_features_are_those_of_the_encoder_and_kept_for_strength_0(
    bank: StyleBank, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    canvas = bank.open(photo.crop((0, 0, 88, 60)))
    seen = encodings(bank, monkeypatch)
    features = canvas.features()
    content = torch.from_numpy(np.array(photo)[:60, :88]).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        wanted = bank.contents.build().encode(content)[0].numpy()
    assert features.shape == wanted.shape == (16, 15, 22)
    assert np.abs(features - wanted).max() < SAME * np.abs(wanted).max()
    canvas.stylize("wave@0")
    assert canvas.features().tobytes() == features.tobytes()
    assert len(seen) == 1
    canvas.stylize("wave")
    assert len(seen) == 2, "the control: a style's strokes begin on a primed photo"


@pytest.mark.primed
def test_features_are_of_the_photo_as_it_is_whatever_was_painted_before(
    bank: StyleBank, photo: Image.Image
) -> None:
    grey = Image.new("RGB", photo.size, (120, 130, 140))
    before, canvas = bank.open(grey).features(), bank.open(grey)
    canvas.stylize("wave")
    assert canvas.features().tobytes() == before.tobytes()
    rough = Image.effect_noise(photo.size, 20).convert("RGB")
    assert np.abs(bank.open(rough).features() - before).max() > 0.1, "the control: grain shows in features"


def test_features_in_tiles_are_those_of_the_whole(contents: Bundle, photo: Image.Image) -> None:
    whole, tiled = (opened(contents, tiling=Tiling(tile)).open(photo).features() for tile in ("off", "32"))
    assert whole.shape == (16, 16, 23)
    assert np.abs(whole - tiled).max() < SAME * np.abs(whole).max()


def test_a_canvas_knows_the_size_of_its_photo(bank: StyleBank, photo: Image.Image) -> None:
    assert bank.open(photo).size == (61, 90)
    assert bank.open(torch.rand(2, 3, 17, 22)).size == (17, 22)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 17, 22), (1, 3, 17, 22), (3, 3, 16, 20)])
def test_a_tensor_comes_back_with_its_shape_dtype_and_device(
    shape: tuple[int, ...], dtype: torch.dtype, bank: StyleBank
) -> None:
    image = torch.rand(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    output = bank.open(image).stylize("night@0.5")
    assert (output.shape, output.dtype, output.device) == (image.shape, dtype, image.device)


def test_a_batch_is_its_images_one_by_one(bank: StyleBank) -> None:
    batch = torch.rand(3, 3, 20, 27, generator=torch.Generator().manual_seed(2))
    for words, keep_color in (("wave", False), ("night@0.4", False), ("dot@0.7", True)):
        outputs: Tensor = bank.open(batch).stylize(words, keep_color=keep_color)
        for image, output in zip(batch, outputs, strict=True):
            alone = bank.open(image).stylize(words, keep_color=keep_color)
            assert (alone - output).abs().max() < SAME
        other = bank.open(batch[0]).stylize(words, keep_color=keep_color)
        assert (other - outputs[1]).abs().max() > SAME, "the control"


@pytest.mark.parametrize("mode", ["exact", "region"])
def test_a_canvas_of_a_batch_fuses_each_image_as_if_it_were_alone(mode: Mode, bank: StyleBank) -> None:
    batch = torch.rand(2, 3, 20, 28, generator=torch.Generator().manual_seed(2))
    mask = np.broadcast_to(np.arange(28) < 12, (20, 28)).astype(np.float32)
    regions = [(mask, "wave"), (1 - mask, "night")]
    found: Tensor = bank.open(batch).fuse(regions, mode=mode)
    for image, output in zip(batch, found, strict=True):
        assert (bank.open(image).fuse(regions, mode=mode) - output).abs().max() < SAME


def test_what_is_wrong_is_refused_and_the_canvas_paints_on(bank: StyleBank, photo: Image.Image) -> None:
    canvas = bank.open(photo)
    before = canvas.stylize("wave").tobytes()
    wrong: tuple[tuple[type[Exception], Callable[[], Image.Image]], ...] = (
        (UnknownStyleError, lambda: canvas.stylize("wvae")),
        (ConfigError, lambda: canvas.stylize("wave", strength=2)),
        (ConfigError, lambda: canvas.fuse([])),
        (ImageError, lambda: canvas.fuse([(np.ones(3), "wave")])),
    )
    for error, paint in wrong:
        with pytest.raises(error):
            paint()
    assert canvas.stylize("wave").tobytes() == before


def test_a_canvas_keeps_a_copy_of_what_it_was_given(bank: StyleBank, photo: Image.Image) -> None:
    mine = photo.copy()
    canvas = bank.open(mine)
    before = canvas.stylize("wave@0.5", keep_color=True).tobytes()
    mine.paste("white", (0, 0, *mine.size))
    assert canvas.stylize("wave@0.5", keep_color=True).tobytes() == before
    tensor = torch.rand(3, 20, 28, generator=torch.Generator().manual_seed(3))
    opened = bank.open(tensor)
    first = opened.stylize("wave@0.5")
    tensor.zero_()
    assert torch.equal(opened.stylize("wave@0.5"), first)


def test_a_photo_that_is_not_loaded_yet_is_painted_in_tiles_by_several_threads(
    make_bank: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow reads a file when its pixels are first asked for: by all threads at the same time, it would fail."""
    monkeypatch.setattr("stylebank.machine.devices.cores", lambda: 4)
    drawn = Image.effect_noise((400, 300), 60).convert("RGB")
    drawn.save(tmp_path / "photo.jpg")
    computing = Computing("openvino", "float32", "cpu")
    bank = StyleBank(make_bank({"wave": 3}), computing=computing, tiling=Tiling("64"))
    wanted = bank.stylize(Image.open(tmp_path / "photo.jpg").convert("RGB"), "wave").tobytes()
    for _ in range(4):
        assert bank.stylize(Image.open(tmp_path / "photo.jpg"), "wave").tobytes() == wanted


@pytest.mark.parametrize("wrong", ["photo.jpg", None, np.zeros((4, 5, 3), np.uint8)])
def test_what_is_no_image_is_refused_in_one_line(wrong: Any, bank: StyleBank) -> None:
    for call in (bank.open, lambda image: bank.stylize(image, "wave")):
        with pytest.raises(ImageError, match=r"image: is a \w+; give a PIL image"):
            call(wrong)


def test_photos_of_several_sizes_or_none_are_refused_together(bank: StyleBank, photo: Image.Image) -> None:
    for photos in ([], [photo, photo.resize((30, 20))]):
        with pytest.raises(ImageError, match="are not of one size"):
            bank.stylize_all(photos, "wave")


def test_a_canvas_forgets_sizes_and_mixtures_that_were_long_ago(contents: Bundle) -> None:
    """Else a slider that is dragged to and fro, or a pad of mixtures, fills memory."""
    canvas = opened(contents).open(Image.effect_noise((48, 40), 60).convert("RGB"))
    first = np.asarray(canvas.stylize("wave"))
    for side in range(8, 40, 2):
        canvas._pyramid.level((side, side))
    assert len(canvas._pyramid._levels) <= pyramid._LEVELS + 1
    left = np.zeros((40, 48), bool)
    left[:, :20] = True
    for weight in range(1, 40):
        canvas.fuse([(left, {"wave": 1, "dot": weight})], rest="night")
    kept = [ground.surveys for level in canvas._pyramid._levels.values() for ground in grounds_of(level)]
    assert 0 < max(map(len, kept)) <= fusion._SURVEYS
    assert (np.asarray(canvas.stylize("wave")) == first).all()


def grounds_of(level: pyramid.Level[Any]) -> list[Any]:
    return [level.photo, *level._primed.values()]
