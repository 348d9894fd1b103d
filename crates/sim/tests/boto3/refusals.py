"""Refusals that do not depend on the action: malformed requests, filters, limits, throttling and permissions."""

import ipaddress

from botocore import UNSIGNED

from client import accounts, client, refused, tampered

ACCOUNTS = accounts()
main = ACCOUNTS["main"]
ec2 = client(main)
subnet, tiny, node = (main.ids[name] for name in ("subnet", "tiny", "node"))
TAGGED = [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}]


def malformed_requests():
    refused("InvalidAction", ec2.describe_vpcs, says="DescribeVpcs")
    refused("InvalidAction", tampered(main, lambda body: body.update(Version="2014-01-01")).describe_subnets)
    refused("MissingParameter", tampered(main, lambda body: body.pop("Action")).describe_subnets, says="Action")
    twice = tampered(main, lambda body: body.update({"MaxResults": ["5", "6"]}))
    refused("MalformedQueryString", twice.describe_subnets, says="MaxResults")
    refused("UnknownParameter", tampered(main, lambda body: body.update(Colour="red")).describe_subnets, says="Colour")
    # The simulator refuses a parameter of AWS that it does not have, instead of ignoring it.
    refused(
        "UnknownParameter",
        ec2.modify_network_interface_attribute,
        says="EnaSrdSpecification",
        NetworkInterfaceId="eni-00000000",
        EnaSrdSpecification={"EnaSrdEnabled": True},
    )
    unsigned = client(main, signature_version=UNSIGNED)
    refused("MissingAuthenticationToken", unsigned.describe_subnets, status=403)
    perhaps = tampered(main, lambda body: body.update(DryRun="perhaps"))
    refused("InvalidParameterValue", perhaps.describe_subnets, says="DryRun")
    # A dry run changes nothing. The answer comes before the checks of the action's parameters.
    refused("DryRunOperation", ec2.create_network_interface, status=412, SubnetId=subnet, DryRun=True)


def filters():
    def by(code, says, *filters):
        for call in (
            ec2.describe_network_interfaces,
            ec2.describe_subnets,
            ec2.describe_security_groups,
            ec2.describe_instances,
            ec2.describe_instance_types,
        ):
            refused(code, call, says=says, Filters=list(filters))

    by("InvalidParameterValue", "colour", {"Name": "colour", "Values": ["red"]})
    by("InvalidParameterValue", "tag:", {"Name": "tag:", "Values": ["red"]})
    by("InvalidParameterValue", "no values", {"Name": "tag:a"})
    by("MissingParameter", "Name", {"Values": ["red"]})
    by("FilterLimitExceeded", "200", {"Name": "tag:a", "Values": [str(n) for n in range(201)]})
    by("FilterLimitExceeded", "255", {"Name": "tag:a", "Values": ["x" * 256]})
    by("FilterLimitExceeded", "50", *[{"Name": f"tag:{n}", "Values": ["x"]} for n in range(51)])


def limits():
    refused("NetworkInterfaceLimitExceeded", client(ACCOUNTS["quota"]).create_network_interface, SubnetId=subnet)
    create = ec2.create_network_interface
    refused("InsufficientFreeAddressesInSubnet", create, SubnetId=tiny, SecondaryPrivateIpAddressCount=11)
    refused("InvalidParameterValue", create, SubnetId=tiny, Ipv4PrefixCount=1)
    # There are enough free addresses, but no block of sixteen is free.
    network = ipaddress.ip_network(ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["CidrBlock"])
    spread = [str(block[8]) for block in network.subnets(new_prefix=28)]
    addresses = [{"PrivateIpAddress": address, "Primary": nth == 0} for nth, address in enumerate(spread)]
    spoiler = create(SubnetId=subnet, PrivateIpAddresses=addresses)["NetworkInterface"]["NetworkInterfaceId"]
    refused("InsufficientCidrBlocks", create, SubnetId=subnet, Ipv4PrefixCount=1)
    ec2.delete_network_interface(NetworkInterfaceId=spoiler)
    full = create(SubnetId=tiny, SecondaryPrivateIpAddressCount=10)["NetworkInterface"]["NetworkInterfaceId"]
    refused("InsufficientFreeAddressesInSubnet", create, SubnetId=tiny)
    ec2.delete_network_interface(NetworkInterfaceId=full)
    many = client(ACCOUNTS["crowded"])
    refused("OperationNotPermitted", many.describe_network_interfaces, says="too many")
    assert many.describe_network_interfaces(MaxResults=5)["NetworkInterfaces"]


def throttled():
    """With one token per bucket and no refill, the second call of each action is refused."""
    busy = client(ACCOUNTS["busy"])
    pairs = [
        (busy.create_network_interface, {"SubnetId": subnet}),
        (busy.attach_network_interface, {"NetworkInterfaceId": "eni-x", "InstanceId": node, "DeviceIndex": 1}),
        (busy.detach_network_interface, {"AttachmentId": "x"}),
        (busy.delete_network_interface, {"NetworkInterfaceId": "eni-x"}),
        (busy.modify_network_interface_attribute, {"NetworkInterfaceId": "eni-x", "Description": {"Value": "x"}}),
        (busy.create_tags, {"Resources": ["eni-x"], "Tags": [{"Key": "a", "Value": "b"}]}),
        (busy.delete_tags, {"Resources": ["eni-x"]}),
        (busy.describe_network_interfaces, {"MaxResults": 5}),
        (busy.describe_network_interfaces, {}),
        (busy.describe_subnets, {}),
        (busy.describe_security_groups, {}),
        (busy.describe_instances, {}),
        (busy.describe_instances, {"MaxResults": 5}),
        (busy.describe_instance_types, {}),
    ]
    for call, arguments in pairs:
        try:
            call(**arguments)
        except busy.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] != "RequestLimitExceeded", (call, error)
        refused("RequestLimitExceeded", call, status=503, **arguments)


def permissions():
    denied = client(ACCOUNTS["denied"])
    for name, arguments in {
        "DetachNetworkInterface": {"AttachmentId": "x"},
        "DescribeInstances": {},
    }.items():
        call = denied.detach_network_interface if "Detach" in name else denied.describe_instances
        refused("UnauthorizedOperation", call, says=f"ec2:{name}", status=403, **arguments)
        # Without the permission, a dry run is refused as well.
        refused("UnauthorizedOperation", call, says=f"ec2:{name}", status=403, DryRun=True, **arguments)
    # Tags in a Create need the permission for CreateTags, as in IAM.
    created = denied.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    tagging = denied.create_network_interface
    refused("UnauthorizedOperation", tagging, "ec2:CreateTags", 403, SubnetId=subnet, TagSpecifications=TAGGED)
    denied.delete_network_interface(NetworkInterfaceId=created)


def pages_and_failures():
    """One call for each code that the Rust test expects of this script. pages.py and faults.py have the details."""
    refused("InvalidNextToken", ec2.describe_instance_types, MaxResults=5, NextToken="x")
    expiring = client(ACCOUNTS["expiring"])
    token = expiring.describe_instance_types(MaxResults=5)["NextToken"]
    refused("InvalidPaginationToken", expiring.describe_instance_types, MaxResults=5, NextToken=token)
    refused("InternalError", client(ACCOUNTS["broken"]).describe_subnets, status=500)


malformed_requests()
filters()
limits()
throttled()
permissions()
pages_and_failures()
print("malformed, excessive and unauthorized requests are refused as expected")
