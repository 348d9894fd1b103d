//! The environment of a story: a control plane with the chart installed, an AWS account, and replicas of the controller with
//! exactly the rights of the chart's ServiceAccount.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::account::{Account, NODE_SUBNET, VPC, ZONE};
use super::iam::Iam;
use super::{ControlPlane, ControllerProcess, Failure};

/// Timeout of a step, unless the story has its own.
pub const SOON: Duration = Duration::from_secs(30);
pub(super) const NAMESPACE: &str = "multi-eni";

#[derive(Debug)]
pub struct Environment {
    // Dropped in this order: the controllers before the servers that they use.
    pub replicas: Vec<ControllerProcess>,
    pub account: Account,
    pub plane: ControlPlane,
    pub iam: Iam,
    kubeconfig: PathBuf,
    started: usize,
}

impl Environment {
    /// Installs the chart. No controller runs yet.
    pub fn start() -> Result<Self, Failure> {
        Self::start_on(ControlPlane::start()?)
    }

    /// The same on this control plane.
    pub fn start_on(plane: ControlPlane) -> Result<Self, Failure> {
        let rendered = plane.helm_template("multi-eni", NAMESPACE, &["--set", "aws.region=eu-central-1"])?;
        plane.kubectl(&["create", "namespace", NAMESPACE])?.success()?;
        plane.apply(&rendered)?.success()?;
        plane.kubectl(&["wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"])?.success()?;
        let kubeconfig = plane.kubeconfig_for_service_account(NAMESPACE, "multi-eni")?;
        let account = Account::open()?;
        let uid = ["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"];
        let iam = Iam::of_cluster(&account.ec2, plane.kubectl(&uid)?.success()?.trim(), VPC)?;
        Ok(Self { replicas: Vec::new(), account, plane, iam, kubeconfig, started: 0 })
    }

    /// Installs the chart and starts one replica, which is ready.
    pub fn with_a_controller() -> Result<Self, Failure> {
        let mut environment = Self::start()?;
        environment.start_replica(&[])?;
        Ok(environment)
    }

    /// Starts one more replica and waits until it is ready. Returns its index in [`Self::replicas`]. Grace periods are short
    /// unless `env` has others.
    pub fn start_replica(&mut self, env: &[(&str, &str)]) -> Result<usize, Failure> {
        self.started += 1;
        let replica = self.start_pod(&format!("multi-eni-{}", self.started), env)?;
        self.replicas.push(replica);
        Ok(self.replicas.len() - 1)
    }

    /// Kills the only replica and starts a new process in the same pod, as the kubelet does. Waits until it is ready.
    pub fn crash(&mut self) -> Result<(), Failure> {
        let name = format!("multi-eni-{}", self.started);
        for mut replica in self.replicas.drain(..) {
            replica.kill9();
        }
        let replica = self.start_pod(&name, &[])?;
        self.replicas.push(replica);
        Ok(())
    }

    fn start_pod(&self, name: &str, env: &[(&str, &str)]) -> Result<ControllerProcess, Failure> {
        let fixed = [
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ENDPOINT_URL", self.account.endpoint.as_str()),
            ("MULTI_ENI_LABEL_GRACE", "1s"),
            ("MULTI_ENI_NODE_GONE_GRACE", "2s"),
        ];
        let env = [&fixed, env].concat();
        let mut replica = ControllerProcess::start(name, NAMESPACE, self.plane.dir(), &self.kubeconfig, &env)?;
        replica.wait_ready(SOON)?;
        Ok(replica)
    }

    /// Starts an instance in the account and registers its Node.
    pub fn node(&self, name: &str, instance: &str) -> Result<(), Failure> {
        self.account.ec2.run_instance(instance, "m5.xlarge", NODE_SUBNET).map_err(|e| e.to_string())?;
        self.register(name, instance, json!({}))
    }

    /// Registers a Node as the kubelet and the cloud provider do.
    pub fn register(&self, name: &str, instance: &str, more_labels: Value) -> Result<(), Failure> {
        let mut labels = json!({
            "kubernetes.io/hostname": name,
            "node.kubernetes.io/instance-type": "m5.xlarge",
            "topology.kubernetes.io/zone": ZONE,
            "topology.kubernetes.io/region": "eu-central-1",
        });
        for (key, value) in more_labels.as_object().into_iter().flatten() {
            labels[key] = value.clone();
        }
        let node = json!({
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": { "name": name, "labels": labels },
            "spec": { "providerID": format!("aws:///{ZONE}/{instance}") },
        });
        self.plane.apply(&node.to_string())?.success()?;
        Ok(())
    }

    /// Runs kubectl as admin. Returns its output, or why it failed.
    pub fn kubectl(&self, args: &[&str]) -> Result<String, Failure> {
        Ok(self.plane.kubectl(args)?.success()?)
    }

    /// Runs a command line of the documentation in a shell, as admin.
    pub fn shell(&self, line: &str) -> Result<String, Failure> {
        Ok(self.plane.shell(line)?.success()?)
    }

    /// Runs `kubectl apply -f -` as admin.
    pub fn apply(&self, manifests: &str) -> Result<(), Failure> {
        self.plane.apply(manifests)?.success()?;
        Ok(())
    }

    /// An object, or a list of objects, by `kubectl get`.
    pub fn get(&self, args: &[&str]) -> Result<Value, Failure> {
        let text = self.kubectl(&[&["get", "-o", "json"], args].concat())?;
        Ok(serde_json::from_str(&text).map_err(|e| format!("kubectl get {args:?}: {e}: {text}"))?)
    }

