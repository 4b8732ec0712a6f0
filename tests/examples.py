"""How many examples the laws are tried with."""

import hypothesis

# How long an example takes says more of the machine than of the code; what must be fast is measured where it counts.
hypothesis.settings.register_profile("full", deadline=None, max_examples=100)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=25)  # for make test; make faults tries them all
hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)  # for make unit


def examples(most: int) -> hypothesis.settings:
    """Return settings for so many examples in the full profile, and for the share of them that another allows.

    Fewer than the profile's own number are tried in whole: they are few because each is slow.
    """
    allowed = hypothesis.settings().max_examples
    return hypothesis.settings(max_examples=min(most, max(allowed, most * allowed // 100)))
