"""A style, a mixture or a whole bank as one ONNX file, for engines that need no PyTorch.

The graph takes images of any size from 16 px on and pads and crops them itself. Of a whole bank the weights of the
styles are an input, so that one file paints every style and every mixture.
"""

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylebank import fusion
from stylebank.bank import StyleBank
from stylebank.errors import ConfigError
from stylebank.files import write_atomically
from stylebank.fusion import Paint
from stylebank.mixture import Mixture
from stylebank.model import MINIMUM_SIDE, STRIDE, StyleBankNetwork, mirrored, padded_filter

LONGEST_SIDE = 16_384  # pixels


class _OneStyle(nn.Module):
    """image (B, 3, H, W) in [0, 1], sRGB -> picture, the same."""

    def __init__(self, network: StyleBankNetwork, paint: Paint) -> None:
        super().__init__()
        self.network, self.strength = network, paint.strength
        self.register_buffer("filter", paint.filter)

    def forward(self, image: Tensor) -> Tensor:
        """See above."""
        return _painted(self.network, image, Paint(self.filter, self.strength))  # type: ignore[arg-type]


class _WholeBank(nn.Module):
    """image (B, 3, H, W), weights (S,) that sum to 1 -> picture (B, 3, H, W)."""

    def __init__(self, bank: StyleBank) -> None:
        super().__init__()
        self.network = bank.network
        filters = [bank.paint(style).filter for style in bank.styles]
        largest = max(weight.shape[-1] for weight in filters)
        self.register_buffer("filters", torch.stack([padded_filter(weight, largest) for weight in filters]))

    def forward(self, image: Tensor, weights: Tensor) -> Tensor:
        """See above."""
        mixed = torch.einsum("s,soiyx->oiyx", weights, self.filters)
        return _painted(self.network, image, Paint(mixed))


def _painted(network: StyleBankNetwork, image: Tensor, paint: Paint) -> Tensor:
    """As `StyleBank.stylize`, in operations that hold for every size."""
    height, width = image.shape[2], image.shape[3]
    rows, columns = (
        mirrored(torch.arange(STRIDE * ((side + STRIDE - 1) // STRIDE)), side) for side in (height, width)
    )
    padded = image.index_select(2, rows).index_select(3, columns)
    return fusion.paint(network, padded, paint)[:, :, :height, :width].clamp(0, 1)


def export(bank: StyleBank, path: Path, *, mixture: Mixture | None) -> None:
    """Write an ONNX file; inputs and outputs are float32, as named in the modules above.

    Args:
        bank: on the CPU.
        path: the file; replaced.
        mixture: what to paint; None for the whole bank, with the weights as an input.

    Raises:
        UnknownStyleError, ConfigError: see `StyleBank.paint`; or ONNX's extra is not installed.
        OutputError: the file cannot be written.
    """
    try:
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise ConfigError(
            f"export: ONNX is not installed ({error}); pip install 'stylebank[onnx]'"
        ) from error
    if not bank.styles:
        raise ConfigError("export: the bank has no styles; add one")
    height, width = (
        torch.export.Dim(name, min=MINIMUM_SIDE, max=LONGEST_SIDE) for name in ("height", "width")
    )
    # Sizes that divide by nothing, so that no dimension is taken for a constant.
    image, sizes = torch.rand(1, 3, 61, 83), {2: height, 3: width}
    module: nn.Module
    inputs: tuple[Tensor, ...]
    shapes: dict[str, Any]
    if mixture:
        module = _OneStyle(bank.network, bank.paint(mixture))
        inputs, shapes, names = (image,), {"image": sizes}, ["image"]
    else:
        weights = torch.full((len(bank.styles),), 1 / len(bank.styles))
        module = _WholeBank(bank)
        inputs, shapes, names = (image, weights), {"image": sizes, "weights": None}, ["image", "weights"]
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            inputs,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=names,
            output_names=["picture"],
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    proto.metadata_props.add(key="styles", value=json.dumps(mixture.names if mixture else bank.styles))
    write_atomically(path, proto.SerializeToString())
