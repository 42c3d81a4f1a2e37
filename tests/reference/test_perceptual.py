"""LPIPS and FID by torchmetrics: what they measure, and one line where a backbone cannot be had."""

import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from stylebank.errors import ConfigError
from stylebank.reference.perceptual import Perceptual

pytest.importorskip("torchmetrics")

CPU = torch.device("cpu")


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty TORCH_HOME where torchvision keeps its downloads, and no network."""

    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def squeezenet(checkpoints: Path) -> Path:
    """Random weights in the place of squeezenet's."""
    from torchvision.models import SqueezeNet1_1_Weights, squeezenet1_1

    path = checkpoints / str(SqueezeNet1_1_Weights.DEFAULT.url).rpartition("/")[2]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(squeezenet1_1(weights=None).state_dict(), path)  # noqa: TID251 - torchvision's own format
    return path


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.usefixtures("squeezenet")
def test_lpips_is_the_mean_distance_of_pairs_and_zero_for_equal_ones(images: Tensor) -> None:
    found = Perceptual("squeeze", None, CPU)
    assert found.lpips(images, images) == 0
    other = images.flip(0)
    pairs = [found.lpips(one, two) for one, two in zip(images.split(1), other.split(1), strict=True)]
    assert min(pairs[0], pairs[2]) > 0
    assert pairs[1] == 0, "the middle one is its own pair"
    assert found.lpips(images, other) == pytest.approx(sum(pairs) / 3, rel=1e-6)


@pytest.mark.usefixtures("squeezenet")
def test_a_stronger_disturbance_is_farther_away(images: Tensor) -> None:
    found = Perceptual("squeeze", None, CPU)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    distances = [found.lpips((images + size * noise).clamp(0, 1), images) for size in (0.01, 0.1, 0.5)]
    assert distances == sorted(distances)
    assert distances[2] > 2 * distances[0] > 0


@pytest.mark.usefixtures("squeezenet")
def test_without_inception_weights_there_is_no_fid(images: Tensor) -> None:
    assert Perceptual("squeeze", None, CPU).fid([images], [images]) is None


def test_fid_is_of_all_paintings_to_all_outputs_as_squares_of_299(images: Tensor) -> None:
    """With torchmetrics' part played by a recorder: torch-fidelity and its weights are not here."""
    seen: list[tuple[tuple[int, ...], bool]] = []

    class Recorder:
        device = CPU
        reset = staticmethod(seen.clear)

        @staticmethod
        def update(batch: Tensor, *, real: bool) -> None:
            assert batch.min() >= 0
            assert batch.max() <= 1
            seen.append((tuple(batch.shape), real))

        @staticmethod
        def compute() -> Tensor:
            return torch.tensor(2.5)

    measure: Callable[..., float | None] = Perceptual.fid
    paintings = [torch.rand(1, 3, 20, 50).round(), torch.rand(1, 3, 400, 300).round()]
    for _ in range(2):  # the second time as the first
        assert measure(SimpleNamespace(_fid=Recorder()), paintings, [images]) == 2.5
        squares = [(1, 3, 299, 299), (1, 3, 299, 299), (3, 3, 299, 299)]
        assert seen == list(zip(squares, [True, True, False], strict=True))


def refusal(backbone: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Perceptual(backbone, None, CPU)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.usefixtures("checkpoints")
def test_weights_that_are_not_there_without_a_network_are_refused() -> None:
    message = refusal("squeeze")
    assert message.startswith("--lpips squeeze: its weights cannot be had (")
    assert "no network" in message


def test_an_unknown_backbone_is_refused_before_anything_is_imported() -> None:
    assert refusal("resnet") == "--lpips resnet: is unknown; choose one of alex, vgg, squeeze"


def test_without_torchmetrics_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics.image.lpip", None)
    assert "pip install 'stylebank[metrics]'" in refusal("squeeze")


@pytest.mark.parametrize("damage", [b"", b"my thesis", b"PK\3\4 cut short"])
def test_damaged_weights_are_refused(damage: bytes, squeezenet: Path) -> None:
    squeezenet.write_bytes(damage)
    assert refusal("squeeze").startswith("--lpips squeeze: its weights cannot be had (")
