"""Folders of object stores, painted by a cluster: Ray Data over pyarrow's file systems, an extra."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from stylebank.bank import mixture, personal
from stylebank.bank.bundle import Bundle
from stylebank.bank.mixture import Mixture
from stylebank.batch import names
from stylebank.engines.choice import Computing
from stylebank.errors import ConfigError, ContentError, EncodingError, ImageError
from stylebank.files import atomic
from stylebank.painting.painter import StyleBank
from stylebank.photos import originals
from stylebank.pixels import encoding, formats
from stylebank.pixels.encoding import Beside

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

_TOGETHER = 8  # photos that an actor takes at a time


@dataclass(frozen=True)
class Folders:
    """Where photos are and pictures go: URIs such as s3://bucket/photos, or absolute paths.

    Attributes:
        source: all images below it are painted.
        output: pictures keep their places in it.
        style: part of their names.
        suffix: of their format.
        overwrite: whether pictures that are there already are made anew.
    """

    source: str
    output: str
    style: str
    suffix: str
    overwrite: bool

    def photos(self) -> list[str]:
        """Paths of all images below the source, relative to it, sorted; hidden ones are left out.

        Raises:
            ContentError: there is no such folder, or it holds no photos.
        """
        from pyarrow.fs import FileSelector, FileType

        system, root = _opened(self.source)
        if PurePosixPath(_opened(self.output)[1]).is_relative_to(root):
            raise ContentError(
                f"{self.output}: is inside {self.source}; choose another folder for the pictures"
            )
        try:
            found = system.get_file_info(FileSelector(root, recursive=True))
        except OSError as error:
            raise ContentError(f"{self.source}: cannot be listed ({error}); check the address") from error
        inner = [PurePosixPath(info.path).relative_to(root) for info in found if info.type == FileType.File]
        photos = sorted(
            str(path)
            for path in inner
            if path.suffix.lower() in formats.IMAGE_SUFFIXES
            and not any(p.startswith(".") for p in path.parts)
        )
        if not photos:
            raise ContentError(f"{self.source}: holds no photos; check the address")
        return photos

    def pictures(self, photos: Sequence[str]) -> list[str]:
        """The paths of the photos' pictures, relative to the output; no two are one."""
        paths = [Path(photo) for photo in photos]
        wanted = [names.Wanted(path, path, self.style) for path in paths]
        return [path.as_posix() for path in names.of(wanted, folder=Path(), suffix=self.suffix)]