    /// The names of all objects of a kind.
    pub fn names(&self, kind: &str) -> Result<Vec<String>, Failure> {
        Ok(self.kubectl(&["get", kind, "-o", "name"])?.lines().map(ToOwned::to_owned).collect())
    }

    /// Calls `check` until it succeeds. After the timeout its last error is the reason of the failure.
    pub fn until<T>(
        &self,
        what: &str,
        within: Duration,
        mut check: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let begun = Instant::now();
        loop {
            match check() {
                Ok(found) => return Ok(found),
                Err(last) if begun.elapsed() > within => {
                    return Err(self.failed(&format!("not within {within:?}: {what}\nlast seen: {last:?}")));
                }
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    /// Waits until the condition of a NodeENI has this status. Returns its reason and message.
    pub fn condition(
        &self,
        nodeeni: &str,
        kind: &str,
        status: &str,
        within: Duration,
    ) -> Result<(String, String), Failure> {
        self.until(&format!("NodeENI {nodeeni} {kind}={status}"), within, || {
            let object = self.get(&["nodeeni", nodeeni])?;
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            match conditions.iter().find(|c| c["type"] == kind && c["status"] == status) {
                Some(found) if object["status"]["observedGeneration"] == object["metadata"]["generation"] => {
                    Ok((text(&found["reason"]), text(&found["message"])))
                }
                _ => Err(format!("{:#}", object["status"]).into()),
            }
        })
    }

    /// Waits until our ENIs are attached at exactly these device indexes of an instance.
    pub fn attached(&self, instance: &str, indexes: &[u32], within: Duration) -> Result<(), Failure> {
        self.until(&format!("ENIs of ours on {instance} at {indexes:?} and nowhere else"), within, || {
            let there = self.account.ours_on(instance);
            let done =
                there.values().all(|eni| eni.attachment.as_ref().is_some_and(|at| at.status.as_str() == "attached"));
            let found: Vec<u32> = there.keys().copied().collect();
            if done && found == indexes { Ok(()) } else { Err(format!("{there:#?}").into()) }
        })
    }

    /// Waits until the account has no ENI of ours and the cluster has no ENIAttachment.
    pub fn clean(&self, within: Duration) -> Result<(), Failure> {
        self.until("EC2 clean and no ENIAttachment left", within, || {
            let (enis, objects) = (self.account.ours(), self.names("eniattachments")?);
            if enis.is_empty() && objects.is_empty() { Ok(()) } else { Err(format!("{enis:#?}\n{objects:?}").into()) }
        })
    }

    /// Asserts that the controller is idle: for three seconds it makes no EC2 mutation and no write to the API server except the
    /// Lease's.
    pub fn idle(&self) -> Result<(), Failure> {
        // A status is written at most once a second, so the last write may be late, and so may deleteOnTermination.
        self.until("two seconds without a write", SOON, || {
            let before = self.writes()?;
            thread::sleep(Duration::from_secs(2));
            let after = self.writes()?;
            if before == after { Ok(()) } else { Err(format!("{before:#?}\n{after:#?}").into()) }
        })?;
        let (before, calls) = (self.writes()?, self.account.ec2.calls().len());
        thread::sleep(Duration::from_secs(3));
        let after = self.writes()?;
        let made: Vec<String> = self.account.ec2.calls().into_iter().skip(calls).map(|call| call.action).collect();
        // The periodic resync may fall into these seconds.
        if before != after || made.len() > 2 {
            return Err(self.failed(&format!("not idle:\n{before:#?}\n{after:#?}\nEC2 calls: {made:?}")));
        }
        Ok(())
    }

    /// Mutations so far: those of EC2, and the API server's count of writes to each resource except Leases.
    fn writes(&self) -> Result<Vec<String>, Failure> {
        let metrics = self.kubectl(&["get", "--raw", "/metrics"])?;
        let writes = metrics.lines().filter(|line| {
            line.starts_with("apiserver_request_total{")
                && ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"]
                    .iter()
                    .any(|verb| line.contains(&format!("verb=\"{verb}\"")))
                && !line.contains("resource=\"leases\"")
        });
        let mut writes: Vec<String> = writes.map(ToOwned::to_owned).collect();
        writes.push(format!("EC2: {:?}", self.account.call_counts()));
        Ok(writes)
    }

    /// The API server's count of requests that have written to a resource so far.
    pub fn writes_to(&self, resource: &str) -> Result<u64, Failure> {
        let expected = format!("resource=\"{resource}\"");
        let lines = self.writes()?.into_iter().filter(|line| line.contains(&expected));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum())
    }

    /// A failure with the logs and objects that help to understand it.
    pub fn failed(&self, what: &str) -> Failure {
        let mut report = format!("{what}\n{}", self.account.tail());
        for replica in &self.replicas {
            let _ = write!(report, "{}", replica.tail());
        }
        let objects = self.plane.kubectl(&["get", "nodeenis,eniattachments", "-o", "wide"]);
        let _ = write!(report, "--- objects:\n{}", objects.map_or_else(|e| e, |out| out.stdout + &out.stderr));
        report.into()
    }

    /// Asserts equality. If it does not hold, reports the logs and objects.
    #[track_caller]
    pub fn assert_eq<T: PartialEq + std::fmt::Debug>(&self, what: &str, found: T, expected: T) {
        assert!(found == expected, "{:?}", self.failed(&format!("{what}:\n found {found:#?}\nexpected {expected:#?}")));
    }

    /// Ends a story that passed.
    pub fn passed(self) {
        self.assert_rights();
        let Self { replicas, account, plane, .. } = self;
        drop(replicas);
        drop(account);
        plane.passed();
    }
}
