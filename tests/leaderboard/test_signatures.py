import os
import shutil
import subprocess
import sys

import pytest

from harness.errors import UserError
from leaderboard import signatures
from leaderboard.signatures import Signed, Signer, all_signed_by, line_faults, signed_by

NOW = "2026-11-21T12:00:00Z"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Two keys, `ada` and `eve`; of ada's there is a copy that has a passphrase."""
    folder = tmp_path_factory.mktemp("keys")
    for name, passphrase in (("ada", ""), ("eve", ""), ("locked", "secret")):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", folder / name]
        subprocess.run(command, check=True)
    return folder


@pytest.fixture
def maintainers(tmp_path, keys):
    """Writes the list of maintainers: each line is options and a key's name."""

    def write(*lines):
        path = tmp_path / "maintainers"
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    return write


def line(keys, name, options='namespaces="speedrun"', principal="ada@example.org"):
    return f"{principal} {options} {(keys / f'{name}.pub').read_text()}".strip()


def test_a_maintainers_signature_names_him(keys, maintainers):
    signature = Signer(keys / "ada").sign(b"a record")
    assert signature.startswith(b"-----BEGIN SSH SIGNATURE-----")
    assert signed_by(b"a record", signature, maintainers(line(keys, "ada")), NOW) == "ada@example.org"


def test_forgeries_are_nobodys(keys, maintainers):
    ada = maintainers("# the maintainers", "", line(keys, "ada"))
    good, forged = Signer(keys / "ada").sign(b"a record"), Signer(keys / "eve").sign(b"a record")
    assert signed_by(b"a record", good, ada, NOW) == "ada@example.org"
    assert signed_by(b"a record", forged, ada, NOW) is None
    assert signed_by(b"a Record", good, ada, NOW) is None
    assert signed_by(b"a record\n", good, ada, NOW) is None
    assert signed_by(b"another record", good, ada, NOW) is None
    for spoilt in (b"", b"nonsense", good[:-60], good.replace(b"U1NI", b"U1NJ"), b"x" * 100_000):
        assert signed_by(b"a record", spoilt, ada, NOW) is None


def test_a_signature_for_something_else_is_none(keys, maintainers, tmp_path):
    """What a maintainer signs every day, a git commit say, must not be turned into a verified record."""
    done = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", keys / "ada", "-n", "git"],
        input=b"a record",
        capture_output=True,
        check=True,
    )
    assert signed_by(b"a record", done.stdout, maintainers(line(keys, "ada", "")), NOW) is None


def test_a_key_that_is_taken_out_has_signed_nothing(keys, maintainers):
    signature = Signer(keys / "ada").sign(b"a record")
    assert signed_by(b"a record", signature, maintainers(line(keys, "eve")), NOW) is None
    assert signed_by(b"a record", signature, maintainers("# nobody", ""), NOW) is None
    assert signed_by(b"a record", signature, maintainers("").with_name("missing"), NOW) is None
    assert signed_by(b"a record", signature, maintainers(line(keys, "ada", 'namespaces="git"')), NOW) is None


def test_a_retired_key_keeps_what_it_signed(keys, maintainers):
    signature = Signer(keys / "ada").sign(b"a record")
    retired = maintainers(line(keys, "ada", 'valid-after="20260101",valid-before="20261121"'))
    for moment, holds in (
        ("2026-11-20T23:59:58Z", True),
        ("2026-11-21T00:00:01+00:00", False),
        ("2026-11-21T00:30:00+01:00", True),  # the day before, in UTC
        ("2025-12-31T23:59:59Z", False),
        ("no time", False),
        ("9999-12-31T23:59:59-23:59", False),
    ):
        assert (signed_by(b"a record", signature, retired, moment) is not None) is holds, moment


def test_dates_are_utc_wherever_the_machine_is(keys, maintainers, monkeypatch):
    signature = Signer(keys / "ada").sign(b"a record")
    retired = maintainers(line(keys, "ada", 'valid-before="20261121"'))
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert signed_by(b"a record", signature, retired, "2026-11-20T23:00:00Z") is not None


