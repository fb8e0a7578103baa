//! Where ranks meet before they train, and find out afterwards who is missing: a store of keys and values.

use std::collections::BTreeMap;
use std::net::{ToSocketAddrs, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::ranks::error::RanksError;
use crate::ranks::native::{Device, Store};
use crate::ranks::world::World;

/// What a rank was started with, by names for messages: it must be the same on all.
pub type Statement = BTreeMap<String, String>;

/// How long every rank shows that it lives, once.
const BEAT: Duration = Duration::from_secs(1);
/// After a failure, how long the signs of life are watched; longer than some beats, for a busy machine.
const WATCHED: Duration = Duration::from_secs(4);
/// How long that may take with a store that does not answer.
const LONGEST_SEARCH: Duration = Duration::from_secs(15);
/// How long a rank that holds the store stays for the others to read its error.
const LONGEST_STAY: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);

/// A connection to the store; clones are the same one.
#[derive(Clone, Debug)]
pub struct Meeting(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    world: World,
    timeout: Duration,
}

/// A store that a launcher holds, for ranks on this machine.
#[derive(Debug)]
pub(crate) struct LaunchersStore {
    _store: Store,
    /// Where the ranks reach it.
    pub(crate) port: u16,
}

impl LaunchersStore {
    pub(crate) fn open() -> Result<Self, RanksError> {
        let world = World::on_this_machine(0, 1, 0);
        let opened = Store::open(&world.host, 0, true, LONGEST_SEARCH);
        let (store, port) = opened.map_err(|reason| store_error(&world, true, reason))?;
        Ok(LaunchersStore { _store: store, port })
    }
}

impl Meeting {
    /// Reaches the store of `world`, or opens it where this rank holds it. Everything that needs all ranks waits no longer
    /// than `timeout`.
    ///
    /// # Errors
    ///
    /// The port is taken, or nothing answers there.
    pub fn open(world: World, timeout: Duration) -> Result<Self, RanksError> {
        let serves = world.serves();
        let opened = Store::open(&world.host, world.port, serves, timeout);
        let (store, _) = opened.map_err(|reason| store_error(&world, serves, reason))?;
        let meeting = Meeting(Arc::new(Inner { store, world, timeout }));
        let weak = Arc::downgrade(&meeting.0);
        thread::spawn(move || beat(&weak));
        Ok(meeting)
    }

    /// This process among all.
    pub fn world(&self) -> &World {
        &self.0.world
    }

    /// `--rank-timeout`.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    /// Waits for all ranks and compares what they were started with.
    ///
    /// # Errors
    ///
    /// A rank that does not come, comes twice, ended with an error or was started with something else; `Interrupted`
    /// once `stop` is set.
    pub(crate) fn compare(&self, own: &Statement, stop: &AtomicBool) -> Result<(), RanksError> {
        let World { rank, size, .. } = *self.world();
        let address = self.world().address();
        let mut own = own.clone();
        own.insert("ranks".to_owned(), size.to_string());
        let lines = own.iter().map(|(name, value)| format!("{}\t{}\n", plain(name), plain(value)));
        if self.add(&self.key("arrived", rank), 1)? > 1 {
            return Err(RanksError::Twice { rank, address });
        }
        self.set(&self.key("started", rank), &lines.collect::<String>())?;
        let since = Instant::now();
        for other in 0..size {
            let theirs = loop {
                if let Some(theirs) = self.get(&self.key("started", other))? {
                    break theirs;
                }
                if let Some(error) = self.failed(size)? {
                    return Err(error);
                }
                if stop.load(Ordering::Relaxed) {
                    return Err(RanksError::Interrupted);
                }
                if since.elapsed() > self.0.timeout {
                    let is_missing = |other: &usize| {
                        self.get(&self.key("started", *other)).is_ok_and(|found| found.is_none())
                    };
                    let ranks: Vec<usize> = (0..size).filter(is_missing).collect();
                    let seconds = self.0.timeout.as_secs();
                    // They may have come this moment.
                    if !ranks.is_empty() {
                        return Err(RanksError::Missing { ranks, size, address, seconds });
                    }
                }
                thread::sleep(POLL);
            };
            let theirs = theirs.lines().filter_map(|line| line.split_once('\t'));
            let theirs = theirs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            if let Some((what, theirs, ours)) = difference(&theirs, &own) {
                return Err(RanksError::Differs { what, rank: other, theirs, own: rank, ours });
            }
        }
        Ok(())
    }

