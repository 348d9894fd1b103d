"""Drives every action of the simulated EC2 with boto3 and checks what its parsers make of the answers."""

import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, subnet, group, instance = sys.argv[1:]
ec2 = boto3.client(
    "ec2",
    endpoint_url=endpoint,
    region_name="eu-west-1",
    aws_access_key_id="simulated",
    aws_secret_access_key="simulated",
    config=Config(retries={"max_attempts": 0, "mode": "standard"}),
)


def refused(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error.response
        assert error.response["ResponseMetadata"]["RequestId"], error.response
    else:
        raise AssertionError(f"{code} expected")


created = ec2.create_network_interface(
    SubnetId=subnet,
    Description="boto3",
    Groups=[group],
    Ipv4PrefixCount=1,
    ClientToken="boto3-1",
    TagSpecifications=[{"ResourceType": "network-interface", "Tags": [{"Key": "a", "Value": "<&>"}]}],
)
eni = created["NetworkInterface"]
eni_id = eni["NetworkInterfaceId"]
assert created["ClientToken"] == "boto3-1", created
assert eni["Status"] == "pending" and eni["SubnetId"] == subnet, eni
assert eni["TagSet"] == [{"Key": "a", "Value": "<&>"}], eni
assert eni["Groups"] == [{"GroupId": group, "GroupName": "nodes"}], eni
assert eni["PrivateIpAddresses"][0]["Primary"] is True, eni
assert eni["Ipv4Prefixes"][0]["Ipv4Prefix"].endswith("/28"), eni
assert eni["SourceDestCheck"] is True and eni["MacAddress"].startswith("02:"), eni

attached = ec2.attach_network_interface(
    NetworkInterfaceId=eni_id, InstanceId=instance, DeviceIndex=1, NetworkCardIndex=0
)
assert attached["NetworkCardIndex"] == 0, attached
attachment_id = attached["AttachmentId"]
modify = ec2.modify_network_interface_attribute
modify(NetworkInterfaceId=eni_id, Attachment={"AttachmentId": attachment_id, "DeleteOnTermination": True})
modify(NetworkInterfaceId=eni_id, Description={"Value": "changed"})
modify(NetworkInterfaceId=eni_id, SourceDestCheck={"Value": False})
modify(NetworkInterfaceId=eni_id, Groups=[group])
ec2.create_tags(Resources=[eni_id], Tags=[{"Key": "b", "Value": "2"}])
ec2.delete_tags(Resources=[eni_id], Tags=[{"Key": "a"}])

pages = ec2.get_paginator("describe_network_interfaces").paginate(
    Filters=[{"Name": "tag:b", "Values": ["2"]}], PaginationConfig={"PageSize": 5}
)
(shown,) = [eni for page in pages for eni in page["NetworkInterfaces"]]
attachment = shown["Attachment"]
assert shown["Status"] == "in-use" and shown["Description"] == "changed", shown
assert shown["SourceDestCheck"] is False and shown["TagSet"] == [{"Key": "b", "Value": "2"}], shown
assert attachment["AttachmentId"] == attachment_id and attachment["InstanceId"] == instance, shown
assert attachment["DeviceIndex"] == 1 and attachment["NetworkCardIndex"] == 0, shown
assert attachment["DeleteOnTermination"] is True and attachment["Status"] == "attached", shown
assert attachment["AttachTime"].year >= 2026, shown

refused("InvalidParameterValue", ec2.delete_network_interface, NetworkInterfaceId=eni_id)
refused("IdempotentParameterMismatch", ec2.create_network_interface, SubnetId=subnet, ClientToken="boto3-1")
refused("DryRunOperation", ec2.delete_network_interface, NetworkInterfaceId=eni_id, DryRun=True)
ec2.detach_network_interface(AttachmentId=attachment_id)
ec2.delete_network_interface(NetworkInterfaceId=eni_id)
refused("InvalidNetworkInterfaceID.NotFound", ec2.describe_network_interfaces, NetworkInterfaceIds=[eni_id])

(found,) = ec2.describe_subnets(SubnetIds=[subnet])["Subnets"]
assert found["CidrBlock"] == "10.0.0.0/24" and found["AvailableIpAddressCount"] == 249, found
assert {"Key": "Name", "Value": "storage"} in found["Tags"] and found["AvailabilityZone"] == "eu-west-1a", found
(found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
assert found["GroupName"] == "nodes" and found["VpcId"], found
(reservation,) = ec2.describe_instances(InstanceIds=[instance])["Reservations"]
(found,) = reservation["Instances"]
assert found["State"] == {"Code": 16, "Name": "running"} and found["InstanceType"] == "m5.large", found
(found,) = ec2.describe_instance_types(InstanceTypes=["p4d.24xlarge"])["InstanceTypes"]
network = found["NetworkInfo"]
assert network["MaximumNetworkInterfaces"] == 60 and network["Ipv4AddressesPerInterface"] == 50, network
assert [card["NetworkCardIndex"] for card in network["NetworkCards"]] == [0, 1, 2, 3], network
assert network["NetworkCards"][3]["MaximumNetworkInterfaces"] == 15, network
print("boto3 read every answer")
