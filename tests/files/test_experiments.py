"""Experiments that come along: found by name, shown, copied."""

from pathlib import Path

import pytest

from stylebank import config
from stylebank.errors import ConfigError, OutputError
from stylebank.files import experiments, resources


def test_names_are_those_of_the_files() -> None:
    found = experiments.names()
    assert {"smoke", "release", "layered/exp2", "styles/mosaic"} <= set(found)
    assert len(found) == len(list(resources.configs_folder().rglob("*.toml")))


@pytest.mark.parametrize(
    "words", ["smoke", "smoke.toml", "configs/smoke.toml", "layered/exp2", "styles/mosaic.toml"]
)
def test_name_is_found_with_its_ending_or_without(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = experiments.located(Path(words))
    assert found.is_file()
    assert found.is_relative_to(resources.configs_folder())


def test_file_of_the_user_goes_before_one_that_comes_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("smoke.toml").touch()
    assert experiments.located(Path("smoke.toml")) == Path("smoke.toml")
    assert experiments.located(Path("none/smoke.toml")) == Path("none/smoke.toml")
    with pytest.raises(
        ConfigError, match=r"config 'smok': is no file, and none that comes along .did you mean 'smoke'"
    ):
        experiments.located(Path("smok"))


def test_each_says_in_a_sentence_what_it_is() -> None:
    said = {name: experiments.summary(name) for name in experiments.names()}
    assert {name for name, line in said.items() if not 15 < len(line) < 230 or "\n" in line} == set()
    assert said["smoke"] == "the whole of a training in about a minute on two CPU cores"
    assert said["styles/hatching"].endswith("the one accent")


def test_copy_can_be_trained_with(tmp_path: Path) -> None:
    copied = experiments.copy("smoke", tmp_path / "mine")
    assert copied[0] == tmp_path / "mine" / "smoke.toml"
    assert len(copied) == 13
    styles = config.read(copied[0]).styles
    for style in styles:
        assert all((Path(style.folder) / image).is_relative_to(tmp_path) for image in style.images)
        assert all((Path(style.folder) / image).is_file() for image in style.images)
    assert experiments.copy("smoke", tmp_path / "mine") == copied


def test_what_was_changed_in_a_copy_is_not_lost(tmp_path: Path) -> None:
    target = experiments.copy("styles/mosaic", tmp_path)[0]
    target.write_text("# mine")
    with pytest.raises(OutputError, match=r"mosaic.toml: is there and has another content; use --force"):
        experiments.copy("styles/mosaic", tmp_path)
    assert target.read_text() == "# mine"
    experiments.copy("styles/mosaic", tmp_path, force=True)
    assert target.read_text() != "# mine"
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        experiments.copy("johnson", tmp_path / "file")
    with pytest.raises(ConfigError, match="config 'none': none comes along"):
        experiments.copy("none", tmp_path)
