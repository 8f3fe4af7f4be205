"""Who vouches for a file: detached SSH signatures, made and checked by OpenSSH's ssh-keygen.

`leaderboard/maintainers` is an allowed-signers file (ssh-keygen(1), ALLOWED SIGNERS), one key a line:

    ada@example.org namespaces="speedrun",valid-after="20260101",valid-before="20280101" ssh-ed25519 AAAA…

A signature counts when that key was valid at the moment that the signed record names as its beginning. So a key that
is retired with `valid-before` keeps what it signed until then. Times are UTC.

ssh-keygen gets files of ours and options of ours, never a path or a word from a record; whatever it does not call good
is not signed. It calls nothing good where it is too old to know our options, and ends just the same: so before it is
believed that nobody signed something, it is shown a signature that is good. Not covered: a stolen key, which can date
its records back: take its line out of the file altogether; and an ssh-keygen that can't check one kind of keys.
"""

import base64
import binascii
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from harness.errors import UserError
from leaderboard import atomic
from leaderboard.schema import RECORD_CAP_BYTES
from leaderboard.text import plain

NAMESPACE: Final = "speedrun"  # a signature made for anything else, a git commit say, is none here
SIGNATURE_CAP_BYTES: Final = 16 * 2**10  # the longest, RSA's with 16,384 bits, takes a third of it
MAINTAINERS_CAP_BYTES: Final = 2**20
CHECK_S: Final = 20.0  # a check takes milliseconds
SIGN_S: Final = 20.0
ASK_S: Final = 300.0  # for whoever is asked for a passphrase, or to touch a key
MEMORY: Final = "signatures.json"  # in the cache folder
REMEMBERED: Final = 200_000  # verdicts

# What an ssh-keygen must call good before it may refuse others: it takes dates in the file and a moment in the options.
# The private key was thrown away, and the line counts nowhere else.
_TRIAL_LINE: Final = b"""trial namespaces="speedrun",valid-after="20260101",valid-before="20260103" ssh-ed25519 \
AAAAC3NzaC1lZDI1NTE5AAAAICDktJrbMzzx33QsegOi0c4F0+dZZWngvs1k9V63Mm6O
"""
_TRIAL_AT: Final = "20260102000000"
_TRIAL_DATA: Final = b"speedrun"
_TRIAL_SIGNATURE: Final = b"""-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgIOS0mtszPPHfdCx6A6LRzgXT51
llaeC+zWT1Xrcybo4AAAAIc3BlZWRydW4AAAAAAAAABnNoYTUxMgAAAFMAAAALc3NoLWVk
MjU1MTkAAABAA2nei9e2xCeSMgh4GwLoCFllCn6icbmbC4kjZH+TKFbjnx29oqi4KXqRZB
4sVjqGdRJpsoRd/BojLuBSqQErCw==
-----END SSH SIGNATURE-----
"""

_HEADER = b"-----BEGIN SSH SIGNATURE-----"
_FOOTER = b"-----END SSH SIGNATURE-----"
_KEY_AT = 10  # bytes into a signature (PROTOCOL.sshsig): behind "SSHSIG" and its version, a length and the public key

# A line of the maintainers file: names, then options or the key at once. Either may hold blanks between quotes.
_LINE = re.compile(rb'\s*(?:"(?P<quoted>[^"]*)"|(?P<names>[^\s"]\S*))\s+(?P<options>(?:[^\s"]|"[^"]*")+)')
_NAMESPACES = re.compile(rb'(?:^|,)namespaces="([^"]*)"', re.IGNORECASE)


class Signed(NamedTuple):
    """Something that says it is signed."""

    digest: str  # sha256 of every byte that was signed, in hexadecimal
    signature: bytes
    at: str  # the moment at which the key must have been valid, ISO 8601
    data: bytes | None  # those bytes; None: they are not at hand, which will do where the verdict is remembered

    @classmethod
    def over(cls, data: bytes, signature: bytes, at: str) -> "Signed":
        return cls(hashlib.sha256(data).hexdigest(), signature, at, data)


