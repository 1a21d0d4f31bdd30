#!/usr/bin/env python3
"""Trains the heads behind the labels model, and judges them on pictures they were not trained on.

    python3 server/models/train_heads.py MODEL.onnx PICTURES LIST.csv OUT

A head is one linear function of the 1280 pooled features of EfficientNet-Lite2: a logistic
regression on a frozen network. `MODEL.onnx` is `labels.onnx` as `fetch_models.py` makes it.
`PICTURES/<set>/<file>` are the pictures that `LIST.csv` names in its columns:

- `set`, `file`: where the picture is. A set is a source, such as one shelter's photographs.
- `part`: `train` or `test`.
- `label`: `cat`, `none`, or `hardly-a-cat` where a person would hesitate (only judged, never
  trained on, so it stands in `test` alone).
- `coat`: one of `COATS` where somebody looked, otherwise empty.

Writes `heads.f32`, `heads.json` and `results.txt` into `OUT`, and keeps the features of each
picture in `OUT/cache`, so that a second run needs no network. There is no randomness: one machine
gives the same bytes every time. HEADS.md names the pictures that the committed heads come from.

Needs NumPy, SciPy, Pillow, onnx and onnxruntime, unlike the rest of this folder: the heads are
committed, and whoever only builds the server never runs this.
"""

import argparse
import csv
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
from PIL import Image
from scipy.optimize import minimize

# The classes of ImageNet-1k that are domestic cats.
CAT_CLASSES = slice(281, 286)
COATS = (
    "black",
    "black-and-white",
    "ginger",
    "tabby",
    "grey",
    "calico",
    "tortoiseshell",
    "colourpoint",
    "white",
    "hairless",
)

# Pedigrees whose breed tells the coat, so that nobody had to look at them.
PEDIGREES = "oxford_cat"
# Sets of what is easily taken for a cat: reported, but no part of the rate below.
HARD_SETS = {"raccoon", "dk_rabbit", "dk_fox", "wild10", "stocksy_cat"}

# The share of everyday pictures without a cat that may be accepted; it sets the thresholds.
RATE = 0.004
# Weight of the cat head beside the log odds of the five classes.
ALPHA = 0.5
# Strength of the penalty on large weights.
PENALTY_CAT, PENALTY_COAT = 0.03, 0.02
# Weight of all pedigrees together beside all coats that somebody looked at.
PEDIGREE_WEIGHT = 0.5
# Weight of all other coats together beside the coat in question.
OTHER_COATS_WEIGHT = 3.0
# Added to each feature's deviation, so that features that hardly ever vary are not blown up.
DEVIATION_FLOOR = 0.05

# Both looks at a picture: the largest square in the middle, and the middle of it stretched.
CENTRE, CLOSE = "centre", "close"
# A second look is worth its time only where the first score is in this range.
UNDECIDED = (-7, 0)


class Head(NamedTuple):
    """A linear function of the features."""

    weights: np.ndarray
    bias: np.float32

    def __call__(self, features):
        return features @ self.weights + self.bias


class Look(NamedTuple):
    """What the network says about some pictures, seen in one way."""

    features: np.ndarray  # (pictures, 1280)
    logits: np.ndarray  # (pictures, 1000)

    def log_odds(self):
        """How much likelier a domestic cat is than all else, as a natural logarithm."""
        powers = np.exp(self.logits - self.logits.max(1, keepdims=True))
        cats = powers[:, CAT_CLASSES].sum(1)
        return np.log(cats / (powers.sum(1) - cats))


class Network:
    """The labels model, with a cache of what it said."""

    def __init__(self, model, pictures, cache):
        self._model, self._pictures, self._cache = model, pictures, cache
        self._session, self._side = None, None
        self._known = {}

    def look(self, set_name, files, view):
        """Looks at pictures of one set; what is not in the cache yet is computed and put there."""
        path = self._cache / f"{set_name}.{view}.npz"
        known = self._known.setdefault(path, _read_cache(path))
        missing = [file for file in files if file not in known]
        for file in missing:
            known[file] = self._run(self._pictures / set_name / file, view)
        if missing:
            names = sorted(known)
            features, logits = zip(*(known[name] for name in names))
            np.savez(path, names=names, features=np.array(features, "f2"), logits=np.array(logits))
        features, logits = zip(*(known[file] for file in files))
        return Look(np.array(features), np.array(logits))

    def _run(self, path, view):
        if self._session is None:
            self._session, self._side = _open(self._model)
        with Image.open(path) as image:
            pixels = _pixels(image.convert("RGB"), view, self._side)
        features, logits = self._session.run(None, {"input": pixels})
        # The cache has half the precision, and the result must not depend on it.
        return features[0].astype("f2").astype("f4"), logits[0]


