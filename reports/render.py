# SPDX-License-Identifier: MIT
"""Writes report.json, report.csv, report.md and the pictures of one result file, and the table for the terminal."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import jinja2

from frontdoor.commit import label
from frontdoor.place import write_whole
from reports import claims as judging
from reports import accuracy, calibration, quote, skipped, verdict
from reports.assemble import assemble
from reports.extras import load as load_extras
from reports.quote import STOCK
from reports.stream import Key, read

HERE = Path(__file__).resolve().parent
WRONG_SHOWN = 8  # in the terminal
CSV_FIELDS = (
    *Key._fields,
    "settings",
    "unit",
    "ps_per_element",
    "ci_low",
    "ci_high",
    "samples",
    "rel_iqr",
    "converged",
    "verified",
    "baseline",
    "host_bound",
    "gb_s",
    "percent_copy",
    "gflop_s",
    "percent_fma",
    "limit",
    "discarded",
    "peak_bytes",
    "kept_bytes",
    "error",
    "commit",
)


def number(value: float | None, digits: int = 3) -> str:
    """Enough digits to compare, none to impress: 0.0123, 4.56, 789, 12300."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e6:
        return f"{value:.1e}"
    text = f"{value:#.{digits}g}"
    return f"{float(text):.0f}" if "e" in text else text.rstrip(".")


def speedup(ratio: dict | None) -> str:
    if ratio is None:
        return "–"
    if ratio["low"] is None:
        return f"{number(ratio['ratio'])}×"
    return f"{number(ratio['ratio'])}× [{number(ratio['low'])}, {number(ratio['high'])}]"


def headline_table(report: dict, spec: dict) -> list[dict]:
    """The production row against each baseline at its best, problem by problem."""
    rows = {tuple(r[f] for f in Key._fields): r for r in report["rows"]}
    wanted = [r for r in report["ratios"] if r["subject"] == spec["headline"]]
    known = quote.known_ratios(wanted)
    baselines = {r["name"] for r in report["rows"] if r["baseline"] and not r["name"].endswith(STOCK)}
    tuned = (r for r in wanted if r["baseline"] in baselines)
    table = []
    for ratio in quote.quoted(tuned, quote.short_shapes(report["rows"])).values():
        over_stock = known.get((ratio["subject"], ratio["baseline"] + STOCK, *quote.problem(ratio), ratio["clock"]))
        ratio = quote.hardest(quote.at_settings(ratio, known))
        name, setting = quote.row_and_setting(ratio["baseline"])
        clock = "graph" if quote.is_captured(ratio["baseline"]) else ratio["clock"]
        subject = rows[(ratio["subject"], *quote.problem(ratio), ratio["clock"])]
        base = rows[(ratio["baseline"].removesuffix(quote.CAPTURED), *quote.problem(ratio), clock)]
        table.append(
            {
                "shape": quote.shape(ratio),
                "mode": ratio["mode"],
                "padding": ratio["padding"],
                "clock": ratio["clock"],
                "subject_ps": number(subject["ps_per_element"]) + ("" if subject["converged"] else "\\*"),
                "baseline": name,
                "setting": setting,
                "baseline_ps": number(base["ps_per_element"]) + ("" if base["converged"] else "\\*"),
                "speedup": speedup(ratio),
                "stock": "–" if over_stock is None else f"{number(over_stock['ratio'])}×",
            }
        )
    return table


def _claims(report: dict) -> tuple[list[dict], list[str], list[str]]:
    """Lines of the claims' table, their notes (each told once, lines have their numbers), and claims with no figure."""
    lines, notes, absent = [], [], []
    measured = {c["name"] for c in report["claims"] if c["verdict"] != "NOT MEASURED"}
    for claim in report["claims"]:
        if claim["name"] not in measured:
            reason = f"{claim['name']}: {claim['note']}"
            if reason not in absent:
                absent.append(reason)
            continue
        for note in claim["notes"]:
            if note not in notes:
                notes.append(note)
        least, most = claim["range"]
        lines.append(
            claim
            | {
                "shape": quote.shape(claim),
                "range_text": f"≥ {least:g}" if most is None else f"{least:g} to {most:g}",
                "ratio_text": "–" if claim["ratio"] is None else f"{number(claim['ratio'])}×",
                "interval_text": "–" if claim["low"] is None else f"{number(claim['low'])} to {number(claim['high'])}",
                "marks": ", ".join(str(notes.index(note) + 1) for note in claim["notes"]),
            }
        )
    return lines, notes, absent


