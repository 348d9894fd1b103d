//! The cluster of a history: an API server with this project's CRDs. Making one takes long, so each history forks a template.

use super::epoch::clock_at_start;
use crate::entropy;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::kube::{ApiServer, GroupResource};
use serde_json::Value;
use std::sync::OnceLock;

pub(super) fn open(seed: u64, clock: SimClock) -> Result<(ApiServer, String), String> {
    let api = template()?.fork(clock, seed);
    let system = api.get(&GroupResource::new("", "namespaces"), "", "kube-system");
    let uid = system.as_ref().and_then(|namespace| namespace.pointer("/metadata/uid")).and_then(Value::as_str);
    let uid = uid.unwrap_or_default().to_owned();
    Ok((api, uid))
}

/// An API server with the CRDs, made once in this operating system process: compiling the CRDs takes as long as a good part of a
/// history.
fn template() -> Result<&'static ApiServer, String> {
    static TEMPLATE: OnceLock<Result<ApiServer, String>> = OnceLock::new();
    let made = TEMPLATE.get_or_init(|| {
        // It is made on a thread of its own with a fixed seed. Otherwise the first history would use up random numbers for it.
        let made = std::thread::spawn(|| {
            entropy::begin(0);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            runtime.map_err(|error| error.to_string())?.block_on(async { make_template() })
        });
        made.join().unwrap_or_else(|_| Err("the template of the API server panicked".to_owned()))
    });
    made.as_ref().map_err(String::clone)
}

fn make_template() -> Result<ApiServer, String> {
    let api = ApiServer::new(clock_at_start());
    // The API server tracks managed fields all the same. Hiding them makes every object a third shorter.
    api.show_managed_fields(false);
    let crds = multi_eni_api::crds::yaml().map_err(|error| error.to_string())?;
    api.install_crds(&crds).map_err(|error| format!("the CRDs are refused: {error}"))?;
    Ok(api)
}
