"""Reading ahead."""

import threading

import pytest
import torch
from torch.utils.data import Dataset

from glowtron.data.manifest import Clip
from glowtron.data.sampler import Key
from glowtron.errors import InputError
from glowtron.train.task import Batch, load_batches

CLIPS = [Clip(f"clip-{i}", None, "", "") for i in range(5)]


class Numbers(Dataset):
    """Its items are their numbers; the fourth cannot be read."""

    def __init__(self):
        self.read = []

    def __getitem__(self, key):
        self.read.append((key.item, threading.current_thread()))
        if key.item == 3:
            raise InputError("clip-3: damaged")
        return key.item


def begin(order):
    dataset = Numbers()
    return dataset, load_batches(dataset, CLIPS, [[Key(0, i) for i in items] for items in order], tuple)


def test_batches_come_in_order_with_the_names_of_their_clips():
    _, coming = begin([[4, 0], [1], [2, 0, 1]])
    assert list(coming) == [
        Batch(["clip-4", "clip-0"], (4, 0)),
        Batch(["clip-1"], (1,)),
        Batch(["clip-2", "clip-0", "clip-1"], (2, 0, 1)),
    ]


def test_one_batch_is_read_ahead_by_another_thread_and_no_more():
    dataset, coming = begin([[0], [1], [2], [4]])
    next(coming)
    coming.close()
    assert [item for item, _ in dataset.read] == [0, 1]
    assert threading.current_thread() not in {thread for _, thread in dataset.read}


def test_a_fault_comes_when_its_batch_is_due_and_random_numbers_are_nobodys():
    _, coming = begin([[0], [1], [3], [2]])
    before = torch.random.get_rng_state()
    assert [next(coming).ids, next(coming).ids] == [["clip-0"], ["clip-1"]]
    with pytest.raises(InputError, match="clip-3: damaged"):
        next(coming)
    assert torch.equal(torch.random.get_rng_state(), before)
