"""What scripts/gpu-check.sh found, as gpu.json and gpu.md: python3 report.py FOLDER"""

import datetime
import json
import pathlib
import sys


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def losses(folder, network):
    """The loss of every step of a training."""
    entries = [json.loads(line) for line in lines(folder / "log" / f"{network}.jsonl")]
    named = [dict(entry["losses"]) for entry in entries]
    return [each["loss"] for each in named if "loss" in each]


def curves(folder):
    """How far the GPU's loss curves are from the CPU's: mean of both, mean difference, over all steps."""
    found = {}
    for network in ("cam", "irn"):
        cpu, gpu = (losses(folder / f"train-{device}", network) for device in ("cpu", "cuda"))
        steps = min(len(cpu), len(gpu))
        if steps:
            apart = sum(abs(a - b) for a, b in zip(cpu, gpu)) / steps
            found[network] = {
                "steps": steps,
                "cpu_last": cpu[steps - 1],
                "cuda_last": gpu[steps - 1],
                "mean_difference": apart,
                "cpu_mean": sum(cpu[:steps]) / steps,
            }
    return found


def number(value, digits=4):
    return "-" if value is None else f"{value:.{digits}f}"


def page(found):
    """The same for a reader."""
    text = [f"# CUDA on {found['card'] or 'no card'}", "", f"Made by `scripts/gpu-check.sh` on {found['date']}.", ""]
    text += ["| check | |", "|---|---|"]
    text += [f"| {name} | {outcome} |" for name, outcome in found["checks"].items()]
    text += ["", "| stage | batch | precision | ours, s | PyTorch, s | its variant | times faster | our / its MiB |"]
    text += ["|---|---|---|---|---|---|---|---|"]
    for row in found["bench"]:
        peaks = f"{number(row['ours_peak_mib'], 0)} / {number(row['peer_peak_mib'], 0)}"
        cells = [row["stage"], row["batch"], row["precision"], number(row["ours_s"]), number(row["peer_s"])]
        cells += [row["peer"] or "-", number(row["ratio"], 2), peaks]
        text.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    for row in found["bench"]:
        if row["profile_ms"]:
            text += ["", f"{row['stage']}, {row['precision']}: milliseconds of a step (launches)", ""]
            longest = sorted(row["profile_ms"].items(), key=lambda item: -item[1][0])[:12]
            text += [f"- {name}: {milliseconds:.2f} ({count})" for name, (milliseconds, count) in longest]
    for network, curve in found["curves"].items():
        text += ["", f"{network} training, {curve['steps']} steps: mean loss on the CPU {curve['cpu_mean']:.5f}, "]
        text[-1] += f"mean difference of the GPU's {curve['mean_difference']:.5f}, last losses "
        text[-1] += f"{curve['cpu_last']:.5f} and {curve['cuda_last']:.5f}"
    return "\n".join(text) + "\n"


def main():
    folder = pathlib.Path(sys.argv[1])
    bench = folder / "bench-cuda.json"
    found = {
        "card": ", ".join(lines(folder / "card")),
        "date": datetime.date.today().isoformat(),
        "checks": dict(line.rsplit(" ", 1) for line in lines(folder / "results")),
        "bench": json.loads(bench.read_text()) if bench.exists() else [],
        "curves": curves(folder),
    }
    (folder / "gpu.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "gpu.md").write_text(page(found))
    print(page(found))


if __name__ == "__main__":
    main()