def test_garbage_among_the_maintainers_makes_nobody_one(keys, maintainers):
    good, forged = Signer(keys / "ada").sign(b"a record"), Signer(keys / "eve").sign(b"a record")
    messy = maintainers("%%%%", "ssh-ed25519", "\x00\xff", line(keys, "ada"), "eve@example.org ssh-ed25519 AAAA")
    assert signed_by(b"a record", good, messy, NOW) == "ada@example.org"
    assert signed_by(b"a record", forged, messy, NOW) is None
    assert signed_by(b"a record", good, maintainers("%%%%", "* garbage"), NOW) is None


def test_a_principal_that_looks_like_an_option_is_only_a_name(keys, maintainers):
    signature = Signer(keys / "ada").sign(b"a record")
    odd = maintainers(line(keys, "ada", principal="-Oprint-pubkey"))
    assert signed_by(b"a record", signature, odd, NOW) == "-Oprint-pubkey"
    assert signed_by(b"another", signature, odd, NOW) is None


def test_many_are_told_apart_and_remembered(keys, maintainers, tmp_path, monkeypatch):
    ada, eve = Signer(keys / "ada"), Signer(keys / "eve")
    claims = [Signed.over(data, signer.sign(data), NOW) for data in (b"1", b"2", b"3") for signer in (ada, eve)]
    expected = ("ada@example.org", None) * 3
    allowed, cache = maintainers(line(keys, "ada")), tmp_path / "cache"
    assert all_signed_by(claims, allowed, cache) == expected
    monkeypatch.setattr(signatures, "_signer", lambda *_: pytest.fail("asked again"))
    assert all_signed_by(claims, allowed, cache) == expected
    monkeypatch.undo()
    # Whatever a verdict depends on is asked anew when it changes: the bytes, the signature, the time, the maintainers.
    swapped = [
        Signed.over(b"1", claims[2].signature, NOW),
        Signed.over(b"x", claims[0].signature, NOW),
        claims[0]._replace(at=""),
    ]
    assert all_signed_by(swapped, allowed, cache) == (None, None, None)
    assert all_signed_by(claims, maintainers(line(keys, "eve", principal="eve")), cache) == (None, "eve") * 3


@pytest.fixture
def checker(tmp_path, monkeypatch):
    """Puts a script in ssh-keygen's place; `$real "$@"` asks the real one."""
    real, folder = shutil.which("ssh-keygen"), tmp_path / "bin"
    folder.mkdir()

    def write(script):
        program = folder / "ssh-keygen"
        program.write_text(f"#!/bin/sh\nreal={real}\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return write


def test_a_check_that_is_killed_says_nothing_that_is_remembered(keys, maintainers, tmp_path, checker):
    """As it is where memory runs out: this time the signature does not count, the next time it does."""
    claims = [Signed.over(b"a record", Signer(keys / "ada").sign(b"a record"), NOW)]
    allowed, cache, scarce = maintainers(line(keys, "ada")), tmp_path / "cache", tmp_path / "scarce"
    scarce.touch()
    checker(f'[ -e {scarce} ] && kill -9 $$\n$real "$@"')
    assert all_signed_by(claims, allowed, cache) == (None,)
    scarce.unlink()
    assert all_signed_by(claims, allowed, cache) == ("ada@example.org",)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('case "$*" in *verify-time*) echo \'Invalid option "verify-time"\' >&2; exit 255;; esac', "Invalid option"),
        ('echo "unknown option -- Y" >&2; echo usage >&2; exit 1', "unknown option -- Y"),
        ("exit 127", "it ended with 127"),
    ],
)
def test_an_ssh_keygen_that_cannot_check_is_not_believed(keys, maintainers, tmp_path, checker, script, said):
    """It ends as it does for a forgery, and so do good signatures; it must not be taken for a verdict on them."""
    claims = [Signed.over(b"a record", Signer(keys / "ada").sign(b"a record"), NOW)]
    allowed, cache = maintainers(line(keys, "ada")), tmp_path / "cache"
    checker(script)
    with pytest.raises(UserError, match=f"can't check signatures .*{said}.*install OpenSSH") as caught:
        all_signed_by(claims, allowed, cache)
    assert str(caught.value).isprintable()
    assert not cache.exists()