def _groups(report: dict) -> list[dict]:
    groups: dict[tuple, list[dict]] = {}
    for r in report["rows"]:
        if r["error"]:
            continue
        verdict = r["verdict"] or {}
        interval = f"{number(r['ci_low'], 4)} to {number(r['ci_high'], 4)}" if r["ci_low"] is not None else "–"
        groups.setdefault((*quote.problem(r), r["clock"]), []).append(
            {
                "name": r["name"],
                "marks": ("" if r["converged"] else " \\*")
                + (" †" if r["host_bound"] else "")
                + (f" ({r['discarded']} discarded)" if r["discarded"] else ""),
                "ps": number(r["ps_per_element"], 4),
                "interval": interval,
                "samples": r["samples"],
                "iqr": "–" if r["rel_iqr"] is None else f"{100 * r['rel_iqr']:.1f} %",
                "percent_copy": f"{r['percent_copy']:.0f} %" if "percent_copy" in r else "–",
                "percent_fma": f"{r['percent_fma']:.0f} %" if "percent_fma" in r else "–",
                "limit": r.get("limit", "–"),
                "mean_error": number(verdict.get("mean_error"), 2),
                "gradient_error": number(verdict.get("gradient_error"), 2),
                "launches": (r["cost"] or {}).get("launches") or "–",
                "gb_s": number(r.get("gb_s")),
                "gfma_s": number(None if r.get("gflop_s") is None else r["gflop_s"] / 2),
                "_ps": r["ps_per_element"],
                "_unit": r["unit"],
            }
        )
    return [
        {
            "title": f"{'×'.join(map(str, key[3:7]))}, {key[1]}, {key[2]}, {key[7]} ({rows[0]['_unit'] or key[0]})",
            "rows": sorted(rows, key=lambda r: r["_ps"]),
        }
        for key, rows in groups.items()
    ]


def _memory(report: dict) -> list[dict]:
    """One line a row, problem and mode; memory does not depend on the clock."""
    lines: dict[tuple, dict] = {}
    for r in report["rows"]:
        if r["error"] or r.get("peak_bytes") is None or r["name"].endswith(STOCK):
            continue
        elements = quote.elements(r)
        lines[(*quote.problem(r), r["name"])] = {
            "shape": quote.shape(r),
            "mode": r["mode"],
            "padding": r["padding"],
            "name": r["name"],
            "peak": f"{r['peak_bytes'] / 1e6:.4g}",
            "peak_each": number(r["peak_bytes"] / elements),
            "kept": "–" if r["mode"] == "infer" else "one call" if r["kept_bytes"] is None
            else f"{r['kept_bytes'] / 1e6:.4g}",
        }  # fmt: skip
    return list(lines.values())


def _upstream(report: dict) -> list[dict]:
    ms = {f: (lambda value: "–" if value is None else number(1e3 * value)) for f in ("forward_s", "backward_s")}
    return [
        {"name": r["name"], "padding": r["padding"], "shape": quote.shape(r), "reason": r.get("reason") or "",
         **{f: text(r.get(f)) for f, text in ms.items()}}
        for r in report["upstream_protocol"]
    ]  # fmt: skip


def _peers(report: dict) -> dict | None:
    peers = report["peers"]
    if not peers:
        return None
    lines = [
        {
            "shape": quote.shape(r),
            "mode": r["mode"],
            "padding": r["padding"],
            "clock": r["clock"],
            "subject": r["subject"],
            "baseline": r["baseline"],
            "ratio": speedup(r) + ("" if r.get("converged", True) else " \\*"),
        }
        for r in peers["ratios"]
    ]
    equivalence = [
        {**e, "shape": quote.shape(e), "ratio": speedup(e), "verdict": "within" if e["within"] else "not shown to be"}
        for e in peers["equivalence"]
    ]
    return {"ratios": lines, "systems": peers["systems"], "device": peers["environment"].get("device_name"),
            "equivalence": equivalence, "commit": str(peers.get("commit") or "unknown")[:12]}  # fmt: skip


