//! `connectionTracking`: how long the security groups of an ENI remember idle connections.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Timeouts of EC2's connection tracking. A value that is not set stays as EC2 has it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTracking {
    /// Seconds until EC2 forgets an idle, established TCP connection. EC2's default depends on the instance type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 60 && self <= 432000").message("connectionTracking.tcpEstablishedTimeoutSeconds must be from 60 to 432000"))]
    pub tcp_established_timeout_seconds: Option<i32>,

    /// Seconds until EC2 forgets an idle UDP flow with several requests and responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 60 && self <= 180").message("connectionTracking.udpStreamTimeoutSeconds must be from 60 to 180"))]
    pub udp_stream_timeout_seconds: Option<i32>,

    /// Seconds until EC2 forgets an idle UDP flow in one direction, or with one request and its response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self >= 30 && self <= 60").message("connectionTracking.udpTimeoutSeconds must be from 30 to 60"))]
    pub udp_timeout_seconds: Option<i32>,
}

impl ConnectionTracking {
    /// No value is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
