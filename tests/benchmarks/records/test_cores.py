"""Cores and memory that a container grants, by control groups as kernels lay them out."""

import psutil
import pytest

from benchmarks.records import provenance


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine of 16 cores whose control groups are files here: name -> content."""
    monkeypatch.setattr(provenance, "CGROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(provenance, "SELF_CGROUP", tmp_path / "self")
    monkeypatch.setattr(provenance.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)

    def lay_out(own, **files):
        if own is not None:
            (tmp_path / "self").write_text(own)
        for name, content in files.items():
            path = tmp_path / "cgroup" / name.replace("__", "/").replace("_of_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    return lay_out


@pytest.mark.parametrize(
    "own, files, cores",
    [
        (None, {}, 16),
        ("0::/\n", {"cpu_of_max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu_of_max": "150000 100000\n"}, 2),  # docker run --cpus 1.5
        ("0::/\n", {"cpu_of_max": "10000 100000\n"}, 1),
        ("0::/\n", {"cpu_of_max": "max 100000\n"}, 16),
        ("0::/\n", {"cpu_of_max": "\n"}, 16),  # some kernels have an empty file
        ("0::/\n", {"cpu_of_max": "6400000 100000\n"}, 16),
        # by systemd: not at the top, and the group above may be the narrower one
        ("1:net_cls:/\n0::/user/app\n", {"user__app__cpu_of_max": "300000 100000\n"}, 3),
        (
            "0::/user/app\n",
            {"user__app__cpu_of_max": "max 100000\n", "user__cpu_of_max": "400000 100000\n"},
            4,
        ),
        ("0::/user/app\n", {"other__cpu_of_max": "100000 100000\n"}, 16),
        (
            "4:cpu,cpuacct:/job\n",
            {
                "cpu__job__cpu_of_cfs_quota_us": "500000\n",
                "cpu__job__cpu_of_cfs_period_us": "100000\n",
            },
            5,
        ),
        (
            "4:cpu:/\n",
            {"cpu__cpu_of_cfs_quota_us": "-1\n", "cpu__cpu_of_cfs_period_us": "100000\n"},
            16,
        ),
        ("broken\n", {}, 16),
    ],
)
def test_cores_are_those_that_control_groups_grant(machine, own, files, cores):
    machine(own, **files)
    assert provenance.n_cores() == cores


@pytest.mark.parametrize(
    "own, files, share",
    [
        (None, {}, 1),
        ("0::/\n", {"memory_of_max": "max\n"}, 1),
        ("0::/a/b\n", {"a__memory_of_max": "1000000000\n"}, None),
        ("7:memory:/a\n", {"memory__a__memory_of_limit_in_bytes": "1000000000\n"}, None),
    ],
)
def test_memory_is_that_of_the_groups_too(machine, own, files, share):
    machine(own, **files)
    whole = psutil.virtual_memory().total / 1e9
    assert provenance.memory_gb() == pytest.approx(min(1.0, whole) if share is None else whole)
