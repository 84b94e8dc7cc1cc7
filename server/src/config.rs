//! Configuration: defaults, then a TOML file, then `GENDAN_*` variables, then the command line. Every
//! value is checked before anything starts.

mod webhook;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

pub use webhook::{Secret, Webhook};

/// What is wrong with the configuration: which key, and what to write.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or variable does not have the right form.
    #[error("configuration: {0}")]
    Form(Box<figment::Error>),
    /// A value is out of range.
    #[error("configuration: {key}: {problem}")]
    Value {
        /// The key.
        key: &'static str,
        /// What is wrong and what to write.
        problem: String,
    },
}

/// The configuration of `gendan serve`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// PEM file of the TLS certificate chain.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub tls_key: Option<PathBuf>,
    /// Plain HTTP also on other addresses than loopback, such as behind a proxy that ends TLS.
    pub allow_plain: bool,
    /// How long a token lives, in seconds (60 to 86,400).
    pub token_s: u32,
    /// How long an enrolment code may be used, in hours (1 to 720).
    pub enrolment_h: u32,
    /// How long a device may be used without being seen, in days (1 to 365).
    pub lease_days: u32,
    /// `text` or `json`.
    pub log_format: LogFormat,
    /// What is logged, as `tracing` filters write it, such as `info` or `gendan_server=debug`.
    pub log_level: String,
    /// Bytes of a request body that is not a sheet (1,024 to 16,777,216).
    pub body_bytes_max: usize,
    /// Devices connected at once (1 to 100,000).
    pub connections_max: usize,
    /// Devices connected at once from one address: an IPv4 address or an IPv6 /64 (0 to 100,000). 0 does
    /// not count, such as behind a proxy, where all come from its address.
    pub connections_per_address: usize,
    /// Requests in a minute from one address (0 to 1,000,000); a minute's worth may come at once. 0 does
    /// not count.
    pub requests_per_minute: u32,
    /// Frames and changes that are read from one device in a minute (0 to 1,000,000); a minute's worth
    /// may come at once, the rest is read more slowly. 0 does not count.
    pub changes_per_minute: u32,
    /// Logins and enrolments tried in a minute by one address (1 to 10,000).
    pub attempts_per_minute: u32,
    /// The S3 bucket for photos and files; without one they stand in the data folder. Its keys are read
    /// from `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, never from a file.
    pub s3_bucket: Option<String>,
    /// Address of an S3-compatible service, such as `https://oss-cn-hangzhou.aliyuncs.com`.
    pub s3_endpoint: Option<String>,
    /// The bucket's region.
    pub s3_region: String,
    /// Where notices are told outside (at most 16).
    pub webhooks: Vec<Webhook>,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7420)),
            tls_certificate: None,
            tls_key: None,
            allow_plain: false,
            token_s: 600,
            enrolment_h: 24,
            lease_days: 14,
            log_format: LogFormat::Text,
            log_level: "info".into(),
            body_bytes_max: 1024 * 1024,
            connections_max: 10_000,
            connections_per_address: 2_000,
            requests_per_minute: 12_000,
            changes_per_minute: 12_000,
            attempts_per_minute: 30,
            s3_bucket: None,
            s3_endpoint: None,
            s3_region: "us-east-1".into(),
            webhooks: Vec::new(),
        }
    }
}

