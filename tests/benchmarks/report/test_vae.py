"""The table of the VAE's settings, from made-up records."""

import pandas as pd

from benchmarks import registry
from benchmarks.report import vae

SUITE = registry.suites()["table2-vae"] | {"seeds": [0, 1]}


def trained(method, seed, nats, bound):
    key = f"{method}-{seed}"
    cell = {"method": method, "seed": seed, "params": {"space": "raw"}}
    inputs = {"samples": f"{method}/{key}"}
    values = {"ll": nats, "se": 2.0, "sigma": 0.167, "protocol": "goodfellow"}
    score = {"method": "parzen", "seed": seed, "params": {"space": "raw", "inputs": inputs}}
    made = {"train_seconds": 9.0, "updates": 20, "stopped_by": "budget", "validation_elbo": bound}
    return [
        {"kind": "generative", "status": "done", "values": made, "key": key, "cell": cell},
        {"kind": "evaluation", "status": "done", "values": values, "cell": score},
    ]


def scored_otherwise(seed, **nats):
    values = {f"{name}_ll": 100.0 for name in vae.SETTINGS} | nats
    values |= {f"{name}_sigma": 0.2 for name in vae.SETTINGS}
    cell = {"method": "vae-windows", "seed": seed, "params": {"space": "raw"}}
    return {"kind": "exhibit", "status": "done", "values": values, "cell": cell, "stale": True}


def test_every_setting_has_its_nats_beside_it(tmp_path):
    records = [
        *trained("vae-1x8", 0, 280.0, -101.0),
        *trained("vae-3x8", 0, 320.0, -99.0),
        *trained("vae-3x8", 1, 326.0, -97.0),
        scored_otherwise(0, draws_ll=40.0),
        scored_otherwise(1, draws_ll=50.0),
    ]
    text, paths = vae.report(records, SUITE, tmp_path, "table2-vae")
    table = pd.read_csv(paths["csv"]).set_index(["method", "setting"])
    assert table.ll_mean["vae-3x8"].iloc[0] == 323 and table.n["vae-3x8"].iloc[0] == 2
    assert table.ll_mean["vae-windows", "draws"] == 45 and table.stale["vae-windows", "draws"] == 2
    assert table.ll_mean["vae-1x20"].isna().all()
    markdown = paths["md"].read_text(encoding="utf-8")
    assert (
        "| VAE, 8 latents, 3 layers | 8 | 3 | 2/2 | 323.0 ± 4.2 | 2.0 | 0.167 | -98.0 |" in markdown
    )
    assert "| VAE, 20 latents, 1 layer | 20 | 1 | 0/2 |" in markdown and "45.0 ± 7.1" in markdown
    assert "1 not run" in text


def test_before_anything_is_scored_otherwise_there_is_no_table_of_it(tmp_path):
    paths = vae.report(trained("vae-1x8", 0, 280.0, -101.0), SUITE, tmp_path, "table2-vae")[1]
    assert "one thing changed" not in paths["md"].read_text(encoding="utf-8")
