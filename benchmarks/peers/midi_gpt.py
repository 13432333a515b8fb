"""Notes a second of processor time: composing with midigen beside MIDI-GPT's own engine.

    pip install midigpt
    python -m benchmarks.peers.midi_gpt --runs 5

MIDI-GPT (Pasquier et al. 2025, arXiv:2501.17011) is asked for piano, guitar and bass as midigen is, from nothing, in
its configuration `yellow_small`: a GPT-2 of 6 layers, 8 heads and width 512 with 647 tokens, windows of 4 bars. Its
weights are random, as those that exist are not to be had offline, but that a bar ends after some eight notes, as it
does in music; notes are counted as they come, and the tokens drawn beside them. It looks neither for silence nor for
copies (which would make it write again). Both on one thread, in turn, in one process, loading left out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from midigen.composition import open_player, write_piece
from midigen.composition.settling import Request
from midigen.prompt import Prompt

BARS = 16
PROGRAMS = (0, 25, 33)  # piano, steel guitar, bass
END_NATS = 3.0  # that much likelier than any other token is the one that ends a bar
LAYERS, HEADS, WIDTH, CONTEXT = 6, 8, 512, 2048
DOMAINS = {
    "PieceStart": 2, "Track": 2, "TrackEnd": 1, "Bar": 1, "BarEnd": 1, "TimeSig": 36, "Instrument": 109, "NumBars": 2,
    "NoteOnset": 128, "NoteDuration": 96, "TimeAbsolutePos": 192, "VelocityLevel": 32, "FillInPlaceholder": 1,
    "FillInStart": 1, "FillInEnd": 1, "NoteDensity": 10, "MinPolyphony": 10, "MaxPolyphony": 10, "MinNoteDuration": 6,
    "MaxNoteDuration": 6,
}  # fmt: skip


def encoder() -> dict[str, Any]:
    """What its tokenizer is told: the sizes are those of `yellow`."""
    least = [{"name": name, "params": {"mode": "min"}} for name in ("polyphony_quantile", "note_duration_quantile")]
    most = [{"name": name, "params": {"mode": "max"}} for name in ("polyphony_quantile", "note_duration_quantile")]
    metres = [f"{above}/{below}" for below in (4, 8, 2) for above in range(1, 13)]
    return {
        "token_domains": [{"type": name, "domain_size": size} for name, size in DOMAINS.items()],
        "attribute_controls": [{"name": "note_density_quantile"}, *least, *most],
        "resolution": 12,
        "decode_resolution": 1920,
        "note_duration_max_beats": 8,
        "num_bars_map": [4, 8],
        "time_signatures": metres,
        "pitch_range": [0, 127],
        "velocity_levels": 32,
        "velocity_sticky": True,
        "instrument_merge_groups": [list(range(108, 128))],  # 109 are left
        "supports_infill": True,
        "supports_mask_bar_token": False,
        "emit_delta_tokens": False,
    }


def open_midi_gpt() -> tuple[Any, list[int]]:
    """Its engine with random weights, and a list in which its calls of the model are counted."""
    import midigpt._core as core
    import torch
    from midigpt.attributes.base import AttributeAnalyzer
    from midigpt.inference import InferenceEngine
    from midigpt.inference.model.gpt2 import GPT2Config, GPT2LMHeadModel
    from midigpt.tokenizer.tokenizer import Tokenizer

    torch.manual_seed(0)
    config = core.EncoderConfig.from_json(json.dumps(encoder()))
    size = GPT2Config(sum(DOMAINS.values()), CONTEXT, WIDTH, LAYERS, HEADS)
    model = GPT2LMHeadModel(size).eval()
    with torch.no_grad():  # a bar of music ends after some eight notes; without this random ones would fill the window
        end = model.lm_head.weight[sum(list(DOMAINS.values())[: list(DOMAINS).index("BarEnd")])]
        model.transformer.ln_f.bias += END_NATS * end / end.square().sum()
    analyzer = AttributeAnalyzer.from_config(config)
    calls = [0]
    model.register_forward_hook(lambda *_: calls.__setitem__(0, calls[0] + 1))
    engine = InferenceEngine(model, Tokenizer(config, analyzer), analyzer)
    engine.warmup()
    return engine, calls


def midi_gpt_piece(engine: Any, seed: int) -> int:
    """The notes of a piece that it writes."""
    from midigpt import Bar, Score, Track
    from midigpt.inference import GenerationRequest, InferenceConfig, TrackPrompt

    score = Score(tracks=[Track(bars=[Bar() for _ in range(BARS)], instrument=program) for program in PROGRAMS])
    request = GenerationRequest(
        tracks=[TrackPrompt(id=n, bars=list(range(BARS)), autoregressive=True) for n in range(len(PROGRAMS))],
        config=InferenceConfig(
            seed=seed, model_dim=4, mask_mode="attention", top_p=0.98, novelty_check=False, silence_check=False
        ),
    )
    result = engine.session(score, request).run()
    return sum(len(bar.notes) for track in result.tracks for bar in track.bars)


def main() -> None:
    """Measure and print the table."""
    import torch

    parser = argparse.ArgumentParser(description="Notes a second of processor time, beside MIDI-GPT.")
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    peer, calls = open_midi_gpt()
    players = {mode: open_player(mode=mode, threads=1) for mode in ("fast", "exact")}
    rows: dict[str, list[tuple[float, float]]] = {"MIDI-GPT": [], "midigen fast": [], "midigen exact": []}
    for seed in range(args.runs):
        calls[0] = 0
        began = time.process_time()
        notes = midi_gpt_piece(peer, seed)
        seconds = time.process_time() - began
        rows["MIDI-GPT"].append((notes / seconds, calls[0] / seconds))
        for mode, player in players.items():
            began = time.process_time()
            score, tally = write_piece(Request.read(Prompt(BARS, seed=seed, metre="4/4")), player)
            seconds = time.process_time() - began
            notes = sum(len(part.notes) for part in score.parts)
            rows[f"midigen {mode}"].append((notes / seconds, tally.tokens / seconds))
    base = statistics.median(rate for rate, _ in rows["MIDI-GPT"])
    print(f"{BARS} bars of piano, guitar and bass, {args.runs} pieces each, of a second of processor time:\n")
    print("| | notes | range | to MIDI-GPT | tokens drawn |\n|---|--:|--:|--:|--:|")
    for name, pairs in rows.items():
        notes_, tokens = ([pair[i] for pair in pairs] for i in range(2))
        middle = statistics.median(notes_)
        print(
            f"| {name} | {middle:.0f} | {min(notes_):.0f} to {max(notes_):.0f} | {middle / base:.1f}x | "
            f"{statistics.median(tokens):.0f} |"
        )


if __name__ == "__main__":
    main()
