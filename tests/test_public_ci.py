"""Public CI and the hooks say what there is: files parse, environments exist, pins are whole."""

import configparser
import re
import shlex
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HOOKS = ROOT / ".pre-commit-config.yaml"
COMMIT = re.compile(r"[0-9a-f]{40}")


class Strict(yaml.SafeLoader):
    """Two keys of one name are an error, where YAML silently takes the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"twice in one mapping: {keys}{node.start_mark}"
        return super().construct_mapping(node, deep)


def load(path):
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Strict)


def tox():
    config = configparser.ConfigParser(interpolation=None)
    config.read_string((ROOT / "tox.ini").read_text(encoding="utf-8"))
    return config


def environments():
    return {name.partition(":")[2] for name in tox().sections() if name.startswith("testenv:")}


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements():
    """Every direct requirement of the project and its extras, by canonical name."""
    found = [
        *project()["dependencies"],
        *(r for extra in project()["optional-dependencies"].values() for r in extra),
    ]
    parsed = [Requirement(words) for words in found]
    return {canonicalize_name(r.name): r for r in parsed if r.name != project()["name"]}


def pins(name):
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("==")[::2] for line in lines if line and not line.startswith("#")]
    assert all(version for _, version in pairs), f"{name} has a line that pins nothing"
    found = {canonicalize_name(package): Version(version) for package, version in pairs}
    assert len(found) == len(pairs), f"{name} pins a package twice"
    return found


def jobs(path):
    """(job, its steps) with the values of its matrix put in, one for each machine that runs."""
    for name, job in load(path)["jobs"].items():
        for values in job.get("strategy", {}).get("matrix", {}).get("include", [{}]):
            text = yaml.safe_dump(job["steps"])
            for key in set(re.findall(r"\$\{\{ matrix\.(\w+) \}\}", text)):
                text = text.replace(f"${{{{ matrix.{key} }}}}", str(values.get(key, "")))
            yield name, job, values, yaml.safe_load(text)


def named(command):
    """Environments that a command hands to tox."""
    words = shlex.split(command)
    if "tox" not in words or "install" in words:
        return []
    words = words[words.index("tox") :]
    assert words[1:2] == ["run"], command
    return [
        env
        for flag, value in zip(words, words[1:], strict=False)
        if flag == "-e"
        for env in value.split(",")
    ]


def test_the_files_are_here():
    assert {path.name for path in WORKFLOWS} == {
        "tests.yml",
        "scheduled.yml",
        "nightly.yml",
        "pages.yml",
    } and HOOKS.is_file()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_runs_environments_that_exist(path):
    for name, _, values, steps in jobs(path):
        commands = [step["run"] for step in steps if "run" in step]
        ran = [env for command in commands for env in named(command)]
        if not commands:  # shows what another job has made
            assert load(path)["jobs"][name]["needs"] and steps
            continue
        assert len(ran) == 1 and set(ran) <= environments(), f"{name} {values}: {ran}"


def test_what_public_ci_is_to_run_is_run():
    ran = {
        (env, values.get("python"))
        for path in WORKFLOWS
        for _, _, values, steps in jobs(path)
        for step in steps
        if "run" in step
        for env in named(step["run"])
    }
    lowest = project()["requires-python"].removeprefix(">=")
    assert {("lint", lowest), ("lowest", lowest), ("tests", lowest), ("gate", lowest)} <= ran
    assert max(Version(python) for env, python in ran if env == "tests") > Version(lowest)
    tables = {"reproduce-table1", "reproduce-mnist", "reproduce-table2"}
    assert tables | {"data", "docs", "wheel"} <= {env for env, _ in ran}


def test_the_machines_of_table2_have_every_seed_once():
    seeds = [
        values["arguments"].removeprefix("--seeds ")
        for *_, values, _ in jobs(ROOT / ".github" / "workflows" / "scheduled.yml")
        if values.get("environment") == "reproduce-table2"
    ]
    from benchmarks import registry

    asked = [seed for words in seeds for seed in registry.parse_seeds(words)]
    assert asked == registry.suites()["table2"]["seeds"]


def test_the_parts_of_table2_are_joined():
    flow = load(ROOT / ".github" / "workflows" / "scheduled.yml")["jobs"]
    (parts,) = [
        step["with"]
        for step in flow["table2"]["steps"]
        if "download-artifact" in step.get("uses", "")
    ]
    (kept,) = [
        step["with"]["name"]
        for step in flow["tables"]["steps"]
        if "upload-artifact" in step.get("uses", "")
    ]
    (joined,) = [
        step["run"] for step in flow["table2"]["steps"] if "tox run" in step.get("run", "")
    ]
    picked = {
        values["name"]
        for values in flow["tables"]["strategy"]["matrix"]["include"]
        if fnmatch(kept.replace("${{ matrix.name }}", values["name"]), parts["pattern"])
    }
    assert picked == {
        values["name"]
        for values in flow["tables"]["strategy"]["matrix"]["include"]
        if values["environment"] == "reproduce-table2"
    }
    assert flow["table2"]["needs"] == "tables" and named(joined) == ["merge-table2"]
    folder = parts["path"].removeprefix("${{ runner.temp }}")
    assert f'"$RUNNER_TEMP"{folder}/*' in joined


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_has_least_rights_and_fixed_actions(path):
    flow = load(path)
    assert flow["permissions"] == {"contents": "read"} and flow["concurrency"]["group"]
    for name, job, _, steps in jobs(path):
        shows = any("actions/deploy-pages@" in step.get("uses", "") for step in steps)
        rights = {"pages": "write", "id-token": "write"} if shows else None
        assert job.get("permissions") == rights
        assert len(steps) == 1 or not shows  # no code of the repository runs with those rights
        assert job["timeout-minutes"] <= 360, name
        assert re.fullmatch(r"ubuntu-\d\d\.04", job["runs-on"]), name
        for step in steps:
            if "uses" in step:
                action, _, commit = step["uses"].partition("@")
                assert COMMIT.fullmatch(commit) and action.startswith("actions/"), step["uses"]
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False
    text = path.read_text(encoding="utf-8")
    assert "secrets." not in text and "git push" not in text and "pull_request_target" not in text
    for line in text.splitlines():
        if "uses:" in line:
            assert re.search(r"# v\d+\.\d+\.\d+$", line), f"{line.strip()}: which release is it?"
        # text of a branch or a request in a shell command is a command of whoever wrote it
        if "run:" in line:
            assert set(re.findall(r"\$\{\{ (\w+)\.", line)) <= {"matrix"}, line.strip()


def test_scheduled_work_starts_from_nothing_and_keeps_what_it_made():
    flow = load(ROOT / ".github" / "workflows" / "scheduled.yml")
    assert flow[True]["schedule"]  # YAML 1.1 reads the key `on` as a truth value
    steps = flow["jobs"]["tables"]["steps"]
    (table,) = [step for step in steps if "tox run" in step.get("run", "")]
    (kept,) = [step for step in steps if "upload-artifact" in step.get("uses", "")]
    assert table["env"]["MIXNET_RESULTS"].startswith("${{ runner.temp }}")
    assert kept["with"]["path"] == table["env"]["MIXNET_RESULTS"] and kept["if"] == "always()"
    assert table["timeout-minutes"] < flow["jobs"]["tables"]["timeout-minutes"]
    for job in flow["jobs"].values():
        for step in job["steps"]:
            if "tox run" in step.get("run", ""):
                own = step.get("env", {})
                assert "MIXNET_DATA" not in {**flow["env"], **own}
                for variable in own:  # or tox would not hand it on
                    assert variable in tox()["testenv"]["pass_env"].split()


def test_the_long_tests_run_every_night():
    flow = load(ROOT / ".github" / "workflows" / "nightly.yml")
    ((minute, hour, *days),) = [when["cron"].split() for when in flow[True]["schedule"]]
    assert minute.isdecimal() and hour.isdecimal() and days == ["*", "*", "*"]
    assert [
        env
        for job in flow["jobs"].values()
        for step in job["steps"]
        for env in named(step.get("run", ""))
    ] == ["slow"]
    assert "-m slow" in tox()["testenv:slow"]["commands"]


def test_what_git_ignores_of_results_is_kept_and_shown_by_public_ci():
    report, site, show = load(ROOT / ".github" / "workflows" / "pages.yml")["jobs"].values()
    steps = [*report["steps"], *site["steps"]]
    kept = {
        step["uses"].partition("@")[0]: step["with"]["path"]
        for step in steps
        if "load-" in step.get("uses", "") or "upload" in step.get("uses", "")
    }
    ignored = {
        line.lstrip("/")
        for line in (ROOT / ".gitignore").read_text().splitlines()
        if line.startswith("/results/") and not line.endswith("/")
    }
    assert set(kept["actions/upload-artifact"].split()) == ignored
    assert kept["actions/upload-pages-artifact"] == "site"
    made = "\n".join(step.get("run", "") for step in report["steps"])
    assert "tox run -e report" in made
    # the page lies where `tox -e docs` takes it from, into the site that is shown
    assert kept["actions/download-artifact"] == "results" and site["needs"] == "report"
    assert "tox run -e docs" in "\n".join(step.get("run", "") for step in site["steps"])
    assert tox()["testenv:report"]["commands"].split("\n")[1:] == [
        "mixnet table",
        "mixnet runs",
        "mixnet report",
    ]
    assert show["needs"] == "site" and "deploy-pages@" in show["steps"][0]["uses"]


def test_documentation_is_built_from_what_the_extra_names():
    docs, extra = tox()["testenv:docs"], project()["optional-dependencies"]["docs"]
    assert docs["deps"].split() == [Requirement(words).name for words in extra]
    assert "--strict" in docs["commands"] and docs["skip_install"] == "true"


def test_environments_of_the_same_packages_share_one_folder():
    config = tox()
    assert config["testenv"]["runner"] == "shared" and (ROOT / "toxfile.py").is_file()
    own = set()
    for name in environments():
        section = config[f"testenv:{name}"]
        if "runner" in section:
            assert section["runner"] == "virtualenv" and "{env_name}" in section["env_dir"]
            own.add(name)
        else:  # or the folder would be filled anew at every change between them
            assert not {
                "extras",
                "deps",
                "env_dir",
                "install_command",
                "base_python",
                "skip_install",
            } & set(section), name
    assert own == {"lint", "lowest", "gpu", "docs", "wheel"}


def test_hooks_call_tox_and_are_fixed():
    config = load(HOOKS)
    for repository in config["repos"]:
        hooks = {hook["id"]: hook for hook in repository["hooks"]}
        if repository["repo"] != "local":
            assert COMMIT.fullmatch(repository["rev"])
            assert {"check-toml", "check-yaml", "check-added-large-files"} <= set(hooks)
            continue
        assert {"lint", "notebook-pairs", "tests"} <= set(hooks)
        for hook in hooks.values():
            (environment,) = named(hook["entry"])
            assert environment in environments(), hook["id"]


def test_notebook_hook_picks_the_tests_of_the_pairs():
    (hook,) = [
        hook
        for repository in load(HOOKS)["repos"]
        for hook in repository["hooks"]
        if hook["id"] == "notebook-pairs"
    ]
    words = shlex.split(hook["entry"])
    source = (ROOT / words[words.index("--") + 1]).read_text(encoding="utf-8")
    chosen = words[words.index("-k") + 1].split(" or ")
    tests = re.findall(r"^def (test_\w+)", source, re.MULTILINE)
    picked = {word: [name for name in tests if word in name] for word in chosen}
    assert all(len(found) == 1 for found in picked.values()), picked
    assert re.match(hook["files"], "results/notebooks/table1.ipynb")


def test_large_file_guard_lets_pass_what_is_here():
    (hook,) = [
        hook
        for repository in load(HOOKS)["repos"]
        for hook in repository["hooks"]
        if hook["id"] == "check-added-large-files"
    ]
    (limit,) = [int(words.partition("=")[2]) for words in hook["args"]]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/results/report.html", "/results/runs.csv", "/results/partial/"} <= set(ignored)
    largest = max(
        path.stat().st_size
        for path in (ROOT / "results").rglob("*")
        if path.is_file()
        and "partial" not in path.parts
        and path.name not in ("report.html", "runs.csv")
    )
    assert largest <= limit * 1024


def test_lowest_pins_are_the_lower_bounds():
    lowest, wanted = pins("constraints-lowest.txt"), requirements()
    assert set(lowest) == set(wanted)
    for name, requirement in wanted.items():
        (bound,) = [Version(s.version) for s in requirement.specifier if s.operator == ">="]
        assert lowest[name] == bound, f"{name}: pinned {lowest[name]}, bound {bound}"


def test_highest_pins_lie_within_the_bounds():
    highest = pins("constraints.txt")
    for name, requirement in requirements().items():
        assert requirement.specifier.contains(highest[name]), requirement


def test_the_environment_of_the_lowest_pins_uses_them_and_the_lowest_python():
    lowest = tox()["testenv:lowest"]
    assert "constraints-lowest.txt" in lowest["install_command"]
    assert lowest["base_python"] == "python" + project()["requires-python"].removeprefix(">=")
    assert lowest["commands"].splitlines() == tox()["testenv:tests"]["commands"].splitlines()
    assert "constraints.txt" in tox()["testenv"]["install_command"]


def test_no_address_of_a_package_index():
    """It comes from a variable of whoever runs: see the README."""
    for path in (
        *WORKFLOWS,
        HOOKS,
        ROOT / "tox.ini",
        ROOT / "pyproject.toml",
        *ROOT.glob("constraints*.txt"),
    ):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"index-url|find-links|whl/", line), f"{path.name}: {line}"
    assert "PIP_*" in tox()["testenv"]["pass_env"]
    for path in WORKFLOWS:
        assert load(path)["env"]["PIP_EXTRA_INDEX_URL"] == "${{ vars.PIP_EXTRA_INDEX_URL }}"
