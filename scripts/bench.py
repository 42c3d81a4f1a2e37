"""Benchmarks by name; each lives in a module of its own under scripts/benchmarks."""

import typer
from benchmarks import train

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Speed, as ratios within one run.")
app.command(name="train")(train.main)


@app.callback()
def _commands() -> None:
    """Keep the name of a benchmark on the command line even while there is only one."""


if __name__ == "__main__":
    app()
