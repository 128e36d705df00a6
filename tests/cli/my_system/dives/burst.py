"""When many sign and many read, which order of work costs less?"""

from fathom.design import ms
from fathom.lab.dive import Dive, Load, op

from ..decisions.order import Order


class Burst(Dive):
    decision = Order
    load = Load(sign=100, first=100, lasts_s=1)

    @op
    async def sign(self, book, turn):
        return await book.sign(f"guest {turn.dice.random()}")

    @op(reads=True)
    async def first(self, book, turn):
        return await book.first(10)

    watch = sign.cpu_s, first.cpu_s
    goals = first.p90 < ms(500)
