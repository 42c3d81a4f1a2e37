"""VGG-16's features of a photo by any engine, without PyTorch where it is not asked for: what regions are found by."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stylebank.engines.choice import Computing
from stylebank.engines.stages import Floats
from stylebank.files import resources, tensorfile
from stylebank.files.tensorfile import Arrays
from stylebank.machine import devices
from stylebank.supervision import vgg_plan

CELL = 16
"""Pixels of a side of a cell of relu5_1."""

See = Callable[[NDArray[np.uint8]], Floats]
"""A photo (H, W, 3), sRGB, to the features (C, h, w) of a layer; threads may call it at the same time."""


@lru_cache(maxsize=1)  # the next photo needs the same; it keeps some 40 MB
def extractor(computing: Computing, layer: str = "relu5_1") -> See:
    """VGG up to a layer, ready to run.

    Args:
        computing: engine, precision and device.
        layer: a name out of `vgg_plan.LAYERS`.

    Raises:
        TensorFileError: the weights that come along are missing or damaged.
        DeviceError, ConfigError: see `Computing.choose`.
    """
    assert layer in vgg_plan.LAYERS, f"unknown VGG layer {layer}"
    engine = computing.choose()
    if engine == "torch":
        return _by_torch(computing, layer)
    from stylebank.engines import runtimes

    threads = devices.cores()
    compile_graph = (
        runtimes.openvino(precision=computing.precision, workers=1, threads=threads)
        if engine == "openvino"
        else runtimes.onnx_runtime(threads=threads)
    )
    arrays, _ = tensorfile.read(resources.vgg_weights(), kind="vgg")
    run = compile_graph(_graph(arrays, layer))

    def see(pixels: NDArray[np.uint8]) -> Floats:
        # Not in the graph, where bfloat16 would round the mean.
        photo = (np.float32(1 / 255) * pixels - np.array(vgg_plan.MEAN, np.float32)) * vgg_plan.SCALE
        found: Floats = run([np.ascontiguousarray(photo.transpose(2, 0, 1)[None], np.float32)])[0][0]
        return found

    return see


def _graph(arrays: Arrays, layer: str) -> bytes:
    """The ONNX file: (B, 3, H, W), less the mean colour, to the features of a layer."""
    from stylebank.engines.graphs import Graph

    graph = Graph()
    x = graph.input("photo", ["batch", 3, "height", "width"])
    for name, key in vgg_plan.PLAN:
        if name == vgg_plan.POOL:
            x = graph.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
            continue
        weight, bias = (
            graph.constant(arrays[f"{key}.{part}"].astype(np.float32)) for part in ("weight", "bias")
        )
        x = graph.op("Relu", graph.op("Conv", x, weight, bias, pads=[1, 1, 1, 1]))
        if name == layer:
            break
    data: bytes = graph.model({x: ["b", "c", "rows", "columns"]}).SerializeToString()
    return data


def _by_torch(computing: Computing, layer: str) -> See:
    import torch

    from stylebank.supervision import vgg

    device = devices.choose_device(computing.device)
    network = vgg.load(resources.vgg_weights()).to(device)
    network.compute_in(devices.choose_precision(computing.precision, device))

    def see(pixels: NDArray[np.uint8]) -> Floats:
        with torch.inference_mode():
            photo = torch.from_numpy(np.array(pixels)).to(device).permute(2, 0, 1)[None] / 255
            found: Floats = network(photo, [layer])[layer][0].float().cpu().numpy()
        return found

    return see
