"""What a manifest says of the code that ran."""

from __future__ import annotations

from simulation.runs.provenance import built_from


def test_a_compiled_copy_is_of_its_clone_while_the_sources_are_the_same(tmp_path) -> None:
    """A revision is named only for the code that has it."""
    sources, copy = tmp_path / "simulation", tmp_path / "build" / "compiled" / "simulation"
    for package in (sources, copy):
        (package / "nodes").mkdir(parents=True)
        (package / "nodes" / "node.py").write_text("one")
    assert built_from(copy) == tmp_path

    (sources / "nodes" / "node.py").write_text("two")
    assert built_from(copy) is None

    (sources / "nodes" / "node.py").write_text("one")
    (sources / "nodes" / "more.py").write_text("")
    assert built_from(copy) is None
