"""`xsp replay`: recorded auctions run again, as they were and by other rules."""

import asyncio
import itertools
import json
import os
import sys
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from record.traffic import RULES, first_price, recorded, records
from xsp_server.cli import group
from xsp_server.errors import ConfigError
from xsp_server.service.record_file import RecordWriter

XSP = Path(sys.executable).parent / "xsp"


@pytest.fixture
def xsp():
    runner = CliRunner()

    def run(*arguments, **kwargs):
        return runner.invoke(group, map(str, arguments), catch_exceptions=False, **kwargs)

    return run


@pytest.fixture
def file(tmp_path):
    """Three auctions at first price: a wins with 3, 6 and 9, b bids 2, 5 and 8."""
    return write(
        tmp_path / "auctions.rec",
        [recorded(first_price(n, n - 1), f"auction-{n}") for n in (3, 6, 9)],
    )


@pytest.fixture
def rules(tmp_path):
    def write_rules(text):
        path = tmp_path / "new.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_rules


def write(path, made):
    writer = RecordWriter(path, 10**9, 1)
    writer.open()
    with closing(writer):
        for each in made:
            writer.append(each)
    return path


async def replay(file, hash_seed):
    """In a process of its own."""
    process = await asyncio.create_subprocess_exec(
        XSP,
        "replay",
        file,
        "--json",
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(process.communicate(), 120)
    assert errors == b""
    return process.returncode, [json.loads(line) for line in output.splitlines()]


async def test_a_thousand_auctions_replay_in_other_processes_and_under_other_hash_seeds(tmp_path):
    file = write(tmp_path / "auctions.rec", records(1000))
    for found in await asyncio.gather(replay(file, "1"), replay(file, "4242")):
        assert found == (0, [{"replayed": 1000, "different": 0, "failed": 0}])


def test_auctions_that_replay_to_the_same_are_one_line(xsp, file):
    result = xsp("replay", file, file)
    assert result.exit_code == 0
    assert result.output == "6 auctions replayed, 0 different\n"


def test_standard_input_is_read_too(xsp, file):
    result = xsp("replay", "-", input=file.read_bytes())
    assert result.output == "3 auctions replayed, 0 different\n"


@pytest.fixture
def differing(tmp_path):
    made = recorded(first_price(3, 2), "auction-3")
    made.bid_response.seatbid[0].bid[0].price = 4
    return write(tmp_path / "differing.rec", [recorded(first_price(1), "good"), made])


def test_differences_are_told_with_the_auction_and_fail(xsp, differing):
    result = xsp("replay", differing)
    assert result.exit_code == 1
    assert result.output == (
        f"auction auction-3 ({differing}): 1 difference\n"
        "  bid_response.seatbid[0].bid[0].price: 4.0, replayed 3.0\n"
        "2 auctions replayed, 1 different\n"
    )


def test_differences_are_a_json_object_a_line(xsp, differing):
    result = xsp("replay", differing, "--json")
    assert result.exit_code == 1
    auction, summary = map(json.loads, result.output.splitlines())
    assert auction == {
        "file": str(differing),
        "auction_id": "auction-3",
        "differences": [
            {
                "path": "bid_response.seatbid[0].bid[0].price",
                "recorded": "4.0",
                "replayed": "3.0",
            }
        ],
    }
    assert summary == {"replayed": 2, "different": 1, "failed": 0}


def test_many_differences_of_one_auction_are_cut(xsp, tmp_path):
    made = recorded(first_price(3, 2), "auction-3")
    made.bid_response.seatbid[0].bid[0].cat.extend(map(str, range(30)))
    result = xsp("replay", write(tmp_path / "f", [made]))
    assert "auction auction-3" in result.output
    assert "  and 10 more\n" in result.output


def test_a_file_that_ends_within_a_record_is_told_and_the_others_are_read(xsp, file, tmp_path):
    torn = tmp_path / "torn.rec"
    torn.write_bytes(file.read_bytes()[:-10])
    result = xsp("replay", torn, file)
    assert result.exit_code == 1
    assert result.stdout == "5 auctions replayed, 0 different, 1 failure\n"
    assert result.stderr.startswith(f"xsp: {torn}: record 3 at byte ")
    assert "the file ends within it" in result.stderr


def test_a_record_that_cannot_be_replayed_is_told_and_the_next_is_run(xsp, tmp_path):
    broken = recorded(first_price(1), "broken")
    broken.rules.text = '{"rules":{}}'
    made = [broken, recorded(first_price(1, rules=RULES[1]), "good")]
    result = xsp("replay", write(tmp_path / "f", made), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"replayed": 1, "different": 0, "failed": 1}
    assert "auction broken can't be replayed: rules.digest: got" in result.stderr


HALF = 'bid_adjustments = { a = "0.5" }\n'


@pytest.mark.parametrize("text", [HALF, f"[rules]\n{HALF}", f"[server]\n[rules]\n{HALF}"])
def test_other_rules_show_revenue_fill_and_fates(xsp, file, rules, text):
    result = xsp("replay", file, "--rules", rules(text))
    assert result.exit_code == 0
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "revenue, CPM in USD 18.000000 15.000000 -3.000000" in lines
    assert "imps filled 3 3 +0" in lines
    assert "fill, % 100.00 100.00 +0.00" in lines
    assert "won -> lost_price 3" in lines
    assert "lost_price -> won 3" in lines
    assert "as before, at the same price 0" in lines
    [change] = [line for line in lines if line.startswith("auction-3 ")]
    assert change == (
        "auction-3 3.000000 2.000000 -1.000000 a/1: won -> lost_price, b/1: lost_price -> won"
    )


def test_other_rules_as_json(xsp, file, rules):
    path = rules('require_adomain = true\nbid_adjustments = { a = "0.1" }\n')
    result = xsp("replay", file, "--rules", path, "--json")
    assert result.exit_code == 0
    told = json.loads(result.output)
    greatest = told.pop("greatest")
    assert told == {
        "rules": str(path),
        "replayed": 3,
        "different": 0,
        "failed": 0,
        "changed": 3,
        "revenue": {
            "USD": {"before": "18.000000", "after": "0.000000", "difference": "-18.000000"}
        },
        "imps": 3,
        "filled": {"before": 3, "after": 0, "difference": -3},
        "won": {"before": 3, "after": 0, "difference": -3},
        "repriced": 0,
        "fates": [
            {"before": "won", "after": "missing_adomain", "bids": 3},
            {"before": "lost_price", "after": "missing_adomain", "bids": 3},
        ],
    }
    assert [change["auction_id"] for change in greatest] == ["auction-9", "auction-6", "auction-3"]
    assert greatest[0]["difference"] == "-9.000000"
    assert greatest[0]["fates"][1] == {
        "bid": "b/1",
        "imp": "1",
        "before": "lost_price",
        "after": "missing_adomain",
    }


def test_rules_that_change_nothing_show_no_auction(xsp, file, rules):
    output = xsp("replay", file, "--rules", rules("")).output
    assert "3 auctions, 0 come out otherwise" in output
    assert "greatest changes" not in output


def test_what_could_not_be_read_is_not_in_the_sums(xsp, tmp_path, file, differing, rules):
    torn = tmp_path / "torn.rec"
    torn.write_bytes(file.read_bytes()[:-10])
    result = xsp("replay", torn, differing, "--rules", rules(HALF))
    assert result.exit_code == 1
    assert "1 don't replay to the answer that they recorded" in result.stdout
    assert "1 failure: what couldn't be read is not in the sums" in result.stdout
    assert "the file ends within it" in result.stderr


def test_many_changed_fates_of_an_auction_are_cut(xsp, tmp_path, rules):
    file = write(tmp_path / "f", [recorded(first_price(4, 3, 2, 1))])
    output = xsp("replay", file, "--rules", rules("require_adomain = true")).output
    assert "a/1: won -> missing_adomain, b/1: lost_price -> missing_adomain, 2 more" in output


def test_no_auctions_have_no_fill(xsp, tmp_path, rules):
    result = xsp("replay", write(tmp_path / "f", []), "--rules", rules(HALF))
    assert "0 auctions, 0 come out otherwise" in result.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("margin = 1", r"new\.toml: rules\.margin: no such setting"),
        ('rules = "x"', r"new\.toml: rules: got 'x'; expected a section \[rules\]"),
        ("[rules", r"new\.toml: not TOML"),
        (
            "[rules]\ndeal_policy = 1",
            r"new\.toml: rules\.deal_policy: got 1; expected one of: price",
        ),
    ],
)
def test_wrong_rules_are_told_before_a_record_is_read(xsp, tmp_path, rules, text, told):
    empty = tmp_path / "empty.rec"
    empty.touch()
    with pytest.raises(ConfigError, match=told):
        xsp("replay", empty, "--rules", rules(text))


PEAK = """
import atexit, resource
from xsp_server.cli import main
atexit.register(lambda: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
main()
"""


async def peak(*arguments):
    """Kilobytes that a command of its own process held at most."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PEAK, *arguments, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    return int(output.splitlines()[-1])


async def test_memory_does_not_grow_with_the_file(tmp_path):
    made = recorded(first_price(3, 2, 1))
    made.replies[0].response.seatbid[0].bid[0].adm = "x" * 100_000
    few, many = (write(tmp_path / str(count), itertools.repeat(made, count)) for count in (10, 200))
    assert many.stat().st_size > 20_000_000
    before, after = await asyncio.gather(*(peak("replay", file) for file in (few, many)))
    assert after - before < 10_000
