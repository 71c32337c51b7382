//! A set of names that only grows, up to a limit.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// A set of names that only grows, up to a limit: a hash table with a list in each bucket.
///
/// A search takes no lock. An addition waits only for another one at the end of the same list.
#[derive(Debug)]
pub(crate) struct NameSet {
    /// Allocated with the first name.
    buckets: OnceLock<Box<[Link]>>,
    /// How many names there are, or are about to be.
    count: AtomicUsize,
    limit: usize,
    /// The longest name, in bytes. A longer one is not added, so that a full set is of moderate size.
    max_length: usize,
    /// With random keys, so that clients cannot choose names for one bucket.
    hasher: RandomState,
}

type Link = OnceLock<Box<Entry>>;

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    next: Link,
}

impl NameSet {
    /// The length of the lists if the set is full and the hash is even.
    const NAMES_PER_BUCKET: usize = 4;

    pub(crate) fn new(limit: usize, max_length: usize) -> Self {
        Self {
            buckets: OnceLock::new(),
            count: AtomicUsize::new(0),
            limit,
            max_length,
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
        if name.len() > self.max_length {
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
            let set = NameSet::new(limit, 256);
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
        let set = NameSet::new(2, 256);
        for (length, is_added) in [(256, true), (257, false)] {
            let name = Arc::from("m".repeat(length));
            assert_eq!(set.add(&name), is_added, "{length}");
            assert_eq!(set.find(&name).is_some(), is_added, "{length}");
        }
    }

    #[test]
    fn threads_add_each_name_once() {
        let (threads, limit) = (8, 64);
        let set = NameSet::new(limit, 256);
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
