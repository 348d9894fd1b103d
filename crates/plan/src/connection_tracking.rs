//! Compares the timeouts of EC2's connection tracking that a NodeENI asks for with the observed ones. It decides about no call.

use multi_eni_api::ConnectionTracking;
use std::fmt;

/// The timeouts to set, or None if the ENI has each one that is asked for. A timeout that is not asked for is sent as EC2 shows
/// it: whether EC2 keeps a value that a request leaves out is not documented.
pub(crate) fn to_set(asked: ConnectionTracking, shown: ConnectionTracking) -> Option<ConnectionTracking> {
    let next = ConnectionTracking {
        tcp_established_timeout_seconds: asked
            .tcp_established_timeout_seconds
            .or(shown.tcp_established_timeout_seconds),
        udp_stream_timeout_seconds: asked.udp_stream_timeout_seconds.or(shown.udp_stream_timeout_seconds),
        udp_timeout_seconds: asked.udp_timeout_seconds.or(shown.udp_timeout_seconds),
    };
    (next != shown).then_some(next)
}

/// The timeouts for a plan or a log, by the names of the fields.
pub(crate) struct Words(pub ConnectionTracking);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            ("tcpEstablishedTimeoutSeconds", self.0.tcp_established_timeout_seconds),
            ("udpStreamTimeoutSeconds", self.0.udp_stream_timeout_seconds),
            ("udpTimeoutSeconds", self.0.udp_timeout_seconds),
        ];
        let set = fields.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", value?)));
        f.write_str(&set.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeouts(tcp: Option<i32>, udp: Option<i32>) -> ConnectionTracking {
        ConnectionTracking {
            tcp_established_timeout_seconds: tcp,
            udp_stream_timeout_seconds: None,
            udp_timeout_seconds: udp,
        }
    }

    #[test]
    fn only_a_timeout_that_is_asked_for_is_changed() {
        let shown = timeouts(Some(432_000), Some(45));
        assert_eq!(to_set(ConnectionTracking::default(), shown), None, "nothing is asked for");
        assert_eq!(to_set(timeouts(None, Some(45)), shown), None, "EC2 has it");
        assert_eq!(
            to_set(timeouts(Some(350), None), shown),
            Some(timeouts(Some(350), Some(45))),
            "the other one stays"
        );
        assert_eq!(to_set(timeouts(Some(350), None), ConnectionTracking::default()), Some(timeouts(Some(350), None)));
    }

    #[test]
    fn a_plan_names_the_fields_that_are_set() {
        assert_eq!(
            Words(timeouts(Some(350), Some(45))).to_string(),
            "tcpEstablishedTimeoutSeconds 350, udpTimeoutSeconds 45"
        );
    }
}
