"""Experiment files: every key is read, typed and bounded; whatever else a file holds is one line of error."""

import dataclasses
import json
import math
import re
import tomllib
from datetime import date
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stylebank import config
from stylebank.errors import ConfigError, StyleBankError
from stylebank.files import toml

ROOT = Path(__file__).resolve().parents[1]
STYLE = '[[style]]\nname = "a"\nimage = "a.png"\n'
TABLES = {name: getattr(config, name.title()) for name in ("network", "training", "loss", "report", "style")}
FIELDS = [(table, f) for table, cls in TABLES.items() for f in dataclasses.fields(cls)]
KEYS = [(table, f.name) for table, f in FIELDS if f.name != "folder"]
BOUNDED = [(table, f.name, f.metadata["low"], f.metadata["high"]) for table, f in FIELDS if f.metadata]

# No value is its key's default.
EVERY_KEY = """
network = { kind = "johnson", width = 48, blocks = 3, outer_kernel = 7, output = "linear", restore_moments = false }
report = { checkpoint_every = 17, preview_every = 19, held_back = 23 }
[training]
steps = 7; batch = 3; crop = 48; zoom = 1.25; stylizing_steps = 5; balance = 0.5
learning_rate = 0.02; warmup = 9; schedule = "staircase"; hold = 0.25; decay = 0.7; decay_every = 11
revisions = 0.75; revise_after = 0.375; chained = 0.125; grain = 0.25; precision = "bfloat16"; seed = 13
[loss]
content = 2.0; style = 3.0; tv = 0.25; far = 0.625; empty = 4.0; peaks = 0.5; tone = 0.5; color = 0.75
seams = 0.625; weave = 5.0
content_layer = "relu3_2"
style_layers = ["relu1_2", "relu2_2"]; layer_weights = [0.5, 2.0]
[[style]]
name = "all-keys_1"; image = "a.png"; images = ["b.png", "blank"]; zoom = ["c.png", "d.png"]
rest_layer = "relu1_1"; weights = [1.0, 0.0, 3.5]; size = 600; kernel = 1
""".replace("; ", "\n")


