"""A list of styles for people: name first, one line each, artists by the bytes of an image and not by its name."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from stylebank.bank import bundle, listing
from stylebank.bank.bundle import Bundle
from stylebank.bank.entries import Entry
from stylebank.errors import UnknownStyleError
from stylebank.files import resources
from stylebank.supervision.styleset import StyleSet

MakeBank = Callable[..., Bundle]


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return bundle.read(resources.shipped_bank())


def of_image(entry: Entry, **changes: str) -> Entry:
    layers = tuple(replace(image, **changes) for image in entry.style.layers)  # type: ignore[arg-type]
    return replace(entry, style=replace(entry.style, layers=layers))


def test_every_style_that_comes_along_says_what_it_is_of(shipped: Bundle) -> None:
    lines = dict(zip(shipped.names, listing.lines(shipped.entries), strict=True))
    assert lines["munch_the_scream"].split(maxsplit=1) == [
        "munch_the_scream",
        "Edvard Munch: The Scream, 1893",
    ]
    assert lines["gilded_scream"].split() == [
        "gilded_scream",
        "layered",
        "Gustav",
        "Klimt",
        "+",
        "Edvard",
        "Munch",
    ]
    assert lines["mosaic"].split(maxsplit=2)[2] == "StyleBank: mosaic, a set drawn by this project"
    assert all(isinstance(work, listing.Work) for entry in shipped.entries for work in listing.works(entry))
    for name, line in lines.items():
        assert line.startswith(f"{name} ")
        assert line.isprintable()
    assert sum(len(line) <= 100 for line in lines.values()) >= 0.85 * len(lines), "nearly all fit a line"


def test_a_picture_that_only_has_a_painting_s_name_gets_no_artist(shipped: Bundle) -> None:
    scream = shipped.find("munch_the_scream")
    assert listing.described(of_image(scream, sha256="0" * 64)) == "(munch_the_scream.jpg)"
    assert listing.described(of_image(scream, source="other.jpg")) == "Edvard Munch: The Scream, 1893"


def test_mixtures_stopped_and_unknown_ones_say_so(make_bank: MakeBank) -> None:
    wave, night = make_bank({"wave": 3, "night": 5}).entries
    dream = replace(wave, style=StyleSet("dream", 3, ()), recipe={"mixture": {"wave": 0.25, "night": 0.75}})
    one = replace(night, style=replace(night.style, layers=night.style.layers[:1]))
    assert listing.lines([wave, dream, replace(one, card=None), one]) == [
        "wave   layered  (wave.jpg)",
        "dream  mixture  0.25 wave + 0.75 night",
        "night  stopped  (night.jpg)",
        "night           (night.jpg)",
    ]


def test_no_bank_s_list_is_empty() -> None:
    assert listing.lines([]) == []


@pytest.mark.parametrize("columns", [80, 40, 20, 3])
def test_a_terminal_cuts_what_is_said_but_never_a_name(columns: int, shipped: Bundle) -> None:
    cut, whole = (listing.lines(shipped.entries, columns=size) for size in (columns, None))
    for name, short, full in zip(shipped.names, cut, whole, strict=True):
        assert short.startswith(name)
        assert len(short) <= max(columns, len(name))
        assert short == full or full.startswith(short.removesuffix("\u2026").rstrip())
    assert cut != whole, "the control: something was cut"


def test_words_are_found_in_name_artist_and_title(shipped: Bundle) -> None:
    def names(words: str | None) -> set[str]:
        return {entry.name for entry in listing.matching(shipped.entries, words)}

    assert names(None) == names("") == set(shipped.names)
    assert names("KLIMT") >= {"klimt_the_kiss", "gilded_scream"}
    assert "hokusai_great_wave" in names("kanagawa")
    assert names("munch_the") == {"munch_the_scream"}
    with pytest.raises(UnknownStyleError, match=r"^'munch_the_screem': is in no .*mean 'munch_the_scream'"):
        names("munch_the_screem")


def test_json_has_the_name_on_top_and_all_else(shipped: Bundle) -> None:
    entry = shipped.find("zoomed_great_wave")
    found = listing.to_json(entry)
    assert next(iter(found)) == "name"
    assert (found["name"], found["layered"]) == ("zoomed_great_wave", True)
    assert found["artists"] == ["Katsushika Hokusai (1760-1849)", "Utagawa Hiroshige (1797-1858)"]
    assert found["titles"][0] == "Under the Wave off Kanagawa, c. 1830-32"
    assert entry.to_manifest().items() <= found.items()


def test_a_thousand_styles_are_listed_at_once(make_bank: MakeBank) -> None:
    (wave,) = make_bank({"wave": 3}).entries
    many = [replace(wave, style=replace(wave.style, name=f"s{place}")) for place in range(1000)]
    before = time.process_time()
    assert len(listing.lines(listing.matching(many, "s"))) == 1000
    assert time.process_time() - before < 0.5
