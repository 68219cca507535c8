"""Many texts to shards of speech, on one machine or on a cluster: `glowtron bulk`."""
