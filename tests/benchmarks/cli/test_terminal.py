"""What the terminal does for its user: completion, nearest names, short answers."""

import os
import re
import subprocess
import sys

import pytest

from benchmarks import registry
from benchmarks.cli.arguments import parser
from benchmarks.cli.completion import commands_of, offered, options_of
from benchmarks.cli.main import main
from benchmarks.records.folders import ROOT


@pytest.mark.parametrize(
    "words, message",
    [
        (["tabel"], "unknown command 'tabel'; did you mean table?"),
        (["rn", "small"], "unknown command 'rn'; did you mean run"),
        (["run", "small", "--fsat"], "unknown option '--fsat'; did you mean --fast?"),
        (["run", "--fsat"], "unknown option '--fsat'; did you mean --fast?"),
        (["run", "small", "--sead=1"], "unknown option '--sead'; did you mean --seeds"),
        (["data", "add", "x", "f", "--sclaing", "none"], "did you mean --scaling?"),
        (["run", "small", "--xyzzy"], "unknown option '--xyzzy'; known: --data-source, --datasets"),
    ],
)
def test_commands_and_options_that_there_are_not_are_answered_with_the_nearest(
    box, capsys, words, message
):
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_every_option_may_be_written_in_full_or_shortened_as_argparse_takes_it(box):
    for name, command in commands_of(parser()).items():
        for option in options_of(command):
            # one that takes a value gets none, or a wrong one: argparse answers, and not we
            with pytest.raises(SystemExit):
                main([*name.split(), option[:-1] if len(option) > 6 else option, "--help"])


def test_without_a_command_all_of_them_are_listed(capsys):
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert all(name in said for name in commands_of(parser()))


@pytest.mark.parametrize(
    "words, found",
    [
        (["st"], ["status"]),
        (["data", "ad"], ["add"]),
        (["data", "add", ""], []),
        (["data", "add", "mine", "points.csv", "--header", ""], ["auto", "no", "yes"]),
        (["list", "me"], ["methods"]),
        (["run", "smal"], ["small"]),
        (["table", "cl"], ["claims"]),
        (["run", "small", "bl"], []),
        (["run", "small", "--me"], ["--memory-limit", "--methods"]),
        (["run", "small", "--dry-run", "--data-"], ["--data-source"]),
        (["run", "small", "--device", "cu"], ["cuda"]),
        (["run", "small", "--datasets", "bl"], ["blobs"]),
        (["run", "small", "--jobs", ""], []),
        (["nothing", ""], []),
    ],
)
def test_completion_offers_what_may_stand_there(box, words, found):
    assert offered(parser(), words) == found


def test_after_a_comma_names_that_are_not_there_yet_are_offered(box):
    names = [name for name in registry.methods() if name.startswith("k")]
    assert "kmeans" in names
    found = offered(parser(), ["run", "small", "--methods", "kmeans,k"])
    assert set(found) == {f"kmeans,{name}" for name in names if name != "kmeans"}


def bash(script, folder, **variables):
    """Lines that a script prints for which `mixnet` is the command of this checkout."""
    command = folder / "bin" / "mixnet"
    command.parent.mkdir(exist_ok=True)
    command.write_text(
        f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from benchmarks.cli.main import main\nsys.exit(main())\n",
        encoding="utf-8",
    )
    command.chmod(0o755)
    path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, **variables}
    done = subprocess.run(
        ["bash", "-e", "-c", script], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_bash_completes_by_the_script_that_is_printed(tmp_path):
    script = (
        'eval "$(mixnet completion bash)"; COMP_WORDS=(mixnet run table1 --datasets usps,coil); '
        'COMP_CWORD=4; _mixnet; printf "%s\\n" "${COMPREPLY[@]}"; complete -p mixnet'
    )
    assert bash(script, tmp_path) == ["usps,coil20", "complete -o default -F _mixnet mixnet"]


def test_the_job_array_of_the_guide_gives_the_records_of_one_machine(box, tmp_path):
    """docs/benchmark.md, its two scripts as they stand but for the name of the suite."""
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    task, after = re.findall(r"^```bash\n(.*?)^```", page, re.M | re.S)
    box.suite(["flat"], ["kmeans"], seeds="0-1")
    (first, last) = re.search(r"--array=(\d+)-(\d+)", task).groups()
    whole = registry.suites()["small"]["seeds"]
    assert (int(first), int(last)) == (0, 9) and whole == [0, 1]
    for seed in whole:
        bash(
            task.replace("table1", "small"),
            tmp_path,
            SCRATCH=str(tmp_path),
            SLURM_ARRAY_TASK_ID=str(seed),
        )
    assert not box.results.exists()
    box.results.mkdir()
    bash(after.replace("table1", "small"), tmp_path, SCRATCH=str(tmp_path))
    assert [r["cell"]["seed"] for r in box.store.all()] == whole and box.run().complete
    assert len(box.ran()) == len(whole) and (box.results / "small.md").is_file()


def test_the_data_are_a_line_each_and_paragraphs_only_when_asked_for(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path))
    monkeypatch.setenv("MIXNET_CACHE", str(tmp_path))
    n = len(registry.datasets())
    assert main(["data"]) == 1
    *rows, last = capsys.readouterr().out.splitlines()
    assert len(rows) == n and "`mixnet data --fetch`" in last and "`mixnet data -v`" in last
    assert main(["data", "-v"]) == 1
    assert len(capsys.readouterr().out.splitlines()) > n + 1
    assert main(["data", "usps"]) == 1
    assert len(capsys.readouterr().out.splitlines()) > 1


def test_the_doctor_counts_the_data_and_lists_them_when_asked_to(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("MIXNET_DATA", str(tmp_path))
    monkeypatch.setenv("MIXNET_CACHE", str(tmp_path))
    assert main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert len(said.splitlines()) < 20 and f" of {len(registry.datasets())} datasets" in said
    assert "usps" not in said
    assert main(["doctor", "-v"]) == 1
    assert "usps             missing" in capsys.readouterr().out
