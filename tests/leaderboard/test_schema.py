import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.result import SCHEMA_VERSION, Author, Declared, Times, Verdict, encode
from leaderboard.schema import RECORD_CAP_BYTES, RecordError, check_writable, decode, decode_summary

FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(
    loss_nats=FINITE,
    train_s=st.floats(min_value=0, max_value=1e9),
    technique=TEXT,
    title=TEXT,
    authors=st.lists(st.builds(Author, name=TEXT, link=TEXT), max_size=3).map(tuple),
    log_tail=TEXT,
    seed=st.integers(-(2**63), 2**63 - 1),
    overrides=st.dictionaries(TEXT, TEXT, max_size=3),
    source=TEXT,
    tokens=st.none() | st.integers(0, 2**63 - 1),
)
def test_a_record_comes_back_as_it_was(make_record, **fields):
    record = make_record(**fields)
    assert decode(encode(record)) == record
    summary = decode_summary(encode(record))
    for name in ("run_id", "entry", "track", "score", "times", "declared", "overrides", "seed", "verdict"):
        assert getattr(summary, name) == getattr(record, name)
    assert summary.source.sha256 == record.source.sha256
    assert summary.environment.cpu == record.environment.cpu


@given(data=st.binary(max_size=200))
def test_any_bytes_give_one_line(data):
    for read in (decode, decode_summary):
        with pytest.raises(RecordError) as caught:
            read(data)
        assert len(str(caught.value).splitlines()) == 1


def spoilt(document, path, value):
    """The JSON of `document` with the field at `path` set to `value`, or taken out where that is `...`."""
    place = document
    *parents, last = path.split(".")
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return msgspec.json.encode(document)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("run_id", "best-run", "$.run_id"),
        ("run_id", "20261121-141530-../../etc-3f9a", "$.run_id"),
        ("run_id", "20261121-141530-other-3f9a", "$.entry.name"),
        ("run_id", 7, "$.run_id"),
        ("entry.name", "Baseline", "$.entry.name"),
        ("entry.nickname", "x", "nickname"),
        ("track.id", "../cpu", "$.track.id"),
        ("track.id", "", "$.track.id"),
        ("track.version", 2**70, "$.track.version"),
        ("track.objective", "lowest-price", "$.track.objective"),
        ("started_at", "yesterday", "$.started_at"),
        ("started_at", "2026-13-41T14:15:30+00:00", "$.started_at"),
        ("started_at", "2026-11-21T14:15:30+02:00", "$.started_at"),
        ("started_at", "20261121T141530+0000", "$.started_at"),
        ("seed", 2**64, "$.seed"),
        ("seed", ..., "seed"),
        ("schema", ..., "schema"),
        ("schema", "1", "$.schema"),
        ("verdict", "WON", "$.verdict"),
        ("score", None, "a scored run has a score"),
        ("score.targets", 0, "at least one target"),
        ("score.targets", 10**400, "$.score.targets"),
        ("score.loss_nats", None, "$.score.loss_nats"),
        ("score.loss_nats", "1.5", "$.score.loss_nats"),
        ("scored", False, "scored"),
        ("ranked", False, "ranked"),
        ("times.train_s", -1.0, "$.times.train_s"),
        ("declared.tokens", 10**30, "$.declared.tokens"),
        ("environment.threads", "two", "$.environment.threads"),
        ("source.sha256", ..., "sha256"),
    ],
)
@pytest.mark.parametrize("read", [decode, decode_summary])
def test_a_spoilt_record_is_refused_with_the_place(record_json, read, path, value, words):
    with pytest.raises(RecordError) as caught:
        read(spoilt(record_json(), path, value))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_only_the_whole_reading_refuses_what_a_summary_skips(record_json):
    for path, value in (("curve", 7), ("source.files", "none"), ("surprise", 1)):
        data = spoilt(record_json(), path, value)
        decode_summary(data)
        with pytest.raises(RecordError, match=path):
            decode(data)


@pytest.mark.parametrize("path", ["ranks", "environment.cores", "environment.sandbox.landlock_abi"])
def test_integers_of_the_whole_record_have_64_bits(record_json, path):
    with pytest.raises(RecordError, match=rf"an integer beyond 64 bits - at `\$\.{path}`"):
        decode(spoilt(record_json(), path, 10**400))


