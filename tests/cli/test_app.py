"""The commands as a person meets them: what each leaves behind, and one line for every mistake."""

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import typer
from PIL import Image

from stylebank import __version__
from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.cli import app
from stylebank.files import tensorfile
from stylebank.supervision.vgg import STYLE_LAYERS

if sys.platform != "win32":
    import resource

Run = Callable[[str], tuple[object, str, str]]
"""A command line -> exit code, standard output, standard error."""

WAVE = '[[style]]\nname = "wave"\nsize = 32\n'
TINY = '[network]\nwidth = 4\n[training]\nsteps = 1\nbatch = 2\ncrop = 32\nprecision = "float32"\n'
CONFIGS = {
    "tiny": f'{TINY}{WAVE}image = "paint.png"',
    "plain": TINY,
    "syntax": "[training\nsteps = 3",
    "key": "[training]\nstep = 3",
    "missing": f'{WAVE}image = "none.png"',
    "three": f'{WAVE}images = ["paint.png", "paint.png", "paint.png"]',
    "name": '[[style]]\nname = "../wave"\nimage = "paint.png"',
}
WORDS = {
    "PAINT": "stylize photo.png --style wave --bank",
    "STYLIZE": "stylize --style wave --bank bank",
    "SHEET": "sheet --bank bank",
    "FUSE": "fuse --mix wave=1 --bank bank",
    "SEGMENT": "segment --bank bank",
    "SWEEP": "sweep photo.png wave --bank bank",
    "EVALUATE": "evaluate --content album --styles nothing --bank bank",
    "INTO": "--content album --run run --out new",
    "TRAIN": "train tiny.toml --content album --run run --out new",
    "LONG": "x" * 300,
}
EACH = "PAINT bank|SHEET photo.png|FUSE photo.png|SEGMENT photo.png|SWEEP"
"""Every command that paints, as parts of a line."""

