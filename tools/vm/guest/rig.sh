# What all checks of the guest use. The lines of the serial port are described in tools/vm/boot.py.

readonly ENI1=02:00:00:00:00:01 ENI2=02:00:00:00:00:02
readonly ATTACHMENTS=/run/attachments.yaml LOG=/tmp/agent.log
exec 3>/dev/ttyS1
checks=0 agent=''
# The agent has those that the chart gives its container.
CAPABILITIES=NET_ADMIN

# The shell takes those of busybox otherwise. Its ip knows no alternative names, and its modprobe none of the modules to load besides.
ip() { /usr/bin/ip "$@"; }
depmod() { /usr/bin/depmod "$@"; }
modprobe() { /usr/bin/modprobe "$@"; }

report() { echo "$*" >&3; }

seconds() { cut -d. -f1 /proc/uptime; }

# check SENTENCE COMMAND…: the sentence is true if the command succeeds within 30 s.
check() {
	sentence=$1
	shift
	checks=$((checks + 1))
	last=$(($(seconds) + 30))
	while ! "$@" >/tmp/said 2>&1; do
		if [ "$(seconds)" -ge "$last" ]; then
			report "FAILED $sentence"
			explain "$@" | sed 's/^/    /' >&3
			return
		fi
		usleep 200000
	done
	report "ok $sentence"
}

# What helps to understand why a check failed.
explain() {
	echo "the command: $*"
	cat /tmp/said
	echo '--- links and addresses'
	ip -d addr
	echo '--- rules'
	rules
	echo '--- routes'
	ip route show table all
	echo '--- doctor'
	doctor
	echo '--- the end of the log of the kernel'
	dmesg | tail -n 10
	echo '--- what the threads of the agent wait for in the kernel'
	for thread in /proc/"$agent"/task/*; do
		cat "$thread/comm" "$thread/stack"
	done
	echo '--- the end of the log of the agent'
	tail -n 20 $LOG
}

start_agent() {
	# The debug level has the result for each ENI.
	RUST_LOG=multi_eni_agent=debug /opt/limit-capabilities $CAPABILITIES multi-eni-agent run --attachments-file $ATTACHMENTS "$@" 2>$LOG &
	agent=$!
}

stop_agent() {
	kill "$agent"
	wait "$agent"
}

# doctor: what it says within 10 s. A process that waits for the kernel cannot be ended, so nothing waits for it.
doctor() {
	rm -f /tmp/doctor.end
	(
		/opt/limit-capabilities $CAPABILITIES multi-eni-agent doctor --attachments-file $ATTACHMENTS >/tmp/doctor 2>&1
		touch /tmp/doctor.end
	) &
	end=$(($(seconds) + 10))
	while [ ! -e /tmp/doctor.end ] && [ "$(seconds)" -lt $end ]; do usleep 50000; done
	cat /tmp/doctor
	[ -e /tmp/doctor.end ]
}

# doctor_says TEXT
doctor_says() { doctor | grep -F "$1"; }

rules() {
	ip -4 rule
	ip -6 rule
}

# link_of MAC: the name of the physical link.
link_of() {
	for link in /sys/class/net/*; do
		if [ -e "$link/device" ] && [ "$(cat "$link/address")" = "$1" ]; then
			basename "$link"
			return
		fi
	done
	return 1
}

is_absent() { ! link_of "$1"; }
