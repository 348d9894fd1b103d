//! The calls to EC2, one attempt each: Describes, the mutations of an ENI, and the sending that they share.

pub(crate) mod describe;
mod lifecycle;
mod modify;
mod send;
