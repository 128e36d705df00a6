"""Write it twice: two commands a thing, which is a difference that must not be told of a shelf without its Redis."""

from fathom.design import knob

from . import Writing


class Twice(Writing):
    times: int = knob(2, "how often it is written")
