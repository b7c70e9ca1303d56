"""Hypothesis profiles: `ci` gives the same verdict on every run, `dev` looks further each time.

Choose with the environment variable HYPOTHESIS_PROFILE.
"""

import os

from hypothesis import settings

# No deadline: a first example pays for imports and for Trio's start, and CI machines stall.
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=60, print_blob=True)
settings.register_profile("dev", deadline=None, max_examples=300)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))
