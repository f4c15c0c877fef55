"""Recipes: the settings that decide how a generation is cut and embedded.

A collection may differ from the platform's settings in them; each generation remembers its own, so
that it can be kept current, searched and rolled back to after the settings have moved on.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

from rag.errors import ConfigurationError
from rag.settings import Settings

Recipe: TypeAlias = Mapping[str, object]

NAMES = (
    "embedding_model",
    "embedding_precision",
    "chunk_strategy",
    "chunk_size",
    "chunk_overlap",
    "chunk_prefix",
)


def recipe_of(settings: Settings) -> dict[str, object]:
    """The whole recipe that these settings say."""
    return {name: getattr(settings, name) for name in NAMES}


def under(settings: Settings, recipe: Recipe) -> Settings:
    """The settings with this recipe in place of their own. Raises ConfigurationError
    (`bad_recipe`)."""
    return settings.model_copy(update={name: _checked(name, recipe[name]) for name in recipe})


def difference(recipe: Recipe, settings: Settings) -> dict[str, object]:
    """What of the recipe the settings say otherwise."""
    own = recipe_of(settings)
    return {name: value for name, value in recipe.items() if own.get(name) != value}


def parse_recipe(pairs: list[str]) -> dict[str, object]:
    """`chunk_size=128` and the like as a recipe. Raises ConfigurationError (`bad_recipe`)."""
    found: dict[str, object] = {}
    for pair in pairs:
        name, is_given, value = pair.partition("=")
        if not is_given:
            raise _bad(f"'{pair}' is no setting: write name=value.")
        found[name] = _checked(name, value)
    return found


def _checked(name: str, value: object) -> object:
    if name not in NAMES:
        raise _bad(f"'{name}' is no part of a recipe: name one of {', '.join(NAMES)}.")
    try:
        return _adapter(name).validate_python(value)
    except ValidationError as error:
        raise _bad(f"{name}={value!r}: {error.errors()[0]['msg']}.") from None


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    field = Settings.model_fields[name]
    annotation: Any = Annotated[field.annotation, field]
    return TypeAdapter(annotation)


def _bad(message: str) -> ConfigurationError:
    return ConfigurationError(message, code="bad_recipe")
