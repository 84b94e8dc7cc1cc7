//! A webhook beside the kills: whatever the office's inbox shows, its receiver was told, however often the
//! relay died over it and however often the receiver failed.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::process::{Place, ask};
use crate::receiver::{Receiver, SECRET};

/// After so many looks nothing is on its way any more: a receiver that failed is asked again within seconds.
const LOOKS: u32 = 360;
const PAUSE: Duration = Duration::from_millis(500);

/// The receiver, and what it was told.
#[derive(Debug)]
pub(super) struct Told {
    receiver: Receiver,
    ids: BTreeSet<String>,
}

impl Told {
    /// A receiver, and the configuration of a relay that tells it of exceptions.
    pub(super) fn open(place: &Place) -> anyhow::Result<Self> {
        let receiver = Receiver::start(false);
        let secret = place.folder.join("secret");
        std::fs::write(&secret, SECRET)?;
        let (url, secret) = (&receiver.url, secret.display());
        let config = format!(
            "[[webhooks]]\nname = \"kills\"\nurl = \"{url}\"\nsecret_file = \"{secret}\"\nkinds = [\"exception\"]\n"
        );
        std::fs::write(place.config(), config)?;
        Ok(Self { receiver, ids: BTreeSet::new() })
    }

    /// The next answer is a failure.
    pub(super) fn fail_once(&self) {
        self.receiver.answers(&["500 Internal Server Error"]);
    }

    /// The ids of so many exceptions, which the inbox shows in the end, that were not told.
    pub(super) fn missing(
        &mut self,
        address: std::net::SocketAddr,
        token: &str,
        reported: usize,
    ) -> anyhow::Result<Vec<String>> {
        let (mut untold, mut known) = (Vec::new(), 0);
        for _ in 0..LOOKS {
            let heard = self.receiver.all();
            self.ids.extend(heard.iter().filter_map(|s| Some(s.json()["data"]["id"].as_str()?.to_owned())));
            let shown = exceptions(address, token)?;
            (untold, known) = (shown.difference(&self.ids).cloned().collect(), shown.len());
            if untold.is_empty() && known >= reported {
                break;
            }
            std::thread::sleep(PAUSE);
        }
        ensure!(known >= reported, "{reported} exceptions were reported, the inbox shows {known}");
        Ok(untold)
    }
}

/// The ids of the exceptions in the inbox.
fn exceptions(address: std::net::SocketAddr, token: &str) -> anyhow::Result<BTreeSet<String>> {
    let (mut ids, mut path) = (BTreeSet::new(), "/v1/notices?limit=200".to_owned());
    loop {
        let (status, page) = ask(address, "GET", &path, token, &Value::Null)?;
        ensure!(status == 200, "{path}: {status} {page}");
        let rows = page["rows"].as_array().context("rows")?;
        let exceptions = rows.iter().filter(|row| row["kind"] == *"exception");
        ids.extend(exceptions.filter_map(|row| row["id"].as_str().map(str::to_owned)));
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/notices?limit=200&after={next}"),
            None => return Ok(ids),
        }
    }
}
