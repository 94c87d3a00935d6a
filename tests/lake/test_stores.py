"""A lake stays correct if other processes write to it, if writers are killed, and if listings lack new
objects."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.contracts import TOKENS
from pipeline.errors import LakeError
from pipeline.lake.batches import Lake
from pipeline.lake.manifest import Manifest
from tests.support import stores
from tests.support.stores import BUCKET

DAY = {"day": "2015-01-01"}
WRITER = """
import os, signal, sys
import pyarrow as pa
from pipeline.contracts import TOKENS
from pipeline.lake.batches import Lake

def write(root, day, writer, commits, last=0):
    lake, puts, put = Lake(root), 0, Lake.put

    def counted(lake, relative, data):
        nonlocal puts
        puts += 1
        if puts == last:
            os.kill(os.getpid(), signal.SIGKILL)
        put(lake, relative, data)

    Lake.put = counted
    for number in range(commits):
        draft = lake.draft(TOKENS.name, {"day": day}, (f"{writer}.{number}",))
        for part in range(2):
            row = {"issue_id": writer, "repo": "a/b", "trainable": True, "body": ["one"], "title": ["two"]}
            draft.write_table(f"part-{part:05}.parquet", pa.Table.from_pylist([row] * 50), TOKENS)
        print(draft.commit({"number": number}).batch_id)

root, day, writer, commits = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
killed = sys.argv[5].split()
for last in killed:
    if not (child := os.fork()):
        write(root, last, writer, commits, int(last))
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
if not killed:
    write(root, day, writer, commits)
