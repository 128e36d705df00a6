"""Put each name where it belongs."""

from bisect import insort

from . import Order


class OnWrite(Order):
    def add(self, name):
        insort(self.names, name)
        return len(self.names)

    def first(self, n):
        return self.names[:n]
