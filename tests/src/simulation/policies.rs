//! The two policies of a run: the one that it begins with, and the one that is published later.
//!
//! In: whether the seed draws papers (matters, records about people) and stocks. Out: policies. What they
//! say stands once more, by hand, in the table of the reference model ([`super::model`]).

use sync_core::policy::model::{EvidenceKind, Flow, Policy, Power};

use super::model::{BOSS, CREW, SALES};
use super::world::small_policy;

/// The policy that a run begins with.
pub fn first_policy(papers: bool) -> Policy {
    if !papers {
        return small_policy();
    }
    let text = concat!(include_str!("../../policies/small.toml"), include_str!("../../policies/papers.toml"));
    let mut policy: Policy = toml::from_str(text).expect("the small policy goes on with papers");
    let boss = policy.roles.get_mut(BOSS).expect("the small policy has management");
    boss.may.extend([Power::Conduct, Power::Stock, Power::Assess]);
    policy
}

/// The policy that comes later: other people may do what they may, and a signature needs a photo.
pub fn second_policy(papers: bool) -> Policy {
    let mut policy = first_policy(papers);
    let sales = policy.roles.get_mut(SALES).expect("the small policy has sales");
    sales.may.retain(|power| *power != Power::Money);
    sales.may.insert(Power::Assign);
    for step in policy.flows.values_mut().flat_map(|flow| &mut flow.steps) {
        if step.id.as_str() == "placed" {
            step.by.retain(|role| role.as_str() == BOSS);
        }
        if step.signature {
            step.evidence.push(EvidenceKind::Photo);
        }
    }
    if papers {
        other_hands(&mut policy);
    }
    policy
}

/// Sales keep the stock and see all records, of which they open none any more; crews open no matters.
fn other_hands(policy: &mut Policy) {
    let sales = policy.roles.get_mut(SALES).expect("the small policy has sales");
    sales.may.extend([Power::Conduct, Power::Stock]);
    let mut less = |flow: &str, role: &str| {
        let flow: &mut Flow = policy.flows.get_mut(flow).expect("a flow of the papers");
        flow.opened_by.retain(|other| other.as_str() != role);
    };
    less("visit", CREW);
    less("conduct", SALES);
    let report = policy.flows.get_mut("visit").and_then(|flow| flow.steps.first_mut());
    report.expect("a visit is reported").by.retain(|role| role.as_str() != SALES);
}
