#!/usr/bin/env python3
"""Writes methods.cases.json and methods.expected.safetensors: merges of the adapters under ../golden/merging/adapters,
by the definitions in straightforward float64 on dense arrays. Needs numpy. Run in this folder.

Names in the expected file: <case>/<module>/A and B (factor space) or <case>/<module>/delta. A case names the adapters,
weights and options of merge::MergeOptions. No case hangs on a near tie; the script fails where one would.
"""
import hashlib
import itertools
import json
import pathlib
import struct

import numpy as np

HERE = pathlib.Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "merging"
MARGIN = 1e-5


def read(path):
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    out = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            flat = np.frombuffer(data[8 + size + begin : 8 + size + end], "<f4")
            out[name] = flat.reshape(entry["shape"]).astype(np.float64)
    return out


def write(path, tensors):
    header, blob = {}, b""
    for name in sorted(tensors):
        data = tensors[name].astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensors[name].shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)


def philox(counter, key):
    """Philox-4x32-10 after Salmon et al. 2011."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & 0xFFFFFFFF, (p0 >> 32) ^ c[3] ^ k[1], p0 & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def words(seed, identity, name, size):
    digest = hashlib.sha256(f"samner dare\n{seed}\n{identity}\n{name}".encode()).hexdigest()
    w = [int(digest[8 * i : 8 * i + 8], 16) for i in range(4)]
    return np.array([philox([i // 4 & 0xFFFFFFFF, i // 4 >> 32, w[2], w[3]], w[:2])[i % 4] for i in range(size)])


def descending(t):
    """Flat indices by falling magnitude, equal ones in their order."""
    return np.argsort(-np.abs(t).ravel(), kind="stable")


def check_gap(t, order, k):
    m = np.abs(t).ravel()[order]
    if 0 < k < len(m):
        assert m[k - 1] - m[k] > MARGIN * m[k - 1], "a near tie at the threshold"


def sparsify(t, o, identity, name, cut):
    density, kind = o.get("density", 1.0), KIND[o["method"]][0]
    flat, n = t.ravel(), t.size
    keep = np.ones(n, bool)
    if density >= 1 or kind is None:
        return t
    k = int(density * n)
    scale = np.ones(n)
    if kind == "largest":
        if cut is not None:
            keep = np.abs(flat) >= cut
        else:
            k = max(k, 1) if o.get("keep_at_least_one") else k
            check_gap(t, descending(t), k)
            keep[descending(t)[k:]] = False
    elif kind == "band":
        top = min(int(o["gamma"] * n), n - k)
        order = descending(t)
        check_gap(t, order, top)
        check_gap(t, order, top + k)
        keep[:] = False
        keep[order[top : top + k]] = True
    else:
        p = np.full(n, density)
        if kind == "ranked":
            rows = p.reshape(t.shape)
            for r, row in enumerate(t):
                rank = np.empty(len(row))
                rank[descending(row)[::-1]] = np.arange(len(row))
                rows[r] = density - o["epsilon"] + rank / (len(row) - 1) * 2 * o["epsilon"]
        keep = words(o["seed"], identity, name, n) < np.floor(p * 2.0**32)
        if o.get("rescale", "expected") == "expected":
            scale = 1 / p
        elif o["rescale"] == "l1":
            scale *= np.abs(flat).sum() / np.abs(flat[keep]).sum()
    return np.where(keep, flat * scale, 0.0).reshape(t.shape)


KIND = {  # how elements are dropped, whether signs are elected
    "linear": (None, False), "magnitude_prune": ("largest", False), "ties": ("largest", True),
    "dare_linear": ("random", False), "dare_ties": ("random", True), "breadcrumbs": ("band", False),
    "breadcrumbs_ties": ("band", True), "della": ("ranked", True), "della_linear": ("ranked", False),
}  # fmt: skip


def elementwise(o, tensors, coefficients, shares, identities, name, cuts, majority):
    kind, elects = KIND[o["method"]]
    kept = [sparsify(t, o, i, name, cuts.get(i)) for t, i in zip(tensors, identities)]
    terms = [c * t for c, t in zip(coefficients, kept)]
    by_weight = o.get("normalize") == "weights"
    if not elects:
        return sum(terms) / (sum(shares) if by_weight else 1.0)
    ballots = terms if o.get("elect_weighted") else kept
    if o.get("sign") == "frequency":
        ballots = [np.sign(t) for t in ballots]
    total, size = sum(ballots), sum(np.abs(t) for t in ballots)
    if o.get("sign") != "frequency":
        assert np.all((size == 0) | (np.abs(total) > MARGIN * size) | (total == 0)), "a near tie in an election"
    elected = np.where(total > 0, 1, np.where(total < 0, -1, majority))
    # weighted values vote with their own sign, plain ones with the tensor's
    agrees = [np.sign(t) == elected for t in (terms if o.get("elect_weighted") else kept)]
    result = sum(np.where(g, t, 0.0) for g, t in zip(agrees, terms))
    if o.get("normalize") == "none":
        return result
    share = sum(np.where(g, s if by_weight else 1.0, 0.0) for g, s in zip(agrees, shares))
    return result / np.where(np.abs(share) < 1e-8, 1.0, share)


def geometric(method, tensors, weights):
    """On dense vectors, by the papers; no inner-product matrices."""
    v = [t.ravel() for t in tensors]
    cos = lambda x, y: x @ y / np.linalg.norm(x) / np.linalg.norm(y)
    a = np.array(weights) / sum(weights)
    if method == "slerp":
        omega = np.arccos(cos(v[0], v[1]))
        out = (np.sin(a[0] * omega) * v[0] + np.sin(a[1] * omega) * v[1]) / np.sin(omega)
    elif method == "model_stock":
        v = [w * x for w, x in zip(weights, v)]
        n = len(v)
        c = np.mean([cos(x, y) for x, y in itertools.combinations(v, 2)])
        out = n * c / (1 + (n - 1) * c) * sum(v) / n
    else:
        u = [x / np.linalg.norm(x) for x in v]
        mean = sum(s * x for s, x in zip(a, u))
        mean /= np.linalg.norm(mean)
        for _ in range(2000):
            step = np.zeros_like(mean)
            for s, x in zip(a, u):
                across = x - (x @ mean) * mean
                sine = np.linalg.norm(across)
                step += s * np.arctan2(sine, x @ mean) * across / sine
            size = np.linalg.norm(step)
            if size < 1e-13:
                break
            mean = np.cos(size) * mean + np.sin(size) * step / size
        out = mean * sum(s * np.linalg.norm(x) for s, x in zip(a, v))
    return out.reshape(tensors[0].shape)


def main():
    modules = json.loads((GOLDEN / "modules.json").read_text())
    adapters = {}
    for folder in sorted((GOLDEN / "adapters").iterdir()):
        config = json.loads((folder / "adapter_config.json").read_text())
        tensors = read(folder / "adapter_model.safetensors")
        adapters[folder.name] = {
            m: (tensors[f"base_model.model.{m}.lora_A.weight"], tensors[f"base_model.model.{m}.lora_B.weight"],
                config["lora_alpha"] / config["r"]) for m in modules}  # fmt: skip

    w3, three, two = [1.5, 1.0, 0.5], ["e0", "e1", "e2"], ["e3", "e1"]
    mixed = ["m0", "m1", "m2"]
    kit = {"elect_weighted": True, "keep_at_least_one": True}
    l1 = {**kit, "rescale": "l1"}
    cases = []

    def add(space, names, weights, **o):
        o.setdefault("seed", 7)
        cases.append({"name": f"case{len(cases):02}", "space": space, "adapters": names, "weights": weights, "options": o})

    for space in ("factor", "delta"):
        add(space, two, [0.7, 0.3], method="slerp")
        add(space, three, w3, method="karcher")
        add(space, three, w3, method="breadcrumbs", density=0.4, gamma=0.1)
        add(space, three, w3, method="breadcrumbs_ties", density=0.4, gamma=0.1)
        add(space, three, w3, method="breadcrumbs", density=0.6, gamma=0.5)
        add(space, three, w3, method="dare_linear", density=0.6)
        add(space, three, w3, method="dare_linear", density=0.6, rescale="none")
        add(space, three, w3, method="dare_ties", density=0.6)
        add(space, three, w3, method="ties", density=0.5, trim_over="model", majority_decides=True)
        add(space, three, w3, method="magnitude_prune", density=0.3, trim_over="model")
        add(space, three, w3, method="ties", density=0.5, normalize="weights", **kit)
        add(space, three, w3, method="linear", normalize="weights", **kit)
        add(space, three, w3, method="dare_ties", density=0.5, normalize="none", **l1)
        add(space, three, w3, method="ties", density=0.7, sign="frequency")
    for o in ({"method": "della_linear"}, {"method": "della"}, {"method": "della", "normalize": "weights", **l1}):
        add("factor", three, w3, density=0.5, epsilon=0.2, **o)
    add("delta", three, [1.0, 1.0, 1.0], method="model_stock")
    add("delta", mixed, [1.0, 0.5, 2.0], method="model_stock")
    add("delta", mixed, w3, method="karcher")
    add("delta", mixed, w3, method="ties", density=0.5)

    for space in ("factor", "delta"):
        add(space, three, [1.5, -1.0, 0.5], method="ties", density=0.5)
        add(space, three, [1.5, -1.0, 0.5], method="ties", density=0.5, normalize="weights", **kit)

    expected = {}
    for case in cases:
        o, names, weights = case["options"], case["adapters"], case["weights"]
        factor = case["space"] == "factor"
        own = lambda i, m: adapters[i][m][:2] if factor else (adapters[i][m][2] * adapters[i][m][1] @ adapters[i][m][0],)
        cuts, majority = {}, 1
        if o.get("trim_over") == "model":
            for i in names:
                flat = np.sort(np.abs(np.concatenate([t.ravel() for m in modules for t in own(i, m)])))
                k = len(flat) - int(o["density"] * len(flat))
                cuts[i] = (flat[k - 1] + flat[k - 2]) / 2  # between the k-th smallest, which stays, and the one before
                assert flat[k - 1] - flat[k - 2] > MARGIN * flat[k - 1]
        for m in modules:
            for part in range(2 if factor else 1):
                tensors = [own(i, m)[part] for i in names]
                scaling = [adapters[i][m][2] for i in names]
                label = f"{m}.lora_{'AB'[part]}" if factor else f"{m}.delta"
                if o["method"] in KIND:
                    w = np.array(weights)
                    if o.get("normalize") == "weights" and not KIND[o["method"]][1]:
                        w = w / w.sum()
                    plain = {**o, "normalize": "none"} if not KIND[o["method"]][1] else o
                    root = lambda x: (np.sign(x) if part == 0 else 1) * np.sqrt(np.abs(x))  # the sign goes on A
                    c = root(w * scaling) if factor else w
                    s = root(w) if factor else w
                    out = elementwise(plain, tensors, c, s, names, label, cuts, majority)
                else:
                    scaled = [np.sqrt(s) * t for s, t in zip(scaling, tensors)] if factor else tensors
                    out = geometric(o["method"], scaled, weights)
                expected[f"{case['name']}/{m}/{'AB'[part] if factor else 'delta'}"] = out
    (HERE / "methods.cases.json").write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
    write(HERE / "methods.expected.safetensors", expected)


main()
