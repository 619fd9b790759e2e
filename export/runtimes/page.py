"""docs/runtimes.md out of the rows of docs/runtimes.json."""

HEAD = """# The graphs in other runtimes

What `irn-export onnx` writes, in every runtime we could install, against Candle (irn's own forward pass).
Made by `make runtimes` on {date}; machine: {machine}; one thread each; the raw figures are in
[runtimes.json](runtimes.json).

* Networks: those of `make demo` (ResNet-18 of half the width) at {sizes}; a ResNet-50 of full width at
  {large}; batches of 1 and 2.
* Relative difference: the largest absolute difference over the largest absolute value of that output by
  Candle; the worst of both outputs, all sizes and both batches. Ok up to {tolerance:.0e}.
* `labels` has no batch. Its labels are compared with the mask of `irn-infer one` (ok from {agreement:.1%} of the
  pixels), its scores with ONNX Runtime's.
* Milliseconds are the least of three, for one photo of batch 1, at the largest size of the column.
* onnx.checker is run with `full_check`, shape inference strict, with data propagation and the input's shape
  filled in; its output shapes are compared with Candle's.
"""

# What we found out about a failure: runtime, graph, why.
NOTES = {
    ("onnx.reference", "labels"): "its linear Resize takes a wrong neighbour where a coordinate is whole but for "
    "rounding (7 rows to 17)",
}

COLUMNS = [
    ("cam", "resnet18x0.5"),
    ("irn", "resnet18x0.5"),
    ("labels", "resnet18x0.5"),
    ("cam", "resnet50"),
    ("irn", "resnet50"),
]


def written(rows, about):
    import matrix
    from models import LARGE, SIZES

    def sizes(pairs):
        return ", ".join(f"{height}x{width}" for height, width in pairs)

    limits = {"tolerance": matrix.TOLERANCE, "agreement": matrix.AGREEMENT}
    head = HEAD.format(**about, **limits, sizes=sizes(SIZES), large=sizes(LARGE))
    parts = [head, "## Agreement", table(rows, agreement), "## Milliseconds a photo", table(rows, speed)]
    return "\n".join([*parts, "## Failures", failures(rows)]) + "\n"


def table(rows, cell):
    names = list(dict.fromkeys((row["runtime"], row["version"]) for row in rows))
    titles = " | ".join(f"`{graph}` {network.replace('resnet', 'ResNet-')}" for graph, network in COLUMNS)
    lines = [f"| runtime | {titles} |", "|---|" + "---|" * len(COLUMNS)]
    for name, version in names:
        cells = [cell(of(rows, name, column)) for column in COLUMNS]
        lines.append(f"| {name} {version} | {' | '.join(cells)} |")
    return "\n".join(["", *lines, ""])


def of(rows, runtime, column):
    return [row for row in rows if (row["runtime"], row["graph"], row["network"]) == (runtime, *column)]


def agreement(rows):
    if not rows:
        return ""
    good = [row for row in rows if row["status"] != "failed"]
    parts = [] if len(good) == len(rows) else [f"{len(good)} of {len(rows)}" if good else "failed"]
    differences = [row["max_rel"] for row in good if row["max_rel"] is not None]
    if differences:
        parts.append(f"{max(differences):.1e}")
    equal = [row["agreement"] for row in good if "agreement" in row]
    if equal:
        parts.append(f"labels {100 * min(equal):.2f} %")
    return ", ".join(parts) or "ok"


def speed(rows):
    good = [row for row in rows if row["ms"] is not None and row["status"] != "failed" and row["batch"] == 1]
    return f"{max(good, key=lambda row: row['size'][0] * row['size'][1])['ms']:.0f}" if good else ""


def failures(rows):
    """One line for every runtime, graph and reason."""
    found = {}
    for row in rows:
        if row["status"] == "failed":
            where = f"{row['batch']} of {row['size'][0]}x{row['size'][1]}"
            found.setdefault((row["runtime"], row["graph"], row["network"], row["reason"]), []).append((where, row))
    lines = []
    for (runtime, graph, network, reason), cases in found.items():
        apart = [row["max_rel"] for _, row in cases if row["max_rel"] is not None]
        more = f" (relative {max(apart):.1e})" if apart else ""
        places = ", ".join(where for where, _ in cases)
        note = f"; {NOTES[runtime, graph]}" if (runtime, graph) in NOTES and apart else ""
        lines.append(f"* **{runtime}**, `{graph}` {network}, {places}: {reason}{more}{note}")
    return "\n".join(["", *lines]) if lines else "\nNone."
