"""Which servers a setting to check may name: those that the operator named, in plain words."""

from __future__ import annotations

import pytest

from rag.api import checks
from rag.errors import PolicyError, RagError
from rag.settings import Settings

NAMED = Settings(api_check_hosts="named:80, named:443,[::1]:8080,pg:5432")


@pytest.mark.parametrize(
    "address",
    [
        "http://inside:80", "http://named:81", "https://named:81", "http://named@inside:80",
        "http://inside:80#@named:80", "http://inside:80\\@named:80", "http://named:80\\@inside:80",
        "http://inside:80?@named:80", "http://user:pw@named:80", "http://named.:80",
        "http://named:80/v1?a=", "http://named:80/v1#", "http://named:80/%2e%2e@inside",
        "http://named:80\n@inside", "http://n\u00e4med:80", "http://\uff4eamed:80",
        "http://[::ffff:127.0.0.1]:80", "http://2130706433:80", "http://named:80:81", "http:///v1",
        "ftp://named:80", "file:///etc/passwd", "gopher://named:80", "//named:80", "named:80", "",
        "postgresql://u:p@inside:80/x", "postgresql://u:p@named/x", "postgresql://u:p@/x",
        "postgresql://u:p@named:80,inside:80/x", "postgresql://u:p@named:80/x?host=inside",
        "postgresql://u:p@named:80/x?hostaddr=10.0.0.1", "postgresql://u:p@named:80/x?service=s",
        "postgresql://u:p@named:80/x?port=81", "postgresql://u:p@named:80/x?host=%2Ftmp",
        "postgresql://u:p@named:80/x?passfile=/etc/passwd", "postgresql://u:p@[named:80/x",
        "postgresql://u:p@named:80/x?sslkey=/srv/key.pem",
        "postgresql://u:p@named:80/x?options=-c%20role%3Dx",
    ],
)  # fmt: skip
def test_an_address_with_a_trick_in_it_reaches_nothing(address: str) -> None:
    with pytest.raises(RagError) as caught, checks.named_errors():
        checks.check_reach(address, None, NAMED)

    assert caught.value.code in ("host_not_allowed", "bad_setting")


@pytest.mark.parametrize(
    "address",
    ["http://named:80", "http://NAMED/v1", "http://named:80/a/b-c/", "https://named:443/v1",
     "http://[::1]:8080/v1", "postgresql://u:p@pg/x", "postgres://u@pg:5432/x?sslmode=require"],
)  # fmt: skip
def test_an_address_that_was_named_is_reached(address: str) -> None:
    checks.check_reach(address, None, NAMED)
    checks.check_reach(address, address, Settings())
    with pytest.raises(PolicyError):
        checks.check_reach(address, None, Settings())
