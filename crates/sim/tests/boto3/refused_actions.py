"""The refusals of each action of the simulated EC2."""

from client import GHOST_ATTACHMENT, GHOST_ENI, GHOST_GROUP, GHOST_INSTANCE, GHOST_SUBNET
from client import accounts, client, refused, tampered

ACCOUNTS = accounts()
main = ACCOUNTS["main"]
ec2 = client(main)
ids = main.ids
subnet, group, foreign, node, cards = (ids[n] for n in ("subnet", "group", "foreign_group", "node", "cards"))


def tagged(*tags, kind="network-interface"):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags]}]


def made(**arguments):
    answer = ec2.create_network_interface(**{"SubnetId": subnet, **arguments})
    return answer["NetworkInterface"]["NetworkInterfaceId"]


def create():
    def no(code, says="", **arguments):
        refused(code, ec2.create_network_interface, says, **{"SubnetId": subnet, **arguments})

    value, both = "InvalidParameterValue", "InvalidParameterCombination"
    no("MissingParameter", "SubnetId", SubnetId="")
    no("InvalidSubnetID.Malformed", SubnetId="subnet-zzz")
    no("InvalidSubnetID.NotFound", SubnetId=GHOST_SUBNET)
    no("InvalidGroupId.Malformed", Groups=["sg-x"])
    no("InvalidGroup.NotFound", GHOST_GROUP, Groups=[GHOST_GROUP])
    no("InvalidParameter", "belong to different networks", Groups=[foreign])
    no(value, "security group memberships", Groups=[group] * 6)
    no(value, "description", Description="x" * 256)
    no(value, "token", ClientToken="x" * 65)
    no(value, "InterfaceType", InterfaceType="nat")
    no(value, "Ipv4PrefixCount", Ipv4PrefixCount="many")
    no(value, "IPv6", SubnetId=ids["other_zone"], Ipv6AddressCount=1)
    no(value, "address", PrivateIpAddress="10.0.0.999")
    no(value, "range", PrivateIpAddress="10.9.9.9")
    no("InvalidIPAddress.InUse", PrivateIpAddress="10.0.0.1")
    addresses = [{"PrivateIpAddress": "10.0.0.50"}, {"PrivateIpAddress": "10.0.0.51"}]
    primary = [{"PrivateIpAddress": "10.0.0.52", "Primary": True}]
    no(both, "primary", PrivateIpAddresses=addresses)
    no(both, "primary", PrivateIpAddress="10.0.0.53", PrivateIpAddresses=primary)
    no(value, "twice", PrivateIpAddresses=[*primary, {"PrivateIpAddress": "10.0.0.52"}])
    no("MissingParameter", "PrivateIpAddress", PrivateIpAddresses=[{"Primary": True}])
    no(both, "prefixes", Ipv4PrefixCount=1, SecondaryPrivateIpAddressCount=1)
    no(both, "prefixes", Ipv4PrefixCount=1, PrivateIpAddresses=primary)
    no(both, "prefixes", Ipv6PrefixCount=1, Ipv6AddressCount=1)
    no(both, "count", SecondaryPrivateIpAddressCount=1, PrivateIpAddresses=primary)
    no("UnsupportedOperation", "Ipv4Prefix ", Ipv4Prefixes=[{"Ipv4Prefix": "10.0.0.64/28"}])
    no("UnsupportedOperation", "Ipv6Prefix ", Ipv6Prefixes=[{"Ipv6Prefix": "2001:db8::/80"}])
    no("UnsupportedOperation", "Ipv6Addresses", Ipv6Addresses=[{"Ipv6Address": "2001:db8::9"}])
    no("MissingParameter", "ResourceType", TagSpecifications=[{"Tags": [{"Key": "a"}]}])
    no(value, "instance", TagSpecifications=tagged(("a", "b"), kind="instance"))
    no(value, "Duplicate", TagSpecifications=tagged(("a", "b"), ("a", "c")))
    no(value, "Duplicate", TagSpecifications=[*tagged(("a", "b")), *tagged(("a", "c"))])
    no(value, "reserved", TagSpecifications=tagged(("aws:a", "b")))
    no(value, "key", TagSpecifications=tagged(("k" * 129, "b")))
    no(value, "value", TagSpecifications=tagged(("a", "v" * 257)))
    no("TagLimitExceeded", TagSpecifications=tagged(*[(f"k{n}", "v") for n in range(51)]))
    first = made(ClientToken="once")
    no("IdempotentParameterMismatch", ClientToken="once", Description="another")
    ec2.delete_network_interface(NetworkInterfaceId=first)


