//! `gendan init`: a company, its founder and its first policy.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use sync_core::ids::PersonId;
use sync_core::policy::check;
use sync_core::policy::publish::Published;

use super::Context;
use crate::faulty::Faulty;
use crate::identity::keys::KeyRing;
use crate::identity::passwords;
use crate::log::ChangeLog;
use crate::relay::found::{Founding, found};
use crate::relay::office::Clerk;

/// Found a company in an empty folder.
#[derive(Args)]
pub struct Init {
    /// The company's name.
    #[arg(long)]
    company: String,
    /// Staff number of the founder, who may do everything.
    #[arg(long, default_value = "M01")]
    number: String,
    /// The founder's name.
    #[arg(long)]
    name: String,
    /// The founder's office password (at least 10 characters).
    #[arg(long, env = "GENDAN_PASSWORD", hide_env_values = true)]
    password: String,
    /// The shipped policy to begin with: furniture, foreign-trade, dyeing, garment, logistics,
    /// service-centre or general.
    #[arg(long, default_value = "furniture")]
    profile: String,
    /// The founder's role in that policy.
    #[arg(long, default_value = "management")]
    role: String,
}

impl Init {
    /// Runs it.
    pub fn run(self, context: &Context) -> anyhow::Result<()> {
        let Some(toml) = check::shipped(&self.profile) else {
            bail!(
                "there is no profile {:?}; shipped are: {}",
                self.profile,
                check::SHIPPED.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            );
        };
        let policy = Faulty::check(&self.profile, toml)?;
        let role = self.role.parse().context("--role")?;
        if !policy.roles.contains_key(&role) {
            bail!("the profile {:?} has no role {role}", self.profile);
        }
        std::fs::create_dir_all(&context.data)?;
        let keys = KeyRing::create(&context.data)?;
        let person = PersonId::staffed(keys.company, &self.number);
        let (device, key) = keys.make_custodial(person)?;
        let mut chance = crate::clock::chance;
        let mut clerk = Clerk { person, device, key: &key, chance: &mut chance };
        let log: Arc<dyn ChangeLog> = context.log(&keys)?;
        let founding = Founding {
            name: self.company.clone(),
            number: self.number.clone(),
            person_name: self.name,
            role,
        };
        let now = context.clock.now();
        let published = Published::of(1, &policy);
        found(Arc::clone(&log), keys.company, &keys.company_key, &mut clerk, founding, &published, &now)?;
        passwords::set(log.as_ref(), person, &self.password, now.unix_ms())?;
        println!("公司「{}」已建立,制度为「{}」。", self.company, policy.title.zh);
        println!("Company {:?} founded under the policy {:?}.", self.company, policy.title.en);
        println!("下一步 / next: gendan serve --data {}", context.data.display());
        context.say(&serde_json::json!({ "company": keys.company.to_string(), "policy": self.profile }));
        Ok(())
    }
}
