"""Keep the machine's owner out of stored texts: no absolute path, user name, host name or card's own number."""

import re
import socket
from pathlib import Path

_HOMES = re.compile(r"/(?:home|Users)/[^/\n'\":,;]+")
_FOLDERS = re.compile(r"(?<![\w./~])/(?:[^\s/:'\"<>|]+/)+")
_CARDS = re.compile(
    r"\b(?:(?:GPU|MIG)-)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"  # UUID
    r"|\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\b",  # place on the PCI bus
    re.IGNORECASE,
)


def anonymous(text: str) -> str:
    """`text` with the home folder as ~, the folders of absolute paths as …, and without this host's name or the
    identities of its cards (UUIDs, places on the PCI bus)."""
    text = _CARDS.sub("…", text)
    text = re.sub(re.escape(str(Path.home())) + r"(?![\w.-])", "~", text)
    text = _HOMES.sub("~", text)
    text = _FOLDERS.sub("…/", text)
    if not socket.gethostname():
        return text
    return re.sub(rf"(?<![\w.-]){re.escape(socket.gethostname())}(?![\w-])", "localhost", text)
