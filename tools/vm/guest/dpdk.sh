# Devices that are bound to vfio-pci, with an IOMMU, and given back.

pci_of() { basename "$(readlink -f "/sys/class/net/$(link_of "$1")/device")"; }

# has_driver DEVICE DRIVER
has_driver() { [ "$(basename "$(readlink "$1/driver")")" = "$2" ]; }

has_no_override() { [ "$(cat "$1/driver_override")" = '(null)' ]; }

group_file() { echo "/dev/vfio/$(basename "$(readlink "$DEVICE/iommu_group")")"; }

is_bound() { has_driver "$DEVICE" vfio-pci && has_no_override "$DEVICE" && is_absent $ENI1 && [ -c "$(group_file)" ]; }

is_given_back() { has_driver "$DEVICE" e1000e && has_no_override "$DEVICE" && link_of $ENI1; }

is_set_up() { is_given_back && has_link $ENI1 9001 storage && has_addresses && has_routes && has_rules; }

is_without_driver() { [ ! -e "$DEVICE/driver" ]; }

is_unplugged() { [ ! -e "$DEVICE" ]; }

primary_has_its_driver() { has_driver "/sys/bus/pci/devices/$PRIMARY_PCI" e1000e && primary_is_untouched; }

log_says() { grep -F "$1" $LOG; }

has_looked_and_changed_nothing() { log_says 'looked at the ENI' && ! grep -E '"message":"[^"]*(unbind|probe|driver_override)' $LOG; }

# attachments [-e EXPRESSION]…: writes the file with these changes of sed. The agent reads it at the next event of the kernel.
attachments() {
	sed -e "s/PRIMARY/$PRIMARY_PCI/" "$@" /guest/dpdk.yaml >$ATTACHMENTS.new
	mv $ATTACHMENTS.new $ATTACHMENTS
	ip rule add from 10.0.98.1 lookup 7 priority 5
	ip rule del from 10.0.98.1 lookup 7 priority 5
}

readonly ENI1_IS_A_LINK='/# eni-1/s/true/false/' ENI2_IS_A_LINK='/# eni-2/,/dpdkPCIAddress/d'

# to_kernel_driver: what a person does by hand.
to_kernel_driver() {
	echo >"$DEVICE/driver_override"
	echo "$PCI" >"$DEVICE/driver/unbind"
	echo "$PCI" >/sys/bus/pci/drivers_probe
}

hold_device() {
	/opt/hold-device "$(group_file)" "$PCI" &
	holder=$!
}

kernel_waits_for_holder() { dmesg | grep -F 'blocked until released by user'; }

disturb_other_eni() { ip link set dev "$(link_of $ENI2)" mtu 1300; }

has_device_open() { ls -l "/proc/$holder/fd" | grep -F vfio-device; }

report 'plug eni1'
check 'the kernel makes a link of a hot-plugged device' link_of $ENI1
PRIMARY_PCI=$(pci_of 02:00:00:00:00:00) PCI=$(pci_of $ENI1)
DEVICE=/sys/bus/pci/devices/$PCI

# The capabilities of nodeAgent.dpdk.enabled, and of loadModules.
readonly DPDK=NET_ADMIN,DAC_READ_SEARCH,SYS_PTRACE
CAPABILITIES=$DPDK
attachments
start_agent
check 'vfio-pci is not loaded: doctor says DriverMissing' doctor_says '(DriverMissing)'
check 'the device keeps its kernel driver' is_given_back
stop_agent
start_agent --load-modules
check 'the kernel loads no module for an agent without SYS_MODULE' log_says 'Operation not permitted'
check 'the device keeps its kernel driver then' is_given_back
stop_agent
CAPABILITIES=$DPDK,SYS_MODULE
start_agent --load-modules
check 'with --load-modules the agent loads vfio-pci and binds the device, which has an IOMMU group' is_bound
check 'doctor says for whom, and the driver of before' doctor_says 'bound by the agent for eni-1 (before: e1000e)'
report 'plug eni2'
check 'the device of another ENI is not bound by a dpdkPCIAddress' doctor_says '(PCIAddressMismatch)'
check 'the primary interface is not bound, although an ENIAttachment asks for it' doctor_says '(HasDefaultRoute)'
check 'it keeps its driver' primary_has_its_driver

