"""Manifests: what is loaded makes sense as a whole, and what does not is named."""

from pathlib import Path

import msgspec
import pytest

from data import manifest as manifests
from data.manifest import Manifest, dataset_ids, find, load_manifest, to_toml
from harness.errors import UserError

DATASETS = Path(manifests.__file__).parent / "datasets"
OFFICIAL = sorted(path.stem for path in DATASETS.glob("*.toml"))
TALES = (DATASETS / "tales.toml").read_text()


@pytest.mark.parametrize("dataset", OFFICIAL)
def test_official_manifests_are_pinned_or_say_that_they_are_not(dataset):
    manifest = load_manifest(DATASETS / f"{dataset}.toml")
    assert manifest.title
    assert not manifest.resolved_here
    if manifest.pinned:
        assert manifest.lists_all
    else:
        assert manifest.source.kind == "hub"
        assert not manifest.splits
        assert manifest.needed_shards(1) is None
    assert all(manifest.expected_tokens(split) > 1000 for split in ("train", "val", "spare"))


def test_the_hub_sets_are_what_the_tracks_need():
    cosmopedia, blueberry, fineweb = (
        load_manifest(DATASETS / f"{name}.toml") for name in ("cosmopedia-1k", "blueberry-1b", "fineweb10b-gpt2")
    )
    assert cosmopedia.expected_tokens("train") == 100_000
    assert blueberry.row_tokens == 2048
    assert blueberry.expected_tokens("train-slice") == 512 * 2048
    assert blueberry.source.hub.shard_rows * 2048 == 10_240_000  # of a shard: ten of them hold 100 M tokens
    assert fineweb.expected_tokens("val") == 10_485_760 + 1
    names = fineweb.source.hub.names()
    assert (len(names), names[0], names[-1]) == (103, "fineweb_train_000001.bin", "fineweb_train_000103.bin")


def test_what_is_written_is_read(tmp_path):
    manifest = load_manifest(DATASETS / "tales.toml")
    path = tmp_path / "tales.toml"
    path.write_text(to_toml(manifest), encoding="utf-8")
    assert load_manifest(path) == manifest
    assert load_manifest(path).sha256 == manifest.sha256


def test_the_hash_tells_data_sets_apart():
    manifest = load_manifest(DATASETS / "tales.toml")
    splits = manifest.splits
    (shard,) = splits["val"].shards
    other = msgspec.structs.replace(shard, sha256="0" * 64)
    val = msgspec.structs.replace(splits["val"], shards=(other,))
    hashes = {
        manifest.sha256,
        msgspec.structs.replace(manifest, id="other").sha256,
        msgspec.structs.replace(manifest, splits={**splits, "val": val}).sha256,
        msgspec.structs.replace(manifest, separator=None).sha256,
    }
    assert len(hashes) == 4


def test_a_floor_is_for_an_exact_count_of_targets():
    manifest = load_manifest(DATASETS / "tales.toml")
    floors = {floor.targets: floor.nats for floor in manifest.splits["val"].floors}
    assert manifest.floor_nats("val", 65_536) == floors[65_536]
    assert manifest.floor_nats("val", 65_535) is None
    assert manifest.floor_nats("val") == floors[manifest.splits["val"].tokens - 1]


