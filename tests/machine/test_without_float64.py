"""What runs on a Mac's GPU makes no float64 there, mixes it with no other device, and calls what PyTorch has for it.

No such machine runs these tests. CPU tensors stand in: they say they are on "mps" and refuse what it refuses.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from stylebank import StyleBank
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Config, Loss, Network, Report, Style, Training
from stylebank.engines.choice import Computing
from stylebank.machine import devices
from stylebank.machine.memory import Tiling
from stylebank.persistence.session import Callbacks
from stylebank.reference import optimization
from stylebank.reference.tiled_grams import grams
from stylebank.supervision import metrics
from stylebank.supervision.objective import Objective
from stylebank.supervision.styleset import BLANK, LayerImage, StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS, VGG
from stylebank.training import added, report, revision
from stylebank.training.algorithm import Trainer

MPS = torch.device("mps")
SIDE = 32


class OnMps(Tensor):
    """A tensor that says it is on a Mac's GPU."""


class Mac(TorchFunctionMode):
    """Tensors are made on "mps" where that is asked for, and stay there as they would."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
        there = [x for x in given if isinstance(x, OnMps)]
        name = getattr(func, "__name__", "")
        if name == "_parse_to" or func is torch.device:  # reads arguments and moves nothing
            return func(*args, **kwargs)
        if name == "_has_compatible_shallow_copy_type":
            return len(there) in (0, len(given))
        if func == Tensor.device.__get__:
            return MPS if there else torch.device("cpu")
        wanted = [torch.device(x) for x in tree_flatten((args, kwargs))[0] if is_device(x)]
        moves = name == "cpu" or bool(wanted)
        goes = bool(there or wanted) and name != "cpu" and torch.device("cpu") not in wanted
        if there and not wanted and name not in ALONE:
            assert all(isinstance(x, OnMps) or x.dim() == 0 for x in given), f"{name}: tensors of two devices"
        assert not (there and name in ("numpy", "__array__", "pin_memory")), f"{name}: is for the CPU"
        args, kwargs = tree_map(lambda x: "cpu" if is_device(x) else x, (args, kwargs))
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **kwargs)

        def placed(x: Any) -> Any:
            if not isinstance(x, Tensor) or (any(x is other for other in given) and not moves):
                return x
            assert not (goes and x.dtype == torch.float64), f"{name}: float64"
            return x.as_subclass(OnMps if goes else Tensor)

        return tree_map(placed, found)


ALONE = ("cpu", "to", "copy_", "__get__", "__set__", "__setitem__", "load_state_dict", "backward", "equal")
"""Functions that may see two devices, or whose error is not ours to find."""


def is_device(x: object) -> bool:
    """Whether an argument names a device."""
    return isinstance(x, torch.device) or (isinstance(x, str) and x in ("mps", "cpu"))


class Called(TorchDispatchMode):
    """Remembers which of PyTorch's own functions were called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "aten":
            self.names.add(func.name().removeprefix("aten::"))
        return func(*args, **kwargs or {})


