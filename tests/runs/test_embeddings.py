import numpy as np

from patchrl.config import resolve
from patchrl.runs.embeddings import embedding_map, read_embeddings, write_embeddings
from patchrl.runs.folder import RunFolder


def test_embeddings_written_by_the_stages_become_one_map(runs_dir):
    folder = RunFolder.create(runs_dir, resolve({}))
    assert embedding_map(folder) is None
    vectors_ND = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
    ids = [f"e{i}" for i in range(20)]
    write_embeddings(folder.embeddings("scan"), ids, {"expert": vectors_ND + 3, "own": vectors_ND})
    write_embeddings(folder.embeddings("rl"), ids[:9], {"rl": vectors_ND[:9]})
    drawn = embedding_map(folder)
    assert {name: len(points) for name, points in drawn["points"].items()} == {"expert": 20, "own": 20, "rl": 9}
    assert drawn["ids"]["rl"] == ids[:9]


def test_a_damaged_file_is_left_out(runs_dir):
    folder = RunFolder.create(runs_dir, resolve({}))
    folder.embeddings("scan").parent.mkdir()
    folder.embeddings("scan").write_bytes(b"no archive")
    assert read_embeddings(folder, ("rl",)) == {}


def test_a_text_without_an_embedding_is_left_out_and_the_map_is_drawn(runs_dir):
    folder = RunFolder.create(runs_dir, resolve({}))
    vectors_ND = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    vectors_ND[2] = np.nan
    write_embeddings(folder.embeddings("scan"), list("abcdef"), {"expert": vectors_ND})
    assert embedding_map(folder)["ids"] == {"expert": list("abdef")}