def test_another_ssh_keygen_is_asked_anew(keys, maintainers, tmp_path, checker):
    """One that can't check this kind of key, say, until it is upgraded."""
    claims = [Signed.over(b"a record", Signer(keys / "ada").sign(b"a record"), NOW)]
    allowed, cache = maintainers(line(keys, "ada")), tmp_path / "cache"
    checker('case "$*" in *trial*) exec $real "$@";; esac\nexit 255')
    assert all_signed_by(claims, allowed, cache) == (None,)
    checker('exec $real "$@"')
    assert all_signed_by(claims, allowed, cache) == ("ada@example.org",)


def test_who_is_known_is_not_asked_for_again(keys, maintainers, monkeypatch):
    """One process a signature, where the first of each key takes two."""
    ada, eve = Signer(keys / "ada"), Signer(keys / "eve")
    claims = [Signed.over(data, signer.sign(data), NOW) for data in (b"1", b"2", b"3") for signer in (ada, eve)]
    allowed = maintainers(line(keys, "ada"), line(keys, "eve", principal="eve"))
    asked, keygen = [], signatures._keygen
    monkeypatch.setattr(signatures, "_keygen", lambda *words, **more: asked.append(words[1]) or keygen(*words, **more))
    monkeypatch.setattr(signatures.os, "cpu_count", lambda: 1)
    assert all_signed_by(claims, allowed) == ("ada@example.org", "eve") * 3
    assert (asked.count("find-principals"), asked.count("verify")) == (2, 6)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0)])
def test_a_known_key_is_held_to_its_dates_its_name_and_the_data(keys, maintainers, order):
    """A key under two names, one after the other; and a signature by a known key over something else."""
    ada = Signer(keys / "ada")
    allowed = maintainers(
        line(keys, "ada", 'valid-before="20260601"', principal="student"),
        line(keys, "ada", 'valid-after="20260601"', principal="doctor"),
    )
    signature = ada.sign(b"1")
    claims = [
        Signed.over(b"1", signature, "2026-05-01T00:00:00Z"),
        Signed.over(b"1", signature, "2026-07-01T00:00:00Z"),
        Signed.over(b"2", signature, "2026-07-01T00:00:00Z"),
        Signed.over(b"1", ada.sign(b"2"), "2026-05-01T00:00:00Z"),
    ]
    expected = ("student", "doctor", None, None)
    found = all_signed_by([claims[number] for number in order], allowed)
    assert found == tuple(expected[number] for number in order)


def test_lines_of_the_maintainers_that_do_not_say_what_they_should(keys, maintainers, tmp_path):
    def of(text):
        return [fault.why for fault in line_faults(maintainers(text))]

    good = line(keys, "ada")
    dated = line(keys, "ada", 'valid-before="20300101",namespaces="speedrun"', principal='"Ada Lovelace,ada@*"')
    assert line_faults(maintainers("# the maintainers", "", f"  {good}", f"{dated}\r", "  # gone")) == ()
    assert line_faults(tmp_path / "missing") == ()
    for spoilt, words in (
        ("ada", "not of the form"),
        (good.replace("example.org ", "example.org \0"), "not of the form"),
        ("%%%%  nonsense", "ssh-keygen can't read it: missing key"),
        (good.replace("AAAA", "BBBB"), "ssh-keygen can't read it: invalid key"),
        (line(keys, "ada", 'namespaces="speedrun",valid-before="soon"'), "can't read it: bad options: invalid"),
        (line(keys, "ada", 'namespace="speedrun"'), "can't read it: bad options: unknown key option"),
        (line(keys, "ada", ""), 'not bound to namespaces="speedrun"'),
        (line(keys, "ada", 'namespaces="git"'), 'not bound to namespaces="speedrun"'),
        (line(keys, "ada", 'namespaces="speedrun,git"'), 'not bound to namespaces="speedrun"'),
        (line(keys, "ada", 'namespaces="*"'), 'not bound to namespaces="speedrun"'),
        (line(keys, "ada", "", principal='"namespaces=speedrun"'), 'not bound to namespaces="speedrun"'),
    ):
        (why,) = of(spoilt)
        assert words in why, (spoilt, why)
    faults = line_faults(maintainers("# the maintainers", good, "", "ada", line(keys, "eve", "")))
    assert [fault.number for fault in faults] == [4, 5]


