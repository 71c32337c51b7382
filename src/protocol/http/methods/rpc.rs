//! The known gRPC methods and services, and the prefix of their paths. Pure.

use std::sync::Arc;

/// The gRPC methods and services that the operator has listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct RpcMethods {
    /// If set, only these and the methods of the services are known. Sorted for binary search.
    methods: Option<Arc<[String]>>,
    /// Sorted for binary search.
    services: Arc<[String]>,
    /// The part of a path in front of `/service/method`, without a slash at its end.
    prefix: Arc<str>,
}

/// A method that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundMethod<'a> {
    /// The operator has listed it.
    Listed(&'a str),
    /// The operator has listed its service.
    OfService(&'a str),
    /// The path has the form `/service/method`, and there is no list of methods.
    OfForm(&'a str),
}

impl RpcMethods {
    /// Sets the list of methods, named with or without the leading slash of the path.
    pub(crate) fn set_methods(&mut self, methods: impl IntoIterator<Item = impl Into<String>>) {
        self.methods = Some(sorted_without_slash(methods));
    }

    /// Sets the list of services, named with or without a leading slash.
    pub(crate) fn set_services(&mut self, services: impl IntoIterator<Item = impl Into<String>>) {
        self.services = sorted_without_slash(services);
    }

    /// Sets the prefix of the paths, with or without its leading and trailing slashes.
    pub(crate) fn set_prefix(&mut self, prefix: &str) {
        let prefix = prefix.trim_matches('/');
        self.prefix = match prefix {
            "" => Arc::default(),
            _ => format!("/{prefix}").into(),
        };
    }

    /// Returns `service/method` from the path of a call, unless a list lacks the method.
    pub(crate) fn find<'a>(&self, path: &'a str) -> Option<FoundMethod<'a>> {
        let path = self.without_prefix(path);
        let (method, service) = parse_method(path)?;
        if self.methods.as_ref().is_some_and(|list| has(list, method)) {
            Some(FoundMethod::Listed(method))
        } else if has(&self.services, service) {
            Some(FoundMethod::OfService(method))
        } else {
            self.methods
                .is_none()
                .then_some(FoundMethod::OfForm(method))
        }
    }

    /// Whether any method can be known. An empty list, without services, turns gRPC off.
    pub(crate) fn has_any(&self) -> bool {
        self.methods.as_ref().is_none_or(|list| !list.is_empty()) || !self.services.is_empty()
    }

    /// Removes the prefix. A path without it is returned as it is: a router may have removed it already.
    fn without_prefix<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&*self.prefix)
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or(path)
    }
}

fn sorted_without_slash(names: impl IntoIterator<Item = impl Into<String>>) -> Arc<[String]> {
    let names = names.into_iter().map(|name| {
        let name: String = name.into();
        name.strip_prefix('/').map(str::to_owned).unwrap_or(name)
    });
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names.into()
}

fn has(sorted: &[String], name: &str) -> bool {
    let found = sorted.binary_search_by(|listed| listed.as_str().cmp(name));
    found.is_ok()
}

/// Returns `service/method` and `service` if the path has that form.
fn parse_method(path: &str) -> Option<(&str, &str)> {
    let path = path.strip_prefix('/')?;
    let (service, method) = path.split_once('/')?;
    let has_form = !service.is_empty() && !method.is_empty() && !method.contains('/');
    has_form.then_some((path, service))
}
