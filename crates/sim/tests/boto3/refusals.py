"""What the simulated EC2 refuses before it looks at the action, in its limits, and to whom."""

import ipaddress

from botocore import UNSIGNED

from client import client, refused, tampered, worlds

WORLDS = worlds()
main = WORLDS["main"]
ec2 = client(main)
subnet, tiny, node = (main.places[name] for name in ("subnet", "tiny", "node"))
TAGGED = [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "b"}]}]


def door():
    refused("InvalidAction", ec2.describe_vpcs, says="DescribeVpcs")
    refused("InvalidAction", tampered(main, lambda body: body.update(Version="2014-01-01")).describe_subnets)
    refused("MissingParameter", tampered(main, lambda body: body.pop("Action")).describe_subnets, says="Action")
    twice = tampered(main, lambda body: body.update({"MaxResults": ["5", "6"]}))
    refused("MalformedQueryString", twice.describe_subnets, says="MaxResults")
    refused("UnknownParameter", tampered(main, lambda body: body.update(Colour="red")).describe_subnets, says="Colour")
    # A parameter of AWS's that the simulator does not have is refused, not ignored.
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
    # A dry run changes nothing and is told so before any other check of what was asked.
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
    refused("NetworkInterfaceLimitExceeded", client(WORLDS["quota"]).create_network_interface, SubnetId=subnet)
    create = ec2.create_network_interface
    refused("InsufficientFreeAddressesInSubnet", create, SubnetId=tiny, SecondaryPrivateIpAddressCount=11)
    refused("InvalidParameterValue", create, SubnetId=tiny, Ipv4PrefixCount=1)
    # Addresses enough, and no whole block of sixteen among them.
    network = ipaddress.ip_network(ec2.describe_subnets(SubnetIds=[subnet])["Subnets"][0]["CidrBlock"])
    spread = [str(block[8]) for block in network.subnets(new_prefix=28)]
    addresses = [{"PrivateIpAddress": address, "Primary": nth == 0} for nth, address in enumerate(spread)]
    spoiler = create(SubnetId=subnet, PrivateIpAddresses=addresses)["NetworkInterface"]["NetworkInterfaceId"]
    refused("InsufficientCidrBlocks", create, SubnetId=subnet, Ipv4PrefixCount=1)
    ec2.delete_network_interface(NetworkInterfaceId=spoiler)
    full = create(SubnetId=tiny, SecondaryPrivateIpAddressCount=10)["NetworkInterface"]["NetworkInterfaceId"]
    refused("InsufficientFreeAddressesInSubnet", create, SubnetId=tiny)
    ec2.delete_network_interface(NetworkInterfaceId=full)
    many = client(WORLDS["crowded"])
    refused("OperationNotPermitted", many.describe_network_interfaces, says="too many")
    assert many.describe_network_interfaces(MaxResults=5)["NetworkInterfaces"]


def throttled():
    """One token a bucket and no refill: the second call of each action is refused, whatever it asks."""
    busy = client(WORLDS["busy"])
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
    denied = client(WORLDS["denied"])
    for name, arguments in {
        "DetachNetworkInterface": {"AttachmentId": "x"},
        "DescribeInstances": {},
    }.items():
        call = denied.detach_network_interface if "Detach" in name else denied.describe_instances
        refused("UnauthorizedOperation", call, says=f"ec2:{name}", status=403, **arguments)
        # Without the permission, a dry run says so as well.
        refused("UnauthorizedOperation", call, says=f"ec2:{name}", status=403, DryRun=True, **arguments)
    # Tags given with Create need CreateTags, as in IAM.
    created = denied.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    tagging = denied.create_network_interface
    refused("UnauthorizedOperation", tagging, "ec2:CreateTags", 403, SubnetId=subnet, TagSpecifications=TAGGED)
    denied.delete_network_interface(NetworkInterfaceId=created)


def pages_and_failures():
    """Enough for the record of codes; pages.py and faults.py have the whole of it."""
    refused("InvalidNextToken", ec2.describe_instance_types, MaxResults=5, NextToken="x")
    expiring = client(WORLDS["expiring"])
    token = expiring.describe_instance_types(MaxResults=5)["NextToken"]
    refused("InvalidPaginationToken", expiring.describe_instance_types, MaxResults=5, NextToken=token)
    refused("InternalError", client(WORLDS["broken"]).describe_subnets, status=500)


door()
filters()
limits()
throttled()
permissions()
pages_and_failures()
print("refused at the door, by limits and by permissions")
