"""Make orders cheap and questions dear: at three questions per order it costs what the plain way does."""

from fathom.design import knob

from . import Work


class Swapped(Work):
    ask_us: float = knob(500.0, "microseconds of CPU that asking takes")
    order_us: float = knob(400.0, "microseconds of CPU that ordering takes")
