"""What the words of a style mean: a file that is there is one image, whatever is in its name."""

from pathlib import Path

import pytest
from PIL import Image

from stylebank.config import Style
from stylebank.errors import ConfigError, StyleSetError
from stylebank.supervision import style_words, styleset
from stylebank.supervision.vgg import STYLE_LAYERS

NIGHT = "The Starry Night, 1889 (Google).jpg"
WAVE = "a=b, c.png"
PLAIN = "plain.png"
MAIL = "me@0:0:1:1"


@pytest.fixture(autouse=True)
def _art(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (NIGHT, WAVE, PLAIN, MAIL, "zoom:me.png"):
        Image.effect_noise((320, 300), 50).save(name, "PNG")


@pytest.mark.parametrize("name", [NIGHT, WAVE, PLAIN, MAIL, "zoom:me.png", f"{NIGHT}@0.5:0:1:0.5", "blank"])
def test_a_file_that_is_there_is_one_image(name: str) -> None:
    for style in (
        style_words.from_words(f"one={name}"),
        style_words.from_arguments("one", [name], size=64, kernel=None),
    ):
        assert (style.image, style.images, style.zoom) == (name, (), ())
        styleset.resolve(style, STYLE_LAYERS, (1.0,) * 5)


def test_a_part_is_cut_of_a_file_with_commas_and_none_of_a_file_with_such_a_name() -> None:
    part, whole = (style_words.from_words(f"one={name}") for name in (f"{NIGHT}@0.5:0:1:0.5", MAIL))
    crops = [styleset.resolve(style, STYLE_LAYERS, (1.0,) * 5).layers[0].crop for style in (part, whole)]
    assert crops == [(160, 0, 160, 150), (0, 0, 320, 300)]


def test_five_images_and_zooms_are_found_among_commas() -> None:
    five = (NIGHT, "blank", WAVE, PLAIN, NIGHT)
    assert style_words.from_words(f"one={','.join(five)}").images == five
    assert style_words.from_arguments("one", five, size=None, kernel=None).images == five
    for words, layer in ((f"{NIGHT},{WAVE}", "relu5_1"), (f"{PLAIN},{NIGHT}@relu1_1", "relu1_1")):
        style = style_words.from_words(f"one=zoom:{words}")
        assert ",".join(style.zoom) == words.removesuffix("@relu1_1")
        assert (len(style.zoom), style.rest_layer) == (2, layer)


def test_what_is_not_there_is_named_as_it_was_written() -> None:
    assert style_words.from_words("one=The Night, 1890.jpg").image == "The Night, 1890.jpg"
    assert style_words.from_words(f"one={PLAIN},other.png").images == (PLAIN, "other.png"), "the control"
    assert style_words.from_words("one=" + ",".join("abcde")).images == tuple("abcde")
    assert len(style_words.from_words("one=" + ",".join("a" * 3000)).images or "x") == 1, "and soon"


@pytest.mark.parametrize(
    ("own", "layers", "what"),
    [
        ((1.0, 0.0, 0.0, 0.0, 0.0), (0.0, 1.0, 1.0, 1.0, 1.0), "all zero: nothing would teach it"),
        ((), (0.0,) * 5, "all zero: nothing would teach it"),
        ((1e300,) * 5, (1e300,) * 5, "endless"),
    ],
)
def test_weights_that_teach_nothing_are_refused(
    own: tuple[float, ...], layers: tuple[float, ...], what: str
) -> None:
    style = Style("two", image=PLAIN, weights=own)
    with pytest.raises(
        StyleSetError, match=rf"style 'two': its weights .* times layer_weights .* are {what}"
    ):
        styleset.resolve(style, STYLE_LAYERS, layers)


@pytest.mark.parametrize("name", ["A b", "a=b", "", "wave=night.jpg"])
def test_the_name_of_a_style_to_add_is_one_word_whatever_is_in_it(name: str) -> None:
    for words in (["night.jpg"], ["night.jpg"] * 5):
        with pytest.raises(ConfigError, match=f"^new name: {name!r} is no style name"):
            style_words.from_arguments(name, words, size=None, kernel=None)
