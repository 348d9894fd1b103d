//! What makes the agent look again: events of links and of PCI devices, and the ends of steps that took longer than their turn. Threads
//! wait for them, because the sockets of netlink are synchronous.

use crate::netlink::NetlinkError;
use crate::netlink::events::{Event, EventSocket};
use crate::netlink::uevents::UeventSocket;
use crate::node_agent::{AgentError, NodeAgent};
use std::io;
use std::sync::Arc;
use std::thread::Builder;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};

/// The events of the kernel. The end of a step for DPDK is an event, too: the kernel sends none when a process lets a device go. So is a
/// device that is offered to pods in another way, because a pod has ended, for example.
///
/// # Errors
/// If the kernel allows no socket for the events of links. Without those of PCI devices, the agent goes on.
pub fn kernel_events(agent: &mut NodeAgent) -> Result<Receiver<Event>, AgentError> {
    let socket = EventSocket::open()?;
    let (send, receive) = channel(1);
    let weak = send.downgrade();
    let waker = Arc::new(move || {
        if let Some(send) = weak.upgrade() {
            let _ = send.try_send(Event::Changed);
        }
    });
    agent.binder().set_waker(waker.clone());
    if let Some(pods) = agent.pods() {
        pods.set_waker(waker);
    }
    match UeventSocket::open("pci") {
        Ok(devices) => {
            let weak = send.downgrade();
            // The receiver ends with the events of links, whatever becomes of these.
            spawn(
                "pci-events",
                move || devices.wait(),
                move |event| match weak.upgrade() {
                    Some(send) => is_open(&send, event),
                    None => false,
                },
            )?;
        }
        Err(error) => {
            tracing::warn!(%error, "a bound device that is unplugged is noticed late: there are no events of PCI devices")
        }
    }
    spawn("netlink-events", move || socket.wait(), move |event| is_open(&send, event))?;
    Ok(receive)
}

fn is_open(send: &Sender<Event>, event: Event) -> bool {
    match event {
        // A full channel has an event that asks for the same look.
        Event::Changed => !matches!(send.try_send(event), Err(TrySendError::Closed(_))),
        // A loss is counted, so it waits for its place.
        Event::Lost => send.blocking_send(event).is_ok(),
    }
}

fn spawn(
    name: &str,
    wait: impl Fn() -> Result<Event, NetlinkError> + Send + 'static,
    tell: impl Fn(Event) -> bool + Send + 'static,
) -> io::Result<()> {
    let of = name.to_owned();
    Builder::new().name(name.to_owned()).spawn(move || {
        loop {
            match wait() {
                Ok(event) if tell(event) => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::error!(%error, "the socket for {of} failed");
                    return;
                }
            }
        }
    })?;
    Ok(())
}
