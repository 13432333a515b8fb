"""``midigen train``. Prints plain lines and needs torch, transformers, numpy and safetensors alone."""

from __future__ import annotations

import argparse
import time
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from midigen.cli.values import number, part_and_text, whole
from midigen.errors import BadRequest

if TYPE_CHECKING:
    from midigen.dataset import Mixture
    from midigen.training import Progress

EVERY_SECONDS = 10.0  # between two lines of progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.argument_default = argparse.SUPPRESS
    parser.add_argument("corpus", metavar="CORPUS", help="a folder that midigen prepare wrote")
    parser.add_argument("-o", "--output", metavar="RUN", required=True, help="the run's folder; run again to resume")
    plan = parser.add_argument_group("plan")
    plan.add_argument("--size", metavar="NAME", help="tiny, micro, mini, small, base or large (default: mini)")
    plan.add_argument("--minutes", metavar="N", type=number, help="end well inside this time")
    plan.add_argument("--steps", metavar="N", type=whole, help="or after so many optimiser steps")
    plan.add_argument("--optimizer", metavar="NAME", help="muon, adamw, adam, adagrad ... of torch (default: muon)")
    plan.add_argument("--learning-rate", metavar="R", type=number, help="at its highest (default: 0.003)")
    plan.add_argument("--schedule", metavar="NAME", help="cosine, linear or constant (default: cosine)")
    plan.add_argument("--warmup", metavar="SHARE", type=number, help="share of the run (default: 0.03)")
    plan.add_argument("--weight-decay", metavar="W", type=number, help="(default: 0.05)")
    plan.add_argument("--windows-a-step", metavar="N", type=whole, help="global batch, in windows (default: 8)")
    plan.add_argument("--most-tokens", metavar="N", type=whole, help="in one pass; steps accumulate (default: 4096)")
    plan.add_argument("--context", metavar="N", type=whole, help="tokens (default: the size's own)")
    plan.add_argument("--validate-every", metavar="N", type=whole, help="steps (default: 200)")
    plan.add_argument("--patience", metavar="N", type=whole, help="stop after so many validations without gain")
    plan.add_argument("--precision", metavar="NAME", help="bfloat16 or float32 (default: bfloat16)")
    plan.add_argument("--start", metavar="WEIGHTS", help="begin with these: a run's best.safetensors, or a checkpoint")
    plan.add_argument(
        "--mixture", metavar="NAME=VALUE", type=part_and_text, action="append", default=[],
        help="what windows ask for (midigen.dataset.Mixture), such as drop_drums=0.5 or transpose=random",
    )  # fmt: skip
    plan.add_argument("--seed", metavar="N", type=whole, help="(default: 0)")
    machine = parser.add_argument_group("machine (several devices: torchrun --nproc-per-node N -m midigen train ...)")
    machine.add_argument("--device", metavar="NAME", help="cpu or cuda (default: cuda where there is one)")
    machine.add_argument("--threads", metavar="N", type=whole, help="CPU threads (default: torch's choice)")
    machine.add_argument("--workers", metavar="N", type=whole, help="processes that lay out windows (default: 0)")
    machine.add_argument("--compile", dest="compile_model", action="store_true", help="compile the model with torch")


def _mixture(pairs: list[tuple[str, str]]) -> Mixture:
    from midigen.dataset import Mixture

    kinds = {f.name: type(f.default) for f in fields(Mixture)}
    for name, _ in pairs:
        if name not in kinds:
            raise BadRequest(f"unknown mixture value {name!r}: choose from {', '.join(kinds)}")
    return Mixture(**{name: text if kinds[name] is str else number(text) for name, text in pairs})  # type: ignore[arg-type]


def run(args: argparse.Namespace) -> int:
    from midigen.training import Plan, train

    said = vars(args)
    plan = Plan(**{f.name: said[f.name] for f in fields(Plan) if f.name in said and f.name != "mixture"})
    plan = replace(plan, mixture=_mixture(args.mixture))
    machine = {name: said[name] for name in ("device", "threads", "workers", "compile_model") if name in said}
    last = [0.0]

    def show(progress: Progress) -> None:
        if progress.validation:
            parts = ", ".join(
                f"{key.removeprefix('per_note.')} {value:.3f}"
                for key, value in progress.validation.items()
                if key.startswith("per_note.")
            )
            print(f"  validation: {progress.validation['per_note']:.3f} nats a note ({parts})", flush=True)
        elif time.monotonic() - last[0] < EVERY_SECONDS:
            return
        last[0] = time.monotonic()
        # The share is that of before the step: there is nothing to estimate from in the first.
        left = f"{progress.seconds / progress.share * (1 - progress.share) / 60:.0f}" if progress.share else "?"
        speed = progress.tokens / progress.seconds
        print(
            f"step {progress.step:,}  {progress.share:4.0%}  loss {progress.loss:.3f}  {speed:,.0f} tokens/s  "
            f"{left} min left",
            flush=True,
        )

    best = train(args.corpus, args.output, plan, on_step=show, **machine)
    print(f"Best weights: {best}")
    try:
        from midigen.losscurves import draw_losses

        print(f"Loss curves: {draw_losses(args.output)}")
    except ImportError:
        print("Loss curves are not drawn: matplotlib is not installed here")
    return 0