def attach():
    eni, second, third = made(), made(), made()

    def no(code, says="", **arguments):
        asked = {"NetworkInterfaceId": eni, "InstanceId": node, "DeviceIndex": 1, **arguments}
        refused(code, ec2.attach_network_interface, says, **asked)

    value, both = "InvalidParameterValue", "InvalidParameterCombination"
    no("MissingParameter", "NetworkInterfaceId", NetworkInterfaceId="")
    no("MissingParameter", "InstanceId", InstanceId="")
    asked = {"NetworkInterfaceId": eni, "InstanceId": node}
    refused("MissingParameter", ec2.attach_network_interface, "DeviceIndex", **asked)
    no("InvalidNetworkInterfaceID.Malformed", NetworkInterfaceId="eni-x")
    no("InvalidNetworkInterfaceID.NotFound", NetworkInterfaceId=GHOST_ENI)
    no("InvalidInstanceID.Malformed", InstanceId="i-x")
    no("InvalidInstanceID.NotFound", InstanceId=GHOST_INSTANCE)
    no(value, "integer", DeviceIndex="one")
    no(value, "device index '0'", DeviceIndex=0)
    no(value, "card index 7", InstanceId=cards, NetworkCardIndex=7)
    no(both, "availability zone", NetworkInterfaceId=made(SubnetId=ids["other_zone"]))
    no(both, "VPC", NetworkInterfaceId=made(SubnetId=ids["other_vpc"]))
    for state in ("pending", "stopping", "shutting-down", "terminated"):
        no("IncorrectState", state, InstanceId=ids[state])
    no("InvalidInterface.IpAddressLimitExceeded", NetworkInterfaceId=made(SecondaryPrivateIpAddressCount=10))
    no("UnsupportedOperation", "EFA", NetworkInterfaceId=made(InterfaceType="efa"), InstanceId=cards, DeviceIndex=3)
    attachment = ec2.attach_network_interface(NetworkInterfaceId=eni, InstanceId=node, DeviceIndex=1)["AttachmentId"]
    no("InvalidNetworkInterface.InUse", eni, DeviceIndex=2)
    no(value, "already has an interface attached", NetworkInterfaceId=second)
    ec2.attach_network_interface(NetworkInterfaceId=second, InstanceId=node, DeviceIndex=2)
    no("AttachmentLimitExceeded", "4 exceeds the limit for m5.large", NetworkInterfaceId=third, DeviceIndex=3)
    return eni, attachment


def modify(eni, attachment):
    def no(code, says="", **arguments):
        refused(code, ec2.modify_network_interface_attribute, says, **{"NetworkInterfaceId": eni, **arguments})

    def on(attachment, **arguments):
        return {"AttachmentId": attachment, **arguments}

    no("InvalidParameterCombination", "Exactly one")
    no("InvalidParameterCombination", "Exactly one", Description={"Value": "x"}, SourceDestCheck={"Value": True})
    no("InvalidNetworkInterfaceID.Malformed", NetworkInterfaceId="eni-x", Description={"Value": "x"})
    no("InvalidNetworkInterfaceID.NotFound", NetworkInterfaceId=GHOST_ENI, Description={"Value": "x"})
    no("InvalidParameterValue", "description", Description={"Value": "x" * 256})
    no("InvalidParameterValue", "between 60 and 432000", ConnectionTrackingSpecification={"TcpEstablishedTimeout": 59})
    no("InvalidParameterValue", "between 30 and 60", ConnectionTrackingSpecification={"UdpTimeout": 61})
    perhaps = tampered(main, lambda body: body.update({"SourceDestCheck.Value": "perhaps"}))
    asked = {"NetworkInterfaceId": eni, "SourceDestCheck": {"Value": True}}
    refused("InvalidParameterValue", perhaps.modify_network_interface_attribute, "SourceDestCheck.Value", **asked)
    no("InvalidGroupId.Malformed", Groups=["sg-x"])
    no("InvalidGroup.NotFound", Groups=[foreign])
    no("SecurityGroupsPerInterfaceLimitExceeded", Groups=[group] * 6)
    no("MissingParameter", "Attachment.AttachmentId", Attachment={"DeleteOnTermination": True})
    no("MissingParameter", "DeleteOnTermination", Attachment=on(attachment))
    no("InvalidAttachmentID.NotFound", Attachment=on(GHOST_ATTACHMENT, DeleteOnTermination=True))