@contextmanager
def on_a_mac() -> Iterator[set[str]]:
    """Be on a Mac; gives the names of functions that were called, those on the CPU too."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # else weights stay what they were
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                torch.backends.mps, "is_available", cache(lambda: True)
            )  # as PyTorch caches its own
            patch.setattr(torch.mps, "recommended_max_memory", lambda: 10**10)
            patch.setattr(torch.mps, "driver_allocated_memory", lambda: 10**8)
            with Called() as called, Mac():
                yield called.names
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


@pytest.fixture(scope="module")
def kernels() -> Callable[[str], bool]:
    """Whether PyTorch has a function for "mps", by the list that its own are generated from."""
    text = (
        Path(torch.__file__)
        .parents[1]
        .joinpath("torchgen/packaged/ATen/native/native_functions.yaml")
        .read_text("utf-8")
    )
    blocks = dict(re.findall(r"^- func: ([\w.]+)\(.*\n((?:(?:  .*)?\n)*)", text, re.MULTILINE))

    def has(name: str) -> bool:
        block = blocks[name]
        if other := re.search(r"structured_delegate: ([\w.]+)", block):
            return has(other[1])
        return "dispatch:" not in block or bool(re.search("MPS|Composite", block))

    return has


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "night": 1})


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def noise(*size: int) -> Tensor:
    return torch.rand(*size, generator=torch.Generator().manual_seed(9))


def picture(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def objective_of(network: VGG) -> Objective:
    layers = [LayerImage(layer, BLANK, "", (0, 0, 64, 64), (64, 64), 1.0) for layer in STYLE_LAYERS]
    styles = [StyleSet(name=name, kernel=3, layers=tuple(layers)) for name in ("one", "two")]
    return Objective(network, Loss(), styles, noise(2, 3, SIDE, SIDE), precision=torch.float32)


class Crops:
    """A stand-in for the content stream."""

    def batch(self, number: int) -> Tensor:
        del number
        return noise(2, 3, SIDE, SIDE)


def test_the_stand_in_refuses_what_a_mac_refuses_and_does_the_rest(kernels: Callable[[str], bool]) -> None:
    with on_a_mac() as called:
        x = noise(2, 3).to("mps")
        linear = torch.nn.Linear(3, 3).to(x.device)
        loss = linear(x).square().mean()
        loss.backward()
        assert linear.weight.grad is not None
        for tensor in (x, x[0] + 1, linear.weight, loss, linear.weight.grad, torch.zeros(2, device=MPS)):
            assert tensor.device == MPS
        assert {y.device for y in (x.cpu(), x.to("cpu"), torch.ones(2))} == {torch.device("cpu")}
        assert x.cpu().double().dtype == torch.float64
        for refused in (
            lambda: x.double() + 1,
            lambda: x.to(torch.float64),
            lambda: torch.zeros(2, dtype=torch.float64, device="mps"),
            lambda: noise(3).double().to(MPS),
            lambda: x + noise(3),
            lambda: x.numpy().sum(),
        ):
            with pytest.raises(AssertionError):
                refused()
        torch.linalg.eig(torch.eye(2))
    assert [name for name in called if not kernels(name)] == ["linalg_eig"], "the control"


@pytest.mark.parametrize(("tile", "precision"), [("off", "bfloat16"), ("64", "float32")])
def test_painting(tile: str, precision: str, bank: Bundle, kernels: Callable[[str], bool]) -> None:
    photo = picture(76, 24)
    halves = np.zeros((24, 76), np.float32)
    halves[:, :38] = 1

    def paint(device: str) -> list[np.ndarray[Any, Any]]:
        painter = StyleBank(bank, computing=Computing("torch", precision, device), tiling=Tiling(tile))
        pictures = [painter.fuse(photo, [(halves, "wave"), (1 - halves, "night")])]
        if tile == "off":
            pictures += [
                painter.stylize(photo, "wave", strength=0.5),
                painter.stylize(photo, "night", stroke=2),
            ]
        return [np.asarray(image) for image in pictures]

    wanted = paint("cpu")
    with on_a_mac() as called:
        found = paint("mps")
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))
    assert [name for name in called if not kernels(name)] == []


def test_training_and_what_is_measured_of_it(
    vgg_weights: dict[str, Tensor], kernels: Callable[[str], bool]
) -> None:
    setup = Config(
        network=Network(width=4, blocks=2),
        training=Training(steps=60, batch=2, crop=SIDE, stylizing_steps=2, revise_after=0.02, revisions=0.9),
        loss=Loss(),
        report=Report(),
        styles=(Style(name="one"), Style(name="two")),
    )

    def train(device: str) -> dict[str, float]:
        target = devices.choose_device(device)
        objective = objective_of(VGG(vgg_weights).to(target))
        trainer = Trainer(setup, Crops(), objective, device=target, precision=torch.float32)  # type: ignore[arg-type]
        for _ in range(6):
            trainer.advance()
        figures = trainer.flush_history()
        assert trainer.is_finite()
        trainer.restore(trainer.state({}, 0.0))
        trainer.advance()
        photos = noise(2, 3, SIDE, SIDE).to(target)
        revision.gains(trainer.network, photos, 0)
        metrics.measure(trainer.network, objective, photos)
        return figures

    wanted = train("cpu")
    with on_a_mac() as called:
        found = train("mps")
    assert {"total", "revision", "identity"} <= {name for name, value in found.items() if value == value}
    assert found == pytest.approx(wanted, nan_ok=True)
    assert [name for name in called if not kernels(name)] == []


def test_adding_a_style(
    paintings: Path,
    vgg_file: Path,
    tmp_path: Path,
    bank: Bundle,
    kernels: Callable[[str], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    training = replace(added._TRAINING, crop=32, warmup=2, precision="float32")
    monkeypatch.setattr(added, "_TRAINING", training)
    monkeypatch.setattr(added, "_REPORT", replace(added._REPORT, held_back=2))
    monkeypatch.setattr(added, "POOL", 3)
    monkeypatch.setattr("stylebank.training.warm_start.STEPS", 1)
    monkeypatch.setattr("stylebank.training.incremental.EVALUATE_EVERY", 1)
    monkeypatch.setattr(report, "PREVIEW_SIDE", 64)
    (tmp_path / "photos").mkdir()
    for place in range(4):
        picture(40 + place, 48).save(tmp_path / f"photos/{place}.png")
    bundle.write(tmp_path / "bank", bank)

    def progress(_step: int, _losses: Mapping[str, float]) -> None:
        pass

    with on_a_mac() as called:
        added.add_style(
            Style("new", folder=str(paintings), size=48, image="0.png"),
            bank=tmp_path / "bank",
            content=tmp_path / "photos",
            run=tmp_path / "run",
            callbacks=Callbacks(lambda _: None, progress, lambda: False),
            vgg_weights=vgg_file,
            steps=2,
            device="mps",
        )
    assert bundle.read(tmp_path / "bank").find("new").card
    assert [name for name in called if not kernels(name)] == []


@pytest.mark.parametrize("method", ["lbfgs", "adam"])
def test_optimization(
    method: optimization.Method, paintings: Path, vgg_file: Path, kernels: Callable[[str], bool]
) -> None:
    settings = optimization.Settings(steps=3, method=method, start="noise")
    style = Style("one", folder=str(paintings), size=48, image="0.png")

    def paint(device: str) -> Tensor:
        photo = noise(1, 3, 48, 40)
        return optimization.paint(photo, style, Loss(), settings, device=device, vgg_weights=vgg_file).cpu()

    with on_a_mac() as called:
        found = paint("mps")
    assert torch.allclose(found, paint("cpu"), atol=1e-4)
    assert [name for name in called if not kernels(name)] == []


def test_grams_of_tiles(vgg_weights: dict[str, Tensor], kernels: Callable[[str], bool]) -> None:
    with on_a_mac() as called:
        found = grams(VGG(vgg_weights).to("mps"), picture(80, 70), STYLE_LAYERS, tile=32)
        assert {(gram.device, gram.dtype) for gram in found} == {(MPS, torch.float32)}
    assert [name for name in called if not kernels(name)] == []
