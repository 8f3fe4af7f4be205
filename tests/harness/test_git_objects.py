"""Objects of real repositories, among them such as no git would make, and such as would like to run something."""

import contextlib
import subprocess

import pytest

from harness.errors import UserError
from harness.git_objects import open_objects
from harness.git_tree import ObjectError, shown_path
from tests.git_repository import FILE, FOLDER, LINK, PROGRAM, SUBMODULE, Held, Repository, lay_traps

MOST = 1000


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


def changes(repository, old, new, most=MOST):
    with open_objects(repository.root) as objects:
        return {change.path: change for change in objects.changes(old, new, most)}


def refused(repository, old, new, most=MOST):
    with open_objects(repository.root) as objects, pytest.raises(ObjectError) as error:
        objects.changes(old, new, most)
    assert "\n" not in str(error.value)
    return str(error.value)


# ----------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_what_changed_and_what_lies_where(tmp_path, object_format):
    repository = Repository(tmp_path / "repository", f"--object-format={object_format}")
    one = repository.commit({"a/same": "s", "a/edited": "1", "a/gone": "g", "turns": "file"})
    other = repository.commit({"a/same": "s", "a/edited": "2", "b/c/new": "n", "turns/into": "a folder"}, one)
    found = changes(repository, one, other)
    assert set(found) == {"a/edited", "a/gone", "b/c/new", "turns", "turns/into"}
    assert found["a/edited"].old != found["a/edited"].new
    assert found["a/gone"].new is found["turns"].new is None
    assert found["b/c/new"].old is found["turns/into"].old is None
    with open_objects(repository.root) as objects:
        assert objects.merge_bases(one, other) == (one,)
        assert objects.read(objects.find(other, "b/c/new"), 10) == b"n"
        assert objects.files(other, "b", MOST) == {"c/new": objects.find(other, "b/c/new")}
        assert set(objects.names(other, "a")) == {"same", "edited"}
        assert objects.find(other, "b/nothing") is objects.find(other, "a/same/below") is None
        assert objects.names(other, "nowhere") == objects.files(other, "nowhere", MOST) == {}


def test_a_moved_file_is_gone_and_new(repository):
    one = repository.commit({"old": "the very same text\n" * 50})
    other = repository.commit({"new": "the very same text\n" * 50}, one)
    assert set(changes(repository, one, other)) == {"old", "new"}


def test_links_submodules_and_modes_are_told_as_they_are(repository):
    one = repository.commit({"plain": "p"})
    other = repository.commit(
        {"plain": Held(b"p", PROGRAM), "link": Held(b"/etc/passwd", LINK), "module": Held(one.encode(), SUBMODULE)}, one
    )
    found = changes(repository, one, other)
    assert {path: change.new.mode for path, change in found.items()} == {
        "plain": PROGRAM,
        "link": LINK,
        "module": SUBMODULE,
    }
    with open_objects(repository.root) as objects, pytest.raises(ObjectError):
        objects.read(found["module"].new, 1000)  # a commit is no file


def test_names_of_any_bytes(repository):
    one = repository.commit({"a": "a"})
    names = [
        "new\nline",
        "--output=x",
        "tab\t",
        "\u202egnp.py",
        "\x1b[31m",
        b"\xff\xfe".decode(errors="surrogateescape"),
    ]
    other = repository.commit({"a": "a", **dict.fromkeys(names, "n")}, one)
    found = changes(repository, one, other)
    assert set(found) == set(names)
    for name in names:
        assert shown_path(name).isascii()
        assert shown_path(name).isprintable()
    assert len(shown_path("\u202e" * 500)) <= 200


def test_a_large_file_is_not_read(repository):
    one = repository.commit({"large": b"\0" * 1_000_000})
    with open_objects(repository.root) as objects:
        item = objects.find(one, "large")
        with pytest.raises(ObjectError, match="1,000,000 bytes"):
            objects.read(item, 999_999)
        assert len(objects.read(item, 1_000_000)) == 1_000_000


def test_a_linked_work_tree(repository, tmp_path):
    repository.branch("main", repository.commit({"a": "a"}))
    repository.git("worktree", "add", "--quiet", str(tmp_path / "linked"))
    with open_objects(tmp_path / "linked") as objects:
        assert objects.names(objects.commit("HEAD"), "") == {} or objects.find(objects.commit("HEAD"), "a")


