//! Which program manages a link: the files of systemd-networkd, NetworkManager and amazon-ec2-net-utils under `--run-dir`. The
//! directory is mounted read-only, and the agent never creates a part of it. On a node without such a program kubelet makes an empty
//! directory for the mount, so a directory says nothing: only a file of the link does.

use crate::node::{Link, Manager};
use std::fs;
use std::path::Path;

/// The program that manages the link, if one does.
pub fn manager(run_dir: &Path, link: &Link) -> Option<Manager> {
    networkd(run_dir, link).or_else(|| network_manager(run_dir, link))
}

fn networkd(run_dir: &Path, link: &Link) -> Option<Manager> {
    let state = fs::read_to_string(run_dir.join("systemd/netif/links").join(link.index.to_string())).ok()?;
    let value = |key: &str| state.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    let admin = value("ADMIN_STATE=")?;
    if admin == "unmanaged" {
        return None;
    }
    // amazon-ec2-net-utils leaves its files when an ENI goes. They count only while networkd uses them.
    let drop_ins = run_dir.join("systemd/network").join(format!("70-{}.network.d", link.name));
    let has_drop_in = fs::read_dir(&drop_ins)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("ec2net_"));
    if has_drop_in {
        return Some(Manager::Ec2NetUtils { directory: drop_ins.display().to_string() });
    }
    Some(Manager::Networkd { file: value("NETWORK_FILE=") })
}

fn network_manager(run_dir: &Path, link: &Link) -> Option<Manager> {
    let state = fs::read_to_string(run_dir.join("NetworkManager/devices").join(link.index.to_string())).ok()?;
    state.lines().any(|line| line.trim() == "managed=true").then_some(Manager::NetworkManager)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, files: &[(&str, &str)]) -> Option<Manager> {
        let root = std::env::temp_dir().join(format!("multi-eni-run-{}-{name}", std::process::id()));
        for (path, text) in files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let link = Link { index: 3, name: "ens6".to_owned(), ..Link::default() };
        let found = manager(&root, &link);
        let _ = fs::remove_dir_all(&root);
        found
    }

    #[test]
    fn a_link_that_networkd_has_is_networkds_and_the_file_is_named() {
        let state = "# This is private data. Do not parse.\nADMIN_STATE=configured\nNETWORK_FILE=/run/systemd/network/70-eks-ens6.network\n";
        assert_eq!(
            with("networkd", &[("systemd/netif/links/3", state)]),
            Some(Manager::Networkd { file: Some("/run/systemd/network/70-eks-ens6.network".to_owned()) })
        );
    }

    #[test]
    fn a_link_that_networkd_leaves_alone_is_nobodys() {
        assert_eq!(with("unmanaged", &[("systemd/netif/links/3", "ADMIN_STATE=unmanaged\n")]), None);
        assert_eq!(with("other", &[("systemd/netif/links/4", "ADMIN_STATE=configured\n")]), None);
        assert_eq!(with("none", &[]), None);
    }

    #[test]
    fn the_empty_directories_that_kubelet_makes_for_the_mounts_say_nothing() {
        // A file of another link makes each directory.
        let links = ("systemd/netif/links/4", "");
        let files = ("systemd/network/70-ens7.network.d/ec2net_policy_4.conf", "");
        let devices = ("NetworkManager/devices/4", "");
        assert_eq!(with("empty", &[links, files, devices]), None);
    }

    #[test]
    fn net_utils_counts_only_while_networkd_uses_its_files() {
        let drop_in = ("systemd/network/70-ens6.network.d/ec2net_policy_4.conf", "");
        assert_eq!(with("stale", &[drop_in]), None);
        let found = with("net-utils", &[drop_in, ("systemd/netif/links/3", "ADMIN_STATE=configured\n")]);
        assert!(matches!(found, Some(Manager::Ec2NetUtils { .. })), "{found:?}");
    }

    #[test]
    fn a_link_of_network_manager_is_its_own() {
        assert_eq!(
            with("nm", &[("NetworkManager/devices/3", "[device]\nmanaged=true\n")]),
            Some(Manager::NetworkManager)
        );
        assert_eq!(with("nm-not", &[("NetworkManager/devices/3", "[device]\nmanaged=false\n")]), None);
    }
}
