"""Gives every request in schemathesis' stories an idempotency key of its own, as a client would.

It likes to try the same values again. Sent again with its key, a post is answered as the first time, also when it has
been deleted since: what is then said to be "created" is not there, and rightly so.
"""

import re
from itertools import count

import schemathesis

from fathom.web.idempotency import KEY_CHARS_MAX

KEY, TAKEN = "Idempotency-Key", re.compile(rf'"?[\w.:~+/=-]{{1,{KEY_CHARS_MAX}}}"?', re.ASCII)
numbers = count(1)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Replace a key that the door would take; the others are there to be refused."""
    key = (case.headers or {}).get(KEY)
    story = case.meta is not None and case.meta.phase.name == "stateful"
    if story and isinstance(key, str) and TAKEN.fullmatch(key):
        case.headers[KEY] = f"key-{next(numbers)}"
