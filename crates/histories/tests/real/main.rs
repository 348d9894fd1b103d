//! Compares the simulated API server with a real one: the same writes must give the same objects and refusals on both.

mod by_hand;
mod compare;
mod replay;
mod server;
mod twins;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use multi_eni_control_plane::{ControlPlane, Failure};
use multi_eni_histories::api_write_recording::Recording;
use multi_eni_histories::checker::Detail;
use multi_eni_histories::script::Script;
use multi_eni_histories::{generator, golden_trace, history};
use server::Server;

/// Seeds besides the kept scenarios: their histories write to objects that are being deleted, lose races, and have heartbeats.
const SEEDS: [u64; 3] = [205, 1021, 1041];

/// First sends the requests of `requests.yaml`. Then runs every kept scenario in this process, and sends its writes to the real
/// server. `MULTI_ENI_SEEDS=0..100` runs these seeds instead.
#[test]
fn writes_of_histories_have_the_same_result_on_a_real_api_server() -> Result<(), Failure> {
    let histories = histories()?;
    // The plugin taints new Nodes until they are ready. The simulator has no admission plugins.
    let plane = ControlPlane::start_without(&["TaintNodesByCondition"])?;
    let crds = multi_eni_api::crds::yaml().map_err(|e| e.to_string())?;
    plane.apply(&crds)?.success()?;
    plane.kubectl(&["wait", "--for=condition=established", "crd", "--all"])?.success()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let server = runtime.block_on(Server::at(&plane.admin_kubeconfig()))?;
    let mut differ = Vec::new();
    let by_hand = runtime.block_on(by_hand::record())?;
    if let Err(differences) = runtime.block_on(replay::replay(&server, "by hand", &by_hand)) {
        differ.push(differences);
    }
    for History { name, script, golden } in histories {
        let report = history::record(&script, Detail::Story);
        if golden.is_some_and(|golden| golden != report.trace.join("\n") + "\n") {
            differ.push(format!("{name}: recorded, it is not the history that was kept"));
        }
        let mut recording = report.recording.ok_or_else(|| format!("{name}: no recording: {:?}", report.breach))?;
        // A real Pod needs a ServiceAccount and gets twenty defaults that no code here reads. Other tests on a real cluster cover
        // Pods.
        recording.writes.retain(|entry| entry.request.resource != "pods");
        eprintln!("{name}: {}", summary(&recording));
        if let Err(differences) = runtime.block_on(replay::replay(&server, &name, &recording)) {
            differ.push(differences);
        }
    }
    if differ.is_empty() {
        plane.passed();
        return Ok(());
    }
    Err(differ.join("\n\n\n").into())
}

/// A history to be run.
struct History {
    name: String,
    script: Script,
    /// The trace that it must have, if it is a kept scenario.
    golden: Option<String>,
}

fn histories() -> Result<Vec<History>, Failure> {
    if let Ok(seeds) = std::env::var("MULTI_ENI_SEEDS") {
        let range = seeds.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
        let range: Range<u64> = range.ok_or_else(|| format!("MULTI_ENI_SEEDS is no range: {seeds}"))?;
        if range.is_empty() {
            return Err(format!("MULTI_ENI_SEEDS has no seeds: {seeds}").into());
        }
        return Ok(range.map(of_seed).collect());
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let kept: Result<Vec<History>, Failure> = golden_trace::files(&directory)?.iter().map(|file| kept(file)).collect();
    Ok(kept?.into_iter().chain(SEEDS.map(of_seed)).collect())
}

fn kept(file: &Path) -> Result<History, Failure> {
    let read = |file: &Path| std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()));
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let script = Script::parse(&read(file)?).map_err(|e| format!("{name}: {e}"))?;
    Ok(History { name, script, golden: Some(read(&file.with_extension("trace"))?) })
}

fn of_seed(seed: u64) -> History {
    History { name: format!("seed {seed}"), script: generator::script(seed), golden: None }
}

/// How many writes there were, and how many of them were refused, by HTTP status.
fn summary(recording: &Recording) -> String {
    let mut refused = BTreeMap::new();
    for entry in recording.writes.iter().filter(|entry| entry.status >= 300) {
        *refused.entry(entry.status).or_insert(0) += 1;
    }
    format!("{} writes; refused, by status: {refused:?}", recording.writes.len())
}
