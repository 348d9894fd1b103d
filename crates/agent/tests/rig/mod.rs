//! The rig: three network namespaces with real packets. `node` has the ENIs, as veths. `vpc` routes between the subnets and drops
//! what leaves a node by an ENI that does not own the source address, as EC2 does. `client` is in another subnet.

#![allow(dead_code, reason = "each test binary uses a part of the rig")]

pub mod devices;
pub mod tree;

use multi_eni_agent::node_agent::{Directories, NodeAgent, Turn};
use multi_eni_agent::plan::Settings;
use multi_eni_agent::sysfs::KernelFiles;
use multi_eni_agent::wanted::WantedEni;
use multi_eni_api::node_config::NodeMode;
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The protocol number of the agent's things.
pub const OURS: u8 = 217;
/// The client's addresses.
pub const CLIENT_V4: &str = "10.20.0.10";
pub const CLIENT_V6: &str = "2001:db8:20::10";
/// The node's primary addresses.
pub const PRIMARY_V4: &str = "10.0.0.4";
pub const PRIMARY_V6: &str = "2001:db8::4";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The namespaces. The thread that makes the rig is in `node` from then on.
pub struct Rig {
    prefix: String,
    directories: Directories,
}

/// Runs a command and returns its output. A failure is a failed test that shows what the command said.
pub fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let program = words.next().unwrap();
    let output =
        Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

