"""What every test runs under: one thread, no network, reproducible property tests, the folder of real photos."""

import importlib.util
import os
import shlex
import socket
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

# Before anybody imports torch. Results are bit-exact for one thread count only, and the tests' tensors are
# too small to gain from a second thread. Programs that a test starts inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

# ONNX Runtime would prepare to send reports.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# What a command remembers between runs is not to be the user's.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="stylebank-tests-")
# And a bank that the user has grown is neither read nor changed.
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp(prefix="stylebank-tests-")
os.environ.pop("STYLEBANK_BANK", None)

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from browsing import Windows
    from PIL.Image import Image
    from playwright.sync_api import Browser, Page
    from torch import Tensor

    from stylebank.bank.bundle import Bundle
    from stylebank.config import Network
    from stylebank.supervision.styleset import StyleSet

# The photos and paintings that the project trains on: kept beside the checkout, not in it.
SHARED = Path(__file__).resolve().parents[2] / "shared"

# Fixed examples and no deadline: a failure must come back on the next run, and a slow machine is no failure.
settings.register_profile("stylebank", derandomize=True, deadline=None, database=None)
settings.load_profile("stylebank")


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.connect" and getattr(arguments[0], "family", None) != socket.AF_UNIX:
        raise AssertionError(
            f"a test opened a connection to {arguments[1]}; StyleBank works without a network"
        )


sys.addaudithook(_refuse_network)


# What is killed, torn and continued there are processes that fork and files of Linux's kernel; and PyTorch's wheels for
# Windows start no processes that train together.
collect_ignore_glob = ["reliability/*"] if sys.platform != "linux" else []
collect_ignore = ["machine/test_distributed.py"] if sys.platform == "win32" else []


