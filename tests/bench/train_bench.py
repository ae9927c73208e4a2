#!/usr/bin/env python3
"""LoRA training beside peft + transformers: same model, sequences, rank and threads, fp32, in turns.

  python tests/bench/train_bench.py [--rounds 3] [--steps 12] [--threads 2] [--json OUT]

Needs torch, transformers, peft and gguf, the built program (--build, with -DSAMNER_BENCH=ON for the machine's limits, which
are measured first) and SmolLM2-135M (--model, .deps after ./bootstrap).
A step is 8 sequences of about 76 tokens, of which the last fifth is learnt; r 32 on all linear layers, AdamW, clipping.
The peer pads its batch; both count real tokens. Memory is the largest resident set of the whole process.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import roofline

TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM_UP = 2  # steps that are not timed


def write_examples(path: Path, steps: int) -> None:
    rng = random.Random(5)
    with path.open("w") as out:
        for _ in range(8 * steps):
            length = rng.randint(60, 92)
            ids = [rng.randrange(100, 49000) for _ in range(length)]
            answer = length // 5
            out.write(json.dumps({"ids": ids, "labels": [-100] * (length - answer) + ids[-answer:]}) + "\n")


def peer(arguments: argparse.Namespace) -> None:
    """Trains with peft; prints one JSON line with seconds and tokens of each step, and the rate of a matrix product."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(arguments.threads)
    model_path = Path(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(model_path.parent, gguf_file=model_path.name, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=32, lora_alpha=64, target_modules=TARGETS, task_type="CAUSAL_LM"))
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-5, weight_decay=0)
    examples = [json.loads(line) for line in Path(arguments.examples).read_text().splitlines()]
    steps = []
    for begin in range(0, len(examples), 8):
        start = time.perf_counter()
        batch = examples[begin : begin + 8]
        width = max(len(one["ids"]) for one in batch)

        def padded(key, value):
            return torch.tensor([one[key] + [value] * (width - len(one[key])) for one in batch])

        mask = torch.tensor([[1] * len(one["ids"]) + [0] * (width - len(one["ids"])) for one in batch])
        loss = model(input_ids=padded("ids", 0), attention_mask=mask, labels=padded("labels", -100)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        steps.append(
            {
                "loss": loss.item(),
                "tokens": sum(len(one["ids"]) for one in batch),
                "seconds": time.perf_counter() - start,
            }
        )
    a, b = torch.rand(608, 576), torch.rand(576, 1536)
    best = min(_time(lambda: a @ b) for _ in range(30))
    print(json.dumps({"steps": steps, "gemm": 2 * 608 * 576 * 1536 / best / 1e9}))


def _time(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def run(command: list[str], environment: dict[str, str]) -> tuple[str, float]:
    """Output and peak resident memory in MB."""
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    output = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return output, usage.ru_maxrss / 1024


def rate(steps: list[dict]) -> float:
    return statistics.median(step["tokens"] / step["seconds"] for step in steps[WARM_UP:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default="build")
    parser.add_argument("--model", default=".deps/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", help="write the results here too")
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--examples", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        peer(arguments)
        return
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
    limits = roofline.measure(arguments.build, arguments.threads)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        examples = Path(folder) / "examples.jsonl"
        write_examples(examples, arguments.steps)
        for number in range(arguments.rounds):
            out = Path(folder) / f"adapter{number}"
            _, memory = run(
                [str(arguments.build / "samner"), "train", "--model", arguments.model, "--data", str(examples), "--out", str(out)]
                + ["--threads", str(arguments.threads), "r=32", "batch_size=8", "micro_batch_size=8", "shuffle=false"]
                + [f"max_steps={arguments.steps}", "lr_scheduler_type=constant", "warmup_ratio=0"],
                environment,
            )
            ours = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
            output, peer_memory = run(
                [sys.executable, __file__, "--peer", "--examples", str(examples), "--model", arguments.model]
                + ["--threads", str(arguments.threads)],
                environment,
            )
            theirs = json.loads(output.splitlines()[-1])
            rounds.append(
                {
                    "samner": rate(ours),
                    "peft": rate(theirs["steps"]),
                    "samner_mb": memory,
                    "peft_mb": peer_memory,
                    "gemm_gflops": theirs["gemm"],
                    "first_losses": [ours[0]["loss"], theirs["steps"][0]["loss"]],
                }
            )
            print(json.dumps(rounds[-1]), flush=True)
    speed = statistics.median(one["samner"] / one["peft"] for one in rounds)
    memory = statistics.median(one["samner_mb"] / one["peft_mb"] for one in rounds)
    # Forward and backward through the frozen linear layers, the factors, and the head at a fifth of the positions.
    flops = 4 * roofline.LINEAR + 6 * roofline.FACTORS + 4 * roofline.HEAD / 5
    product = max(one["gemm_gflops"] for one in rounds)
    print(f"tokens/s: {speed:.2f} times peft's (bar 1.6); peak memory: {memory:.2f} times (bar 0.5)")
    for name in ("samner", "peft"):
        reached = max(one[name] for one in rounds) * flops / 1e9
        print(
            f"{name}'s best round: {reached:.0f} GFLOP/s, {100 * reached / limits['product']:.0f} % of the "
            f"{limits['product']:.0f} that products in the cache reach ({limits['linear']:.0f} with the gate projection, "
            f"torch's product {product:.0f}; memory is copied at {limits['copy']:.0f} GB/s)"
        )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"rounds": rounds, "speed": speed, "memory": memory}, indent=1))


if __name__ == "__main__":
    main()
