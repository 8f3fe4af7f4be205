"""Keep the machine's owner out of records: no absolute path, user name or host name in any text that is stored."""

import re
import socket
from pathlib import Path

_HOMES = re.compile(r"/(?:home|Users)/[^/\n'\":,;]+")
_FOLDERS = re.compile(r"(?<![\w./~])/(?:[^\s/:'\"<>|]+/)+")


def anonymous(text: str) -> str:
    """`text` with the home folder as ~, the folders of absolute paths as …, and without this host's name."""
    text = re.sub(re.escape(str(Path.home())) + r"(?![\w.-])", "~", text)
    text = _HOMES.sub("~", text)
    text = _FOLDERS.sub("…/", text)
    if not socket.gethostname():
        return text
    return re.sub(rf"(?<![\w.-]){re.escape(socket.gethostname())}(?![\w-])", "localhost", text)
