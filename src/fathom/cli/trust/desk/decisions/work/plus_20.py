"""Order for a fifth more CPU: the difference that has to be found, and named."""

from fathom.design import knob

from . import Work


class Plus20(Work):
    order_us: float = knob(1_200.0, "microseconds of CPU that ordering takes")
