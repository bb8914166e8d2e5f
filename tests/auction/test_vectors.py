"""Every vector holds, whatever the order of replies, seatbids and bids."""

import json
import random

import pytest

from auction import vector_files

VECTORS = [pytest.param(path, id=path.stem) for path in vector_files.files()]


@pytest.mark.parametrize("path", VECTORS)
def test_the_auction_comes_to_what_the_vector_says(path):
    vector = vector_files.read(path)
    assert vector.found() == vector.expected


@pytest.mark.parametrize("path", VECTORS)
def test_the_order_of_replies_seatbids_and_bids_is_of_no_account(path):
    vector = vector_files.read(path)
    for seed in range(5):
        assert vector.shuffled(random.Random(seed)).found() == vector.expected


def test_the_index_lists_every_vector_with_what_it_proves():
    index = json.loads((vector_files.FOLDER / "index.json").read_text(encoding="utf-8"))
    listed = {entry["file"]: entry for entry in index["vectors"]}
    files = {path.name: path for path in vector_files.FOLDER.glob("*.json")}
    del files["index.json"]
    assert listed.keys() == files.keys()
    for name, path in files.items():
        vector = json.loads(path.read_text(encoding="utf-8"))
        told = {key: vector[key] for key in ("name", "kind", "about", "proves")}
        assert listed[name] == {**told, "file": name}
        assert name == f"{vector['name']}.json"


def test_there_are_vectors_enough():
    assert len(list(vector_files.FOLDER.glob("*.json"))) - 1 >= 60


def test_more_folders_of_vectors_can_be_named(tmp_path, monkeypatch):
    extra = tmp_path / "extra.json"
    extra.write_text("{}", encoding="utf-8")
    monkeypatch.setenv("XSP_AUCTION_VECTORS", str(tmp_path))
    assert extra in list(vector_files.files())
