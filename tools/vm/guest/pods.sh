# A link that a pod takes out of the node's network namespace, as the CNI plugin host-device does, and that comes back.

make_pod() {
	mkdir -p /var/run
	ip netns add pod
}

take_link() {
	LINK=$(link_of $ENI1)
	ip link set dev "$LINK" netns pod
}

# use_link: what the IPAM plugin and the pod do.
use_link() {
	ip -n pod addr add 10.0.1.11/24 dev "$LINK"
	ip -n pod link set "$LINK" up
	ip -n pod route add default via 10.0.1.1 dev "$LINK"
}

give_link_back() {
	ip -n pod link set "$LINK" down
	ip -n pod link set "$LINK" netns 1
}

pod_link_keeps_its_names() { ip -n pod -o link show dev "$LINK" | grep -F 'mtu 9001 ' | grep -E 'altname storage *$'; }

pod_has_no_addresses_and_routes() {
	ip -n pod -o link show dev "$LINK" &&
		[ -z "$(ip -n pod -o addr show dev "$LINK")" ] &&
		! ip -n pod route show table all | grep -F "dev $LINK" &&
		! ip -n pod -6 route show table all | grep -F "dev $LINK" &&
		! ip -n pod -4 rule | grep -F 32765: &&
		! ip -n pod -6 rule | grep -F 32765:
}

pod_uses_link() {
	ip -n pod -o addr show dev "$LINK" | grep -F ' 10.0.1.11/24 ' && ip -n pod route | grep -F "default via 10.0.1.1 dev $LINK"
}

pod_is_answered() { ip netns exec pod ping -c 1 -W 2 -I 10.0.1.11 10.0.1.1; }

is_set_up_as_a_link() { has_link $ENI1 9001 storage && has_addresses && has_routes && has_rules && accepts_no_ra; }

cp /guest/attachments.yaml $ATTACHMENTS
start_agent
make_pod
report 'plug eni1'
check 'an ENI is set up before a pod takes it' is_set_up_as_a_link
DEVICE_OF_ENI1=$(basename "$(readlink -f "/sys/class/net/$(link_of $ENI1)/device")")
IN_USE="eni-1: in use: a pod or another network namespace has the link of $DEVICE_OF_ENI1"

take_link
check 'a link that a pod takes is in use' doctor_says "$IN_USE"
check 'the rules of the ENI leave the node' has_no_rules
check 'its routes leave the node' has_no_routes
check 'the agent has nothing left to do' doctor_says 'Steps that the agent would make: 0'
check 'the kernel keeps the MTU and the alternative name of the link' pod_link_keeps_its_names
check 'no address, route or rule of the agent is in the pod' pod_has_no_addresses_and_routes
use_link
check 'the gateway answers the pod' pod_is_answered
stop_agent
start_agent
check 'the link is in use for an agent that starts meanwhile' doctor_says "$IN_USE"
check 'the agent leaves it to the pod' pod_uses_link
give_link_back
check 'a link that the pod gives back is set up again' is_set_up_as_a_link
check 'its gateway answers' answers 10.0.1.11 10.0.1.1

take_link
use_link
check 'the pod takes it a second time' doctor_says "$IN_USE"
ip netns del pod
check 'a link that comes back because its pod is gone is set up again' is_set_up_as_a_link
check 'its gateway answers again' answers 10.0.1.12 10.0.1.1

make_pod
take_link
use_link
check 'the pod takes it a third time' doctor_says "$IN_USE"
stop_agent
check 'clean succeeds while a pod has the link' multi-eni-agent clean
check 'it leaves the link to the pod' pod_uses_link
check 'it leaves no rule on the node' has_no_rules
ip netns del pod
report 'unplug eni1'
check 'the node is as before the pods' is_absent $ENI1
