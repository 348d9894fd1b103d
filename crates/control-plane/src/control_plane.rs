//! The control plane of one test: etcd and kube-apiserver as processes, and kubectl and helm as its clients. It never touches
//! another cluster: all kubeconfigs are its own.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::audit::{self, ApiRequest};
use super::binaries;
use super::commands::{Output, kubectl, run};
use super::files::{copy_dir, new_dir, write_kubeconfig, write_secrets};
use super::process::Process;
use super::servers::{AdmissionPlugins, READY_WITHIN, start_apiserver, start_etcd};

/// A new API server without objects. Its processes end when it is dropped.
///
/// A test ends with [`ControlPlane::passed`]. Without that call a drop counts as a failure: it prints the ends of the logs and
/// keeps the directory.
#[derive(Debug)]
pub struct ControlPlane {
    // Dropped in this order: the API server before etcd.
    apiserver: Process,
    etcd: Process,
    binaries: PathBuf,
    dir: PathBuf,
    address: SocketAddr,
    plugins: AdmissionPlugins,
    passed: bool,
}

impl ControlPlane {
    /// Starts etcd and kube-apiserver and waits until the API server is ready.
    pub fn start() -> Result<Self, String> {
        Self::start_without(&[])
    }

    /// The same without these admission plugins.
    pub fn start_without(plugins: &[&str]) -> Result<Self, String> {
        Self::start_with_plugins(plugins, &[])
    }

    /// The same with these admission plugins, which are off by default.
    pub fn start_with(plugins: &[&str]) -> Result<Self, String> {
        Self::start_with_plugins(&[], plugins)
    }

    fn start_with_plugins(without: &[&str], with: &[&str]) -> Result<Self, String> {
        // This plugin makes Pods wait for a ServiceAccount, which only the controller-manager would create.
        let without = [&["ServiceAccount"], without].concat().join(",");
        let plugins = AdmissionPlugins { without, with: with.join(",") };
        let binaries = binaries::control_plane()?;
        let dir = new_dir()?;
        write_secrets(&dir)?;
        audit::write_policy(&dir)?;
        let etcd = start_etcd(&binaries, &dir)?;
        // The port is free at this moment, but a test beside this one may take it first.
        let mut tries = 3;
        let (apiserver, address) = loop {
            let address = free_address()?;
            match start_apiserver(&binaries, &dir, address, &plugins) {
                Ok(apiserver) => break (apiserver, address),
                Err(reason) if tries > 1 && reason.contains("address already in use") => tries -= 1,
                Err(reason) => return Err(format!("{reason}{}", etcd.tail())),
            }
        };
        Ok(Self { apiserver, etcd, binaries, dir, address, plugins, passed: false })
    }

    /// Marks the test as passed: its directory and logs are removed.
    pub fn passed(mut self) {
        self.passed = true;
    }

    /// The directory of this test, with its logs and kubeconfigs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The kubeconfig of a user in `system:masters`.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// Runs kubectl as admin.
    pub fn kubectl(&self, args: &[&str]) -> Result<Output, String> {
        self.kubectl_as(&self.admin_kubeconfig(), args, "")
    }

    /// Runs a command line of the documentation as admin, in a shell that finds this test's kubectl.
    pub fn shell(&self, line: &str) -> Result<Output, String> {
        let mut command = Command::new("sh");
        let path = format!("{}:/usr/bin:/bin", self.binaries.display());
        command.args(["-ec", line]).env("PATH", path).env("KUBECONFIG", self.admin_kubeconfig());
        command.env("KUBECACHEDIR", self.dir.join("kubectl-cache")).env("KUBERC", "off");
        run(command, "")
    }

    /// Runs `kubectl apply -f -` as admin.
    pub fn apply(&self, manifests: &str) -> Result<Output, String> {
        self.kubectl_as(&self.admin_kubeconfig(), &["apply", "-f", "-"], manifests)
    }

    /// Runs kubectl as the user of `kubeconfig`, with `stdin`.
    pub fn kubectl_as(&self, kubeconfig: &Path, args: &[&str], stdin: &str) -> Result<Output, String> {
        kubectl(&self.binaries, &self.dir, kubeconfig, args, stdin)
    }

    /// A kubeconfig with a token of this ServiceAccount (TokenRequest). RBAC limits it to the ServiceAccount's rights.
    pub fn kubeconfig_for_service_account(&self, namespace: &str, name: &str) -> Result<PathBuf, String> {
        let token =
            self.kubectl(&["create", "token", name, "--namespace", namespace, "--duration", "1h"])?.success()?;
        let path = self.dir.join(format!("{namespace}.{name}.kubeconfig"));
        write_kubeconfig(&path, &self.dir, self.address, token.trim(), namespace)?;
        Ok(path)
    }

