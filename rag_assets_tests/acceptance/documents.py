"""Documents on two subjects: every one says something of its own, in words of its subject."""

from __future__ import annotations

import random
from pathlib import Path

_PLACES = [
    "Lerchgrat",
    "Steinkar",
    "Wolfsjoch",
    "Hochrind",
    "Gamsleiten",
    "Rauhkofel",
    "Seespitz",
    "Moosalm",
]
_INSTRUMENTS = [
    "anemometer",
    "barometer",
    "hygrometer",
    "pyranometer",
    "snow-pillow",
    "rain-gauge",
    "webcam",
]
_TROUBLES = (
    "iced over in the night and reported calm air through the whole storm",
    "lost its radio link to the valley when the mast was struck by lightning",
    "drifted by two units until the observers calibrated it against the reference",
    "was buried by drifting snow and had to be dug out by the winter crew",
    "ran out of battery because the solar panel lay in the shadow of the cornice",
)
_GRAINS = ["rye", "spelt", "wheat", "barley", "einkorn", "emmer", "buckwheat"]
_LOAVES = ["boule", "baguette", "batard", "pretzel", "focaccia", "ciabatta", "brioche"]
_STEPS = (
    "rests overnight in the refrigerator so that the sourdough ferments slowly",
    "is folded every half hour until the gluten windows without tearing",
    "is baked on a hot stone with steam until the crust blisters and sings",
    "proves in a floured basket and is slashed with a razor before baking",
    "is kneaded with butter and eggs until the crumb becomes tender and sweet",
)


def weather(number: int) -> str:
    """A report of a mountain weather station."""
    drawn = random.Random(number)
    place, instrument = drawn.choice(_PLACES), drawn.choice(_INSTRUMENTS)
    return _text(
        f"Station report W{number}",
        f"At station {place} {number} the {instrument} {drawn.choice(_TROUBLES)}.",
        f"Gusts of {drawn.randint(40, 190)} km/h and {drawn.randint(2, 90)} cm of fresh snow were "
        f"measured above {drawn.randint(1200, 3400)} metres near {drawn.choice(_PLACES)}.",
        f"The crew under inspector {_name(drawn)} replaced part {drawn.randint(1000, 9999)} of the "
        f"{drawn.choice(_INSTRUMENTS)} and expects frost from the north-west.",
    )


def baking(number: int) -> str:
    """A recipe of a bakery."""
    drawn = random.Random(number)
    loaf, grain = drawn.choice(_LOAVES), drawn.choice(_GRAINS)
    return _text(
        f"Bakery recipe B{number}",
        f"For {loaf} number {number} the dough of {grain} flour {drawn.choice(_STEPS)}.",
        f"Mix {drawn.randint(300, 900)} grams of {drawn.choice(_GRAINS)} flour with yeast, salt, "
        f"honey and {drawn.randint(180, 700)} millilitres of lukewarm milk.",
        f"Pastry chef {_name(drawn)} serves the {drawn.choice(_LOAVES)} with jam and "
        f"{drawn.randint(10, 99)} grams of cultured butter.",
    )


def write(folder: Path, made: list[str], prefix: str) -> None:
    """One file per text."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(made):
        (folder / f"{prefix}-{number}.md").write_text(text, encoding="utf-8")


def _text(title: str, *sentences: str) -> str:
    return f"# {title}\n\n" + "\n\n".join(sentences) + "\n"


def _name(drawn: random.Random) -> str:
    return "".join(
        drawn.choice(pair) for pair in ("BDFGKLMNPRST", "aeiou", "lmnrst", "aeiou", "nrst")
    )
