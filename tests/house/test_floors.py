"""Nothing imports upward, neighbours do not know each other, and each system keeps to itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.house.floors import floor_faults
from tests.house.source import PACKAGE


def test_every_import_goes_down():
    faults = floor_faults(PACKAGE)
    assert not faults, "\n".join(faults)


FAULTS = {
    "a floor imports upward": ("engines/redis.py", "from fathom.lab.run import Body", "that is upward"),
    "a neighbour knows its neighbour": ("lab/run.py", "import fathom.web.serve", "neighbour"),
    "a late import counts": ("blocks/ring.py", "def f():\n    from fathom.engines import keeper", "engines"),
    "an import for types counts": ("web/app.py", "if TYPE_CHECKING:\n    from fathom.systems import find", "systems"),
    "the simulated world knows an engine": ("sim/disk.py", "from fathom.engines import redis", "neighbour"),
    "an import by name counts": ("sim/world.py", "importlib.import_module('fathom.engines.redis')", "engines"),
    "a loose module stays loose": ("errors.py", "from fathom.design import System", "loose"),
    "the lab in a service": ("systems/shop/service.py", "from fathom.lab.load import drive", "only dives/"),
    "the lab in stores": ("systems/shop/stores/posts.py", "from fathom.lab import load", "only dives/"),
    "laws that know an engine": ("systems/shop/laws.py", "from fathom.engines.redis import Redis", "laws import only"),
    "laws that know their system": ("systems/shop/laws.py", "from .api import Shop", "laws import only"),
    "laws that know errors": ("systems/shop/laws.py", "from fathom.errors import FathomError", "laws import only"),
    "a system that knows another": ("systems/shop/service.py", "from fathom.systems.drive.api import Drive", "URL"),
    "a system that knows another by dots": ("systems/shop/service.py", "from ..drive.api import Drive", "URL"),
    "an absolute way home": ("systems/shop/service.py", "from fathom.systems.shop.api import Shop", "relative"),
    "a low room knows a high one": ("systems/shop/stores.py", "from .service import open", "higher"),
    "an approach knows the service": ("systems/shop/decisions/x/y.py", "from ...service import open", "higher"),
    "the catalogue knows a system": ("systems/__init__.py", "from fathom.web import serve", "catalogue"),
    "faces know each other": ("cli/up.py", "from fathom.studio import pages", "neighbour"),
    "a floor nobody built": ("attic/box.py", "from fathom.blocks import ring", "not a floor"),
}


@pytest.mark.parametrize(("file", "code", "says"), FAULTS.values(), ids=FAULTS)
def test_a_knot_is_told_in_one_sentence(tmp_path: Path, file: str, code: str, says: str):
    place = tmp_path / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(code)
    (fault,) = floor_faults(tmp_path)
    assert fault.startswith(f"{file}:") and says in fault


FINE = {
    "dives import the lab": ("systems/shop/dives/rush.py", "from fathom.lab.dive import Dive"),
    "the simulated world stands on blocks": ("sim/host.py", "from fathom.blocks.machine import Machine"),
    "simulation imports the simulated world": (
        "systems/shop/simulation/town.py",
        "from fathom.sim.world import World",
    ),
    "simulation imports the lab": ("systems/shop/simulation/world.py", "from fathom.lab.stats import median"),
    "laws import history and blocks": (
        "systems/shop/laws.py",
        "from fathom.history import Op\nimport fathom.blocks.ids",
    ),
    "a room knows a lower one": ("systems/shop/decisions/x/y.py", "from ...stores import Posts\nfrom . import X"),
    "the cli knows the systems": ("cli/up.py", "from fathom.systems import find"),
    "the outside is nobody's business": ("blocks/ring.py", "import bisect"),
}


@pytest.mark.parametrize(("file", "code"), FINE.values(), ids=FINE)
def test_what_points_down_is_left_in_peace(tmp_path: Path, file: str, code: str):
    place = tmp_path / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(code)
    assert floor_faults(tmp_path) == []
