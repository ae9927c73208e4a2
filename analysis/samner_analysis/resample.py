"""Drawn sentences (bootstrap), from the counts of each sentence that results.h5 has."""

from __future__ import annotations

import numpy as np
import pandas as pd

RESAMPLES = 1000  #: as src/score/bootstrap.h
_KEPT = 8  #: sets of sentences whose draws are kept


class Sentences:
    """The counts behind the cells of one results.h5, and F1 on drawn sentences.

    Sentences are drawn with replacement from those of a target, as many as there are. The draws depend on the sentences
    alone (/cells/texts): systems that answer the same ones are compared on the same draws (paired bootstrap; Koehn
    2004, as `samner compare` does it), those of other sentences are drawn independently.
    """

    def __init__(self, sentences: pd.DataFrame):
        self._counts = sentences[["tp", "fp", "fn"]].to_numpy()
        self._drawn: dict[str, np.ndarray] = {}

    def counts(self, cell: pd.Series) -> np.ndarray:
        """Of the sentences of a row of /cells: true positives, false positives, false negatives; [sentences, 3]."""
        first, size = int(cell["first"]), int(cell["sentences"])
        counts = self._counts[first : first + size]
        if first < 0 or len(counts) != size or any(counts.sum(axis=0) != [cell["tp"], cell["fp"], cell["fn"]]):
            raise ValueError(f"/sentences does not have the counts of {cell['system']} on {cell['target']}")
        return counts

    def f1(self, texts: str, counts: np.ndarray) -> np.ndarray:
        """Micro-F1 in percent on each draw, 0 where there is nothing; [RESAMPLES]."""
        tp, fp, fn = (self._times(texts, len(counts)) @ counts.astype(np.float32)).astype(np.float64).T
        total = 2 * tp + fp + fn
        return np.divide(200 * tp, total, out=np.zeros_like(total), where=total > 0)

    def _times(self, texts: str, size: int) -> np.ndarray:
        """How often each draw has each sentence; [RESAMPLES, size]. Its sums are whole and small: exact in float32."""
        if texts not in self._drawn:
            if len(self._drawn) == _KEPT:
                self._drawn.pop(next(iter(self._drawn)))
            places = np.random.default_rng(int(texts, 16)).integers(0, size, (RESAMPLES, size))
            places += size * np.arange(RESAMPLES)[:, None]
            times = np.bincount(places.ravel(), minlength=RESAMPLES * size)
            self._drawn[texts] = times.reshape(RESAMPLES, size).astype(np.float32)
        return self._drawn[texts]