def literal(value: object) -> str:
    """A value as TOML; integers as hexadecimals where they may be, which have no limit of digits."""
    match value:
        case bool():
            return str(value).lower()
        case int() if value >= 0:
            return hex(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return f"[{', '.join(map(literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{literal(key)} = {literal(item)}' for key, item in value.items())}}}"
        case _:
            return str(value)


def experiment(table: str, **values: object) -> str:
    """An experiment that is complete but for these keys of one table."""
    if table == "style":
        return f"style = [{literal({'name': 'a', 'image': 'a.png', **values})}]"
    return f"{table} = {literal(values)}\n{STYLE}"


def read(folder: Path, text: str | bytes) -> config.Config:
    path = folder / "experiment.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.read(path)


def refusal(folder: Path, text: str | bytes) -> str:
    """The one line that an experiment is refused with."""
    with pytest.raises(StyleBankError) as caught:
        read(folder, text)
    assert type(caught.value) is ConfigError
    message = str(caught.value)
    assert message.startswith(str(folder / "experiment.toml"))
    assert len(message.splitlines()) == 1
    assert len(message) < 1000  # or no person reads it
    return message


def test_every_key_reads_as_it_is_written(tmp_path: Path) -> None:
    written = tomllib.loads(EVERY_KEY)
    written["style"] = written["style"][0]
    found = read(tmp_path, EVERY_KEY)
    assert {(table, key) for table, values in written.items() for key in values} == set(KEYS)
    for table, key in KEYS:
        section = found.styles[0] if table == "style" else getattr(found, table)
        value = written[table][key]
        assert getattr(section, key) == (tuple(value) if isinstance(value, list) else value)
        default = {f.name: f.default for f in dataclasses.fields(section)}[key]
        assert getattr(section, key) != default, f"{key}: a test with the default could not fail"


def test_missing_tables_and_keys_take_the_defaults_in_a_file_of_up_to_a_mebibyte(tmp_path: Path) -> None:
    found = read(tmp_path, STYLE + "#" * (toml.MAX_BYTES - len(STYLE)))
    sections = config.Network(), config.Training(), config.Loss(), config.Report()
    style = config.Style("a", image="a.png", folder=str(tmp_path))
    assert found == config.Config(*sections, styles=(style,))


def test_manifest_is_json_with_every_value_and_no_folder(tmp_path: Path) -> None:
    found = read(tmp_path, EVERY_KEY)
    manifest = json.loads(json.dumps(found.to_manifest()))
    manifest["style"] = manifest.pop("styles")
    assert manifest == tomllib.loads(EVERY_KEY)


def test_images_start_at_the_styles_folder_and_those_of_a_set_at_its_own(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    path.write_text(STYLE + '[[style]]\nname = "b"\nset = "sets/b.toml"\n')
    (sets := tmp_path / "sets").mkdir()
    (sets / "b.toml").write_text('image = "b.png"')
    assert [style.folder for style in config.read(path).styles] == [str(tmp_path), str(sets)]
    assert [s.folder for s in config.read(path, styles_folder=Path("x")).styles] == ["x", str(sets)]


def test_styles_of_the_command_line_follow_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(STYLE)
    found = config.read(tmp_path / "c.toml", more_styles=[config.Style("b", image="b.png")])
    assert [style.name for style in found.styles] == ["a", "b"]
    with pytest.raises(ConfigError, match="'a' stands 2 times"):
        config.read(tmp_path / "c.toml", more_styles=[config.Style("a", image="b.png")])


@pytest.mark.parametrize(("table", "key"), KEYS)
def test_misspelt_key_is_refused_with_the_nearest_name(table: str, key: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, experiment(table, **{key + "x": 1}))
    assert f"[{table}]" in message
    assert f"unknown key '{key}x' (did you mean '{key}'?)" in message


@pytest.mark.parametrize(("table", "key", "low", "high"), BOUNDED)
def test_range_includes_its_ends_and_nothing_beyond(
    table: str, key: str, low: float, high: float, tmp_path: Path
) -> None:
    whole = get_type_hints(TABLES[table])[key] is int
    for end in (low, high):
        found = read(tmp_path, experiment(table, **{key: end}))
        section = found.styles[0] if table == "style" else getattr(found, table)
        assert getattr(section, key) == end
    below, above = (low - 1, high + 1) if whole else (math.nextafter(low, -9e9), math.nextafter(high, 9e9))
    for beyond in (below, above):
        message = refusal(tmp_path, experiment(table, **{key: beyond}))
        assert f"{key}: " in message
        assert f"use {low} to {high}" in message


@pytest.mark.parametrize("value", [True, math.nan, math.inf, -math.inf, "1", [1], {"a": 1}, date(2001, 1, 1)])
@pytest.mark.parametrize(("table", "key"), [(table, key) for table, key, *_ in BOUNDED])
def test_number_takes_no_other_value(table: str, key: str, value: object, tmp_path: Path) -> None:
    assert f"[{table}]" in (message := refusal(tmp_path, experiment(table, **{key: value})))
    assert f" {key}: " in message


def test_an_outer_kernel_has_a_centre(tmp_path: Path) -> None:
    for kernel in (3, 5, 7, 9):
        found = read(tmp_path, experiment("network", outer_kernel=kernel))
        assert found.network.outer_kernel == kernel
    assert "outer_kernel: 6 is even" in refusal(tmp_path, experiment("network", outer_kernel=6))


def test_the_paper_s_config_is_the_papers() -> None:
    """What has become the default since is set back in it."""
    found = config.read(ROOT / "configs" / "paper.toml")
    assert (found.network.width, found.network.blocks, found.network.outer_kernel) == (32, 0, 9)
    assert (found.network.output, found.network.restore_moments) == ("linear", False)
    assert (found.training.revisions, found.training.hold, found.training.grain) == (0, 0, 0)
    assert (found.training.crop, found.training.steps) == (512, 300_000)
    assert (found.loss.far, found.loss.empty, found.loss.peaks) == (0, 0, 0)
    assert (found.loss.tone, found.loss.color) == (0, 0)


def test_johnson_s_config_is_the_published_network() -> None:
    found = config.read(ROOT / "configs" / "johnson.toml")
    assert found.network == config.Network(kind="johnson", width=32, outer_kernel=9)
    assert found.network.encoder_blocks == 5
    assert found.network.decoder_blocks == 0
    assert (found.training.revisions, found.training.hold, found.training.grain) == (0, 0, 0)
    assert (found.loss.far, found.loss.empty, found.loss.peaks) == (0, 0, 0)
    assert (found.loss.tone, found.loss.color) == (0, 0)


def test_whole_number_will_do_for_a_float_but_a_float_for_no_whole_number(tmp_path: Path) -> None:
    zoom = read(tmp_path, experiment("training", zoom=2)).training.zoom
    assert (zoom, type(zoom)) == (2.0, float)
    assert "batch: 2.0 is not a whole number" in refusal(tmp_path, experiment("training", batch=2.0))


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("network", "output", "tanh"),
        ("training", "schedule", True),
        ("training", "precision", ["auto"]),
        ("network", "restore_moments", 1),
        ("loss", "content_layer", 3),
        ("loss", "style_layers", "relu1_1"),
        ("loss", "style_layers", ["relu1_1", 2]),
        ("loss", "layer_weights", [1, 1, math.nan, 1, 1]),
        ("loss", "layer_weights", [1, 1, True, 1, 1]),
        ("loss", "layer_weights", [1, 1, -1, 1, 1]),
        ("loss", "layer_weights", [1, 1]),
        ("training", "crop", 100),
        ("network", "outer_kernel", 4),
        ("network", "outer_kernel", 8),
        ("style", "image", 1),
        ("style", "images", "a.png"),
        ("style", "weights", [10**400]),
        ("style", "kernel", 4),
        ("style", "folder", "/"),
    ],
)
def test_wrong_value_is_refused_by_its_name(table: str, key: str, value: object, tmp_path: Path) -> None:
    assert key in refusal(tmp_path, experiment(table, **{key: value}))


