//! The rows about `nodeConfig.routes`.

/// What is wrong, the spec, and a part of the refusal.
pub(super) const ROUTES: &[(&str, &str, &str)] = &[
    (
        "a route that would take the default",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 0.0.0.0/0}]}",
        "a shorter one would take the traffic of the default route",
    ),
    (
        "half of the default route",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: '8000::/1', table: main}]}",
        "a shorter one would take the traffic of the default route",
    ),
    (
        "routes without addresses",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {routes: [{to: 10.1.0.0/16}]}",
        "nodeConfig.routes needs nodeConfig.mode addresses",
    ),
    (
        "a route table that does not exist",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 10.1.0.0/16, table: local}]}",
        "nodeConfig.routes",
    ),
    (
        "a route with bits after its prefix",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 10.1.2.3/16}]}",
        "without bits after the prefix",
    ),
    (
        "a route to no address",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 10.1.0.999/16}]}",
        "to must be a network such as 10.1.0.0/16",
    ),
    (
        "two routes to one network",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: '2001:db8::/32'}, {to: \
         '2001:DB8:0::/32', table: own}]}",
        "nodeConfig.routes has two routes to one network in one table",
    ),
    (
        "a route in the table main to the instance metadata service",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 169.254.169.254/32, table: \
         main}]}",
        "must not reach 169.254.0.0/16",
    ),
    (
        "a route in the table main to a network around the DNS server of the VPC",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 169.254.0.0/15, table: \
         main}]}",
        "must not reach 169.254.0.0/16",
    ),
    (
        "a route in the table main to the IPv6 services of EC2",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 'fd00:ec2::254/128', table: \
         main}]}",
        "must not reach 169.254.0.0/16",
    ),
    (
        "a route with a leading zero",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 010.98.0.0/16}]}",
        "to must be a network such as 10.1.0.0/16",
    ),
    (
        "a route with leading zeros in the third number",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 192.168.001.0/24}]}",
        "The numbers of an IPv4 address have no leading zeros",
    ),
    (
        "a route with a leading zero in its prefix",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 10.0.0.0/08}]}",
        "to must be a network such as 10.1.0.0/16",
    ),
    (
        "a route without a prefix",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 10.1.0.0}]}",
        "to must be a network such as 10.1.0.0/16",
    ),
    (
        "a route to the loopback",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 127.0.0.0/8}]}",
        "to must be a network of unicast addresses",
    ),
    (
        "a route to a part of the loopback",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 127.0.0.53/32}]}",
        "to must be a network of unicast addresses",
    ),
    (
        "a route to multicast",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 239.1.0.0/16}]}",
        "to must be a network of unicast addresses",
    ),
    (
        "a route to all multicast",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 224.0.0.0/4}]}",
        "to must be a network of unicast addresses",
    ),
    (
        "a route to this network",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 0.0.0.0/8}]}",
        "to must be a network of unicast addresses",
    ),
    (
        "a route to the broadcast",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 255.255.255.255/32}]}",
        "to must be a network of unicast addresses",
    ),
    (
        "a route to the loopback of IPv6",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: '::1/128'}]}",
        "to must be a network of unicast addresses",
    ),
    (
        "a route to multicast of IPv6",
        "subnetID: subnet-12345678, nodeSelector: {a: b}, nodeConfig: {mode: addresses, routes: [{to: 'ff02::/16'}]}",
        "to must be a network of unicast addresses",
    ),
];
