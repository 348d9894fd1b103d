"""Pagination of every Describe through boto3's paginators: pages, tokens, expiry and bounds."""

from client import accounts, client, refused, tampered

ACCOUNTS = accounts()
# For each method: the key of the items in the answer, the parameter for IDs, the filter by ID, and an ID.
DESCRIBES = {
    "describe_network_interfaces": ("NetworkInterfaces", "NetworkInterfaceIds", "network-interface-id", "eni-00000000"),
    "describe_subnets": ("Subnets", "SubnetIds", "subnet-id", "subnet-00000000"),
    "describe_security_groups": ("SecurityGroups", "GroupIds", "group-id", "sg-00000000"),
    "describe_instances": ("Reservations", "InstanceIds", "instance-id", "i-00000000"),
    "describe_instance_types": ("InstanceTypes", "InstanceTypes", "instance-type", "m5.large"),
}
LARGEST = {name: 100 if name == "describe_instance_types" else 1000 for name in DESCRIBES}


def identity(item):
    item = item["Instances"][0] if "Instances" in item else item
    names = ("NetworkInterfaceId", "InstanceId", "GroupId", "SubnetId", "InstanceType")
    return next(item[name] for name in names if name in item)


def check_paginators(account, short):
    ec2 = client(account)
    for name, (key, _, _, _) in DESCRIBES.items():
        whole = [identity(item) for item in getattr(ec2, name)(MaxResults=LARGEST[name])[key]]
        assert len(whole) > 10 and len(set(whole)) == len(whole), (name, whole)
        paginator = ec2.get_paginator(name)
        answers = paginator.paginate(PaginationConfig={"PageSize": 5})
        pages = [[identity(item) for item in page[key]] for page in answers]
        assert sum(pages, []) == whole, (name, pages, whole)
        assert len(pages) == -(-len(whole) // 5) and all(len(page) <= 5 for page in pages), (name, pages)
        # Stop in the middle, then continue from boto3's token.
        config = {"PageSize": 5, "MaxItems": 7}
        part = paginator.paginate(PaginationConfig=config).build_full_result()
        rest = paginator.paginate(PaginationConfig={"PageSize": 5, "StartingToken": part["NextToken"]})
        rest = rest.build_full_result()
        assert [identity(item) for item in part[key] + rest[key]] == whole, (name, part, rest)
        check_filtered(paginator, name, key, whole, short)


def check_filtered(paginator, name, key, whole, short):
    """Only the last item matches the filter. With short pages, several empty pages with a token come first."""
    chosen = [{"Name": DESCRIBES[name][2], "Values": [whole[-1]]}]
    pages = list(paginator.paginate(Filters=chosen, PaginationConfig={"PageSize": 5}))
    assert [identity(item) for page in pages for item in page[key]] == [whole[-1]], (name, pages)
    empty = sum(not page[key] for page in pages)
    assert empty >= 2 if short else empty == 0, (name, pages)


def check_tokens(account):
    ec2 = client(account)
    for name, (key, _, filter_name, _) in DESCRIBES.items():
        call = getattr(ec2, name)
        token = call(MaxResults=5)["NextToken"]
        for broken in ("x", "1.2", "zz.0.x", token.replace(".", ":"), "9" * 60 + ".0.x", "é"):
            refused("InvalidNextToken", call, MaxResults=5, NextToken=broken)
        # A token is valid only for the query that returned it: not with another filter, not for another action.
        every = [{"Name": filter_name, "Values": ["*"]}]
        refused("InvalidNextToken", call, MaxResults=5, NextToken=token, Filters=every)
        for other in DESCRIBES.keys() - {name}:
            refused("InvalidNextToken", getattr(ec2, other), MaxResults=5, NextToken=token)
        # The same token returns the same page again, and a page may have another size.
        again = [call(MaxResults=size, NextToken=token)[key] for size in (5, 5, 6)]
        assert again[0] == again[1] == again[2][:5] and len(again[2]) == 6, (name, again)
        assert call(MaxResults=5, NextToken="")[key] == call(MaxResults=5)[key], "an empty token is none"


def check_expiry(account):
    ec2 = client(account)
    for name in DESCRIBES:
        token = getattr(ec2, name)(MaxResults=5)["NextToken"]
        refused("InvalidPaginationToken", getattr(ec2, name), "expired", MaxResults=5, NextToken=token)
        paginator = ec2.get_paginator(name).paginate(PaginationConfig={"PageSize": 5})
        refused("InvalidPaginationToken", paginator.build_full_result)


def check_bounds(account):
    ec2 = client(account)
    for name, (key, ids, _, some) in DESCRIBES.items():
        call, most = getattr(ec2, name), LARGEST[name]
        operation = ec2.meta.service_model.operation_model(ec2.meta.method_to_api_mapping[name])
        modelled = operation.input_shape.members["MaxResults"].metadata
        # The service model has these bounds, except for DescribeInstances, whose documentation has them.
        assert modelled in ({"min": 5, "max": most}, {}), (name, modelled)
        assert bool(modelled) == (name != "describe_instances"), (name, modelled)
        assert len(call(MaxResults=5)[key]) == 5 and call(MaxResults=most)[key], name
        for outside in (0, 4, most + 1, 2**40):
            refused("InvalidParameterValue", call, "", MaxResults=outside)
        for no_number in (-1, "five", ""):
            tamper = tampered(account, lambda body, value=no_number: body.update(MaxResults=value))
            refused("InvalidParameterValue", getattr(tamper, name), "MaxResults")
        refused("InvalidParameterCombination", call, "MaxResults", MaxResults=5, **{ids: [some]})


check_paginators(ACCOUNTS["full"], short=False)
check_paginators(ACCOUNTS["short"], short=True)
check_tokens(ACCOUNTS["full"])
check_expiry(ACCOUNTS["expiring"])
check_bounds(ACCOUNTS["full"])
print("pages, tokens and bounds")