def leave(eni, attachment):
    delete, detach = ec2.delete_network_interface, ec2.detach_network_interface
    refused("MissingParameter", delete, NetworkInterfaceId="")
    refused("InvalidNetworkInterfaceID.Malformed", delete, NetworkInterfaceId="eni-x")
    refused("InvalidNetworkInterfaceID.NotFound", delete, NetworkInterfaceId=GHOST_ENI)
    refused("InvalidParameterValue", delete, "currently in use", NetworkInterfaceId=eni)
    refused("InvalidParameterValue", delete, "currently in use", NetworkInterfaceId=ids["managed"])
    refused("AuthFailure", delete, "permission to access", 401, NetworkInterfaceId=ids["others"])
    refused("MissingParameter", detach, AttachmentId="")
    refused("InvalidParameterValue", detach, "attachmentId", AttachmentId="x")
    refused("InvalidAttachmentID.NotFound", detach, AttachmentId=GHOST_ATTACHMENT)
    refused("OperationNotPermitted", detach, "index 0", AttachmentId=ids["primary_attachment"])
    refused("OperationNotPermitted", detach, "ela-attach", AttachmentId=ids["managed_attachment"])
    # Detaching takes three seconds here, so the next calls come during it.
    detach(AttachmentId=attachment)
    refused("IncorrectState", detach, "already being detached", AttachmentId=attachment)
    refused("InvalidParameterValue", delete, "currently in use", NetworkInterfaceId=eni)
    changed = {"AttachmentId": attachment, "DeleteOnTermination": True}
    modify = ec2.modify_network_interface_attribute
    refused("IncorrectState", modify, "being detached", NetworkInterfaceId=eni, Attachment=changed)
    # A forced detach takes the same time.
    detach(AttachmentId=attachment, Force=True)
    refused("InvalidParameterValue", delete, "currently in use", NetworkInterfaceId=eni)
    ec2.get_waiter("network_interface_available").wait(
        NetworkInterfaceIds=[eni], WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    delete(NetworkInterfaceId=eni)


def tags():
    one = [{"Key": "a", "Value": "b"}]
    for call in (ec2.create_tags, ec2.delete_tags):
        refused("MissingParameter", call, "ResourceId", Tags=one)
        refused("InvalidID", call, "vol-", Resources=["vol-00000000"], Tags=one)
        refused("InvalidNetworkInterfaceID.Malformed", call, Resources=["eni-x"], Tags=one)
        refused("InvalidParameterValue", call, "1000", Resources=[GHOST_ENI] * 1001, Tags=one)
        refused("InvalidParameterValue", call, "Duplicate", Resources=[subnet], Tags=one * 2)
        refused("InvalidNetworkInterfaceID.NotFound", call, Resources=[subnet, GHOST_ENI], Tags=one)
        refused("InvalidSubnetID.NotFound", call, Resources=[GHOST_SUBNET], Tags=one)
        refused("InvalidGroup.NotFound", call, Resources=[GHOST_GROUP], Tags=one)
        refused("InvalidInstanceID.NotFound", call, Resources=[GHOST_INSTANCE], Tags=one)
    refused("MissingParameter", ec2.create_tags, "Tag", Resources=[subnet])
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(51)]
    refused("TagLimitExceeded", ec2.create_tags, Resources=[subnet], Tags=many)


def describe():
    for call, ids, malformed, ghost in (
        (ec2.describe_network_interfaces, "NetworkInterfaceIds", "InvalidNetworkInterfaceID", GHOST_ENI),
        (ec2.describe_subnets, "SubnetIds", "InvalidSubnetID", GHOST_SUBNET),
        (ec2.describe_instances, "InstanceIds", "InvalidInstanceID", GHOST_INSTANCE),
    ):
        refused(f"{malformed}.Malformed", call, **{ids: ["x"]})
        refused(f"{malformed}.NotFound", call, ghost, **{ids: [ghost]})
    refused("InvalidGroupId.Malformed", ec2.describe_security_groups, GroupIds=["x"])
    refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=[GHOST_GROUP])
    refused("VPCIdNotSpecified", ec2.describe_security_groups, GroupNames=["nodes"])
    refused("InvalidInstanceType", ec2.describe_instance_types, "x9.mini", InstanceTypes=["x9.mini", "m5.large"])
    refused("InvalidParameterValue", ec2.describe_instance_types, "100", InstanceTypes=["m5.large"] * 101)


create()
eni, attachment = attach()
modify(eni, attachment)
leave(eni, attachment)
tags()
describe()
print("every action refuses as expected")