# Command line -> what its one line of complaint must say. [a|b] are two lines; % is that part of each.
MISTAKES = r"""
[bogus|list two words] -> o such command|unexpected extra
[--bogus|list --bogus] -> No such option: --bogus
[list --bank|sheet photo.png --size] -> requires an argument
[verify|sheet|train|stylize --style wave|fuse|sweep|segment|bake --mix wave=1] -> Missing argument
[stylize photo.png|bake x|train tiny.toml --content album --run run] -> Missing option
sheet photo.png --size [3|9999|big] -> '--size'
[verify|list --bank|PAINT] [none|empty|nothing|foreign|thesis|pickle|cut|flipped|LONG|checkpoint] -> ^%: .+; \w+
[SHEET|STYLIZE|FUSE|SEGMENT] [none.png|empty.png|broken.png|thesis.png|huge.png] -> ^%: \w+ \w+
[SHEET|STYLIZE|FUSE|SEGMENT] LONG -> ^x+(-[a-z]+.png)?: .*(too long|does not exist)
[SHEET|FUSE|SEGMENT] album -> ^album: is a folder
STYLIZE nothing -> ^nothing: holds no photos
stylize photo.png --bank bank --style [wvae|WAVE|""|../wave|a/b|..|LONG] -> ^style '.*': is not in the bank
stylize photo.png --bank bank --style wvae -> did you mean 'wave'
[EACH] --engine [tf|ONNX] -> ^engine '%': is unknown; choose one of auto, openvino, onnx, torch
[EACH] --engine [onnx|openvino] --device cuda -> ^engine '%': computes on the CPU only
[EACH] --precision [half|""|FLOAT32] -> ^precision '.*': is unknown; choose one of auto, float32, bfloat16
PAINT bank --format [gif|psd|""] -> is no known image format
[EACH] --engine onnx --precision bfloat16 -> ^engine 'onnx': computes in float32
stylize photo.png --bank bank --style wave --max-memory 0GB -> is no amount of memory
stylize photo.png --bank bank --style wave --tile 99999999999 -> is no size of tiles
export -o notes.onnx --style wave --bank bank -> ^notes.onnx: exists and is another kind
stylize - photo.png --style wave --bank bank -> ^-: stands for the program's input
stylize album -o - --style wave --bank bank -> ^-: has room for one picture
stylize photo.png --bank bank --style [wave:|wave:x|wave@2|wave:-1|wave+night|wave:1+wave:1] -> ^--style %: \w+
PAINT bank --strength [-1|1.1|nan] -> ^--style wave: strength % is out of range; give 0
[PAINT bank|SHEET photo.png|FUSE photo.png|SWEEP] --stroke [-1|0.2|8.1|nan] -> stroke % is out of range; give 0.5
stylize photo.png --bank bank --style wave@x[|9|y] -> ^--style wave@x.*: stroke
EVALUATE --octaves --stroke 9 -> ^--octaves: stroke 9 is out of range
EVALUATE [--stroke 2|--sizes 512] -> --octaves
EVALUATE --octaves --sizes [big|512,|9|512,1000000] -> ^--sizes %: \w+
export -o new.onnx --bank bank --strength 0.5 --again -> ^export: give --style or --mix
export[| -o new.onnx --web page] -> ^export: give -o FILE.onnx or --web FOLDER
export -o new.onnx --bank bank --style wave --style night -> ^export: a file has one --style, not 2
export -o new.onnx --runtime album -> ^export: --runtime is for a page
export --web page [--mix wave=1|--strength 0.5|--again] -> ^export: a page mixes by itself
export --web [album|nothing/../album] --bank bank -> ^%: holds other files
export --web thesis --bank bank --force -> ^thesis: is no folder
export --web page --bank bank --style wvae -> did you mean 'wave'
export --web page --bank bank --runtime [none|album|thesis] -> ^%: (does not exist|has no|cannot be read|is no package)
train tiny.toml INTO --from [none|thesis|cut|checkpoint] -> ^%: \w+
[EACH|TRAIN] --device gpu -> 'gpu': is unknown; use auto, cpu, cuda
[PAINT bank|SHEET photo.png] -o [out.gif|out] -> '(.gif)?' is no known image format; use one of
[PAINT bank|SHEET photo.png] -o [photo.png|./photo.png|link.png|album/../photo.png] -> is the photo itself
[PAINT bank|SHEET photo.png] -o thesis.png -> another kind of file.*--force
[PAINT bank|SHEET photo.png] -o [thesis/out.png|LONG.png] -> ^%: cannot be
STYLIZE album -o [photo.png|thesis] -> is a file, but there are 4 pictures; give a folder
PAINT bank --name [{colour}|../{stem}|{stem|a:b|""] -> ^--name .*: \w+
PAINT bank [-o x.jpg --quality 0|-o x.jpg --quality 101|--quality 90|--format jpg --lossless] -> ^--(quality|lossless)
PAINT bank --format webp --lossless --quality 90 -> ^--lossless: leaves no choice of --quality
[PAINT bank|FUSE photo.png] --keep-metadata=[gps|""] -> ^--keep-metadata .*: is none of none, date, basic, all
stylize photo.png --style wave --style night --bank bank -o [-|x.png] -> there are 2
[SEGMENT photo.png|optimize photo.png paint.png --snapshots 2] -o - -> give (it )?a name
STYLIZE album -o thesis/deep -> ^thesis/deep
STYLIZE photo.png none.png -o out -> none.png: does not exist
train [none|syntax].toml INTO -> ^%.toml: \W*\w+
train key.toml INTO -> 'step' .did you mean 'steps'
train bytes.toml INTO -> is not UTF-8
train plain.toml INTO -> no style to train
train missing.toml INTO -> none.png: is no file
train three.toml INTO -> has 3 images; give one for all layers, or five
train name.toml INTO -> '../wave' is no style name
TRAIN --style [more|more=] -> has no '='; write NAME=IMAGE
TRAIN --style [=paint.png|../x=paint.png|A=paint.png] -> is no style name
TRAIN --style more=paint.png,paint.png -> has 2 images; give one for all layers, or five
TRAIN --style more=zoom:paint.png -> zoom has 1 images; give two
TRAIN --style more=zoom:paint.png,paint.png@relu2_1 -> 'relu2_1' is at neither end
TRAIN --style more=zoom:paint.png,paint.png -> too small to zoom
TRAIN --style more=[none.toml|none.png] -> ^%: (cannot be read|is no file)
TRAIN --style wave=paint.png -> 'wave' stands 2 times
TRAIN --vgg [none|bank|cut] -> ^%: \w+ \w+
TRAIN --resume -> run: holds no checkpoint to resume
train tiny.toml --run run --out new --content [nothing|none|photo.png|LONG] -> ^%: \w+ \w+
train tiny.toml --content album --run run --out [thesis|nothing|photo.png|run] -> ^%: \w+ \w+
train tiny.toml --content album --run run --out run/checkpoint.safetensors -> ^run/checkpoint.safetensors: \w+
train tiny.toml --content album --run [thesis|thesis/run] --out new -> ^thesis.*: \w+
"""


