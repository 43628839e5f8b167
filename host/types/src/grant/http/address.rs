//! Addresses: which of them are public, and the networks that a grant adds.
//!
//! A name that a tool may reach can have any address, and its owner can change it at any time. So every address is
//! checked, and everything that is not global unicast is denied unless a network of the grant contains it.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::fmt;
use std::sync::LazyLock;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// IPv4 that is not public: the special-purpose registry of IANA (RFC 6890), multicast, and the reserved block.
const NOT_PUBLIC_V4: [&str; 16] = [
    // "This network". Linux connects `0.0.0.0` to the machine itself.
    "0.0.0.0/8",
    // Private networks.
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    // Carrier-grade NAT, where some clouds keep their metadata.
    "100.64.0.0/10",
    // Loopback.
    "127.0.0.0/8",
    // Link-local, with the metadata service of most clouds.
    "169.254.0.0/16",
    // The host agent of a large cloud, although the address is a public one.
    "168.63.129.16/32",
    // Protocol assignments.
    "192.0.0.0/24",
    // Documentation.
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    // Relays of 6to4.
    "192.88.99.0/24",
    // Benchmarking.
    "198.18.0.0/15",
    // Multicast.
    "224.0.0.0/4",
    // Reserved, broadcast included.
    "240.0.0.0/4",
];

/// Global unicast of IPv6. Everything outside is denied, and with it loopback, link-local, unique local (fc00::/7),
/// multicast, and the forms that embed an IPv4 address: mapped, compatible, translated, NAT64 (64:ff9b::/96 and
/// 64:ff9b:1::/48).
const GLOBAL_V6: &str = "2000::/3";

/// What is not public within global unicast.
const NOT_PUBLIC_V6: [&str; 4] = [
    // Protocol assignments: Teredo, which embeds an IPv4 address, benchmarking, and others.
    "2001::/23",
    // Documentation.
    "2001:db8::/32",
    "3fff::/20",
    // 6to4, which embeds an IPv4 address.
    "2002::/16",
];

struct Ranges {
    not_public: Vec<IpNet>,
    global_v6: Vec<IpNet>,
    /// Global unicast of both families without what is not public in it.
    public: Vec<IpNet>,
}

static RANGES: LazyLock<Ranges> = LazyLock::new(|| {
    // A test parses each, so that none is left out here.
    let parse = |text: &&str| text.parse().ok();
    let not_public: Vec<IpNet> = NOT_PUBLIC_V4.iter().chain(&NOT_PUBLIC_V6).filter_map(parse).collect();
    let global_v6: Vec<IpNet> = [GLOBAL_V6].iter().filter_map(parse).collect();
    let all: Vec<IpNet> = ["0.0.0.0/0", GLOBAL_V6].iter().filter_map(parse).collect();
    Ranges { public: without(&all, &not_public), not_public, global_v6 }
});

/// Whether every host of the internet means the same by this address.
pub fn is_public(address: IpAddr) -> bool {
    let within = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
    (address.is_ipv4() || within(&RANGES.global_v6)) && !within(&RANGES.not_public)
}

/// Whether a host with this address may be reached under a grant of these networks.
pub fn is_allowed(address: IpAddr, granted: &[Network]) -> bool {
    is_public(address) || granted.iter().any(|network| network.0.contains(&address))
}

/// ∩: the networks that both lists add. Of two networks that share an address one contains the other.
pub(in crate::grant) fn shared(left: &[Network], right: &[Network]) -> Vec<Network> {
    let both = |one: &Network, other: &Network| {
        if other.0.contains(&one.0) { Some(*one) } else { one.0.contains(&other.0).then_some(*other) }
    };
    let pairs = left.iter().flat_map(|one| right.iter().filter_map(move |other| both(one, other)));
    let shared: Vec<IpNet> = pairs.map(|network| network.0).collect();
    IpNet::aggregate(&shared).into_iter().map(Network).collect()
}

/// Every address there is.
pub(in crate::grant) fn everywhere() -> Vec<Network> {
    ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok()).map(Network).collect()
}

/// Whether these networks together have each address of a family, so that none of it would be checked any more.
pub fn cover_a_family(networks: &[Network]) -> bool {
    let whole = |range: &Range| matches!(range, (false, 0, V4_LAST) | (true, 0, u128::MAX));
    ranges(networks.iter().map(|network| &network.0)).iter().any(whole)
}

/// ⊆: whether each address that these networks add is public or in one of the others.
pub(super) fn is_within(networks: &[Network], others: &[Network]) -> bool {
    let covered = ranges(others.iter().map(|network| &network.0).chain(&RANGES.public));
    let within = |(is_v6, first, last): &Range| {
        covered.iter().any(|(other, from, to)| is_v6 == other && from <= first && last <= to)
    };
    ranges(networks.iter().map(|network| &network.0)).iter().all(within)
}