BLUEBERRY = (DATASETS / "blueberry-1b.toml").read_text()
SHARDS = (DATASETS / "fineweb10b-gpt2.toml").read_text()


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (BLUEBERRY, 'kind = "hub"', 'kind = "import"', r'source\.hub belongs to kind "hub"'),
        (BLUEBERRY, 'form = "rows"', 'form = "columns"', r"form|columns"),
        (BLUEBERRY, "shard_rows = 5000", "shard_rows = 0", r"shard_rows must be at least 1"),
        (BLUEBERRY, "row_tokens = 2048", "", r"row_tokens belong to the form rows"),
        (BLUEBERRY, "row_tokens = 2048", "row_tokens = 2048\nseparator = 0", r"rows of row_tokens have no separator"),
        (BLUEBERRY, "spare = 524_288", "", r"planned must say train, val, spare"),
        (BLUEBERRY, "spare = 524_288", "spare = 524_289", r"planned\.spare must be whole rows"),
        (BLUEBERRY, 'tokenizer_revision = "main"', "", r"needs revisions"),
        (SHARDS, "{number}", "000001", r"train, with \{number\} in it"),
        (SHARDS, "first = 1", "first = 104", r"first and last"),
        (SHARDS, "separator = 50256", "", r"ready-made shards need a separator"),
        (SHARDS, "val = 10_485_761", "val = 10_485_761\ntrain-slice = 1", r"only ready-made rows have a train-slice"),
    ],
)
def test_a_wrong_recipe_is_one_line(tmp_path, text, old, new, message):
    assert old in text
    name = text.split('"')[1]
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        load_manifest(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version = 1", "version = 1\nauthor = 'me'", r"tales\.toml, line 4: unknown key author"),
        ("documents = 1000", "documents = 1000\nshuffled = true", r"unknown key splits.*shuffled"),
        ("version = 1", "version = 'one'", r"version"),
        ("vocab_size = 256", "", r"the key vocab_size is missing"),
        ("vocab_size = 256", "vocab_size = 70000", r"vocab_size must lie between"),
        ("separator = 0", "separator = 256", r"separator must be a token"),
        ('file = "tales_val_000000.bin"', 'file = "../../etc/x.bin"', r"is no file name of a shard"),
        ('file = "tales_val_000000.bin"', 'file = "tales_train_000000.bin"', r"two shards have the same file"),
        ("documents = 1000", "documents = 0", r"val is empty"),
        ("spare_000000", "Spare", r"is no file name of a shard"),
        ("splits.spare", "splits.extra", r"splits must be train, val, spare"),
        ('kind = "generator"', 'kind = "magic"', r"source\.kind|kind"),
        ('id = "tales"', 'id = "sales"', r"its id is 'sales' where 'tales' is due"),
        ('id = "tales"', 'id = "tales', r"line 1: not valid TOML"),
    ],
)
def test_a_wrong_manifest_is_one_line_that_names_the_file_and_the_key(tmp_path, old, new, message):
    assert old in TALES
    path = tmp_path / "tales.toml"
    path.write_text(TALES.replace(old, new))
    with pytest.raises(UserError, match=message) as caught:
        load_manifest(path)
    assert "tales.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_is_no_text_is_one_line(tmp_path):
    path = tmp_path / "tales.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        load_manifest(path)


def imported(cache: Path, name: str) -> Manifest:
    manifest = msgspec.structs.replace(load_manifest(DATASETS / "tales.toml"), id=name)
    (cache / name).mkdir(parents=True)
    (cache / name / "manifest.toml").write_text(to_toml(manifest))
    return manifest


def test_official_sets_come_first_and_cannot_be_shadowed(tmp_path):
    imported(tmp_path, "mine")
    shadow = msgspec.structs.replace(imported(tmp_path, "tales"), title="shadow")
    (tmp_path / "tales" / "manifest.toml").write_text(to_toml(shadow))
    assert dataset_ids(DATASETS, tmp_path) == (*OFFICIAL, "mine")
    assert find("mine", DATASETS, tmp_path).id == "mine"
    assert find("tales", DATASETS, tmp_path).title != "shadow"


@pytest.mark.parametrize("content", ["", "\0" * 500, 'id = "mine"\nti'])
def test_a_damaged_manifest_in_the_cache_names_its_folder(tmp_path, content):
    """As a power cut may leave it; the other sets are listed."""
    imported(tmp_path, "mine")
    (tmp_path / "mine" / "manifest.toml").write_text(content)
    (tmp_path / "blueberry-1b").mkdir()
    (tmp_path / "blueberry-1b" / "manifest.toml").write_text(content)
    assert dataset_ids(DATASETS, tmp_path) == (*OFFICIAL, "mine")
    for name, again in (("mine", "import"), ("blueberry-1b", "prepare")):
        line = rf"manifest data/cache/{name}/manifest\.toml.*; delete that folder and {again} it again"
        with pytest.raises(UserError, match=line) as caught:
            find(name, DATASETS, tmp_path)
        assert "\n" not in str(caught.value)
    find("tales", DATASETS, tmp_path)


@pytest.mark.parametrize("name", ["tails", "TALES", "../tales", ""])
def test_an_unknown_data_set_gets_the_nearest_names(tmp_path, name):
    with pytest.raises(UserError, match=r"there is no data set .*tales"):
        find(name, DATASETS, tmp_path)
