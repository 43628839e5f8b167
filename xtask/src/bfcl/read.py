"""Writes the function documents of BFCL, one a line: {"document": …, "answers": [arguments], "invalid": [arguments]}.

Each document is there once. Its answers are the possible answers of every question that offers it, as far as they are valid by the
document itself; the others are `invalid`. The types of the documents are names of Python, Java and JavaScript.
"""

import glob
import itertools
import json
import os
import sys

import jsonschema

DATA = os.path.join(sys.argv[1], "bfcl_eval", "data")
ALIASES = {
    "dict": "object", "HashMap": "object", "tuple": "array", "Array": "array", "ArrayList": "array", "float": "number",
    "double": "number", "long": "integer", "String": "string", "char": "string", "Boolean": "boolean",
}
KEPT = ("enum", "format", "maxItems", "maximum", "minItems", "required")
# Answers of one call that are tried: with each listed value of one argument, and the first values of the others.
ANSWERS_MAX = 500


def schema(said):
    """The document as JSON Schema: its types, and the keywords that documents of the benchmark have."""
    if isinstance(said, list):
        return [schema(item) for item in said]
    if not isinstance(said, dict):
        return said
    made = {key: value for key, value in said.items() if key in KEPT}
    kind = ALIASES.get(said.get("type"), said.get("type"))
    if kind not in ("any", "", None):
        made["type"] = kind
    if isinstance(said.get("properties"), dict):
        made["properties"] = {key: schema(value) for key, value in said["properties"].items()}
        # A function takes the arguments that it names.
        made["additionalProperties"] = False
    if isinstance(said.get("items"), dict):
        made["items"] = schema(said["items"])
    if isinstance(said.get("additionalProperties"), dict):
        made["additionalProperties"] = schema(said["additionalProperties"])
    return made


def values(listed):
    """The values of an argument, of a list of possible ones. An empty text says that it may be left out."""
    for value in listed:
        if isinstance(value, dict):
            yield from objects(value)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            items = [list(itertools.islice(objects(item), 4)) if isinstance(item, dict) else [item] for item in value]
            yield from (list(chosen) for chosen in itertools.islice(itertools.product(*items), 16))
        else:
            yield value


def objects(said):
    """The objects of an object whose values are lists of possible ones."""
    chosen = {key: list(values(value)) if isinstance(value, list) else [value] for key, value in said.items()}
    first = {key: options[0] for key, options in chosen.items() if options}
    for key, options in [(None, [None])] + list(chosen.items()):
        for option in options:
            made = {**first, key: option} if key is not None else dict(first)
            yield {name: value for name, value in made.items() if value != "" or name == key}
            if option == "" and key is not None:
                yield {name: value for name, value in made.items() if name != key and value != ""}


def lines(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def main():
    documents, answers = {}, {}
    for path in sorted(glob.glob(os.path.join(DATA, "BFCL*.json"))):
        possible = os.path.join(DATA, "possible_answer", os.path.basename(path))
        truths = {entry["id"]: entry["ground_truth"] for entry in lines(possible)} if os.path.exists(possible) else {}
        for entry in lines(path):
            offered = entry.get("function", [])
            offered = [offered] if isinstance(offered, dict) else offered
            for document in offered:
                key = json.dumps(document, sort_keys=True)
                documents[key] = document
                for call in truths.get(entry.get("id"), []):
                    if isinstance(call, dict) and document["name"] in call:
                        answers.setdefault(key, []).append(call[document["name"]])
    for path in sorted(glob.glob(os.path.join(DATA, "multi_turn_func_doc", "*.json"))):
        for document in lines(path):
            documents[json.dumps(document, sort_keys=True)] = document
    for key, document in documents.items():
        validator = jsonschema.Draft202012Validator(schema(document["parameters"]), format_checker=jsonschema.FormatChecker())
        valid, invalid, seen = [], [], set()
        for call in answers.get(key, []):
            for args in itertools.islice(objects(call), ANSWERS_MAX):
                text = json.dumps(args, sort_keys=True)
                if text in seen:
                    continue
                seen.add(text)
                (valid if validator.is_valid(args) else invalid).append(args)
        print(json.dumps({"document": document, "answers": valid, "invalid": invalid}))


main()