    /// By what the other ranks reach this one: `GLOO_SOCKET_IFNAME`'s interface, as elsewhere in c10d, or the address with
    /// which this machine reaches the store.
    pub(crate) fn device(&self) -> Device {
        if let Ok(name) = std::env::var("GLOO_SOCKET_IFNAME") {
            return Device::Interface(name);
        }
        let World { host, port, .. } = self.world();
        let own = || {
            let to = (host.as_str(), *port).to_socket_addrs().ok()?.next()?;
            let from = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            // Nothing is sent: the system only chooses an address.
            let socket = UdpSocket::bind(from).ok()?;
            socket.connect(to).ok()?;
            Some(socket.local_addr().ok()?.ip().to_string())
        };
        Device::Address(own().unwrap_or_else(|| host.clone()))
    }

    /// Tells the other ranks that this one ends with an error, and stays a moment for them to read it if it holds the
    /// store.
    pub fn end(&self, error: &str) {
        let World { rank, size, .. } = *self.world();
        // The others find out anyway, if later.
        let _ = self.set(&self.key("failed", rank), error);
        let _ = self.set(&self.key("left", rank), "");
        if !self.world().serves() {
            return;
        }
        let since = Instant::now();
        let has_left =
            |other| self.get(&self.key("left", other)).is_ok_and(|found| found.is_some());
        let expected = |other: &usize| {
            let started = self.get(&self.key("started", *other));
            *other != rank && started.is_ok_and(|found| found.is_some())
        };
        let others: Vec<usize> = (0..size).filter(expected).collect();
        while since.elapsed() < LONGEST_STAY && !others.iter().all(|other| has_left(*other)) {
            thread::sleep(POLL);
        }
    }

    /// Why an operation of all ranks failed with `reason`: which rank is to blame.
    pub(crate) fn search(&self, reason: &str) -> RanksError {
        let (sender, receiver) = channel();
        let (meeting, text) = (self.clone(), reason.to_owned());
        thread::spawn(move || sender.send(meeting.find(&text)));
        let holder = || RanksError::Lost { ranks: vec![0], reason: reason.to_owned() };
        match receiver.recv_timeout(LONGEST_SEARCH) {
            Ok(Ok(found)) => found,
            // The store itself does not answer: whoever holds it is gone.
            _ if !self.world().launcher_has_store => holder(),
            _ => RanksError::Collective { message: reason.to_owned() },
        }
    }

    fn find(&self, reason: &str) -> Result<RanksError, RanksError> {
        let World { rank, size, .. } = *self.world();
        self.set(&self.key("waited", rank), reason)?;
        let beats = || -> Result<Vec<i64>, RanksError> {
            (0..size).map(|other| self.add(&self.key("beat", other), 0)).collect()
        };
        let (before, since) = (beats()?, Instant::now());
        while since.elapsed() < WATCHED {
            if let Some(error) = self.failed(size)? {
                self.set(&self.key("left", rank), "")?;
                return Ok(error);
            }
            thread::sleep(POLL);
        }
        let after = beats()?;
        let silent = |other: &usize| *other != rank && before.get(*other) == after.get(*other);
        let ranks: Vec<usize> = (0..size).filter(silent).collect();
        if !ranks.is_empty() {
            return Ok(RanksError::Lost { ranks, reason: reason.to_owned() });
        }
        let mut ranks = Vec::new();
        for other in 0..size {
            if self.get(&self.key("waited", other))?.is_none() {
                ranks.push(other);
            }
        }
        if ranks.is_empty() {
            return Ok(RanksError::Collective { message: reason.to_owned() });
        }
        Ok(RanksError::Slow { ranks, seconds: self.0.timeout.as_secs() })
    }

