//! A simulated world in virtual time: one account, one cluster and one controller, whose code is the product's.

use crate::observer::{self, Observer};
use crate::region::{self, REGION, TYPE, ZONE, instance, subnet};
use kube::Client;
use multi_eni_api::names::{GROUP, VERSION};
use multi_eni_controller::http_server::Gauges;
use multi_eni_controller::leader_election::elector::Times;
use multi_eni_controller::run::{Components, Election, run};
use multi_eni_otlp::SpanQueue;
use multi_eni_plan::settings::Settings;
use multi_eni_sim::clock::SimClock;
use multi_eni_sim::ec2::Ec2;
use multi_eni_sim::kube::{ApiServer, FaultDecision, GroupResource};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower::Layer;

/// The time that the API server takes to answer.
const KUBE_LATENCY: Duration = Duration::from_millis(5);

/// The name of the NodeENI whose subnet does not exist.
pub const IMPOSSIBLE: &str = "impossible";

/// A simulated world. Call its methods only inside a runtime whose time is paused.
pub struct World {
    /// EC2, with its default buckets, 40 to 120 ms for a call, 1 to 4 s for an attach or detach.
    pub ec2: Ec2,
    /// The API server.
    pub api: ApiServer,
    /// The record of what happens.
    pub observer: Observer,
    /// The metrics of the controller.
    pub gauges: Arc<Gauges>,
    /// The simulated clock.
    pub clock: SimClock,
    /// Takes the spans of the controllers that are started from now on.
    pub spans: Option<SpanQueue>,
    share: f64,
    elects: bool,
    stop: Arc<Notify>,
    controller: JoinHandle<()>,
}

/// The resource of Nodes.
pub fn nodes() -> GroupResource {
    GroupResource::new("", "nodes")
}

/// The resource of NodeENIs.
pub fn nodeenis() -> GroupResource {
    GroupResource::new(GROUP, "nodeenis")
}

impl World {
    /// Creates a world with this many nodes and a controller that has nothing left to do. `share` is the share of EC2's refill
    /// rates.
    ///
    /// # Errors
    /// If a simulator refuses something; the message says what.
    pub async fn open(count: u32, share: f64) -> Result<Self, String> {
        Self::open_as(count, share, false).await
    }

    /// Creates such a world whose controller takes part in the leader election, with the product's times.
    ///
    /// # Errors
    /// If a simulator refuses something; the message says what.
    pub async fn open_with_election(count: u32, share: f64) -> Result<Self, String> {
        Self::open_as(count, share, true).await
    }

    async fn open_as(count: u32, share: f64, elects: bool) -> Result<Self, String> {
        let clock = observer::clock();
        let ec2 = region::open(clock)?;
        let api = ApiServer::new(clock);
        api.show_managed_fields(false);
        let crds = multi_eni_api::crds::yaml().map_err(|error| error.to_string())?;
        api.install_crds(&crds).map_err(|error| format!("the CRDs are refused: {error}"))?;
        api.intercept(Box::new(|info| match info.verb.as_str() {
            "watch" => FaultDecision::Pass,
            _ => FaultDecision::DelayAnswer(KUBE_LATENCY),
        }));
        let observer = Observer::open(&ec2, &api, clock);
        let stop = Arc::new(Notify::new());
        let parts = parts((&ec2, REGION), &api, clock, (share, elects));
        let gauges = parts.gauges.clone();
        let controller = start(parts, stop.clone());
        let world = Self { ec2, api, observer, gauges, clock, spans: None, share, elects, stop, controller };
        for n in 1..=count {
            world.join(n)?;
        }
        world.pass(10).await;
        Ok(world)
    }

    /// Adds a node in pool `a`, on an instance of its own.
    ///
    /// # Errors
    /// If a simulator refuses it.
    pub fn join(&self, n: u32) -> Result<(), String> {
        self.join_pool(n, "a")
    }

