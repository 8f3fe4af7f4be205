"""Manifests: what is loaded makes sense as a whole, and what does not is named."""

from pathlib import Path

import msgspec
import pytest

from data import manifest as manifests
from data.manifest import Manifest, find, list_datasets, load_manifest, to_toml
from harness.errors import UserError

DATASETS = Path(manifests.__file__).parent / "datasets"
OFFICIAL = sorted(path.stem for path in DATASETS.glob("*.toml"))
TALES = (DATASETS / "tales.toml").read_text()


@pytest.mark.parametrize("dataset", OFFICIAL)
def test_official_manifests_are_whole_and_pinned(dataset):
    manifest = load_manifest(DATASETS / f"{dataset}.toml")
    assert manifest.pinned
    assert manifest.title


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
    assert [manifest.id for manifest in list_datasets(DATASETS, tmp_path)] == [*OFFICIAL, "mine"]
    assert find("mine", DATASETS, tmp_path).id == "mine"
    assert find("tales", DATASETS, tmp_path).title != "shadow"


@pytest.mark.parametrize("name", ["tails", "TALES", "../tales", ""])
def test_an_unknown_data_set_gets_the_nearest_names(tmp_path, name):
    with pytest.raises(UserError, match=r"there is no data set .*tales"):
        find(name, DATASETS, tmp_path)
