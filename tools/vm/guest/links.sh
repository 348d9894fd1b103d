# Links that are hot-plugged and unplugged, with the mode addresses.

# upper_links: what is so of the links on top of the ENIs, without the counters.
upper_links() {
	for link in ipvlan1 ipvlan2 vlan1; do
		ip -o -d link show dev $link
		ip -o addr show dev $link
		cat /proc/sys/net/ipv6/conf/$link/accept_ra
	done
}

upper_links_are_as_before() { [ "$(upper_links)" = "$1" ]; }

cp /guest/attachments.yaml $ATTACHMENTS
start_agent

check 'doctor says LinkAbsent before the ENI is plugged' doctor_says 'eni-1: no link, left as it is: no physical link of the node has the MAC address of the ENI (LinkAbsent)'
check 'the node has no rules of ENIs' has_no_rules
report 'plug eni1'
check 'a hot-plugged link is up with its MTU and its alternative name' has_link $ENI1 9001 storage
check 'it has the addresses of the ENI' has_addresses
check 'the table of the ENI has its routes, IPv4 and IPv6' has_routes
check 'the rules send the traffic of each address to this table' has_rules
check 'accept_ra is off' accepts_no_ra
check 'doctor finds nothing to do' doctor_says 'Steps that the agent would make: 0'
check 'the gateway of the subnet answers by the ENI' answers 10.0.1.11 10.0.1.1
check 'the gateway of the primary interface answers' answers 10.0.0.4 10.0.0.1
check 'the primary interface is left alone, although an ENIAttachment names it' primary_is_untouched
check 'doctor says why' doctor_says '(HasDefaultRoute)'

report 'unplug eni1'
check 'an unplugged link is gone' is_absent $ENI1
check 'the rules of the ENI go with it' has_no_rules
check 'doctor says LinkAbsent' doctor_says '(LinkAbsent)'
report 'plug eni1'
check 'a link that is plugged in again is set up again' has_link $ENI1 9001 storage
check 'with its addresses' has_addresses
check 'with its routes' has_routes
check 'with its rules' has_rules
check 'the gateway answers by the ENI again' answers 10.0.1.12 10.0.1.1

report 'plug eni2'
check 'a second ENI is set up' has_link $ENI2 1400 backup
check 'its gateway answers' answers 10.0.2.11 10.0.2.1
stop_agent
modprobe -a ipvlan 8021q
one=$(link_of $ENI1) two=$(link_of $ENI2)
ip link add link "$one" name ipvlan1 type ipvlan mode l2
ip link add link "$two" name ipvlan2 type ipvlan mode l2
ip link add link "$two" name vlan1 type vlan id 7
# The next agent has all to do again, with these links there.
for family in -4 -6; do
	while ip $family rule del priority 32765 2>/tmp/said; do :; done
done
ip addr flush dev "$one" scope global
ip addr flush dev "$two" scope global
ip link property del dev "$one" altname storage
ip link property del dev "$two" altname backup
upper=$(upper_links)
start_agent
check 'an ENI with an ipvlan on top is set up' has_link $ENI1 9001 storage
check 'with its rules, next to the ipvlan' has_rules
check 'an ENI with an ipvlan and a VLAN of the same MAC address on top is set up' has_link $ENI2 1400 backup
check 'its gateway answers, next to these' answers 10.0.2.11 10.0.2.1
check 'doctor takes none of them for the ENI' doctor_says 'eni-2: link '"$two"', as asked'
check 'the links on top are left alone' upper_links_are_as_before "$upper"

report 'unplug eni2'
check 'the rules of an ENI with links on top go with it' has_no_rules_of_eni2
stop_agent
ip link del ipvlan1
multi-eni-agent clean >/tmp/said 2>&1
check 'clean leaves no rule' has_no_rules
check 'clean leaves no route' has_no_routes
check 'clean leaves the link bare and down' is_bare
report 'unplug eni1'
check 'the node is as before' is_absent $ENI1