impl Rig {
    /// Makes the namespaces with the primary interface. The test needs root.
    pub fn new() -> Self {
        assert!(nix::unistd::geteuid().is_root(), "this test makes network namespaces and must be run as root");
        // A mount namespace of the thread's own, for /sys: sysfs shows the network namespace in which it was mounted.
        let prefix = format!("mea{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let state = std::env::temp_dir().join(&prefix);
        fs::create_dir_all(state.join("run")).unwrap();
        let directories = Directories {
            kernel: KernelFiles { sysfs: state.join("sys"), sysctl: PathBuf::from("/proc/thread-self/root/proc/sys") },
            run: state.join("run"),
            state: state.join("state"),
        };
        let rig = Self { prefix, directories };
        for name in ["node", "vpc", "client"] {
            run(&format!("ip netns add {}", rig.namespace(name)));
            run(&format!("ip -n {} link set lo up", rig.namespace(name)));
        }
        let vpc = rig.namespace("vpc");
        rig.in_namespace("vpc", || {
            for (path, value) in [
                ("ipv4/ip_forward", "1"),
                ("ipv4/conf/all/rp_filter", "1"),
                ("ipv4/conf/default/rp_filter", "1"),
                ("ipv6/conf/all/forwarding", "1"),
            ] {
                fs::write(format!("/proc/sys/net/{path}"), value).unwrap();
            }
        });
        rig.cable("client", "eth0", "client", None);
        for (family, address, gateway) in [("", CLIENT_V4, "10.20.0.1"), ("-6 ", CLIENT_V6, "fe80:ec2::1")] {
            let length = if family.is_empty() { 24 } else { 64 };
            run(&format!("ip -n {} addr add {address}/{length} dev eth0 {}", rig.namespace("client"), nodad(family)));
            run(&format!("ip -n {} {family}route add default via {gateway} dev eth0", rig.namespace("client")));
        }
        run(&format!("ip -n {vpc} addr add 10.20.0.1/32 dev client"));
        run(&format!("ip -n {vpc} route add {CLIENT_V4}/32 dev client"));
        run(&format!("ip -n {vpc} -6 route add {CLIENT_V6}/128 dev client"));
        rig.cable("node", "ens5", "primary", Some("02:00:00:00:00:00"));
        rig.own(0, "primary", "10.0.0.1", &[PRIMARY_V4, PRIMARY_V6]);
        let node = rig.namespace("node");
        run(&format!("ip -n {node} addr add {PRIMARY_V4}/24 dev ens5"));
        run(&format!("ip -n {node} addr add {PRIMARY_V6}/64 dev ens5 nodad"));
        run(&format!("ip -n {node} link set ens5 up"));
        run(&format!("ip -n {node} route add default via 10.0.0.1 dev ens5 proto dhcp metric 512"));
        run(&format!("ip -n {node} -6 route add default via fe80:ec2::1 dev ens5 proto ra metric 512"));
        setns(rig.file("node"), CloneFlags::CLONE_NEWNET).unwrap();
        rig
    }

    /// The full name of a namespace.
    pub fn namespace(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn file(&self, name: &str) -> File {
        File::open(format!("/var/run/netns/{}", self.namespace(name))).unwrap()
    }

    /// Runs something on a thread in another namespace.
    pub fn in_namespace<T: Send>(&self, name: &str, work: impl FnOnce() -> T + Send) -> T {
        let file = self.file(name);
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }

    /// A veth between a namespace and `vpc`.
    fn cable(&self, to: &str, name: &str, vpc_name: &str, mac: Option<&str>) {
        let mac = mac.map(|mac| format!("address {mac} ")).unwrap_or_default();
        let (to, vpc) = (self.namespace(to), self.namespace("vpc"));
        run(&format!("ip -n {vpc} link add {vpc_name} type veth peer name {name} {mac}netns {to}"));
        run(&format!("ip -n {vpc} addr add fe80:ec2::1/64 dev {vpc_name} nodad"));
        run(&format!("ip -n {vpc} link set {vpc_name} up"));
        if name == "eth0" {
            run(&format!("ip -n {to} link set {name} up"));
        }
    }

    /// The router's half of an ENI: routes to its addresses, and a source check for both families.
    fn own(&self, number: u32, vpc_name: &str, gateway: &str, addresses: &[&str]) {
        let vpc = self.namespace("vpc");
        // As the VPC does, the router answers for its own address on each ENI.
        run(&format!("ip -n {vpc} addr add {gateway}/32 dev {vpc_name}"));
        for address in addresses {
            let family = if address.contains(':') { "-6 " } else { "" };
            run(&format!("ip -n {vpc} {family}route add {address} dev {vpc_name}"));
            let priority = 100 + number;
            run(&format!("ip -n {vpc} {family}rule add from {address} iif {vpc_name} lookup main priority {priority}"));
        }
        for family in ["", "-6 "] {
            run(&format!("ip -n {vpc} {family}rule add iif {vpc_name} blackhole priority {}", 1000 + number));
        }
    }

    /// Attaches an ENI in the subnet 10.0.1.0/24: a link that is down and bare, as on a node. The addresses are its own.
    pub fn attach(&self, wanted: &WantedEni) {
        let number = wanted.index;
        let mac = wanted.mac.unwrap().to_string();
        self.cable("node", &link_name(number), &format!("eni{number}"), Some(&mac));
        let addresses: Vec<String> = wanted.addresses.iter().map(ToString::to_string).collect();
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        self.own(number, &format!("eni{number}"), "10.0.1.1", &addresses);
        for prefix in &wanted.prefixes {
            let vpc = self.namespace("vpc");
            run(&format!("ip -n {vpc} route add {prefix} dev eni{number}"));
            run(&format!("ip -n {vpc} rule add from {prefix} iif eni{number} lookup main priority {}", 200 + number));
        }
    }

    /// Detaches an ENI: the link disappears.
    pub fn detach(&self, number: u32) {
        for family in ["-4", "-6"] {
            for priority in [100 + number, 200 + number, 1000 + number] {
                let priority = priority.to_string();
                let delete = ["-n", &self.namespace("vpc"), family, "rule", "del", "priority", &priority];
                while Command::new("ip").args(delete).output().unwrap().status.success() {}
            }
        }
        run(&format!("ip -n {} link del eni{number}", self.namespace("vpc")));
    }

    /// The directory for files of network managers.
    pub fn run_dir(&self) -> &PathBuf {
        &self.directories.run
    }

    /// The directories of the agent.
    pub fn directories(&self) -> &Directories {
        &self.directories
    }

    /// An agent in `node`. Its state outlives it.
    pub fn agent(&self) -> NodeAgent {
        let settings = Settings { protocol: OURS, link_kinds: vec!["veth".to_owned()] };
        NodeAgent::open(self.directories.clone(), settings).unwrap()
    }

    /// One turn of a new agent, in which nothing may fail.
    pub fn turn(&self, wanted: &[WantedEni]) -> Turn {
        let turn = self.agent().turn(wanted).unwrap();
        assert_eq!(turn.failed, [], "{:?}", turn.steps);
        turn
    }

    /// The state of `node`, but for counters and for the time of neighbours.
    pub fn state(&self) -> String {
        let node = self.namespace("node");
        let mut state = String::new();
        for command in ["-d link", "addr", "route show table all", "-6 route show table all", "rule", "-6 rule"] {
            for line in run(&format!("ip -n {node} {command}")).lines() {
                // The kernel makes these by itself for links that are up, and some only after a time.
                let is_kernels = line.contains("fe80::")
                    || line.contains("ff00::")
                    || line.contains("valid_lft")
                    || line.contains("anycast");
                if !is_kernels {
                    // A link that was up once keeps this queue when it is down.
                    state.push_str(&line.replace("qdisc noop ", "qdisc noqueue "));
                    state.push('\n');
                }
            }
        }
        let sysctl =
            |name: &str| fs::read_to_string(format!("/proc/thread-self/root/proc/sys/net/ipv6/conf/{name}/accept_ra"));
        for number in 1..4 {
            if let Ok(value) = sysctl(&link_name(number)) {
                state.push_str(&format!("accept_ra of {} is {value}", link_name(number)));
            }
        }
        state
    }

    /// Whether the client's packets to the address come back, from the address.
    pub fn answers(&self, address: IpAddr) -> bool {
        let server = match UdpSocket::bind(SocketAddr::new(address, 0)) {
            Ok(server) => server,
            Err(_) => return false,
        };
        server.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let target = server.local_addr().unwrap();
        std::thread::scope(|scope| {
            let client = scope.spawn(|| self.in_namespace("client", || ask(target)));
            let mut buffer = [0; 16];
            if let Ok((length, from)) = server.recv_from(&mut buffer) {
                let _ = server.send_to(&buffer[..length], from);
            }
            client.join().unwrap()
        })
    }

    /// Whether a packet that the node itself sends from the address reaches the client, and the answer comes back.
    pub fn reaches_client(&self, from: IpAddr) -> bool {
        let client: IpAddr = if from.is_ipv6() { CLIENT_V6 } else { CLIENT_V4 }.parse().unwrap();
        let server = self.in_namespace("client", || UdpSocket::bind(SocketAddr::new(client, 0)).unwrap());
        server.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        let Ok(socket) = UdpSocket::bind(SocketAddr::new(from, 0)) else { return false };
        socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
        if socket.send_to(b"hello", server.local_addr().unwrap()).is_err() {
            return false;
        }
        let mut buffer = [0; 16];
        let Ok((length, seen)) = server.recv_from(&mut buffer) else { return false };
        assert_eq!(seen.ip(), from, "the packet left with another source");
        server.send_to(&buffer[..length], seen).is_ok() && socket.recv(&mut buffer).is_ok()
    }
}

fn nodad(family: &str) -> &'static str {
    if family.is_empty() { "" } else { "nodad" }
}

fn ask(target: SocketAddr) -> bool {
    let own = if target.is_ipv6() { CLIENT_V6 } else { CLIENT_V4 };
    let socket = UdpSocket::bind(SocketAddr::new(own.parse().unwrap(), 0)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    if socket.send_to(b"hello", target).is_err() {
        return false;
    }
    let mut buffer = [0; 16];
    matches!(socket.recv_from(&mut buffer), Ok((_, from)) if from == target)
}

impl Drop for Rig {
    fn drop(&mut self) {
        for name in ["node", "vpc", "client"] {
            let _ = Command::new("ip").args(["netns", "del", &self.namespace(name)]).output();
        }
        let _ = fs::remove_dir_all(std::env::temp_dir().join(&self.prefix));
    }
}

/// The name that the kernel gives to the link of an ENI.
pub fn link_name(number: u32) -> String {
    format!("ens{}", number + 5)
}

/// An ENI in 10.0.1.0/24, in the mode `addresses`, with two IPv4 addresses and one IPv6 address.
pub fn eni(number: u8) -> WantedEni {
    WantedEni {
        name: format!("eni-{number}"),
        uid: format!("uid-{number}"),
        generation: Some(1),
        card: 0,
        index: u32::from(number),
        eni_id: Some(format!("eni-0000000{number}")),
        mac: Some(multi_eni_agent::node::Mac([2, 0, 0, 0, 0, number])),
        is_attached: true,
        mode: NodeMode::Addresses,
        interface_name: Some(format!("net{number}")),
        routes: Vec::new(),
        mtu: Some(1400),
        addresses: vec![
            format!("10.0.1.{}", 10 + number).parse().unwrap(),
            format!("10.0.1.{}", 100 + number).parse().unwrap(),
            format!("2001:db8:1::{number}").parse().unwrap(),
        ],
        prefixes: Vec::new(),
        subnet: Some("10.0.1.0/24".parse().unwrap()),
        dpdk: None,
        resource_name: None,
        unusable: None,
    }
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Moves the thread into an empty network namespace.
pub fn empty_namespace() {
    assert!(nix::unistd::geteuid().is_root(), "this test makes network namespaces and must be run as root");
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
}