stop_agent
check 'the device stays bound when the agent stops' is_bound
CAPABILITIES=$DPDK
start_agent
check 'the next agent looks at it and changes nothing' has_looked_and_changed_nothing
kill -9 "$agent"
wait "$agent"
to_kernel_driver
check 'the device is given back by hand' is_given_back
start_agent
check 'the next agent binds it again' is_bound
kill -9 "$agent"
wait "$agent"
echo none >"$DEVICE/driver_override"
echo "$PCI" >"$DEVICE/driver/unbind"
check 'the device is left half-way, without a driver' is_without_driver
start_agent
check 'the next agent goes on from there' is_bound

attachments -e "$ENI1_IS_A_LINK"
check 'enableDPDK goes: the device is given back, and its link is set up' is_set_up
check 'its gateway answers' answers 10.0.1.11 10.0.1.1
attachments
check 'enableDPDK comes: the device is bound again' is_bound
check 'its rules are gone' has_no_rules

stop_agent
attachments -e '/dpdkDriver/s/vfio-pci/uio_pci_generic/'
CAPABILITIES=$DPDK,SYS_MODULE
start_agent --load-modules
check 'uio_pci_generic does not take this NIC, and the agent says so' log_says 'BindFailed'
check 'the device has its kernel driver and its link again' is_given_back
attachments
check 'dpdkDriver is vfio-pci again: the device is bound' is_bound

report 'unplug eni1'
check 'a bound device can be unplugged' is_unplugged
check 'doctor says so' doctor_says '(LinkAbsent)'
report 'plug eni1'
check 'a device that is plugged in again is bound again' is_bound

# The other ENI shows that the agent goes on: somebody changes it, and the agent sets it right.
attachments -e "$ENI2_IS_A_LINK"
check 'the other ENI is set up as a link' has_link $ENI2 1400 backup
hold_device
check 'a program has the device open' has_device_open
attachments -e "$ENI1_IS_A_LINK" -e "$ENI2_IS_A_LINK"
check 'the agent does not take it away, and names the process' log_says "is held by process $holder (hold-device"
check 'doctor names the process' doctor_says "held by process $holder (hold-device"
CAPABILITIES=NET_ADMIN,DAC_READ_SEARCH
check 'doctor without SYS_PTRACE does not' doctor_says 'held by no process that is seen; the agent cannot see the files of'
CAPABILITIES=$DPDK
check 'the device keeps its driver' has_driver "$DEVICE" vfio-pci
disturb_other_eni
check 'the agent serves the other ENI meanwhile' has_link $ENI2 1400 backup
kill "$holder"
check 'when the program ends, the device is given back and its link is set up' is_set_up
stop_agent

attachments -e "$ENI2_IS_A_LINK"
start_agent --proc-root /tmp/none --dpdk-deadline 3
check 'the device is bound by an agent that sees no other processes' is_bound
hold_device
check 'a program has the device open' has_device_open
attachments -e "$ENI1_IS_A_LINK" -e "$ENI2_IS_A_LINK"
check 'the kernel waits for the program to unbind the device' kernel_waits_for_holder
check 'the agent says so' log_says 'DeviceHeld'
disturb_other_eni
check 'the agent serves the other ENI while the write waits' has_link $ENI2 1400 backup
kill "$holder"
check 'when the program ends, the write returns, and the link is set up' is_set_up
stop_agent

attachments -e "$ENI2_IS_A_LINK"
start_agent
check 'the device is bound' is_bound
hold_device
check 'a program has the device open' has_device_open
dmesg -c >/tmp/said
report 'unplug eni1'
check 'the kernel waits for the program to unplug the device' kernel_waits_for_holder
disturb_other_eni
check 'the agent serves the other ENI meanwhile' has_link $ENI2 1400 backup
kill "$holder"
check 'when the program ends, the device is gone' is_unplugged
report 'plug eni1'
check 'a device that is plugged in again is bound again' is_bound
stop_agent
check 'clean gives the device back' multi-eni-agent clean
check 'it has its kernel driver and its link' is_given_back
check 'clean leaves no rule' has_no_rules
