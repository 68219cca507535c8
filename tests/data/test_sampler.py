"""The order of data."""

from collections import Counter
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from glowtron.data.sampler import WINDOW, BatchOrder, FixedOrder, Key, generator_of
from glowtron.errors import InputError

ORDERS = st.builds(
    lambda n, batch, seed, bucketed: BatchOrder(
        n_items=n, batch_size=batch, seed=seed, lengths=[(i * 7919) % 101 for i in range(n)] if bucketed else None
    ),
    st.integers(1, 40),
    st.integers(1, 12),
    st.integers(-5, 2**64),
    st.booleans(),
)


@settings(deadline=None)
@given(ORDERS, st.integers(0, 50))
def test_an_order_begun_late_is_the_rest_of_the_whole(order, first_step):
    whole = list(islice(order, first_step + 5))
    late = BatchOrder(**{**vars(order), "first_step": first_step})
    assert list(islice(late, 5)) == whole[first_step:]
    assert order.batch(first_step) == whole[first_step]


@settings(deadline=None)
@given(ORDERS)
def test_every_item_comes_once_an_epoch(order):
    # So many windows end on the end of an epoch.
    steps = WINDOW * order.n_items
    seen = Counter(key for step in range(steps) for key in order.batch(step))
    epochs = steps * order.batch_size // order.n_items
    assert seen == {Key(epoch, item): 1 for epoch in range(epochs) for item in range(order.n_items)}


@settings(deadline=None)
@given(ORDERS.filter(lambda order: order.batch_size % 4 == 0), st.sampled_from([2, 4]), st.integers(0, 20))
def test_processes_share_each_batch(order, world_size, step):
    shares = [BatchOrder(**{**vars(order), "world_size": world_size, "rank": r}).batch(step) for r in range(world_size)]
    assert {len(share) for share in shares} == {order.batch_size // world_size}
    assert Counter(key for share in shares for key in share) == Counter(order.batch(step))


def test_batches_are_full_and_epochs_differ():
    order = BatchOrder(n_items=10, batch_size=4, seed=1)
    assert all(len(batch) == 4 for batch in islice(order, 30))
    epochs = [[key.item for key in BatchOrder(n_items=10, batch_size=10, seed=1).batch(e)] for e in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert order.batch(0) != BatchOrder(n_items=10, batch_size=4, seed=2).batch(0)


def test_buckets_save_padding_and_stay_random():
    rng = generator_of(0, "lengths")
    lengths = [int(length) for length in rng.integers(50, 900, 1000)]

    def padding(order: BatchOrder) -> float:
        batches = list(islice(order, 62))
        padded = sum(max(lengths[key.item] for key in batch) * len(batch) for batch in batches)
        return 1 - sum(lengths[key.item] for batch in batches for key in batch) / padded

    bucketed = BatchOrder(n_items=1000, batch_size=16, seed=0, lengths=lengths)
    assert padding(bucketed) < 0.1 < 0.3 < padding(BatchOrder(n_items=1000, batch_size=16, seed=0))
    means = [sum(lengths[key.item] for key in batch) / 16 for batch in islice(bucketed, 56)]
    rising = [all(a <= b for a, b in zip(w, w[1:], strict=False)) for w in (means[i : i + 8] for i in range(0, 56, 8))]
    assert sum(rising) <= 1


def test_impossible_orders_are_named():
    with pytest.raises(InputError, match="no clips"):
        BatchOrder(n_items=0, batch_size=4, seed=0)
    with pytest.raises(InputError, match="batch_size 5"):
        BatchOrder(n_items=10, batch_size=5, seed=0, world_size=2)


@given(st.integers(0, 30), st.integers(1, 10))
def test_fixed_order_is_the_order(n, size):
    order = FixedOrder(n, size)
    batches = list(order)
    assert len(batches) == len(order)
    assert [key for batch in batches for key in batch] == [Key(0, item) for item in range(n)]
    assert all(len(batch) == size for batch in batches[:-1])
    assert list(order) == batches


def test_random_numbers_of_different_places_differ():
    numbers = ((), (0,), (0, 0), (1, 0))
    places = [(seed, purpose, *place) for seed in (-1, 0, 1, 2**32) for purpose in "ab" for place in numbers]
    assert len({generator_of(*place).integers(2**62) for place in places}) == len(places)
    # The same everywhere and for ever: resumed runs depend on it.
    assert generator_of(1234, "items", 0).integers(1000, size=4).tolist() == [470, 975, 164, 249]


class Echo(Dataset[Key]):
    def __getitem__(self, key: Key) -> Key:
        return key


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_keeps_the_order(workers):
    order = BatchOrder(n_items=7, batch_size=3, seed=0, first_step=4)
    loader = DataLoader(Echo(), batch_sampler=order, num_workers=workers, collate_fn=list)
    assert list(islice(loader, 9)) == list(islice(order, 9))