def mistakes() -> dict[str, str]:
    """Every command line with the pattern of its complaint."""
    found = {}
    for row in MISTAKES.strip().splitlines():
        line, wanted = row.replace("EACH", EACH).split(" -> ")
        for parts in itertools.product(*(part.split("|") for part in re.split(r"[\[\]]", line))):
            found["".join(parts)] = wanted.replace("%", re.escape(parts[-2:][0]))
    return found


def spelt_out(line: str) -> str:
    return re.sub(r"\b[A-Z]+\b", lambda word: WORDS.get(word[0], word[0]), line)


@pytest.fixture(scope="module")
def template(make_bank: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bank of two styles, photos, configs, and one of everything that is wrong."""
    home = tmp_path_factory.mktemp("studio")
    bundle.write(home / "bank", make_bank({"wave": 3, "night": 5}))
    tensorfile.write(home / "checkpoint", kind="checkpoint", tensors={}, manifest={})
    whole = (home / "bank").read_bytes()
    pixels = np.random.default_rng(0).integers(0, 256, (33, 40, 3), np.uint8)
    for name in ("photo.png", "paint.png", "album/a.png", "album/b.jpg", "album/in/c.bmp", "album/in/d.tif"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(home / name)
    photo = (home / "photo.png").read_bytes()
    # A good header that declares 100,000 x 100,000 pixels.
    header = b"IHDR" + b"\0\1\x86\xa0" * 2 + photo[24:29]
    contents = {
        "foreign": safetensors.torch.save({"weight": torch.zeros(3)}),
        "cut": whole[:-100],
        "flipped": whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:],
        "pickle": b"PK\3\4" + bytes(100),
        "empty": b"",
        "empty.png": b"",
        "thesis": b"my thesis",
        "thesis.png": b"my thesis",
        "notes.onnx": b"my thesis",
        "broken.png": photo[:-2000],
        "huge.png": photo[:12] + header + zlib.crc32(header).to_bytes(4, "big") + photo[33:],
        "bytes.toml": b'name = "\xff"',
        **{f"{name}.toml": text.encode() for name, text in CONFIGS.items()},
    }
    for name, data in contents.items():
        (home / name).write_bytes(data)
    (home / "nothing").mkdir()
    (home / "folder.png").mkdir()
    (home / "link.png").symlink_to("photo.png")
    return home


@pytest.fixture
def studio(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as the current folder."""
    home = shutil.copytree(template, tmp_path / "studio", symlinks=True)
    monkeypatch.chdir(home)
    return home


@pytest.fixture
def run(studio: Path, command_line: Run) -> Run:
    """Run a command line in the studio."""
    assert studio == Path.cwd()
    return command_line


def everything() -> dict[Path, object]:
    """Every file of the studio with the time of its last change and its bytes."""
    found = Path().rglob("*")
    return {path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes()) for path in found}


