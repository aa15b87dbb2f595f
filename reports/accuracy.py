# SPDX-License-Identifier: MIT
"""The worst error of each row on each input class: accuracy.json (build/verify/ssim_accuracy writes it;
verify/accuracy_table.hpp has its fields) and the page made of it.

    ./suite report --accuracy                       measures it beside a report
    ./suite python -m reports.accuracy DIR          writes DIR/accuracy.md anew from DIR/accuracy.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import jinja2

from frontdoor.commit import label
from reports import fields
from reports.fields import COUNT, LIST, NUMBER, RECORD, TEXT

HERE = Path(__file__).resolve().parent
FILE, PAGE = "accuracy.json", "accuracy.md"
NEEDED = {"device": TEXT, "name": TEXT, "class": TEXT, "cases": COUNT, "failures": COUNT, "mean_at": TEXT}
FIGURES = ("mean", "loss", "mean_share")  # null is infinite, as in those that are there or not:
MORE = ("mean_of_many", "gradient", "gradient_unit", "corner", "edge", "interior", "gradient_share")

# What production is to hold: the error of the mean, absolute, and of the gradient, in units of its RMS
# (verify/test_tolerance.cpp holds the tolerances of gradients to it).
AIMS = {
    (5e-7, 2e-5): ("uniform", "checkerboard", "textured", "dark", "hdr"),
    (5e-7, 1e-4): ("anticorrelated", "impulse", "pattern"),
    (3e-7, 1e-3): ("smooth", "waves", "near_1e-2", "near_3e-3", "near_5e-4", "local", "photo_blur", "photo_noise",
                   "photo_quantise", "photo_shift"),
    (1e-7, 2e-3): ("flat",),
    (5e-7, 3e-3): ("edges",),
    (3e-6, 2e-3): ("constant_unequal",),
    (2e-4, 2e-3): ("constant_levels",),
}  # fmt: skip
PUBLISHED = "tiled"  # the published kernel's arithmetic


def load(folder: Path) -> dict | None:
    """None where there is none; ValueError with the field where it is damaged."""
    return fields.read(folder / FILE, _check)


def _check(found) -> None:
    fields.require(found, {"schema": COUNT, "command": TEXT, "environment": RECORD, "rows": LIST})
    if found["schema"] != 1 or not found["rows"]:
        raise ValueError(f"schema {found['schema']}, {len(found['rows'])} rows")
    fields.require(found["environment"], {"commit?": TEXT}, "environment.")
    fields.require_each(found, "rows", NEEDED | {f"{name}?": NUMBER for name in (*FIGURES, *MORE)})
    for number, row in enumerate(found["rows"]):
        for name in FIGURES:
            if name not in row:
                raise ValueError(f"field rows[{number}].{name} is missing")


def commit(found: dict) -> str:
    environment = found["environment"]
    return label(environment.get("commit"), environment.get("dirty"))


def _number(value: float | None) -> str:
    return "infinite" if value is None else "0" if value == 0 else f"{value:.1e}"


def _line(row: dict) -> dict:
    figures = {f: _number(row[f]) for f in ("mean", "mean_of_many", "loss", "mean_share") if f in row}
    for field in ("gradient", "gradient_unit", "corner", "edge", "interior", "gradient_share"):
        figures[field] = _number(row[field]) if field in row else "–"
    return {**row, **figures, "gradient_at": row.get("gradient_at") or "–", "mean_at": row["mean_at"] or "–"}


def _worst(rows: list[dict], field: str) -> dict | None:
    """The row with the largest figure; infinite (null) is largest."""
    having = [r for r in rows if field in r]
    return max(having, key=lambda r: float("inf") if r[field] is None else r[field], default=None)


def _summary(name: str, rows: list[dict]) -> dict:
    share = [w for w in (_worst(rows, "mean_share"), _worst(rows, "gradient_share")) if w]
    shares = [s for s in (share[0]["mean_share"], share[-1].get("gradient_share", 0))]
    cells = {"name": name, "cases": sum(r["cases"] for r in rows), "failures": sum(r["failures"] for r in rows),
             "share": _number(None if None in shares else max(shares))}  # fmt: skip
    for field in ("mean", "gradient"):
        worst = _worst(rows, field)
        cells[field] = f"{_number(worst[field])} ({worst['class']})" if worst else "–"
    return cells


def _against_aims(rows: list[dict]) -> list[dict]:
    """production class by class beside what it is to hold and beside the published arithmetic: worst figures."""
    lines = []
    for (mean, gradient), classes in AIMS.items():
        for name in classes:
            line = {"class": name, "mean_aim": f"{mean:.0e}", "gradient_aim": f"{gradient:.0e}"}
            for of in ("production", PUBLISHED):
                having = [r for r in rows if r["class"] == name and r["name"] == of]
                for field, aim in (("mean_of_many", mean), ("gradient", gradient)):
                    worst = _worst(having, field)
                    text = _number(worst[field]) if worst else "–"
                    over = worst and of == "production" and (worst[field] is None or worst[field] > aim)
                    line[f"{of}_{field}"] = f"**{text}**" if over else text
            lines.append(line)
    return lines if any(line["production_mean_of_many"] != "–" for line in lines) else []


def page(found: dict) -> str:
    tables: dict[str, list[dict]] = {}
    for row in found["rows"]:
        tables.setdefault(f"{row['device']}:{row['name']}", []).append(row)
    environment = found["environment"]
    template = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), keep_trailing_newline=True, autoescape=False
    ).get_template("accuracy.md.j2")
    return template.render(
        command=found["command"],
        commit=commit(found),
        environment=[(k.replace("_", " "), "–" if v is None else str(v).replace("|", "\\|"))
                     for k, v in environment.items()],
        device=environment.get("device_name") or environment.get("device"),
        cases=sum(r["cases"] for r in found["rows"]),
        failures=sum(r["failures"] for r in found["rows"]),
        summary=[_summary(name, rows) for name, rows in tables.items()],
        aims=_against_aims(found["rows"]),
        published=PUBLISHED,
        tables={name: [_line(r) for r in rows] for name, rows in tables.items()},
    )  # fmt: skip


def sentence(found: dict | None) -> str:
    """What a report says of it; "" where there is none."""
    if not found:
        return ""
    cases, failures = (sum(r[f] for r in found["rows"]) for f in ("cases", "failures"))
    rows = len({(r["device"], r["name"]) for r in found["rows"]})
    return (
        f"[Worst error of each row on each input class]({PAGE}): {rows} rows, {cases} cases, {failures} outside "
        f"tolerance; `{found['command']}`, commit {commit(found)[:12]}."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=Path)
    folder = parser.parse_args().folder
    try:
        found = load(folder)
    except ValueError as error:
        parser.exit(2, f"reports.accuracy: {error}\n")
    if found is None:
        parser.exit(2, f"reports.accuracy: {folder}: there is no {FILE} in it\n")
    (folder / PAGE).write_text(page(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
