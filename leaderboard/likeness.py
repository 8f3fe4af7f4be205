"""How alike two sources are, whatever their authors called things.

A source becomes the sequence of its tokens, in which every name is a name, every number a number and every text a
text; comments, white space and line breaks are gone, and so are round brackets and what else a formatter adds or takes
away. Two sources are compared by the sets of their runs of SHINGLE
tokens: what both have over what either has (Jaccard), and over what the smaller one has (containment, which still
shows a copy inside of something larger). The likeness is the mean of the two.

The lexer is ours and reads any text in linear time, what Python would refuse included: no file escapes comparison by
being broken. README and submission.toml don't count: every entry's differ, and every entry may quote another's.

Not covered: the same idea written anew, code in another order of statements, and code that is made when it runs.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from keyword import kwlist
from pathlib import PurePosixPath
from typing import Final

from harness.result import SourceFile

SHINGLE: Final = 10  # tokens: about a statement, so that grammar alone makes nothing alike
CHARACTERS_CAP: Final = 256 * 2**10  # of a source that are looked at: all that an entry may have

# Every alternative ends where its text does, closed or not, and takes back nothing that it has read: time is linear.
# No possessive groups, which Python before 3.11.5 matches wrongly: after a group here something always matches.
_TOKEN = re.compile(
    r"""
      \#[^\n]*+ | \s++ | \\\n
    | (?P<text>
        (?:[A-Za-z]{0,2}) (?:
          \"\"\" (?: [^"\\] | \\. | "(?!"") )* (?:\"\"\"|\Z|\\\Z)
        | ''' (?: [^'\\] | \\. | '(?!'') )* (?:'''|\Z|\\\Z)
        | " (?: [^"\\\n] | \\. )* (?:"|(?=\n)|\Z|\\\Z)
        | ' (?: [^'\\\n] | \\. )* (?:'|(?=\n)|\Z|\\\Z)
        )
      )
    | (?P<number> [0-9] (?: [eE][+-][0-9] | [\w.] )* )
    | (?P<word> \w++ )
    | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_KEYWORDS = frozenset(kwlist)
_ROUND = frozenset("()")
_CLOSING = frozenset(")]}")
_PROSE = frozenset({"readme", "submission"})


def likeness(files: Iterable[SourceFile], others: Iterable[SourceFile]) -> float:
    """0: nothing in common; 1: the same code, up to names, values, comments and layout. Symmetric."""
    ours, theirs = list(files), list(others)
    if code_sha256(ours) == code_sha256(theirs):
        return 1.0
    mine, other = shingles(ours), shingles(theirs)
    if not mine or not other:
        return 0.0
    both = len(mine & other)
    return (both / len(mine | other) + both / min(len(mine), len(other))) / 2


def shingles(files: Iterable[SourceFile]) -> frozenset[tuple[str, ...]]:
    """Every run of SHINGLE tokens inside a file; a shorter file is one run."""
    found: set[tuple[str, ...]] = set()
    for tokens in _by_file(files):
        if len(tokens) < SHINGLE:
            found.add(tuple(tokens))
        found.update(zip(*(tokens[offset:] for offset in range(SHINGLE)), strict=False))
    return frozenset(found)


def code_sha256(files: Iterable[SourceFile]) -> str:
    """The same for the same code, up to names, values, comments, layout and how the files are called."""
    digests = sorted(hashlib.sha256("\n".join(tokens).encode()).digest() for tokens in _by_file(files))
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _by_file(files: Iterable[SourceFile]) -> Iterator[list[str]]:
    """The tokens of each file of code that has any, up to the cap in all."""
    left = CHARACTERS_CAP
    for file in sorted(files, key=lambda file: file.path):
        if PurePosixPath(file.path).stem.lower() in _PROSE or left <= 0:
            continue
        tokens = _tokens(file.text[:left])
        left -= len(file.text)
        if tokens:
            yield tokens


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    before = ""
    for match in _TOKEN.finditer(text):
        kind, found = match.lastgroup, match.group()
        if kind is None:
            continue
        if found in _CLOSING and before == ",":
            tokens.pop()
        before = found if kind == "sign" or found in _KEYWORDS else "name" if kind == "word" else kind
        # Texts that follow each other are one text.
        if before not in _ROUND and not (before == "text" and tokens and tokens[-1] == "text"):
            tokens.append(before)
    return tokens
