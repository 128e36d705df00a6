"""The mark by which a test says which of the guides' features it shows: `@feature("TL-07")`."""

import pytest

feature = pytest.mark.feature