def signed_by(data: bytes, signature: bytes, maintainers: Path, at: str) -> str | None:
    """The maintainer whose signature over `data` this is; None: nobody's that counts.

    Args:
        data: every byte that was signed.
        signature: as ssh-keygen writes it.
        maintainers: the allowed-signers file; nobody is a maintainer where there is none.
        at: when the key must have been valid, ISO 8601 with its zone.

    Raises:
        UserError: ssh-keygen is missing, too old or does not answer; `maintainers` cannot be read.
    """
    return all_signed_by([Signed.over(data, signature, at)], maintainers)[0]


def all_signed_by(claims: Sequence[Signed], maintainers: Path, cache: Path | None = None) -> tuple[str | None, ...]:
    """`signed_by` for many, in their order; `Verdicts` says more. Raises UserError, as `signed_by`."""
    return Verdicts(maintainers, cache).signers(claims)


class Verdicts:
    """Who signed what.

    ssh-keygen takes about 10 ms a signature, so 1,000 take some 6 s on two cores. Verdicts are remembered in `cache`,
    by a hash of everything that they depend on: the data, the signature, the list of maintainers, the moment, and the
    ssh-keygen that said so, for a newer one may know more. Whoever can write there can write the code, too. None:
    nothing is remembered.

    Raises:
        UserError: `maintainers` cannot be read.
    """

    def __init__(self, maintainers: Path, cache: Path | None = None) -> None:
        self._allowed = read_maintainers(maintainers)
        self._allowed_digest = hashlib.sha256(self._allowed or b"").digest()
        self._cache = cache

    def remembers(self, claim: Signed) -> bool:
        """Whether the answer is known without the data."""
        return self._allowed is None or self._key(claim) in self._memory

    def signers(self, claims: Sequence[Signed]) -> tuple[str | None, ...]:
        """The maintainer whose signature each is; None: nobody's that counts, or the data is needed and not there.

        Raises:
            UserError: as `signed_by`.
        """
        if not claims or self._allowed is None:
            return (None,) * len(claims)
        keys = [self._key(claim) for claim in claims]
        new = {
            key: claim
            for key, claim in zip(keys, claims, strict=True)
            if key not in self._memory and claim.data is not None
        }
        if new:
            self._memory |= self._asked(new, self._allowed)
            _remember(self._cache, self._memory)
        return tuple(self._memory.get(key) or None for key in keys)

    def _asked(self, new: Mapping[str, Signed], allowed: bytes) -> dict[str, str]:
        from concurrent.futures import ThreadPoolExecutor

        with _scratch() as folder, ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            (folder / "maintainers").write_bytes(allowed)
            names: dict[bytes, str] = {}
            checks = [pool.submit(_signer, folder, number, claim, names) for number, claim in enumerate(new.values())]
            said = {key: check.result() for key, check in zip(new, checks, strict=True)}
            if "" in said.values():
                _demand_judgement(folder)
            return {key: signer for key, signer in said.items() if signer is not None}

    @cached_property
    def _memory(self) -> dict[str, str]:
        """Verdicts of earlier checks: key → the maintainer, or nothing for nobody."""
        if self._cache is None:
            return {}
        try:
            return msgspec.json.decode((self._cache / MEMORY).read_bytes(), type=dict[str, str])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return {}

    def _key(self, claim: Signed) -> str:
        """Of everything that a verdict depends on; the parts' own hashes keep them apart."""
        signature, at = (hashlib.sha256(part).digest() for part in (claim.signature, claim.at.encode()))
        parts = (bytes.fromhex(claim.digest), signature, self._allowed_digest, at, self._checker_digest)
        return hashlib.sha256(b"".join(parts)).hexdigest()

    @cached_property
    def _checker_digest(self) -> bytes:
        program = shutil.which("ssh-keygen")
        found = None if program is None else Path(program).stat()
        facts = "" if found is None else f"{program} {found.st_size} {found.st_mtime_ns}"
        return hashlib.sha256(os.fsencode(facts)).digest()


def read_maintainers(path: Path) -> bytes | None:
    """The allowed-signers file; None when it is not there or names no key. Raises UserError."""
    try:
        if path.stat().st_size > MAINTAINERS_CAP_BYTES:
            raise UserError(f"{path} is larger than any list of maintainers; look at what it holds")
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    lines = (line.strip() for line in content.splitlines())
    return content if any(line and not line.startswith(b"#") for line in lines) else None


class LineFault(NamedTuple):
    """A line of the maintainers file that does not say what it should."""

    number: int  # from 1
    why: str