    /// Adds a node in this pool, on an instance of its own.
    ///
    /// # Errors
    /// If a simulator refuses it.
    pub fn join_pool(&self, n: u32, pool: &str) -> Result<(), String> {
        region::run_instance(&self.ec2, n)?;
        let object = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": node(n), "labels": {
                "topology.kubernetes.io/zone": ZONE,
                "node.kubernetes.io/instance-type": TYPE,
                "kubernetes.io/hostname": node(n),
                "pool": pool,
            } },
            "spec": { "providerID": format!("aws:///{ZONE}/{}", instance(n)) },
        });
        self.api.create(&nodes(), "", object).map(drop).map_err(|error| error.to_string())
    }

    /// Adds a node in pool `a` whose instance is of the type `real`, and whose label names the type `labelled`.
    ///
    /// # Errors
    /// If a simulator refuses it.
    pub fn join_labelled(&self, n: u32, real: &str, labelled: &str) -> Result<(), String> {
        self.ec2.run_instance(&instance(n), real, region::NODES_SUBNET).map_err(|error| error.to_string())?;
        let object = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": node(n), "labels": {
                "topology.kubernetes.io/zone": ZONE,
                "node.kubernetes.io/instance-type": labelled,
                "pool": "a",
            } },
            "spec": { "providerID": format!("aws:///{ZONE}/{}", instance(n)) },
        });
        self.api.create(&nodes(), "", object).map(drop).map_err(|error| error.to_string())
    }

    /// Terminates an instance and deletes its node.
    ///
    /// # Errors
    /// If the instance or the node does not exist.
    pub fn terminate(&self, n: u32) -> Result<(), String> {
        self.ec2.terminate_instance(&instance(n)).map_err(|error| error.to_string())?;
        self.api.delete(&nodes(), "", &node(n)).map_err(|error| error.to_string())
    }

    /// Creates a NodeENI for all nodes of pool `a`, with one ENI each at device index `n`.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub fn apply(&self, n: u32) -> Result<(), String> {
        self.apply_to(n, "a")
    }

    /// Creates such a NodeENI for the nodes of this pool.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub fn apply_to(&self, n: u32, pool: &str) -> Result<(), String> {
        self.create_nodeeni(&format!("pool-{n}"), pool, &subnet(n), n)
    }

    /// Creates a NodeENI for the nodes of pool `a`, whose subnet does not exist.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub fn apply_impossible(&self) -> Result<(), String> {
        self.create_nodeeni(IMPOSSIBLE, "a", "subnet-0dead000000000000", 9)
    }

    /// Creates or replaces the NodeENI `pool-1` for the nodes of pool `a`, with the fields of this spec.
    ///
    /// # Errors
    /// If the API server refuses it.
    pub fn apply_spec(&self, spec: serde_json::Value) -> Result<(), String> {
        let mut whole = json!({ "nodeSelector": { "pool": "a" }, "deviceIndex": 1, "deleteOnTermination": true });
        if let (Some(whole), serde_json::Value::Object(spec)) = (whole.as_object_mut(), spec) {
            whole.extend(spec);
        }
        let object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "NodeENI", "metadata": { "name": "pool-1" }, "spec": whole,
        });
        match self.api.get(&nodeenis(), "", "pool-1") {
            Some(mut known) => {
                known["spec"] = object["spec"].clone();
                self.api.replace(&nodeenis(), "", known).map(drop).map_err(|error| error.to_string())
            }
            None => self.api.create(&nodeenis(), "", object).map(drop).map_err(|error| error.to_string()),
        }
    }

    fn create_nodeeni(&self, name: &str, pool: &str, subnet: &str, index: u32) -> Result<(), String> {
        let object = json!({
            "apiVersion": format!("{GROUP}/{VERSION}"), "kind": "NodeENI", "metadata": { "name": name },
            "spec": {
                "nodeSelector": { "pool": pool }, "subnetID": subnet, "deviceIndex": index, "deleteOnTermination": true,
            },
        });
        self.api.create(&nodeenis(), "", object).map(drop).map_err(|error| error.to_string())
    }

    /// Lets virtual time pass.
    pub async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        self.ec2.catch_up();
    }

    /// Waits until exactly this many ENIAttachments exist and are Ready, and EC2 has not changed for 5 s.
    ///
    /// # Errors
    /// If that takes longer than a virtual day.
    pub async fn until_ready(&self, count: u32) -> Result<(), String> {
        for _ in 0..86_400 {
            self.pass(1).await;
            let (there, ready, moved) = {
                let observations = self.observer.observations();
                (observations.there, observations.are_ready, observations.moved)
            };
            if (there, ready) == (i64::from(count), i64::from(count)) && self.observer.now() > moved + 5.0 {
                return Ok(());
            }
        }
        let observations = self.observer.observations();
        Err(format!(
            "after a day {} of {count} ENIAttachments are Ready, and {} exist",
            observations.are_ready, observations.there
        ))
    }

    /// When the first ENI of a node was Ready, in seconds since the observations began.
    ///
    /// # Errors
    /// If the node has no ENI that is Ready.
    pub fn ready_on(&self, n: u32) -> Result<f64, String> {
        let (instance, observations) = (format!("-{}-", instance(n)), self.observer.observations());
        let found = observations.ready.iter().find(|(name, _)| name.contains(&instance));
        found.map(|(_, at)| *at).ok_or_else(|| format!("{} has no ENI that is Ready", node(n)))
    }

    /// Stops the controller and starts a new one, which knows nothing.
    pub async fn restart(&mut self) {
        let home = self.ec2.clone();
        self.restart_in(&home, REGION).await;
    }

    /// Stops the controller and starts a new one that calls this EC2 in this Region.
    pub async fn restart_in(&mut self, ec2: &Ec2, region: &str) {
        self.stop.notify_one();
        let parts = parts((ec2, region), &self.api, self.clock, (self.share, self.elects));
        let parts = Components { spans: self.spans.clone(), ..parts };
        self.gauges = parts.gauges.clone();
        // If the controller panicked, its message is in the output already.
        let _ = std::mem::replace(&mut self.controller, tokio::spawn(async {})).await;
        self.controller = start(parts, self.stop.clone());
    }

    /// Stops the controller.
    pub async fn close(self) {
        self.stop.notify_one();
        // If the controller panicked, its message is in the output already.
        let _ = self.controller.await;
    }
}

