#!/usr/bin/env python3
"""Makes the tiny models of this folder and what transformers and peft say of them (see README.md)."""
import json
import pathlib

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import MistralConfig, MistralForCausalLM, Qwen3Config, Qwen3ForCausalLM

HERE = pathlib.Path(__file__).parent
SIZES = dict(vocab_size=160, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, head_dim=16, max_position_embeddings=512, bos_token_id=1, eos_token_id=2)
MODELS = {
    "qwen3-tiny": (Qwen3ForCausalLM, Qwen3Config(**SIZES, rms_norm_eps=1e-6, tie_word_embeddings=True)),
    "mistral-tiny": (MistralForCausalLM, MistralConfig(**SIZES, sliding_window=128, tie_word_embeddings=False)),
}


def main() -> None:
    torch.set_num_threads(1)
    for name, (architecture, config) in MODELS.items():
        torch.manual_seed(7)
        model = architecture(config).float()
        with torch.no_grad():
            for key, value in model.named_parameters():
                if "norm" in key:
                    value.add_(0.3 * torch.randn_like(value))
                else:
                    value.copy_(0.15 * torch.randn_like(value))
        model.save_pretrained(HERE / name)
        generator = torch.Generator().manual_seed(11)
        sequences = [torch.randint(3, 160, (n,), generator=generator).tolist() for n in (1, 7, 40)]
        tensors, expected = {}, {"sequences": sequences, "answer_from": [0, 3, 25]}
        with torch.no_grad():
            for i, ids in enumerate(sequences):
                tensors[f"logits.{i}"] = model(torch.tensor([ids])).logits[0].contiguous()
        adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=[
            "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))
        with torch.no_grad():
            for key, value in adapted.named_parameters():
                if "lora_" in key:
                    value.copy_(0.1 * torch.randn_like(value))
        adapted.save_pretrained(HERE / name / "adapter")
        total, count = 0.0, 0
        for ids, begin in zip(sequences, expected["answer_from"]):
            if begin == 0:
                continue
            logits = adapted(torch.tensor([ids])).logits[0]
            total = total + torch.nn.functional.cross_entropy(logits[begin - 1:-1], torch.tensor(ids[begin:]), reduction="sum")
            count += len(ids) - begin
        total.backward()
        expected["loss_sum"], expected["answer_tokens"] = total.item(), count
        with torch.no_grad():
            tensors["adapted.logits.2"] = adapted(torch.tensor([sequences[2]])).logits[0].contiguous()
        for key, value in adapted.named_parameters():
            if "lora_" in key:
                tensors["gradient." + key.replace(".default", "").replace("base_model.model.", "")] = value.grad.contiguous()
        save_file(tensors, HERE / f"{name}.expected.safetensors")
        (HERE / f"{name}.expected.json").write_text(json.dumps(expected) + "\n")
        (HERE / name / "adapter/README.md").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
