"""What the things that every engineer is told to know take on this machine, beside what is told."""

from .bench import Bench, NotHere
from .measured import Measured, measure
from .table import Thing, Told, every_thing, thing_named

__all__ = ["Bench", "Measured", "NotHere", "Thing", "Told", "every_thing", "measure", "thing_named"]
