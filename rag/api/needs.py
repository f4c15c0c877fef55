"""What each path asks of its callers at least: known before routing and before the body."""

from __future__ import annotations

import re
from collections.abc import Mapping

from rag.api.principal import Need

_PARAMETER = re.compile(r"\\{\w+\\}")


class Needs:
    """The policy of every path; `{name}` in a path stands for one segment, or part of one."""

    def __init__(self, needs: Mapping[str, Need]) -> None:
        self._needs = dict(needs)
        self._templates = [(_pattern(path), path) for path in needs if "{" in path]

    def route(self, path: str) -> str | None:
        """The route a path belongs to, as it was declared; None when no route was."""
        if path in self._needs:
            return path
        return next((route for form, route in self._templates if form.fullmatch(path)), None)

    def of(self, path: str) -> Need | None:
        """What the path asks; None when no route was declared for it."""
        route = self.route(path)
        return None if route is None else self._needs[route]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub("[^/]+", re.escape(path)))
