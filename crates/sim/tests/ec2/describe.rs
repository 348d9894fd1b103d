//! Tests of the Describe actions: filters, pagination, subnets, groups, instances and types.

use super::*;

#[tokio::test(start_paused = true)]
async fn describe_filters() {
    let ec2 = account(steady());
    let eni = ec2.hand_create(SUBNET, &[("cluster", "c-1"), ("a*b", "x")]).unwrap();
    attach(&ec2, &eni, NODE, "1").await;
    ec2.hand_create(OTHER_ZONE, &[("cluster", "c-2")]).unwrap();
    let found = async |name: &str, value: &str| {
        let pairs = [("Filter.1.Name", name), ("Filter.1.Value.1", value)];
        let body = ok(&ec2, "DescribeNetworkInterfaces", &pairs).await;
        all(&body, "networkInterfaceId").len()
    };
    let filters = [
        ("tag:cluster", "c-1", 1),
        ("tag:cluster", "c-*", 2),
        ("tag:cluster", "?-2", 1),
        ("tag:cluster", "C-1", 0),
        ("tag:cluster", "c?", 0),
        ("tag:cluster", "c-", 0),
        ("tag-key", "cluster", 2),
        ("tag-key", "a\\*b", 1),
        ("tag-key", "*b", 1),
        ("vpc-id", "vpc-0000000a", 4),
        ("subnet-id", SUBNET, 3),
        ("network-interface-id", &eni, 1),
        ("attachment.instance-id", NODE, 2),
        ("attachment.device-index", "1", 1),
        ("attachment.status", "attaching", 1),
        ("status", "available", 1),
        ("availability-zone", "eu-west-1b", 1),
        ("description", "by hand", 2),
    ];
    for (name, value, expected) in filters {
        assert_eq!(found(name, value).await, expected, "{name}={value}");
    }
    let name = "DescribeNetworkInterfaces";
    let unknown = [("Filter.1.Name", "colour"), ("Filter.1.Value.1", "x")];
    assert_eq!(code(&ec2, name, &unknown).await, "InvalidParameterValue");
    let numbered: Vec<String> = (1..=201).map(|n| format!("Filter.1.Value.{n}")).collect();
    let mut pairs = vec![("Filter.1.Name", "vpc-id")];
    pairs.extend(numbered.iter().map(|name| (name.as_str(), "v")));
    assert_eq!(code(&ec2, name, &pairs).await, "FilterLimitExceeded");
    pairs.pop();
    ok(&ec2, name, &pairs).await;
    let ids = [("NetworkInterfaceId.1", eni.as_str()), ("NetworkInterfaceId.2", GHOST)];
    assert_eq!(code(&ec2, name, &ids).await, "InvalidNetworkInterfaceID.NotFound");
    let both = [("NetworkInterfaceId.1", eni.as_str()), ("MaxResults", "5")];
    assert_eq!(code(&ec2, name, &both).await, "InvalidParameterCombination");
    for outside in ["4", "1001"] {
        assert_eq!(code(&ec2, name, &[("MaxResults", outside)]).await, "InvalidParameterValue");
    }
}

