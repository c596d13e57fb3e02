"""README.md's table of figures, written from the saved results between its two markers.

python -m tests.benchmarks.table
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.peers.bars import TITLES
from tests.benchmarks.results import read

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"


def main() -> int:
    """Replace what stands between the markers."""
    text = README.read_text()
    if BEGIN not in text or END not in text:
        print(f"README.md has no markers {BEGIN} and {END}: the table was not written")
        return 1
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    README.write_text("\n".join([before + BEGIN, *lines(), END + after]))
    return 0


def lines() -> Iterator[str]:
    """All that was measured, the newest of each section."""
    peers, fits = read("peers"), read("end_to_end")
    if peers:
        yield from iterations(peers)
    if fits:
        yield ""
        yield from whole_fits(fits)


def iterations(saved: dict) -> Iterator[str]:
    """Milliseconds of one iteration on one thread, by shape."""
    yield (
        f"Milliseconds of one EM iteration on one thread, medians of interleaved rounds "
        f"({where(saved)}, `make bench`):"
    )
    yield ""
    yield f"| N × D, K | floor | {' | '.join(TITLES.values())} |"
    yield f"|---|{'---:|' * (1 + len(TITLES))}"
    for found in saved["found"]:
        if found["threads"] == 1:
            cells = [milliseconds(found["seconds"].get(name)) for name in TITLES]
            cells[0] = f"**{cells[0]}**"
            n, d, k = found["shape"]
            kind = "" if found["family"] == "full" else " diagonal"
            floor = milliseconds(sum(found["floor"].values()))
            yield f"| {n:,} × {d}, {k}{kind} | {floor} | {' | '.join(cells)} |"


def whole_fits(saved: dict) -> Iterator[str]:
    """Seconds, memory and bytes of a fit from files."""
    found = saved["found"]
    yield (
        f"A fit from files to the model, {found['rows']:,} × 16 float32, K = 16, "
        f"{found['passes']} passes, two cores ({where(saved)}):"
    )
    yield ""
    yield "| | seconds | peak memory, GB | read, GB |"
    yield "|---|---:|---:|---:|"
    for name, one in found["by"].items():
        if "failed" in one:
            yield f"| {name} | {one['failed']} | | |"
        else:
            sizes = (one[key] / 1e9 for key in ("peak_bytes", "read_bytes"))
            made = one.get("iterations", found["passes"])
            fewer = "" if made == found["passes"] else f" ({made} iterations)"
            cells = " | ".join(f"{size:.1f}" for size in sizes)
            yield f"| {name}{fewer} | {one['seconds']:.1f} | {cells} |"


def where(saved: dict) -> str:
    """On what, and when: sections may come from different machines."""
    return f"{saved['machine']['processor']}, {saved['machine']['day']}"


def milliseconds(seconds: float | None) -> str:
    """To three digits at most; a dash where there is nothing."""
    if seconds is None:
        return "–"
    return f"{1e3 * seconds:.1f}" if seconds < 0.1 else f"{1e3 * seconds:,.0f}"


if __name__ == "__main__":
    sys.exit(main())
