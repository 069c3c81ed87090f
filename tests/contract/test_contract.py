"""The resume contract: six properties of an order, in a plain function and in the three frameworks, on both databases.

By default each property is tried in the way that is most likely to break it; ``--every-point`` tries all, on both databases.
"""

from __future__ import annotations

import pytest

from tests.contract.places import new_place
from tests.contract.planted import PLANTED
from tests.contract.properties import PROPERTIES, holds
from tests.contract.subjects import BARE, DURABLE

SHORT = {name: way for name, (way, _) in PLANTED.items()}
"""Of each property, the way that is tried by default."""

ALWAYS_BROKEN = ("effect exactly once", "fork determinism", "consume once")
"""What each bare framework breaks, whatever moment it is killed at."""


def tries():
    for kind in DURABLE:
        for database in ("sqlite", "postgres"):
            for name, ways in PROPERTIES.items():
                for way in ways:
                    short = way == SHORT[name] and (database == "sqlite" or kind is DURABLE[0])
                    marks = () if short else (pytest.mark.every_point,)
                    yield pytest.param(
                        kind, database, name, way, marks=marks, id=f"{kind.name}-{database}-{name}-{way}"
                    )


@pytest.mark.parametrize(("kind", "database", "name", "way"), list(tries()))
def test_the_contract_holds(request, root, kind, database, name, way):
    server = request.getfixturevalue("postgres_server") if database == "postgres" else None
    with new_place(kind, root, server) as place:
        assert holds(PROPERTIES[name][way], place) == []


@pytest.mark.parametrize("name", [name for name in PLANTED if name != "consume once"])
def test_a_planted_bug_breaks_it(root, name):
    way, plant = PLANTED[name]
    with new_place(DURABLE[0], root, None, plant=plant) as place:
        assert holds(PROPERTIES[name][way], place) != []


@pytest.mark.parametrize("name", ALWAYS_BROKEN)
@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind.name, marks=pytest.mark.every_point) for kind in BARE])
def test_a_bare_framework_breaks_it(root, kind, name):
    with new_place(kind, root, None) as place:
        assert holds(PROPERTIES[name][SHORT[name]], place) != []
