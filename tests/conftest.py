"""What all tests share: the settings of hypothesis, and signals that are not ignored."""

from __future__ import annotations

import signal

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

# `nohup` and a shell's `&` ignore some signals, and codexapi honours that: so would those of a test.
for _name in ("SIGHUP", "SIGQUIT"):
    if (_number := getattr(signal, _name, None)) is not None:
        signal.signal(_number, signal.SIG_DFL)
