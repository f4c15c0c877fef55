"""Which documents may be found, as callers of the API and of MCP write it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from rag.model import is_text
from rag.store.filters import Filters, Range


def _checked(text: str) -> str:
    if not is_text(text):
        raise ValueError("NUL and lone surrogates are no text")
    return text


Text = Annotated[str, AfterValidator(_checked)]
Name = Annotated[Text, Field(min_length=1, max_length=255)]


class Strict(BaseModel):
    """What is not named here is refused."""

    model_config = ConfigDict(extra="forbid")


Bound = Name | Annotated[float, Field(allow_inf_nan=False)]


class Between(Strict):
    """A range of values, bounds included: numbers, or texts such as ISO dates."""

    least: Bound | None = Field(None, alias="from")
    most: Bound | None = Field(None, alias="to")

    def for_search(self) -> Range:
        """The same as the index takes it. Raises ConfigurationError (`bad_filter`)."""
        return Range(self.least, self.most).checked()


class QueryFilters(Strict):
    """Which documents may be found; what is left out restricts nothing. `names` are globs over
    file names or whole addresses, `metadata` is what the parser found in the files."""

    filenames: list[Name] | None = Field(None, min_length=1, max_length=100)
    names: list[Name] | None = Field(None, min_length=1, max_length=20)
    media_types: list[Name] | None = Field(None, min_length=1, max_length=100)
    languages: list[Name] | None = Field(None, min_length=1, max_length=100)
    modified_from: AwareDatetime | None = None
    modified_to: AwareDatetime | None = None
    metadata: dict[Name, Between | bool | Bound] = Field({}, max_length=20)

    def for_search(self) -> Filters:
        """The same as the index takes it."""
        return Filters(
            filenames=_tuple(self.filenames),
            names=_tuple(self.names),
            media_types=_tuple(self.media_types),
            languages=_tuple(self.languages),
            modified_from=self.modified_from,
            modified_to=self.modified_to,
            metadata={
                key: value.for_search() if isinstance(value, Between) else value
                for key, value in self.metadata.items()
            },
        )

    def for_log(self) -> dict[str, object]:
        """The same as the query log keeps it."""
        return self.model_dump(mode="json", exclude_defaults=True, by_alias=True)


def _tuple(values: list[str] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(values)
