//! Events of devices (uevents). A device with a driver for DPDK has no link, so rtnetlink says nothing when it is unplugged, or when
//! somebody gives it another driver. What an event says besides its subsystem is not used.

use super::events::Event;
use super::socket::NetlinkError;
use netlink_sys::{Socket, protocols::NETLINK_KOBJECT_UEVENT};
use nix::errno::Errno;

/// The multicast group of the kernel's own events.
const KERNEL: u32 = 1;
/// The kernel's events are shorter.
const LONGEST: usize = 8 * 1024;

/// A socket that receives the events of one subsystem, such as pci.
pub struct UeventSocket {
    socket: Socket,
    field: Vec<u8>,
}

impl UeventSocket {
    /// Opens the socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// If the kernel allows no socket.
    pub fn open(subsystem: &str) -> Result<Self, NetlinkError> {
        let mut socket = Socket::new(NETLINK_KOBJECT_UEVENT)?;
        socket.bind_auto()?;
        socket.add_membership(KERNEL)?;
        Ok(Self { socket, field: format!("SUBSYSTEM={subsystem}").into_bytes() })
    }

    /// Waits for the next event of the subsystem.
    ///
    /// # Errors
    /// If the socket fails for another reason than lost events.
    pub fn wait(&self) -> Result<Event, NetlinkError> {
        loop {
            let mut datagram: Vec<u8> = Vec::with_capacity(LONGEST);
            match self.socket.recv(&mut datagram, 0) {
                Ok(_) if has_field(&datagram, &self.field) => return Ok(Event::Changed),
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => return Ok(Event::Lost),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether a datagram has a field. A zero byte ends each.
fn has_field(datagram: &[u8], field: &[u8]) -> bool {
    datagram.split(|byte| *byte == 0).any(|part| part == field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn an_event_counts_if_its_subsystem_is_the_asked_one() {
        let of = |subsystem: &str| format!("remove@/devices/pci0\0ACTION=remove\0SUBSYSTEM={subsystem}\0SEQNUM=7\0");
        for (subsystem, counts) in [("pci", true), ("pci_bus", false), ("net", false), ("", false)] {
            assert_eq!(has_field(of(subsystem).as_bytes(), b"SUBSYSTEM=pci"), counts, "{subsystem}");
        }
        assert!(!has_field(b"", b"SUBSYSTEM=pci") && !has_field(b"libudev\0\xfe\xed", b"SUBSYSTEM=pci"));
    }

    #[test]
    fn the_kernel_says_what_happens_to_a_device() {
        let (send, receive) = channel();
        let socket = UeventSocket::open("mem").unwrap();
        std::thread::spawn(move || send.send(socket.wait().unwrap()));
        assert!(receive.recv_timeout(Duration::from_millis(200)).is_err(), "nothing has happened");
        std::fs::write("/sys/class/mem/null/uevent", "change").unwrap();
        assert_eq!(receive.recv_timeout(Duration::from_secs(5)).unwrap(), Event::Changed);
    }
}
