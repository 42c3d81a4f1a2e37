"""What runs ONNX graphs on the CPU: OpenVINO and ONNX Runtime, without the telemetry of either."""

import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from stylebank.machine import halts

if TYPE_CHECKING:
    from stylebank.engines.graph_stages import Compile, Input, Run
    from stylebank.engines.stages import Floats


_SHAPES = 500
"""Primitives of OpenVINO that are kept for sizes seen; without a limit 0.7 MB stay for each size, up to thousands."""


def import_openvino() -> Any:
    """OpenVINO without its telemetry, which would tell its makers of every import, by a process of its own."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as if it were not installed
    import openvino

    return openvino


def openvino(*, precision: str, workers: int, threads: int) -> "Compile":
    """Graphs by OpenVINO.

    Args:
        precision: of the convolutions, "float32", "bfloat16", or "auto": bfloat16 where the processor has it.
        workers: threads that run a graph at the same time.
        threads: that each of them computes with.
    """
    library = import_openvino()
    core = library.Core()
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": workers * threads, "NUM_STREAMS": workers}
    options["CPU_RUNTIME_CACHE_CAPACITY"] = _SHAPES
    if precision != "auto":
        options["INFERENCE_PRECISION_HINT"] = {"float32": "f32", "bfloat16": "bf16"}[precision]

    def compile_graph(model: bytes) -> "Run":
        # In a thread that ends: OpenVINO gives the thread that compiles a stack for signals, and frees it while it is
        # in use when several models go in another order than they came; the next Ctrl-C would crash the process.
        with ThreadPoolExecutor(1) as compiling:
            compiled = compiling.submit(core.compile_model, core.read_model(model), "CPU", options).result()

        def run(inputs: "Sequence[Input]") -> "list[Floats]":
            # Made anew, in 30 us: a kept one would hold on to photo and picture.
            request = compiled.create_infer_request()
            outputs = [library.Tensor(library.Type.f32, [0]) for _ in compiled.outputs]
            for place, tensor in enumerate(outputs):  # else the next run would write into the same memory
                request.set_output_tensor(place, tensor)
            # Not `infer`: it keeps the last result and says nothing when there is no memory for this one.
            halts.check()
            request.start_async(list(inputs), share_inputs=True)
            with halts.current().by(request.cancel):
                request.wait()
            return [tensor.data for tensor in outputs]

        return run

    return compile_graph


def import_onnxruntime() -> Any:
    """ONNX Runtime without its telemetry, which from version 1.29 on is on by default."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def onnx_runtime(*, threads: int) -> "Compile":
    """Graphs by ONNX Runtime, in float32.

    Args:
        threads: that each run computes with.
    """
    library = import_onnxruntime()
    options = library.SessionOptions()
    options.intra_op_num_threads = threads

    def compile_graph(model: bytes) -> "Run":
        session = library.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]

        def run(inputs: "Sequence[Input]") -> "list[Floats]":
            one = library.RunOptions()
            with halts.current().by(lambda: setattr(one, "terminate", True)):
                try:
                    found: list[Floats] = session.run(None, dict(zip(names, inputs, strict=True)), one)
                except Exception as error:  # a kind of its own for every failure, none of them Python's
                    raise RuntimeError(str(error)) from error
            return found

        return run

    return compile_graph