def line_faults(maintainers: Path) -> tuple[LineFault, ...]:
    """The lines that make nobody a maintainer, and those whose key could sign for something else as well.

    Raises:
        UserError: as `signed_by`.
    """
    found: list[LineFault] = []
    with _scratch() as folder:
        for number, line in enumerate((read_maintainers(maintainers) or b"").split(b"\n"), 1):
            if line.strip() and not line.strip().startswith(b"#"):
                found += (LineFault(number, why) for why in _line_faults(line, folder / "line"))
    return tuple(found)


def _line_faults(line: bytes, place: Path) -> Iterator[str]:
    parts = _LINE.match(line)
    if parts is None or b"\0" in line:
        yield 'it is not of the form: name namespaces="speedrun" key'
        return
    name = os.fsdecode((parts["quoted"] or parts["names"] or b"").partition(b",")[0])
    place.write_bytes(line + b"\n")
    # Whether a line names somebody is answered only where its options and its key make sense.
    asked = _keygen("-Y", "match-principals", "-I", name, "-f", str(place), time_s=CHECK_S)
    if asked.returncode != 0:
        why = plain(asked.stderr.decode(errors="replace").partition(":1: ")[2].partition("\n")[0], 200)
        yield f"ssh-keygen can't read it: {why}" if why else "ssh-keygen can't read it"
    elif _NAMESPACES.findall(parts["options"]) != [NAMESPACE.encode()]:
        yield f'its key is not bound to namespaces="{NAMESPACE}", so it could be one that signs other things'


class Signer:
    """Signs with a private key file, or with a public one whose private half lies beside it or in an agent."""

    def __init__(self, key: Path) -> None:
        self._key = key
        self.asked = False  # a person, for a passphrase or a touch, at the last signature

    def sign(self, data: bytes) -> bytes:
        """A detached signature over `data`. Asks for a passphrase only where there is a terminal.

        Raises:
            UserError: there is no such key, or it cannot sign.
        """
        key = self._key.absolute()
        if not key.is_file():
            raise UserError(f"there is no key {self._key}; give the path of your private or public SSH key")
        self.asked = False
        done = _keygen("-Y", "sign", "-f", str(key), "-n", NAMESPACE, data=data, time_s=SIGN_S)
        if not _is_signature(done) and _terminal():
            self.asked = True
            done = _keygen("-Y", "sign", "-f", str(key), "-n", NAMESPACE, data=data, time_s=ASK_S, asks=True)
        if not _is_signature(done):
            raise UserError(f"cannot sign with {self._key}: {_why(done)}")
        return done.stdout


def _signer(folder: Path, number: int, claim: Signed, names: MutableMapping[bytes, str]) -> str | None:
    """Whose signature it is, as ssh-keygen says; empty: nobody's; None: it was killed, and may say more another time.

    folder: holds the maintainers.
    names: of maintainers by their public keys, as found so far: who is known need not be asked for. Only a hint.
    """
    try:
        return _found(folder, number, claim, names)
    except _KilledError:
        return None


def _found(folder: Path, number: int, claim: Signed, names: MutableMapping[bytes, str]) -> str:
    at, data = _time(claim.at), claim.data
    if (
        at is None
        or data is None
        or len(data) > RECORD_CAP_BYTES
        or not 0 < len(claim.signature) <= SIGNATURE_CAP_BYTES
    ):
        return ""
    signature, allowed = folder / f"{number}.sig", str(folder / "maintainers")
    signature.write_bytes(claim.signature)
    where = ("-s", str(signature), "-f", allowed, "-O", f"verify-time={at}")

    def signed(name: str) -> bool:
        checked = _check("-Y", "verify", "-I", name, "-n", NAMESPACE, *where, data=data)
        return checked.returncode == 0

    key = _public_key(claim.signature)
    if key in names and signed(names[key]):
        return plain(names[key], 200)
    # Whose key it is; that says nothing of the data, nor of what the key may sign.
    asked = _check("-Y", "find-principals", *where)
    principals = asked.stdout.decode(errors="replace").splitlines()
    if asked.returncode != 0 or not principals:
        return ""
    name = principals[0]
    if not signed(name):
        return ""
    names[key] = name
    return plain(name, 200)


