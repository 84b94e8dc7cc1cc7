//! The door: how many may come in at once, and how fast.
//!
//! In: an address or a device, a cost, and the time since the relay started. Out: a seat, or how long to
//! wait. Memory is bounded whatever comes: at most so many addresses and devices are remembered, and who
//! was least busy is forgotten first. Nothing here sleeps, reads a clock or refuses a device's work: who
//! is over its pace is read more slowly, and who finds no seat is told when to come again.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sync_core::ids::DeviceId;
use sync_core::wire::Frame;
use tokio::sync::Notify;

use crate::config::Config;

/// Addresses, or devices, whose pace is remembered at once.
const REMEMBERED_MAX: usize = 10_000;
/// Bytes of a message that cost as much as one change.
const COST_BYTES: usize = 16 * 1024;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A half-made note of who came only makes a limit a little wider or narrower.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A pace for each key: so many a minute, and a minute's worth at once (the generic cell rate algorithm
/// of ATM Forum TM 4.0: a token bucket that is one moment for each key). A crate for this would not let
/// a cost run into debt, nor bound the keys.
#[derive(Debug)]
pub struct Pace<K> {
    /// Between two; zero slows nobody.
    interval: Duration,
    remembered_max: usize,
    /// Until when each key has used its time up.
    used: Mutex<HashMap<K, Duration>>,
}

/// A minute's worth may come at once.
const BURST: Duration = Duration::from_secs(60);

impl<K: Hash + Eq + Copy> Pace<K> {
    /// So many a minute; 0 slows nobody.
    pub fn per_minute(count: u32) -> Self {
        Self::bounded(count, REMEMBERED_MAX)
    }

    fn bounded(count: u32, remembered_max: usize) -> Self {
        let interval = BURST.checked_div(count).unwrap_or_default();
        Self { interval, remembered_max, used: Mutex::default() }
    }

    /// Takes one, or says how long to wait: then nothing is taken.
    pub fn ask(&self, key: K, now: Duration) -> Result<(), Duration> {
        let mut used = lock(&self.used);
        let until = used.get(&key).copied().unwrap_or_default().max(now) + self.interval;
        // Rounded division may leave the last of a minute's worth a little over it.
        let wait = (until - now).saturating_sub(BURST);
        if wait > Duration::ZERO {
            return Err(wait);
        }
        self.remember(&mut used, key, until, now);
        Ok(())
    }

    /// Takes `cost`, and says how long the key must rest before it takes more: zero while it is not over
    /// its pace.
    pub fn charge(&self, key: K, cost: u32, now: Duration) -> Duration {
        let mut used = lock(&self.used);
        let from = used.get(&key).copied().unwrap_or_default().max(now);
        let until = from + self.interval.saturating_mul(cost);
        self.remember(&mut used, key, until, now);
        (until - now).saturating_sub(BURST)
    }

    fn remember(&self, used: &mut HashMap<K, Duration>, key: K, until: Duration, now: Duration) {
        if self.interval.is_zero() {
            return;
        }
        if used.len() >= self.remembered_max && !used.contains_key(&key) {
            used.retain(|_, until| *until > now);
            if used.len() >= self.remembered_max {
                let least = used.iter().min_by_key(|(_, until)| **until).map(|(key, _)| *key);
                least.map(|least| used.remove(&least));
            }
        }
        used.insert(key, until);
    }
}

/// What reading a device's message costs: one, one for each change that it pushes, and one for every
/// 16 KiB.
pub fn cost(frame: Option<&Frame>, bytes: usize) -> u32 {
    let changes = match frame {
        Some(Frame::Push(push)) => push.changes.len(),
        _ => 0,
    };
    u32::try_from(1 + changes + bytes / COST_BYTES).unwrap_or(u32::MAX)
}

/// Why there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// All seats are taken.
    Everywhere,
    /// All seats of this address are.
    Address,
}

/// Seats for connected devices: one for each device, so many for each address, so many in all.
#[derive(Debug)]
pub struct Seats {
    all: usize,
    each_address: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    devices: HashMap<DeviceId, Sitting>,
    addresses: HashMap<IpAddr, usize>,
}

