//! The timeouts of connection tracking: as Create and Modify take them, and as answers show them.

use crate::ec2::api_error::ApiError;
use crate::ec2::model::ConnectionTracking;
use crate::ec2::params::Params;
use crate::ec2::xml::Element;
use std::ops::RangeInclusive;

/// The parameter of Create and Modify.
pub(super) const PARAMETER: &str = "ConnectionTrackingSpecification";

/// The timeouts that a request names. A value out of EC2's bounds is refused.
pub(super) fn read(params: &Params) -> Result<ConnectionTracking, ApiError> {
    Ok(ConnectionTracking {
        tcp_established: timeout(params, "TcpEstablishedTimeout", 60..=432_000)?,
        udp_stream: timeout(params, "UdpStreamTimeout", 60..=180)?,
        udp: timeout(params, "UdpTimeout", 30..=60)?,
    })
}

fn timeout(params: &Params, name: &str, bounds: RangeInclusive<u32>) -> Result<Option<u32>, ApiError> {
    match params.count(&format!("{PARAMETER}.{name}"))? {
        Some(value) if !bounds.contains(&value) => Err(ApiError::value(format!(
            "Invalid value '{value}' for {name}. It must be between {} and {}",
            bounds.start(),
            bounds.end()
        ))),
        value => Ok(value),
    }
}

/// The timeouts in an answer; None if no value was ever set.
pub(super) fn element(set: &ConnectionTracking) -> Option<Element> {
    (*set != ConnectionTracking::default()).then(|| {
        Element::new("connectionTrackingConfiguration")
            .with_some("tcpEstablishedTimeout", set.tcp_established)
            .with_some("udpStreamTimeout", set.udp_stream)
            .with_some("udpTimeout", set.udp)
    })
}
