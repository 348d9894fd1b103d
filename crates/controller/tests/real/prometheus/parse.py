"""Parses a page of metrics as Prometheus' own Python client does, by both formats, and prints its time series as JSON.

usage: parse.py FILE
"""
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

text = open(sys.argv[1]).read()
families = {}
# This parser is strict: it refuses a metric that is there twice, wrong suffixes, buckets that do not add up, a missing # EOF.
for family in openmetrics(text):
    samples = [[sample.name, sample.labels, sample.value] for sample in family.samples]
    families[family.name] = {"type": family.type, "unit": family.unit, "help": family.documentation, "samples": samples}
older = sum(len(family.samples) for family in prometheus(text))
assert older == sum(len(family["samples"]) for family in families.values()), "the two formats differ"
json.dump(families, sys.stdout)