def _open(path):
    """The model with its pooled features and its logits for outputs, and its input's side."""
    model = onnx.load(path)
    graph = model.graph
    (features,) = (node.output[0] for node in graph.node if node.op_type == "Flatten")
    (logits,) = (node.input[0] for node in graph.node if node.op_type == "Softmax")
    del graph.output[:]
    for name in (features, logits):
        graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session, session.get_inputs()[0].shape[2]


def _pixels(image, view, side):
    width, height = image.size
    if view == CENTRE:
        square = min(width, height)
        left, top = (width - square) // 2, (height - square) // 2
        box = (left, top, left + square, top + square)
    else:
        box = (width * 0.2, height * 0.2, width * 0.8, height * 0.8)
    pixels = np.asarray(image.resize((side, side), Image.BILINEAR, box=box), np.float32)
    return ((pixels - 127) / 128).transpose(2, 0, 1)[None]


def _read_cache(path):
    if not path.exists():
        return {}
    with np.load(path) as file:
        rows = zip(file["names"], file["features"].astype("f4"), file["logits"])
        return {str(name): (features, logits) for name, features, logits in rows}


def fit(features, truth, weight, penalty):
    """A weighted logistic regression by L-BFGS from zero.

    It is fitted to standardised features, so that the penalty treats all alike; the head that is
    returned takes them as they are.
    """
    mean, deviation = features.mean(0), features.std(0) + DEVIATION_FLOOR
    standard = ((features - mean) / deviation).astype("f8")
    weight = weight / weight.sum()

    def loss(parameters):
        slopes, bias = parameters[:-1], parameters[-1]
        scores = standard @ slopes + bias
        misfit = (weight * (np.logaddexp(0, scores) - truth * scores)).sum()
        residual = weight * (1 / (1 + np.exp(-scores)) - truth)
        gradient = np.r_[standard.T @ residual + 2 * penalty * slopes, residual.sum()]
        return misfit + penalty * (slopes**2).sum(), gradient

    start = np.zeros(features.shape[1] + 1)
    options = {"maxiter": 300, "maxcor": 20}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    slopes = found[:-1] / deviation
    return Head(slopes.astype("f4"), np.float32(found[-1] - (slopes * mean).sum()))


def train_cat(network, sets, without=None):
    """Cats against all else. Both sides weigh alike, and so does every set within its side."""
    chosen = {key: rows for key, rows in sets.items() if key[1] == "train" and key[0] != without}
    labels = [label for _name, part, label in sets if part == "train"]
    features, truth, weight = [], [], []
    for (name, _part, label), rows in chosen.items():
        look = network.look(name, [row["file"] for row in rows], CENTRE)
        features.append(look.features)
        truth.append(np.full(len(rows), float(label == "cat")))
        weight.append(np.full(len(rows), 1 / labels.count(label) / len(rows)))
    return fit(*map(np.concatenate, (features, truth, weight)), PENALTY_CAT)


def train_coats(network, rows):
    """Each coat against all others."""
    rows = [row for row in rows if row["part"] == "train" and row["coat"]]
    looks = [network.look(row["set"], [row["file"]], CENTRE) for row in rows]
    features = np.concatenate([look.features for look in looks])
    coats = np.array([row["coat"] for row in rows])
    looked_at = np.array([row["set"] != PEDIGREES for row in rows])
    pedigree = PEDIGREE_WEIGHT * looked_at.sum() / max(1, (~looked_at).sum())
    weight = np.where(looked_at, 1.0, pedigree)
    heads = {}
    for coat in COATS:
        right = coats == coat
        share = np.where(
            right,
            weight / weight[right].sum(),
            OTHER_COATS_WEIGHT * weight / weight[~right].sum(),
        )
        heads[coat] = fit(features, right.astype(float), share, PENALTY_COAT)
    return heads


