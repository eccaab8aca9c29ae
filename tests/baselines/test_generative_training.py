"""What the generative models share: batches, the optimiser's form, the loop, checkpoints."""

import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from baselines.generative import checkpoints
from baselines.generative.checkpoints import Checkpoint, whole_file
from baselines.generative.model import check_number, check_sizes, check_unit, fingerprint
from baselines.generative.training import Batches, part_of, set_sgd, share_budget, streams, train


class Killed(Exception):
    pass


def test_a_pass_visits_every_point_once():
    batches = Batches(20, 5, streams(0, 1)[0])
    passes = [torch.cat([batches.next() for _ in range(4)]) for _ in range(3)]
    for one in passes:
        assert sorted(one.tolist()) == list(range(20))
    assert passes[0].tolist() != passes[1].tolist()


def test_an_incomplete_batch_is_left_out_and_a_small_set_is_one_batch():
    batches = Batches(7, 3, streams(0, 1)[0])
    first = torch.cat([batches.next(), batches.next()])
    assert len(set(first.tolist())) == 6 and batches.per_pass == 2
    assert sorted(Batches(3, 100, streams(0, 1)[0]).next().tolist()) == [0, 1, 2]


@pytest.mark.parametrize("made", [0, 1, 4, 5, 11])
def test_batches_go_on_from_their_state(made):
    one, other = Batches(11, 2, streams(3, 1)[0]), Batches(11, 2, streams(9, 1)[0])
    for _ in range(made):
        one.next()
    other.set_state(one.get_state())
    assert all(torch.equal(one.next(), other.next()) for _ in range(12))


def test_streams_are_independent_and_do_not_depend_on_their_number():
    few, many = streams(5, 2), streams(5, 4)
    assert [g.initial_seed() for g in few] == [g.initial_seed() for g in many[:2]]
    assert len({g.initial_seed() for g in many + streams(6, 4)}) == 8


def test_set_sgd_is_the_form_with_the_rate_in_the_velocity():
    """Against v <- m v - lr g, w <- w + v written out, through changes of both, 0 included."""
    generator = streams(0, 1)[0]
    w = torch.randn(7, generator=generator, dtype=torch.float64)
    parameter, v = nn.Parameter(w.clone()), torch.zeros_like(w)
    optimizer = torch.optim.SGD([parameter], lr=1.0, fused=True)
    settings = [(2, 0.0), (2, 0.0), (2, 0.9), (0.2, 0.99), (0.2, 0.99), (0.5, 0.0), (0.1, 0.5)]
    for lr, momentum in settings:
        set_sgd(optimizer, lr, momentum)
        gradient = torch.randn(7, generator=generator, dtype=torch.float64)
        parameter.grad = gradient.clone()
        optimizer.step()
        v = momentum * v - lr * gradient
        w = w + v
        torch.testing.assert_close(parameter.detach(), w, rtol=1e-12, atol=1e-12)


