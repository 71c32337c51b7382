//! Properties: trusted elements are read back whatever the client wrote left of them, and no bytes
//! panic.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;

use super::ProxyHeaders::{Either, Forwarded, XForwarded};
use super::*;

/// A proxy's report, and how it is written.
#[derive(Clone, Debug)]
struct Report {
    client: Option<Client>,
    proto: Option<&'static str>,
    host: Option<String>,
    other: Option<String>,
    /// Whether each character is escaped without need. Repeated for longer strings.
    escapes: Vec<bool>,
}

impl Report {
    fn hop(&self) -> Hop<'_> {
        Hop {
            client: self.client,
            proto: self.proto,
            host: self.host.as_deref().map(Cow::Borrowed),
        }
    }

    fn as_forwarded(&self) -> String {
        let mut pairs = vec!["by=_me".to_owned()];
        if let Some(other) = &self.other {
            pairs.push(format!("other={}", self.quote(other)));
        }
        if let Some(client) = self.client {
            pairs.push(format!("for={}", self.quote(&Self::format_node(client))));
        }
        if let Some(proto) = self.proto {
            pairs.push(format!("proto={proto}"));
        }
        if let Some(host) = &self.host {
            pairs.push(format!("Host={}", self.quote(host)));
        }
        pairs.join(";")
    }

    fn format_node((address, port): Client) -> String {
        let address = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        match port {
            Some(port) => format!("{address}:{port}"),
            None => address,
        }
    }

    fn quote(&self, text: &str) -> String {
        let mut out = String::from("\"");
        for (character, escape) in text.chars().zip(self.escapes.iter().cycle()) {
            if *escape || matches!(character, '"' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
        out + "\""
    }
}

/// Generates a byte that is valid in a header, often one with a special meaning.
fn byte() -> impl Strategy<Value = u8> {
    let special = select(b"\"\"\\\\,;= for1._".to_vec());
    prop_oneof![
        1 => Just(b'\t'),
        4 => b' '..=b'~',
        4 => 0x80..=0xff_u8,
        9 => special,
    ]
}

fn string(least: usize) -> impl Strategy<Value = String> {
    let visible = (b' '..=b'~').prop_map(char::from);
    let special = select(vec!['"', '\\', ',', ';', '=']);
    vec(prop_oneof![visible, special], least..8).prop_map(String::from_iter)
}

fn client() -> impl Strategy<Value = Client> {
    let v4 = any::<[u8; 4]>().prop_map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    let v6 = any::<[u8; 16]>().prop_map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    let address = prop_oneof![v4, v6].prop_map(|address| address.to_canonical());
    (address, option::of(any::<u16>()))
}

fn report() -> impl Strategy<Value = Report> {
    (
        option::of(client()),
        option::of(select(vec!["http", "https", "ws", "wss"])),
        option::of(string(1)),
        option::of(string(0)),
        vec(any::<bool>(), 1..6),
    )
        .prop_map(|(client, proto, host, other, escapes)| Report {
            client,
            proto,
            host,
            other,
            escapes,
        })
}

fn config() -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(2_000, |_| default.cases),
        failure_persistence: Some(Box::new(persistence)),
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn trusted_elements_of_forwarded_are_read_whatever_is_left_of_them(
        left in vec(byte(), 0..40),
        right in vec(report(), 1..4),
        is_own_line in any::<bool>(),
        is_either in any::<bool>(),
    ) {
        let list = right.iter().map(Report::as_forwarded).collect::<Vec<_>>().join(", ");
        let mut headers = HeaderMap::new();
        if is_own_line {
            append(&mut headers, "F", &left);
            append(&mut headers, "F", list.as_bytes());
        } else {
            append(&mut headers, "F", &[&left, ", ".as_bytes(), list.as_bytes()].concat());
        }
        let which = if is_either { Either } else { Forwarded };
        for (trusted, report) in (1..).zip(right.iter().rev()) {
            prop_assert_eq!(read_trusted_hop(&headers, trusted, which), report.hop());
        }
    }

    #[test]
    fn trusted_addresses_of_x_forwarded_are_read_whatever_is_left_of_them(
        left in vec(byte(), 0..40),
        right in vec(client(), 1..4),
    ) {
        let list = right.iter().map(|client| Report::format_node(*client)).collect::<Vec<_>>().join(",");
        let mut headers = HeaderMap::new();
        append(&mut headers, "For", &[&left, ",".as_bytes(), list.as_bytes()].concat());
        for (trusted, client) in (1..).zip(right.iter().rev()) {
            prop_assert_eq!(read_trusted_hop(&headers, trusted, XForwarded).client, Some(*client));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_or_an_empty_host(
        lines in vec((select(vec!["F", "For", "Proto", "Host"]), vec(byte(), 0..60)), 0..6),
        trusted in prop_oneof![0..4_usize, Just(usize::MAX)],
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            append(&mut headers, name, value);
        }
        for which in [Either, Forwarded, XForwarded] {
            let hop = read_trusted_hop(&headers, trusted, which);
            prop_assert!(hop.host.is_none_or(|host| !host.is_empty()));
        }
    }
}
