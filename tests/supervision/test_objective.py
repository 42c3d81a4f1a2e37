"""The stylizing branch's loss: layered sets, units, mixed batches, and how deep VGG runs for them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stylebank.config import Loss, Style
from stylebank.errors import ConfigError
from stylebank.supervision import losses, seams, styleset, vgg, weaves
from stylebank.supervision.objective import Kept, Objective, Terms, check_layers, contrast_floor, style_grams
from stylebank.supervision.styleset import StyleSet
from stylebank.supervision.vgg import STYLE_LAYERS, VGG

ONES = (1.0,) * 5


@pytest.fixture(scope="module")
def art(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures of noise, each with a colour and a grain of its own."""
    folder = tmp_path_factory.mktemp("art")
    random = np.random.default_rng(3)
    for place in range(5):
        grain = random.integers(0, 256, (12 * (place + 1), 12 * (place + 1), 3), dtype=np.uint8)
        grain[..., place % 3] //= 4
        Image.fromarray(grain).resize((48, 48)).save(folder / f"{place}.png")
    return folder


def style(art: Path, *images: str) -> StyleSet:
    written = Style(name="s", images=images, size=48, folder=str(art))
    if len(images) == 1:
        written = Style(name="s", image=images[0], size=48, folder=str(art))
    return styleset.resolve(written, STYLE_LAYERS, ONES)


def layered(art: Path) -> StyleSet:
    return style(art, *(f"{place}.png" for place in range(5)))


@pytest.fixture
def network(vgg_weights: dict[str, Tensor]) -> VGG:
    return VGG(vgg_weights)


def photos(count: int = 3) -> Tensor:
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(count))


def objective(network: VGG, styles: Sequence[StyleSet], loss: Loss | None = None) -> Objective:
    return Objective(network, loss or Loss(), styles, photos(), precision=torch.float32)


def test_five_identical_images_are_the_one_image_set(network: VGG, art: Path) -> None:
    one, five = style(art, "1.png"), style(art, *["1.png"] * 5)
    goal = objective(network, [one, five, layered(art)])
    output = photos(1).expand(3, 3, 32, 32)
    terms = goal(output, goal.kept(output), [0, 1, 2])
    assert torch.allclose(terms.style[0], terms.style[1], rtol=1e-6)
    assert not torch.allclose(terms.style[0], terms.style[2], rtol=1e-2), "the control"


def test_layer_l_is_supervised_by_image_l(network: VGG, art: Path) -> None:
    found = style_grams(network, layered(art))
    for place, layer in enumerate(STYLE_LAYERS):
        alone = style_grams(network, style(art, f"{place}.png"))
        assert torch.equal(found[place], alone[place]), layer
        other = style_grams(network, style(art, f"{(place + 1) % 5}.png"))
        assert not torch.allclose(found[place], other[place], rtol=1e-2), "the control"


@pytest.mark.parametrize(
    ("images", "convolutions"),
    [
        (["0.png"], 11),
        ([f"{place}.png" for place in range(5)], 1 + 3 + 5 + 8 + 11),
        (["0.png", "0.png", "0.png", "1.png", "1.png"], 5 + 11),
        (["0.png", "1.png", "1.png", "1.png", "0.png"], 11 + 8),
        (["blank"] * 4 + ["0.png"], 8 + 11),
    ],
)
def test_each_image_passes_once_and_only_as_deep_as_its_layer(
    images: list[str], convolutions: int, network: VGG, art: Path
) -> None:
    ran: list[str] = []
    for name, convolution in network.convolutions.items():
        convolution.register_forward_hook(lambda *_, name=name: ran.append(name))
    style_grams(network, style(art, *images))
    assert len(ran) == convolutions


def test_one_pass_over_the_output_serves_content_and_style(network: VGG, art: Path) -> None:
    goal = objective(network, [layered(art)])
    content = goal.kept(photos(1))
    ran: list[str] = []
    for name, convolution in network.convolutions.items():
        convolution.register_forward_hook(lambda *_, name=name: ran.append(name))
    goal(photos(1), content, [0])
    assert len(ran) == vgg.depth("relu5_1")


