"""Let every reader sort the book."""

from . import Order


class OnRead(Order):
    def add(self, name):
        self.names.append(name)
        return len(self.names)

    def first(self, n):
        return sorted(self.names)[:n]
