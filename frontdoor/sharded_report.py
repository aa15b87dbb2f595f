# SPDX-License-Identifier: MIT
"""./suite report by several processes at once, each with its own device and its own part of the problems.

    torchrun --no-python --nproc-per-node 8 ./suite report --set sweep --out DIR
    srun --ntasks 8 --gpus-per-task 1 ./suite report --set sweep --out DIR

Each process writes DIR/ranks/rank-K-of-N.jsonl; the first one waits for the others and makes one report of all. Every
process ends with status 0 unless it could not begin: a launcher that ends all processes with the first bad one would
otherwise take the report with it. The first one's status is that of the report.
"""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Callable

from frontdoor.child import run_child
from frontdoor.place import BUILD, CANNOT, GOOD, MISUSE, STATE, WRONG, Stop, relative, say, warn
from frontdoor.shard import BEAT, SILENCE, Board, Shard, filter_of, own_device, partition

RANKS = "ranks"
INTERRUPTED = 130
CHOICES = "choices.json"
LAST_WORDS = 2 * BEAT  # seconds without a sign of life, once all are being ended


def _choices(args, folder: Path, shard: Shard) -> None:
    """Settles set, device and filter; with --resume those of the earlier run, which must have had as many processes."""
    known = folder / CHOICES
    if args.resume:
        try:
            earlier = json.loads(known.read_text())
        except (OSError, ValueError):
            earlier = {}
            say(f"--resume: {relative(folder)} holds nothing yet, so this is a first run")
        if earlier and earlier["world"] != shard.world:
            raise Stop(MISUSE, f"report: --resume: {relative(folder)} is of {earlier['world']} processes, these are "
                               f"{shard.world}; start as many, or give another --out")  # fmt: skip
        args.set, args.device = args.set or earlier.get("set"), args.device or earlier.get("device")
        args.filter = args.filter if args.filter is not None else earlier.get("filter")
    args.set, args.device, args.filter = args.set or "claim", args.device or "auto", args.filter or ""
    if shard.rank == 0:
        chosen = {"world": shard.world, "set": args.set, "device": args.device, "filter": args.filter}
        known.write_text(json.dumps(chosen))


def _my_problems(args, context, shard: Shard, state: Path) -> list[str]:
    program = BUILD / "bench" / "ssim_bench"
    if not program.exists():
        raise Stop(MISUSE, "report: the benchmark was not built (Google Benchmark or nlohmann_json is missing)")
    command = [str(program), "--set", args.set, "--device", args.device, "--list"]
    command += ["--filter", args.filter] if args.filter else []
    log = state / "list.log"
    status = run_child(command, context.environment(), log)
    if status:
        raise Stop(status, "report: the benchmark could not list its problems")
    keys = [line for line in log.read_text().splitlines() if line.count(":") == 5]
    return partition(keys, shard.world)[shard.rank]


def _measure(args, context, board: Board, where: str, one_pass: Callable[..., int]) -> int:
    """This process's part into its result file; its status."""
    shard = board.shard
    state = STATE / shard.name
    state.mkdir(parents=True, exist_ok=True)
    problems = _my_problems(args, context, shard, state)
    say(f"{where}: {len(problems)} problem{'' if len(problems) == 1 else 's'}")
    samples, user_filter, wrong = board.samples(shard), args.filter, False
    if not args.resume and samples.exists():
        samples.replace(samples.with_name(f"{shard.name}.previous.jsonl"))
    if not problems:
        return GOOD
    args.filter = filter_of(problems, user_filter)
    for settings in ("best", "stock"):
        status = one_pass(context, args, samples, settings, state)
        wrong |= status not in (GOOD, INTERRUPTED)
        if status not in (GOOD, WRONG):
            break
    args.filter = user_filter
    return INTERRUPTED if status == INTERRUPTED else WRONG if wrong else GOOD


def run(args, context, shard: Shard, one_pass: Callable[..., int], render: Callable[..., str]) -> int:
    """The command's own one_pass(context, args, samples, settings, state) and render(args, samples) do the work."""
    board = Board(args.out / RANKS, shard)
    try:
        _choices(args, board.folder, shard)
        name, device = own_device(shard, args.device)
        where = f"{name}, rank {shard.rank}"
        status = _measure(args, context, board, where, one_pass)
    except Stop as stop:
        board.end(stop.status, "", False)
        raise
    samples = board.samples(shard)
    board.end(status, where, samples.exists() and samples.stat().st_size > 0, device)
    return _one_report(args, board, status, render) if shard.rank == 0 else GOOD


def _one_report(args, board: Board, own_status: int, render: Callable[..., str]) -> int:
    from reports.merge import merge
    from reports.stream import Damaged

    def stop(*_):
        raise KeyboardInterrupt

    parts, lost, statuses, devices = {}, [], [own_status], {}
    # A launcher that ends all because one has died kills those that are not gone half a minute later.
    silence = LAST_WORDS if own_status == INTERRUPTED else SILENCE
    signal.signal(signal.SIGTERM, stop)  # a launcher's way to say it
    try:
        for rank in range(board.shard.world):
            left = board.wait_for(rank, say, silence)
            if left is None:
                lost.append(rank)
                continue
            statuses.append(left["status"])
            if left["device"] and devices.setdefault(left["device"], rank) != rank:
                both = f"ranks {devices[left['device']]} and {rank} were on one GPU, {left['device']}"
                raise Stop(WRONG, f"report: {both}, and disturbed each other; start one process a GPU")
            if left["measured"]:
                parts[board.samples(board.shard.other(rank))] = left["where"]
    except KeyboardInterrupt:
        statuses.append(INTERRUPTED)
    for rank in lost:
        warn(f"report: rank {rank} gave no sign of life; what it had measured is in {relative(board.folder)}")
    if not parts:
        warn("report: nothing was measured")
        return CANNOT if set(statuses) == {CANNOT} else WRONG
    samples = args.out / "samples.jsonl"
    try:
        merge(parts, args.filter, samples)
    except Damaged as error:
        raise Stop(WRONG, f"report: {error}") from None
    print(f"\n{render(args, samples)}\n\nreport: {relative(args.out / 'report.md')}", flush=True)
    if INTERRUPTED in statuses or lost:
        warn("unfinished; to go on from here, start as many processes with --resume")
    return INTERRUPTED if INTERRUPTED in statuses else WRONG if lost or WRONG in statuses else GOOD
