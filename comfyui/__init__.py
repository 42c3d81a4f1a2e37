"""StyleBank for ComfyUI: five nodes in the V3 form, found through `comfy_entrypoint`."""

from .nodes import comfy_entrypoint

__all__ = ["comfy_entrypoint"]