def _demand_judgement(folder: Path) -> None:
    """Raises UserError: this ssh-keygen refuses what is good, too."""
    allowed, signature = folder / "trial", folder / "trial.sig"
    allowed.write_bytes(_TRIAL_LINE)
    signature.write_bytes(_TRIAL_SIGNATURE)
    where = ("-s", str(signature), "-f", str(allowed), "-O", f"verify-time={_TRIAL_AT}")
    done = _keygen("-Y", "verify", "-I", "trial", "-n", NAMESPACE, *where, data=_TRIAL_DATA, time_s=CHECK_S)
    if done.returncode != 0:
        said = plain(done.stderr.decode(errors="replace").strip().partition("\n")[0], 200)
        why = said or f"it ended with {done.returncode}"
        raise UserError(f"this ssh-keygen can't check signatures ({why}); install OpenSSH 8.9 or newer")


class _KilledError(Exception):
    """ssh-keygen was ended from outside."""


def _check(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs ssh-keygen for a check. Raises _KilledError."""
    done = _keygen(*arguments, data=data, time_s=CHECK_S)
    if done.returncode < 0:
        raise _KilledError
    return done


def _public_key(signature: bytes) -> bytes:
    """The key that a signature says it was made with; empty where it is none."""
    armoured = signature.strip().removeprefix(_HEADER).removesuffix(_FOOTER)
    try:
        blob = base64.b64decode(armoured)
    except binascii.Error:
        return b""
    begin = _KEY_AT + 4
    return blob[begin : begin + int.from_bytes(blob[_KEY_AT:begin], "big")]


def _keygen(
    *arguments: str, data: bytes = b"", time_s: float, asks: bool = False
) -> subprocess.CompletedProcess[bytes]:
    """Runs ssh-keygen with next to no environment; without `asks` it has no terminal to ask on."""
    program = shutil.which("ssh-keygen")
    if program is None:
        raise UserError("ssh-keygen is not installed, which signs records and checks them; install openssh-client")
    # Dates without a zone, in the maintainers file and in ours, are local ones: let them be UTC everywhere.
    environment = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "SSH_ASKPASS_REQUIRE": "never"}
    if "SSH_AUTH_SOCK" in os.environ:
        environment["SSH_AUTH_SOCK"] = os.environ["SSH_AUTH_SOCK"]  # the agent's
    try:
        return subprocess.run(
            [program, *arguments],
            input=data,
            capture_output=True,
            env=environment,
            cwd="/",
            timeout=time_s,
            start_new_session=not asks,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"ssh-keygen did not answer within {time_s:.0f} s; try again") from None
    except OSError as error:
        raise UserError(f"ssh-keygen cannot be started: {error.strerror}; mend that and try again") from None


def _is_signature(done: subprocess.CompletedProcess[bytes]) -> bool:
    return done.returncode == 0 and done.stdout.startswith(_HEADER) and len(done.stdout) <= SIGNATURE_CAP_BYTES


def _why(done: subprocess.CompletedProcess[bytes]) -> str:
    """What ssh-keygen said, in our words where they tell what to do."""
    said = done.stderr.decode(errors="replace")
    if "UNPROTECTED PRIVATE KEY" in said:
        return "others may read it, so ssh-keygen leaves it alone; chmod 600 it"
    if "passphrase" in said:
        return "it needs its passphrase; type it right, or give it to an agent first (ssh-add)"
    if "No private key found" in said or "public key" in said:
        return "no private key is found for it, in its file or in an agent; give the private file, or ssh-add it first"
    return plain(said.strip().rpartition("\n")[2], 200) or f"ssh-keygen ended with {done.returncode}"


def _terminal() -> bool:
    """Somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr is not None and sys.stderr.isatty()


def _time(at: str) -> str | None:
    """As ssh-keygen takes it: UTC, YYYYMMDDHHMMSS. None: no moment."""
    try:
        moment = datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return f"{moment.year:04}{moment:%m%d%H%M%S}"


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder of our own, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="speedrun-signatures-") as folder:
        yield Path(folder)


def _remember(cache: Path | None, verdicts: Mapping[str, str]) -> None:
    """The latest verdicts. Only speed is lost when they can't be written."""
    if cache is None:
        return
    with contextlib.suppress(UserError, OSError):
        cache.mkdir(parents=True, exist_ok=True)
        latest = dict(list(verdicts.items())[-REMEMBERED:])
        atomic.replace(cache / MEMORY, msgspec.json.encode(latest))