def problem(seed=0):
    """A noisy linear regression: everything that a state must hold."""
    weights, order, noise = streams(seed, 3)
    X = torch.randn(30, 3, generator=weights)
    network = nn.Linear(3, 1)
    nn.init.zeros_(network.weight), nn.init.zeros_(network.bias)
    batches = Batches(30, 4, order)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)

    def step(update):
        set_sgd(optimizer, 0.05 / (1 + update), 0.5)
        x = X[batches.next()]
        y = x.sum(1, keepdim=True) + torch.randn(len(x), 1, generator=noise)
        loss = (network(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach(), "twice": 2 * loss.detach()}

    return dict(step=step, network=network, optimizers=[optimizer], streams=[batches, noise])


def test_history_holds_means_between_evaluations():
    seen, told = [], []
    parts = problem()
    step = parts.pop("step")

    def watched(update):
        losses = step(update)
        seen.append((update, float(losses["loss"])))
        return losses

    history, values = train(
        watched, length=10, max_updates=7, every=3, **parts, progress=lambda *a: told.append(a)
    )
    assert [update for update, _ in seen] == list(range(7))
    assert history["update"] == [3, 6, 7]
    losses = [loss for _, loss in seen]
    np.testing.assert_allclose(
        history["loss"], [np.mean(losses[:3]), np.mean(losses[3:6]), losses[6]], rtol=1e-6
    )
    np.testing.assert_allclose(history["twice"], 2 * np.array(history["loss"]), rtol=1e-6)
    assert values == {"updates": 7, "stopped_by": "budget"}
    assert [(done, total) for done, total, _ in told] == [(3, 7), (6, 7), (7, 7)]
    assert told[-1][2].startswith("training: loss ")


@pytest.mark.parametrize(
    ("max_updates", "made", "reason"),
    [(None, 5, "length"), (5, 5, "length"), (9, 5, "length"), (2, 2, "budget")],
)
def test_length_and_budget(max_updates, made, reason):
    _, values = train(length=5, max_updates=max_updates, **problem())
    assert values == {"updates": made, "stopped_by": reason}


def counting(scores):
    """A network that counts its updates, and validation scores by update."""
    network = nn.Linear(1, 1)
    nn.init.zeros_(network.weight)

    def step(update):
        network.weight.data += 1
        return torch.tensor(0.0)

    return network, step, lambda: scores[int(network.weight.detach())]


def test_the_best_weights_are_kept_and_patience_ends_the_training():
    network, step, validate = counting([9, 5, 3, 4, 3, 3.5, 1, 0])
    history, values = train(
        step, length=7, max_updates=None, network=network, validate=validate, patience=3, every=1
    )
    assert values == {
        "updates": 5,
        "stopped_by": "validation",
        "best_validation": 3,
        "best_update": 2,
    }
    assert history["validation"] == [5, 3, 4, 3, 3.5]
    assert float(network.weight.detach()) == 2
    network, step, validate = counting([9, 5, 3, 4, 3, 3.5, 1, 2])
    _, values = train(step, length=7, max_updates=None, network=network, validate=validate, every=1)
    assert values["stopped_by"] == "length" and values["best_update"] == 6
    assert float(network.weight.detach()) == 6


def test_patience_survives_an_interruption(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    outcomes = []
    for stop in (None, 3, 5):

        def kill(done, total, text, stop=stop):
            if done == stop:
                raise Killed

        for _ in range(2):
            network, step, validate = counting([9, 5, 3, 4, 3, 3.5, 1, 0])
            try:
                outcome = train(
                    step,
                    length=7,
                    max_updates=None,
                    network=network,
                    every=1,
                    validate=validate,
                    patience=3,
                    progress=kill,
                    checkpoint=Checkpoint(tmp_path / f"{stop}", "s"),
                )
                break
            except Killed:
                stop = None
        outcomes.append((outcome, float(network.weight.detach())))
    assert outcomes[0] == outcomes[1] == outcomes[2]


@pytest.mark.parametrize("every", [1, 4])
def test_a_training_killed_at_every_update_gets_there(tmp_path, monkeypatch, every):
    monkeypatch.setattr(checkpoints, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    whole = problem()
    expected = train(length=12, max_updates=None, every=every, **whole)
    write, kills = Checkpoint.write, 0

    def write_and_die(self, *args, **kwargs):
        write(self, *args, **kwargs)
        raise Killed

    monkeypatch.setattr(Checkpoint, "write", write_and_die)
    while True:
        parts = problem()
        try:
            found = train(
                length=12,
                max_updates=None,
                every=every,
                **parts,
                checkpoint=Checkpoint(tmp_path / "state", "s"),
            )
            break
        except Killed:
            kills += 1
    assert kills == 12 and found == expected
    for name, tensor in whole["network"].state_dict().items():
        assert torch.equal(tensor, parts["network"].state_dict()[name])


def test_phases_share_a_file_and_a_finished_one_is_not_repeated(tmp_path):
    path, told = tmp_path / "deep" / "state", []
    first = problem(1)
    expected = train(
        length=6, max_updates=None, phase="a", **first, checkpoint=Checkpoint(path, "s")
    )
    checkpoint, again, second = Checkpoint(path, "s"), problem(1), problem(2)
    again["step"] = None  # a finished phase calls it no more
    assert (
        train(
            length=6,
            max_updates=None,
            phase="a",
            **again,
            checkpoint=checkpoint,
            progress=lambda *a: told.append(a),
        )
        == expected
    )
    assert told == [(6, 6, "a: done before")]
    assert torch.equal(first["network"].weight, again["network"].weight)
    train(length=3, max_updates=None, phase="b", **second, checkpoint=checkpoint)
    assert set(torch.load(path, weights_only=True)["phases"]) == {"a", "b"}
    assert not list(path.parent.glob("*.tmp"))


def test_checkpoints_are_written_seldom(tmp_path, monkeypatch):
    clock, writes = iter(range(1000)), []
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: float(next(clock)))
    save = torch.save
    monkeypatch.setattr(torch, "save", lambda *a: (writes.append(a[0]), save(*a)))
    train(length=50, max_updates=None, checkpoint=Checkpoint(tmp_path / "s", "s"), **problem())
    assert [w["phases"]["training"]["run"]["update"] for w in writes[-1:]] == [50]
    assert 3 <= len(writes) <= 5  # a second a reading: the first, each twenty seconds, the last


def test_another_training_or_a_damaged_file_counts_as_none(tmp_path):
    path = tmp_path / "state"
    train(length=3, max_updates=None, checkpoint=Checkpoint(path, "one"), **problem())
    assert Checkpoint(path, "one").read("training")["run"]["update"] == 3
    assert Checkpoint(path, "other").read("training") is None
    path.write_bytes(b"damaged")
    with pytest.warns(UserWarning, match="cannot be read, the training starts again"):
        assert Checkpoint(path, "one").read("training") is None
    for phases in ({}, {"phases": 3}, {"phases": {"training": [1]}}):
        torch.save({"signature": "one", **phases}, path)
        with pytest.warns(UserWarning, match="is damaged, the training starts again"):
            assert Checkpoint(path, "one").read("training") is None


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").touch, ())

    torch.save({"signature": "s", "phases": Trap()}, tmp_path / "trap", pickle_module=pickle)
    with pytest.warns(UserWarning, match="cannot be read"):
        Checkpoint(tmp_path / "trap", "s")
    assert not (tmp_path / "sprung").exists()


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    with whole_file(tmp_path / "f") as file:
        file.write(b"old")
    with pytest.raises(Killed), whole_file(tmp_path / "f") as file:
        file.write(b"half")
        raise Killed
    assert (tmp_path / "f").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_divergence_is_told():
    network = nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match="loss is nan at update 2; a smaller"):
        train(
            lambda update: torch.tensor(math.nan),
            length=4,
            max_updates=None,
            network=network,
            every=2,
        )
    with pytest.raises(FloatingPointError, match="validation is inf at update 2"):
        train(
            lambda update: torch.tensor(0.0),
            length=4,
            max_updates=None,
            network=network,
            every=2,
            validate=lambda: math.inf,
        )


def test_budgets_and_progress_of_phases():
    assert share_budget([30, 30, 400], None) == share_budget([30, 30, 400], 460) == [30, 30, 400]
    assert share_budget([30, 30, 400], 46) == [3, 3, 40]
    assert share_budget([30, 0, 400], 2) == [1, 0, 1]
    assert share_budget([4, 4, 4, 6], 1) == [1, 1, 1, 1]
    for budget in range(3, 100):
        lengths, shares = [7, 60, 33], share_budget([7, 60, 33], budget)
        assert sum(shares) == budget and min(shares) >= 1
        assert all(
            abs(share - length * budget / 100) < 2
            for share, length in zip(shares, lengths, strict=True)
        )
    told = []
    part_of(lambda *a: told.append(a), 30, 60)(5, 30, "text")
    assert told == [(35, 60, "text")] and part_of(None, 1, 2) is None


def test_fingerprints_tell_trainings_apart():
    from baselines.generative.gmmn import GMMN
    from baselines.generative.vae import VAE

    X = np.eye(3, dtype=np.float32)
    same = {
        fingerprint(GMMN(hidden=h, lr=lr), X)
        for h in [(2,), [2], np.array([2])]
        for lr in (2.0, np.float64(2.0))
    }
    same.add(fingerprint(GMMN(hidden=(2,), device=torch.device("cpu")), X))
    assert len(same) == 1
    others = [
        fingerprint(GMMN(hidden=(2,), random_state=1), X),
        fingerprint(GMMN(), X),
        fingerprint(GMMN(hidden=(2,)), X.T[::-1]),
        fingerprint(GMMN(hidden=(2,)), X, X),
        fingerprint(GMMN(hidden=(2,)), X[:2]),
        fingerprint(VAE(), X),
        fingerprint(GMMN(hidden=(2,), max_updates=5), X),
        fingerprint(GMMN(hidden=(2,), device="cuda:0"), X),
    ]
    assert len(same | set(others)) == 9
    devices = "cuda", "cuda:1", torch.device("cuda")
    assert len({fingerprint(GMMN(device=one), X) for one in devices}) == 1


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros(5), "X must be a matrix"),
        (np.zeros((1, 5)), "at least 2 rows"),
        (np.zeros((5, 0)), "1 feature"),
        (np.full((5, 2), np.nan), "finite"),
        (np.full((5, 2), 1.01), r"\[0, 1\]; got 1.0"),
        (np.full((5, 2), -0.1), r"\[0, 1\]"),
        (np.array([["a", "b"]] * 3), "matrix of numbers"),
        (np.full((3, 2), np.inf), "finite"),
    ],
)
def test_bad_data(bad, message):
    with pytest.raises(ValueError, match=message):
        check_unit("X", bad)


def test_bad_numbers():
    for value in (0, -1, 1.5, "3", None, True, math.nan):
        with pytest.raises(ValueError, match="n must be a whole number from 1; got"):
            check_number("n", value, 1, whole=True)
    for value in (0, -1.0, math.inf, math.nan, "1", False):
        with pytest.raises(ValueError, match="lr must be a number above 0; got"):
            check_number("lr", value, above=True)
    with pytest.raises(ValueError, match="m must be a number from 0, at most 1; got 2"):
        check_number("m", 2, 0, 1)
    with pytest.raises(ValueError, match="hidden must be a tuple of whole numbers; got 5"):
        check_sizes("hidden", 5)
    with pytest.raises(ValueError, match="each of hidden must be a whole number from 1; got 0"):
        check_sizes("hidden", (5, 0))
    check_number("n", np.int64(3), 1, whole=True), check_number("lr", np.float32(0.1), above=True)
