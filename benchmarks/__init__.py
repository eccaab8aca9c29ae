"""The harness: datasets, cells, records, metrics, reports. Knows `mixnet_core` and `baselines`."""