impl Config {
    /// Reads the configuration; `listen` from the command line goes over all else.
    pub fn read(file: Option<&Path>, listen: Option<SocketAddr>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            figment = figment.merge(Toml::file_exact(file));
        }
        let own = Env::prefixed("GENDAN_").ignore(&["data", "config", "json", "password", "test_clock"]);
        // Secrets of webhooks have variables of their own, which are no keys.
        figment = figment.merge(own.filter(|key| !key.starts_with(webhook::SECRETS)));
        let mut config: Self = figment.extract().map_err(|e| ConfigError::Form(Box::new(e)))?;
        config.listen = listen.unwrap_or(config.listen);
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let range = |key, value: u64, from: u64, to: u64| {
            let problem = format!("{value} is out of range; write a number from {from} to {to}");
            if (from..=to).contains(&value) { Ok(()) } else { Err(ConfigError::Value { key, problem }) }
        };
        range("token_s", self.token_s.into(), 60, 86_400)?;
        range("enrolment_h", self.enrolment_h.into(), 1, 720)?;
        range("lease_days", self.lease_days.into(), 1, 365)?;
        range("body_bytes_max", self.body_bytes_max as u64, 1_024, 16 * 1024 * 1024)?;
        range("connections_max", self.connections_max as u64, 1, 100_000)?;
        range("connections_per_address", self.connections_per_address as u64, 0, 100_000)?;
        range("requests_per_minute", self.requests_per_minute.into(), 0, 1_000_000)?;
        range("changes_per_minute", self.changes_per_minute.into(), 0, 1_000_000)?;
        range("attempts_per_minute", self.attempts_per_minute.into(), 1, 10_000)?;
        self.check_bucket()?;
        let problem = |problem| ConfigError::Value { key: "webhooks", problem };
        webhook::check(&self.webhooks).map_err(problem)?;
        if self.tls_certificate.is_some() != self.tls_key.is_some() {
            let problem = "tls_certificate and tls_key go together; write both or none".into();
            return Err(ConfigError::Value { key: "tls_key", problem });
        }
        for (key, file) in [("tls_certificate", &self.tls_certificate), ("tls_key", &self.tls_key)] {
            if let Some(file) = file.as_ref().filter(|f| !f.is_file()) {
                return Err(ConfigError::Value { key, problem: format!("{} is not a file", file.display()) });
            }
        }
        let plain = self.tls_certificate.is_none() && !self.listen.ip().is_loopback();
        if plain && !self.allow_plain {
            let problem = format!(
                "{} without TLS would send names and addresses in the clear; write tls_certificate and \
                 tls_key, or allow_plain = true behind a proxy that ends TLS",
                self.listen
            );
            return Err(ConfigError::Value { key: "listen", problem });
        }
        Ok(())
    }

    fn check_bucket(&self) -> Result<(), ConfigError> {
        let Some(endpoint) = &self.s3_endpoint else { return Ok(()) };
        if self.s3_bucket.is_none() {
            let problem = "an endpoint without a bucket; write s3_bucket too".into();
            return Err(ConfigError::Value { key: "s3_endpoint", problem });
        }
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        let plain = local.iter().any(|l| {
            endpoint.strip_prefix(l).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
        });
        if !endpoint.starts_with("https://") && !plain && !self.allow_plain {
            let problem = format!(
                "{endpoint} would send photos and keys in the clear; write an https:// address, or \
                 allow_plain = true within a network of your own"
            );
            return Err(ConfigError::Value { key: "s3_endpoint", problem });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("gendan.toml");
        std::fs::write(&file, toml).unwrap();
        Config::read(Some(&file), None).map_err(|e| e.to_string())
    }

    #[test]
    fn every_bad_value_is_told_with_its_key_and_what_to_write() {
        assert_eq!(read("").unwrap(), Config::default());
        for (toml, key, words) in [
            ("token_s = 5", "token_s", "from 60 to 86400"),
            ("changes_per_minute = 2000000", "changes_per_minute", "from 0 to 1000000"),
            ("lease_days = 0", "lease_days", "from 1 to 365"),
            ("listen = \"0.0.0.0:80\"", "listen", "allow_plain"),
            ("tls_key = \"k.pem\"", "tls_key", "go together"),
            ("tls_key = \"k.pem\"\ntls_certificate = \"c.pem\"", "tls_certificate", "not a file"),
            ("listen = \"home\"", "listen", "socket address"),
            ("nonsense = 1", "nonsense", "unknown field"),
            ("s3_endpoint = \"https://s3.example\"", "s3_endpoint", "s3_bucket"),
            ("s3_bucket = \"b\"\ns3_endpoint = \"http://s3.example\"", "s3_endpoint", "https://"),
            ("s3_bucket = \"b\"\ns3_endpoint = \"http://localhost.example\"", "s3_endpoint", "https://"),
            ("log_format = \"xml\"", "log_format", "expected"),
            ("[[webhooks]]\nname = \"a\"\nurl = \"http://example.com/\"", "webhooks", "https://"),
            ("[[webhooks]]\nname = \"a\"\nurl = \"https://h/\"\nretries = 3", "webhooks", "unknown field"),
        ] {
            let error = read(toml).unwrap_err();
            assert!(error.contains(key) && error.contains(words), "{toml}: {error}");
        }
        assert!(read("listen = \"0.0.0.0:80\"\nallow_plain = true").is_ok());
    }
}