def judge(network, sets, cat, cat_without_pedigrees):
    """Sets the threshold of each rule by `RATE`; returns them, and a report on every test set.

    The pedigrees are all trained on, so they are judged by a head that has never seen them.
    """
    looks = {}
    for (name, part, label), rows in sets.items():
        if part != "test" and (name != PEDIGREES or label != "cat"):
            continue
        head = cat_without_pedigrees if name == PEDIGREES else cat
        files = [row["file"] for row in rows]
        both = [network.look(name, files, view) for view in (CENTRE, CLOSE)]
        looks[name, label] = [(look.log_odds(), head(look.features)) for look in both]

    def one(look):
        return look[0]

    def with_head(look):
        return look[0] + ALPHA * look[1]

    rules = {
        "rule": lambda both: one(both[0]),
        "rule, two looks": lambda both: (one(both[0]) + one(both[1])) / 2,
        "head": lambda both: with_head(both[0]),
        "head, two looks": lambda both: (with_head(both[0]) + with_head(both[1])) / 2,
    }

    def is_hard(key):
        return key[1] == "none" and key[0] in HARD_SETS

    thresholds, report = {}, []

    def note(title, scores, threshold):
        thresholds[title] = threshold
        everyday = np.concatenate(
            [scores[key] for key in scores if key[1] == "none" and not is_hard(key)]
        )
        accepted = share(everyday > threshold)
        report.append(f"== {title}: score > {threshold:.3f}; everyday non-cats {accepted}")
        for name, label in sorted(scores, key=lambda key: (key[1], is_hard(key), key[0])):
            accepted = share(scores[name, label] > threshold)
            report.append(f"   {name:14s} {label:13s} {accepted}")

    def scores_of(rule):
        return {key: rule(both) for key, both in looks.items()}

    note("rule at mass 0.05", scores_of(rules["rule"]), float(np.log(0.05 / 0.95)))
    for title, rule in rules.items():
        scores = scores_of(rule)
        everyday = [scores[key] for key in scores if key[1] == "none" and not is_hard(key)]
        falling = np.sort(np.concatenate(everyday))[::-1]
        note(title, scores, float(falling[int(len(falling) * RATE)]) + 1e-6)
    low, high = UNDECIDED
    for (name, label), both in looks.items():
        first = with_head(both[0])
        undecided = ((first <= high) & (first >= low)).mean()
        report.append(f"   second look needed: {name} {label} {undecided:.3f}")
    return thresholds, report


def share(accepted, z=1.96):
    """A share with its 95 % interval after Wilson, as text."""
    n, k = len(accepted), int(accepted.sum())
    p, scale = k / n, 1 + z * z / n
    middle = p + z * z / 2 / n
    half = z * (p * (1 - p) / n + z * z / 4 / n / n) ** 0.5
    low, high = (100 * (middle + side * half) / scale for side in (-1, 1))
    return f"{k}/{n} = {100 * p:.1f} % ({low:.1f} to {high:.1f})"


def main():
    """Trains, judges, and writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="labels.onnx")
    parser.add_argument("pictures", type=Path, help="folder with one folder for each set")
    parser.add_argument("list", type=Path, help="CSV file that names the pictures")
    parser.add_argument("out", type=Path, help="folder for the results")
    arguments = parser.parse_args()

    cache = arguments.out / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    network = Network(arguments.model, arguments.pictures, cache)
    with open(arguments.list, newline="") as file:
        rows = list(csv.DictReader(file))
    sets = {}
    for row in rows:
        sets.setdefault((row["set"], row["part"], row["label"]), []).append(row)

    cat = train_cat(network, sets)
    coats = train_coats(network, rows)
    thresholds, report = judge(network, sets, cat, train_cat(network, sets, without=PEDIGREES))

    heads = {"cat": cat, **coats}
    numbers = np.concatenate([np.r_[head.weights, head.bias] for head in heads.values()])
    numbers.astype("<f4").tofile(arguments.out / "heads.f32")
    low, high = UNDECIDED
    layout = {
        "model": "efficientnet-lite2",
        "features": len(cat.weights),
        "rows": list(heads),
        "layout": "little-endian float32: for each row the weights of the pooled features,"
        " then the bias",
        "score": "log(p/(1-p)) + alpha*(w.f+b), p = sum of classes 281..285",
        "alpha": ALPHA,
        "thresholds": thresholds,
        "second_look": f"only where the first score is between {low} and {high};"
        " the mean of both must exceed the threshold",
    }
    (arguments.out / "heads.json").write_text(json.dumps(layout, indent=2) + "\n")
    text = "\n".join(report) + "\n"
    (arguments.out / "results.txt").write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
