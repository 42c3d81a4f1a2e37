"""An exported style, mixture or bank paints what PyTorch paints over the same ground, at every size."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank import StyleBank
from stylebank.bank import bundle, mixture
from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import Mixture
from stylebank.config import Network
from stylebank.engines import exported
from stylebank.engines.choice import Computing
from stylebank.errors import ConfigError, UnknownStyleError
from stylebank.network.model import StyleBankNetwork
from stylebank.painting import strokes
from stylebank.priming import ground

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

SIZES = ((61, 83), (16, 16), (17, 40), (128, 64), (97, 203))
# Float32 sums in another order: 1e-6 in features of size 1, times what the sigmoid's slope and the norms make of it.
TOLERANCE = 1e-4


@pytest.fixture(autouse=True)
def in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """As graphs do, the bank paints in one pass."""
    monkeypatch.setattr(strokes, "painted_size", lambda size, _: size)
    monkeypatch.setattr(strokes, "sizes", lambda size, _, **_again: [size])


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> StyleBank:
    contents = make_bank({"wave": 3, "night": 5, "scream": 3}, seed=3)
    return StyleBank(contents, computing=Computing("torch", "float32", "cpu"))


def write(path: Path, contents: Bundle, mixed: Mixture | None) -> None:
    path.write_bytes(exported.build(contents, mixed).SerializeToString())


def run(path: Path, image: Tensor, weights: list[float] | None = None) -> Tensor:
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    inputs = {"image": image.numpy()}
    if weights is not None:
        inputs["weights"] = np.array(weights, np.float32)
    (picture,) = session.run(["picture"], inputs)
    return torch.from_numpy(picture)


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, *size, generator=generator) for size in SIZES]


def primed(image: Tensor, share: float = 1.0) -> Tensor:
    """What the bank paints over in the first pass: graphs take it as they are given it."""
    return torch.from_numpy(ground.primed(image[0].numpy(), share))[None]


@pytest.mark.parametrize("words", ["wave", "night:0.25+wave:0.75", "scream@0.5"])
def test_an_exported_style_paints_what_the_bank_paints_at_odd_sizes(
    words: str, bank: StyleBank, tmp_path: Path
) -> None:
    mixed = mixture.parse(words)
    write(tmp_path / "x.onnx", bank.contents, mixed)
    onnx.checker.check_model(str(tmp_path / "x.onnx"))
    for image in images():
        found = run(tmp_path / "x.onnx", primed(image, mixed.share))
        assert (found - bank.stylize(image, mixed)).abs().max() < TOLERANCE
        assert (found - bank.stylize(image, "wave@0.9")).abs().max() > 10 * TOLERANCE, "the control"


def test_an_exported_bank_takes_the_weights_of_its_styles(bank: StyleBank, tmp_path: Path) -> None:
    path = tmp_path / "bank.onnx"
    write(path, bank.contents, None)
    assert json.loads(onnx.load(path).metadata_props[0].value) == list(bank.styles)
    for image in images():
        for place, style in enumerate(bank.styles):
            weights = [float(other == place) for other in range(3)]
            assert (run(path, primed(image), weights) - bank.stylize(image, style)).abs().max() < TOLERANCE
        mixed = bank.stylize(image, {"wave": 0.5, "night": 0.3, "scream": 0.2})
        # The bank rounds a mixture's filter to float16, the graph does not: 2^-11 of each weight.
        assert (run(path, primed(image), [0.5, 0.3, 0.2]) - mixed).abs().max() < 1e-3


@pytest.mark.parametrize("words", ["wave", "night:0.25+wave:0.75", "scream@0.5", ""])
def test_a_graph_of_later_passes_has_the_revisions(
    words: str, bank: StyleBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "primed", lambda photo, _share: photo)  # later passes are over paintings
    contents, mixed = bank.contents, mixture.parse(words) if words else None
    found = exported.build(contents, mixed, again=True).SerializeToString()
    (tmp_path / "x.onnx").write_bytes(found)
    revised = tuple(
        replace(x, filter=x.revision, gain=x.revision_gain)
        for x in contents.entries
        if x.revision is not None
    )
    later = StyleBank(replace(contents, entries=revised), computing=Computing("torch", "float32", "cpu"))
    image, weights = images()[0], None if mixed else [0.5, 0.3, 0.2]
    painted = run(tmp_path / "x.onnx", image, weights)
    mix = mixed or {"wave": 0.5, "night": 0.3, "scream": 0.2}
    # As below: a mixture's filter is rounded to float16 by the bank.
    assert (painted - later.stylize(image, mix)).abs().max() < 2e-3
    assert (painted - bank.stylize(image, mix)).abs().max() > 1e-2, "the control: the first filters"


def test_an_empty_bank_is_refused(make_bank: Callable[..., Bundle]) -> None:
    with pytest.raises(ConfigError, match="has no styles"):
        exported.build(make_bank({}), None)


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_a_johnson_and_a_linear_output_are_exported_too(
    output: Literal["sigmoid", "linear"], bank: StyleBank, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    style = replace(bank.contents.entries[0].style, kernel=1)
    shape = Network(width=4, kind="johnson", output=output)
    johnson = bundle.from_network(StyleBankNetwork(shape, [1]), shape, [style], {})
    write(tmp_path / "x.onnx", johnson, mixture.parse("wave"))
    image = images()[0]
    wanted = StyleBank(johnson, computing=Computing("torch", "float32", "cpu")).stylize(image, "wave")
    assert (run(tmp_path / "x.onnx", image) - wanted).abs().max() < TOLERANCE
    assert (run(tmp_path / "x.onnx", image.flip(3)) - wanted).abs().max() > 10 * TOLERANCE, "the control"
    with pytest.raises(ConfigError, match="a johnson network"):
        exported.build(johnson, mixture.parse("wave@0.5"))


def test_an_unknown_style_is_refused(bank: StyleBank) -> None:
    with pytest.raises(UnknownStyleError, match="did you mean 'wave'"):
        exported.build(bank.contents, mixture.parse("wvae"))


def test_a_file_tells_whether_it_is_a_graph(bank: StyleBank) -> None:
    assert exported.is_graph(exported.build(bank.contents, None).SerializeToString())
    for other in (b"", b"PK", bytes(100), b"\x08\x09", json.dumps({"a": 1}).encode()):
        assert not exported.is_graph(other)
