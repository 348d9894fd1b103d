//! The files of one test: its directory, its secrets and its kubeconfigs.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use pem::Pem;
use serde_json::json;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::id;
use std::sync::atomic::{AtomicU32, Ordering};

/// The token of the admin.
pub(super) const ADMIN_TOKEN: &str = "admin-token-of-a-test";

/// A new directory for one test.
pub(super) fn new_dir() -> Result<PathBuf, String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("multi-eni-real-{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let dir = std::env::temp_dir().join(name);
    // An earlier process with the same pid may have left this directory.
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(dir)
}

/// Copies a directory with all that is in it.
pub(super) fn copy_dir(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |e| format!("{} to {}: {e}", from.display(), to.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let target = to.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).map_err(failed)?;
        }
    }
    Ok(())
}

fn write(path: &Path, content: &str) -> Result<(), String> {
    fs::write(path, content).map_err(|e| format!("{}: {e}", path.display()))
}

/// Writes the token of the admin, and the keys for tokens of ServiceAccounts. kube-apiserver makes its serving certificate
/// itself.
pub(super) fn write_secrets(dir: &Path) -> Result<(), String> {
    let failed = |e| format!("service-account key: {e}");
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
    let private = Pem::new("PRIVATE KEY", key.to_pkcs8v1().map_err(failed)?.as_ref());
    let public = Pem::new("PUBLIC KEY", key.public_key().as_der().map_err(failed)?.as_ref());
    write(&dir.join("service-accounts.key"), &pem::encode(&private))?;
    write(&dir.join("service-accounts.pub"), &pem::encode(&public))?;
    write(&dir.join("tokens.csv"), &format!("{ADMIN_TOKEN},admin,1,system:masters\n"))
}

/// Writes a kubeconfig as JSON, which is YAML, too.
pub(super) fn write_kubeconfig(
    path: &Path,
    dir: &Path,
    address: SocketAddr,
    token: &str,
    namespace: &str,
) -> Result<(), String> {
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test", "namespace": namespace } }],
        "clusters": [{ "name": "test", "cluster": {
            "server": format!("https://{address}"),
            "certificate-authority": dir.join("certs/apiserver.crt"),
        } }],
        "users": [{ "name": "test", "user": { "token": token } }],
    });
    write(path, &config.to_string())
}