    /// A token as the kubelet mounts it into a Pod: it is bound to the Pod, and it names the Pod's node.
    pub fn token_of_pod(&self, namespace: &str, service_account: &str, pod: &str) -> Result<String, String> {
        let pod = ["--bound-object-kind", "Pod", "--bound-object-name", pod];
        let args = ["create", "token", service_account, "--namespace", namespace, "--duration", "1h"];
        Ok(self.kubectl(&[&args[..], &pod[..]].concat())?.success()?.trim().to_owned())
    }

    /// A kubeconfig with this token, in a file of this name.
    pub fn kubeconfig_with_token(&self, name: &str, token: &str, namespace: &str) -> Result<PathBuf, String> {
        let path = self.dir.join(format!("{name}.kubeconfig"));
        write_kubeconfig(&path, &self.dir, self.address, token, namespace)?;
        Ok(path)
    }

    /// The address of the API server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the API server, which signs itself.
    pub fn certificate(&self) -> PathBuf {
        self.dir.join("certs/apiserver.crt")
    }

    /// Whether RBAC allows a request to the user of this kubeconfig; `attributes` are a SelfSubjectAccessReview's
    /// `resourceAttributes`. (`kubectl auth can-i` needs the CRD of the resource.)
    pub fn allowed(&self, kubeconfig: &Path, attributes: &serde_json::Value) -> Result<bool, String> {
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": attributes },
        });
        let args = ["create", "--validate=false", "-f", "-", "-o", "jsonpath={.status.allowed}"];
        Ok(self.kubectl_as(kubeconfig, &args, &review.to_string())?.success()? == "true")
    }

    /// The distinct requests of a ServiceAccount so far, by the API server's audit log. A watch counts from its start.
    pub fn requests_of(&self, namespace: &str, name: &str) -> Result<BTreeSet<ApiRequest>, String> {
        audit::requests_of(&self.dir, &format!("system:serviceaccount:{namespace}:{name}"))
    }

    /// Runs `helm template` of `charts/multi-eni`, CRDs included, with `args` such as `--set` and `--values`.
    pub fn helm_template(&self, release: &str, namespace: &str, args: &[&str]) -> Result<String, String> {
        let fixed = ["template", release, &chart(), "--namespace", namespace, "--include-crds"];
        self.helm(&[&fixed, args].concat())?.success()
    }

    /// Runs `helm install` of `charts/multi-eni` and returns the notes. It creates the namespace and waits for no Pod.
    pub fn helm_install(&self, release: &str, namespace: &str, args: &[&str]) -> Result<String, String> {
        let fixed = ["install", release, &chart(), "--namespace", namespace, "--create-namespace"];
        self.helm(&[&fixed, args].concat())?.success()
    }

    /// Runs helm as admin, without the helm settings of the developer.
    pub fn helm(&self, args: &[&str]) -> Result<Output, String> {
        let mut command = Command::new(binaries::helm()?);
        command.args(args).env("KUBECONFIG", self.admin_kubeconfig());
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(home, self.dir.join("helm"));
        }
        run(command, "")
    }

    /// Kills the API server and starts a new one at the same address with the same data: watches break, objects stay.
    pub fn restart_apiserver(&mut self) -> Result<(), String> {
        self.apiserver.kill();
        self.apiserver = start_apiserver(&self.binaries, &self.dir, self.address, &self.plugins)?;
        Ok(())
    }

    /// Copies etcd's data, as a backup does. The API server is down meanwhile.
    pub fn save_store(&mut self) -> Result<(), String> {
        self.without_store(|dir| copy_dir(&dir.join("etcd"), &dir.join("saved")))
    }

    /// Restores the copy: the API server has the objects of that time, and its revisions count on from there.
    pub fn restore_store(&mut self) -> Result<(), String> {
        self.without_store(|dir| {
            fs::remove_dir_all(dir.join("etcd")).map_err(|e| format!("etcd's data: {e}"))?;
            copy_dir(&dir.join("saved"), &dir.join("etcd"))
        })
    }

    /// Runs `work` while neither etcd nor the API server runs.
    fn without_store(&mut self, work: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), String> {
        self.apiserver.kill();
        self.etcd.terminate()?;
        self.etcd.wait_end(READY_WITHIN)?;
        work(&self.dir)?;
        // A socket that a former etcd left would look like a ready etcd.
        let _ = fs::remove_file(self.dir.join("etcd.sock"));
        self.etcd = start_etcd(&self.binaries, &self.dir)?;
        self.apiserver = start_apiserver(&self.binaries, &self.dir, self.address, &self.plugins)?;
        Ok(())
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.apiserver.kill();
        self.etcd.kill();
        if self.passed && !std::thread::panicking() {
            // A directory that cannot be removed is no reason to fail a test that passed.
            let _ = fs::remove_dir_all(&self.dir);
        } else {
            eprintln!("{}{}all logs: {}", self.apiserver.tail(), self.etcd.tail(), self.dir.display());
        }
    }
}

/// A free address on loopback.
pub fn free_address() -> Result<SocketAddr, String> {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|e| format!("no free port: {e}"))
}

/// The directory of the chart.
pub fn chart() -> String {
    binaries::repository().join("charts/multi-eni").display().to_string()
}