# --------------------------------------------------------------------------------------------------------- the hostile


def test_nothing_of_the_repository_is_obeyed(repository, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    one = repository.commit({"a.py": "1", ".gitattributes": "* filter=evil diff=evil merge=evil\n"})
    other = repository.commit({"a.py": "2", ".gitattributes": "* filter=evil diff=evil merge=evil text\n"}, one)
    repository.branch("main", other)
    absent = repository.raw_tree((FILE, b"absent", "1" * 40), (FOLDER, b"folder", "2" * 40))
    partial = repository.commit(absent, one)
    lay_traps(repository, mark)
    for name, value in {
        "GIT_DIR": str(tmp_path),
        "GIT_EXTERNAL_DIFF": str(repository.root / ".git" / "trap.sh"),
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "core.fsmonitor",
        "GIT_CONFIG_VALUE_0": str(repository.root / ".git" / "trap.sh"),
        "GIT_TRACE": str(mark),
        "GIT_ALLOW_PROTOCOL": "ext:file",
    }.items():
        monkeypatch.setenv(name, value)
    with open_objects(repository.root) as objects:
        head = objects.commit("main")
        assert objects.merge_bases(one, head) == (one,)
        assert len(objects.changes(one, head, MOST)) == 2
        assert objects.read(objects.find(head, "a.py"), 10) == b"2"
        with pytest.raises(ObjectError):
            objects.read(objects.find(partial, "absent"), 10)  # a promisor would be asked for it
        with pytest.raises(ObjectError):
            objects.names(partial, "folder")
        with pytest.raises(UserError):
            objects.commit("3" * 40)
    assert not mark.exists(), mark.read_text()


def test_the_traps_would_have_run(repository, tmp_path):
    """The same repository, read as one would: without this the test above could pass for nothing."""
    mark = tmp_path / "mark"
    one = repository.commit({"a.py": "1"})
    repository.branch("main", repository.commit({"a.py": "2"}, one))
    lay_traps(repository, mark)
    for command in (("fetch", "origin"), ("diff", one, "main"), ("status",)):
        mark.unlink(missing_ok=True)
        with contextlib.suppress(subprocess.CalledProcessError):
            repository.git(*command, environment={"GIT_WORK_TREE": str(repository.root)})
        assert mark.exists(), command


def test_replaced_objects_and_grafts_are_not_believed(repository):
    one = repository.commit({"harness": "ours"})
    honest = repository.commit({"harness": "ours", "entry": "mine"}, one)
    evil = repository.commit({"harness": "theirs", "entry": "mine"}, one)
    repository.branch("change", evil)
    repository.git("replace", evil, honest)
    unrelated = repository.commit({"harness": "somebody's"})
    (repository.root / ".git" / "info").mkdir(exist_ok=True)
    (repository.root / ".git" / "info" / "grafts").write_text(f"{unrelated} {one}\n")
    with open_objects(repository.root) as objects:
        assert objects.commit("change") == evil
        assert [change.path for change in objects.changes(one, evil, MOST)] == ["entry", "harness"]
        assert objects.merge_bases(one, unrelated) == ()


def test_objects_of_another_store(repository, tmp_path):
    """A clone with borrowed objects works: what it borrows is found by its hash."""
    repository.branch("main", repository.commit({"a": "a"}))
    repository.git("clone", "--quiet", "--shared", str(repository.root), str(tmp_path / "borrower"))
    with open_objects(tmp_path / "borrower") as objects:
        assert objects.find(objects.commit("origin/main"), "a") is not None


def test_a_tree_that_unfolds_into_billions(repository):
    one = repository.commit({"a": "a"})
    tree = repository.tree({f"f{number}": "x" for number in range(10)})
    for _ in range(10):
        tree = repository.raw_tree(*((FOLDER, b"d%d" % number, tree) for number in range(10)))
    assert "more than 1,000 files" in refused(repository, one, repository.commit(tree, one))


def test_few_files_in_more_folders_than_are_looked_at(repository):
    one = repository.commit({"a": "a"})
    chain = repository.tree({"/".join(["d"] * 30): "x"})
    tree = repository.raw_tree(*((FOLDER, b"%03d" % number, chain) for number in range(900)))
    assert "too many folders" in refused(repository, one, repository.commit(tree, one))


def test_a_hundred_thousand_files(repository):
    one = repository.commit({"a": "a"})
    blob = repository.blob(b"x")
    tree = repository.raw_tree(*((FILE, b"%06d" % number, blob) for number in range(100_000)))
    assert "more than 1,000 files" in refused(repository, one, repository.commit(tree, one))


def test_folders_in_folders_in_folders(repository):
    one = repository.commit({"a": "a"})
    other = repository.commit({"/".join(["d"] * 100): "deep"}, one)
    assert "nested" in refused(repository, one, other)


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ([(FILE, b"a"), (FILE, b"a")], "'a' twice"),
        ([(FILE, b"a"), (FOLDER, b"a")], "'a' twice"),
        ([(FILE, b"a"), (FILE, b"a.b"), (FOLDER, b"a")], "'a' twice"),
        ([(FILE, b"b"), (FILE, b"a")], "'a' out of git's order"),
        ([(FOLDER, b"a"), (FILE, b"a.b")], "'a.b' out of git's order"),
        ([(FILE, b"speedrun/submissions/me/config.py")], "no folder can hold"),
        ([(FILE, b"")], "no folder can hold"),
        ([(FOLDER, b".")], "no folder can hold"),
        ([(FOLDER, b"..")], "no folder can hold"),
        ([(FOLDER, b".Git")], "no folder can hold"),
        ([("40755", b"a")], "the mode '40755'"),
        ([("040000", b"a")], "the mode '040000'"),
        ([("100664", b"a")], "the mode '100664'"),
        ([("0100644", b"a")], "the mode '0100644'"),
    ],
)
def test_trees_that_git_would_not_have_written(repository, items, why):
    one = repository.commit({"x": "x"})
    blob, folder = repository.blob(b"x"), repository.tree({"x": "x"})
    tree = repository.raw_tree(
        *((mode, name, folder if mode.startswith(("4", "04")) else blob) for mode, name in items)
    )
    assert why in refused(repository, one, repository.commit(tree, one))