#[derive(Debug)]
struct Sitting {
    id: u64,
    address: IpAddr,
    replaced: Arc<Notify>,
}

impl Taken {
    fn leave(&mut self, device: DeviceId) -> Option<Sitting> {
        let sitting = self.devices.remove(&device)?;
        if let Some(count) = self.addresses.get_mut(&sitting.address) {
            *count -= 1;
            if *count == 0 {
                self.addresses.remove(&sitting.address);
            }
        }
        Some(sitting)
    }
}

/// A device's seat; given back when this goes.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    id: u64,
    device: DeviceId,
    replaced: Arc<Notify>,
}

impl Seats {
    /// As many as the configuration says.
    pub fn of(config: &Config) -> Arc<Self> {
        let (all, each_address) = (config.connections_max, config.connections_per_address);
        let each_address = if each_address == 0 { usize::MAX } else { each_address };
        Arc::new(Self { all, each_address, taken: Mutex::default() })
    }

    /// A seat for a device. A device that sits already takes its own seat over: the session before it is
    /// told, since a phone that changed its network cannot end it itself.
    pub fn take(self: &Arc<Self>, device: DeviceId, address: IpAddr) -> Result<Seat, Full> {
        let mut taken = lock(&self.taken);
        let own = taken.devices.get(&device).map(|sitting| sitting.address);
        if own.is_none() && taken.devices.len() >= self.all {
            return Err(Full::Everywhere);
        }
        let there = taken.addresses.get(&address).copied().unwrap_or(0);
        if own != Some(address) && there >= self.each_address {
            return Err(Full::Address);
        }
        if let Some(before) = taken.leave(device) {
            before.replaced.notify_one();
        }
        taken.next += 1;
        let (id, replaced) = (taken.next, Arc::new(Notify::new()));
        taken.devices.insert(device, Sitting { id, address, replaced: replaced.clone() });
        *taken.addresses.entry(address).or_default() += 1;
        Ok(Seat { seats: self.clone(), id, device, replaced })
    }
}

impl Seat {
    /// Done once the device has connected anew.
    pub async fn replaced(&self) {
        self.replaced.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = lock(&self.seats.taken);
        if taken.devices.get(&self.device).is_some_and(|sitting| sitting.id == self.id) {
            taken.leave(self.device);
        }
    }
}

