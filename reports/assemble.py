# SPDX-License-Identifier: MIT
"""From a result file to the report as data: report.json's content (schema: report.schema.json)."""

from __future__ import annotations

from reports import claims as judging
from reports import cliffs
from reports import error_rates
from reports.extras import Extras
from reports.quote import CAPTURED, STOCK
from reports.ratios import Ratio, between_clocks, bootstrap, round_ratios
from reports.stream import Key, Run


def _key_fields(key: Key, name: str | None = None) -> dict:
    fields = key._asdict()
    if name is not None:
        fields["name"] = name
    return fields


def _name(settings: str, key: Key) -> str:
    return key.name + STOCK if settings == "stock" else key.name


def _reported(run: Run, settings: str, key: Key, record: dict | None) -> bool:
    """Of the stock pass the baselines alone: the rest is there for its ratios."""
    if settings == "best":
        return True
    record = record or run.rows.get(("best", key), {})
    return bool(record.get("baseline"))


def _order(run: Run) -> dict[str, int]:
    """Rows in the order in which the benchmark knows them."""
    return {name: n for n, name in enumerate(dict.fromkeys(key.name for _, key in [*run.rows, *run.skipped]))}


def _per_element(seconds: float | None, key: Key) -> float | None:
    return None if seconds is None else 1e12 * seconds / key.elements


def limits(record: dict, ceilings: dict | None) -> dict:
    """What the row's own cost model says it moves and computes, beside the ceilings of the same run."""
    seconds, cost = record.get("seconds"), record.get("cost") or {}
    if not seconds:
        return {}
    found: dict = {}
    bytes_moved, fma = cost.get("dram_bytes") or 0, cost.get("fma") or 0
    shares = {}
    if bytes_moved:
        found["gb_s"] = bytes_moved / seconds / 1e9
        if ceilings and ceilings.get("copy_gb_s"):
            shares["memory"] = found["percent_copy"] = 100 * found["gb_s"] / ceilings["copy_gb_s"]
    if fma:
        found["gflop_s"] = 2 * fma / seconds / 1e9
        if ceilings and ceilings.get("fma_gflop_s"):
            shares["arithmetic"] = found["percent_fma"] = 100 * found["gflop_s"] / ceilings["fma_gflop_s"]
    if record.get("host_bound"):
        found["limit"] = "host"
    elif shares:
        # Under half of either ceiling neither can be what holds the row up.
        best = max(shares, key=lambda k: shares[k])
        found["limit"] = best if shares[best] >= 50 else "neither"
    return found


def _rows(run: Run) -> list[dict]:
    rows = []
    for (settings, key), record in run.rows.items():
        if not _reported(run, settings, key, record):
            continue
        row = _key_fields(key, _name(settings, key))
        good = record.get("error") is None
        row |= {
            "ps_per_element": _per_element(record.get("seconds"), key) if good else None,
            "samples": record.get("samples", 0),
            "rel_iqr": record.get("rel_iqr") if good else None,
            "ci_low": _per_element(record.get("ci_low"), key) if good else None,
            "ci_high": _per_element(record.get("ci_high"), key) if good else None,
            "converged": bool(record.get("converged")),
            "verified": bool(record.get("verified")),
            "error": record.get("error"),
            "seconds": record.get("seconds") if good else None,
            "settings": settings,
            "baseline": bool(record.get("baseline")),
            "idea": record.get("idea", ""),
            "host_bound": bool(record.get("host_bound")),
            "discarded": record.get("discarded", 0),
            "peak_bytes": (record.get("memory") or {}).get("peak_bytes"),
            "kept_bytes": (record.get("memory") or {}).get("kept_bytes"),
            "unmet": record.get("unmet"),
            "cost": record.get("cost"),
            "verdict": record.get("verdict"),
            "unit": record.get("unit"),
        }
        if good:
            row |= limits(record, run.ceilings.get(key.device))
        rows.append(row)
    return rows


def _skipped(run: Run) -> list[dict]:
    skipped = [
        _key_fields(key, _name(settings, key)) | {"reason": reason}
        for (settings, key), reason in run.skipped.items()
        if _reported(run, settings, key, None)
    ]
    skipped += [
        _key_fields(key, _name(settings, key)) | {"reason": "the run was interrupted before this row was finished"}
        for settings, key in run.unfinished()
        if _reported(run, settings, key, None)
    ]
    return skipped