def markdown(
    report: dict,
    spec: dict,
    pictures: dict[str, str],
    beside: list[tuple[str, str]] = (),
    errors: dict | None = None,
) -> str:
    loader = jinja2.FileSystemLoader(HERE)
    template = jinja2.Environment(loader=loader, keep_trailing_newline=True, autoescape=False).get_template(
        "report.md.j2"
    )
    environment = report["environment"]
    table = [(k.replace("_", " "), "–" if v is None else str(v).replace("|", "\\|")) for k, v in environment.items()]
    table += [
        ("copy bandwidth, measured here", f"{number(report['ceilings']['copy_gb_s'])} GB/s"),
        ("fp32 rate, measured here", f"{number(report['ceilings']['fma_gflop_s'])} GFLOP/s"),
    ]
    if report["ceilings"].get("tensor_gflop_s"):
        rate = number(report["ceilings"]["tensor_gflop_s"])
        table.append(("tensor cores, fp16 products with fp32 sums, measured here", f"{rate} GFLOP/s"))
    wrong = [
        {"key": Key(*(r[f] for f in Key._fields)).text(), "error": r["error"]} for r in report["rows"] if r["error"]
    ]
    claims, notes, absent = _claims(report)
    return template.render(
        report=report,
        spec=spec,
        environment=environment,
        environment_table=table,
        pictures=pictures,
        headline=judging.headline(report["claims"]),
        headline_table=headline_table(report, spec),
        claims=claims,
        notes=notes,
        absent=absent,
        groups=_groups(report),
        wrong=wrong,
        skipped=skipped.lines(report),
        missing=skipped.sentence(report),
        commit=_commit(report),
        calibration=calibration.sentence(report["calibration"], environment),
        calibration_text=calibration.text(report["calibration"]) if report["calibration"] else "",
        verdict=verdict.text(report),
        memory=_memory(report),
        upstream=_upstream(report),
        peers=_peers(report),
        beside=beside,
        accuracy=accuracy.sentence(errors),
    )


def _commit(report: dict) -> str:
    environment = report["environment"]
    return label(environment.get("commit"), environment.get("dirty"))


def comma_separated(report: dict) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in report["rows"]:
        line = row | {"commit": _commit(report)}
        writer.writerow({f: "" if line.get(f) is None else line[f] for f in CSV_FIELDS})
    return text.getvalue()


def terminal(report: dict, spec: dict) -> str:
    """The table, then the verdict."""
    table = headline_table(report, spec)
    columns = ["shape", "mode", "padding", "clock", "subject_ps", "baseline", "setting", "baseline_ps", "speedup",
               "stock"]  # fmt: skip
    titles = ["shape", "mode", "padding", "clock", spec["headline"], "baseline", "setting", "its time", "speed-up",
              "over stock"]  # fmt: skip
    lines = [titles, *[[r[c].replace("\\*", "*") for c in columns] for r in table]]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    out = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths)).rstrip() for line in lines] if table else []
    if table:
        out.insert(1, "-" * len(out[0]))
        out.append("(ps per element; * did not converge)")
    wrong = [r for r in report["rows"] if r["error"]]
    for r in wrong[:WRONG_SHOWN]:
        out.append(f"WRONG {Key(*(r[f] for f in Key._fields)).text()}: {r['error'].splitlines()[0]}")
    if len(wrong) > WRONG_SHOWN:
        out.append(f"... and {len(wrong) - WRONG_SHOWN} more wrong rows, in report.md")
    known = calibration.sentence(report["calibration"], report["environment"]).replace("**", "").replace("`", "")
    steep = report["cliffs"]["verdict"] if report["cliffs"] else []
    missing = skipped.sentence(report)
    told = [*judging.headline(report["claims"]), *([missing] if missing else []), *steep]
    return "\n".join([*out, "", known, "", *told])


def write(stream: Path, folder: Path) -> tuple[dict, str]:
    """All files of the report from one result file and what lies beside it; the report and the text for the terminal.

    Raises reports.stream.Damaged, ValueError (a damaged file beside it) and OSError (unreadable, unwritable, full).
    """
    from reports import plots

    spec = judging.load()
    run = read(stream)
    extras = load_extras(Path(stream).parent, run.environment)
    report = assemble(run, spec, extras=extras)
    folder.mkdir(parents=True, exist_ok=True)
    pictures = plots.draw(report, spec, folder)
    write_whole(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    write_whole(folder / "report.csv", comma_separated(report))
    write_whole(folder / "report.md", markdown(report, spec, pictures, extras.beside, extras.accuracy))
    if extras.accuracy:
        write_whole(folder / accuracy.PAGE, accuracy.page(extras.accuracy))
    return report, terminal(report, spec)
