"""Injected faults through boto3: error answers, lost and broken answers, stuck attachments, and lagging reads."""

import time

from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError

from client import accounts, client, refused

ACCOUNTS = accounts()
# The statuses of the EC2 API reference. Client errors have 400, with a few exceptions.
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
    """boto3 reads every code. The value of a filter chooses the fault rule, and so the code."""
    account = ACCOUNTS["codes"]
    ec2 = client(account)
    for code in account.ids["codes"].split():
        named = [{"Name": "tag:code", "Values": [code]}]
        refused(code, ec2.describe_network_interfaces, status=STATUS.get(code, 400), Filters=named)


def retried():
    """botocore retries the errors that EC2's clients retry, so it recognizes the codes and statuses."""
    for name in ("throttled", "internal", "unavailable", "unreachable", "lost", "garbled"):
        ec2 = client(ACCOUNTS[name], retries={"total_max_attempts": 2, "mode": "standard"})
        answer = ec2.create_network_interface(SubnetId=ACCOUNTS[name].ids["subnet"], Description=name)
        assert answer["ResponseMetadata"]["RetryAttempts"] == 1, (name, answer)
        enis = ec2.describe_network_interfaces(Filters=[{"Name": "description", "Values": [name]}])["NetworkInterfaces"]
        ids = [eni["NetworkInterfaceId"] for eni in enis]
        # boto3 sends the same client token with both attempts, so there is one interface.
        assert ids == [answer["NetworkInterface"]["NetworkInterfaceId"]], (name, enis)


def lost():
    account = ACCOUNTS["silent"]
    ec2 = client(account, read_timeout=1)
    for raised, arguments in (
        (ReadTimeoutError, {"Description": "hung"}),
        (ConnectionClosedError, {"Description": "broken"}),
        (HTTPClientError, {"Description": "garbled"}),
    ):
        try:
            ec2.create_network_interface(SubnetId=account.ids["subnet"], **arguments)
        except raised:
            pass
        else:
            raise AssertionError(f"{raised} expected for {arguments}")
        named = [{"Name": "description", "Values": [arguments["Description"]]}]
        assert len(ec2.describe_network_interfaces(Filters=named)["NetworkInterfaces"]) == 1, "it took effect"


def stuck():
    account = ACCOUNTS["stuck"]
    ec2 = client(account)
    eni = ec2.create_network_interface(SubnetId=account.ids["subnet"])["NetworkInterface"]["NetworkInterfaceId"]

    def status():
        (shown,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
        return shown.get("Attachment", {}).get("Status"), shown["Status"]

    slot = {"NetworkInterfaceId": eni, "InstanceId": account.ids["node"], "DeviceIndex": 1}
    attachment = ec2.attach_network_interface(**slot)["AttachmentId"]
    assert status() == ("attaching", "in-use"), status()
    ec2.detach_network_interface(AttachmentId=attachment)
    assert status() == ("detaching", "in-use"), status()
    ec2.detach_network_interface(AttachmentId=attachment, Force=True)
    assert status() == (None, "available"), status()
    # The forced detach left the slot unusable: the next attachment stays `attaching`, and a plain detach ends it.
    attachment = ec2.attach_network_interface(**slot)["AttachmentId"]
    assert status() == ("attaching", "in-use"), status()
    ec2.detach_network_interface(AttachmentId=attachment)
    assert status() == (None, "available"), status()
    ec2.create_tags(Resources=[eni], Tags=[{"Key": "a", "Value": "b"}])
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    (left,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni])["NetworkInterfaces"]
    assert left["TagSet"] == [] and left["Status"] == "available", ("leaked on Delete", left)


def lagging():
    account = ACCOUNTS["lagging"]
    ec2 = client(account)
    created = ec2.create_network_interface(SubnetId=account.ids["subnet"])
    eni = created["NetworkInterface"]["NetworkInterfaceId"]
    slot = {"NetworkInterfaceId": eni, "InstanceId": account.ids["node"], "DeviceIndex": 1}
    modify, describe = ec2.modify_network_interface_attribute, ec2.describe_network_interfaces
    refused("InvalidNetworkInterfaceID.NotFound", describe, NetworkInterfaceIds=[eni])
    refused("InvalidNetworkInterfaceID.NotFound", ec2.attach_network_interface, **slot)
    refused("InvalidNetworkInterfaceID.NotFound", modify, NetworkInterfaceId=eni, Description={"Value": "x"})
    refused("InvalidNetworkInterfaceID.NotFound", ec2.create_tags, Resources=[eni], Tags=[{"Key": "a", "Value": "b"}])
    named = [{"Name": "network-interface-id", "Values": [eni]}]
    deadline = time.monotonic() + 30
    while not describe(Filters=named)["NetworkInterfaces"]:
        assert time.monotonic() < deadline, "it never shows"
        time.sleep(0.1)
    ec2.delete_network_interface(NetworkInterfaceId=eni)
    assert describe(Filters=named)["NetworkInterfaces"], "deleted, and still shown"


codes()
retried()
lost()
stuck()
lagging()
print("boto3 reads every fault as expected")
