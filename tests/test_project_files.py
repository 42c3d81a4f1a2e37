"""Files around the package: what they name is there, and versions are equal."""

import re
from pathlib import Path

import pytest

from stylebank import __version__

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def test_container_copies_what_is_there_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    copied = [word for line in lines if line.startswith("COPY ") for word in line.split()[1:-1]]
    assert {"pyproject.toml", "stylebank", "weights", "configs"} <= set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []
    let_in = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert [name for name in copied if f"!{name}" not in let_in] == []
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")
    assert 'ENTRYPOINT ["stylebank"]' in lines


def test_citation_and_changelog_know_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.search(rf"^version: {re.escape(__version__)}$", citation, re.MULTILINE)
    assert "1703.09210" in citation
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", changes, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert __version__ in changes


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_gives_few_rights_and_runs_what_is_there(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.search(r"^permissions:", text, re.MULTILINE), "what it may do is said at the top"
    assert "secrets." not in text
    scripts = re.findall(r"python (scripts/\S+)", text)
    assert [name for name in scripts if not (ROOT / name).is_file()] == []
    jobs = text.partition("\njobs:\n")[2]
    assert len(re.findall(r"^  \w+:$", jobs, re.MULTILINE)) == jobs.count("timeout-minutes:")
    assert "\t" not in text


def test_publishing_is_trusted() -> None:
    text = (ROOT / ".github" / "workflows" / "publish.yml").read_text("utf-8")
    assert text.count("id-token: write") == 1, "one job alone may sign"
    assert "attestations: true" in text
    assert not re.search("password|token:", text.replace("id-token:", ""))
