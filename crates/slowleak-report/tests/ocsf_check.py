"""Checks a findings.jsonl against the published OCSF schema.

Needs two packages and no network: pip install ocsf-json-schema jsonschema
Use: python ocsf_check.py FINDINGS.jsonl

Every line must hold against Detection Finding of schema 1.6.0, and, for readers that stopped at 1.1.0, against
that version once members and enumeration values that came later are allowed.
"""

import json
import sys

from jsonschema import Draft202012Validator
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

CLASS = "detection_finding"
LATER = ("additionalProperties", "enum")


def validator(version, open_objects):
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version)).get_class_schema(CLASS, profiles=[])
    if open_objects:
        schema = without_closing(schema)
    return Draft202012Validator(schema)


def without_closing(node):
    """The schema with unknown members and values allowed everywhere."""
    if isinstance(node, dict):
        return {key: without_closing(value) for key, value in node.items() if key not in LATER}
    if isinstance(node, list):
        return [without_closing(value) for value in node]
    return node


def main(path):
    checks = {"1.6.0": validator("1.6.0", False), "1.1.0": validator("1.1.0", True)}
    failures = lines = 0
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            lines += 1
            event = json.loads(line)
            for version, check in checks.items():
                for error in check.iter_errors(event):
                    failures += 1
                    place = "/".join(str(part) for part in error.absolute_path)
                    print(f"line {number}, schema {version}: {place}: {error.message[:300]}")
    print(f"{lines} findings, {failures} failures")
    return 1 if failures or not lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
