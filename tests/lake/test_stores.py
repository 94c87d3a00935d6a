"""What a lake may rely on: single objects alone. Writers in other processes, writers that are killed, listings that lack what is new."""

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

root, day, writer, commits, killed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5].split()
for last in killed:
    if not (child := os.fork()):
        write(root, last, writer, commits, int(last))
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
if not killed:
    write(root, day, writer, commits)
"""
PUTS = ("the first file", "the second file", "the manifest", "what it is found by", "the partition's pointer")


@pytest.fixture(params=["s3", "gs"])
def bucket(request, object_stores) -> str:
    return f"{request.param}://{BUCKET}/{uuid.uuid4().hex}"


def writer(
    root: str, *, day: str = DAY["day"], number: int = 1, commits: int = 1, killed: str = ""
) -> subprocess.Popen[str]:
    """Another process, which commits batches of 100 rows. `killed`: for each of these days it forks one that dies by SIGKILL before it
    puts its first, second, ... file."""
    command = [sys.executable, "-c", WRITER, root, day, str(number), str(commits), killed]
    return subprocess.Popen(
        command, cwd=stores.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> list[str]:
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return out.split()


def batch(lake: Lake, number: int = 7) -> Manifest:
    draft = lake.draft(TOKENS.name, DAY, (str(number),))
    rows = {"issue_id": [number], "repo": ["a/b"], "trainable": [True], "body": [["one"]], "title": [["two"]]}
    draft.write_table("part-00000.parquet", pa.table(rows), TOKENS)
    return draft.commit()


def test_what_another_process_writes_and_deletes_is_seen_at_once(root, lake):
    assert lake.current(TOKENS.name, DAY) is None
    assert lake.days(TOKENS.name) == []
    (batch_id,) = ended(writer(root))
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
    assert lake.days(TOKENS.name) == [] or "://" not in root  # an empty folder stays


def test_a_writer_that_is_killed_leaves_what_was_current(root, lake):
    old = {day: lake.draft(TOKENS.name, {"day": day}).commit() for day in "12345"}
    ended(writer(root, killed="1 2 3 4 5"))
    assert {PUTS[int(day) - 1]: lake.current(TOKENS.name, {"day": day}) for day in old} == dict(
        zip(PUTS, old.values(), strict=True)
    )
    # of each, what was made is whole or does not exist
    found = [lake.find(TOKENS.name, {"day": day}, ("1.0",), {}) for day in old]
    assert [None if manifest is None else lake.read(manifest, TOKENS).num_rows for manifest in found] == [
        None,
        None,
        None,
        None,
        100,
    ]
    # and the same again goes on
    (again,) = ended(writer(root, day="3"))
    assert lake.current(TOKENS.name, {"day": "3"}).batch_id == again


def test_of_writers_at_the_same_time_the_last_one_wins_and_readers_see_whole_batches(root, lake):
    first = batch(lake)
    writers = [writer(root, number=number, commits=15) for number in (1, 2)]
    seen = {}
    while any(process.poll() is None for process in writers):
        manifest = lake.current(TOKENS.name, DAY)
        seen[manifest.batch_id] = lake.read(manifest, TOKENS).column("issue_id").to_pylist()
    made = [ended(process) for process in writers]
    numbers = {
        first.batch_id: [7],
        **{batch_id: [number] * 100 for number, ids in zip((1, 2), made, strict=True) for batch_id in ids},
    }
    assert seen == {batch_id: numbers[batch_id] for batch_id in seen}
    assert lake.current(TOKENS.name, DAY).batch_id in {ids[-1] for ids in made}
    assert lake.read(first, TOKENS).num_rows == 1


def test_a_listing_that_lacks_everything_new_hides_no_batch(bucket, object_stores):
    lake = Lake(bucket)
    with object_stores.hiding("."):
        old, new = batch(lake, 1), batch(lake, 2)
        assert lake.names("") == []
        assert lake.current(TOKENS.name, DAY) == new
        assert lake.find(TOKENS.name, DAY, ("1",), {}) == old
        assert lake.reuse(TOKENS.name, DAY, ("1",), {}) == old
        assert lake.current(TOKENS.name, DAY) == old
        assert lake.read(new, TOKENS).num_rows == 1
        with lake.local_copy(old) as folder:
            assert os.listdir(folder) == ["part-00000.parquet"]
        lake.delete(f"{old.folder}/manifest.json")
        assert lake.find(TOKENS.name, DAY, ("1",), {}) is None


def test_a_listing_that_lacks_a_folders_files_makes_it_no_older(bucket, object_stores):
    lake = Lake(bucket)
    manifest = batch(lake)
    with object_stores.hiding("parquet|manifest"):
        assert manifest.batch_id in lake.names("tokens_v1/day=2015-01-01")
        assert lake.modified(manifest.folder) is None


def test_a_commit_is_single_objects_written_one_after_another(bucket, object_stores):
    lake = Lake(bucket)
    requests = object_stores.proxies[bucket.partition(":")[0]].requests
    before = len(requests)
    batch(lake)
    assert [request.partition(" ")[0] for request in requests[before:]] == {
        "s3": ["PUT"] * 4,
        "gs": ["POST"] * 4,
    }[bucket[:2]]
    assert object_stores.copies() == []


@pytest.mark.parametrize(
    "do", [lambda lake: lake.get("x"), lambda lake: lake.put("x", b""), lambda lake: lake.names("x")]
)
def test_a_bucket_that_is_missing_is_no_empty_lake(bucket, do):
    root = bucket.replace(BUCKET, "nowhere")
    with pytest.raises(
        LakeError,
        match=rf"^{root}/x cannot be (read|written|listed): there is no bucket nowhere\.\nMake the bucket",
    ):
        do(Lake(root))


def test_an_address_that_nothing_opens_is_refused():
    with pytest.raises(
        LakeError, match=r"^ftps://host/lake is no folder and no bucket: .*\nSet lake.root to a folder, s3://"
    ):
        Lake("ftps://host/lake")


def titler(root: str, *arguments: str, **environment: str) -> tuple[int, str]:
    """`titler` as a process of its own: its exit code, and what it says on standard error."""
    kept = {name: value for name, value in os.environ.items() if name not in environment}
    given = {
        "TITLER_LAKE__ROOT": root,
        "TITLER_WAREHOUSE__PATH": "/nowhere/warehouse.duckdb",
        "TITLER_TRACKING__URI": "sqlite://",
    }
    environment = {
        **kept,
        **stores.NO_OTHERS,
        **given,
        **{name: value for name, value in environment.items() if value},
    }
    done = subprocess.run(
        [Path(sys.executable).with_name("titler"), *arguments],
        env=environment,
        cwd=stores.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_no_credentials_are_one_line(object_stores):
    code, said = titler(f"s3://{BUCKET}/lake", "status", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert code == 1
    assert said.splitlines()[0].startswith(f"titler: s3://{BUCKET}/lake")
    assert "Unable to locate credentials.\n" in said
    assert "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said.splitlines()[-1]
    assert "Traceback" not in said


def test_a_key_that_is_refused_is_one_line(object_stores):
    code, said = titler(f"s3://{BUCKET}/lake", "status", AWS_SECRET_ACCESS_KEY="another")
    assert code == 1
    assert f"s3://{BUCKET}/lake" in said.splitlines()[0]
    assert "the store refuses it" in said
    assert "Traceback" not in said


def test_a_store_that_is_gone_is_one_line(object_stores):
    code, said = titler(f"s3://{BUCKET}/lake", "status", AWS_ENDPOINT_URL="http://127.0.0.1:1")
    assert code == 1
    assert said.splitlines()[0].startswith(f"titler: s3://{BUCKET}/lake")
    assert "its store does not answer" in said.splitlines()[0]
    assert "Traceback" not in said
