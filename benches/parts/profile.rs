//! Attributes instructions to the crate, or to the part of this crate, whose code they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::callgrind;

/// What a request executes.
pub(crate) struct Profile {
    /// The instructions of each owner.
    pub(crate) owners: BTreeMap<String, u64>,
    /// The bytes of code that each request executes, in whole cache lines.
    pub(crate) code: u64,
}

impl Profile {
    /// Profiles `n` and `2 n` requests. The instructions are the difference, divided by `n`.
    pub(crate) fn of(run: &[&str], n: u64) -> Self {
        let (once, twice) = (profile(run, n), profile(run, 2 * n));
        let (once, costs) = (costs(&once), costs(&twice));
        let before = by_owner(&once);
        let mut owners = by_owner(&costs);
        for (owner, count) in &mut owners {
            let before = before.get(owner).copied().unwrap_or_default();
            // Once-only work may differ a little.
            *count = count.saturating_sub(before) / n;
        }
        let once: HashMap<_, _> = once.iter().map(|cost| (cost.place(), cost.count)).collect();
        let each = costs.iter().filter(|cost| {
            let before = once.get(&cost.place()).copied().unwrap_or_default();
            cost.count.saturating_sub(before) >= n
        });
        let lines: BTreeSet<_> = each
            .map(|cost| (cost.object, cost.address / CACHE_LINE))
            .collect();
        let code = lines.len() as u64 * CACHE_LINE;
        Self { owners, code }
    }
}

const CACHE_LINE: u64 = 64;

/// Returns callgrind's profile of a run.
fn profile(run: &[&str], times: u64) -> String {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let path = format!("--callgrind-out-file={}", file.path().display());
    callgrind::report(&["--dump-instr=yes", &path], run, times);
    std::fs::read_to_string(file.path()).expect("callgrind writes its profile")
}

fn by_owner(costs: &[Cost<'_>]) -> BTreeMap<String, u64> {
    let mut owners = BTreeMap::new();
    for cost in costs {
        *owners.entry(owner(cost.function, cost.source)).or_default() += cost.count;
    }
    owners
}

/// An instruction, and how many times it was executed.
struct Cost<'a> {
    function: &'a str,
    /// The file of the code, which differs from the function's where code is inlined.
    source: &'a str,
    /// The program or library. Addresses are relative to it.
    object: &'a str,
    address: u64,
    count: u64,
}

impl<'a> Cost<'a> {
    /// Returns what identifies the instruction. The same one occurs once for each function that it is inlined into.
    fn place(&self) -> (&'a str, u64, &'a str) {
        (self.object, self.address, self.function)
    }
}

/// Reads callgrind's format.
fn costs(profile: &str) -> Vec<Cost<'_>> {
    let (mut functions, mut files) = (HashMap::new(), HashMap::new());
    let mut objects = HashMap::new();
    let (mut object, mut function, mut source, mut address) = ("", "", "", 0);
    let mut is_call = false;
    let mut costs = Vec::new();
    for line in profile.lines() {
        if let Some((key, value)) = line.split_once('=') {
            match key {
                "ob" => object = named(&mut objects, value),
                "cob" => {
                    named(&mut objects, value);
                }
                "fn" => function = named(&mut functions, value),
                "cfn" => {
                    named(&mut functions, value);
                }
                "fl" | "fi" | "fe" => source = named(&mut files, value),
                "cfi" | "cfl" => {
                    named(&mut files, value);
                }
                // The next line is the cost of the callee.
                "calls" => is_call = true,
                _ => {}
            }
        } else if let [position, _, count] = line.split(' ').collect::<Vec<_>>()[..]
            && let Some(at) = move_address(address, position)
            && let Ok(count) = count.parse()
        {
            address = at;
            if !std::mem::take(&mut is_call) {
                costs.push(Cost {
                    function,
                    source,
                    object,
                    address,
                    count,
                });
            }
        }
    }
    costs
}

/// Reads an address, or the distance to the one before.
fn move_address(before: u64, position: &str) -> Option<u64> {
    if position == "*" {
        return Some(before);
    }
    if let Some(absolute) = position.strip_prefix("0x") {
        return u64::from_str_radix(absolute, 16).ok();
    }
    before.checked_add_signed(position.parse().ok()?)
}

/// Returns the name in `(id) name`, or the one that an earlier line has given to the id.
fn named<'a>(names: &mut HashMap<&'a str, &'a str>, value: &'a str) -> &'a str {
    match value.split_once(' ') {
        Some((id, name)) => {
            names.insert(id, name);
            name
        }
        None => names.get(value).copied().unwrap_or_default(),
    }
}

/// Names the owner of code. Code of the standard library counts for the function that it is inlined into.
fn owner(function: &str, source: &str) -> String {
    if let Some((_, path)) = source.rsplit_once("/registry/src/") {
        let package = path.split('/').nth(1).unwrap_or_default();
        return package.to_owned();
    }
    if let Some(part) = part_of_this_crate(source) {
        return part;
    }
    let allocates = [
        "malloc",
        "free",
        "realloc",
        "calloc",
        "_int_",
        "unlink_chunk",
    ];
    if source.contains("/malloc/") || allocates.iter().any(|name| function.starts_with(name)) {
        return "the allocator (glibc)".to_owned();
    }
    if source.contains("/string/") || function.starts_with("__mem") {
        return "copies of memory (glibc)".to_owned();
    }
    for (of, owner) in [
        (
            "tower_api_span::",
            "this crate: the standard library's code in it",
        ),
        (
            "opentelemetry_sdk::",
            "opentelemetry_sdk: the standard library's code in it",
        ),
        (
            "opentelemetry::",
            "opentelemetry: the standard library's code in it",
        ),
        ("http::", "http: the standard library's code in it"),
    ] {
        if function.contains(of) {
            return owner.to_owned();
        }
    }
    "functions of the standard library and of others".to_owned()
}

/// Returns the folder of `src` of a source file of this crate.
fn part_of_this_crate(source: &str) -> Option<String> {
    let inside = source.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/"))?;
    let inside = inside.strip_prefix("src/");
    let part = inside.map(|path| path.split('/').next().unwrap_or_default());
    Some(part.map_or("the bench".to_owned(), |part| {
        format!("this crate: {}", part.trim_end_matches(".rs"))
    }))
}