/// What is counted as one address: an IPv4 address, or the /64 that one IPv6 customer holds (RFC 6177).
pub fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> 64 << 64).into()),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn attempts_are_counted_by_what_one_customer_holds() {
        let counted = |text: &str| counted(text.parse().expect("an address"));
        assert_eq!(counted("2001:db8:1:2:3::4"), counted("2001:db8:1:2:ffff::"));
        assert_ne!(counted("2001:db8:1:2::1"), counted("2001:db8:1:3::1"));
        assert_eq!(counted("::ffff:192.0.2.7"), counted("192.0.2.7"));
        assert_ne!(counted("192.0.2.7"), counted("192.0.2.8"));
    }

    #[test]
    fn a_minutes_worth_comes_at_once_and_the_rest_at_its_pace() {
        let pace = Pace::per_minute(60);
        let now = Duration::from_secs(1_000);
        assert!((0..60).all(|_| pace.ask(1, now).is_ok()));
        assert_eq!(pace.ask(1, now), Err(Duration::from_secs(1)));
        assert_eq!(pace.ask(2, now), Ok(()), "another key has its own");
        assert_eq!(pace.ask(1, now + 999 * MS), Err(MS));
        assert_eq!(pace.ask(1, now + 1_000 * MS), Ok(()));
        assert_eq!(pace.charge(3, 90, now), Duration::from_secs(30), "a debt is waited for");
        assert_eq!(pace.charge(3, 0, now + Duration::from_secs(31)), Duration::ZERO);
        let free = Pace::per_minute(0);
        assert!((0..1_000).all(|_| free.ask(1, now).is_ok() && free.charge(1, u32::MAX, now).is_zero()));
    }

    #[test]
    fn the_memory_of_who_came_stays_bounded_and_keeps_the_busiest() {
        let pace = Pace::bounded(10, 100);
        let now = Duration::from_secs(5);
        assert!((0..10).all(|_| pace.ask(u32::MAX, now).is_ok()));
        for key in 0..100_000 {
            assert_eq!(pace.ask(key, now), Ok(()));
            assert!(lock(&pace.used).len() <= 100);
        }
        assert!(pace.ask(u32::MAX, now).is_err(), "who tried most is not forgotten for those who tried once");
        assert_eq!(pace.ask(200_000, now + Duration::from_secs(3_600)), Ok(()));
        assert_eq!(lock(&pace.used).len(), 1, "who has rested is forgotten first");
    }

    /// Two devices and a relay that reads one message of each that may be read in a round of one
    /// millisecond: the time is the round's number, nothing is measured.
    #[test]
    fn a_flood_slows_its_own_device_only_and_loses_nothing() {
        let pace = Pace::per_minute(600);
        let mut waiting: HashMap<&str, VecDeque<u32>> =
            HashMap::from([("flood", (0..2_000).collect()), ("calm", (0..100).collect())]);
        let mut rests: HashMap<&str, Duration> = HashMap::new();
        let mut read: HashMap<&str, Vec<u32>> = HashMap::new();
        let mut finished = HashMap::new();
        let mut round = 0;
        while finished.len() < 2 {
            round += 1;
            let now = MS * round;
            for device in ["flood", "calm"] {
                if rests.get(device).is_some_and(|until| *until > now) {
                    continue;
                }
                let Some(message) = waiting.get_mut(device).and_then(VecDeque::pop_front) else {
                    finished.entry(device).or_insert(round);
                    continue;
                };
                read.entry(device).or_default().push(message);
                rests.insert(device, now + pace.charge(device, 1, now));
            }
        }
        assert_eq!(finished["calm"], 101, "a message in each round, as if it were alone");
        assert_eq!(read["calm"], (0..100).collect::<Vec<_>>());
        assert_eq!(read["flood"], (0..2_000).collect::<Vec<_>>(), "all, in its order");
        // 600 at once, then ten a second.
        assert!((139_000..=141_000).contains(&finished["flood"]), "{finished:?}");
    }

    fn device(n: u8) -> DeviceId {
        DeviceId::from_bytes([n; 16])
    }
    fn seats(connections_max: usize, connections_per_address: usize) -> Arc<Seats> {
        Seats::of(&Config { connections_max, connections_per_address, ..Config::default() })
    }

    #[tokio::test]
    async fn a_device_that_connects_anew_takes_its_own_seat_over() {
        let seats = seats(1, 1);
        let (home, road) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let first = seats.take(device(1), home).expect("a free seat");
        assert_eq!(seats.take(device(2), road).unwrap_err(), Full::Everywhere);
        let second = seats.take(device(1), road).expect("its own seat");
        first.replaced().await;
        drop(first);
        assert_eq!(seats.take(device(2), home).unwrap_err(), Full::Everywhere, "the seat is still taken");
        drop(second);
        let _other = seats.take(device(2), home).expect("given back");
        let taken = lock(&seats.taken);
        assert_eq!((taken.devices.len(), taken.addresses.len()), (1, 1), "nothing is left behind");
    }

    #[test]
    fn an_address_has_so_many_seats_and_another_has_its_own() {
        let seats = seats(100, 2);
        let (here, there) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let kept: Vec<_> = (1..=2).map(|n| seats.take(device(n), here).expect("a seat")).collect();
        assert_eq!(seats.take(device(3), here).unwrap_err(), Full::Address);
        assert!(seats.take(device(2), here).is_ok(), "a device's own seat");
        assert!(seats.take(device(4), there).is_ok());
        drop(kept);
        assert!(seats.take(device(3), here).is_ok());
    }
}
