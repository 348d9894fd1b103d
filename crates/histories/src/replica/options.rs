//! The options with which a process runs the controller: the product's own, except for what a script's setting changes.

use crate::environment::POD_ANNOTATION;
use crate::script::{Graces, Setting};
use jiff::SignedDuration;
use multi_eni_controller::leader_election::elector::Times;
use multi_eni_plan::settings::Settings;
use std::time::Duration;

/// Timeout of one EC2 call, as `multi-eni controller` sets it.
pub const EC2_TIMEOUT: Duration = Duration::from_secs(8);

/// The Lease's times: the product's, except for the interval of renewals.
pub(super) fn lease_times(setting: &Setting) -> Times {
    Times { renew_every: Duration::from_millis(setting.renew_every), ..Times::default() }
}

/// The options of the EC2 client.
pub(super) fn ec2_options(setting: &Setting) -> multi_eni_ec2::Options {
    multi_eni_ec2::Options {
        call_timeout: EC2_TIMEOUT,
        page_size: setting.page_size,
        burst_share: f64::from(setting.buckets_percent) / 100.0,
        ..multi_eni_ec2::Options::default()
    }
}

/// The controller's settings: the script's graces, and the Pods' annotation if removals wait for Pods.
pub(super) fn settings(setting: &Setting) -> Settings {
    let Graces { label, node_gone, force_detach } = setting.graces;
    let seconds = SignedDuration::from_secs;
    Settings {
        label_grace: seconds(label),
        node_gone_grace: seconds(node_gone),
        force_detach: seconds(force_detach),
        node_agent: setting.node_agent,
        pod_annotation: setting.waits_for_pods.then(|| POD_ANNOTATION.to_owned()),
        ..Settings::default()
    }
}