def test_unstyled_photos_score_one_on_every_layer_of_every_style(network: VGG, art: Path) -> None:
    goal = objective(network, [layered(art), style(art, "2.png")])
    for index in (0, 1):
        terms = goal(photos(), goal.kept(photos()), [index] * 3)
        # The unit is the mean over these very photos; only the order of float32 sums differs.
        assert terms.style.mean(dim=0).tolist() == pytest.approx([1.0] * 5, rel=1e-4)
        assert terms.content.abs().max() < 1e-6


def test_a_mixed_batch_is_the_mean_of_single_losses(network: VGG, art: Path) -> None:
    goal = objective(network, [layered(art), style(art, "0.png"), style(art, "4.png")])
    outputs, contents = photos(4), photos(4).flip(3)
    order = [2, 0, 1, 0]
    kept = goal.kept(contents)
    mixed = goal(outputs, kept, order)
    single = [
        goal(outputs[place : place + 1], Kept(*(x[place : place + 1] for x in kept)), [index])
        for place, index in enumerate(order)
    ]
    # Batched and single convolutions add in another order; 2304 products a value and squares of their sums.
    assert float(mixed.total) == pytest.approx(float(torch.stack([t.total for t in single]).mean()), rel=1e-4)
    assert torch.allclose(mixed.style, torch.cat([t.style for t in single]), rtol=1e-3)
    wrong = goal(outputs, kept, [0, 1, 2, 0])
    assert float(wrong.total) != pytest.approx(float(mixed.total), rel=1e-3), "the control"


def test_the_total_is_the_weighted_sum(network: VGG, art: Path) -> None:
    weights = (0.5, 0.0, 2.0, 1.0, 3.0)
    written = Style(name="s", image="0.png", weights=weights, size=48, folder=str(art))
    loss = Loss(content=2.0, style=5.0, tv=0.25, empty=7.0, tone=3.0, color=1.5)
    goal_style = styleset.resolve(written, STYLE_LAYERS, ONES)
    goal = objective(network, [goal_style], loss)
    terms = goal(photos(1), goal.kept(photos(1).flip(2)), [0])
    style_term = (terms.style[0] * torch.tensor(weights)).sum() / 5
    empty = losses.emptiness(photos(1), torch.tensor([contrast_floor(goal_style)]))
    parts = losses.parts(photos(1)), losses.parts(photos(1).flip(2))
    tone, color = losses.tone_distance(*parts)[0], losses.color_distance(*parts)[0]
    by_hand = 2.0 * terms.content[0] + 5.0 * style_term + 0.25 * terms.tv[0] + 7.0 * empty[0]
    by_hand = by_hand + 3.0 * tone + 1.5 * color
    assert min(map(float, (empty, tone, color))) > 1e-3
    assert float(terms.total) == pytest.approx(float(by_hand), rel=1e-5)


def test_seams_and_weaves_count_along_the_photo_s_edges_and_on_its_flat_ground(
    network: VGG, art: Path
) -> None:
    """Whatever the picture is painted over; the style's own weave is allowed."""
    photo, over = torch.full((1, 3, 160, 160), 0.3), torch.rand(1, 3, 160, 160) * 0.2
    photo[..., 80:] = 0.7
    output = (
        photo + 0.03 * torch.sin(torch.arange(160) * (2 * torch.pi / 8)) + 0.01 * torch.rand(1, 3, 160, 160)
    )
    output[..., 82:85] = torch.tensor([0.9, 0.5, 0.9]).view(3, 1, 1)
    plain, picky = Loss(seams=0.0, weave=0.0), Loss(seams=0.7, weave=30.0)
    goal_style = style(art, "0.png")
    without, goal = (objective(network, [goal_style], loss) for loss in (plain, picky))
    own = torch.tensor([weaves.own_weave(goal_style.pictures())])
    seam = seams.seam_distance(output, seams.edges(photo))
    weave = weaves.weave_distance(output, weaves.flat_windows(photo), own)
    assert float(seam) > 0.1
    assert float(weave) > 0.1
    wanted = without(output, without.kept(over), [0]).total + 0.7 * seam[0] + 30.0 * weave[0]
    assert float(goal(output, goal.kept(over, photo), [0]).total) == pytest.approx(float(wanted), rel=1e-4)
    assert float(goal(output, goal.kept(over), [0]).total) < 0.9 * float(wanted), "the control"


