"""The folder of a page: what it holds, whose it is, and where the library in it comes from."""

import gzip
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stylebank.bank import bundle
from stylebank.bank.bundle import Bundle
from stylebank.config import Network
from stylebank.errors import ConfigError, OutputError, UnknownStyleError
from stylebank.files import atomic, resources
from stylebank.web import packing, runtime, site

PAGE = Path(site.__file__).parent / "page"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as npm packs it, with other bytes."""
    folder = tmp_path / "package" / "dist"
    folder.mkdir(parents=True)
    digests = {}
    for name in runtime.DIGESTS:
        (folder / name).write_bytes(f"{name} ".encode() * 100)
        digests[name] = atomic.sha256_file(folder / name)
    monkeypatch.setattr(runtime, "DIGESTS", digests)
    package = tmp_path / f"{runtime.PACKAGE}.tgz"
    with tarfile.open(package, "w:gz") as archive:
        archive.add(folder.parent, "package")
    return package


@pytest.fixture
def bank(make_bank: Callable[..., Bundle]) -> Bundle:
    return make_bank({"wave": 3, "scream": 1})


def written(folder: Path, bank: Bundle, library: Path) -> site.Written:
    return site.write(folder, bank, site.chosen(bank, []), library)


def test_page_holds_its_files_the_library_its_licence_and_the_styles(
    tmp_path: Path, bank: Bundle, library: Path
) -> None:
    found = written(tmp_path / "page", bank, library)
    names = {str(path.relative_to(tmp_path / "page")) for path in (tmp_path / "page").rglob("*.*")}
    assert {"index.html", "bank.json", "bank.bin", "runtime/LICENSE.txt"} < names
    assert {f"runtime/{name}{'.bin' * name.endswith('.wasm')}" for name in runtime.DIGESTS} < names
    assert (len(names), found.styles) == (found.files, ("wave", "scream"))
    assert "Microsoft" in (tmp_path / "page" / "runtime" / "LICENSE.txt").read_text()


def test_same_bank_gives_the_same_bytes(tmp_path: Path, bank: Bundle, library: Path) -> None:
    for name in ("one", "two"):
        written(tmp_path / name, bank, library)
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert all(
        path.read_bytes() == (tmp_path / "two" / path.relative_to(tmp_path / "one")).read_bytes()
        for path in files
    )


def test_every_file_that_the_page_names_is_there() -> None:
    named = set()
    for path in PAGE.iterdir():
        if path.suffix in (".js", ".html"):
            named |= set(re.findall(r'(?:from|src=|href=) ?"(?:\./)?([\w.-]+)"', path.read_text("utf-8")))
    assert {"worker.js", "main.js", "page.css"} - {"worker.js"} <= named
    added = {resources.icon().name}
    assert {name for name in named - added if not (PAGE / name).is_file()} == set()


def test_page_names_no_other_host() -> None:
    for path in PAGE.iterdir():
        if path.suffix in (".js", ".html", ".css"):
            found = re.findall(r"https?://[\w.]+", path.read_text("utf-8"))
            assert set(found) <= {"http://localhost"}, path.name


def test_shipped_bank_with_eight_styles_takes_less_than_three_megabytes_beside_the_library() -> None:
    shipped = bundle.read(resources.shipped_bank())
    entries = site.chosen(shipped, [])
    assert tuple(entry.name for entry in entries) == site.CHOICE
    page = sum(len(packing.gzipped(path.read_bytes())) for path in PAGE.iterdir())
    assert len(packing.pack(shipped, entries).data) + page < 3_000_000


def test_packed_kernels_are_the_banks_to_a_part_of_float16s_error(bank: Bundle) -> None:
    packed = packing.pack(bank, list(bank.entries))
    data, index = gzip.decompress(packed.data), packed.index
    count = sum(int(np.prod(shape)) for _, shape in index["halves"].values())
    planes = np.frombuffer(data[: 2 * count], np.uint8).reshape(2, count)
    words = np.ascontiguousarray(planes[::-1].T).view("<u2")[:, 0]
    floats = np.frombuffer(
        data, "<f4", offset=2 * count, count=sum(np.prod(s) for _, s in index["floats"].values())
    )
    kernel = bank.coder["decoder.0.first.conv.weight"]
    start, _ = index["halves"]["decoder.0.first.conv"]
    (first, [outputs]) = index["floats"]["decoder.0.first.conv"]
    wholes = words[start : start + kernel.size].view("<i2").reshape(kernel.shape)
    steps = floats[first : first + outputs].reshape(-1, 1, 1, 1)
    error = np.abs(wholes * steps - kernel).max()
    assert error <= 1.01 * steps.max() < np.abs(kernel.astype(np.float16) - kernel).max()
    start, shape = index["halves"]["wave.filter"]
    found = words[start : start + np.prod(shape)].view("<f2").reshape(shape)
    assert np.array_equal(found, bank.find("wave").filter)


def test_styles_that_are_named_come_in_that_order_and_once(bank: Bundle) -> None:
    assert [entry.name for entry in site.chosen(bank, ["scream", "wave", "scream"])] == ["scream", "wave"]
    with pytest.raises(UnknownStyleError, match="did you mean 'wave'"):
        site.chosen(bank, ["wvae"])


def test_network_without_filters_has_no_page(make_bank: Callable[..., Bundle]) -> None:
    johnson = make_bank({"wave": 1}, shape=Network(kind="johnson", width=4))
    with pytest.raises(ConfigError, match="is a johnson"):
        packing.pack(johnson, list(johnson.entries))


def test_folder_with_other_files_is_refused_and_a_page_is_renewed(
    tmp_path: Path, bank: Bundle, library: Path
) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("words")
    with pytest.raises(OutputError, match="holds other files"):
        site.check(tmp_path / "notes", force=False)
    with pytest.raises(OutputError, match="is no folder"):
        site.check(tmp_path / "notes" / "thesis.txt", force=True)
    site.check(tmp_path / "notes", force=True)
    written(tmp_path / "notes", bank, library)
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "words"
    site.check(tmp_path / "notes", force=False)
    site.check(tmp_path / "new", force=False)


def test_library_is_read_from_a_package_or_a_folder_and_each_byte_is_checked(
    tmp_path: Path, library: Path
) -> None:
    for place in (library, tmp_path, tmp_path / "package", tmp_path / "package" / "dist"):
        assert runtime.files(place).keys() == runtime.DIGESTS.keys()
    name = next(iter(runtime.DIGESTS))
    (tmp_path / "package" / "dist" / name).write_bytes(b"other")
    with pytest.raises(ConfigError, match=f"{name} is damaged or of another version"):
        runtime.files(tmp_path)
    library.write_bytes(library.read_bytes()[:-200])
    for place, said in (
        (library, "is no package|cannot be read|has no"),
        (tmp_path / "none", "does not exist"),
    ):
        with pytest.raises(ConfigError, match=said):
            runtime.files(place)


def test_npm_is_asked_once_and_what_it_says_is_told(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def run(words: list[str], *, cwd: Path, **_: object) -> SimpleNamespace:
        asked.append(words[1:3])
        if len(asked) > 1:
            (cwd / library.name).write_bytes(library.read_bytes())
        return SimpleNamespace(returncode=len(asked) == 1, stderr="no\nroute", stdout="")

    monkeypatch.setattr(resources, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(runtime, "which", lambda _: None)
    with pytest.raises(ConfigError, match=r"npm, which fetches .* is not installed"):
        runtime.files()
    monkeypatch.setattr(runtime, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ConfigError, match=r"npm does not fetch .* \(no route\); try again"):
        runtime.files()
    found = runtime.files()
    assert runtime.files() == found
    assert asked == [["pack", f"onnxruntime-web@{runtime.VERSION}"]] * 2


def test_page_says_what_graphs_and_arrays_it_has(bank: Bundle) -> None:
    index = json.loads(json.dumps(packing.pack(bank, list(bank.entries)).index))
    assert {"encode", "decode", "filter", "first", "second", "encoder2", "decoder2"} <= index["graphs"].keys()
    assert [style["passes"][1]["kernel"] for style in index["styles"]] == ["wave.revision", "scream.revision"]
