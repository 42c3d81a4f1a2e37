"""Benchmarks by name; each lives in a module of its own under scripts/benchmarks."""

import typer
from benchmarks import (
    add_style,
    autoencoder,
    compare,
    folder,
    fuse,
    paintings,
    quality,
    segment,
    studio,
    studio_memory,
    stylize,
    tiled,
    train,
    video,
)

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Speed, as ratios within one run.")
app.command(name="train")(train.main)
app.command(name="add-style")(add_style.main)
app.command(name="autoencoder")(autoencoder.main)
app.command(name="fuse")(fuse.main)
app.command(name="folder")(folder.main)
app.command(name="stylize")(stylize.main)
app.command(name="quality")(quality.main)
app.command(name="segment")(segment.main)
app.command(name="tiled")(tiled.main)
app.command(name="studio")(studio.main)
app.command(name="studio-memory")(studio_memory.main)
app.command(name="video")(video.main)
app.command(name="compare")(compare.main)
app.command(name="paintings")(paintings.main)


if __name__ == "__main__":
    app()
