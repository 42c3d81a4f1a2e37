"""The figures of `evaluate` as Markdown tables, each with a line of facts below it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stylebank.reference.defects import Defects
    from stylebank.reference.evaluation import Evaluation
    from stylebank.reference.views import Looks, Octaves


def table(found: "Evaluation") -> str:
    """The figures as a Markdown table and a line below it."""
    has_lpips = all(row.lpips is not None for row in found.rows)
    optional = ["LPIPS"] * has_lpips + ["optimisation"] * bool(found.optimization)
    rows = []
    for row in found.rows:
        figures = row.figures
        cells = [row.name, *_thousandths(figures.style_ratio)]
        cells += [f"{figures.content:.2f}", *_thousandths((figures.ssim, figures.tv, figures.tone))]
        if has_lpips:
            cells.append(f"{row.lpips:.3f}")
        if found.optimization:
            most = f"over {found.optimization}"
            cells.append(most if row.optimization is None else f"{row.optimization:.0f}")
        rows.append([*cells, f"{row.bytes:,}"])
    medians = ["median", *_thousandths(found.medians()), "", "", "", *_thousandths([found.tone()])]
    rows.append([f"**{cell}**" if cell else "" for cell in medians] + [""] * (len(optional) + 1))
    facts = [f"{found.photos} photos, {found.side} px", f"{1000 * found.seconds:.0f} ms a photo"]
    if found.psnr is not None:
        facts.append(f"auto-encoder {found.psnr:.1f} dB PSNR, {found.ssim:.3f} SSIM")
    if found.artfid is not None:
        facts.append(f"ArtFID {found.artfid:.1f}")
    heads = ["style", *found.layers, "content", "SSIM", "TV", "tone", *optional, "bytes"]
    return "\n".join([_markdown(heads, rows), "", "; ".join(facts)])


def views_table(seen: "Octaves") -> str:
    """Style ratios and tone by size and octave, the medians over styles first, and a line below."""
    rows = []
    for name, looks in _named(seen):
        for view in looks.views:
            figures = _thousandths((*view.style_ratio, view.tone))
            rows.append([name, f"{view.painted}", f"{view.seen}", *figures])
    sizes = zip(seen.plan.sizes, seen.enlarged, strict=False)
    enlarged = [f"{many} to {size} px" for size, many in sizes if many]
    facts = [f"{seen.photos} whole photos, stroke {seen.plan.stroke:g}"]
    facts.append(f"painted enlarged: {', '.join(enlarged) or 'none'}")
    facts.append("photos are seen as small as pictures")
    return "\n".join(
        [_markdown(["style", "painted", "seen at", *seen.layers, "tone"], rows), "", "; ".join(facts)]
    )


def previews_table(seen: "Octaves") -> str:
    """How like their final pictures previews are, the medians over styles first, and a line below."""
    rows = [[name, *_thousandths((looks.preview.ssim, *looks.preview.gram))] for name, looks in _named(seen)]
    plan, many = seen.plan, seen.enlarged[-1]
    facts = (
        f"pictures of {plan.final / 1e6:g} megapixels, shrunk to {plan.preview} px, against paintings of the photos at "
        f"{plan.preview} px: SSIM and relative squared Gram distances; {many} of {seen.photos} photos enlarged for it"
    )
    return "\n".join([_markdown(["style", "SSIM", *seen.layers], rows), "", facts])


def defects_table(seen: "Defects") -> str:
    """What is wrong by style and detector, figures over the limit bold, and lines below that say what each is."""
    from stylebank.reference.defects import DETECTORS

    def cells(figures: Mapping[str, float | None], over: Collection[str] = ()) -> list[str]:
        texts = {name: "" if figure is None else f"{figure:.1f}" for name, figure in figures.items()}
        return [f"**{texts[d.name]}**" if d.name in over else texts[d.name] for d in DETECTORS]

    rows = [[row.name, *cells(row.figures, row.over())] for row in seen.rows]
    rows.append(["median", *cells(seen.medians())])
    rows.append(["limit", *(f"{detector.limit:g}" for detector in DETECTORS)])
    rows.append(["styles over it", *map(str, seen.over().values())])
    heads = [f"{d.name}, {d.unit}" if d.unit else d.name for d in DETECTORS]
    sizes = ", ".join(map(str, seen.plan.sizes))
    spoiled = sum(bool(row.over()) for row in seen.rows)
    facts = (
        f"{seen.photos} whole photos at {seen.plan.sizes[0]} px, a drawn scene at {sizes} px, stroke "
        f"{seen.plan.stroke:g}, the worst of them; {spoiled} of {len(seen.rows)} styles over a limit"
    )
    meanings = "\n".join(f"- {detector.name}: {detector.meaning}" for detector in DETECTORS)
    return "\n".join([_markdown(["style", *heads], rows), "", facts, "", meanings])


def _named(seen: "Octaves") -> "list[tuple[str, Looks]]":
    return [("**median**", seen.medians()), *((row.name, row) for row in seen.rows)]


def _markdown(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def _thousandths(figures: Iterable[float]) -> list[str]:
    return [f"{figure:.3f}" for figure in figures]
