"""Fetch a box first: dear to begin, cheap by the item, so that it pays from 150 items on."""

from fathom.design import knob

from . import Work


class Boxed(Work):
    pack_us: float = knob(1_350.0, "microseconds of CPU that it takes to begin packing")
    item_us: float = knob(3.0, "microseconds of CPU that each packed item takes")