def test_names_without_an_object_and_folders_without_a_file(repository):
    one = repository.commit({"x": "x"})
    null = repository.raw_tree((FILE, b"a", "0" * 40))
    assert "'a' without an object" in refused(repository, one, repository.commit(null, one))
    empty = repository.raw_tree((FOLDER, b"a", repository.raw_tree()))
    assert "a is an empty folder" in refused(repository, one, repository.commit(empty, one))
    nothing = repository.commit(repository.raw_tree(), one)
    assert set(changes(repository, one, nothing)) == {"x"}


def test_the_order_of_git_itself(repository):
    one = repository.commit({"x": "x"})
    names = ["a.b", "a/b", "a0", "a-b/c", "a-b.c", "b", "B/c", "\u00e4", "\U0001f600/x", "a b"]
    assert set(changes(repository, one, repository.commit({"x": "x", **dict.fromkeys(names, "n")}, one))) == set(names)


def test_a_tree_of_rubbish(repository):
    one = repository.commit({"x": "x"})
    for number, data in enumerate((b"100644 cut off", b"no mode at all\0", b"100644 short\0abc")):
        tree = repository.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data)
        inner = repository.raw_tree((FOLDER, b"d%d" % number, tree))
        assert "no tree that git would have made" in refused(repository, one, repository.commit(inner, one))


# ---------------------------------------------------------------------------------------------------------------- refs


@pytest.mark.parametrize(
    "ref",
    [
        "--output=x",
        "-",
        "",
        "HEAD@{upstream}",
        "@{-1}",
        ":/first",
        "main:a",
        "HEAD^{/first}",
        "a..b",
        "a b",
        "a\n",
        "*",
    ],
)
def test_names_that_are_more_than_names(repository, tmp_path, ref):
    repository.branch("main", repository.commit({"a": "a"}))
    with open_objects(repository.root) as objects, pytest.raises(UserError, match="plain name") as error:
        objects.commit(ref)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("x"))


