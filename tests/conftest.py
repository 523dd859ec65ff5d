"""What all tests share: the settings of hypothesis."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# The gate gives the same verdict twice: no dice, no memory, no clock. `--hypothesis-profile=search`
# throws the dice, and more often.
settings.register_profile(
    "gate",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "search", settings.get_profile("gate"), derandomize=False, max_examples=2_000
)
settings.load_profile("gate")
