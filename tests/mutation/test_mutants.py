"""What the mutation testing changes, and what it leaves alone."""

import pytest

from mutation.mutants import find_mutants


def changes(source: str) -> list[tuple[str, str]]:
    return [(mutant.before, mutant.after) for mutant in find_mutants("m", source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", ["a <= b", "a >= b"]),
        ("a is b", ["a is not b"]),
        ("a and b", ["a or b", "b", "a"]),
        ("a - 1", ["a + 1", "a - 2"]),
        ("not a", ["a"]),
        ("x = a if b else c", ["x = a", "x = c"]),
        ("min(a, key=b)", ["max(a, key=b)", "min(a)"]),
        ("sorted(a)", ["list(a)"]),
        ("a.lower()", ["a"]),
        ("x = [a, b]", ["x = [b]", "x = [a]"]),
        ("x = {a: True}", ["x = {}", "x = {a: False}"]),
        ("x = [a for a in b if c]", ["x = [a for a in b]"]),
        ("x = lambda: a", ["x = lambda: None"]),
        ("x = 'text'", ["x = 'text*'"]),
    ],
)
def test_every_kind_of_change_is_made(source, expected):
    made = [after for _, after in changes(source) if after != "pass"]
    assert made == expected


def test_statements_are_dropped_and_conditions_always_or_never_true():
    source = "def f(a):\n    if a:\n        g(a)\n        return 1\n    raise E('no')\n"
    assert changes(source) == [
        ("if a:", "if True:"),
        ("if a:", "if False:"),
        ("g(a)", "pass"),
        ("return 1", "return None"),
        ("return 1", "return 2"),
        ("raise E('no')", "pass"),
    ]


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "import a",
        "def f(a: int = b) -> str | None: pass",
        "@d(1)\nclass C(B, x): pass",
        "assert a == 1",
        "x: int | str = y",
        "x = f'{a} is {b}'",
        "def f(a):\n    found = 1 if a else 2\n    yield Evidence('name', found, 3)",
    ],
)
def test_what_only_people_read_is_left_alone(source):
    assert [kind for _, kind in changes(source) if kind != "pass"] == []


def test_what_evidence_shows_counts_once_something_else_reads_it():
    source = "def f(a):\n    x = a + 1\n    h(x)\n    yield Evidence('name', x)\n"
    assert ("x = a + 1", "x = a - 1") in changes(source)


def test_a_mutant_compiles_to_the_changed_module_and_leaves_the_others_as_they_are():
    mutants = find_mutants("m", "x = 1 < 2")
    values = []
    for mutant in mutants:
        module: dict[str, object] = {}
        exec(mutant.compile("m.py"), module)  # noqa: S102 - our own text
        values.append((mutant.after, module["x"]))
    assert values == [
        ("x = 1 <= 2", True),
        ("x = 1 >= 2", False),
        ("x = 2 < 2", False),
        ("x = 1 < 3", True),
    ]
