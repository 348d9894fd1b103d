"""boto3 clients of the simulated EC2 that also check every answer against AWS's service model, element by element."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections import namedtuple

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import ListShape, StructureShape

Account = namedtuple("Account", "endpoint ids")
NAMESPACE = "{http://ec2.amazonaws.com/doc/2016-11-15/}"
# botocore's own example (examples-1.json) answers `pending`, which is not in the model's enum.
UNMODELLED = {("CreateNetworkInterface.networkInterface.status", "pending")}
GHOST_ENI, GHOST_ATTACHMENT = "eni-0000000000000dead", "eni-attach-0000000000000dead"
GHOST_SUBNET, GHOST_GROUP, GHOST_INSTANCE = "subnet-0000000000000dead", "sg-0000000000000dead", "i-0000000000000dead"


def accounts():
    """The accounts that the Rust test serves, by name: the endpoint of each and the IDs of its resources."""
    return {name: Account(**account) for name, account in json.loads(sys.argv[1]).items()}


def client(account, **config):
    """A client without retries and client-side checks, so that the simulator must refuse. `config` can switch both on."""
    config = {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "parameter_validation": False,
        "read_timeout": 20,
        "proxies": {},
        **config,
    }
    made = boto3.client(
        "ec2",
        endpoint_url=account.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="simulated",
        aws_secret_access_key="simulated",
        config=Config(**config),
    )
    made.meta.events.register("after-call.ec2.*", as_modelled)
    return made


def refused(code, call, says="", status=400, **arguments):
    """Checks that the call is refused with this code and HTTP status, and that the message contains `says`."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        answered, meta = error.response["Error"], error.response["ResponseMetadata"]
        assert answered["Code"] == code, (code, arguments, error.response)
        assert answered["Message"] and says in answered["Message"], (says, answered)
        assert meta["HTTPStatusCode"] == status, (status, error.response)
        assert meta["RequestId"], error.response
        return error.response
    raise AssertionError(f"{code} expected for {arguments}, not {answer}")


def tampered(account, change):
    """A client whose request bodies are changed by `change` after boto3 has built them."""
    made = client(account)

    def before_call(params, **_):
        change(params["body"])  # Returns nothing: botocore would use a returned value as the answer.

    made.meta.events.register("before-call.ec2.*", before_call)
    return made


def as_modelled(http_response, model, **_):
    """Checks that the model has every element of an answer, and that its text has the type. botocore skips unknown elements."""
    root = ElementTree.fromstring(http_response.content)
    if http_response.status_code >= 300:
        tags = [element.tag for element in root.iter()]
        assert tags == ["Response", "Errors", "Error", "Code", "Message", "RequestID"], tags
        return
    assert root.tag == f"{NAMESPACE}{model.name}Response", root.tag
    names = [child.tag for child in root]
    assert names.count(f"{NAMESPACE}requestId") == 1, names
    # EC2 answers `return` wherever it has nothing else to answer. Few shapes of the model have it.
    apart = {f"{NAMESPACE}requestId", f"{NAMESPACE}return"}
    children = [child for child in root if child.tag not in apart]
    check_members(children, model.output_shape, model.name)


def check_members(children, shape, where):
    if shape is None:
        assert not children, (where, children)
        return
    known = {member.serialization.get("name", name): member for name, member in shape.members.items()}
    tags = [child.tag.removeprefix(NAMESPACE) for child in children]
    assert len(tags) == len(set(tags)), f"{where}: an element twice in {tags}"
    for child, tag in zip(children, tags, strict=True):
        assert tag in known, f"{where}: the service model has no {tag}, only {sorted(known)}"
        check(child, known[tag], f"{where}.{tag}")


def check(element, shape, where):
    if isinstance(shape, StructureShape):
        check_members(list(element), shape, where)
    elif isinstance(shape, ListShape):
        name = shape.member.serialization.get("name", "member")
        for child in element:
            assert child.tag == f"{NAMESPACE}{name}", f"{where}: {child.tag} in a list of {name}"
            check(child, shape.member, f"{where}[]")
    else:
        text = element.text or ""
        assert not list(element), f"{where}: a {shape.type_name} with children"
        if shape.type_name == "boolean":
            assert text in ("true", "false"), f"{where}: {text!r}"
        elif shape.type_name in ("integer", "long"):
            int(text)
        allowed = getattr(shape, "enum", None)
        fits = not allowed or text in allowed or (where, text) in UNMODELLED
        assert fits, f"{where}: {text!r} is none of {allowed}"
