"""Every action of the simulated EC2 succeeds, and boto3 reads the expected values from the answers."""

from client import accounts, client

account = accounts()["main"]
ec2 = client(account, parameter_validation=True)
subnet, group, node = (account.ids[name] for name in ("subnet", "group", "node"))


def shown(eni_id):
    (eni,) = ec2.describe_network_interfaces(NetworkInterfaceIds=[eni_id])["NetworkInterfaces"]
    return eni


def create():
    request = {
        "SubnetId": subnet,
        "Description": "boto3",
        "Groups": [group],
        "Ipv4PrefixCount": 1,
        "Ipv6AddressCount": 2,
        "ClientToken": "life",
        "TagSpecifications": [{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "<&>"}]}],
    }
    created = ec2.create_network_interface(**request)
    assert created["ClientToken"] == "life", created
    eni = created["NetworkInterface"]
    assert eni["Status"] == "pending" and eni["SubnetId"] == subnet, eni
    assert eni["TagSet"] == [{"Key": "a", "Value": "<&>"}], eni
    assert eni["Groups"] == [{"GroupId": group, "GroupName": "nodes"}], eni
    assert eni["PrivateIpAddresses"][0]["Primary"] is True, eni
    assert eni["Ipv4Prefixes"][0]["Ipv4Prefix"].endswith("/28"), eni
    assert [ip["Ipv6Address"][:9] for ip in eni["Ipv6Addresses"]] == ["2001:db8:"] * 2, eni
    assert eni["SourceDestCheck"] is True and eni["MacAddress"].startswith("02:"), eni
    assert eni["InterfaceType"] == "interface" and eni["RequesterManaged"] is False, eni
    delegated = ec2.create_network_interface(SubnetId=subnet, Ipv6PrefixCount=2)["NetworkInterface"]
    assert [entry["Ipv6Prefix"][-3:] for entry in delegated["Ipv6Prefixes"]] == ["/80"] * 2, delegated
    ec2.delete_network_interface(NetworkInterfaceId=delegated["NetworkInterfaceId"])
    again = ec2.create_network_interface(**request)
    assert again["NetworkInterface"]["NetworkInterfaceId"] == eni["NetworkInterfaceId"], again
    assert shown(eni["NetworkInterfaceId"])["Status"] == "available"
    chosen = ec2.create_network_interface(
        SubnetId=subnet,
        PrivateIpAddresses=[
            {"PrivateIpAddress": "10.0.0.99", "Primary": False},
            {"PrivateIpAddress": "10.0.0.98", "Primary": True},
        ],
    )["NetworkInterface"]
    assert chosen["PrivateIpAddress"] == "10.0.0.98", chosen
    assert len(chosen["PrivateIpAddresses"]) == 2, chosen
    return eni["NetworkInterfaceId"], chosen["NetworkInterfaceId"]


def change(eni_id, attachment_id):
    modify = ec2.modify_network_interface_attribute
    modify(NetworkInterfaceId=eni_id, Attachment={"AttachmentId": attachment_id, "DeleteOnTermination": True})
    modify(NetworkInterfaceId=eni_id, Description={"Value": "changed"})
    modify(NetworkInterfaceId=eni_id, SourceDestCheck={"Value": False})
    modify(NetworkInterfaceId=eni_id, ConnectionTrackingSpecification={"TcpEstablishedTimeout": 350, "UdpTimeout": 60})
    modify(NetworkInterfaceId=eni_id, Groups=[group])
    ec2.create_tags(Resources=[eni_id, subnet, group, node], Tags=[{"Key": "b", "Value": "2"}])
    ec2.delete_tags(Resources=[eni_id], Tags=[{"Key": "a"}])


def check_changed(eni_id, attachment_id):
    pages = ec2.get_paginator("describe_network_interfaces").paginate(Filters=[{"Name": "tag:b", "Values": ["2"]}])
    (eni,) = [eni for page in pages for eni in page["NetworkInterfaces"]]
    attachment = eni["Attachment"]
    assert eni["NetworkInterfaceId"] == eni_id and eni["Status"] == "in-use", eni
    assert eni["Description"] == "changed" and eni["SourceDestCheck"] is False, eni
    assert eni["ConnectionTrackingConfiguration"] == {"TcpEstablishedTimeout": 350, "UdpTimeout": 60}, eni
    assert eni["TagSet"] == [{"Key": "b", "Value": "2"}], eni
    assert attachment["AttachmentId"] == attachment_id and attachment["InstanceId"] == node, eni
    assert attachment["DeviceIndex"] == 1 and attachment["NetworkCardIndex"] == 0, eni
    assert attachment["DeleteOnTermination"] is True and attachment["Status"] == "attached", eni
    assert attachment["AttachTime"].year >= 2026, eni


def check_descriptions():
    (found,) = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
    assert found["CidrBlock"] == "10.0.0.0/24" and found["AvailabilityZone"] == "eu-west-1a", found
    # 251 addresses, minus two primary interfaces, one interface with a prefix, and one with two addresses.
    assert found["AvailableIpAddressCount"] == 251 - 2 - 17 - 2, found
    assert {"Key": "Name", "Value": "storage"} in found["Tags"], found
    assert found["Ipv6CidrBlockAssociationSet"][0]["Ipv6CidrBlock"] == "2001:db8::/64", found
    (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
    assert found["GroupName"] == "nodes" and found["VpcId"] and found["Tags"] == [{"Key": "b", "Value": "2"}], found
    (reservation,) = ec2.describe_instances(InstanceIds=[node])["Reservations"]
    (found,) = reservation["Instances"]
    assert found["State"] == {"Code": 16, "Name": "running"} and found["InstanceType"] == "m5.large", found
    assert found["Placement"]["AvailabilityZone"] == "eu-west-1a" and found["LaunchTime"].year >= 2026, found
    (found,) = ec2.describe_instance_types(InstanceTypes=["p4d.24xlarge"])["InstanceTypes"]
    network = found["NetworkInfo"]
    assert network["MaximumNetworkInterfaces"] == 60 and network["Ipv4AddressesPerInterface"] == 50, network
    assert [card["NetworkCardIndex"] for card in network["NetworkCards"]] == [0, 1, 2, 3], network
    assert network["NetworkCards"][3]["MaximumNetworkInterfaces"] == 15, network


eni_id, chosen_id = create()
attached = ec2.attach_network_interface(NetworkInterfaceId=eni_id, InstanceId=node, DeviceIndex=1, NetworkCardIndex=0)
assert attached["NetworkCardIndex"] == 0, attached
change(eni_id, attached["AttachmentId"])
check_changed(eni_id, attached["AttachmentId"])
check_descriptions()
ec2.detach_network_interface(AttachmentId=attached["AttachmentId"])
assert shown(eni_id)["Status"] == "available" and "Attachment" not in shown(eni_id)
for gone in (eni_id, chosen_id):
    ec2.delete_network_interface(NetworkInterfaceId=gone)
left = ec2.describe_network_interfaces(Filters=[{"Name": "network-interface-id", "Values": [eni_id, chosen_id]}])
assert left["NetworkInterfaces"] == [], left
print("every action succeeded")
