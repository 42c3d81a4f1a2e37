"""Programs to be killed: forks of a process that has imported PyTorch, so that kills fall into work and not imports."""

import itertools
import multiprocessing
import os
import runpy
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

_CONTEXT = multiprocessing.get_context("forkserver")
# What a training imports: an optimizer PyTorch's compiler, curves Matplotlib.
_CONTEXT.set_forkserver_preload(
    ["torch", "torch._dynamo", "torchvision", "matplotlib.figure", "matplotlib.backends.backend_agg"]
    + [f"stylebank.{name}" for name in ("cli.app", "cli.train", "training.joint", "training.added")]
)

# As `python -c` does it, but that what it says goes to files.
_BEGIN = """
import os, sys
os.environ.clear()
os.environ.update({environment!r})
for place, name in ((1, "out"), (2, "err")):
    os.dup2(os.open({said!r} + name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), place)
sys.argv = ["-c", *{words!r}]
"""


class Program:
    """Code that runs with the words of its command line, in a process of its own."""

    def __init__(self, script: Path, code: str, words: Sequence[object]) -> None:
        self._said = f"{script}."
        begin = _BEGIN.format(
            environment=dict(os.environ), said=self._said, words=[str(word) for word in words]
        )
        script.write_text(begin + code)
        self._process = _CONTEXT.Process(target=runpy.run_path, args=(str(script),))
        self._process.start()

    def ends(self, seconds: float | None = 100) -> bool:
        """Wait so long; has it ended?"""
        self._process.join(seconds)
        return self._process.exitcode is not None

    def kill(self) -> None:
        self._process.kill()
        self._process.join()

    @property
    def returncode(self) -> int:
        """As of a subprocess: of one that a signal killed it is negative."""
        if not self.ends():
            self.kill()
            raise AssertionError("it did not end")
        assert self._process.exitcode is not None
        return self._process.exitcode

    @property
    def stdout(self) -> str:
        return Path(f"{self._said}out").read_text()

    @property
    def stderr(self) -> str:
        return Path(f"{self._said}err").read_text()


Start = Callable[..., Program]


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A function that starts code with words."""
    home, numbers = tmp_path_factory.mktemp("programs"), itertools.count()
    return lambda code, *words: Program(home / f"{next(numbers)}.py", code, words)