@pytest.mark.parametrize(("line", "wanted"), mistakes().items(), ids=list(mistakes()))
def test_every_mistake_is_one_line_and_changes_nothing(line: str, wanted: str, run: Run) -> None:
    before = everything()
    code, out, err = run(spelt_out(line))
    assert code == 2
    said = re.fullmatch(r"stylebank: error: (\S.*)\n", err)
    assert said, "one line and no more"
    assert re.search(spelt_out(wanted), said[1])
    assert out == ""
    assert everything() == before


def test_a_surprise_is_no_mistake(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: an error that no user can correct keeps its trace."""
    monkeypatch.setattr("stylebank.bank.bundle.read", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run("list --bank bank")


OPTIONS = {
    "train": "config --content --run --out [--styles] [--style] [--network] [--from] [--device] "
    "[--vgg] [--steps] [--resume] [--tensorboard] [--force]",
    "add-style": "name style [--bank] [--content] [--run] [--steps] [--size] [--kernel] [--seed] "
    "[--device] [--vgg]",
    "bake": "name --mix [--bank]",
    "remove-style": "names [--bank]",
    "rename-style": "old new [--bank]",
    "export": "[-o/--output] [--web] [--style] [--mix] [--strength] [--again] [--runtime] [--bank] [--force]",
    "export-style": "name [-o/--output] [--bank] [--force]",
    "import-style": "file [--bank] [--name]",
    "merge": "banks -o/--output [--rename] [--force]",
    "studio": "[photo] [--bank] [--port] [--host] [--password] [--browser] [--engine] [--precision] [--device]",
    "stylize": "photos --style [--bank] [-o/--output] [--strength] [--stroke] [--keep-color] [--format] "
    "[--name] [--quality] [--lossless] [--keep-metadata] [--skip-existing] [--tile] "
    "[--max-memory] [--engine] [--precision] [--device] [--json] [--force]",
    "fuse": "photo [--mix] [--region] [--regions] [--auto-regions] [--assign] [--rest] [--strength] "
    "[--stroke] [--fusion] [--feather] [--overlap] [--fit] [--keep-color] [--seed] "
    "[-o/--output] [--quality] [--lossless] [--keep-metadata] [--bank] [--tile] "
    "[--max-memory] [--engine] [--precision] [--device] [--force]",
    "sweep": "photo styles [--steps] [-o/--output] [--size] [--stroke] [--keep-color] [--bank] "
    "[--engine] [--precision] [--device] [--force]",
    "video": "source -o/--output [--style] [--mix] [--mix-at] [--region] [--regions] [--auto-regions] "
    "[--assign] [--rest] [--strength] [--stroke] [--keep-color] [--steady] [--feather] [--overlap] [--fit] "
    "[--start] [--preview] [--max-side] [--fps] [--codec] [--quality] [--bank] [--tile] [--max-memory] "
    "[--engine] [--precision] [--device] [--force]",
    "segment": "photo [-k/--regions] [-o/--output] [--seed] [--bank] [--engine] [--precision] [--device] "
    "[--force]",
    "optimize": "photo style [-o/--output] [--quality] [--lossless] [--keep-metadata] [--steps] "
    "[--method] [--init] [--seed] [--content-weight] [--style-weight] [--tv-weight] "
    "[--style-blend] [--size] [--styles] [--snapshots] [--max-memory] [--device] [--vgg] "
    "[--force]",
    "evaluate": "--content --styles [--bank] [--size] [--photos] [--optimization] [--octaves] "
    "[--defects] [--sizes] [--stroke] [--lpips] [--inception] [--plot] [--json] [--device] [--vgg] [--force]",
    "configs": "[name] [folder] [--force]",
    "list": "[words] [--bank] [--long] [--json]",
    "verify": "file",
    "sheet": "photo [--bank] [-o/--output] [--size] [--stroke] [--engine] [--precision] [--device] [--force]",
}


def test_commands_and_options_are_these() -> None:
    group = typer.main.get_command(app.app)
    assert isinstance(group, typer.core.TyperGroup)
    found = {
        name: [(parameter.required, "/".join(parameter.opts)) for parameter in command.params]
        for name, command in group.commands.items()
    }
    shown = {name: [opts if must else f"[{opts}]" for must, opts in rows] for name, rows in found.items()}
    assert {name: " ".join(words) for name, words in shown.items()} == OPTIONS


@pytest.mark.posix
@pytest.mark.parametrize("line", ["--help", "--version", "train --help", "stylize --help"])
def test_help_answers_at_once(line: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-X", "importtime", "-m", "stylebank", *line.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (f"stylebank {__version__}" if line == "--version" else "Usage: stylebank") in done.stdout
    imported = {row.rpartition("|")[2].strip() for row in done.stderr.splitlines()}
    assert {"typer", "stylebank.cli.app"} <= imported
    assert not {"torch", "numpy", "PIL", "safetensors"} & imported
    # Of the processor's time, not the clock's: a busy machine is no failure.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.5


def test_without_a_command_there_is_help_and_no_empty_complaint(run: Run) -> None:
    code, out, err = run("")
    assert code in (0, 2)
    assert "Usage: stylebank" in out + err
    assert "error: \n" not in err


def test_list_tells_how_to_rebuild_every_supervising_image(run: Run) -> None:
    code, out, err = run("list --long --bank bank")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    lines = lines[lines.index("wave") :]
    assert (lines[0], lines[7], len(lines)) == ("wave", "night", 13)
    assert lines[2].endswith("wave.jpg  sha256 1b1b1b1b1b1b  crop 30x40+1+2  resized 48x64  weight 0.5")
    wave, night = (entry["style"] for entry in json.loads(run("list --bank bank --json")[1]))
    assert (wave["name"], wave["kernel"], night["name"], night["kernel"]) == ("wave", 3, "night", 5)
    assert [layer["layer"] for layer in night["layers"]] == list(STYLE_LAYERS)
    last = night["layers"][4]
    assert (last["file"], last["sha256"], last["weight"]) == ("night.jpg", "4b" * 32, 2.0)
    assert (last["crop"], last["size"]) == ([4, 2, 30, 40], [64, 48])


def test_verify_names_kind_and_digest_of_what_is_whole(run: Run, vgg_file: Path) -> None:
    for path, kind in ((Path("bank"), "bank"), (vgg_file, "vgg")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert run(f"verify {path}") == (0, f"{path}: intact {kind}, sha256 {digest}\n", "")


def test_sheet_shows_the_photo_and_every_style(run: Run) -> None:
    assert run("sheet photo.png --bank bank") == (0, "photo-sheet.png\n", "")
    with Image.open("photo-sheet.png") as sheet:
        size = sheet.size
    assert run("sheet photo.png --bank bank --size 64 -o small.jpg") == (0, "small.jpg\n", "")
    with Image.open("small.jpg") as sheet:
        assert sheet.format == "JPEG"
        assert 3 * 33 * 40 < sheet.size[0] * sheet.size[1] <= size[0] * size[1]


def in_a_shell(line: str) -> "subprocess.CompletedProcess[str]":
    """The program with its streams as a shell's line opens or closes them."""
    words = ["sh", "-c", f'exec "$0" -m stylebank {line}', sys.executable]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=100)


@pytest.mark.posix
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_finds_no_room_is_one_line(run: Run) -> None:
    assert run("list --bank bank")[0] == 0
    full = in_a_shell("list --bank bank > /dev/full")
    assert (full.returncode, full.stdout) == (2, "")
    assert re.fullmatch(r"stylebank: error: output: cannot be written \(.*\); make room, .*\n", full.stderr)
    assert in_a_shell("list --bank nothing 2> /dev/full").returncode == 2


@pytest.mark.posix
def test_closed_streams_stop_no_command(run: Run) -> None:
    assert run("list --bank bank")[0] == 0
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        done = in_a_shell(f"list --bank bank {closed}")
        assert (done.returncode, done.stderr) == (0, ""), closed
    assert in_a_shell("list --bank nothing 2>&-").returncode == 2
