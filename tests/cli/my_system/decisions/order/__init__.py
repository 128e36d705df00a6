"""When is the book put in order: when a name is written, or when it is read?"""

from fathom.design import Decision


class Order(Decision):
    default = "on-write"

    def __post_init__(self):
        self.names = []
