//! NodeENIs with values at the bounds, which are accepted.

/// Values at the bounds: a name, and the spec.
pub(super) const ACCEPTED: &[(&str, &str)] = &[
    ("low", "subnetID: subnet-12345678, nodeSelector: {a: b}, deviceIndex: 1, mtu: 576"),
    ("high", "subnetID: subnet-0123456789abcdef0, nodeSelector: {a: b}, deviceIndex: 63, mtu: 9001"),
    ("named", "subnetName: private, nodeSelector: {a: b}, securityGroupNames: [web], tags: {team: net}"),
    ("card", "subnetID: subnet-12345678, nodeSelector: {a: b}, deviceIndex: 0, networkCardIndex: 1"),
    ("paced", "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: 3}"),
    (
        "configured",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, interfaceName: a23456789012345, routes: \
         [{to: 10.0.0.0/8}, {to: '2001:db8::/32', table: main}, {to: '2001:db8::/32'}, {to: 169.254.169.254/32}, {to: 1.0.0.0/8}, \
         {to: 128.0.0.0/8}, {to: '0064:FF9B::/96'}]}",
    ),
    (
        "terms",
        "subnetID: subnet-12345678, nodeSelectorTerms: [{matchLabels: {example.com/pool: ''}}, {matchExpressions: [{key: a, \
         operator: In, values: [b, '']}, {key: c, operator: DoesNotExist}]}]",
    ),
    (
        "groups",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, securityGroupSelectorTerms: [{id: sg-12345678}, {name: web}, {tags: \
         {tier: '*', team: net}}]",
    ),
    (
        "subnets",
        "nodeSelector: {a: b}, subnetSelectorTerms: [{id: subnet-12345678}, {name: db, tags: {team: '*'}}, {tags: {tier: db}}]",
    ),
    (
        "dpdk",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, enableDPDK: true, dpdkDriver: uio_pci_generic, dpdkResourceName: example.com/Fast-net_1.x",
    ),
    (
        "upstream",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkDriver: '', dpdkResourceName: sriov_net, dpdkPCIAddress: ''",
    ),
    ("device", "subnetID: subnet-12345678, nodeSelector: {a: b}, dpdkPCIAddress: '0000:ff:1F.7'"),
    ("percent", "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxRemovals: '100%'}"),
    (
        "long",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, connectionTracking: {tcpEstablishedTimeoutSeconds: 432000, \
         udpStreamTimeoutSeconds: 180, udpTimeoutSeconds: 60}",
    ),
    (
        "short",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, connectionTracking: {tcpEstablishedTimeoutSeconds: 60, \
         udpStreamTimeoutSeconds: 60, udpTimeoutSeconds: 30}",
    ),
    ("some", "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxUnavailable: '100%'}"),
    ("few", "subnetID: subnet-12345678, nodeSelector: {a: b}, rollout: {maxUnavailable: 999999999}"),
];
