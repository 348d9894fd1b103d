//! Runs the real controller in one process, over the interceptors of the API server and of EC2.

use super::options::{EC2_TIMEOUT, ec2_options, lease_times, settings};
use super::process::Process;
use super::{ec2_interceptor, kube_interceptor};
use crate::environment::LEASE_NAMESPACE;
use crate::interceptor::Interceptor;
use crate::script::Setting;
use kube::Client;
use multi_eni_controller::http_server::Gauges;
use multi_eni_controller::run::{Components, Election, run};
use std::sync::Arc;
use tower::Layer;

/// Does what `multi-eni controller` does, with HTTP clients that pass the interceptors.
pub(super) async fn run_controller(interceptor: Arc<Interceptor>, process: Arc<Process>, setting: Setting) {
    let elect = setting.replicas > 1;
    let (wall, steady) = (process.machine.wall(), process.machine.steady());
    let fence = Components::fence(elect, steady);
    let service = kube_interceptor::KubeInterceptor::new(interceptor.clone(), process.clone());
    let http = ec2_interceptor::client(&interceptor, &process);
    let parts = Components {
        kube: Client::new(service.clone(), "default"),
        fenced: Client::new(Components::fence_layer(&fence).layer(service), "default"),
        fence,
        aws: multi_eni_ec2::client_over(http, wall.clone(), "eu-west-1", "http://ec2.simulated", EC2_TIMEOUT),
        ec2_options: ec2_options(&setting),
        cluster_name: Some("histories".to_owned()),
        election: elect.then(|| Election { namespace: LEASE_NAMESPACE.to_owned(), times: lease_times(&setting) }),
        identity: process.identity.clone(),
        settings: settings(&setting),
        wall,
        gauges: Arc::new(Gauges::default()),
        spans: None,
    };
    run(parts, process.stop.notified()).await;
}