def test_following_the_gradient_lowers_the_loss(network: VGG, art: Path) -> None:
    goal = objective(network, [layered(art)])
    output = photos(1).requires_grad_()
    features = goal.kept(photos(1))
    adam, found = torch.optim.Adam([output], lr=0.02), []
    for _ in range(15):
        adam.zero_grad()
        total = goal(output, features, [0]).total
        total.backward()
        adam.step()
        found.append(float(total.detach()))
    assert found[-1] < 0.8 * found[0]


def test_a_style_that_photos_already_have_is_not_blown_up(network: VGG, tmp_path: Path) -> None:
    """The unit is at least a thousandth of the target's energy: no division by nearly zero."""
    photo = (photos(1)[0].permute(1, 2, 0) * 255).round().byte().numpy()
    Image.fromarray(photo).save(tmp_path / "own.png")
    own = style(tmp_path, "own.png")
    own = replace(own, layers=tuple(replace(image, size=(32, 32)) for image in own.layers))
    reference = torch.from_numpy(photo).permute(2, 0, 1).unsqueeze(0).float() / 255
    goal = Objective(network, Loss(), [own], reference, precision=torch.float32)
    terms = goal(reference, goal.kept(reference), [0])
    assert terms.style.isfinite().all()
    assert terms.style.max() < 1e-3


@pytest.mark.parametrize(
    "loss",
    [
        Loss(content_layer="relu4_4"),
        Loss(style_layers=("relu1_1", "conv2_1", "relu3_1", "relu4_1", "relu5_1")),
        Loss(style_layers=("relu1_1", "relu1_1"), layer_weights=(1.0, 1.0)),
        Loss(style_layers=(), layer_weights=()),
    ],
)
def test_layers_that_do_not_exist_or_stand_twice_are_refused(loss: Loss) -> None:
    with pytest.raises(ConfigError, match=r"\[loss\]"):
        check_layers(loss)


class Computed(float):
    """A weight of zero whose term is computed, with gradient."""

    def __bool__(self) -> bool:
        return True


