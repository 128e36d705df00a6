"""Three clerks and one line: with exponential times an M/M/3 queue."""

from fathom.design import knob

from . import Staff


class Three(Staff):
    clerks: int = knob(3, "how many are served at once")
