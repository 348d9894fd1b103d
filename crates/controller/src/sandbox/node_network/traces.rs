//! What is on a node besides its primary interface: links of ENIs, and rules and routes of the agent.

use super::ip_command::ip;

/// The protocol number of the agent's rules and routes.
pub const PROTOCOL: &str = "217";

/// Each link of an ENI, rule and route in a namespace, as `ip` prints them.
pub fn traces(namespace: &str) -> Result<Vec<String>, String> {
    let mut found = links(&ip(&["-n", namespace, "-o", "link", "show", "type", "veth"])?);
    for family in ["-4", "-6"] {
        found.extend(of_agent(&ip(&[family, "-n", namespace, "rule", "list"])?));
        found.extend(of_agent(&ip(&[family, "-n", namespace, "route", "show", "table", "all"])?));
    }
    Ok(found)
}

/// The lines with the agent's protocol number.
fn of_agent(listed: &str) -> Vec<String> {
    let has_protocol = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.windows(2).any(|pair| pair == ["proto", PROTOCOL])
    };
    listed.lines().filter(has_protocol).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// The names of the links but the primary one, from a line each: "7: ens6@if8: <BROADCAST…".
fn links(listed: &str) -> Vec<String> {
    let names = listed.lines().filter_map(|line| line.split([':', '@']).nth(1)).map(str::trim);
    names.filter(|name| *name != "ens5").map(|name| format!("the link {name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_and_routes_of_the_agent_are_traces() {
        let listed = "0:\tfrom all lookup local\n32765:\tfrom 10.0.1.4 lookup 10001 proto 217\n\
                      default via 10.0.0.1 dev ens5 proto dhcp metric 512\n\
                      default via 10.0.1.1 dev ens6 table 10001 proto 217 onlink\n";
        let expected = [
            "32765: from 10.0.1.4 lookup 10001 proto 217",
            "default via 10.0.1.1 dev ens6 table 10001 proto 217 onlink",
        ];
        assert_eq!(of_agent(listed), expected);
    }

    #[test]
    fn the_primary_link_is_no_trace() {
        let listed = "2: ens5@if3: <BROADCAST,UP> mtu 1500\n7: ens6@if8: <BROADCAST> mtu 1500\n";
        assert_eq!(links(listed), ["the link ens6"]);
        assert_eq!(links(""), Vec::<String>::new());
    }
}
