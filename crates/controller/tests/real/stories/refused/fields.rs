//! The rows about single fields.

/// What is wrong, the spec, and a part of the refusal.
pub(super) const FIELDS: &[(&str, &str, &str)] = &[
    (
        "index 0",
        "subnetID: subnet-12345678, deviceIndex: 0, nodeSelector: {a: b}",
        "is the node's primary network interface",
    ),
    (
        "index -1",
        "subnetID: subnet-12345678, deviceIndex: -1, nodeSelector: {a: b}",
        "deviceIndex must be from 0 to 63",
    ),
    (
        "index 64",
        "subnetID: subnet-12345678, deviceIndex: 64, nodeSelector: {a: b}",
        "deviceIndex must be from 0 to 63",
    ),
    (
        "an unknown index policy",
        "subnetID: subnet-12345678, deviceIndexPolicy: lowest, nodeSelector: {a: b}",
        "Unsupported value: \"lowest\"",
    ),
    (
        "an index beside highestFree",
        "subnetID: subnet-12345678, deviceIndex: 3, deviceIndexPolicy: highestFree, nodeSelector: {a: b}",
        "deviceIndex has no effect with deviceIndexPolicy highestFree",
    ),
    ("index a word", "subnetID: subnet-12345678, deviceIndex: one, nodeSelector: {a: b}", "must be of type integer"),
    ("subnet a", "subnetID: a, nodeSelector: {a: b}", "subnetID must be a subnet ID such as"),
    ("subnet nonsense", "subnetID: nonsense, nodeSelector: {a: b}", "subnetID must be a subnet ID such as"),
    ("subnet empty", "subnetID: '', nodeSelector: {a: b}", "subnetID must be a subnet ID such as"),
    ("a bad subnet of a list", "subnetIDs: [subnet-12345678, x], nodeSelector: {a: b}", "every entry of subnetIDs"),
    ("no subnet", "nodeSelector: {a: b}", "a NodeENI needs a subnet"),
    ("an empty subnet list", "subnetIDs: [], nodeSelector: {a: b}", "a NodeENI needs a subnet"),
    ("subnetName empty", "subnetName: '', nodeSelector: {a: b}", "subnetName must not be empty"),
    ("no selector", "subnetID: subnet-12345678", "nodeSelector must name at least one label"),
    ("an empty selector", "subnetID: subnet-12345678, nodeSelector: {}", "nodeSelector must name at least one label"),
    (
        "a selector's key with a blank",
        "subnetID: subnet-12345678, nodeSelector: {'bad key!': b}",
        "nodeSelector must have label keys such as",
    ),
    (
        "a selector's value with a blank",
        "subnetID: subnet-12345678, nodeSelector: {a: 'bad value!'}",
        "nodeSelector must have label keys such as",
    ),
    (
        "a bad group",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupIDs: [web]",
        "every entry of securityGroupIDs",
    ),
    ("MTU 575", "subnetID: subnet-12345678, nodeSelector: {a: b}, mtu: 575", "mtu must be from 576 to 9001"),
    ("MTU 9002", "subnetID: subnet-12345678, nodeSelector: {a: b}, mtu: 9002", "mtu must be from 576 to 9001"),
    (
        "EFA",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, interfaceType: efa",
        "cannot be attached to a running instance",
    ),
    ("an aws: tag", "subnetID: subnet-12345678, nodeSelector: {a: b}, tags: {'aws:x': z}", "tags must not use keys"),
    (
        "a tag of ours",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, tags: {multi-eni.networking.k8s.aws/cluster: z}",
        "tags must not use keys",
    ),
    (
        "prefixes and addresses",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, ipv4PrefixCount: 1, privateIPCount: 2",
        "exclude each other",
    ),
    (
        "maxUnavailable 0",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxUnavailable: 0}",
        "rollout.maxUnavailable must be a number from 1 to 999999999",
    ),
    (
        "maxUnavailable 0 %",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxUnavailable: '0%'}",
        "rollout.maxUnavailable must be a number from 1 to 999999999",
    ),
    (
        "maxUnavailable a fraction of a percent",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxUnavailable: '10.5%'}",
        "rollout.maxUnavailable must be a number from 1 to 999999999, or a whole percentage",
    ),
    (
        "maxUnavailable too large",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxUnavailable: 99999999999}",
        "rollout.maxUnavailable must be a number from 1 to 999999999, or a whole percentage",
    ),
    (
        "maxUnavailable all",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxUnavailable: all}",
        "rollout.maxUnavailable must be a number from 1 to 999999999",
    ),
    (
        "maxUnavailable a number as a text",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxUnavailable: '30'}",
        "rollout.maxUnavailable must be a number from 1 to 999999999",
    ),
    (
        "maxRemovals a fraction of a percent",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: '10.5%'}",
        "rollout.maxRemovals must be a number from 1 to 999999999, or a whole percentage",
    ),
    (
        "maxRemovals too large",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: 1000000000}",
        "rollout.maxRemovals must be a number from 1 to 999999999",
    ),
    (
        "maxRemovals a number as a text",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: '30'}",
        "rollout.maxRemovals must be a number from 1 to 999999999",
    ),
    (
        "maxRemovals 0",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: 0}",
        "rollout.maxRemovals must be a number from 1 to 999999999",
    ),
    (
        "maxRemovals 0 %",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: '0%'}",
        "rollout.maxRemovals must be a number from 1 to 999999999",
    ),
    (
        "maxRemovals ten",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: ten}",
        "rollout.maxRemovals must be a number from 1 to 999999999",
    ),
    (
        "maxRemovals 101 %",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: '101%'}",
        "rollout.maxRemovals must be a number from 1 to 999999999",
    ),
    (
        "TCP timeout 59",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, connectionTracking: {tcpEstablishedTimeoutSeconds: 59}",
        "tcpEstablishedTimeoutSeconds must be from 60 to 432000",
    ),
    (
        "UDP stream timeout 181",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, connectionTracking: {udpStreamTimeoutSeconds: 181}",
        "udpStreamTimeoutSeconds must be from 60 to 180",
    ),
    (
        "UDP timeout 61",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, connectionTracking: {udpTimeoutSeconds: 61}",
        "udpTimeoutSeconds must be from 30 to 60",
    ),
    (
        "card -1",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, networkCardIndex: -1",
        "networkCardIndex must be from 0",
    ),
    (
        "a bad PCI address",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkPCIAddress: x",
        "must be a PCI address",
    ),
    (
        "a PCI device that no bus has",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkPCIAddress: '0000:00:20.0'",
        "must be a PCI address",
    ),
    (
        "a resource below another",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkResourceName: a/b/c",
        "the part after the slash must have 1 to 63 letters",
    ),
    (
        "a resource with a blank",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkResourceName: 'fa st'",
        "the part after the slash must have 1 to 63 letters",
    ),
    (
        "a resource without a name",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkResourceName: example.com/",
        "the part after the slash must have 1 to 63 letters",
    ),
    (
        "a resource that ends in _",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkResourceName: example.com/fast_",
        "the part after the slash must begin and end with a letter or a digit",
    ),
    (
        "a resource of no domain",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkResourceName: /fast",
        "the part before the slash must be a DNS name in lower case",
    ),
    (
        "a resource of a domain in capitals",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkResourceName: Example.com/fast",
        "the part before the slash must be a DNS name in lower case",
    ),
    (
        "a resource of Kubernetes",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkResourceName: node.kubernetes.io/fast",
        "names below kubernetes.io belong to Kubernetes",
    ),
    (
        "a resource of a quota",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkResourceName: requests.example.com/fast",
        "it must not begin with \"requests.\"",
    ),
    (
        "an unknown driver",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, enableDPDK: true, dpdkDriver: igb-uio",
        "dpdkDriver must be vfio-pci, igb_uio or uio_pci_generic",
    ),
    (
        "an empty name of the link",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {interfaceName: ''}",
        "nodeConfig.interfaceName must not be empty",
    ),
    ("index 1.5", "subnetID: subnet-12345678, deviceIndex: 1.5, nodeSelector: {a: b}", "spec.deviceIndex"),
    ("a group as subnet", "subnetID: sg-12345678, nodeSelector: {a: b}", "subnetID must be a subnet ID such as"),
    ("capitals", "subnetID: subnet-0F59B4F14737BE9AD, nodeSelector: {a: b}", "subnetID must be a subnet ID such as"),
    ("a blank", "subnetID: 'subnet-12345678 ', nodeSelector: {a: b}", "subnetID must be a subnet ID such as"),
    ("an empty name of a list", "subnetNames: [x, ''], nodeSelector: {a: b}", "subnetNames must not have empty"),
    ("an empty list of names", "subnetNames: [], nodeSelector: {a: b}", "a NodeENI needs a subnet"),
    (
        "an empty group name",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupNames: ['']",
        "securityGroupNames must not have empty",
    ),
    (
        "a mode of the agent that does not exist",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: everything}",
        "nodeConfig.mode",
    ),
    (
        "an interface name that a CNI plugin takes for its own",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {interfaceName: eni7}",
        "nodeConfig.interfaceName must have at most 15 letters",
    ),
    (
        "an interface name of 16 characters",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {interfaceName: a234567890123456}",
        "nodeConfig.interfaceName must have at most 15 letters",
    ),
    (
        "an interface name that is the loopback's",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {interfaceName: lo}",
        "must not be lo, the loopback",
    ),
    (
        "a field of nodeConfig that this version does not know",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {queues: {rx: 2}}",
        "unknown field \"spec.nodeConfig.queues\"",
    ),
    ("MTU -1", "subnetID: subnet-12345678, nodeSelector: {a: b}, mtu: -1", "mtu must be from 576 to 9001"),
    (
        "trunk",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, interfaceType: trunk",
        "cannot be attached to a running instance",
    ),
    (
        "the CNI's tag",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, tags: {node.k8s.amazonaws.com/no_manage: 'false'}",
        "tags must not use keys",
    ),
    ("prefixes -1", "subnetID: subnet-12345678, nodeSelector: {a: b}, ipv4PrefixCount: -1", "must be from 0 to 49"),
    ("IPv6 -1", "subnetID: subnet-12345678, nodeSelector: {a: b}, ipv6AddressCount: -1", "must be from 0 to 50"),
    (
        "IPv6 twice",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, ipv6AddressCount: 1, ipv6PrefixCount: 1",
        "ipv6PrefixCount and ipv6AddressCount exclude each other",
    ),
    ("addresses 0", "subnetID: subnet-12345678, nodeSelector: {a: b}, privateIPCount: 0", "must be from 1 to 50"),
    ("an unknown field", "subnetID: subnet-12345678, nodeSelector: {a: b}, subnetId: x", "unknown field"),
];
