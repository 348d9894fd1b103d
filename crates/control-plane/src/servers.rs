//! Starts etcd and kube-apiserver as processes and waits until they are ready.

use super::audit;
use super::commands::kubectl;
use super::files::{ADMIN_TOKEN, write_kubeconfig};
use super::process::Process;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Alone it is ready in about 4 s; tests beside this one may slow it down.
pub(super) const READY_WITHIN: Duration = Duration::from_secs(90);

const ISSUER: &str = "https://kubernetes.default.svc";

/// The admission plugins that differ from kube-apiserver's defaults, as its flags take them.
#[derive(Debug, Clone)]
pub(super) struct AdmissionPlugins {
    pub(super) without: String,
    pub(super) with: String,
}

/// Starts etcd on sockets in `dir`, which cannot collide with the ports of another test.
pub(super) fn start_etcd(binaries: &Path, dir: &Path) -> Result<Process, String> {
    let mut etcd = Process::start("etcd", &binaries.join("etcd"), &dir.join("etcd.log"), |command| {
        command.current_dir(dir).args([
            "--data-dir=etcd",
            "--unsafe-no-fsync",
            "--log-level=warn",
            &format!("--listen-client-urls={}", etcd_url(dir)),
            // For other members, of which there are none. etcd refuses a socket here.
            "--advertise-client-urls=http://localhost:2379",
            &format!("--listen-peer-urls=unix://{}/peer.sock", dir.display()),
        ]);
    })?;
    etcd.wait_until(READY_WITHIN, || UnixStream::connect(dir.join("etcd.sock")).is_ok())?;
    Ok(etcd)
}

fn etcd_url(dir: &Path) -> String {
    format!("unix://{}/etcd.sock", dir.display())
}

/// Starts kube-apiserver at `address` and waits until it has its namespaces. It writes the kubeconfig of the admin.
pub(super) fn start_apiserver(
    binaries: &Path,
    dir: &Path,
    address: SocketAddr,
    plugins: &AdmissionPlugins,
) -> Result<Process, String> {
    let log = dir.join("kube-apiserver.log");
    let mut apiserver = Process::start("kube-apiserver", &binaries.join("kube-apiserver"), &log, |command| {
        command.current_dir(dir).args([
            &format!("--etcd-servers={}", etcd_url(dir)),
            "--bind-address=127.0.0.1",
            &format!("--secure-port={}", address.port()),
            // The directory of kube-apiserver's self-signed certificate.
            "--cert-dir=certs",
            "--authorization-mode=RBAC",
            "--token-auth-file=tokens.csv",
            &format!("--service-account-issuer={ISSUER}"),
            "--service-account-signing-key-file=service-accounts.key",
            "--service-account-key-file=service-accounts.pub",
            &format!("--disable-admission-plugins={}", plugins.without),
            &format!("--enable-admission-plugins={}", plugins.with),
            "--service-cluster-ip-range=10.0.0.0/24",
            // The Service `kubernetes` is not used, and loopback is refused as its endpoint.
            "--endpoint-reconciler-type=none",
            "--profiling=false",
        ]);
        command.args(audit::FLAGS);
    })?;
    let kubeconfig = dir.join("admin.kubeconfig");
    write_kubeconfig(&kubeconfig, dir, address, ADMIN_TOKEN, "default")?;
    let answers = |args: &[&str]| kubectl(binaries, dir, &kubeconfig, args, "").is_ok_and(|output| output.ok);
    apiserver.wait_until(READY_WITHIN, || {
        // A connect is cheap; kubectl costs a tenth of a second of CPU.
        TcpStream::connect(address).is_ok() && answers(&["get", "--raw", "/readyz"])
    })?;
    // These namespaces are created a little after /readyz. The UID of kube-system is the identity of the cluster.
    apiserver.wait_until(READY_WITHIN, || answers(&["get", "namespace", "default", "kube-system"]))?;
    Ok(apiserver)
}
