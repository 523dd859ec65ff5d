"""Commands of `llm`, a JSON list of their arguments, in one interpreter, which imports it once."""

from __future__ import annotations

import contextlib
import io
import json
import sys

from llm.cli import cli

outputs = []
for arguments in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        cli.main(arguments, prog_name="llm", standalone_mode=False)
    outputs.append(output.getvalue())
print(json.dumps(outputs))