@pytest.mark.parametrize("key", ["steps", "zoom", "precision"])
@pytest.mark.parametrize(
    "value", [10**18, 10**4200, 1 << 40_000], ids=["1e18", "1e4200", "too-long-to-print"]
)
def test_huge_number_is_refused_in_a_short_line(key: str, value: int, tmp_path: Path) -> None:
    assert f"{key}: " in refusal(tmp_path, experiment("training", **{key: value}))


def test_only_names_fit_for_files_and_tensors_are_styles(tmp_path: Path) -> None:
    for name in ("a", "0", "a_b-c", "z" * 64):
        assert read(tmp_path, experiment("style", name=name)).styles[0].name == name
    for name in (
        "",
        "A",
        "ä",
        "-a",
        "_a",
        "a b",
        "a.b",
        "a/b",
        "../../a",
        "/etc/passwd",
        "a\n",
        "z" * 65,
        "a\0",
    ):
        assert "is no style name" in refusal(tmp_path, experiment("style", name=name))


@pytest.mark.parametrize("name", ["con", "prn", "aux", "nul", "com1", "lpt9"])
def test_a_new_style_is_not_called_as_a_device_of_windows_and_one_that_is_opens(
    tmp_path: Path, name: str
) -> None:
    said = refusal(tmp_path, experiment("style", name=name))
    assert f"'{name}' is a device on Windows" in said
    config.check_name(name, where="a bank", is_new=False)
    for other in (f"{name}s", f"{name}-1", f"{name}10", f"a{name}"):
        config.check_name(other, where="new name")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no style to train"),
        ("style = []", "no style to train"),
        ("style = 1", "write [[style]] with two brackets"),
        ('[style]\nname = "a"', "write [[style]] with two brackets"),
        ("style = [1]", "is not a table"),
        ('[[style]]\nimage = "a.png"', "has no 'name'"),
        (STYLE + STYLE, "style 'a' stands 2 times"),
        ("training = 3\n" + STYLE, "'training' is not a table"),
        ("[[loss]]\n" + STYLE, "'loss' is not a table"),
        ("[trainig]", "unknown key 'trainig' (did you mean 'training'?)"),
        ("[zzz]", "unknown key 'zzz'; known are"),
        (STYLE + "size = 1\nsize = 2", "is not valid TOML"),
        ("x = " + "[" * 50_000, "is not valid TOML"),
        ("[network]\nwidth = " + "{a = " * 200 + "1" + "}" * 200, "width: "),
        (f"[network]\nwidth.{'a.' * 1500}a = 1", "width: "),
        ("x = " + "9" * 5000, "is not valid TOML"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (b"#" * (toml.MAX_BYTES + 1), "is over 64 KiB"),
        (f'[training]\nsteps = "{"x" * 50_000}"', "steps: "),
        (f'"{"x" * 50_000}" = 1', "unknown key 'xxx"),
        ('"a\\nb" = 1', "unknown key"),
        ('[network]\n"a\\u2028b" = 1', "unknown key"),
    ],
    ids=lambda value: repr(value[:30]) if len(value) < 40 else str(len(value)),
)
def test_file_that_is_no_experiment_is_refused_in_one_line(
    text: str | bytes, words: str, tmp_path: Path
) -> None:
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize("name", ["missing.toml", ".", "x" * 300, "a\0b"])
def test_path_that_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read \(.+\); check the path") as caught:
        config.read(tmp_path / name)
    assert len(str(caught.value).splitlines()) == 1


TEXT = st.text(st.characters(codec="utf-8"))
NUMBERS = st.floats() | st.integers() | st.integers(0, 20_000).map(lambda bits: 1 << bits)
VALUES = st.recursive(
    st.booleans() | NUMBERS | TEXT | st.dates(), lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)


@given(place=st.sampled_from(KEYS), value=VALUES)
def test_any_value_at_any_key_is_taken_or_refused(
    place: tuple[str, str], value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, text = tmp_path_factory.getbasetemp(), experiment(place[0], **{place[1]: value})
    try:
        read(folder, text)
    except StyleBankError:
        refusal(folder, text)


@given(data=st.binary() | VALUES.map(lambda value: f"style = {literal(value)}".encode()))
def test_any_bytes_are_taken_or_refused(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    refusal(tmp_path_factory.getbasetemp(), data)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_experiment_that_comes_along_is_read(path: Path) -> None:
    assert config.read(path).styles


def test_readme_has_every_key_with_its_default_and_range() -> None:
    text = (ROOT / "configs" / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| `?(.+?)`? \| (.*?) \|", text, re.MULTILINE)
    rows = [row for row in rows if row[0] != "set"]  # stands for keys of another file, and is no field
    assert [key for key, *_ in rows] == [key for _, key in KEYS]
    cells = {(table, key): cells for (table, key), (_, *cells) in zip(KEYS, rows, strict=True)}
    for table, f in FIELDS:
        if f.name not in ("name", "folder"):
            assert tomllib.loads(f"x = {cells[table, f.name][0]}")["x"] == json.loads(json.dumps(f.default))
    for table, key, *span in BOUNDED:
        assert [float(end) for end in cells[table, key][1].split(" to ")] == span
