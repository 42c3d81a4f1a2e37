"""Banks of the Hugging Face Hub, against a stand-in of its HTTP API on this machine.

One program asks for all that the tests look at: the library takes a second to import, and a test opens no connection.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from stylebank.bank import bundle, hub, hub_card
from stylebank.bank.bundle import Bundle
from stylebank.errors import ConfigError

COMMIT = {"ann/bank": "a" * 40, "ann/torn": "b" * 40, "ann/empty": "c" * 40, "ann/secret": "d" * 40}


@dataclass
class Hub:
    """What the stand-in holds, was asked and was sent."""

    address: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    sent: dict[str, bytes] = field(default_factory=dict)


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            owner, name, word, revision, *rest = [*self.path.lstrip("/").split("/"), *[""] * 4][:5]
            repository, file = f"{owner}/{name}", "/".join(rest)
            if word != "resolve":
                return self.answer(404)
            if repository == "ann/secret" and "token-of-ann" not in self.headers.get("Authorization", ""):
                return self.answer(401, X_Error_Code="RepoNotFound", X_Error_Message="private")
            if repository == "ann/gated":
                return self.answer(403, X_Error_Code="GatedRepo", X_Error_Message="gated")
            if repository == "ann/down":
                return self.answer(418)
            if repository not in hub.files:
                return self.answer(404, X_Error_Code="RepoNotFound")
            if revision not in ("main", "v1", COMMIT[repository]):
                return self.answer(404, X_Error_Code="RevisionNotFound")
            if file not in hub.files[repository]:
                return self.answer(404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT[repository])
            body = hub.files[repository][file]
            etag = f'"{hashlib.sha256(body).hexdigest()}"'
            return self.answer(
                200, body, ETag=etag, X_Repo_Commit=COMMIT[repository], Content_Length=str(len(body))
            )

        def do_POST(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if "token-of-ann" not in self.headers.get("Authorization", ""):
                return self.answer(401)
            if self.path == "/api/repos/create":
                return self.answer(200, b'{"url": "%s/ann/new"}' % hub.address.encode())
            if self.path == "/api/validate-yaml":
                return self.answer(200, b'{"errors": [], "warnings": []}')
            if "/preupload/" in self.path:
                files = [
                    {**one, "uploadMode": "regular", "shouldIgnore": False}
                    for one in json.loads(body)["files"]
                ]
                return self.answer(200, json.dumps({"files": files}).encode())
            if "/commit/" in self.path:
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        hub.sent[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                made = {"commitUrl": f"{hub.address}/ann/new/commit/{'e' * 40}", "commitOid": "e" * 40}
                return self.answer(200, json.dumps(made).encode())
            return self.answer(404)

    return Handler


@pytest.fixture(scope="module")
def stand_in(make_bank: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    bank = tmp_path_factory.mktemp("hub") / "bank"
    bundle.write(bank, make_bank({"wave": 3, "a_b": 3}))
    whole = bank.read_bytes()
    torn = bytearray(whole)
    torn[-1] ^= 1
    files = {"bank": whole, "torn": bytes(torn), "secret": whole}
    hub = Hub(files={f"ann/{name}": {"bank.safetensors": data} for name, data in files.items()})
    hub.files["ann/empty"] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield hub
    server.shutdown()
    server.server_close()
    thread.join()


CALLS = {
    "fetched": "hub.fetch('ann/bank')",
    "kept": "hub.fetch('ann/bank')",
    "prefixed": "hub.fetch(Path('hf:ann/bank'))",
    "pinned": "hub.fetch('ann/bank', revision='a' * 40)",
    "moved on": "hub.fetch('ann/bank', update=True)",
    "rotten": "rot(hub.fetch('ann/bank')), hub.fetch('ann/bank')",
    "with token": "hub.fetch('ann/secret', token='token-of-ann')",
    "private": "hub.fetch('ann/secret', revision='v1')",
    "gated": "hub.fetch('ann/gated')",
    "none": "hub.fetch('ann/none')",
    "revision": "hub.fetch('ann/bank', revision='v9')",
    "empty": "hub.fetch('ann/empty')",
    "torn": "hub.fetch('ann/torn')",
    "down": "hub.fetch('ann/down')",
    "name": "hub.fetch('hf:ann/--a..b')",
    "pushed": "hub.push(bundle.read(hub.fetch('ann/bank')), 'ann/new', token='token-of-ann', each_style=True)",
    "push refused": "hub.push(bundle.read(hub.fetch('ann/bank')), 'ann/new', token=False)",
    "offline, kept": "offline(), hub.fetch('ann/bank')",
    "offline": "hub.fetch('ann/none')",
    "offline, asked": "hub.fetch('ann/bank', update=True)",
}
"""Case -> what the program does, one after the other."""

PROGRAM = """
import json, sys
from pathlib import Path
from huggingface_hub import constants
from stylebank.bank import bundle, hub
from stylebank.errors import StyleBankError