type TagFilters<'a> = &'a [(&'a str, &'a [&'a str])];

/// How many of these elements the answer with these filters has.
async fn filtered(ec2: &Ec2, action: &str, element: &str, filters: TagFilters<'_>) -> usize {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (number, (name, values)) in (1..).zip(filters) {
        pairs.push((format!("Filter.{number}.Name"), (*name).to_owned()));
        pairs.extend((1..).zip(*values).map(|(n, value)| (format!("Filter.{number}.Value.{n}"), (*value).to_owned())));
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all(&ok(ec2, action, &pairs).await, element).len()
}

/// Filters are combined by AND, the values of one by OR; `tag-key` may be given several times.
#[tokio::test(start_paused = true)]
async fn tag_filters_of_subnets_and_groups() {
    let ec2 = account(steady());
    ec2.add_security_group("sg-000000aa", "vpc-0000000a", "tagged");
    let tags =
        [(SUBNET, "tier", "db"), (SUBNET, "team", "a*b"), (OTHER_ZONE, "tier", "db"), ("sg-000000aa", "tier", "db")];
    for (id, key, value) in tags {
        ec2.tag_place(id, key, Some(value)).unwrap();
    }
    let cases: [(TagFilters<'_>, usize); 9] = [
        (&[("tag:tier", &["db"])], 2),
        (&[("tag:tier", &["db"]), ("tag:team", &["a\\*b"])], 1),
        (&[("tag:tier", &["db"]), ("tag:team", &["a\\*c"])], 0),
        (&[("tag:tier", &["db"]), ("tag:team", &["a*"])], 1),
        (&[("tag:tier", &["web", "db"])], 2),
        (&[("tag:tier", &["DB"])], 0),
        (&[("tag-key", &["tier"]), ("tag-key", &["team"])], 1),
        (&[("tag-key", &["tier", "team"])], 2),
        (&[("tag-key", &["tier"]), ("availability-zone", &["eu-west-1b"])], 1),
    ];
    for (filters, expected) in cases {
        assert_eq!(filtered(&ec2, "DescribeSubnets", "subnetId", filters).await, expected, "{filters:?}");
    }
    assert_eq!(filtered(&ec2, "DescribeSecurityGroups", "groupId", &[("tag:tier", &["db"])]).await, 1);
    assert_eq!(
        filtered(&ec2, "DescribeSecurityGroups", "groupId", &[("tag:tier", &["db"]), ("tag-key", &["team"])]).await,
        0
    );
    ec2.tag_place(SUBNET, "tier", None).unwrap();
    assert_eq!(filtered(&ec2, "DescribeSubnets", "subnetId", &[("tag:tier", &["db"])]).await, 1);
}

/// With the setting each answer has the same content in another order; without it answers are equal.
#[tokio::test(start_paused = true)]
async fn lists_are_in_another_order_in_each_answer() {
    const LISTS: [&str; 4] = ["privateIpAddress", "groupId", "key", "networkInterfaceId"];
    for shuffles_lists in [false, true] {
        let ec2 = account(Settings { shuffles_lists, ..steady() });
        ec2.add_security_group("sg-0000000000000000d", "vpc-0000000a", "more");
        let tags: Vec<(String, String)> = (0..9).map(|n| (format!("key{n}"), format!("value{n}"))).collect();
        let tags: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let enis: Vec<String> = (0..9).map(|_| ec2.hand_create_with_addresses(SUBNET, &tags, 9).unwrap()).collect();
        for eni in &enis {
            let groups = [GROUP, "sg-0000000000000000d"].map(str::to_owned).to_vec();
            ec2.hand_change(eni, |eni| eni.groups = groups).unwrap();
        }
        let query = [("Filter.1.Name", "tag-key"), ("Filter.1.Value.1", "key0")];
        let mut answers = Vec::new();
        for _ in 0..5 {
            let body = ok(&ec2, "DescribeNetworkInterfaces", &query).await;
            answers.push(LISTS.map(|list| all(&body, list)));
            // The field of the ENI, and then the first of the list.
            for item in body.split("<networkInterfaceId>").skip(1) {
                let primary = all(item, "privateIpAddress");
                let first = item.split("<privateIpAddressesSet>").nth(1).map(|set| all(set, "privateIpAddress"));
                assert_eq!(first.and_then(|ips| ips.first().cloned()), primary.first().cloned());
            }
        }
        for (number, list) in LISTS.iter().enumerate() {
            let orders: BTreeSet<&Vec<String>> = answers.iter().map(|answer| &answer[number]).collect();
            assert_eq!(orders.len() > 1, shuffles_lists, "{list}");
            let contents: BTreeSet<Vec<String>> = orders
                .into_iter()
                .map(|order| {
                    let mut sorted = order.clone();
                    sorted.sort_unstable();
                    sorted
                })
                .collect();
            assert_eq!(contents.len(), 1, "{list}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn pages_cover_everything_and_expire() {
    for (short_pages, shuffles_lists) in [(false, false), (true, false), (false, true), (true, true)] {
        let ec2 = account(Settings { short_pages, shuffles_lists, ..steady() });
        let mut expected: Vec<String> =
            (0..23).map(|n| ec2.hand_create(SUBNET, &[("k", if n % 2 == 0 { "v" } else { "w" })]).unwrap()).collect();
        expected.retain(|id| ec2.snapshot().enis[id].tags["k"] == "v");
        expected.sort();
        let query = [("Filter.1.Name", "tag:k"), ("Filter.1.Value.1", "v"), ("MaxResults", "5")];
        let mut found = Vec::new();
        let mut token = String::new();
        let mut pages = 0;
        loop {
            let pairs: Vec<_> = query.into_iter().chain([("NextToken", token.as_str())]).collect();
            let body = ok(&ec2, "DescribeNetworkInterfaces", &pairs).await;
            found.extend(all(&body, "networkInterfaceId"));
            pages += 1;
            match all(&body, "nextToken").pop() {
                Some(next) => token = next,
                None => break,
            }
        }
        if shuffles_lists {
            found.sort();
        }
        assert_eq!(found, expected);
        assert_eq!(pages, if short_pages { 5 } else { 3 });
        let other = [("MaxResults", "5"), ("NextToken", token.as_str())];
        assert_eq!(code(&ec2, "DescribeNetworkInterfaces", &other).await, "InvalidNextToken");
        let same: Vec<_> = query.into_iter().chain([("NextToken", token.as_str())]).collect();
        pass(601).await;
        assert_eq!(code(&ec2, "DescribeNetworkInterfaces", &same).await, "InvalidPaginationToken");
        ec2.configure(|settings| settings.unpaginated_limit = 10);
        assert_eq!(code(&ec2, "DescribeNetworkInterfaces", &[]).await, "OperationNotPermitted");
    }
}

#[tokio::test(start_paused = true)]
async fn subnets_groups_instances_and_types_are_described() {
    let ec2 = account(steady());
    let named = [("Filter.1.Name", "tag:Name"), ("Filter.1.Value.1", "storage")];
    let body = ok(&ec2, "DescribeSubnets", &named).await;
    assert_eq!(all(&body, "subnetId"), [SUBNET]);
    assert_eq!(text(&body, "cidrBlock"), "10.0.0.0/24");
    let ghost = [("SubnetId.1", "subnet-00000000000000fff")];
    assert_eq!(code(&ec2, "DescribeSubnets", &ghost).await, "InvalidSubnetID.NotFound");
    let groups = [
        ("Filter.1.Name", "group-name"),
        ("Filter.1.Value.1", "nodes"),
        ("Filter.2.Name", "vpc-id"),
        ("Filter.2.Value.1", "vpc-0000000a"),
    ];
    assert_eq!(all(&ok(&ec2, "DescribeSecurityGroups", &groups).await, "groupId"), [GROUP]);
    let running = [("Filter.1.Name", "instance-state-name"), ("Filter.1.Value.1", "running")];
    assert_eq!(all(&ok(&ec2, "DescribeInstances", &running).await, "instanceId").len(), 2);
    let body = ok(&ec2, "DescribeInstanceTypes", &[("InstanceType.1", "c6in.32xlarge")]).await;
    assert_eq!(all(&body, "maximumNetworkInterfaces"), ["16", "8", "8"]);
    assert_eq!(code(&ec2, "DescribeInstanceTypes", &[("InstanceType.1", "x9.mini")]).await, "InvalidInstanceType");
}
