"""Graphs run by either library: many threads at a time, and an error where there is no memory, not an old result."""

import subprocess
import sys
import threading
from collections.abc import Callable

import numpy as np
import pytest

from stylebank.engines import runtimes
from stylebank.engines.graph_stages import Compile
from stylebank.engines.graphs import Graph

COMPILERS: dict[str, Callable[[], Compile]] = {
    "openvino": lambda: runtimes.openvino(precision="float32", workers=2, threads=1),
    "onnx": lambda: runtimes.onnx_runtime(threads=1),
}


def doubling() -> bytes:
    """A graph of two inputs and two outputs: twice the first, and the sum."""
    graph = Graph()
    x, y = (graph.input(name, ["rows", "columns"]) for name in "xy")
    twice, total = graph.op("Add", x, x), graph.op("Add", x, y)
    data: bytes = graph.model({name: ["rows", "columns"] for name in (twice, total)}).SerializeToString()
    return data


@pytest.mark.parametrize("name", COMPILERS)
def test_inputs_and_outputs_go_by_their_order_and_results_are_kept(name: str) -> None:
    run = COMPILERS[name]()(doubling())
    found = []
    for rows in (1, 5, 2):
        x, y = np.full((rows, 3), rows, np.float32), np.full((rows, 3), 10, np.float32)
        found.append((rows, run([x, y])))
    for rows, (twice, total) in found:  # after all runs: none writes over what another gave
        assert np.array_equal(twice, np.full((rows, 3), 2 * rows))
        assert np.array_equal(total, np.full((rows, 3), 10 + rows))


@pytest.mark.parametrize("name", COMPILERS)
def test_threads_at_the_same_time_have_their_own_results(name: str) -> None:
    run = COMPILERS[name]()(doubling())
    together, wrong = threading.Barrier(4), []

    def work(own: int) -> None:
        x = np.full((64, 64), own, np.float32)
        together.wait()
        for _ in range(50):
            twice, total = run([x, x])
            if not ((twice == 2 * own).all() and (total == 2 * own).all()):
                wrong.append(own)

    threads = [threading.Thread(target=work, args=(own,)) for own in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


class _Failing:
    """A library without memory for what it is given: whatever is asked of it."""

    def __getattr__(self, _: str) -> "_Failing":
        return self

    def __call__(self, *_: object, **__: object) -> "_Failing":
        return self

    def __iter__(self) -> object:
        return iter(())

    def wait(self) -> None:
        raise RuntimeError("Could not allocate memory")

    def run(self, *_: object) -> None:
        self.wait()

    outputs = ()


@pytest.mark.parametrize("name", COMPILERS)
def test_without_memory_there_is_an_error_and_no_result_of_before(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenVINO's `infer` would give the result of the run before."""
    monkeypatch.setattr(runtimes, "import_openvino", _Failing)
    monkeypatch.setattr(runtimes, "import_onnxruntime", _Failing)
    run = COMPILERS[name]()(b"")
    with pytest.raises(RuntimeError, match="Could not allocate memory"):
        run([])


def test_the_telemetry_of_openvino_is_as_if_it_were_not_installed() -> None:
    runtimes.import_openvino()
    assert sys.modules["openvino_telemetry"] is None


SIGNAL_AFTER_MODELS = """
import os, signal, sys
import numpy as np
from stylebank.bank import bundle
from stylebank.engines.choice import Computing
from stylebank.files import resources
from stylebank.network.architecture import encoder

def handled(number, frame):
    print("handled", flush=True)

signal.signal(signal.SIGINT, handled)
bank = bundle.read(resources.shipped_bank())
for _ in range(3):  # models come and go in an order that is not that of a stack
    made = [Computing("openvino").stages(bank, workers=1, threads=1) for _ in range(3)]
    for stages in made:
        stages.run(encoder(bank.network)[0], np.zeros((1, 3, 32, 32), np.float32))
    del made[0]
    del stages, made
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.posix
def test_a_signal_after_models_have_gone_does_not_crash_the_process() -> None:
    """OpenVINO gives the thread that compiles a stack for signals, and frees it."""
    pytest.importorskip("openvino")
    done = subprocess.run(
        [sys.executable, "-c", SIGNAL_AFTER_MODELS], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "handled\n"), done.stderr
