"""Voices sound as they did: bit for bit on the classes of machine that were heard, and nearly so on others."""

import pytest

from same_sound import differences, digest, machine_class, read, sounds, tolerance


@pytest.mark.slow
def test_voices_sound_as_they_did():
    kept, made = read(), dict(sounds())
    assert made.keys() == kept.samples.keys()
    known = kept.hashes.get(machine_class(), {})
    differing = {name: by for name, by in differences(kept, made).items() if by > tolerance(name)}
    assert not differing
    assert not [name for name, hashed in known.items() if digest(made[name]) != hashed]
