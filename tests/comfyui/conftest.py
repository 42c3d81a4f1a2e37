"""A stand-in of ComfyUI's `comfy_api.latest`: its inputs with their arguments, and how it calls a node."""

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

COMFYUI = Path(__file__).resolve().parents[2] / "comfyui"

_ANY = "display_name optional tooltip lazy extra_dict raw_link advanced"
_WIDGET = f"{_ANY} default socketless force_input"
ARGUMENTS = {
    "STRING": f"{_WIDGET} multiline placeholder dynamic_prompts",
    "FLOAT": f"{_WIDGET} min max step round display_mode gradient_stops",
    "BOOLEAN": f"{_WIDGET} label_on label_off",
    "COMBO": f"{_WIDGET} options control_after_generate upload image_folder remote remote_combo",
}
"""What each kind of input takes beside its id, as in ComfyUI's `_io.py`; others take what any takes."""


def kind(io_type: str) -> type:
    class Input:
        def __init__(self, id: str, **how: Any) -> None:  # noqa: A002
            unknown = how.keys() - set(ARGUMENTS.get(io_type, _ANY).split())
            assert unknown == set(), f"{io_type}.Input knows no {unknown}"
            self.id, self.io_type, self.how = id, io_type, how
            self.optional, self.is_widget = bool(how.get("optional")), io_type in ARGUMENTS

    class Output:
        def __init__(self, display_name: str) -> None:
            self.io_type, self.display_name = io_type, display_name

    return type(io_type, (), {"Input": Input, "Output": Output})


@dataclass
class Schema:
    node_id: str
    display_name: str = ""
    category: str = "sd"
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    description: str = ""


class NodeOutput:
    def __init__(self, *args: Any) -> None:
        self.args = args

    @property
    def result(self) -> tuple[Any, ...] | None:
        return self.args or None


class ComfyNode(ABC):
    @classmethod
    @abstractmethod
    def define_schema(cls) -> Schema: ...

    @classmethod
    @abstractmethod
    def execute(cls, **given: Any) -> NodeOutput: ...


class ComfyExtension(ABC):
    @abstractmethod
    async def get_node_list(self) -> list[type[ComfyNode]]: ...


@pytest.fixture(scope="session")
def pack() -> Iterator[ModuleType]:
    """The folder comfyui as ComfyUI loads it: by its path, under a name of ComfyUI's."""
    latest = ModuleType("comfy_api.latest")
    kinds = {name.capitalize(): kind(name) for name in (*ARGUMENTS, "IMAGE", "MASK")}
    io = SimpleNamespace(Schema=Schema, ComfyNode=ComfyNode, NodeOutput=NodeOutput, Custom=kind, **kinds)
    latest.io, latest.ComfyExtension = io, ComfyExtension  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "comfy_api", ModuleType("comfy_api"))
        patch.setitem(sys.modules, "comfy_api.latest", latest)
        spec = importlib.util.spec_from_file_location(
            "custom_nodes_stylebank", COMFYUI / "__init__.py", submodule_search_locations=[str(COMFYUI)]
        )
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        yield module
        for name in [name for name in sys.modules if name.startswith(f"{spec.name}.")]:
            del sys.modules[name]