fn start(parts: Components, stop: Arc<Notify>) -> JoinHandle<()> {
    tokio::spawn(async move { run(parts, async move { stop.notified().await }).await })
}

fn node(n: u32) -> String {
    format!("n{n}")
}

/// The dependencies as `multi-eni controller` builds them. Benchmarks are without an election, whose writes would be counted.
fn parts((ec2, region): (&Ec2, &str), api: &ApiServer, clock: SimClock, (share, elects): (f64, bool)) -> Components {
    let wall: multi_eni_controller::clock::Wall = Arc::new(move || clock.now());
    let began = tokio::time::Instant::now();
    let steady: multi_eni_controller::clock::Steady = Arc::new(move || began.elapsed());
    let fence = Components::fence(elects, steady);
    let options = multi_eni_ec2::Options { budget_share: share, ..multi_eni_ec2::Options::default() };
    let timeout = options.call_timeout;
    Components {
        kube: Client::new(api.service(), "default"),
        fenced: Client::new(Components::fence_layer(&fence).layer(api.service()), "default"),
        fence,
        aws: multi_eni_ec2::client_over(ec2.http_client(), wall.clone(), region, "http://ec2.simulated", timeout),
        ec2_options: options,
        cluster_name: Some("bench".to_owned()),
        election: elects.then(|| Election { namespace: "kube-system".to_owned(), times: Times::default() }),
        identity: "bench".to_owned(),
        settings: Settings::default(),
        wall,
        gauges: Arc::new(Gauges::default()),
        spans: None,
    }
}
