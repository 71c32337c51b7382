//! A progress bar, if stderr is a terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::lanes::Load;

const WIDTH: u64 = 40;

/// A bar that is drawn until it is dropped.
pub(crate) struct Progress(Option<JoinHandle<()>>);

impl Progress {
    pub(crate) fn start(load: &Arc<Load>, requests: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Self(None);
        }
        let (load, start) = (Arc::clone(load), Instant::now());
        Self(Some(tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                let bar = bar(load.total(), requests, start.elapsed());
                // A closed stderr is ignored.
                let _ = write!(io::stderr(), "\r{bar}");
            }
        })))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(drawing) = self.0.take() {
            drawing.abort();
            // Clears the bar. A closed stderr is ignored.
            let _ = write!(io::stderr(), "\r{:1$}\r", "", 100);
        }
    }
}

fn bar(made: u64, requests: u64, after: Duration) -> String {
    let full = usize::try_from(made * WIDTH / requests.max(1)).unwrap_or_default();
    let empty = usize::try_from(WIDTH)
        .unwrap_or_default()
        .saturating_sub(full);
    let rate = u128::from(made) * 1_000 / after.as_millis().max(1);
    format!(
        "[{}{}] {made} of {requests} requests, {rate}/s ",
        "#".repeat(full),
        " ".repeat(empty)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bar_length_is_proportional_to_requests_made() {
        for (made, hashes) in [(0, 0), (1, 0), (500, 20), (999, 39), (1_000, 40)] {
            let bar = bar(made, 1_000, Duration::from_secs(1));
            assert_eq!(bar.matches('#').count(), hashes, "{bar}");
            assert_eq!(bar.find(']'), Some(41), "{bar}");
        }
    }
}
