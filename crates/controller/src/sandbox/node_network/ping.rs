//! An ICMP echo request and its reply. The kernel makes the checksum and the identifier, and hands over only the replies of this
//! socket.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long one request waits for its reply.
const WAITS: Duration = Duration::from_millis(700);
/// The number of requests. The first ones may come before the carrier of a new link.
const TRIES: u16 = 3;
const PAYLOAD: &[u8] = b"multi-eni";

/// Sends requests from the source to the target until one is answered, from the namespace of this thread.
pub fn ping(source: IpAddr, target: IpAddr) -> Result<(), String> {
    let failed = |error: io::Error| format!("{source} cannot send to {target}: {error}");
    let socket = socket(source, target).map_err(failed)?;
    let mut why = String::new();
    for number in 0..TRIES {
        match echo(&socket, target, number) {
            Ok(true) => return Ok(()),
            Ok(false) => why = format!("{target} does not answer {source}"),
            Err(error) => why = failed(error),
        }
    }
    Err(why)
}

fn socket(source: IpAddr, target: IpAddr) -> io::Result<UdpSocket> {
    let protocol = if target.is_ipv6() { Protocol::ICMPV6 } else { Protocol::ICMPV4 };
    let socket = Socket::new(Domain::for_address(SocketAddr::new(target, 0)), Type::DGRAM, Some(protocol))?;
    socket.bind(&SocketAddr::new(source, 0).into())?;
    socket.connect(&SocketAddr::new(target, 0).into())?;
    socket.set_read_timeout(Some(WAITS))?;
    Ok(socket.into())
}

/// Sends one request. Returns whether the reply to it comes in time.
fn echo(socket: &UdpSocket, target: IpAddr, number: u16) -> io::Result<bool> {
    let begun = Instant::now();
    socket.send(&request(target.is_ipv6(), number))?;
    let mut buffer = [0; 128];
    while begun.elapsed() < WAITS {
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                let reply = buffer.get(..length).unwrap_or_default();
                if from.ip() == target && is_reply(reply, target.is_ipv6(), number) {
                    return Ok(true);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn request(is_ipv6: bool, number: u16) -> Vec<u8> {
    let mut packet = vec![if is_ipv6 { 128 } else { 8 }, 0, 0, 0, 0, 0];
    packet.extend(number.to_be_bytes());
    packet.extend(PAYLOAD);
    packet
}

fn is_reply(packet: &[u8], is_ipv6: bool, number: u16) -> bool {
    let kind = if is_ipv6 { 129 } else { 0 };
    packet.first() == Some(&kind)
        && packet.get(6..8) == Some(&number.to_be_bytes()[..])
        && packet.get(8..) == Some(PAYLOAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reply_to_the_same_request_counts() {
        for is_ipv6 in [false, true] {
            let mut packet = request(is_ipv6, 2);
            assert!(!is_reply(&packet, is_ipv6, 2), "the request itself");
            packet[0] = if is_ipv6 { 129 } else { 0 };
            assert!(is_reply(&packet, is_ipv6, 2));
            assert!(!is_reply(&packet, is_ipv6, 1), "an earlier request");
            assert!(!is_reply(&packet[..9], is_ipv6, 2));
        }
    }
}
