"""Runs Python programs one after another, in one process: each line of stdin is a program as a JSON
string, each line of stdout a pair of what it printed and how it failed, or null.
"""

import io
import json
import os
import sys
import traceback

with (
    os.fdopen(os.dup(0)) as orders,
    os.fdopen(os.dup(1), "w") as reports,
    open(os.devnull) as nothing,
):
    os.dup2(nothing.fileno(), 0)  # what a block asks of stdin
    for order in orders:
        sys.stdout = io.StringIO()
        failure = None
        try:
            exec(compile(json.loads(order), "block", "exec"), {"__name__": "__main__"})  # noqa: S102
        except BaseException:  # noqa: BLE001 (a block may raise SystemExit)
            failure = traceback.format_exc()
        print(json.dumps([sys.stdout.getvalue(), failure]), file=reports, flush=True)
