"""The command that opens the studio, the bank in a browser window."""

from pathlib import Path
from typing import Annotated

import typer

from stylebank.terminal.options import Bank, Device, EngineName, PrecisionName, note, printable


def studio(
    photo: Annotated[
        Path | None, typer.Argument(metavar="[PHOTO]", help="A photo to begin with.", show_default=False)
    ] = None,
    bank: Bank = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="To listen at; 0 for a free one.")] = 0,
    host: Annotated[
        str, typer.Option(help="Address to listen at; another lets others in, and needs a password.")
    ] = "127.0.0.1",
    password: Annotated[
        str, typer.Option(help="What others must know.", envvar="STYLEBANK_PASSWORD", show_default=False)
    ] = "",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser window.")] = True,
    engine: EngineName = "auto",
    precision: PrecisionName = "auto",
    device: Device = "auto",
) -> None:
    """Paint by looking: the bank in a browser window. Nothing leaves this machine."""
    from stylebank.bank import personal
    from stylebank.files import resources, tensorfile
    from stylebank.studio import server
    from stylebank.studio.workshop import Settings

    if not tensorfile.manifest_of(resources.bank_named(bank)):  # a look; it is read when the page is there
        personal.read(bank)
    if photo:
        from stylebank.photos import originals
        from stylebank.pixels import images

        if not images.is_image(photo):
            originals.read(photo)
    if (engine, precision, device) != ("auto",) * 3:
        from stylebank.engines.choice import Computing

        Computing(engine, precision, device).choose()
    settings = Settings(bank, photo, engine, precision, device)
    listener, door = server.listening(port, host, password)
    typer.echo(server.address(door))
    if password:
        note("whoever can hear this network can read along: there is no encryption")
    opened = (lambda: _open(server.address(door))) if browser else None
    try:
        server.serve(settings, door, listener, ready=opened)
    except KeyboardInterrupt:
        typer.echo(err=True)


def _open(address: str) -> None:
    import webbrowser
    from threading import Thread

    def opening() -> None:
        if not webbrowser.open(address):
            note(f"no browser opens by itself; open {printable(address)}")

    Thread(target=opening, daemon=True).start()