def test_terms_of_weight_zero_are_figures_at_most_and_change_no_bit(
    network: VGG, art: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets, output, order = [style(art, "0.png"), style(art, "4.png")], photos(2) * 0.3, [1, 0]
    output.requires_grad_()

    def judged(loss: Loss) -> tuple[Terms, Tensor]:
        goal = objective(network, sets, loss)
        terms = goal.revision(output, goal.kept(photos(2).flip(3)), order)
        return terms, torch.autograd.grad(terms.total, output)[0]

    zero = Computed(0)
    computed, wanted = judged(weighing(zero))
    assert computed.content.requires_grad
    heavy, _ = judged(Loss())
    monkeypatch.setattr("stylebank.supervision.losses.emptiness", refuse)
    monkeypatch.setattr("stylebank.supervision.losses.tone_distance", refuse)
    monkeypatch.setattr("stylebank.supervision.losses.color_distance", refuse)
    monkeypatch.setattr("stylebank.supervision.seams.edges", refuse)
    monkeypatch.setattr("stylebank.supervision.weaves.flat_windows", refuse)
    monkeypatch.setattr("stylebank.supervision.objective.contrast_floor", refuse)
    none = weighing(0.0)
    terms, gradient = judged(none)
    assert torch.equal(gradient, wanted)
    assert torch.equal(terms.total, computed.total)
    assert not torch.equal(terms.total, heavy.total), "the control"
    assert not terms.content.requires_grad
    assert not terms.tv.requires_grad
    for figure in ("content", "tv", "style"):
        assert torch.equal(getattr(terms, figure), getattr(heavy, figure))
    for asked in (
        replace(none, empty=zero),
        replace(none, tone=zero),
        replace(none, color=zero),
        replace(none, seams=zero),
        replace(none, weave=zero),
    ):
        with pytest.raises(AssertionError, match="computed"):
            judged(asked)


def weighing(x: float) -> Loss:
    """All terms but style at one weight."""
    return Loss(content=x, tv=x, far=x, empty=x, tone=x, color=x, seams=x, weave=x)


def refuse(*_: object) -> Tensor:
    raise AssertionError("computed")


FAR = (0.5, 2.0, 1.0, 0.0, 3.0)  # weights of the layers


def test_a_revision_is_judged_from_farther_away_too(network: VGG, art: Path) -> None:
    """The formula by torch's own, image by image: beta far / L sum_{l <= 2} w_l d_l(O shrunk by two) on top."""
    sets = [
        replace(
            one,
            layers=tuple(
                replace(image, weight=weight) for image, weight in zip(one.layers, FAR, strict=True)
            ),
        )
        for one in (layered(art), style(art, "2.png"))
    ]
    loss = Loss(style=5.0, far=0.75)
    goal = objective(network, sets, loss)
    outputs, order = photos(3), [1, 0, 1]
    content = goal.kept(photos(3).flip(3))
    plain, found = goal(outputs, content, order), goal.revision(outputs, content, order)
    seen = []
    for output, index in zip(outputs, order, strict=True):
        small = output.unflatten(2, (-1, 2)).unflatten(1, (-1, 2)).mean((2, 4)).unsqueeze(0)
        features = network(small, STYLE_LAYERS[:2])
        for place, layer in enumerate(STYLE_LAYERS[:2]):
            gram = losses.gram(features[layer])
            distance = (gram[0] - goal.grams[place][index]).square().sum() / goal.unstyled[index, place]
            seen.append(FAR[place] * distance / 5)
    by_hand = float(plain.total) + 5.0 * 0.75 * float(torch.stack(seen).sum()) / 3
    assert float(found.total) == pytest.approx(by_hand, rel=1e-4)
    assert float(found.total) > 1.01 * float(plain.total), "the control: it counts"
    for name in ("content", "style", "tv"):
        assert torch.equal(getattr(found, name), getattr(plain, name))


def test_without_far_a_revision_is_judged_as_any_picture(network: VGG, art: Path) -> None:
    goal = objective(network, [layered(art)], Loss(far=0.0))
    content = goal.kept(photos(1))
    assert torch.equal(goal.revision(photos(1), content, [0]).total, goal(photos(1), content, [0]).total)


def test_the_contrast_that_a_style_has_nearly_everywhere_is_its_floor(art: Path, tmp_path: Path) -> None:
    flat = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    flat[:, 48:] = 128
    Image.fromarray(flat).resize((96, 96)).save(tmp_path / "flat.png")
    Image.open(art / "1.png").save(tmp_path / "1.png")
    contrast = losses.local_contrast(style(art, "1.png").layers[0].load())
    assert contrast_floor(style(art, "1.png")) == pytest.approx(float(contrast.quantile(0.05)))
    assert float(contrast.min()) < contrast_floor(style(art, "1.png")) < float(contrast.median())
    half = style(tmp_path, *["1.png"] * 4, "flat.png")
    assert contrast_floor(half) == pytest.approx(1e-3, abs=2e-3), "the least of its images"
    assert contrast_floor(style(tmp_path, *["1.png"] * 4, "blank")) == 1e-3


def test_emptiness_is_judged_by_the_floor_of_each_output_s_own_style(network: VGG, art: Path) -> None:
    sets = [style(art, "0.png"), style(art, "4.png")]
    with_it, without = (objective(network, sets, Loss(empty=empty)) for empty in (3.0, 0.0))
    output = photos(2) * 0.3 + 0.3
    content = with_it.kept(output)
    for order in ([0, 1], [1, 0]):
        floors = torch.tensor([contrast_floor(sets[index]) for index in order])
        wanted = 3.0 * float(losses.emptiness(output, floors).mean())
        found = float(with_it(output, content, order).total - without(output, content, order).total)
        assert found == pytest.approx(wanted, abs=1e-4)
        assert wanted > 0.01
