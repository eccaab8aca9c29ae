"""What the Parzen score of a VAE hangs on, from records: setting -> nats (suite `table2-vae`)."""

from __future__ import annotations

from pathlib import Path

from benchmarks import kinds, registry
from benchmarks.report import notes, stats, table2, words
from benchmarks.report.table import Table

#: Scores of `benchmarks.exhibits.windows`, in its order.
SETTINGS = {
    "table": "as in Table 2",
    "grid": "widths of GMMN's protocol, in steps of 0.01",
    "width": "a width that nothing chooses",
    "few": "fewer samples",
    "draws": "binary draws in place of their probabilities",
    "binary": "validation and test images made binary",
}


def summarise(records, suite, methods, paper) -> tuple[list[dict], list[dict]]:
    """Rows of the two tables.

    Parameters
    ----------
    records, suite, methods, paper
        As of `benchmarks.report.table2.summarise`.

    Returns
    -------
    models : list of dict
        The keys of `table2.summarise` and ``latent_dim``, ``layers``, ``validation_elbo``.
    settings : list of dict
        ``method, setting, n, ll_mean, ll_std, sigma, stale`` for each exhibit and entry of
        `SETTINGS`; only what was measured.
    """
    records = list(records)
    trained = [m for m in suite["methods"] if kinds.of(methods[m]).output == "samples"]
    models, _ = table2.summarise(records, {**suite, "methods": trained}, methods, paper)
    for row in models:
        params = registry.resolve_params(row["method"], suite["datasets"][0])
        row |= {"latent_dim": params["latent_dim"], "layers": len(params["hidden"])}
        bounds = [
            r["values"]["validation_elbo"]
            for r in records
            if r["cell"]["method"] == row["method"] and r["status"] == "done"
        ]
        row["validation_elbo"] = stats.known(stats.mean, bounds)
    settings, kind = [], {m: kinds.of(methods[m]) for m in suite["methods"]}
    for method in (m for m in kind if kind[m].output == "values" and not kind[m].scores):
        done = [r for r in records if r["cell"]["method"] == method and r["status"] == "done"]
        for setting in SETTINGS if done else ():
            found = [r["values"][f"{setting}_ll"] for r in done]
            settings.append(
                {
                    "method": method,
                    "setting": setting,
                    "n": len(done),
                    "ll_mean": stats.mean(found),
                    "ll_std": stats.known(stats.std, found),
                    "sigma": stats.mean([r["values"][f"{setting}_sigma"] for r in done]),
                    "stale": sum(bool(r.get("stale")) for r in done),
                }
            )
    return models, settings


def report(records, suite, out_dir, stem) -> tuple[str, dict[str, Path]]:
    """Write `stem`.csv and `stem`.md into `out_dir`, each replaced whole; the tables as text."""
    methods, datasets = registry.methods(), registry.datasets()
    models, settings = summarise(records, suite, methods, registry.paper())
    first, second = of_models(models, methods), of_settings(settings, methods)
    listed = [{**row, "dataset": suite["datasets"][0]} for row in models]
    lines = [
        *words.opening(suite),
        "Mean log-likelihood of the MNIST test images in nats under a Gaussian Parzen window on "
        "10,000 samples; SE over test images; n = runs averaged/asked for; σ chosen on validation "
        "images; bound: of the validation images, in nats.",
        "",
        first.markdown(),
        *(["", "The same samples, one thing changed:", "", second.markdown()] if settings else ()),
        *notes.choices_section(listed, methods, datasets, suite.get("fast", False)),
    ]
    columns = ("method", "setting", "n", "ll_mean", "ll_std", "sigma", "stale")
    everything = [{**row, "setting": ""} for row in models] + settings
    texts = {"csv": Table(columns, everything).csv(), "md": "\n".join(lines) + "\n"}
    paths = {
        kind: words.replace(Path(out_dir) / f"{stem}.{kind}", text) for kind, text in texts.items()
    }
    return "\n".join([first.text(), *([second.text()] if settings else [])]), paths


def of_models(rows, methods) -> Table:
    """Latent size and layers of each model, and its score."""
    heads = ("Model", "Latents", "Layers", "n", "Log-likelihood", "SE", "σ", "Bound", "Updates", "")
    return Table(
        heads,
        [
            (
                methods[row["method"]]["label"],
                row["latent_dim"],
                row["layers"],
                f"{row['n']}/{row['n_asked']}",
                words.pm(row["ll_mean"], row["ll_std"]),
                words.fixed(row["ll_se"]),
                "" if row["sigma"] is None else f"{row['sigma']:.3f}",
                words.fixed(row["validation_elbo"]),
                "" if row["updates"] is None else f"{row['updates']:.0f}",
                words.trouble(row),
            )
            for row in rows
        ],
    )


def of_settings(rows, methods) -> Table:
    """Scores of the same samples in each setting."""
    return Table(
        ("Samples of", "Scored", "n", "Log-likelihood", "σ", "Stale"),
        [
            (
                methods[row["method"]]["label"].partition(":")[0],
                SETTINGS[row["setting"]],
                row["n"],
                words.pm(row["ll_mean"], row["ll_std"]),
                f"{row['sigma']:.3f}",
                row["stale"] or "",
            )
            for row in rows
        ],
    )
