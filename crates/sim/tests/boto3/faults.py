"""Faults as boto3 meets them: error answers, lost and broken answers, stuck attachments, answers that lag."""

import time

from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError

from client import client, refused, worlds

WORLDS = worlds()
# As the EC2 API reference has them: client errors are 400 but for a few.
STATUS = {
    "RequestLimitExceeded": 503,
    "Unavailable": 503,
    "ServiceUnavailable": 503,
    "InternalError": 500,
    "InternalFailure": 500,
    "AuthFailure": 401,
    "InvalidClientTokenId": 401,
    "UnauthorizedOperation": 403,
    "MissingAuthenticationToken": 403,
    "DryRunOperation": 412,
}


def codes():
    """A rule for each code, told by a parameter: boto3 reads them all alike."""
    world = WORLDS["codes"]
    ec2 = client(world)
    for code in world.places["codes"].split():
        named = [{"Name": "tag:code", "Values": [code]}]
        refused(code, ec2.describe_network_interfaces, status=STATUS.get(code, 400), Filters=named)


def retried():
    """What EC2's clients retry, botocore retries: it knows the codes and statuses for what they are."""
    for name in ("throttled", "internal", "unavailable", "unreachable", "lost", "garbled"):
        ec2 = client(WORLDS[name], retries={"total_max_attempts": 2, "mode": "standard"})
        answer = ec2.create_network_interface(SubnetId=WORLDS[name].places["subnet"], Description=name)
        assert answer["ResponseMetadata"]["RetryAttempts"] == 1, (name, answer)
        enis = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [name]}])["NetworkInterfaces"]
        ids = [eni["NetworkInterfaceId"] for eni in enis]
        # boto3 sends a token of its own with both attempts, so they made one.
        assert ids == [answer["NetworkInterface"]["NetworkInterfaceId"]], (name, enis)


def lost():
    world = WORLDS["silent"]
    ec2 = client(world, read_timeout=1)
    for raised, arguments in (
        (ReadTimeoutError, {"Description": "hung"}),
        (ConnectionClosedError, {"Description": "broken"}),
        (HTTPClientError, {"Description": "garbled"}),
    ):
        try:
            ec2.create_network_interface(SubnetId=world.places["subnet"], **arguments)
        except raised:
            pass
        else:
            raise AssertionError(f"{raised} expected for {arguments}")
        named = [{"Name": "description", "Values": [arguments["Description"]]}]
        assert len(ec2.describe_network_interfaces(Filters=named)["NetworkInterfaces"]) == 1, "it took effect"


def stuck():
    world = WORLDS["stuck"]
    ec2 = client(world)
    eni = ec2.create_network_interface(SubnetId=world.places["subnet"])["NetworkInterface"]["NetworkInterfaceId"]

    def status():
        (shown,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
        return shown.get("Attachment", {}).get("Status"), shown["Status"]

    slot = {"NetworkInterfaceId": eni, "InstanceId": world.places["node"], "DeviceIndex": 1}
    attachment = ec2.attach_network_interface(**slot)["AttachmentId"]
    assert status() == ("attaching", "in-use"), status()
    ec2.detach_network_interface(AttachmentId=attachment)
    assert status() == ("detaching", "in-use"), status()
    ec2.detach_network_interface(AttachmentId=attachment, Force=True)
    assert status() == (None, "available"), status()
    # The forced detach has spoilt the slot: the next one stays attaching there, and a plain detach frees it.
    attachment = ec2.attach_network_interface(**slot)["AttachmentId"]
    assert status() == ("attaching", "in-use"), status()
    ec2.detach_network_interface(AttachmentId=attachment)
    assert status() == (None, "available"), status()
    ec2.create_tags(Resources=[eni], Tags=[{"Key": "a", "Value": "b"}])
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    (left,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    assert left["TagSet"] == [] and left["Status"] == "available", ("leaked on Delete", left)


def lagging():
    world = WORLDS["lagging"]
    ec2 = client(world)
    created = ec2.create_network_interface(SubnetId=world.places["subnet"])
    eni = created["NetworkInterface"]["NetworkInterfaceId"]
    slot = {"NetworkInterfaceId": eni, "InstanceId": world.places["node"], "DeviceIndex": 1}
    modify, seen = ec2.modify_network_interface_attribute, ec2.describe_network_interfaces
    refused("InvalidNetworkInterfaceID.NotFound", seen, NetworkInterfaceIds=[eni])
    refused("InvalidNetworkInterfaceID.NotFound", ec2.attach_network_interface, **slot)
    refused("InvalidNetworkInterfaceID.NotFound", modify, NetworkInterfaceId=eni, Description={"Value": "x"})
    refused("InvalidNetworkInterfaceID.NotFound", ec2.create_tags, Resources=[eni], Tags=[{"Key": "a", "Value": "b"}])
    named = [{"Name": "network-interface-id", "Values": [eni]}]
    deadline = time.monotonic() + 30
    while not seen(Filters=named)["NetworkInterfaces"]:
        assert time.monotonic() < deadline, "it never shows"
        time.sleep(0.1)
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    assert seen(Filters=named)["NetworkInterfaces"], "deleted, and still shown"


codes()
retried()
lost()
stuck()
lagging()
print("faults, as boto3 meets them")
