"""Where the page's ONNX Runtime Web comes from: npm's registry, once, or a file; every byte is checked.

It is no part of this package: 11 MB that most people never need. One version is known by its digests, the smallest
build that computes everywhere (WebAssembly, with threads where a page may have them).
"""

import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import which

from stylebank.errors import ConfigError
from stylebank.files import atomic, resources

VERSION = "1.22.0"
"""Later ones are no faster at this, and larger: 1.23.2 by 0.2 MB packed, 1.30.0 by 0.8 MB."""

PACKAGE = f"onnxruntime-web-{VERSION}"

DIGESTS = {
    "ort.wasm.min.mjs": "6ef726f355b791129f7ddf3f62e7877a16b9b777abe87004b8ab306e6b9cf265",
    "ort-wasm-simd-threaded.mjs": "30dd851d9c00622940500f71ddd2ff8820c5cb65270816080175b958705385a8",
    "ort-wasm-simd-threaded.wasm": "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4",
}
"""SHA-256 of each file that the page takes of the package's folder `dist`."""

LICENCE = f"""ONNX Runtime Web {VERSION}, https://github.com/microsoft/onnxruntime

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.

What it is built of has licences of its own:
https://github.com/microsoft/onnxruntime/blob/v{VERSION}/ThirdPartyNotices.txt
"""

_SECONDS = 600
_LARGEST = 64_000_000  # bytes of one file


def files(given: Path | None = None) -> Mapping[str, bytes]:
    """The runtime's files by their names.

    Args:
        given: the package as npm packs it (.tgz), or a folder with its files; None for the user's cache, which is
            filled by `npm pack` when it is first needed: the only time that a connection is opened.

    Raises:
        ConfigError: a file is missing or is another version's, or npm cannot fetch it.
        OutputError: the cache cannot be written.
    """
    if given is None:
        return _cached()
    try:
        found = _packed(given) if given.is_file() else _unpacked(given)
    except (tarfile.TarError, EOFError) as error:  # of a dozen lines, one for each way to pack
        raise ConfigError(
            f"{given}: is no package of npm's, or cut short; give {PACKAGE}.tgz, or its folder 'dist'"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"{given}: cannot be read ({error}); give {PACKAGE}.tgz, or its folder 'dist'"
        ) from error
    for name, digest in DIGESTS.items():
        if name not in found:
            raise ConfigError(f"{given}: has no {name}; give {PACKAGE}.tgz, or its folder 'dist'")
        if atomic.sha256_bytes(found[name]) != digest:
            raise ConfigError(f"{given}: {name} is damaged or of another version; give {PACKAGE}.tgz")
    return found


def cache() -> Path:
    """The folder that keeps the files once they were fetched."""
    return resources.cache_folder() / PACKAGE


def _cached() -> Mapping[str, bytes]:
    folder = cache()
    found = _read(lambda name: (folder / name).read_bytes())
    if all(atomic.sha256_bytes(found.get(name, b"")) == digest for name, digest in DIGESTS.items()):
        return found
    with tempfile.TemporaryDirectory(prefix="stylebank-") as scratch:
        fetched = files(_fetched(Path(scratch)))
    for name, data in fetched.items():
        atomic.write_atomically(folder / name, data)
    return fetched


def _fetched(folder: Path) -> Path:
    """The package, fetched by npm, which knows the registry, its mirrors and its proxies."""
    remedy = f"or fetch {PACKAGE}.tgz yourself and name it by --runtime"
    npm = which("npm")
    if not npm:
        raise ConfigError(f"web: npm, which fetches ONNX Runtime Web, is not installed; install it, {remedy}")
    words = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent", "--ignore-scripts"]
    try:
        done = subprocess.run(  # noqa: S603  # the words are this module's own
            words, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigError(
            f"web: npm does not fetch ONNX Runtime Web ({error}); try again, {remedy}"
        ) from error
    package = folder / f"{PACKAGE}.tgz"
    if done.returncode or not package.is_file():
        said = " ".join((done.stderr or done.stdout).split())[-200:] or f"exit code {done.returncode}"
        raise ConfigError(f"web: npm does not fetch ONNX Runtime Web ({said}); try again, {remedy}")
    return package


def _packed(package: Path) -> dict[str, bytes]:
    with tarfile.open(package) as archive:

        def read(name: str) -> bytes:
            member = archive.getmember(f"package/dist/{name}")
            file = archive.extractfile(member)
            if not file or member.size > _LARGEST:
                raise KeyError(name)
            return file.read()

        return _read(read)


def _unpacked(folder: Path) -> dict[str, bytes]:
    if not folder.is_dir():
        raise ConfigError(f"{folder}: does not exist; give {PACKAGE}.tgz, or its folder 'dist'")
    places = (folder, folder / "dist", folder / "package" / "dist")
    place = next((each for each in places if (each / next(iter(DIGESTS))).is_file()), folder)
    return _read(lambda name: (place / name).read_bytes())


def _read(one: Callable[[str], bytes]) -> dict[str, bytes]:
    """Those of the files that are there."""
    found = {}
    for name in DIGESTS:
        try:
            found[name] = one(name)
        except (KeyError, FileNotFoundError, NotADirectoryError):
            continue
    return found
