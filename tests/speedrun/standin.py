"""A harness that runs nothing: it holds runs in progress and does what it is told, one word a line.

Started as `python standin.py CACHE RECORD…`. Words: `say` (standard input's next line is an event), `settle` (the
record is stored by whoever told it so), `die`. Every one of them is answered with a line. A process of its own, for the
lock of a run tells processes apart.
"""

import os
import signal
import sys
from pathlib import Path

import msgspec

from harness import journal
from harness.event_log import EventLog
from harness.events import Event
from leaderboard.schema import decode


def main() -> None:
    cache = Path(sys.argv[1])
    records = [decode(Path(name).read_bytes()) for name in sys.argv[2:]]
    logs = []
    for record in records:
        with journal.open_run(cache, record) as folder:
            logs.append(EventLog(folder))
    print("open", flush=True)
    for word in sys.stdin:
        match word.strip():
            case "say":
                logs[0].write(msgspec.json.decode(sys.stdin.readline(), type=Event))
            case "settle":
                for record in records:
                    journal.settle(cache, record.run_id)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
        print("done", flush=True)


if __name__ == "__main__":
    main()
