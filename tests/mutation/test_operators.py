"""The mutants themselves: each is another program, and a seed always chooses the same ones."""

from __future__ import annotations

import ast

from tests.mutation.__main__ import ROOT, choose, equivalent, noticing, suites_of
from tests.mutation.forked import Baseline
from tests.mutation.operators import Mutant, mutants_of

SOURCE = '''\
"""A docstring."""

LIMIT: int = 3


@cache
def kept(key: str) -> bool:
    return key in ("王小明", "ok")


def first(rows: list[int]) -> int | None:
    """Not `if not rows`."""
    if not rows or len(rows) > LIMIT:
        raise ValueError("no rows")
    for row in rows:
        if row == -1:
            continue
        kept(f"{row + 1}")
    return rows[0]
'''


def changed(operator: str) -> list[str]:
    source = SOURCE.encode()
    return [m.diff(source).splitlines()[1] for m in mutants_of("a.py", source) if m.operator == operator]


def test_each_operator_changes_its_places_and_no_others() -> None:
    assert changed("comparison") == [
        "+ return (key not in ('王小明', 'ok'))",
        "+ if not rows or (len(rows) >= LIMIT):",
        "+ if (row != -1):",
    ]
    assert changed("and/or") == ["+ if (not rows and len(rows) > LIMIT):"]
    assert changed("removed not") == ["+ if (rows) or len(rows) > LIMIT:"]
    assert changed("removed minus") == ["+ if row == (1):"]
    assert changed("continue/break") == ["+ break"]
    assert changed("removed statement") == ["+ pass", "+ pass"]
    assert changed("return value") == ["+ return None", "+ return None"]
    assert changed("off by one") == ["+ LIMIT: int = 4", "+ if row == -2:", "+ return rows[1]"]
    assert changed("constant") == ["+ return key in (\"王小明\", 'XXok')"]


def test_a_mutant_is_another_valid_program() -> None:
    by_file = {file: mutants_of(file, (ROOT / file).read_bytes()) for file in suites_of(ROOT)}
    for one in choose(by_file, 200, seed=1):
        source = (ROOT / one.file).read_bytes()
        assert ast.dump(ast.parse(one.apply(source))) != ast.dump(ast.parse(source)), one


def test_a_mutant_is_reached_by_the_lines_of_its_statement_or_of_its_head() -> None:
    lines = {(m.operator, m.lines) for m in mutants_of("a.py", SOURCE.encode())}
    assert ("off by one", (0, 0)) in lines  # LIMIT: at import
    assert ("return value", (0, 0)) in lines  # the answers of `kept` are kept
    assert ("comparison", (13, 13)) in lines
    assert ("removed statement", (14, 14)) in lines
    assert ("continue/break", (17, 17)) in lines


def mutant(file: str, lines: tuple[int, int], line: int = 1) -> Mutant:
    return Mutant(file, line, "comparison", 0, 0, "", lines)


def test_a_seed_chooses_the_same_mutants_and_some_of_every_file() -> None:
    by_file = {
        name: [mutant(name, (1, 1), line) for line in range(count)] for name, count in (("a", 4), ("b", 90))
    }
    chosen = choose(by_file, 20, seed=1)
    assert chosen == choose(by_file, 20, seed=1) != choose(by_file, 20, seed=2)
    assert len(set(chosen)) == 20
    assert {one.file for one in chosen} == {"a", "b"}


def test_the_engine_and_the_mappings_are_mutated_or_one_folder_that_is_asked_for() -> None:
    assert {file.split("/")[1] for file in suites_of(ROOT)} == {"engine", "identity", "mapping"}
    wanted = {"engine/plan.py", "identity/survive.py", "identity/match.py", "mapping/apply.py"}
    assert {f"crmbridge/{file}" for file in wanted} <= suites_of(ROOT).keys()
    assert {file.split("/")[1] for file in suites_of(ROOT, ["mapping"])} == {"mapping"}


def test_a_mutant_is_tried_against_the_tests_that_run_its_line_the_quickest_first() -> None:
    seconds = {"t/slow": 2.0, "t/quick": 0.1, "u/other": 0.0, "t/more": 1.0, "t/foreign": 0.0}
    reached: dict[str, dict[str, list[int]]] = {
        "t/slow": {"a.py": [7]},
        "t/quick": {"a.py": [3, 8]},
        "u/other": {"a.py": [7]},
        "t/more": {"a.py": [9]},
        "t/foreign": {"ab.py": [7]},
    }
    baseline = Baseline(seconds, [], reached, {"a.py": [20]})
    assert noticing(mutant("a.py", (7, 8)), ["t/"], baseline, 9) == ["t/quick", "t/slow"]
    assert noticing(mutant("a.py", (4, 6)), ["t/"], baseline, 9) == []
    assert noticing(mutant("a.py", (0, 0)), ["t/"], baseline, 9) == ["t/quick", "t/more", "t/slow"]
    assert noticing(mutant("a.py", (19, 20)), ["t/"], baseline, 9) == ["t/quick", "t/more", "t/slow"]
    assert noticing(mutant("a.py", (0, 0)), ["t/"], baseline, 2) == ["t/quick", "t/more"]
    assert noticing(mutant("a.py", (0, 0)), ["t/"], baseline, 0) == ["t/quick"]


def test_the_tests_of_the_module_itself_are_asked_first() -> None:
    file = "crmbridge/engine/plan.py"
    own, quick = "tests/engine/test_plan.py::test_a", "tests/engine/test_laws.py::test_b"
    reached = {own: {file: [7]}, quick: {file: [7]}}
    baseline = Baseline({own: 2.0, quick: 0.1}, [], reached, {})
    assert noticing(mutant(file, (7, 7)), ["tests/engine"], baseline, 9) == [own, quick]


def test_what_is_left_out_as_the_same_program_is_still_there_and_has_a_reason() -> None:
    by_file = {file: mutants_of(file, (ROOT / file).read_bytes()) for file in suites_of(ROOT)}
    possible = {(m.file, m.diff((ROOT / m.file).read_bytes())) for ms in by_file.values() for m in ms}
    gone = [f"{one.file}: {one.was}" for one in equivalent() if (one.file, one.diff) not in possible]
    assert gone == [], "the code has changed: take these out of equivalent.yaml"
    assert all(len(one.why) > 20 for one in equivalent())
