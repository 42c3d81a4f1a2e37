"""Where the studio listens, and the command that opens it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stylebank.errors import ConfigError
from stylebank.studio import server
from stylebank.studio.guard import Door

Run = Callable[[str], tuple[object, str, str]]


def test_free_port_is_found_and_the_token_is_another_each_time() -> None:
    doors = []
    for _ in range(2):
        listener, door = server.listening(0, "127.0.0.1", "")
        assert listener.getsockname() == ("127.0.0.1", door.port)
        assert server.address(door) == f"http://127.0.0.1:{door.port}/#token={door.token}"
        listener.close()
        doors.append(door)
    assert doors[0].token != doors[1].token
    assert len(doors[0].token) >= 32


def test_port_that_is_taken_is_said_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--port {port}: cannot be had at 127.0.0.1"):
            server.listening(port, "127.0.0.1", "")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.0.7", "::", "example.org"])
def test_others_are_let_in_with_a_password_only(host: str) -> None:
    with pytest.raises(ConfigError, match="--password"):
        server.listening(0, host, "")
    for password in ("short", "ümläute in it", "a\nline of text"):
        with pytest.raises(ConfigError, match="password"):
            server.listening(0, host, password)


def test_password_is_not_in_the_address() -> None:
    address = server.address(Door(80, "token", "0.0.0.0", "a long password"))
    assert address == "http://0.0.0.0:80/"


def test_limits_follow_the_operations() -> None:
    assert server.limit("POST", "/api/photos") == 300_000_000
    assert server.limit("POST", "/api/photos/x/masks") == 64_000_000
    assert server.limit("GET", "/api/photos") == 1_000_000
    assert server.limit("POST", "/api/photos/") == 1_000_000
    assert server.limit("POST", "/") == 1_000_000


def test_command_refuses_what_it_cannot_open(command_line: Run, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no photo")
    for words, said in {
        f"studio --no-browser --bank {tmp_path / 'none'}": "none",
        f"studio --no-browser {broken}": "broken.png",
        f"studio --no-browser {tmp_path / 'absent.jpg'}": "absent.jpg",
        "studio --no-browser --host 0.0.0.0": "--password",
        "studio --no-browser --engine cuda": "engine",
    }.items():
        code, out, complained = command_line(words)
        assert (code, out) == (2, "")
        assert said in complained
        assert complained.count("\n") == 1


@pytest.mark.posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_line_is_the_address_and_a_signal_ends_it_quietly(studio_bank: Path, number: int) -> None:
    words = ["studio", "--no-browser", "--bank", str(studio_bank), "--engine", "onnx"]
    program = subprocess.Popen(
        [sys.executable, "-m", "stylebank", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        # What a shell starts in the background ignores Ctrl-C, and so do its children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509  # no threads here
    )
    assert program.stdout
    line = program.stdout.readline()
    assert line.startswith("http://127.0.0.1:")
    assert "/#token=" in line
    program.send_signal(number)
    out, complained = program.communicate(timeout=30)
    assert "Traceback" not in complained
    assert out == ""
    assert program.returncode in (0, -number, 128 + number, 130)
