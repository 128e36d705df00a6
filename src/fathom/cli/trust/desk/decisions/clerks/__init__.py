"""How many are served at once?"""

from fathom.design import Decision, knob


class Staff(Decision):
    default = "one"

    clerks: int = knob(1, "how many are served at once")
