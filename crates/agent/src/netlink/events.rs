//! Events of rtnetlink. What an event says is not used: any change of links, addresses, routes or rules asks for a new dump, and so
//! does the loss of events (ENOBUFS).

use super::socket::NetlinkError;
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::errno::Errno;

/// The multicast groups (rtnetlink.h): link, IPv4 and IPv6 addresses, routes and rules.
const GROUPS: [u32; 7] = [1, 5, 9, 7, 11, 8, 19];

/// Why the agent looks again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Something has changed.
    Changed,
    /// The kernel dropped events because the socket was full.
    Lost,
}

/// A socket that receives the events of the network namespace in which it was opened.
pub struct EventSocket {
    socket: Socket,
}

impl EventSocket {
    /// Opens the socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// If the kernel allows no socket.
    pub fn open() -> Result<Self, NetlinkError> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        Ok(Self { socket })
    }

    /// Limits the room for events that wait, in bytes. The kernel doubles the value.
    ///
    /// # Errors
    /// If the kernel refuses the size.
    pub fn set_room(&self, bytes: i32) -> Result<(), NetlinkError> {
        Ok(self.socket.set_rx_buf_sz(bytes)?)
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// If the socket fails for another reason than lost events.
    pub fn wait(&self) -> Result<Event, NetlinkError> {
        // The datagram is not read: a short buffer drops the rest of it.
        let mut start: Vec<u8> = Vec::with_capacity(64);
        match self.socket.recv(&mut start, 0) {
            Ok(_) => Ok(Event::Changed),
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => Ok(Event::Lost),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(Event::Changed),
            Err(error) => Err(error.into()),
        }
    }
}