"""
PUTS = (
    "the record of the draft",
    "the first file",
    "the second file",
    "the manifest",
    "the pointer of the key",
    "the mark of the day",
    "the current pointer",
)
"""The files that a commit of WRITER writes, in order."""


@pytest.fixture(params=["s3", "gs"])
def bucket(request, object_stores) -> str:
    """Returns the address of an empty lake in each kind of bucket."""
    return f"{request.param}://{BUCKET}/{uuid.uuid4().hex}"


def start_writer(
    root: str, *, day: str = DAY["day"], number: int = 1, commits: int = 1, killed: str = ""
) -> subprocess.Popen[str]:
    """Starts a process that commits `commits` batches of 100 rows each to the partition `day`.

    `killed` is a list of numbers, such as "1 2". For each number N, the process instead forks a writer of the
    partition day=N, and that writer kills itself with SIGKILL just before it writes its N-th file.
    """
    command = [sys.executable, "-c", WRITER, root, day, str(number), str(commits), killed]
    return subprocess.Popen(
        command, cwd=stores.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(writer: subprocess.Popen[str]) -> list[str]:
    """Waits until a writer has ended; returns the ids of the batches that it committed."""
    output, errors = writer.communicate()
    assert writer.returncode == 0, errors
    return output.split()


def commit_batch(lake: Lake, number: int = 7) -> Manifest:
    """Commits a batch of tokens_v1 whose only row has the issue id `number`."""
    draft = lake.draft(TOKENS.name, DAY, (str(number),))
    rows = {"issue_id": [number], "repo": ["a/b"], "trainable": [True], "body": [["one"]], "title": [["two"]]}
    draft.write_table("part-00000.parquet", pa.table(rows), TOKENS)
    return draft.commit()


def test_writes_and_deletes_of_another_process_are_visible_at_once(root, lake):
    assert lake.current(TOKENS.name, DAY) is None
    assert lake.days(TOKENS.name) == []
    (batch_id,) = wait_for(start_writer(root))
    assert lake.current(TOKENS.name, DAY).batch_id == batch_id
    assert lake.days(TOKENS.name) == ["2015-01-01"]
    command = [
        sys.executable,
        "-c",
        "import sys; from pipeline.lake.batches import Lake; Lake(sys.argv[1]).delete_folder('tokens_v1')",
        root,
    ]
    subprocess.run(command, cwd=stores.ROOT, check=True)
    assert lake.current(TOKENS.name, DAY) is None
    assert lake.days(TOKENS.name) == [] or "://" not in root  # a local folder remains, empty


def test_a_killed_writer_leaves_the_current_batch_current(root, lake):
    old = {day: lake.draft(TOKENS.name, {"day": day}).commit() for day in "1234567"}
    wait_for(start_writer(root, killed="1 2 3 4 5 6 7"))
    assert {PUTS[int(day) - 1]: lake.current(TOKENS.name, {"day": day}) for day in old} == dict(
        zip(PUTS, old.values(), strict=True)
    )
    # Each new batch is either complete or does not exist.
    new = [lake.find(TOKENS.name, {"day": day}, ("1.0",), {}) for day in old]
    rows = [None if manifest is None else lake.read(manifest, TOKENS).num_rows for manifest in new]
    assert rows == [None, None, None, None, None, 100, 100]
    # Running the same command again succeeds.
    (batch_id,) = wait_for(start_writer(root, day="3"))
    assert lake.current(TOKENS.name, {"day": "3"}).batch_id == batch_id


def test_of_two_concurrent_writers_the_last_one_wins_and_readers_see_complete_batches(root, lake):
    first = commit_batch(lake)
    writers = [start_writer(root, number=number, commits=15) for number in (1, 2)]
    seen = {}
    while any(process.poll() is None for process in writers):
        manifest = lake.current(TOKENS.name, DAY)
        seen[manifest.batch_id] = lake.read(manifest, TOKENS).column("issue_id").to_pylist()
    committed = {number: wait_for(process) for number, process in zip((1, 2), writers, strict=True)}
    issue_ids = {first.batch_id: [7]}
    for number, batch_ids in committed.items():
        issue_ids |= dict.fromkeys(batch_ids, [number] * 100)
    assert seen == {batch_id: issue_ids[batch_id] for batch_id in seen}
    assert lake.current(TOKENS.name, DAY).batch_id in {batch_ids[-1] for batch_ids in committed.values()}
    assert lake.read(first, TOKENS).num_rows == 1


def test_batches_are_found_even_if_the_listing_lacks_them(bucket, object_stores):
    lake = Lake(bucket)
    with object_stores.hiding("."):
        old, new = commit_batch(lake, 1), commit_batch(lake, 2)
        assert lake.names("") == []
        assert lake.current(TOKENS.name, DAY) == new
        assert lake.find(TOKENS.name, DAY, ("1",), {}) == old
        assert lake.reuse(TOKENS.name, DAY, ("1",), {}) == old
        assert lake.current(TOKENS.name, DAY) == old
        assert lake.read(new, TOKENS).num_rows == 1
        folder = lake.local_copy(old)
        assert os.listdir(folder) == ["part-00000.parquet"]
        lake.delete(f"{old.folder}/manifest.json")
        assert lake.find(TOKENS.name, DAY, ("1",), {}) is None


def test_a_folder_whose_files_are_not_listed_yet_has_no_modification_time(bucket, object_stores):
    lake = Lake(bucket)
    manifest = commit_batch(lake)
    with object_stores.hiding("parquet|manifest"):
        assert manifest.batch_id in lake.names("tokens_v1/day=2015-01-01")
        assert lake.modified(manifest.folder) is None


def test_a_commit_writes_the_record_the_file_the_manifest_two_pointers_and_a_mark_and_copies_none(
    bucket, object_stores
):
    lake = Lake(bucket)
    requests = object_stores.proxies[bucket.partition(":")[0]].requests
    before = len(requests)
    commit_batch(lake)
    assert [request.partition(" ")[0] for request in requests[before:]] == {
        "s3": ["PUT"] * 6,
        "gs": ["POST"] * 6,
    }[bucket[:2]]
    assert object_stores.copies() == []


@pytest.mark.parametrize(
    "use", [lambda lake: lake.get("x"), lambda lake: lake.put("x", b""), lambda lake: lake.names("x")]
)
def test_a_missing_bucket_is_an_error_and_not_an_empty_lake(bucket, use):
    root = bucket.replace(BUCKET, "nowhere")
    message = rf"^{root}/x cannot be (read|written|listed): the bucket nowhere does not exist\.\nCreate the"
    with pytest.raises(LakeError, match=message):
        use(Lake(root))


def test_an_address_with_an_unsupported_protocol_is_refused():
    message = (
        r"^The lake ftps://host/lake is neither a folder nor a bucket .*\nSet lake.root to a folder, s3://"
    )
    with pytest.raises(LakeError, match=message):
        Lake("ftps://host/lake")


def titler(root: str, *arguments: str, **variables: str) -> tuple[int, str]:
    """Runs `titler`; returns its exit code and standard error. `variables` are added to the environment; an
    empty one is removed instead."""
    environment = {
        **os.environ,
        **stores.NO_OTHERS,
        "TITLER_LAKE__ROOT": root,
        "TITLER_WAREHOUSE__PATH": "/nowhere/warehouse.duckdb",
        "TITLER_TRACKING__URI": "sqlite://",
        **variables,
    }
    process = subprocess.run(
        [Path(sys.executable).with_name("titler"), *arguments],
        env={name: value for name, value in environment.items() if variables.get(name) != ""},
        cwd=stores.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return process.returncode, process.stderr


def test_missing_credentials_cause_one_clear_error(object_stores):
    code, errors = titler(f"s3://{BUCKET}/lake", "status", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert code == 1
    assert errors.splitlines()[0].startswith(f"titler: s3://{BUCKET}/lake")
    assert "Unable to locate credentials.\n" in errors
    assert "variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_refused_credentials_cause_one_clear_error(object_stores):
    code, errors = titler(f"s3://{BUCKET}/lake", "status", AWS_SECRET_ACCESS_KEY="another")
    assert code == 1
    assert f"s3://{BUCKET}/lake" in errors.splitlines()[0]
    assert "the object store refuses access" in errors
    assert "Traceback" not in errors


def test_an_object_store_that_does_not_answer_causes_one_clear_error(object_stores):
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}  # no wait for a second
    code, errors = titler(f"s3://{BUCKET}/lake", "status", **nowhere)
    assert code == 1
    assert errors.splitlines()[0].startswith(f"titler: s3://{BUCKET}/lake")
    assert "the object store does not answer" in errors.splitlines()[0]
    assert "Traceback" not in errors