def test_names_that_name_nothing_here(repository):
    commit = repository.commit({"a": "a"})
    repository.branch("main", commit)
    repository.git("update-ref", "refs/tags/a-file", repository.blob(b"a"))
    with open_objects(repository.root) as objects:
        for ref in ("origin/main", "0" * 40, commit[:-1] + ("0" if commit[-1] != "0" else "1"), "a-file", "main~4"):
            with pytest.raises(UserError, match="git fetch"):
                objects.commit(ref)


def test_names_that_name_a_commit(repository):
    one = repository.commit({"a": "1"})
    other = repository.commit({"a": "2"}, one)
    repository.branch("fix/a@2.1", other)
    repository.git("tag", "-a", "-m", "x", "v1", other)
    with open_objects(repository.root) as objects:
        for ref in ("fix/a@2.1", "refs/heads/fix/a@2.1", "v1", other, other[:10]):
            assert objects.commit(ref) == other
        assert objects.commit("v1~1") == objects.commit("v1^") == one


def test_names_that_mean_two_things(repository):
    """A tag comes with a fetch, and git prefers it to the branch that was meant."""
    one = repository.commit({"a": "ours"})
    evil = repository.commit({"a": "theirs"}, one)
    short = one[:7]
    for ref in ("heads/main", "remotes/origin/main", "remotes/up/HEAD"):
        repository.git("update-ref", f"refs/{ref}", one)
    repository.git("symbolic-ref", "HEAD", "refs/heads/main")
    with open_objects(repository.root) as objects:
        for ref in ("main", "heads/main", "origin/main", "up", "HEAD", short, one):
            assert objects.commit(ref) == one
    for name in ("main", "heads/main", "refs/heads/main", "origin/main", "up", "HEAD", short, one):
        repository.git("update-ref", f"refs/tags/{name}", evil)
    with open_objects(repository.root) as objects:
        for ref in ("main", "main~1", "heads/main", "origin/main", "up", "HEAD", short, f"{short}~1"):
            with pytest.raises(UserError, match=r"may mean .*refs/tags/.* whole name") as error:
                objects.commit(ref)
            assert "\n" not in str(error.value)
        for ref in ("refs/heads/main", "refs/remotes/origin/main", one):
            assert objects.commit(ref) == one
        assert objects.commit("refs/tags/main~1") == one
    repository.git("update-ref", "-d", "refs/heads/main")
    with open_objects(repository.root) as objects, pytest.raises(UserError, match="names nothing"):
        objects.commit("refs/heads/main")  # there is a tag refs/tags/refs/heads/main


def test_unrelated_and_crosswise_histories(repository):
    one, other = repository.commit({"a": "1"}), repository.commit({"b": "2"})
    left, right = repository.commit({"a": "1", "l": "1"}, one), repository.commit({"a": "1", "r": "1"}, one)
    first = repository.commit({"a": "1", "l": "1", "r": "1"}, left, right)
    second = repository.commit({"a": "1", "l": "1", "r": "1", "s": "1"}, right, left)
    with open_objects(repository.root) as objects:
        assert objects.merge_bases(one, other) == ()
        assert set(objects.merge_bases(first, second)) == {left, right}


def test_a_history_with_a_hole(repository):
    one = repository.commit({"a": "1"})
    lost = repository.commit({"a": "2"}, one)
    other = repository.commit({"a": "3"}, lost)
    (repository.root / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    with open_objects(repository.root) as objects, pytest.raises(UserError, match="git fetch"):
        objects.merge_bases(one, other)


def test_clones_without_history_and_folders_without_git(repository, tmp_path):
    one = repository.commit({"a": "1"})
    repository.branch("main", repository.commit({"a": "2"}, one))
    repository.git("clone", "--quiet", "--depth=1", f"file://{repository.root}", str(tmp_path / "shallow"))
    with pytest.raises(UserError, match="fetch-depth: 0"), open_objects(tmp_path / "shallow"):
        pass
    (repository.root / "below").mkdir()
    for place in (tmp_path, repository.root / "below", tmp_path / "nowhere"):
        with pytest.raises(UserError, match="top folder of a repository"), open_objects(place):
            pass


def test_no_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UserError, match="git is not installed"), open_objects(repository.root):
        pass
