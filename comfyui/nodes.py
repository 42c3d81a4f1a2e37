"""The nodes: load a bank, pick a style, mix styles, paint a picture, paint regions of it by masks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from comfy_api.latest import ComfyExtension, io
from PIL import Image
from torch import Tensor

from stylebank import StyleBank
from stylebank.bank import hub, mixture
from stylebank.bank.mixture import Mixture
from stylebank.files import resources

from . import inputs as own
from . import tensors

CATEGORY = "StyleBank"
REGIONS = 4
SAME = "(same)"
"""In the place of a style that draws the marks: the one that gives the forms."""


class LoadBank(io.ComfyNode):
    """The bank that comes with StyleBank, a file, or one of the Hugging Face Hub."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """See ComfyUI."""
        return io.Schema(
            node_id="StyleBankLoad",
            display_name="Load StyleBank",
            category=CATEGORY,
            description="A bank of painting styles. Fifty styles come along; nothing has to be downloaded.",
            inputs=[
                io.String.Input(
                    "bank",
                    default="",
                    placeholder="path, or hf:owner/bank",
                    tooltip="Empty: your own bank if there is one, else the one that comes along. 'shipped': that. "
                    "Else a path, or hf:owner/bank of the Hugging Face Hub.",
                ),
                io.Combo.Input(
                    "engine", options=["auto", "torch", "openvino", "onnx"], default="auto", advanced=True
                ),
                io.Combo.Input(
                    "precision", options=["auto", "float32", "bfloat16"], default="auto", advanced=True
                ),
            ],
            outputs=[own.Bank.Output(display_name="bank")],
        )

    @classmethod
    def execute(cls, bank: str, engine: str = "auto", precision: str = "auto") -> io.NodeOutput:
        """See ComfyUI."""
        return io.NodeOutput(StyleBank.load(_file(bank), engine=engine, precision=precision))

    @classmethod
    def fingerprint_inputs(cls, bank: str, engine: str = "auto", precision: str = "auto") -> str:
        """A bank that has grown is loaded again."""
        word = bank.strip()
        path = Path(word) if hub.is_on_hub(word) else resources.bank_named(word or None)
        try:
            found = path.stat()
            return f"{path} {found.st_mtime_ns} {found.st_size} {engine} {precision}"
        except OSError:
            return f"{path} {engine} {precision}"


class PickStyle(io.ComfyNode):
    """One style by its name."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """See ComfyUI; the names are those of the bank that is loaded where nobody names one."""
        names = own.names()
        return io.Schema(
            node_id="StyleBankPick",
            display_name="Pick style",
            category=CATEGORY,
            description="A style of the bank; of two, the forms of one in the marks of the other.",
            inputs=[
                io.Combo.Input("style", options=names, default=names[0]),
                io.Combo.Input(
                    "marks",
                    options=[SAME, *names],
                    default=SAME,
                    tooltip="Draws the marks on the style's forms.",
                ),
                io.String.Input(
                    "words",
                    default="",
                    optional=True,
                    advanced=True,
                    placeholder="wave:0.5+scream:0.5/mosaic",
                    tooltip="Goes before the lists: a style of another bank, or a mixture as on the command line.",
                ),
            ],
            outputs=[own.Style.Output(display_name="style")],
        )

    @classmethod
    def execute(cls, style: str, marks: str = SAME, words: str = "") -> io.NodeOutput:
        """See ComfyUI."""
        return io.NodeOutput(mixture.parse(words.strip() or (style if marks == SAME else f"{style}/{marks}")))


class MixStyles(io.ComfyNode):
    """Two to four styles as one: it costs what one style costs."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """See ComfyUI."""
        inputs: list[Any] = []
        for number in range(1, REGIONS + 1):
            inputs.append(own.Style.Input(f"style_{number}", optional=number > 2))
            inputs.append(own.share(f"weight_{number}", "Relative to the other weights.", default=0.5))
        return io.Schema(
            node_id="StyleBankMix",
            display_name="Mix styles",
            category=CATEGORY,
            description="Several styles as one, in proportion to their weights.",
            inputs=inputs,
            outputs=[own.Style.Output(display_name="style")],
        )

    @classmethod
    def execute(cls, **given: Any) -> io.NodeOutput:
        """See ComfyUI."""
        styles = _numbered(given, "style")
        return io.NodeOutput(_mixed([(style, given[f"weight_{number}"]) for number, style in styles]))


class Stylize(io.ComfyNode):
    """Paint a picture in one style or a mixture."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """See ComfyUI."""
        return io.Schema(
            node_id="StyleBankStylize",
            display_name="Stylize",
            category=CATEGORY,
            description="Paint an image of any size in a style or a mixture.",
            inputs=[
                own.Bank.Input("bank"),
                io.Image.Input("image"),
                own.Style.Input("style"),
                own.share("strength", "0: the photo as the network gives it back; 1: the full style."),
                own.stroke(),
                own.keep_colour(),
            ],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    def execute(
        cls,
        bank: StyleBank,
        image: Tensor,
        style: Mixture,
        strength: float = 1.0,
        stroke: float = 1.0,
        keep_color: bool = False,
    ) -> io.NodeOutput:
        """See ComfyUI."""
        wanted = replace(style, strength=strength, stroke=stroke)

        def painted(_place: int, photo: Image.Image) -> Image.Image:
            return bank.stylize(photo, wanted, keep_color=keep_color)

        return io.NodeOutput(tensors.paint(image, painted))


class FuseStyles(io.ComfyNode):
    """Paint up to four regions of a picture, each in its style."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """See ComfyUI."""
        inputs: list[Any] = [own.Bank.Input("bank"), io.Image.Input("image")]
        for number in range(1, REGIONS + 1):
            inputs.append(io.Mask.Input(f"mask_{number}", optional=number > 1))
            inputs.append(own.Style.Input(f"style_{number}", optional=number > 1))
        tooltip = "For what no mask covers; without it that stays photo."
        inputs.append(own.Style.Input("rest", optional=True, tooltip=tooltip))
        inputs += [own.share(f"strength_{number}", "Of its region.") for number in range(1, REGIONS + 1)]
        modes = io.Combo.Input(
            "mode",
            options=["exact", "region", "paper"],
            default="exact",
            tooltip="exact: each region as if the whole image had its style. paper: the published formula.",
        )
        feather = io.Float.Input(
            "feather", default=0.0, min=0.0, max=500.0, step=1.0, tooltip="Pixels that seams are softened to."
        )
        return io.Schema(
            node_id="StyleBankFuse",
            display_name="Fuse styles by masks",
            category=CATEGORY,
            description="Regions of an image, each in its style; later masks lie over earlier ones.",
            inputs=[*inputs, own.stroke(), own.keep_colour(), modes, feather],
            outputs=[io.Image.Output(display_name="image")],
        )

    @classmethod
    def execute(
        cls,
        bank: StyleBank,
        image: Tensor,
        stroke: float = 1.0,
        keep_color: bool = False,
        mode: Any = "exact",
        feather: float = 0.0,
        rest: Mixture | None = None,
        **given: Any,
    ) -> io.NodeOutput:
        """See ComfyUI."""
        given_masks, given_styles = dict(_numbered(given, "mask")), dict(_numbered(given, "style"))
        if alone := given_masks.keys() ^ given_styles.keys():
            number = min(alone)
            has, lacks = ("mask", "style") if number in given_masks else ("style", "mask")
            raise ValueError(f"{has}_{number}: has no {lacks}_{number}; connect both or neither")
        styles = [
            replace(style, strength=given.get(f"strength_{number}", 1.0))
            for number, style in given_styles.items()
        ]
        regions = tensors.masks(list(given_masks.values()), tensors.count(image))

        def painted(place: int, photo: Image.Image) -> Image.Image:
            return bank.fuse(
                photo,
                list(zip(regions[place], styles, strict=True)),
                rest=mixture.PHOTO if rest is None else rest,
                stroke=stroke,
                mode=mode,
                feather=feather,
                keep_color=keep_color,
            )

        return io.NodeOutput(tensors.paint(image, painted))


class StyleBankNodes(ComfyExtension):
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """The five."""
        return [LoadBank, PickStyle, MixStyles, Stylize, FuseStyles]


async def comfy_entrypoint() -> StyleBankNodes:
    """Where ComfyUI begins."""
    return StyleBankNodes()


def _file(bank: str) -> Path | str | None:
    """The path that `StyleBank.load` takes for what stands in the node."""
    word = bank.strip()
    return hub.fetch(word) if hub.is_on_hub(word) else word or None


def _numbered(given: dict[str, Any], word: str) -> list[tuple[int, Any]]:
    """What is connected to `word`_1, `word`_2 ..., by its number."""
    found = [(number, given.get(f"{word}_{number}")) for number in range(1, REGIONS + 1)]
    return [(number, value) for number, value in found if value is not None]


def _mixed(parts: Sequence[tuple[Mixture, float]]) -> Mixture:
    """A mixture of mixtures: weights multiply, of forms and of marks."""
    sides = []
    for again in (False, True):
        total: dict[str, float] = {}
        for style, weight in parts:
            for name, share in style.weights_of(again=again):
                total[name] = total.get(name, 0.0) + weight * share
        sides.append(mixture.weighted(total.items(), where="mix"))
    drawn = any(style.marks for style, _ in parts)
    return replace(sides[0], marks=sides[1].weights if drawn else ())
