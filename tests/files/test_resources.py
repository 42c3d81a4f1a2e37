"""Where the user's own bank lies, and which bank is read where nobody names one."""

import os
from pathlib import Path

import pytest

from stylebank.errors import ConfigError
from stylebank.files import resources

LINUX_ONLY = pytest.mark.skipif(not Path("/proc").exists(), reason="data folders lie elsewhere")


@pytest.fixture(autouse=True)
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STYLEBANK_BANK", raising=False)


@LINUX_ONLY
def test_the_user_s_bank_lies_in_the_data_folder(data_home: Path) -> None:
    assert resources.own_bank() == data_home / "stylebank" / "bank.safetensors"
    assert not data_home.exists(), "asking makes nothing"


@LINUX_ONLY
@pytest.mark.parametrize("empty", ["", " "])
def test_a_variable_that_says_nothing_is_as_none(
    empty: str, data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEBANK_BANK", empty)
    assert resources.own_bank() == data_home / "stylebank" / "bank.safetensors"
    assert not resources.own_is_named()


@pytest.mark.parametrize("name", ["mine.safetensors", "my banks/\u9752 \u00e9.safetensors", "./a"])
def test_the_variable_names_a_file_from_the_current_folder_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLEBANK_BANK", name)
    assert resources.own_bank() == tmp_path / name
    assert resources.default_bank() == resources.shipped_bank(), "there is none yet"
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"")
    assert resources.default_bank() == tmp_path / name


def test_the_home_of_nobody_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEBANK_BANK", "~nobody-at-all/bank")
    for ask in (resources.own_bank, resources.default_bank):
        with pytest.raises(ConfigError, match=r"^STYLEBANK_BANK ~nobody-at-all/bank: is no path .*; give"):
            ask()


@LINUX_ONLY
def test_without_a_home_the_bank_that_comes_along_is_read_and_none_is_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as it answers where nobody knows a home
    assert resources.default_bank() == resources.shipped_bank()
    with pytest.raises(ConfigError, match=r"^your data folder: is not known.*STYLEBANK_BANK"):
        resources.own_bank()
    assert not resources.cache_folder().is_dir()


@LINUX_ONLY
def test_a_data_folder_that_cannot_be_looked_into_has_no_bank(
    data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "lstat", refused)
    assert resources.default_bank() == resources.shipped_bank()
    monkeypatch.setenv("STYLEBANK_BANK", str(data_home / "bank"))
    assert resources.default_bank() == data_home / "bank", "what the user names is missed"


def test_a_link_that_leads_nowhere_is_a_bank_that_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEBANK_BANK", str(tmp_path / "link"))
    (tmp_path / "link").symlink_to(tmp_path / "drive" / "bank")
    assert resources.default_bank() == tmp_path / "link"


def test_a_word_stands_for_the_bank_that_comes_along() -> None:
    assert (
        resources.bank_named("shipped") == resources.bank_named(Path("shipped")) == resources.shipped_bank()
    )
    assert resources.bank_named("./shipped/x") == Path("shipped/x")
    assert resources.bank_named(None) == resources.default_bank()
