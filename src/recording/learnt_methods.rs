//! The gRPC methods that a layer's server has confirmed.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// The gRPC methods that responses have confirmed, shared by the services of a layer.
///
/// They are what the server has answered, and never what clients alone have sent. A server that answers any path
/// would confirm any, so the sets are bounded.
#[derive(Debug)]
pub(crate) struct LearntMethods {
    /// Methods that were answered OK, or with a message.
    confirmed: MethodSet,
    /// Methods of known services that have only failed. An interceptor may answer so for any method. So these have
    /// a set of their own, and cannot use up the room of confirmed ones.
    failed: MethodSet,
}

impl LearntMethods {
    /// The limit of confirmed methods. Few servers have a thousand. With about two series for each, they stay
    /// within the 2,000 that the SDK keeps of a metric.
    const MAX_CONFIRMED: usize = 1_024;
    const MAX_FAILED: usize = 128;

    /// Returns the method if it was learnt. That it has failed counts only for a method of a known service.
    pub(crate) fn find(&self, method: &str, is_of_known_service: bool) -> Option<Arc<str>> {
        let failed = || self.failed.find(method).filter(|_| is_of_known_service);
        self.confirmed.find(method).or_else(failed)
    }

    /// Adds a method that the server has confirmed. Returns whether it is in the set.
    pub(crate) fn add_confirmed(&self, method: &Arc<str>) -> bool {
        self.confirmed.add(method)
    }

    /// Adds a method of a known service that has failed. Returns whether it is in the set.
    pub(crate) fn add_failed(&self, method: &Arc<str>) -> bool {
        self.failed.add(method)
    }
}

impl Default for LearntMethods {
    fn default() -> Self {
        Self {
            confirmed: MethodSet::new(Self::MAX_CONFIRMED),
            failed: MethodSet::new(Self::MAX_FAILED),
        }
    }
}

impl Clone for LearntMethods {
    /// Returns an empty set: a layer with other settings may wrap another server.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// A set of names that only grows, up to a limit: a hash table with a list in each bucket.
///
/// A search takes no lock. An addition waits only for another one at the end of the same list.
#[derive(Debug)]
pub(crate) struct MethodSet {
    /// Allocated with the first name.
    buckets: OnceLock<Box<[Link]>>,
    /// How many names there are, or are about to be.
    count: AtomicUsize,
    limit: usize,
    /// With random keys, so that clients cannot choose names for one bucket.
    hasher: RandomState,
}

type Link = OnceLock<Box<Entry>>;

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    next: Link,
}

impl MethodSet {
    /// The longest name. A longer one is not added, so that a full set is of moderate size.
    const MAX_LENGTH: usize = 256;
    /// The length of the lists if the set is full and the hash is even.
    const NAMES_PER_BUCKET: usize = 4;

    pub(crate) fn new(limit: usize) -> Self {
        Self {
            buckets: OnceLock::new(),
            count: AtomicUsize::new(0),
            limit,
            hasher: RandomState::new(),
        }
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<str>> {
        let mut link = self.bucket(self.buckets.get()?, name);
        while let Some(entry) = link.get() {
            if *entry.name == *name {
                return Some(entry.name.clone());
            }
            link = &entry.next;
        }
        None
    }

    /// Adds a name, unless it is too long or the set is full. Returns whether it is in the set.
    pub(crate) fn add(&self, name: &Arc<str>) -> bool {
        if name.len() > Self::MAX_LENGTH {
            return false;
        }
        let buckets = self.buckets.get_or_init(|| {
            let count = self.limit.div_ceil(Self::NAMES_PER_BUCKET);
            std::iter::repeat_with(Link::default).take(count).collect()
        });
        let mut link = self.bucket(buckets, name);
        let mut new = None;
        loop {
            if let Some(entry) = link.get() {
                if entry.name == *name {
                    if new.is_some() {
                        self.count.fetch_sub(1, Ordering::Relaxed);
                    }
                    return true;
                }
                link = &entry.next;
                continue;
            }
            let entry = new.take().or_else(|| self.new_entry(name));
            let Some(entry) = entry else {
                return false;
            };
            // If another request was faster, its entry is compared next.
            let Err(entry) = link.set(entry) else {
                return true;
            };
            new = Some(entry);
        }
    }

    /// Makes an entry, and counts it. Returns `None` if the set is full.
    fn new_entry(&self, name: &Arc<str>) -> Option<Box<Entry>> {
        let add_one = |count| (count < self.limit).then_some(count + 1);
        self.count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add_one)
            .ok()?;
        Some(Box::new(Entry {
            name: name.clone(),
            next: Link::default(),
        }))
    }

    fn bucket<'a>(&self, buckets: &'a [Link], name: &str) -> &'a Link {
        // The remainder is less than the length, which is a `usize`.
        #[expect(clippy::cast_possible_truncation, reason = "see above")]
        let index = (self.hasher.hash_one(name) % buckets.len() as u64) as usize;
        &buckets[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Arc<str> {
        Arc::from(format!("pkg.Service/Method{number}"))
    }

    #[test]
    fn a_full_set_keeps_its_names_and_adds_no_more() {
        for limit in [1, 3, 100] {
            let set = MethodSet::new(limit);
            assert_eq!(set.find(&name(0)), None);
            for number in 0..2 * limit {
                let is_in = number < limit;
                for _ in 0..2 {
                    assert_eq!(set.add(&name(number)), is_in, "{number} of {limit}");
                }
            }
            for number in 0..2 * limit {
                let expected = (number < limit).then(|| name(number));
                assert_eq!(set.find(&name(number)), expected);
            }
        }
    }

    #[test]
    fn a_long_name_is_not_added() {
        let set = MethodSet::new(2);
        for (length, is_added) in [(256, true), (257, false)] {
            let name = Arc::from("m".repeat(length));
            assert_eq!(set.add(&name), is_added, "{length}");
            assert_eq!(set.find(&name).is_some(), is_added, "{length}");
        }
    }

    #[test]
    fn a_method_that_failed_is_found_only_in_a_known_service() {
        let methods = LearntMethods::default();
        assert!(methods.add_failed(&name(1)) && methods.add_confirmed(&name(2)));
        for (number, is_of_known_service, is_found) in [
            (1, true, true),
            (1, false, false),
            (2, true, true),
            (2, false, true),
        ] {
            let found = methods.find(&name(number), is_of_known_service);
            assert_eq!(found.is_some(), is_found, "{number}, {is_of_known_service}");
        }
        let other = methods.clone();
        assert_eq!(other.find(&name(2), true), None, "another layer");
    }

    #[test]
    fn threads_add_each_name_once() {
        let (threads, limit) = (8, 64);
        let set = MethodSet::new(limit);
        let start = std::sync::Barrier::new(threads);
        let added: usize = std::thread::scope(|scope| {
            let spawned = std::iter::repeat_with(|| {
                scope.spawn(|| {
                    start.wait();
                    (0..2 * limit)
                        .filter(|number| set.add(&name(*number)))
                        .count()
                })
            });
            let spawned: Vec<_> = spawned.take(threads).collect();
            spawned
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .max()
                .expect("a thread")
        });
        assert_eq!(added, limit, "the fastest thread adds the first names");
        let found = (0..2 * limit).filter(|number| set.find(&name(*number)).is_some());
        assert_eq!(found.count(), limit);
        assert_eq!(set.count.load(Ordering::Relaxed), limit);
    }
}
