"""A map on disk gives back what was written, leaves no file, and says in one line that a disk is full."""

import errno
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stylebank.errors import OutputError
from stylebank.machine.scratch import Scratch


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_windows_come_back_as_they_were_written_and_no_name_is_left(folder: Path) -> None:
    whole = np.random.default_rng(0).random((5, 11, 13), np.float32)
    scratch = Scratch(5, 11, 13)
    for top, left, bottom, right in ((0, 0, 4, 13), (4, 0, 11, 6), (4, 6, 11, 13)):
        scratch.write(whole[:, top:bottom, left:right], top, left)
    assert np.array_equal(scratch.read(2, 3, 7, 9), whole[:, 2:9, 3:12])
    assert np.array_equal(scratch.read(0, 0, 11, 13), whole)
    assert list(folder.iterdir()) == []


@pytest.mark.posix
def test_writes_in_pieces_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:7], offset))
    whole, scratch = np.random.default_rng(0).random((2, 3, 4), np.float32), Scratch(2, 3, 4)
    scratch.write(whole, 0, 0)
    assert np.array_equal(scratch.read(0, 0, 3, 4), whole)


@pytest.mark.posix
def test_a_file_is_closed_with_its_map() -> None:
    scratch = Scratch(1, 2, 2)
    descriptor = scratch._descriptor
    os.fstat(descriptor)
    del scratch
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_disk_too_small_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    Scratch(1, 500, 500)
    with pytest.raises(OutputError, match=r"cannot hold 0\.002 GB of features .*set TMPDIR"):
        Scratch(2, 500, 500)


@pytest.mark.posix
def test_a_disk_that_fills_up_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    scratch = Scratch(1, 2, 2)
    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match=r"\(No space left on device\); free space") as caught:
        scratch.write(np.zeros((1, 2, 2), np.float32), 0, 0)
    assert "\n" not in str(caught.value)
