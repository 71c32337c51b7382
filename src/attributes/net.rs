//! `server.*`: the host the client wanted.

use http::header::HOST;
use http::request;
use http::uri::Authority;

use super::{Attributes, StartKey};
use crate::text::cut;

/// Address and port: of `:authority` or an absolute target, else of the Host header. An IPv6
/// address stands without its brackets; a port that was not sent is not guessed.
pub(super) fn server(parts: &request::Parts, attributes: &mut Attributes) {
    let of_target = parts.uri.authority().cloned();
    let Some(authority) = of_target.or_else(|| {
        let host = parts.headers.get(HOST)?;
        Authority::try_from(host.as_bytes()).ok()
    }) else {
        return;
    };
    let host = authority.host();
    let address = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if address.is_empty() {
        return;
    }
    attributes.set(StartKey::ServerAddress, cut(address).to_owned());
    if let Some(port) = authority.port_u16() {
        attributes.set(StartKey::ServerPort, i64::from(port));
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::tests::started;

    #[test]
    fn the_host_the_client_wanted() {
        for (rule, uri, host, address, port) in [
            (
                "Host",
                "/",
                Some("example.com:8080"),
                Some("example.com"),
                Some("8080"),
            ),
            (
                "no port",
                "/",
                Some("example.com"),
                Some("example.com"),
                None,
            ),
            ("IPv6", "/", Some("[::1]:80"), Some("::1"), Some("80")),
            (
                "IPv6 without port",
                "/",
                Some("[2001:db8::1]"),
                Some("2001:db8::1"),
                None,
            ),
            (
                ":authority",
                "http://a.example:1/",
                None,
                Some("a.example"),
                Some("1"),
            ),
            (
                ":authority before Host",
                "http://a.example/",
                Some("b.example:2"),
                Some("a.example"),
                None,
            ),
            (
                "user info is not told",
                "/",
                Some("me:secret@example.com"),
                Some("example.com"),
                None,
            ),
            ("no host", "/", None, None, None),
            ("an empty host", "/", Some(""), None, None),
            ("a port without host", "/", Some(":80"), None, None),
            ("no host at all", "/", Some("a b"), None, None),
            (
                "a port too large",
                "/",
                Some("example.com:99999"),
                Some("example.com"),
                None,
            ),
        ] {
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let (_, attributes) = started(request.body(()).expect("a request"));
            let value = |key: &str| attributes.iter().find_map(|text| text.strip_prefix(key));
            assert_eq!(value("server.address="), address, "{rule}");
            assert_eq!(value("server.port="), port, "{rule}");
        }
    }
}