def pytest_configure(config: pytest.Config) -> None:
    """Name the marks of tests that not every system can run."""
    for name, reason in _OTHER_SYSTEMS.items():
        config.addinivalue_line("markers", f"{name}: {reason[1]}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked `shared` where the folder is missing, and what this system cannot do."""
    for item in items:
        if item.get_closest_marker("shared") and not SHARED.is_dir():
            item.add_marker(pytest.mark.skip(reason=f"needs the project's photos in {SHARED}"))
        for name, (is_here, reason) in _OTHER_SYSTEMS.items():
            if item.get_closest_marker(name) and not is_here:
                item.add_marker(pytest.mark.skip(reason=reason))


_OTHER_SYSTEMS = {
    "posix": (
        os.name == "posix",
        "needs signals, permissions, links or forks that Windows lacks or has otherwise",
    ),
    "linux": (sys.platform == "linux", "looks into /proc or /dev/full, or measures as Linux does"),
}


@pytest.fixture(scope="session")
def load_script() -> Callable[[str], ModuleType]:
    """A function that loads a module of scripts/, which is no package, by its name: a new one each time."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).resolve().parents[1] / "scripts" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def browser(load_script: Callable[[str], ModuleType]) -> "Iterator[Browser]":
    """A Chromium with an imitated graphics processor, for a file of tests; they are skipped where there is none."""
    pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install '.[dev]'")
    browsing = load_script("browsing")
    if not browsing.program():
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    with browsing.launched("--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader") as found:
        yield found


@pytest.fixture
def windows(browser: "Browser", load_script: Callable[[str], ModuleType]) -> "Iterator[Windows]":
    """Windows of that browser."""
    found = load_script("browsing").Windows(browser)
    yield found
    found.close()


def violations(page: "Page") -> list[tuple[str, str]]:
    """What axe has to say against a page: how bad it is, and what and where."""
    page.evaluate(resources.files("axe_playwright_python").joinpath("axe.min.js").read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [(one["impact"], f"{one['id']}: {one['nodes'][0]['html'][:90]}") for one in found["violations"]]


def garden(width: int, height: int) -> "Image":
    """A photo of a sky, a meadow and a sun."""
    import numpy as np
    from PIL import Image

    y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1)
    sky, grass, sun = np.array([90, 150, 230]), np.array([70, 140, 40]), np.array([250, 220, 80])
    pixels = np.where((y < 0.5)[..., None], sky, grass) + 20 * np.sin(60 * x * y)[..., None]
    pixels = np.where((np.hypot(x - 0.7, y - 0.25) < 0.12)[..., None], sun, pixels)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(autouse=True)
def data_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's data folder: each test has its own, which is not there yet; programs that it starts inherit it."""
    folder = tmp_path.parent / f"{tmp_path.name}-data"
    monkeypatch.setenv("XDG_DATA_HOME", str(folder))
    if sys.platform != "linux":  # whose data folders that variable does not move
        monkeypatch.setenv("STYLEBANK_BANK", str(folder / "stylebank" / "bank.safetensors"))
    return folder


@pytest.fixture
def shared() -> Path:
    """The folder of photos and paintings; for tests marked `shared`."""
    return SHARED


@pytest.fixture
def command_line(capsys: pytest.CaptureFixture[str]) -> Callable[[str], tuple[object, str, str]]:
    """Run the words of a command line: exit code, standard output, standard error."""

    def run(line: str) -> tuple[object, str, str]:
        from stylebank.cli import app

        with pytest.raises(SystemExit) as leaving:
            app.main(_words(line))
        return leaving.value.code, *capsys.readouterr()

    return run


def _words(line: str) -> list[str]:
    """The words of a command line; in paths of Windows a backslash is only itself."""
    words = shlex.shlex(line, posix=True)
    words.whitespace_split, words.commenters = True, ""
    if os.name == "nt":
        words.escape = ""
    return list(words)


@pytest.fixture(scope="module")
def paintings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small style images."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("paintings")
    for place, colour in enumerate(("red", "navy")):
        image = Image.effect_noise((64, 48), 60).convert("RGB")
        Image.blend(image, Image.new("RGB", image.size, colour), 0.5).save(folder / f"{place}.png")
    return folder


@pytest.fixture(scope="session")
def vgg_weights() -> dict[str, "Tensor"]:
    """Random weights of VGG-16's shapes and a sensible scale: all that a claim about gradients needs."""
    import torch

    from stylebank.supervision.vgg import PLAN

    generator = torch.Generator().manual_seed(0)
    widths = {"1": 64, "2": 128, "3": 256, "4": 512, "5": 512}
    weights, inputs = {}, 3
    for name, key in PLAN:
        if key:
            outputs = widths[name.removeprefix("relu")[0]]
            scale = (2 / (9 * inputs)) ** 0.5
            weights[f"{key}.weight"] = scale * torch.randn(outputs, inputs, 3, 3, generator=generator)
            weights[f"{key}.bias"] = torch.zeros(outputs)
            inputs = outputs
    return weights


@pytest.fixture(scope="session")
def vgg_file(vgg_weights: dict[str, "Tensor"], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those weights as a file."""
    from stylebank.files import tensorfile
    from stylebank.network.tensors import to_numpy

    path = tmp_path_factory.mktemp("vgg") / "vgg.safetensors"
    tensorfile.write(path, kind="vgg", tensors=to_numpy(vgg_weights), manifest={})
    return path


@pytest.fixture(scope="session")
def make_bank() -> Callable[..., "Bundle"]:
    """A function that makes a small bank with gains and report cards, from its styles' kernels by name.

    Filters that have not moved since their start would all paint alike: these weights are random. They depend on the
    seed and on the style's name alone, so two banks of one seed share encoder, decoder, and every style of one name.
    """

    def make(
        kernels: Mapping[str, int],
        *,
        seed: int = 0,
        training: Mapping[str, object] | None = None,
        shape: "Network | None" = None,
        revises: bool = True,
    ) -> "Bundle":
        import torch

        from stylebank.bank import bundle
        from stylebank.bank.entries import Card
        from stylebank.config import Network
        from stylebank.network.model import StyleBankNetwork

        shape = shape or Network(width=4, blocks=2)
        network = StyleBankNetwork(shape, list(kernels.values()), revises=revises)
        weights = {key: weight for key, weight in network.named_parameters() if key.startswith(("en", "de"))}
        weights |= dict(zip((f"style {name}" for name in kernels), network.filters, strict=True))
        if revises:
            again = (f"style {name} again" for name in kernels)
            weights |= dict(zip(again, network.revisions, strict=True))
        with torch.no_grad():
            for key, weight in weights.items():
                own = torch.Generator().manual_seed(zlib.crc32(f"{seed} {key}".encode()))
                weight.normal_(std=0.3, generator=own)
        chances = [zlib.crc32(name.encode()) / 2**32 for name in kernels]
        return bundle.from_network(
            network,
            shape,
            [_style_set(name, kernel) for name, kernel in kernels.items()],
            training or {},
            gains=[(0.5 + chance, 1.5 - chance) for chance in chances],
            cards=[Card("joint", 7, 0.0, 8, 384, (chance,) * 5, chance, chance) for chance in chances],
        )

    return make


def _style_set(name: str, kernel: int) -> "StyleSet":
    from stylebank.supervision.styleset import LayerImage, StyleSet
    from stylebank.supervision.vgg import STYLE_LAYERS

    layers = [
        LayerImage(layer, f"{name}.jpg", f"{place}b" * 32, (place, 2, 30, 40), (64, 48), place / 2)
        for place, layer in enumerate(STYLE_LAYERS)
    ]
    return StyleSet(name=name, kernel=kernel, layers=tuple(layers))
