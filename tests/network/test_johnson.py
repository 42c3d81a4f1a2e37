"""Johnson's network: it is the published one, trains in the bank's own loop, and lives in the bank's own file."""

import dataclasses
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from stylebank import StyleBank, config
from stylebank.bank import bundle
from stylebank.cli import app
from stylebank.config import Network
from stylebank.engines.choice import Computing, Engine
from stylebank.errors import ConfigError
from stylebank.files import tensorfile
from stylebank.network.layers import ResidualBlock
from stylebank.network.model import StyleBankNetwork
from stylebank.painting import strokes
from stylebank.training import report

Run = Callable[[str], tuple[object, str, str]]
"""A command line -> exit code, standard output, standard error."""


# Networks of torch's own modules, in the order of Johnson et al. 2016, supplement, table 1.
def conv(inputs: int, outputs: int, kernel: int, *, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    padding = kernel // 2
    return nn.Conv2d(
        inputs, outputs, kernel, stride=stride, padding=padding, padding_mode="reflect", bias=bias
    )


def block(inputs: int, outputs: int, kernel: int, *, stride: int = 1) -> list[nn.Module]:
    norm = nn.InstanceNorm2d(outputs, affine=True)
    return [conv(inputs, outputs, kernel, stride=stride), norm, nn.ReLU()]


class Residual(nn.Module):
    def __init__(self, channels: int, *, relu_after: bool) -> None:
        super().__init__()
        norm = nn.InstanceNorm2d(channels, affine=True)
        self.inside = nn.Sequential(*block(channels, channels, 3), conv(channels, channels, 3), norm)
        self.relu_after = relu_after

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = x + self.inside(x)
        return F.relu(total) if self.relu_after else total


def transcription(width: int, *, blocks: int = 5, relu_after: bool = False) -> nn.Sequential:
    """The network as published, nearest upsampling for the transposed convolutions, a sigmoid for the tanh."""
    return nn.Sequential(
        *block(3, width, 9),
        *block(width, 2 * width, 3, stride=2),
        *block(2 * width, 4 * width, 3, stride=2),
        *(Residual(4 * width, relu_after=relu_after) for _ in range(blocks)),
        nn.Upsample(scale_factor=2),
        *block(4 * width, 2 * width, 3),
        nn.Upsample(scale_factor=2),
        *block(2 * width, width, 3),
        conv(width, 3, 9, bias=True),
        nn.Sigmoid(),
    )


def trained(network: StyleBankNetwork) -> list[Tensor]:
    return [weight for weight in network.parameters() if weight.requires_grad]


def johnson(width: int) -> Network:
    return Network(kind="johnson", width=width, outer_kernel=9)


def filled(network: StyleBankNetwork) -> StyleBankNetwork:
    """With weights that all count, norms too."""
    generator = torch.Generator().manual_seed(0)
    for weight in trained(network):
        weight.data = torch.rand(weight.shape, generator=generator) * 0.4 - 0.15
    return network.double()


def test_the_standard_network_has_as_many_weights_as_the_published_one() -> None:
    network = StyleBankNetwork(johnson(32), [1])
    count = sum(weight.numel() for weight in trained(network))
    assert count == sum(weight.numel() for weight in transcription(32).parameters())
    # Beside E and D of the bank, five blocks of two 3x3 convolutions over 128 channels and two norms.
    bank = StyleBankNetwork(Network(width=32, blocks=0, outer_kernel=9), [])
    assert count == sum(w.numel() for w in bank.parameters()) + 5 * 2 * (128 * 128 * 9 + 2 * 128)
    # The often-quoted 1,679,235 counts a bias before each norm, which takes it away again.
    assert count + 32 + 64 + 128 + 10 * 128 + 64 + 32 == 1_679_235


@pytest.mark.parametrize("size", [(32, 32), (20, 36)])
def test_it_computes_what_the_published_one_computes(size: tuple[int, int]) -> None:
    network = filled(StyleBankNetwork(johnson(8), [1]))
    network.precision = torch.float64
    photo = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def distance(reference: nn.Sequential) -> float:
        weights = list(reference.double().parameters())
        for one, other in zip(weights, trained(network), strict=True):
            one.data.copy_(other)
        # Pictures leave the network as float32, whose last bit near 1 is 6e-8.
        return float((network.stylize(photo, [0, 0]).double() - reference(photo)).abs().max())

    with torch.no_grad():
        assert distance(transcription(8)) < 1e-6
        assert distance(transcription(8, relu_after=True)) > 1e-3, "the control: no ReLU after the sum"


def test_a_residual_block_adds_to_its_input_and_lets_negative_sums_pass() -> None:
    torch.manual_seed(0)
    residual, x = ResidualBlock(4), -torch.rand(1, 4, 8, 8)
    with torch.no_grad():
        assert float(residual(x).min()) < -1
        residual.norm.weight.zero_()
        assert torch.equal(residual(x), x)


def test_a_bank_has_no_residual_blocks_before_its_filters_and_learns_these() -> None:
    networks = [StyleBankNetwork(shape, [1]) for shape in (Network(width=4, blocks=2), johnson(4))]
    found = [
        [
            sum(isinstance(layer, ResidualBlock) for layer in part)
            for part in (network.encoder, network.decoder)
        ]
        for network in networks
    ]
    assert found == [[0, 2], [5, 0]]
    assert [network.filters[0].requires_grad for network in networks] == [True, False]


CONFIG = """
[network]
kind = "johnson"
width = 4
[training]
steps = 5
batch = 2
crop = 32
stylizing_steps = 1
warmup = 1
precision = "float32"
[loss]
style_layers = ["relu1_1", "relu2_1"]
layer_weights = [1, 1]
content_layer = "relu2_1"
[report]
checkpoint_every = 1
held_back = 1
[[style]]
name = "wave"
image = "wave.png"
size = 32
"""
TRAIN = "train tiny.toml --content photos --device cpu --run {0} --out {0}.bank --vgg {1}"


@pytest.fixture(scope="module")
def studio(vgg_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder: photos, a painting, configs, and `whole`, a finished training."""
    home = tmp_path_factory.mktemp("studio")
    pixels = np.random.default_rng(0).integers(0, 256, (7, 40, 48, 3), np.uint8)
    (home / "photos").mkdir()
    for place, name in enumerate(["wave", "night", *(f"photos/{number}" for number in range(5))]):
        Image.fromarray(pixels[place]).save(home / f"{name}.png")
    (home / "tiny.toml").write_text(CONFIG)
    (home / "bank.toml").write_text(CONFIG.replace('kind = "johnson"', "").replace("steps = 5", "steps = 1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        patch.setattr(report, "PREVIEW_SIDE", 64)
        with pytest.raises(SystemExit) as leaving:
            app.main(shlex.split(TRAIN.format("whole", vgg_file)))
        assert leaving.value.code == 0
        yield home


@pytest.fixture
def run(studio: Path, command_line: Run) -> Run:
    assert studio == Path.cwd()
    return command_line


def refused(run: Run, line: str) -> str:
    code, out, err = run(line)
    assert (code, out, err.count("\n")) == (2, "", 1)
    return err


@pytest.mark.usefixtures("studio")
def test_all_steps_are_stylizing_ones_and_the_filter_stays_the_identity() -> None:
    header, *rows = Path("whole/losses.csv").read_text().splitlines()
    table = [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]
    assert [float(row["step"]) for row in table] == [1, 2, 3, 4, 5]
    assert {row["identity"] for row in table} == {"nan"}
    assert len({row["total"] for row in table}) == 5
    (entry,) = bundle.read(Path("whole.bank")).entries
    assert np.array_equal(entry.filter, np.eye(16)[:, :, None, None])
    assert entry.style.kernel == 1
    assert entry.gain == pytest.approx(1, rel=1e-6)


def test_a_bank_of_the_same_config_does_auto_encoder_steps(run: Run, vgg_file: Path) -> None:
    """The control of the test above."""
    assert run(f"{TRAIN.format('bank', vgg_file)} --network stylebank")[0] == 0
    assert bundle.read(Path("bank.bank")).network == Network(width=4)
    header, *rows = (line.split(",") for line in Path("bank/losses.csv").read_text().splitlines())
    place = header.index("identity")
    assert [row[place] == "nan" for row in rows] == [True, False, True, False, True]


def test_the_network_option_goes_before_the_config(run: Run, vgg_file: Path) -> None:
    line = TRAIN.format("johnson", vgg_file).replace("tiny", "bank")
    code, out, _ = run(f"{line} --network johnson")
    assert code == 0
    assert "auto-encoder" not in out
    assert bundle.read(Path("johnson.bank")).network == Network(kind="johnson", width=4)
    assert "'vae' is not one of stylebank, johnson" in refused(run, f"{line} --network vae")


@pytest.mark.usefixtures("studio")
def test_the_file_comes_back_and_paints_what_the_network_paints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strokes, "FIRST", 36)  # in one pass
    read = bundle.read(Path("whole.bank"))
    bundle.write(Path("again.bank"), read)
    assert Path("again.bank").read_bytes() == Path("whole.bank").read_bytes()
    assert sum(name.startswith("encoder.3.") for name in read.coder) > 0
    photo = torch.rand(3, 32, 36, generator=torch.Generator().manual_seed(0))
    network = read.build()
    with torch.no_grad():
        wanted = network.stylize(photo.unsqueeze(0), [0])[0]
        features = photo.unsqueeze(0)
        for layer in list(network.encoder)[:3]:
            features = layer(features)
        plain = network.decoder(features)[0]
    for engine in get_args(Engine):
        found = StyleBank(read, computing=Computing(engine, "float32", "cpu")).stylize(photo, "wave")
        # The gain of the identity is 1 to seven digits.
        assert torch.allclose(found, wanted, atol=1e-5)
    assert not torch.allclose(wanted, plain, atol=1e-2), "the control: the blocks paint"


@pytest.mark.usefixtures("studio")
def test_a_file_without_the_blocks_is_refused() -> None:
    tensors, manifest = tensorfile.read(Path("whole.bank"), kind="bank")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("encoder.5.")}
    tensorfile.write(Path("cut.bank"), kind="bank", tensors=kept, manifest=manifest)
    with pytest.raises(ValueError, match=r"tensor 'encoder\.5\..*' is missing"):
        bundle.read(Path("cut.bank"))


def test_stylizing_by_the_command_line(run: Run) -> None:
    code, out, _ = run("stylize photos/0.png --style wave --bank whole.bank -o out.png")
    assert (code, out) == (0, "out.png\n")
    with Image.open("out.png") as picture:
        assert picture.size == (48, 40)


@pytest.mark.parametrize("line", ["stylize photos/0.png --style {} --bank whole.bank -o milder.png"])
@pytest.mark.parametrize("style", ["wave --strength 0.5", "wave@0.5", "wave --strength 0"])
def test_a_strength_below_1_is_refused(line: str, style: str, run: Run) -> None:
    assert "a johnson network has its style in every layer; leave the strength at 1" in refused(
        run, line.format(style)
    )
    assert not Path("milder.png").exists()


def test_a_second_style_is_refused(run: Run, vgg_file: Path) -> None:
    before = Path("whole.bank").read_bytes()
    add = "add-style night night.png --bank whole.bank --content photos --run added"
    assert "is a johnson network, which has one style for ever" in refused(run, f"{add} --vgg {vgg_file}")
    two = f"{TRAIN.format('pair', vgg_file)} --style night=night.png"
    assert "a johnson network has one style, and no filter (kernel 1); it has 2" in refused(run, two)
    assert Path("whole.bank").read_bytes() == before
    assert not Path("pair").exists()
    assert not Path("added").exists()


@pytest.mark.usefixtures("studio")
def test_a_config_takes_any_kernel_and_code_only_1() -> None:
    Path("kernel.toml").write_text(f"{CONFIG}kernel = 5\n")
    found = config.read(Path("kernel.toml"))
    assert [style.kernel for style in found.styles] == [1]
    style = dataclasses.replace(found.styles[0], kernel=3)
    with pytest.raises(ConfigError, match=r"no filter \(kernel 1\); it has 1, the first of kernel 3"):
        config.check(dataclasses.replace(found, styles=(style,)), where="here")


def test_a_run_stopped_in_between_ends_in_the_same_bytes(
    run: Run, vgg_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, stop = "stopped", 3
    steps = iter(range(stop))
    with monkeypatch.context() as patch:
        patch.setattr(
            "stylebank.machine.interrupts.StopRequest.__call__", lambda _: next(steps, None) is None
        )
        patch.setattr("stylebank.machine.interrupts.StopRequest.exit_code", 130)
        code, _, err = run(TRAIN.format(name, vgg_file))
    assert code == 130
    assert f"stopped at step {stop};" in err
    part = bundle.read(Path(f"{name}.bank"))
    assert part.training["steps"] == stop
    assert Path(f"{name}.bank").read_bytes() != Path("whole.bank").read_bytes(), "the control"
    assert run(TRAIN.format(name, vgg_file))[0] == 0
    assert Path(f"{name}.bank").read_bytes() == Path("whole.bank").read_bytes()
