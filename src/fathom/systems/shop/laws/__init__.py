"""What stays true of a shop when it is slow and when it fails.

Each law reads a history as its callers saw it: calls are verbs of the `Shop`, asked and answered as plain JSON. What
was answered is acknowledged; a call with a `code` was refused and did nothing; of all others nobody knows. A history
may begin with `call="given"`, whose answer tells what was there before it: `{"stock": {item: units}}`.
"""

from __future__ import annotations

from .cache import no_change_of_an_item_is_lost, no_item_is_shown_older_than_promised
from .events import (
    an_event_is_told_once_and_in_order,
    no_event_comes_to_light_behind_a_reader,
    no_event_is_lost,
    nothing_is_told_that_did_not_happen,
    read_models_are_the_fold_of_the_log,
)
from .jobs import a_job_dies_of_its_last_try, a_job_ends_once, no_picture_is_lost
from .keys import one_key_has_one_answer, one_key_has_one_effect
from .money import money_equals_the_orders, no_order_is_left_half_done, what_a_buyer_was_told_stays_true
from .orders import an_order_costs_what_it_cost, an_order_goes_only_allowed_ways
from .seats import a_later_hold_has_a_higher_token, no_seat_is_held_twice, no_seat_is_sold_twice
from .stock import nothing_is_sold_twice, stock_equals_the_orders, stock_never_goes_below_nothing
from .words import told as told

__all__ = [
    "a_job_dies_of_its_last_try",
    "a_job_ends_once",
    "a_later_hold_has_a_higher_token",
    "an_event_is_told_once_and_in_order",
    "an_order_costs_what_it_cost",
    "an_order_goes_only_allowed_ways",
    "money_equals_the_orders",
    "no_change_of_an_item_is_lost",
    "no_event_comes_to_light_behind_a_reader",
    "no_event_is_lost",
    "no_item_is_shown_older_than_promised",
    "no_order_is_left_half_done",
    "no_picture_is_lost",
    "no_seat_is_held_twice",
    "no_seat_is_sold_twice",
    "nothing_is_sold_twice",
    "nothing_is_told_that_did_not_happen",
    "one_key_has_one_answer",
    "one_key_has_one_effect",
    "read_models_are_the_fold_of_the_log",
    "stock_equals_the_orders",
    "stock_never_goes_below_nothing",
    "what_a_buyer_was_told_stays_true",
]
