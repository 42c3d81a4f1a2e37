"""A mixture saved as a style of its own: paints to the bit as the mixture does, and travels as any other entry."""

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylebank import StyleBank
from stylebank.bank import bundle, editing, entries, mixture
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.cli import app
from stylebank.errors import ConfigError, OutputError, StyleBankError, TensorFileError, UnknownStyleError
from stylebank.files import tensorfile
from stylebank.training import warm_start

MakeBank = Callable[..., Bundle]
Run = Callable[[str], tuple[object, str, str]]

KERNELS = {"wave": 3, "night": 5, "scream": 1}
WORDS = "wave:0.3+night:0.5+scream:0.2"


@pytest.fixture
def bank(make_bank: MakeBank, tmp_path: Path) -> Path:
    bundle.write(tmp_path / "bank", make_bank(KERNELS))
    return tmp_path / "bank"


@pytest.fixture
def run(bank: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line beside the bank: exit code, standard output, standard error."""
    monkeypatch.chdir(bank.parent)

    def run(line: str) -> tuple[object, str, str]:
        with pytest.raises(SystemExit) as left:
            app.main(line.split())
        return left.value.code, *capsys.readouterr()

    return run


def bake(bank: Path, name: str, words: str) -> Entry:
    return editing.edit(bank, editing.baking(name, mixture.parse(words))).find(name)


def painted(bank: Path, words: str | Mapping[str, float]) -> Tensor:
    photo = torch.rand(1, 3, 32, 36, generator=torch.Generator().manual_seed(0))
    return StyleBank.load(bank, device="cpu").stylize(photo, words)


def test_a_baked_style_paints_what_its_mixture_paints(bank: Path) -> None:
    wanted, milder = painted(bank, WORDS), painted(bank, f"{WORDS}@0.4")
    bake(bank, "both", WORDS)
    assert torch.equal(painted(bank, "both"), wanted)
    assert torch.equal(painted(bank, "both@0.4"), milder)
    assert torch.equal(painted(bank, WORDS), wanted), "the parts are as they were"
    other = painted(bank, "wave:0.31+night:0.5+scream:0.19")
    assert (other - wanted).abs().max() > 1e-4, "the control"


@pytest.mark.parametrize("name", KERNELS)
def test_a_mixture_of_one_style_is_baked_as_a_copy(name: str, bank: Path) -> None:
    entry = bake(bank, "copy", name)
    assert torch.equal(painted(bank, "copy"), painted(bank, name))
    assert (entry.style.kernel, entry.mixture) == (KERNELS[name], {name: 1.0})


def test_a_baked_style_is_mixed_again(bank: Path) -> None:
    bake(bank, "both", "wave:0.5+night:0.5")
    bake(bank, "more", "both:0.5+scream:0.5")
    wanted = painted(bank, "wave:0.25+night:0.25+scream:0.5")
    # Filters are rounded to float16 twice instead of once: by 2^-11 of themselves, and D's norms keep proportions.
    assert (painted(bank, "more") - wanted).abs().max() < 0.01
    assert (painted(bank, "wave:0.5+night:0.25+scream:0.25") - wanted).abs().max() > 0.03, "the control"
    assert bundle.read(bank).find("more").mixture == {"both": 0.5, "scream": 0.5}


def test_what_is_kept_of_a_baked_style(bank: Path) -> None:
    bake(bank, "both", "wave:1+night:3@0.5")
    entry = bundle.read(bank).find("both")
    assert entry.mixture == {"wave": 0.25, "night": 0.75}
    assert (entry.style.layers, entry.style.kernel, entry.card) == ((), 5, None)
    wave, night = (bundle.read(bank).find(name) for name in ("wave", "night"))
    # As strong as its parts are on average: 1 / g is how strong K makes features that are as strong as 1.
    assert entry.gain == pytest.approx(1 / (0.25 / wave.gain + 0.75 / night.gain))
    assert entry.revision_gain == pytest.approx(1 / (0.25 / wave.revision_gain + 0.75 / night.revision_gain))
    assert not entry.is_joint
    assert [other.is_joint for other in bundle.read(bank).entries] == [True, True, True, False]
    assert all(not bundle.read(bank).find(name).mixture for name in KERNELS)
    found = entries.from_manifest(json.loads(json.dumps(entry.to_manifest())), entry.tensors)
    assert found.is_same(entry)


def test_other_entries_keep_every_bit(bank: Path) -> None:
    before = bundle.read(bank)
    bake(bank, "both", WORDS)
    after = bundle.read(bank)
    assert after.names == (*KERNELS, "both")
    assert all(map(Entry.is_same, before.entries, after.entries))
    assert after.coder_digest() == before.coder_digest()


def test_a_baked_style_outlives_its_parts(bank: Path) -> None:
    bake(bank, "both", WORDS)
    wanted = painted(bank, "both")
    editing.edit(bank, editing.removing(list(KERNELS)))
    assert bundle.read(bank).names == ("both",)
    assert torch.equal(painted(bank, "both"), wanted)


def test_a_baked_style_is_renamed_exported_imported_and_merged(bank: Path, make_bank: MakeBank) -> None:
    bake(bank, "both", WORDS)
    wanted, other, file = painted(bank, "both"), bank.with_name("other"), bank.with_name("both.style")
    editing.edit(bank, editing.renaming("both", "mix"))
    editing.export_style("mix", bank=bank, out=file, force=False)
    bundle.write(other, make_bank({"x": 3}))
    assert editing.import_style(file, bank=other).mixture == {"wave": 0.3, "night": 0.5, "scream": 0.2}
    assert torch.equal(painted(other, "mix"), wanted)
    merged = editing.merge([bank, other], out=bank.with_name("new"), renames=[], force=False)
    assert merged.names == (*KERNELS, "mix", "x"), "once: the two are the same"
    assert torch.equal(painted(bank.with_name("new"), "mix"), wanted)


def test_a_warm_start_knows_joint_styles_only(bank: Path) -> None:
    bake(bank, "both", WORDS)
    found = bundle.read(bank).entries
    with_it, without = (warm_start.candidates(some, channels=16, kernel=5) for some in (found, found[:3]))
    assert torch.equal(with_it, without)
    trained = [*found[:3], replace(found[3], recipe={})]
    assert len(warm_start.candidates(trained, channels=16, kernel=5)) == len(without) + 1, "the control"


REFUSED: dict[str, tuple[str, str, type[StyleBankError], str]] = {
    "name taken": ("wave", "night:1", OutputError, "^style 'wave': is in the bank already"),
    "no name": ("Both", "night:1", ConfigError, "^new name: 'Both' is no style name"),
    "unknown": ("both", "wave:1+nihgt:1", UnknownStyleError, r"'nihgt': is not in the bank \(did you mean"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_baked_leaves_the_bank_as_it_was(case: str, bank: Path) -> None:
    name, words, error, message = REFUSED[case]
    before = bank.read_bytes()
    with pytest.raises(error, match=message):
        bake(bank, name, words)
    assert bank.read_bytes() == before
    assert [path.name for path in bank.parent.iterdir()] == ["bank"]


@pytest.mark.parametrize("words", ["wave:1e-320+night:1e10", "wave:1e-300+night:1", "wave:1e300+night:1e-9"])
def test_the_bank_can_be_read_however_odd_the_weights(words: str, bank: Path) -> None:
    with contextlib.suppress(ConfigError):
        bake(bank, "odd", words)
    assert set(bundle.read(bank).names) - {"odd"} == set(KERNELS)


@pytest.mark.parametrize("gain", ["gain", "revision_gain"])
def test_a_mixture_too_strong_for_its_numbers_is_refused(gain: str, bank: Path) -> None:
    """The sum of filters times gains is kept in float16, whose numbers end at 65504."""
    contents = bundle.read(bank)
    wave, *others = contents.entries
    loud = replace(wave, **{gain: 1e9})  # type: ignore[arg-type]
    bundle.write(bank, replace(contents, entries=(loud, *others)))
    before = bank.read_bytes()
    with pytest.raises(OutputError, match=r"^style 'loud': its filter holds numbers that are not finite; "):
        bake(bank, "loud", "wave:0.5+night:0.5")
    assert bank.read_bytes() == before
    bake(bank, "quiet", "scream:0.5+night:0.5")
    assert "quiet" in bundle.read(bank).names, "the control"


def test_a_mixture_is_baked_for_both_passes(bank: Path) -> None:
    contents = bundle.read(bank)
    entry = bake(bank, "both", WORDS)
    for again, found in ((False, entry.filter), (True, entry.revision)):
        wanted, gain = contents.mixed_filter(mixture.parse(WORDS).weights, again=again)
        assert found is not None
        assert np.array_equal(found, wanted)
        assert gain == (entry.revision_gain if again else entry.gain)


def test_a_mixture_of_styles_without_second_filters_has_none(bank: Path) -> None:
    contents = bundle.read(bank)
    single = tuple(replace(entry, revision=None, revision_gain=1.0) for entry in contents.entries)
    bundle.write(bank, replace(contents, entries=(*single[:2], contents.entries[2])))
    assert bake(bank, "neither", "wave:0.5+night:0.5").revision is None
    one = bake(bank, "one", "wave:0.5+scream:0.5")
    assert one.revision is not None
    assert bundle.read(bank).find("one").is_same(one)


LAYERS = "has both or neither of layers and mixture; the file is damaged"
DAMAGE: dict[str, tuple[str, Mapping[str, Any], str]] = {
    "neither": ("both", {"recipe": {}}, LAYERS),
    "both": ("wave", {"recipe": {"mixture": {"night": 1.0}}}, LAYERS),
    "weight 0": ("both", {"recipe": {"mixture": {"wave": 0}}}, "weight 0.* is out of range"),
    "weight 2": ("both", {"recipe": {"mixture": {"wave": 2.0}}}, "weight 2.0 is out of range"),
    "weight -1": ("both", {"recipe": {"mixture": {"wave": -1.0}}}, "weight -1.0 is out of range"),
    "weight in words": ("both", {"recipe": {"mixture": {"wave": "1"}}}, "weight of wave"),
    "a list": ("both", {"recipe": {"mixture": ["wave"]}}, "no JSON object"),
    "null": ("both", {"recipe": {"mixture": None}}, "no JSON object"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_manifest_that_is_damaged_is_refused_in_one_line(case: str, bank: Path) -> None:
    """Digests are right here: somebody made the file so."""
    name, change, message = DAMAGE[case]
    bake(bank, "both", WORDS)
    tensors, manifest = tensorfile.read(bank, kind="bank")
    tensorfile.write(bank, kind="bank", tensors=tensors, manifest=manifest)
    assert bundle.read(bank).names == (*KERNELS, "both"), "the control"
    next(style for style in manifest["styles"] if style["style"]["name"] == name).update(change)
    tensorfile.write(bank, kind="bank", tensors=tensors, manifest=manifest)
    with pytest.raises(TensorFileError, match=message) as caught:
        bundle.read(bank)
    assert str(caught.value).isprintable()


def test_bake_says_what_it_made_and_list_shows_it(run: Run) -> None:
    note = "note: weights sum to 4; taken as wave 0.25, night 0.75\n"
    done = run("bake both --mix wave=1 --mix night=3 --bank bank")
    assert done == (0, "bank: has 'both' now, wave:0.25+night:0.75\n", note)
    assert run("bake third --mix both=0.5 --mix scream=0.5 --bank bank")[2] == ""
    assert run("bake copy --mix wave=1 --bank bank") == (0, "bank: has 'copy' now, wave\n", "")
    code, out, err = run("list --long --bank bank")
    assert (code, err) == (0, "")
    rows = [line.split(maxsplit=1) for line in out.splitlines()]
    assert ["both", "mixture of 0.75 night + 0.25 wave"] in rows
    assert ["third", "mixture of 0.5 both + 0.5 scream"] in rows
    assert ["copy", "mixture of 1 wave"] in rows
    listed = json.loads(run("list --bank bank --json")[1])
    assert [entry["recipe"] for entry in listed][3] == {"mixture": {"wave": 0.25, "night": 0.75}}
    assert run("verify bank")[1].startswith("bank: intact bank, sha256 ")


def test_a_bank_of_baked_styles_only_is_listed(run: Run) -> None:
    run("bake both --mix wave=0.5 --mix night=0.5 --bank bank")
    run("remove-style wave night scream --bank bank")
    code, out, err = run("list --long --bank bank")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split(maxsplit=1) == ["both", "mixture of 0.5 night + 0.5 wave"]
