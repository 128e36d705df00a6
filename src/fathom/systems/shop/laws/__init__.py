"""What stays true of a shop when it is slow and when it fails.

Each law reads a history as its callers saw it: calls are verbs of the `Shop`, asked and answered as plain JSON. What
was answered is acknowledged; a call with a `code` was refused and did nothing; of all others nobody knows. A history
may begin with `call="given"`, whose answer tells what was there before it: `{"stock": {item: units}}`.
"""

from __future__ import annotations

from .keys import one_key_has_one_answer, one_key_has_one_effect
from .orders import an_order_costs_what_it_cost, an_order_goes_only_allowed_ways
from .stock import nothing_is_sold_twice, stock_equals_the_orders, stock_never_goes_below_nothing
from .words import told as told

__all__ = [
    "an_order_costs_what_it_cost",
    "an_order_goes_only_allowed_ways",
    "nothing_is_sold_twice",
    "one_key_has_one_answer",
    "one_key_has_one_effect",
    "stock_equals_the_orders",
    "stock_never_goes_below_nothing",
]
