"""Order for a fiftieth more CPU: too little to matter, so nobody may be called the winner."""

from fathom.design import knob

from . import Work


class Plus2(Work):
    order_us: float = knob(1_020.0, "microseconds of CPU that ordering takes")
