"""A run that nobody listens to any more has saved what it did."""

from pathlib import Path
from typing import Any

import pytest

from stylebank.config import Report
from stylebank.persistence.session import Callbacks, Session


class Steps:
    """A process that only counts."""

    step = 0

    def is_done(self) -> bool:
        return self.step == 9

    def advance(self) -> None:
        self.step += 1


@pytest.mark.parametrize("error", [BrokenPipeError(), SystemExit(141)])
def test_progress_that_nobody_reads_ends_a_run_after_it_has_saved(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def progress(step: int, _latest: Any) -> None:
        if step == 4:
            raise error

    process, saved = Steps(), list[int]()
    every = Report(checkpoint_every=100, preview_every=100)
    session = Session(
        process,  # type: ignore[arg-type]
        tmp_path,
        {},
        every=every,
        unstyled=1.0,
        callbacks=Callbacks(progress=progress, note=print, stop=lambda: False),
        preview=lambda _: None,
    )
    monkeypatch.setattr(session, "save", lambda: saved.append(process.step))
    with pytest.raises(type(error)):
        session.loop()
    assert saved == [4]
