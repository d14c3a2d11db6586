"""A configuration of two datasets and two methods, to be changed by assignments."""

import copy

import yaml

from zslpipe.study.assignments import apply_assignments

GIVEN = yaml.safe_load("""
methods: [dazle, eszsl]
datasets:
  creatures: {adapter: demo, extractors: [fine, coarse], words: drawn, settings_of: CUB}
  birds:
    adapter: xlsa17
    source: {features: res101.mat, splits: att_splits.mat}
    extractors: [own]
    words: drawn
    methods: [eszsl]
extractors:
  fine: {backbone: demo, size: 112, grid: 14}
  coarse: {backbone: demo, size: 112, grid: 7}
  own: {backbone: stored, size: 224, grid: 1}
  named: {backbone: resnet18, weights: IMAGENET1K_V1, size: 224, grid: 7}
words:
  drawn: {kind: random, dimension: 4}
  other: {kind: random, dimension: 5}
dazle:
  lr: 0.01
  variants:
    other_words: {words: other, lr: 0.02}
    chosen: {selection: validation, choose: {lr: [0.1, 0.2]}}
eszsl: {normalisation: minmax}
""")


def given(changes: str = "") -> dict:
    """Return the configuration above with assignments applied."""
    config = copy.deepcopy(GIVEN)
    apply_assignments(config, changes)
    return config
