# Questions about the node: each succeeds if it is so, and prints what it has seen.

# has_link MAC MTU NAME: the link is up with the MTU and the alternative name.
has_link() {
	shown=$(ip -o link show dev "$(link_of "$1")")
	echo "$shown"
	echo "$shown" | grep -F ',UP' | grep -F "mtu $2 " | grep -qE "altname $3 *\$"
}

has_addresses() {
	shown=$(ip -o addr show dev "$(link_of $ENI1)")
	echo "$shown"
	for address in 10.0.1.11/32 10.0.1.12/32 2001:db8:1::11/128; do
		echo "$shown" | grep -qF " $address " || return 1
	done
}

has_routes() {
	link=$(link_of $ENI1)
	ip route show table 10001 | grep -F "default via 10.0.1.1 dev $link" &&
		ip route show table 10001 | grep -F "10.1.0.0/16 via 10.0.1.1 dev $link" &&
		ip -6 route show table 10001 | grep -F "default via fe80:ec2::1 dev $link"
}

has_rules() {
	for address in 10.0.1.11 10.0.1.12 2001:db8:1::11; do
		rules | grep -F "32765:" | grep -F "from $address lookup 10001" || return 1
	done
}

has_no_rules() { ! rules | grep -E 'lookup 1000[0-9]'; }

has_no_routes() { ! ip route show table all | grep -E 'table 1000[0-9]' && ! ip -6 route show table all | grep -E 'table 1000[0-9]'; }

has_no_rules_of_eni2() { ! rules | grep -F 'lookup 10002'; }

# What a new link is.
is_bare() {
	link=$(link_of $ENI1)
	ip -o link show dev "$link" | grep -v altname | grep -v ',UP' | grep -F 'mtu 1500 ' && [ -z "$(ip -o addr show dev "$link")" ]
}

# answers SOURCE GATEWAY
answers() { ping -c 1 -W 2 -I "$1" "$2"; }

accepts_no_ra() { [ "$(cat "/proc/sys/net/ipv6/conf/$(link_of $ENI1)/accept_ra")" = 0 ]; }

# As /init has made it.
primary_is_untouched() {
	ip -o link show dev eth0 | grep -F ' mtu 1500 ' | grep -v altname &&
		[ "$(ip -o -4 addr show dev eth0 | awk '{print $4}')" = 10.0.0.4/24 ] &&
		[ "$(cat /proc/sys/net/ipv6/conf/eth0/accept_ra)" = 1 ] &&
		! rules | grep -F 'lookup 10003'
}
