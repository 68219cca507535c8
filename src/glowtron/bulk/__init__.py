"""Many texts to shards of speech, on one machine: `glowtron bulk`."""