def _ratios(run: Run, spec: dict) -> list[dict]:
    pairs = {tuple(pair) for pair in spec["pairs"]}
    good = {known: r for known, r in run.rows.items() if r.get("error") is None and r.get("seconds")}
    by_problem: dict[tuple[str, Key], list[tuple[Key, dict]]] = {}
    for (settings, key), record in good.items():
        by_problem.setdefault((settings, key.problem), []).append((key, record))
    found = []
    for (settings, problem), rows in by_problem.items():
        for base_key, base in rows:
            for key, record in rows:
                against_baseline = base.get("baseline") and not record.get("baseline")
                if not against_baseline and (base_key.name, key.name) not in pairs:
                    continue
                if settings == "stock" and not base.get("baseline"):
                    continue
                compared = [(base_key, base)]
                captured = base_key._replace(clock="graph")
                if against_baseline and (settings, captured) in good and key.clock != "graph":
                    compared.append((captured, good[settings, captured]))
                for its_key, its_record in compared:
                    ratio = _ratio(run, settings, its_key, key)
                    if ratio is None:
                        continue
                    name = _name(settings, base_key) + (CAPTURED if its_key.clock != key.clock else "")
                    entry = {"baseline": name, "subject": key.name}
                    entry |= {field: getattr(problem, field) for field in Key._fields[1:]}
                    entry |= {"ratio": ratio.ratio, "low": ratio.low, "high": ratio.high, "rounds": ratio.rounds}
                    entry["converged"] = bool(its_record.get("converged")) and bool(record.get("converged"))
                    found.append(entry)
    return found


def _ratio(run: Run, settings: str, base_key: Key, key: Key) -> Ratio | None:
    sides = [run.samples.get((settings, k), {}) for k in (base_key, key)]
    seed = f"{settings} {base_key.text()} {key.text()}"
    return bootstrap(round_ratios(*sides), seed) if base_key.clock == key.clock else between_clocks(*sides, seed)


def assemble(
    run: Run, spec: dict | None = None, stand_in: dict | None = None, extras: Extras | None = None
) -> dict:
    extras = extras or Extras()
    spec = judging.load() if spec is None else spec
    stand_in = judging.load_stand_in() if stand_in is None else stand_in
    order = _order(run)

    def place(entry: dict) -> tuple:
        name = entry.get("name") or entry.get("subject")
        elements = entry["batch"] * entry["channels"] * entry["height"] * entry["width"]
        first = order.get(str(name).removesuffix(STOCK), len(order))
        return (
            entry["device"],
            elements,
            entry["batch"],
            entry["height"],
            entry["padding"],
            entry["mode"],
            entry["clock"],
            str(name).endswith(STOCK),
            first,
            entry.get("baseline", "") if "subject" in entry else "",
        )

    devices = sorted({key.device for _, key in run.rows}) or sorted(run.ceilings)
    first = run.ceilings.get(devices[0], {}) if devices else {}
    ratios = sorted(_ratios(run, spec), key=place)
    rows = sorted(_rows(run), key=place)
    report = {
        "schema": 1,
        "set": run.set_name,
        "interrupted": run.interrupted,
        "environment": run.environment,
        "ceilings": {"copy_gb_s": first.get("copy_gb_s"), "fma_gflop_s": first.get("fma_gflop_s")}
        | ({"tensor_gflop_s": first["tensor_gflop_s"]} if first.get("tensor_gflop_s") else {}),
        "rows": rows,
        "skipped": sorted(_skipped(run), key=place),
        "ratios": ratios,
        "claims": judging.judge(run, ratios, spec, stand_in, extras.peers),
        "upstream_protocol": [{k: v for k, v in r.items() if k not in ("type", "process")} for r in run.upstream],
        "calibration": extras.calibration,
        "peers": extras.peers,
        "gate": error_rates.sentences(extras.gate),
        "profiles": extras.profiles,
        "cliffs": cliffs.summary(rows, spec["headline"]),
    }
    return report