    /// The error of a rank that has ended with one.
    fn failed(&self, size: usize) -> Result<Option<RanksError>, RanksError> {
        for rank in (0..size).filter(|other| *other != self.world().rank) {
            if let Some(message) = self.get(&self.key("failed", rank))? {
                return Ok(Some(RanksError::Elsewhere { rank, message }));
            }
        }
        Ok(None)
    }

    /// Before the keys of this attempt.
    pub(crate) fn prefix(&self) -> String {
        format!("leitmotif/{}", self.world().attempt)
    }

    fn key(&self, what: &str, rank: usize) -> String {
        format!("{}/{what}/{rank}", self.prefix())
    }

    fn set(&self, key: &str, value: &str) -> Result<(), RanksError> {
        self.0.store.set(key, value).map_err(|reason| store_error(self.world(), false, reason))
    }

    fn get(&self, key: &str) -> Result<Option<String>, RanksError> {
        self.0.store.get(key).map_err(|reason| store_error(self.world(), false, reason))
    }

    fn add(&self, key: &str, value: i64) -> Result<i64, RanksError> {
        self.0.store.add(key, value).map_err(|reason| store_error(self.world(), false, reason))
    }
}

/// Shows that this process lives, as long as it holds its connection.
fn beat(meeting: &Weak<Inner>) {
    while let Some(inner) = meeting.upgrade() {
        let meeting = Meeting(inner);
        let key = meeting.key("beat", meeting.world().rank);
        if meeting.add(&key, 1).is_err() {
            return;
        }
        drop(meeting);
        thread::sleep(BEAT);
    }
}

/// The first name with another value, and both values.
fn difference(theirs: &Statement, own: &Statement) -> Option<(String, String, String)> {
    let absent = || "nothing".to_owned();
    let names = own.keys().chain(theirs.keys());
    let found = names.map(|name| (name, theirs.get(name), own.get(name)));
    let (name, theirs, own) = found.into_iter().find(|(_, theirs, own)| {
        theirs.map(String::as_str) != own.map(|text| plain(text)).as_deref()
    })?;
    let value = |of: Option<&String>| of.cloned().unwrap_or_else(absent);
    Some((name.clone(), value(theirs), value(own)))
}

/// Without what separates lines and columns.
fn plain(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

fn store_error(world: &World, serves: bool, reason: String) -> RanksError {
    let taken = ["EADDRINUSE", "address already in use"].iter().any(|text| reason.contains(text));
    let advice = match (taken, serves) {
        (true, _) => {
            "; another program, perhaps another run, has this port: set MASTER_PORT to a free one on all ranks"
        }
        (false, true) => "",
        (false, false) => {
            "; rank 0, or its launcher, is not there, or another program has this port"
        }
    };
    RanksError::Store { address: world.address(), serves, reason, advice: advice.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_of_what_ranks_were_started_with_is_named() {
        let of = |values: &[(&str, &str)]| -> Statement {
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let ours = of(&[("batch", "12"), ("seed", "1")]);
        assert_eq!(difference(&ours, &ours), None);
        let text = |theirs: &[(&str, &str)]| difference(&of(theirs), &ours).unwrap();
        let expected = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(text(&[("batch", "12"), ("seed", "2")]), expected("seed", "2", "1"));
        assert_eq!(text(&[("batch", "12")]), expected("seed", "nothing", "1"));
        let more = [("batch", "12"), ("rate", "3"), ("seed", "1")];
        assert_eq!(text(&more), expected("rate", "3", "nothing"));
    }
}
