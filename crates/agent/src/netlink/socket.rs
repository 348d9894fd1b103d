//! A socket of rtnetlink that sends one request and reads its answers. It is synchronous: the kernel answers at once.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkBuffer, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use nix::errno::Errno;
use std::io;

/// The room for one datagram. The kernel sends at most 32 KiB in one.
const DATAGRAM: usize = 64 * 1024;
/// How often a dump is tried anew that a change has interrupted.
const DUMP_TRIES: usize = 10;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel refused the request.
    #[error("{errno} ({})", errno.desc())]
    Refused {
        /// The kernel's error.
        errno: Errno,
    },
    /// The socket failed.
    #[error("netlink socket: {0}")]
    Socket(#[from] io::Error),
    /// An answer could not be read.
    #[error("netlink answer: {0}")]
    Answer(String),
    /// Changes interrupted each try of a dump.
    #[error("the state changed during each of {DUMP_TRIES} dumps")]
    Interrupted,
}

impl NetlinkError {
    /// The kernel's error, if it refused the request.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno } => Some(*errno),
            Self::Socket(_) | Self::Answer(_) | Self::Interrupted => None,
        }
    }
}

/// A socket in the network namespace in which it was opened.
pub struct NetlinkSocket {
    socket: Socket,
    sequence: u32,
}

impl NetlinkSocket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// If the kernel allows no socket.
    pub fn open() -> Result<Self, NetlinkError> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        // Filters of dumps are then errors instead of being ignored. Kernels before 4.20 do not know the option.
        let _ = socket.set_netlink_get_strict_chk(true);
        Ok(Self { socket, sequence: 0 })
    }

    /// Sends a change and waits for its acknowledgement.
    ///
    /// # Errors
    /// If the kernel refuses the change.
    pub(crate) fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.send(message, NLM_F_REQUEST | NLM_F_ACK | flags)?;
        self.answers(|_| ()).map(|_| ())
    }

    /// Reads all objects of a kind. A dump that a change interrupts is made again.
    ///
    /// # Errors
    /// If the kernel refuses, or changes interrupt each try.
    pub(crate) fn dump<T, I: IntoIterator<Item = T>>(
        &mut self,
        request: &RouteNetlinkMessage,
        read: impl Fn(RouteNetlinkMessage) -> I,
    ) -> Result<Vec<T>, NetlinkError> {
        for _ in 0..DUMP_TRIES {
            self.send(request.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            let mut found = Vec::new();
            let interrupted = self.answers(|message| found.extend(read(message)))?;
            if !interrupted {
                return Ok(found);
            }
        }
        Err(NetlinkError::Interrupted)
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        (header.flags, header.sequence_number) = (flags, self.sequence);
        let mut packet = NetlinkMessage::new(header, NetlinkPayload::from(message));
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        Ok(())
    }

    /// Reads answers until the acknowledgement or the end of the dump. The result is whether the dump was interrupted.
    fn answers(&mut self, mut take: impl FnMut(RouteNetlinkMessage)) -> Result<bool, NetlinkError> {
        let mut interrupted = false;
        let mut datagram: Vec<u8> = Vec::with_capacity(DATAGRAM);
        loop {
            datagram.clear();
            self.socket.recv(&mut datagram, 0)?;
            let mut rest = datagram.as_slice();
            while !rest.is_empty() {
                let frame = NetlinkBuffer::new_checked(rest).map_err(|e| NetlinkError::Answer(e.to_string()))?;
                let (length, sequence, flags) = (frame.length() as usize, frame.sequence_number(), frame.flags());
                let aligned = length.next_multiple_of(4).min(rest.len());
                let (bytes, next) = (rest.get(..length).unwrap_or(rest), rest.get(aligned..).unwrap_or_default());
                rest = next;
                // Answers to an earlier request that was given up.
                if sequence != self.sequence {
                    continue;
                }
                interrupted |= flags & NLM_F_DUMP_INTR != 0;
                match NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes).map(|message| message.payload) {
                    Ok(NetlinkPayload::Done(done)) => return finish(done.code).map(|()| interrupted),
                    Ok(NetlinkPayload::Error(error)) => return finish(error.raw_code()).map(|()| interrupted),
                    Ok(NetlinkPayload::InnerMessage(message)) => take(message),
                    Ok(_) => {}
                    // An object with attributes that the library cannot read must not hide all others.
                    Err(error) => tracing::warn!(%error, "the kernel sent an object that the agent cannot read"),
                }
            }
        }
    }
}

fn finish(code: i32) -> Result<(), NetlinkError> {
    match code {
        0 => Ok(()),
        code => Err(NetlinkError::Refused { errno: Errno::from_raw(code.saturating_neg()) }),
    }
}
