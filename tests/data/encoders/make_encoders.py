"""Writes tiny BERT sentence encoders and what sentence-transformers says of them (see README.md)."""
import json
import pathlib
import shutil

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, BertTokenizerFast

HERE = pathlib.Path(__file__).resolve().parent
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *("##" + letter for letter in LETTERS), "the", "##ing", ".", ","]
TEXTS = ["", "The", "the singing, the dancing.", "Zo\u00eb \u4e2d 12", "a text that goes on for longer than twenty tokens go"]


def tokenizer(longest):
    pieces = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    pieces.normalizer = normalizers.BertNormalizer(lowercase=True)
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    pieces.decoder = decoders.WordPiece()
    pieces.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return BertTokenizerFast(tokenizer_object=pieces, **({"model_max_length": longest} if longest else {}))


def bert(folder, longest):
    torch.manual_seed(1)
    model = BertModel(BertConfig(vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                                 intermediate_size=24, max_position_embeddings=24, type_vocab_size=3))
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.add_((0.3 if "Norm" in name or "bias" in name else 0.15) * torch.randn_like(value))
    model.save_pretrained(folder)
    tokenizer(longest).save_pretrained(folder)


def encoder(name, pooling, normalize, longest):
    plain, folder = HERE / "plain", HERE / name
    bert(plain, longest)
    chain = [modules.Transformer(str(plain)), modules.Pooling(16, pooling)] + ([modules.Normalize()] if normalize else [])
    SentenceTransformer(modules=chain, device="cpu").save(str(folder))
    shutil.rmtree(plain)
    (folder / "README.md").unlink()
    if normalize:  # as in a folder of a model that was saved with a head
        tensors = load_file(folder / "model.safetensors")
        save_file({"bert." + key: value for key, value in tensors.items()}, folder / "model.safetensors")
    loaded = SentenceTransformer(str(folder), device="cpu")
    ids = [loaded.tokenizer(text, truncation=True, max_length=loaded.max_seq_length)["input_ids"] for text in TEXTS]
    expected = {"texts": TEXTS, "max_length": loaded.max_seq_length, "ids": ids,
                "embeddings": [vector.tolist() for vector in loaded.encode(TEXTS, batch_size=1)]}
    (HERE / f"{name}.expected.json").write_text(json.dumps(expected) + "\n")


torch.set_num_threads(1)
encoder("cls", "cls", False, 20)
encoder("mean-normalised", "mean", True, None)
