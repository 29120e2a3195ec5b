"""Thousands of changed files, read by processes under guard; each mutant is known by its number.

`pytest -m slow -n 0 tests/test_campaign.py` runs all of it, in a few minutes on two cores, and the
fast tests run a sample. To make the mutant of a failure again: `campaign.mutant` of its number."""

import json
import pickle
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import campaign
import imagecodecs
import pytest

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="limits and counts of memory are those of Linux"
)
N_PROCESSES = 2
# before 2026.3.6 imagecodecs has no CCITT, and Pillow reads such a TIFF by libtiff, which prints
LIBTIFF_PRINTS = not hasattr(imagecodecs, "ccittfax4_decode")


def results_of(folder):
    "The lines of a process: of every mutant what was found, or nothing where it ended."
    found = {}
    for line in (folder / "results").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        found[entry["number"]] = entry
    return found


def run_share(kind, folder, begin, end):
    "The results of every second number or so, through as many processes as die on the way."
    folder.mkdir(parents=True)
    results = {}
    while begin < end:
        line = [sys.executable, campaign.__file__, kind, folder, begin, end, N_PROCESSES]
        code = subprocess.run(list(map(str, line)), stderr=subprocess.PIPE).returncode
        assert (folder / "results").exists(), (folder / "stderr").read_text(encoding="utf-8")
        results = results_of(folder)
        if code == 0:
            return results
        assert results, (folder / "stderr").read_text(encoding="utf-8")
        last = max(results)
        if "kind" not in results[last]:
            name = "time" if -code == signal.SIGALRM else f"ended by {code}"
            results[last]["fault"] = name
            with open(folder / "results", "a", encoding="utf-8") as file:
                file.write(json.dumps(results[last]) + "\n")
        begin = last + N_PROCESSES
    return results


def run_campaign(kind, seeds, folder, begin, end):
    "The results by number, of processes side by side."
    (folder / "seeds.pickle").write_bytes(pickle.dumps(seeds))
    with ThreadPoolExecutor(N_PROCESSES) as pool:
        shares = [
            pool.submit(run_share, kind, folder / f"share-{i}", begin + i, end)
            for i in range(N_PROCESSES)
        ]
        results = {}
        for share in shares:
            results |= share.result()
    assert sorted(results) == list(range(begin, end))
    return results


def is_print_of_libtiff(found):
    "Whether the only fault is what libtiff has printed, where it has to be used."
    of_tiff = "TIFF" in found.get("kind", "") + found.get("change", "")
    beginnings = (
        "stderr: ",
        "AssertionError: TIFF",
        "AssertionError: _TIFF",
        "AssertionError: Fax",
    )
    return LIBTIFF_PRINTS and of_tiff and found["fault"].startswith(beginnings)


def faults_of(results):
    "What went wrong, by number."
    lines = []
    for number, found in sorted(results.items()):
        if "fault" in found and not is_print_of_libtiff(found):
            words = f"{found.get('kind', '?')}, {found.get('change', '?')}: {found['fault']}"
            lines.append(f"mutant {number}, {words}")
    return lines


def print_table(results, kind, group):
    "How many mutants got how far, for each group of files."
    depths = campaign.DEPTHS[kind]
    counts = Counter((group(found), found.get("depth")) for found in results.values())
    groups = sorted({name for name, _ in counts})
    print(f"\n{'':16}" + "".join(f"{depth:>11}" for depth in depths))
    for name in groups:
        print(f"{name:16}" + "".join(f"{counts[name, depth]:11}" for depth in depths))
    totals = Counter(found.get("depth") for found in results.values())
    print(f"{'all':16}" + "".join(f"{totals[depth]:11}" for depth in depths))
    most = max(found.get("KiB", 0) for found in results.values())
    print(f"the most memory for one: {most / 1024:.0f} MiB")
    return totals, counts, groups


def first_word(found):
    return found.get("kind", "?").split()[0]


def whole_kind(found):
    return found.get("kind", "?")


def check(results, kind, group):
    "Print the table; look that nothing went wrong and that mutants got to every depth."
    totals, counts, groups = print_table(results, kind, group)
    faults = faults_of(results)
    assert not faults, "\n".join(faults)
    # no mutant makes the machine fail, which is exit code 3
    assert all(totals[depth] for depth in campaign.DEPTHS[kind] if depth != "3"), totals
    for name in groups:
        depths = [depth for depth in campaign.DEPTHS[kind] if counts[name, depth]]
        assert len(depths) > 1, f"all mutants of {name} got to {depths}"


@pytest.fixture(scope="module")
def pictures():
    return campaign.picture_seeds()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    return campaign.saved_seeds(tmp_path_factory.mktemp("whole"))


def test_there_are_files_of_many_kinds(pictures, saved):
    formats = {name.split()[0] for name in pictures}
    assert len(pictures) >= 40
    assert {"PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "TGA", "PCX", "ICO"} <= formats
    assert len(saved) == 6


def test_a_number_makes_one_mutant(pictures, saved):
    for make, seeds in ((campaign.picture_mutant, pictures), (campaign.saved_mutant, saved)):
        numbers = range(300)
        mutants = [make(seeds, number) for number in numbers]
        assert mutants[::30] == [make(seeds, number) for number in numbers[::30]]
        changed = sum(content != seeds[name] for name, _, content in mutants)
        assert changed > 250


def test_every_guard_catches_something(pictures, tmp_path):
    "A reader that hangs, crashes, fills memory, writes elsewhere or starts programs is caught."
    wrongs = campaign.Sabotage.wrongs
    results = run_campaign("sabotage", pictures, tmp_path, 0, len(wrongs))
    faults = {wrong: results[i].get("fault", "") for i, wrong in enumerate(wrongs)}
    assert faults.pop("nothing") == ""
    expected = {
        "time": "time",
        "memory": "memory",
        "crash": f"ended by {-signal.SIGSEGV}",
        "traceback": "KeyError",
        "stderr": "stderr: libthing: warning",
        "write": "writes",
        "process": "os.system",
        "socket": "socket.",
        "pickle": "pickle.find_class",
        "removal": "os.remove",
        "module": "runs",
    }
    assert all(expected[wrong] in faults[wrong] for wrong in expected), faults
    assert expected.keys() == faults.keys()


def test_a_sample_of_pictures(pictures, tmp_path):
    results = run_campaign("pictures", pictures, tmp_path, 1_000_000, 1_000_100)
    assert not faults_of(results), "\n".join(faults_of(results))
    assert len({found["depth"] for found in results.values()}) >= 3


def test_a_sample_of_saved_files(saved, tmp_path):
    results = run_campaign("saved", saved, tmp_path, 1_000_000, 1_000_100)
    assert not faults_of(results), "\n".join(faults_of(results))
    assert len({found["depth"] for found in results.values()}) >= 4


@pytest.mark.slow
def test_pictures(pictures, tmp_path):
    check(run_campaign("pictures", pictures, tmp_path, 0, 20_000), "pictures", first_word)


@pytest.mark.slow
def test_saved_files(saved, tmp_path):
    check(run_campaign("saved", saved, tmp_path, 0, 8000), "saved", whole_kind)


@pytest.mark.slow
def test_command_lines(pictures, saved, tmp_path):
    results = run_campaign("commands", (pictures, saved), tmp_path, 0, 1500)
    check(results, "commands", whole_kind)
