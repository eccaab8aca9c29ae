"""The seconds of the codes that a cell takes, whatever they are themselves made of."""

from types import SimpleNamespace

import pytest

from benchmarks.run import current


def cell(seconds=None, codes=None, requested=False):
    record = None if seconds is None else {"seconds": seconds}
    needs = {} if codes is None else {"codes": codes}
    return SimpleNamespace(record=record, needs=needs, requested=requested)


@pytest.mark.parametrize(
    ("codes", "seconds"),
    [
        (cell(40.0), 40.0),
        (cell(90.0, codes=cell(40.0)), 130.0),
        (cell(90.0, codes=cell()), None),
        (cell(codes=cell(40.0)), None),
    ],
    ids=["one embedding", "an embedding of codes", "of codes not on record", "not on record"],
)
def test_the_seconds_of_codes_are_those_of_all_embeddings_under_a_cell(codes, seconds, monkeypatch):
    monkeypatch.setattr(current, "standing", lambda record: record)
    now = SimpleNamespace(state=lambda node: node.record)
    top = cell(1.0, codes=codes, requested=True)
    plan = SimpleNamespace(nodes={"top": top, "codes": codes})
    assert current.current(plan, None, now) == [{"seconds": 1.0, "codes_seconds": seconds}]


def test_a_cell_on_raw_features_has_no_seconds_of_codes(monkeypatch):
    monkeypatch.setattr(current, "standing", lambda record: record)
    now = SimpleNamespace(state=lambda node: node.record)
    plan = SimpleNamespace(nodes={"top": cell(1.0, requested=True)})
    assert current.current(plan, None, now) == [{"seconds": 1.0}]
