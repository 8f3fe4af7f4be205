"""Runs command lines of speedrun, one after the other, and prints what each left behind as one line of JSON.

argv: a JSON list of command lines; the most bytes that a file may get, or 0; which time a manifest is to be written it
is killed instead, or 0.
"""

import contextlib
import io
import json
import os
import resource
import signal
import sys

from speedrun.app import main

lines, file_bytes, last_manifest = json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
written = 0


def die_before_the_last_manifest(event: str, arguments: tuple[object, ...]) -> None:
    global written
    if event == "os.rename" and str(arguments[1]).endswith("manifest.toml"):
        written += 1
        if written == last_manifest:
            os.kill(os.getpid(), signal.SIGKILL)


if file_bytes:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
if last_manifest:
    sys.addaudithook(die_before_the_last_manifest)
for words in lines:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]), flush=True)
