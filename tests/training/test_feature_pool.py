"""Features of a frozen encoder: what is computed when, the order of batches, and where a large pool lies."""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
import torch

from stylebank.training import feature_pool
from stylebank.training.feature_pool import FeaturePool, Features

SIZE = 7


class Crops:
    """Stands for encoder and VGG: features by the crop's number, and how often each was asked for."""

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.asked: list[int] = []
        self._dtype = dtype

    def __call__(self, number: int) -> Features:
        self.asked.append(number)
        random = torch.Generator().manual_seed(number)
        features = torch.randn(1, 4, 3, 5, generator=random).to(self._dtype)
        content, parts, edges = (torch.randn(1, size, 2, 2, generator=random) for size in (6, 3, 2))
        return Features(
            features, content, parts, edges, flat=torch.empty(1, 2, 0)
        )  # as where it weighs nothing


def pool(crops: Crops, *, batch: int = 2, seed: int = 0, folder: Path | None = None) -> FeaturePool:
    return FeaturePool(crops, size=SIZE, batch=batch, seed=seed, folder=folder)


def which(batch: Features) -> list[int]:
    """The numbers of a batch's crops."""
    known = [Crops()(number) for number in range(SIZE)]
    return [next(number for number, crop in enumerate(known) if same(crop, one)) for one in batch.split()]


def same(one: Features, other: Features) -> bool:
    return all(map(torch.equal, one, other))


def draws(made: FeaturePool, count: int) -> Iterator[int]:
    return chain.from_iterable(which(made.batch(number)) for number in range(count))


def test_a_crop_is_computed_once_and_only_when_it_is_asked_for() -> None:
    crops = Crops()
    made = pool(crops)
    assert crops.asked == []
    made.batch(1)
    assert crops.asked == [2, 3]
    for number in range(20):
        made.batch(number)
    assert sorted(crops.asked) == list(range(SIZE))


@pytest.mark.parametrize("batch", [1, 2, 3, SIZE, 10])
def test_every_crop_comes_once_before_any_comes_again(batch: int) -> None:
    order = list(draws(pool(Crops(), batch=batch), 4 * SIZE))
    epochs = [order[start : start + SIZE] for start in range(0, 4 * SIZE, SIZE)]
    assert all(sorted(epoch) == list(range(SIZE)) for epoch in epochs)
    assert epochs[0] == list(range(SIZE)), "the first time as they come"
    assert len(set(map(tuple, epochs))) == 4, "and each time in another order"


def test_a_batch_is_a_function_of_seed_and_number_alone() -> None:
    forth, back = pool(Crops()), pool(Crops())
    numbers = range(12)
    wanted = {number: forth.batch(number) for number in numbers}
    assert all(same(back.batch(number), wanted[number]) for number in reversed(numbers))


def test_another_seed_gives_another_order() -> None:
    """The control of the test above."""
    count = 2 * SIZE
    one, other = (list(draws(pool(Crops(), seed=seed), count))[SIZE:] for seed in (0, 1))
    assert one != other


def test_crops_are_taken_by_place_as_often_as_asked() -> None:
    crops = Crops()
    assert which(pool(crops).take([5, 0, 5])) == [5, 0, 5]
    assert Counter(crops.asked) == Counter([5, 0])


def test_what_a_caller_does_to_a_batch_does_not_reach_the_pool() -> None:
    made = pool(Crops())
    wanted = Features(*(tensor.clone() for tensor in made.batch(0)))
    for tensor in made.batch(0):
        tensor.zero_()
    assert same(made.batch(0), wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_the_disk_it_is_the_same_to_the_last_bit_and_leaves_no_file(
    dtype: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = pool(Crops(dtype), folder=tmp_path)
    wanted = [memory.batch(number) for number in range(9)]
    monkeypatch.setattr(feature_pool, "MEMORY_BYTES", 0)
    made = _counted_files(monkeypatch)
    disk = pool(Crops(dtype), folder=tmp_path)
    found = [disk.batch(number) for number in range(9)]
    assert made == [tmp_path], "it did go to the disk"
    assert list(tmp_path.iterdir()) == [], "while it is in use, too"
    assert all(map(same, found, wanted))
    assert [tensor.dtype for tensor in found[0]] == [dtype, *[torch.float32] * 4]


def test_a_pool_that_fits_the_memory_makes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _counted_files(monkeypatch)
    needed = SIZE * sum(tensor.nbytes for tensor in Crops()(0))
    monkeypatch.setattr(feature_pool, "MEMORY_BYTES", needed)
    pool(Crops(), folder=tmp_path).batch(0)
    assert made == []
    monkeypatch.setattr(feature_pool, "MEMORY_BYTES", needed - 1)
    pool(Crops(), folder=tmp_path).batch(0)
    assert made == [tmp_path]


@pytest.mark.posix
def test_a_program_killed_with_a_pool_on_the_disk_leaves_no_file(tmp_path: Path) -> None:
    program = """
import os, signal, sys, torch
from pathlib import Path
from stylebank.training import feature_pool
feature_pool.MEMORY_BYTES = 0
one = torch.ones(1, 4, 3, 5)
crop = feature_pool.Features(one, one, one, one, one)
made = feature_pool.FeaturePool(lambda _: crop, size=7, batch=2, seed=0, folder=Path(sys.argv[1]))
made.batch(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, check=False)
    assert ended.returncode == -9, ended.stderr
    assert list(tmp_path.iterdir()) == []


def _counted_files(monkeypatch: pytest.MonkeyPatch) -> list[Path | None]:
    """The folders of temporary files made from now on."""
    made: list[Path | None] = []
    real = tempfile.TemporaryFile

    def counted(*, dir: Path | None) -> object:  # noqa: A002 - the name that tempfile gives it
        made.append(dir)
        return real(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", counted)
    return made