/// Whether it is of IPv6, its first address and its last one.
type Range = (bool, u128, u128);

/// The last address of IPv4.
const V4_LAST: u128 = u32::MAX as u128;

/// Networks as ranges in order, of which no two touch.
fn ranges<'n>(networks: impl Iterator<Item = &'n IpNet>) -> Vec<Range> {
    let number = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => address.into(),
    };
    let range =
        |network: &IpNet| (network.addr().is_ipv6(), number(network.network()), number(network.broadcast()));
    let mut ranges: Vec<Range> = networks.map(range).collect();
    ranges.sort_unstable();
    let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
    for (is_v6, first, last) in ranges {
        match merged.last_mut() {
            Some((other, _, end)) if *other == is_v6 && first <= end.saturating_add(1) => {
                *end = last.max(*end)
            }
            Some(_) | None => merged.push((is_v6, first, last)),
        }
    }
    merged
}

/// The networks that lie in one of these and in none of the holes.
fn without(networks: &[IpNet], holes: &[IpNet]) -> Vec<IpNet> {
    let mut left = networks.to_vec();
    for hole in holes {
        left = left.iter().flat_map(|network| cut(network, hole)).collect();
    }
    left
}

/// A network without a hole: halves of it that do not have the hole, down to its length.
fn cut(network: &IpNet, hole: &IpNet) -> Vec<IpNet> {
    if hole.contains(network) {
        return Vec::new();
    }
    if !network.contains(hole) {
        return vec![*network];
    }
    let halves = network.subnets(network.prefix_len() + 1);
    halves.map_or_else(|_| vec![*network], |halves| halves.flat_map(|half| cut(&half, hole)).collect())
}

/// A network that a grant adds: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(IpNet);

/// Text that is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotANetwork {
    /// Not in the form of one.
    #[error(
        "`{0}` is not a network: write an address and the length of its prefix, such as `10.0.0.0/8` or `::1/128`"
    )]
    Form(String),
    /// The address has bits after its prefix, so that it is unclear which network is meant.
    #[error("`{given}` is one address of the network `{network}`: write the network, or the address alone")]
    HostBits {
        /// The text.
        given: String,
        /// The network that contains it.
        network: IpNet,
    },
}

impl Network {
    /// Whether it has an address of this machine itself.
    pub(super) fn is_loopback(&self) -> bool {
        let ours = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
        self.0.network().is_loopback() || ours.iter().any(|address| self.0.contains(address))
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Network, NotANetwork> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Network(address.into()));
        }
        let Ok(network) = text.parse::<IpNet>() else { return Err(NotANetwork::Form(text)) };
        if network.trunc() == network {
            Ok(Network(network))
        } else {
            Err(NotANetwork::HostBits { given: text, network: network.trunc() })
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_is_read() {
        assert_eq!(RANGES.not_public.len(), NOT_PUBLIC_V4.len() + NOT_PUBLIC_V6.len());
        assert_eq!(RANGES.global_v6.len(), 1);
    }

    const SPECIAL: &str = "
        0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
        169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1
        198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::7f00:1 ::ffff:127.0.0.1
        ::ffff:8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::a00:1 100::1 2001::1
        2001:0:7f00:1:: 2001:2::1 2001:10::1 2001:db8::1 2002:7f00:1:: 2002:808:808::1 3fff::1 5f00::1
        fc00::1 fd00:ec2::254 fe80::1 febf::1 fec0::1 ff02::1
    ";

    #[test]
    fn what_is_not_public_is_denied() {
        for address in SPECIAL.split_whitespace() {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2a00::1",
        ] {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_grant_adds_its_networks_and_no_other_form_of_them() {
        let granted = [Network::try_from("127.0.0.0/8".to_owned()).unwrap()];
        let allowed = |address: &str| is_allowed(address.parse().unwrap(), &granted);
        assert!(allowed("127.0.0.1") && allowed("127.9.9.9") && allowed("1.1.1.1"));
        assert!(!allowed("10.0.0.1") && !allowed("::1") && !allowed("::ffff:127.0.0.1"));
    }

    #[test]
    fn a_network_is_written_as_such() {
        for text in ["", "10.0.0.0/33", "10.0.0", "10.0.0.1/8", "example.com", "10.0.0.0-10.0.0.9"] {
            assert!(Network::try_from(text.to_owned()).is_err(), "{text}");
        }
        assert_eq!(Network::try_from("::1".to_owned()).unwrap().to_string(), "::1/128");
    }
}
