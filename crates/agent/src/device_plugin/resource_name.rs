//! The name of an extended resource, such as `example.com/fast`, and the names that follow from it.

use multi_eni_api::names::{full_resource_name, short_digest};
use multi_eni_api::resource_name::fault;
use std::fmt;
use std::str::FromStr;

/// The longest file name of a socket. The path of a socket has at most 107 bytes, and kubelet's directory takes 32 of them.
const LONGEST_SOCKET: usize = 72;

/// The name of an extended resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName {
    prefix: String,
    name: String,
}

/// A text that kubelet takes for no extended resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dpdkResourceName {text:?} is no name of an extended resource: {why}")]
pub struct NotAResourceName {
    text: String,
    why: &'static str,
}

impl FromStr for ResourceName {
    type Err = NotAResourceName;

    fn from_str(text: &str) -> Result<Self, NotAResourceName> {
        let full = full_resource_name(text);
        let (prefix, name) = full.split_once('/').unwrap_or_default();
        match fault(prefix, name) {
            None => Ok(Self { prefix: prefix.to_owned(), name: name.to_owned() }),
            Some(why) => Err(NotAResourceName { text: text.to_owned(), why }),
        }
    }
}

impl ResourceName {
    /// The part before the slash.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the environment variable with the addresses of a container's devices. The SR-IOV network device plugin replaces
    /// only the dots; programs look for exactly that name.
    pub fn variable(&self) -> String {
        format!("PCIDEVICE_{}_{}", self.prefix, self.name).replace('.', "_").to_ascii_uppercase()
    }

    /// The file name of the socket. It differs from that of the SR-IOV network device plugin, which may run on the same node.
    pub fn socket(&self) -> String {
        let plain = format!("{SOCKET}{}_{}.sock", self.prefix, self.name);
        if plain.len() <= LONGEST_SOCKET { plain } else { format!("{SOCKET}{}.sock", short_digest(&plain)) }
    }
}

/// How the names of all sockets of the agent begin.
const SOCKET: &str = "multi-eni_";

/// Whether a file in kubelet's directory is a socket of the agent, by its name.
pub fn is_own_socket(name: &str) -> bool {
    name.starts_with(SOCKET) && name.ends_with(".sock")
}

/// The resource of a socket of the agent. None: the name of a long resource is not in the name of its socket.
pub fn of_socket(name: &str) -> Option<ResourceName> {
    // A prefix has no underscore.
    let (prefix, resource) = name.strip_prefix(SOCKET)?.strip_suffix(".sock")?.split_once('_')?;
    format!("{prefix}/{resource}").parse().ok()
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.prefix, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    #[test]
    fn the_resource_of_a_socket_is_read_back() {
        for resource in ["example.com/fast", "intel.com/a_b.c"].map(name) {
            assert!(is_own_socket(&resource.socket()));
            assert_eq!(of_socket(&resource.socket()), Some(resource));
        }
        let long = name(&format!("example.com/{}", "x".repeat(63))).socket();
        assert_eq!((is_own_socket(&long), of_socket(&long)), (true, None));
        assert_eq!((is_own_socket("other.sock"), of_socket("other.sock")), (false, None));
    }

    #[test]
    fn a_name_without_a_prefix_has_the_default_one() {
        assert_eq!(name("example.com/fast").to_string(), "example.com/fast");
        assert_eq!(name("fast").to_string(), "intel.com/fast");
    }

    #[test]
    fn what_kubelet_refuses_is_refused() {
        let long = format!("example.com/{}", "x".repeat(64));
        for wrong in [
            "",
            "/",
            "example.com/",
            "/fast",
            "example.com/fast/er",
            "Example.com/fast",
            "example..com/fast",
            "-example.com/fast",
            "kubernetes.io/fast",
            "node.kubernetes.io/fast",
            "requests.example.com/fast",
            "example.com/-fast",
            "example.com/fast_",
            "example.com/fa st",
            "example.com/../x",
            &long,
            &format!("{}/fast", "a.".repeat(130)),
        ] {
            assert!(wrong.parse::<ResourceName>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_variable_is_that_of_the_sriov_network_device_plugin() {
        assert_eq!(name("example.com/fast-net_1.x").variable(), "PCIDEVICE_EXAMPLE_COM_FAST-NET_1_X");
    }

    #[test]
    fn the_socket_of_a_long_name_is_short_and_its_own() {
        assert_eq!(name("example.com/fast").socket(), "multi-eni_example.com_fast.sock");
        let long = |end: &str| name(&format!("{}.example.com/fast{end}", "a".repeat(60))).socket();
        assert!(long("1").len() <= LONGEST_SOCKET && long("1") != long("2"), "{}", long("1"));
    }
}