def test_integers_of_the_curve_have_64_bits(record_json):
    document = record_json()
    document["curve"][0]["step"] = 10**400
    with pytest.raises(RecordError, match=r"curve\[0\]\.step"):
        decode(msgspec.json.encode(document))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("read", [decode, decode_summary])
def test_numbers_that_are_none_are_refused(make_record, read, number):
    data = encode(make_record(loss_nats=1.25)).replace(b"1.25", number.encode(), 1)
    assert number.encode() in data
    with pytest.raises(RecordError):
        read(data)


def test_deep_nesting_is_refused():
    with pytest.raises(RecordError):
        decode(b'{"schema": 1, "x": ' + b"[" * 100_000)


def test_the_reason_holds_no_control_characters(record_json):
    data = spoilt(record_json(), "entry.\u202e\x1b[31mred\n", "x")
    with pytest.raises(RecordError) as caught:
        decode(data)
    assert str(caught.value).isprintable()


def test_a_newer_schema_asks_for_an_update(record_json):
    # The future may have moved every field: the version alone decides.
    with pytest.raises(UserError, match=r"made by a newer version \(schema 2, .*\); update"):
        decode(msgspec.json.encode({"schema": SCHEMA_VERSION + 1, "everything": "else"}))


@pytest.mark.parametrize("read", [decode, decode_summary])
def test_of_two_versions_the_last_one_counts(record_json, read):
    """As for every other field: a version at the beginning is only where it is looked for first."""
    fields = record_json()
    del fields["schema"]
    rest = msgspec.json.encode(fields)[1:-1]
    assert read(b'{"schema":%d,%b,"schema":%d}' % (SCHEMA_VERSION + 1, rest, SCHEMA_VERSION)).schema == SCHEMA_VERSION
    with pytest.raises(RecordError, match="made by a newer version"):
        read(b'{"schema":%d,%b,"schema":%d}' % (SCHEMA_VERSION, rest, SCHEMA_VERSION + 1))
    with pytest.raises(RecordError, match="schema"):
        read(b"{%b}" % rest)


def test_an_older_schema_without_an_upgrader_is_refused(record_json):
    with pytest.raises(RecordError, match="schema 0 is not known"):
        decode(spoilt(record_json(), "schema", 0))


def test_older_schemas_are_brought_up_step_by_step(make_record):
    record = make_record()
    old = msgspec.json.decode(encode(record))
    old["schema"] = -1
    old["lottery_number"] = old.pop("seed")

    def rename(fields):
        return {("number" if name == "lottery_number" else name): value for name, value in fields.items()}

    def rename_again(fields):
        assert fields["schema"] == 0
        return {("seed" if name == "number" else name): value for name, value in fields.items()}

    upgraders = {-1: rename, 0: rename_again}
    assert decode(msgspec.json.encode(old), upgraders=upgraders) == record
    summary = decode_summary(msgspec.json.encode(old), upgraders=upgraders)
    assert (summary.seed, summary.schema) == (record.seed, SCHEMA_VERSION)


def test_what_an_upgrader_cannot_bring_up_is_a_broken_record(record_json):
    old = spoilt(record_json(), "schema", 0)
    for upgrader in (lambda fields: fields["gone"], lambda fields: {"nothing": 1}):
        with pytest.raises(RecordError):
            decode(old, upgraders={0: upgrader})


def test_the_size_is_bounded():
    with pytest.raises(RecordError, match="at most 2,097,152"):
        decode(b" " * (RECORD_CAP_BYTES + 1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_hold_is_refused_before_it_is_written(make_record, value):
    check_writable(make_record())
    with pytest.raises(RecordError, match=r"\$\.times\.setup_s"):
        check_writable(make_record(times=Times(train_s=1.0, setup_s=value)))
    with pytest.raises(RecordError, match=r"\$\.declared\.metrics\.lr"):
        check_writable(make_record(declared=Declared(metrics={"lr": value})))


def test_a_failed_run_is_a_record_too(make_record):
    record = make_record(verdict=Verdict.TIME_LIMIT)
    assert decode(encode(record)) == record
    assert decode_summary(encode(record)).score is None