def rot(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.resolve().write_bytes(data)

def offline():
    constants.HF_HUB_OFFLINE = True

for call in sys.stdin:
    try:
        said = str(eval(call))
    except StyleBankError as error:
        said = f"{type(error).__name__} {error}"
    print(json.dumps(said), flush=True)
"""


@dataclass
class Answers:
    """What the program said, and what the stand-in was asked for each case."""

    said: dict[str, str] = field(default_factory=dict)
    asked: dict[str, list[str]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def answers(stand_in: Hub, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    found = Answers()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(stand_in, tmp_path_factory.mktemp("hf")),
    ) as program:
        assert program.stdin
        assert program.stdout
        for case, call in CALLS.items():
            stand_in.asked.clear()
            print(call, file=program.stdin, flush=True)
            found.said[case] = json.loads(program.stdout.readline())
            found.asked[case] = list(stand_in.asked)
        program.stdin.close()
    return found


def environment(hub: Hub, home: Path) -> dict[str, str]:
    own = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
    return os.environ | own | {"HF_HUB_DISABLE_XET": "1"}


def test_bank_is_fetched_once_and_then_nobody_is_asked(answers: Answers) -> None:
    path = Path(answers.said["fetched"])
    assert bundle.read(path).names == ("wave", "a_b")
    assert [line.split()[0] for line in answers.asked["fetched"]] == ["HEAD", "GET"]
    for case in ("kept", "prefixed", "pinned", "offline, kept", "offline, asked"):
        assert answers.said[case] in (str(path), f"(None, {path!r})"), case
        assert answers.asked[case] == [], case
    assert answers.said["moved on"] == str(path)
    assert [line.split()[0] for line in answers.asked["moved on"]] == ["HEAD"]


def test_copy_that_went_bad_in_the_cache_is_fetched_again(answers: Answers) -> None:
    assert "PosixPath" in answers.said["rotten"] or "WindowsPath" in answers.said["rotten"]
    assert answers.asked["rotten"][-1].startswith("GET")


def test_private_bank_comes_with_its_token(answers: Answers) -> None:
    assert answers.said["with token"].endswith("bank.safetensors")


@pytest.mark.parametrize(
    ("case", "line"),
    [
        ("private", "ann/secret: is not on the Hub, or private; check the name, or log in"),
        ("gated", "ann/gated: is gated; ask for access on its page"),
        ("none", "ann/none: is not on the Hub, or private; check the name"),
        ("revision", "ann/bank@v9: there is no such revision; give a commit, branch or tag"),
        ("empty", "ann/empty: holds no bank.safetensors; give"),
        ("torn", "ann/torn: its bank.safetensors cannot be used (tensor "),
        ("down", "ann/down: the Hub cannot be asked"),
        ("name", "--a..b: is no name of a repository; write owner/bank"),
        ("offline", "ann/none: the Hub cannot be asked (HF_HUB_OFFLINE is set)"),
        ("push refused", "ann/new: the Hub refuses it (HTTP 401); log in"),
    ],
)
def test_what_goes_wrong_is_one_line(case: str, line: str, answers: Answers) -> None:
    assert line in answers.said[case]
    assert answers.said[case].startswith(("TensorFileError ", "OutputError "))
    assert "\n" not in answers.said[case]


def test_what_is_pushed_is_the_bank_its_card_and_its_styles(answers: Answers, stand_in: Hub) -> None:
    assert answers.said["pushed"] == "e" * 40, answers.asked["pushed"]
    assert sorted(stand_in.sent) == [
        "README.md",
        "bank.safetensors",
        "styles/a_b.style.safetensors",
        "styles/wave.style.safetensors",
    ]
    assert stand_in.sent["bank.safetensors"] == stand_in.files["ann/bank"]["bank.safetensors"]


def test_command_reads_a_bank_of_the_hub(stand_in: Hub, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "stylebank", "list", "--bank"]
    how = {"env": environment(stand_in, tmp_path), "capture_output": True, "text": True}
    found = subprocess.run([*words, "hf:ann/bank"], check=False, **how)  # type: ignore[call-overload]
    assert (found.returncode, found.stdout.split()[0]) == (0, "wave"), found.stderr
    refused = subprocess.run([*words, "hf:ann/none"], check=False, **how)  # type: ignore[call-overload]
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1)
    assert "ann/none: is not on the Hub" in refused.stderr


def test_paths_are_never_looked_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "ann" / "bank"
    folder.mkdir(parents=True)
    assert hub.fetch("ann/bank") == Path("ann/bank/bank.safetensors")
    assert hub.fetch("ann/other.safetensors") == Path("ann/other.safetensors")
    assert hub.fetch(folder / "none") == folder / "none"
    assert [hub.is_on_hub(name) for name in ("ann/bank", "ann/else", "hf:ann/bank")] == [False, True, True]


def test_missing_library_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigError, match=r"^ann/else: .*; pip install 'stylebank\[hub\]'$"):
        hub.fetch("ann/else")


def test_license_is_a_word(make_bank: Callable[..., Bundle]) -> None:
    with pytest.raises(ConfigError, match="license 'a\\nb': is none"):
        hub.push(make_bank({"wave": 3}), "ann/new", license="a\nb")


def test_card_has_what_the_hub_asks_for_and_each_style(make_bank: Callable[..., Bundle]) -> None:
    card = hub_card.text(make_bank({"wave": 3, "scream": 3}), "ann/bank", license="cc-by-4.0")
    front = card.split("---\n")[1].splitlines()
    for line in (
        "library_name: stylebank",
        "pipeline_tag: image-to-image",
        "license: cc-by-4.0",
        "- style-transfer",
    ):
        assert line in front
    assert "| `wave` | (wave.jpg) | layered | 0." in card
    assert 'StyleBank.from_pretrained("ann/bank")' in card


def test_words_of_a_bank_are_no_markup_on_its_card(make_bank: Callable[..., Bundle]) -> None:
    bad = make_bank({"wave": 3})
    layers = tuple(replace(layer, source="<b>|[x](y)\n#.jpg") for layer in bad.entries[0].style.layers)
    entry = replace(bad.entries[0], style=replace(bad.entries[0].style, layers=layers))
    card = hub_card.text(replace(bad, entries=(entry,)), "ann/bank", license="mit")
    assert r"| (&lt;b&gt;\|\[x\](y) \#.jpg) |" in card