@pytest.mark.parametrize("content", [b"{", b'{"a": 1}', b"\xff\xfe", b"[]"])
def test_a_spoilt_memory_is_none(keys, maintainers, tmp_path, content):
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / signatures.MEMORY).write_bytes(content)
    claim = Signed.over(b"1", Signer(keys / "ada").sign(b"1"), NOW)
    assert all_signed_by([claim], maintainers(line(keys, "ada")), cache) == ("ada@example.org",)


def test_without_ssh_keygen_nobody_can_say(keys, maintainers, monkeypatch):
    signature, allowed = Signer(keys / "ada").sign(b"a record"), maintainers(line(keys, "ada"))
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UserError, match=r"ssh-keygen is not installed.*install openssh-client"):
        signed_by(b"a record", signature, allowed, NOW)
    assert all_signed_by([], allowed) == ()  # nothing to ask


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("missing", "there is no key .*; give the path"),
        ("alone.pub", "no private key is found for it, in its file or in an agent"),
        ("nonsense", "no private key is found for it"),
        ("locked", "it needs its passphrase"),
        ("open", "others may read it.*chmod 600"),
    ],
)
def test_what_cannot_sign_says_why(keys, tmp_path, key, words):
    (tmp_path / "alone.pub").write_bytes((keys / "ada.pub").read_bytes())
    (tmp_path / "nonsense").write_text("not a key")
    for copied, original, mode in (("locked", "locked", 0o600), ("open", "ada", 0o644)):
        (tmp_path / copied).write_bytes((keys / original).read_bytes())
        (tmp_path / copied).chmod(mode)
    with pytest.raises(UserError, match=words) as caught:
        Signer(tmp_path / key).sign(b"a record")
    assert "\n" not in str(caught.value)


def test_a_public_key_signs_by_its_agent(keys, maintainers, tmp_path, monkeypatch):
    public = tmp_path / "alone.pub"
    public.write_bytes((keys / "ada.pub").read_bytes())
    socket = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
    try:
        assert agent.stdout.readline()  # it listens
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        subprocess.run(["ssh-add", "-q", keys / "ada"], check=True)
        signature = Signer(public).sign(b"a record")
    finally:
        agent.kill()
        agent.communicate()
    assert signed_by(b"a record", signature, maintainers(line(keys, "ada")), NOW) == "ada@example.org"


def test_a_passphrase_is_asked_for_on_a_terminal(keys, maintainers, tmp_path):
    """A child with a terminal of its own: it is asked, and what is typed there opens the key."""
    out = tmp_path / "signature"
    code = (
        "import sys; from pathlib import Path; from leaderboard.signatures import Signer\n"
        f"signer = Signer(Path({str(keys / 'locked')!r}))\n"
        f"Path({str(out)!r}).write_bytes(signer.sign(b'a record')); print('asked', signer.asked)"
    )
    pid, terminal = os.forkpty()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    said = b""
    while b"passphrase" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, b"secret\n")
    while b"\n" not in said.partition(b"asked ")[2]:
        said += os.read(terminal, 1000)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(terminal)
    assert b"asked True" in said
    assert signed_by(b"a record", out.read_bytes(), maintainers(line(keys, "locked")), NOW) == "ada@example.org"
