"""boto3 clients of the simulated EC2 that also hold its answers against AWS's service model, element by element."""

import json
import sys
import xml.etree.ElementTree as ElementTree
from collections import namedtuple

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.model import ListShape, StructureShape

World = namedtuple("World", "endpoint places")
NAMESPACE = "{http://ec2.amazonaws.com/doc/2016-11-15/}"
# The example that botocore ships with the model (examples-1.json) answers `pending`, which the model's enum lacks.
UNMODELLED = {("CreateNetworkInterface.networkInterface.status", "pending")}
GHOST_ENI, GHOST_ATTACHMENT = "eni-0000000000000dead", "eni-attach-0000000000000dead"
GHOST_SUBNET, GHOST_GROUP, GHOST_INSTANCE = "subnet-0000000000000dead", "sg-0000000000000dead", "i-0000000000000dead"


def worlds():
    """What the Rust side started: worlds by name, each an endpoint and the IDs of what is in it."""
    return {name: World(**world) for name, world in json.loads(sys.argv[1]).items()}


def client(world, **config):
    """Without retries and without client-side checks, so that the simulator has to refuse; both can be had back."""
    config = {
        "retries": {"total_max_attempts": 1, "mode": "standard"},
        "parameter_validation": False,
        "read_timeout": 20,
        "proxies": {},
        **config,
    }
    made = boto3.client(
        "ec2",
        endpoint_url=world.endpoint,
        region_name="eu-west-1",
        aws_access_key_id="simulated",
        aws_secret_access_key="simulated",
        config=Config(**config),
    )
    made.meta.events.register("after-call.ec2.*", as_modelled)
    return made


def refused(code, call, says="", status=400, **arguments):
    """The call is refused with this code and HTTP status, in a sentence that says so."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        told, meta = error.response["Error"], error.response["ResponseMetadata"]
        assert told["Code"] == code, (code, arguments, error.response)
        assert told["Message"] and says in told["Message"], (says, told)
        assert meta["HTTPStatusCode"] == status, (status, error.response)
        assert meta["RequestId"], error.response
        return error.response
    raise AssertionError(f"{code} expected for {arguments}, not {answer}")


def tampered(world, change):
    """A client whose request body `change` alters after boto3 has built it."""
    made = client(world)

    def before_call(params, **_):
        change(params["body"])  # Nothing is returned: botocore would take it for the answer.

    made.meta.events.register("before-call.ec2.*", before_call)
    return made


def as_modelled(http_response, model, **_):
    """botocore skips what it does not know. Here, every element must be one of the model's, and read as its type."""
    root = ElementTree.fromstring(http_response.content)
    if http_response.status_code >= 300:
        tags = [element.tag for element in root.iter()]
        assert tags == ["Response", "Errors", "Error", "Code", "Message", "RequestID"], tags
        return
    assert root.tag == f"{NAMESPACE}{model.name}Response", root.tag
    names = [child.tag for child in root]
    assert names.count(f"{NAMESPACE}requestId") == 1, names
    # `return` is in every answer of EC2 that says nothing else, and in few shapes of the model.
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