class Stylizer:
    """What an actor does with rows of paths; a class for `ray.data.Dataset.map_batches`.

    A batch has "photo", paths below the source, and "picture", paths below the output. It comes back with "error", why
    there is no picture, else empty.

    Args:
        contents: the bank.
        computing: what computes.
        mixed: what is painted.
        keep_color: see `StyleBank.stylize`.
        folders: where from and where to.
    """

    def __init__(
        self, contents: Bundle, computing: Computing, mixed: Mixture, keep_color: bool, folders: Folders
    ) -> None:
        self._bank, self._folders = StyleBank(contents, computing=computing), folders
        self._mixed, self._keep_color = mixed, keep_color
        self._source, self._output = _opened(folders.source), _opened(folders.output)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Paint what is not yet there."""
        pairs = [
            (str(photo), str(picture))
            for photo, picture in zip(batch["photo"], batch["picture"], strict=True)
        ]
        return {**batch, "error": np.array([self._make(*pair) for pair in pairs], object)}

    def _make(self, photo: str, picture: str) -> str:
        from pyarrow.fs import FileType

        (source, source_root), (output, root) = self._source, self._output
        target = f"{root}/{picture}"
        if not self._folders.overwrite and output.get_file_info(target).type == FileType.File:
            return ""
        try:
            with source.open_input_stream(f"{source_root}/{photo}") as stream:
                original = originals.read_bytes(stream.read(), photo)
            painted = self._bank.stylize(original.image, self._mixed, keep_color=self._keep_color)
            data = encoding.encode(painted, self._folders.suffix, beside=Beside.of(original))
        except (ImageError, EncodingError, OSError) as error:  # a photo may have gone
            return str(error)
        if output.type_name == "local":
            atomic.write_atomically(Path(target), data)
            return ""
        output.create_dir(str(PurePosixPath(target).parent), recursive=True)
        with output.open_output_stream(target) as stream:  # an object store shows whole objects only
            stream.write(data)
        return ""


def stylize(
    source: str,
    output: str,
    *,
    style: str,
    bank: str | None = None,
    strength: float = 1.0,
    stroke: float = 1.0,
    keep_color: bool = False,
    suffix: str = ".jpg",
    engine: str = "auto",
    overwrite: bool = False,
    actors: int | None = None,
) -> Iterator[tuple[str, str, str]]:
    """Paint all images below a folder on a Ray cluster, or on this machine if there is none.

    Args:
        source: URI or absolute path of the photos.
        output: of the pictures; those that are there already are kept, so that a rerun continues.
        style: a style's name or the words of a mixture.
        bank: a bank's file; None for the one that comes with the package.
        strength: see `StyleBank.stylize`.
        stroke: see `StyleBank.stylize`.
        keep_color: see `StyleBank.stylize`.
        suffix: of the pictures' format.
        engine: see `engines.choice.Computing`; all machines have the same installed.
        overwrite: whether all pictures are made anew.
        actors: processes, of one core or one GPU each; None for as many as the cluster has.

    Yields:
        Photo and picture, relative to their folders, and why the picture could not be made, else "".

    Raises:
        ContentError: see `Folders.photos`.
        OutputError: the suffix is that of no format.
        ConfigError: Ray is not installed; or see `StyleBank.stylize`.
        UnknownStyleError, TensorFileError: see `StyleBank`.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # else a cluster that starts here tells its makers
    try:
        import ray.data  # noqa: F401  # before anything is read
    except ImportError as error:
        raise ConfigError(f"ray: is not installed ({error}); pip install 'stylebank[ray]'") from error
    formats.check_suffix(Path(f"picture{suffix}"))
    mixed = mixture.parse(style, strength=strength, stroke=stroke)
    contents = personal.read(bank or None)
    contents.filter_of(mixed)  # refused here rather than by every actor
    folders = Folders(source, output, "+".join(mixed.names), suffix, overwrite)
    painting = (contents, engine, mixed, keep_color, folders)
    yield from _on_cluster(folders.photos(), *painting, actors=actors)


def _on_cluster(
    photos: list[str],
    contents: Bundle,
    engine: str,
    mixed: Mixture,
    keep_color: bool,
    folders: Folders,
    *,
    actors: int | None,
) -> Iterator[tuple[str, str, str]]:
    import ray.data

    ray.init(ignore_reinit_error=True, log_to_driver=False)
    machines = ray.cluster_resources()
    gpus = machines.get("GPU", 0)
    wanted = "torch" if gpus and engine == "auto" else engine
    computing = Computing(wanted, device="auto" if gpus else "cpu")
    chosen = computing.choose()
    pairs = zip(photos, folders.pictures(photos), strict=True)
    rows = ray.data.from_items(
        [{"photo": photo, "picture": picture} for photo, picture in pairs]
    ).map_batches(
        Stylizer,
        fn_constructor_args=(contents, replace(computing, engine=chosen), mixed, keep_color, folders),
        batch_size=_TOGETHER,
        concurrency=actors or int(gpus or machines["CPU"]),
        num_gpus=1 if gpus and chosen == "torch" else 0,
    )
    for row in rows.iter_rows():
        yield row["photo"], row["picture"], row["error"]


def _opened(uri: str) -> "tuple[FileSystem, str]":
    """A file system and the path in it."""
    from pyarrow.fs import FileSystem

    try:
        system, path = FileSystem.from_uri(uri)
    except (OSError, ValueError) as error:
        raise ContentError(
            f"{uri}: is no address of a folder ({error}); give a URI or an absolute path"
        ) from error
    return system, path.rstrip("/")
