"""The objectives: each covers every pair once and equals its textbook formula."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch.nn import functional

from gnn.errors import GnnError
from gnn.network import cross_entropy
from gnn.network.alignment import alignment
from gnn.network.config import NetworkConfig
from gnn.network.losses import FullSoftmax, PairwiseRanking, SampledSoftmax
from gnn.network.objective import Batch, make_loss
from gnn.network.registries import LOSSES

HISTORY = sp.csr_matrix(
    np.array([[1, 1, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 0]], dtype=np.float32)
)
PAIRS = sorted(zip(*(a.tolist() for a in HISTORY.nonzero()), strict=True))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def vectors(seed=1, dim=4):
    torch.manual_seed(seed)
    return torch.randn(4, dim, requires_grad=True), torch.randn(5, dim, requires_grad=True)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_covers_each_pair_once_and_pulls_it_up(name):
    loss = make_loss(HISTORY, NetworkConfig(loss=name, batch_users=2, batch_size=4, negatives=8))
    batches = list(loss.batches(generator()))
    seen = sorted((int(u), int(i)) for b in batches for u, i in zip(b.users, b.items, strict=True))
    assert seen == PAIRS and len(batches) == 2
    again = list(loss.batches(generator()))
    assert all(torch.equal(a.users, b.users) for a, b in zip(batches, again, strict=True))
    users, items = vectors()
    batch = Batch(torch.tensor([1]), torch.tensor([1]))
    before = loss(users, items, batch, generator())
    before.backward()
    with torch.no_grad():
        users -= 0.1 * users.grad
    assert loss(users, items, batch, generator()) < before


@pytest.mark.parametrize("name", LOSSES)
def test_the_vectors_of_a_batch_alone_give_the_same_loss(name):
    loss = make_loss(HISTORY, NetworkConfig(loss=name, user_weight_power=0.5))
    users, items = vectors()
    batch = Batch(
        torch.tensor([3, 0, 3]), torch.tensor([1, 0, 2]), None if name == "softmax" else torch.tensor([4, 4, 0])
    )
    only, places = torch.unique(batch.users, return_inverse=True)
    alone = loss(users[only], items, replace(batch, places=places), generator())
    assert torch.allclose(alone, loss(users, items, batch, generator()))


def test_full_softmax_equals_cross_entropy_with_its_gradient():
    loss = FullSoftmax(HISTORY, NetworkConfig(temperature=0.5))
    users, items = vectors()
    batch = Batch(torch.tensor([3, 3, 3, 0, 0]), torch.tensor([1, 2, 3, 0, 1]))
    got = loss(users, items, batch, generator())
    logits = functional.normalize(users)[batch.users] @ functional.normalize(items).T / 0.5
    expected = functional.cross_entropy(logits, batch.items)
    assert torch.allclose(got, expected)
    for a, b in zip(
        torch.autograd.grad(got * 3, (users, items)),
        torch.autograd.grad(expected * 3, (users, items)),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-6)


def test_user_weight_power_one_counts_every_user_alike():
    loss = FullSoftmax(HISTORY, NetworkConfig(user_weight_power=1, temperature=1))
    users, items = vectors()
    whole = Batch(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]))
    parts = [Batch(torch.tensor([0, 0]), torch.tensor([0, 1])), Batch(torch.tensor([1]), torch.tensor([1]))]
    mean = sum(loss(users, items, p, generator()) for p in parts) / 2
    assert torch.allclose(loss(users, items, whole, generator()), mean)


def test_items_never_seen_can_be_spared_as_negatives():
    users, items = vectors()
    batch = Batch(torch.tensor([0, 0]), torch.tensor([0, 1]))
    spared = FullSoftmax(HISTORY, NetworkConfig(cold_negatives=False))
    loss = spared(users, items, batch, generator())
    logits = functional.normalize(users)[batch.users] @ functional.normalize(items).T / 0.25
    assert torch.allclose(loss, functional.cross_entropy(logits[:, :4], batch.items))
    loss.backward()
    assert items.grad[4].abs().sum() == 0 and items.grad[:4].abs().sum(dim=1).min() > 0


def test_sampled_softmax_nears_the_full_one():
    torch.manual_seed(0)
    history = sp.random(30, 50, density=0.2, format="csr", random_state=0, dtype=np.float32)
    config = NetworkConfig(temperature=0.5, negatives=20_000)
    users, items = torch.randn(30, 6), torch.randn(50, 6)
    edges = history.tocoo()
    batch = Batch(torch.from_numpy(edges.row).long(), torch.from_numpy(edges.col).long())
    full = FullSoftmax(history, config)(users, items, batch, generator())
    sampled = SampledSoftmax(history, config)(users, items, batch, generator())
    assert abs(float(full - sampled)) < 0.02
    # and without the logQ correction it would not: log(negatives) off
    assert abs(float(full) - float(sampled) - np.log(20_000 / 50)) > 1


def test_unit_length_is_normalize_bit_for_bit_with_its_gradient():
    rows = torch.randn(300, 64, generator=generator())
    rows[7], rows[8] = 0, 1e-20
    rows.requires_grad_()
    slope = torch.randn(300, 64, generator=generator(1))
    ours, theirs = cross_entropy.UnitLength.apply(rows), functional.normalize(rows)
    assert torch.equal(ours, theirs)
    found, wanted = (torch.autograd.grad(unit, rows, slope)[0] for unit in (ours, theirs))
    assert torch.equal(found, wanted) and found.isfinite().all()


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_sampled_cross_entropy_is_the_same_in_any_blocks(rows, monkeypatch):
    monkeypatch.setattr(cross_entropy, "BLOCK_ROWS", rows)
    generator = torch.Generator().manual_seed(0)
    left, right = (torch.randn(n, 6, generator=generator, requires_grad=True) for n in (10, 25))
    row = torch.randint(10, (40,), generator=generator).sort().values
    own = (torch.rand(40, generator=generator) * left.detach().norm(dim=1)[row]).requires_grad_()
    expected, correction = torch.rand(25, generator=generator), torch.rand(40, generator=generator)
    weights = torch.rand(40, generator=generator)

    total = (left @ right.T - expected).exp().sum(dim=1)[row] + correction * own.exp()
    plain = (weights * (total.log() - own)).sum()
    blocked = cross_entropy.SampledCrossEntropy.apply(left, right, own, expected, row, correction, weights)
    assert torch.allclose(blocked, plain)
    for found, wanted in zip(
        torch.autograd.grad(3 * blocked, (left, right, own)),
        torch.autograd.grad(3 * plain, (left, right, own)),
        strict=True,
    ):
        assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("power", [0, 0.5])
def test_sampled_softmax_equals_the_formula_with_its_gradient(power):
    config = NetworkConfig(temperature=0.5, negatives=12, user_weight_power=power)
    loss = SampledSoftmax(HISTORY, config)
    drawn = torch.tensor([1, 4, 1, 0, 3])
    batch = Batch(torch.tensor([3, 0, 3, 1]), torch.tensor([1, 0, 2, 1]), drawn)
    users, items = vectors()
    popularity = torch.tensor([2, 4, 2, 2, 1])  # one more than each item has
    log_expected = (len(drawn) * popularity / popularity.sum()).log()
    each = []
    for user, item in zip(batch.users.tolist(), batch.items.tolist(), strict=True):
        scores = functional.normalize(users)[user] @ functional.normalize(items).T / 0.5
        others = drawn[drawn != item]
        logits = torch.cat([scores[[item]], scores[others] - log_expected[others]])
        each.append(logits.logsumexp(dim=0) - scores[item])
    weights = torch.tensor([3.0, 2.0, 3.0, 1.0]) ** -power
    plain = (torch.stack(each) * weights).sum() / weights.sum()
    got = loss(users, items, batch, generator())
    assert torch.allclose(got, plain)
    for a, b in zip(torch.autograd.grad(got, (users, items)), torch.autograd.grad(plain, (users, items)), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_sampled_softmax_spares_items_nobody_has_where_asked():
    batch = Batch(torch.tensor([0]), torch.tensor([0]))
    drawn = {
        spared: SampledSoftmax(HISTORY, NetworkConfig(cold_negatives=not spared, negatives=500)).draw(
            batch, generator()
        )
        for spared in (False, True)
    }
    assert 4 in drawn[False] and 4 not in drawn[True] and set(drawn[True].tolist()) == {0, 1, 2, 3}


def test_bpr_draws_only_unseen_items_and_equals_the_formula():
    loss = PairwiseRanking(HISTORY, NetworkConfig(loss="bpr"))
    users = torch.tensor([3] * 200 + [0] * 200)
    drawn = loss.draw(Batch(users, torch.ones(400, dtype=torch.int64)), generator())
    assert set(drawn[:200].tolist()) == {0, 4} and set(drawn[200:].tolist()) == {2, 3, 4}
    u, i = torch.tensor([[1.0], [0.0], [0.0], [1.0]]), torch.tensor([[2.0], [2.0], [0.5], [0.5], [0.5]])
    value = loss(u, i, Batch(torch.tensor([0]), torch.tensor([0])), generator())
    assert torch.allclose(value, torch.tensor(np.log1p(np.exp(-1.5)), dtype=torch.float32))


def test_alignment_is_least_for_equal_modalities_and_the_teacher_stands_still():
    same = torch.eye(6, requires_grad=True)
    other = torch.eye(6).roll(1, 0).requires_grad_()
    items = torch.arange(6)
    assert alignment({"text": same, "image": same}, items, 0.1) < 1e-3
    value = alignment({"text": same, "image": other}, items, 0.1, teacher="text")
    assert value > 5
    value.backward()
    assert same.grad is None and other.grad.abs().sum() > 0


def test_alignment_leaves_out_items_that_lack_a_modality():
    text, image = torch.eye(4), torch.eye(4)
    image[2] = 0
    shuffled = text.clone()
    shuffled[2] = text[0]
    items = torch.arange(4)
    assert torch.equal(
        alignment({"text": text, "image": image}, items, 0.1),
        alignment({"text": shuffled, "image": image}, items, 0.1),
    )


def test_errors_name_the_value_and_the_way_out():
    with pytest.raises(GnnError, match="0 training interactions"):
        make_loss(sp.csr_matrix((3, 3), dtype=np.float32), NetworkConfig())
