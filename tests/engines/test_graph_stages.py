"""Graphs are made once for what they compute, whatever the style and the size; too little memory is an error."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from stylebank.bank.bundle import Bundle
from stylebank.engines import runtimes
from stylebank.engines.graph_stages import GraphStages, Input, Run
from stylebank.engines.stages import Affine, Crop, Floats, Given
from stylebank.network.architecture import decoder, encoder


@pytest.fixture(scope="module")
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "night": 5, "rain": 3})


@pytest.fixture
def compiled() -> list[bytes]:
    """Graphs that were compiled."""
    return []


@pytest.fixture
def stages(bank: Bundle, compiled: list[bytes]) -> GraphStages:
    compile_graph = runtimes.onnx_runtime(threads=1)

    def counted(model: bytes) -> Run:
        compiled.append(model)
        return compile_graph(model)

    return GraphStages(bank, counted, workers=1)


def numbers(*shape: int) -> Floats:
    return np.random.default_rng(0).random(shape, np.float32)


def test_all_styles_of_one_kernel_and_all_sizes_share_a_graph(
    stages: GraphStages, bank: Bundle, compiled: list[bytes]
) -> None:
    first, last = encoder(bank.network)[0], decoder(bank.network)[-1]
    for size in ((16, 16), (24, 40)):
        for batch in (1, 2):
            features = stages.run(first, numbers(batch, 3, *size))
            for entry in bank.entries:
                stages.run(last, features, kernel=entry.filter.astype(np.float32))
    assert len(compiled) == 3, "E, and D behind kernels 3 and 5"


def test_what_is_measured_or_given_needs_graphs_of_its_own(
    stages: GraphStages, bank: Bundle, compiled: list[bytes]
) -> None:
    last = decoder(bank.network)[-1]
    x = numbers(1, 16, 4, 5)
    for _ in range(2):
        for regions in (1, 2):
            norms = [Affine(*numbers(2, regions, layer.outputs)) for layer in last.norms]
            masks = None if regions == 1 else numbers(regions, 16, 20)
            stages.run(last, x, given=Given(norms, masks))
            stages.run(last, x, given=Given(norms[:1], masks))
            stages.measure(last, x, given=Given(norms[:1], masks), crop=Crop(0, 0, 3, 3))
        stages.measure(last, x, given=Given([]))
    assert len(compiled) == 7


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Could not allocate memory", MemoryError),
        ("std::bad_alloc", MemoryError),
        ("Failed to create memory of 3 GB", MemoryError),
        ("Check 'node' failed: shapes do not fit", RuntimeError),
    ],
)
def test_an_engine_without_memory_says_so_and_no_other_failure_does(
    message: str, kind: type[Exception], bank: Bundle
) -> None:
    def failing(_: Sequence[Input]) -> list[Floats]:
        raise RuntimeError(message)

    stages = GraphStages(bank, lambda _: failing, workers=1)
    with pytest.raises(kind) as raised:
        stages.run(encoder(bank.network)[0], numbers(1, 3, 24, 40))
    assert type(raised.value) is kind
    assert ("a window of 40 x 24 values" in str(raised.value)) == (kind is MemoryError)


def test_tensors_of_any_kind_become_arrays(stages: GraphStages) -> None:
    image = torch.rand(3, 4, 5, dtype=torch.float64, requires_grad=True)
    for kind in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        found = stages.array(image.to(kind))
        assert found.dtype == np.float32
        assert np.array_equal(found, image.detach().to(kind).float().numpy())
