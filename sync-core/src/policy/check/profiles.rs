//! The shipped profiles against the regulations: the order of the steps and every number, document, check,
//! grade and measure that a section names; that each clause names its section; and that none of the
//! twenty-one sections is left out.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{NaiveTime, Weekday};

use super::{SHIPPED, shipped};
use crate::ids::Name;
use crate::policy::model::{EvidenceKind, MeasureForm, Policy, RuleForm, Step, Subject};

fn policy(name: &str) -> Policy {
    Policy::parse(shipped(name).unwrap_or_else(|| panic!("{name} is not shipped"))).unwrap()
}
fn step<'p>(policy: &'p Policy, flow: &str, id: &str) -> &'p Step {
    let known = policy.flows.get(flow).and_then(|flow| flow.step(id));
    known.unwrap_or_else(|| panic!("{}: no step {id} in {flow}", policy.name))
}
fn form<'p>(policy: &'p Policy, id: &str) -> &'p RuleForm {
    &policy.rules.iter().find(|rule| rule.id == *id).unwrap_or_else(|| panic!("no rule {id}")).form
}
fn name(text: &str) -> Name {
    text.parse().unwrap()
}
fn names<'n>(names: impl IntoIterator<Item = &'n Name>) -> Vec<&'n str> {
    names.into_iter().map(Name::as_str).collect()
}
fn time(text: &str) -> NaiveTime {
    text.parse().unwrap()
}

/// The steps that must all stand before this one, however far back.
fn before<'p>(policy: &'p Policy, flow: &str, id: &str) -> BTreeSet<&'p str> {
    let mut found = BTreeSet::new();
    let mut open = vec![step(policy, flow, id)];
    while let Some(next) = open.pop() {
        for earlier in next.after.iter().filter(|earlier| found.insert(earlier.as_str())) {
            open.push(step(policy, flow, earlier.as_str()));
        }
    }
    found
}

/// Section, profile, flow, and steps of which none can be recorded before the one that it follows here.
const ORDERS: &[(u8, &str, &str, &[&str])] = &[
    (1, "service-centre", "complaint", &["recorded", "investigated", "proposed", "solved", "answered"]),
    (1, "service-centre", "problem-list", &["listed", "fed-back"]),
    (
        2,
        "foreign-trade",
        "order",
        &["handed-in", "filed", "in-production", "inspected", "shipped", "settled"],
    ),
    (2, "foreign-trade", "order", &["filed", "documents-complete", "freight-arranged", "shipped"]),
    (2, "foreign-trade", "complaint", &["recorded", "proposed", "answered"]),
    (3, "furniture", "innovation", &["proposed", "adopted"]),
    (4, "service-centre", "appraisal", &["rated", "published", "analysed"]),
    (
        5,
        "service-centre",
        "repair",
        &["requested", "recorded", "diagnosed", "agreed", "repaired", "accepted", "surveyed"],
    ),
    (
        5,
        "service-centre",
        "training",
        &["requested", "arranged", "trained", "questioned", "answered", "summarised"],
    ),
    (5, "service-centre", "replacement", &["requested", "arranged", "replaced", "accepted", "surveyed"]),
    (
        5,
        "furniture",
        "repair",
        &["requested", "recorded", "diagnosed", "agreed", "repaired", "accepted", "surveyed"],
    ),
    (5, "furniture", "replacement", &["requested", "arranged", "replaced", "accepted", "surveyed"]),
    (6, "general", "order", &["placed", "progress-verified"]),
    (6, "general", "order", &["placed", "progress-told"]),
    (6, "general", "summary", &["written", "shared"]),
    (7, "general", "order", &["handed-in", "reviewed", "placed"]),
    (7, "general", "complaint", &["recorded", "investigated", "proposed", "answered"]),
    (7, "foreign-trade", "complaint", &["recorded", "investigated", "proposed", "answered"]),
    (7, "general", "request", &["raised", "answered"]),
    (8, "general", "visit", &["visited", "fed-back"]),
    (9, "general", "opportunity", &["needs", "presented", "quoted", "contract"]),
    (9, "general", "weekly-report", &["reported", "read"]),
    (9, "general", "target", &["set", "planned", "published", "attained"]),
    (9, "general", "service", &["recorded", "diagnosed", "solved"]),
    (
        10,
        "dyeing",
        "order",
        &["reviewed", "planned", "placed", "in-production", "produced", "counted", "inspected"],
    ),
    (10, "dyeing", "order", &["inspected", "delivery-agreed", "delivered"]),
    (10, "dyeing", "complaint", &["recorded", "reported", "approved", "answered"]),
    (10, "dyeing", "help", &["recorded", "reported", "approved", "answered"]),
    (
        11,
        "service-centre",
        "service",
        &["received", "classified", "customer-told", "performed", "followed-up", "reported-back"],
    ),
    (12, "service-centre", "survey-round", &["asked", "analysed", "ended"]),
    (12, "service-centre", "service-report", &["counted", "reported", "ended"]),
    (13, "general", "order", &["handed-in", "refused"]),
    (
        13,
        "general",
        "order",
        &["reviewed", "planned", "complete", "dispatched", "delivered", "settled", "archived"],
    ),
    (13, "general", "order", &["dispatched", "freight-tracked"]),
    (
        14,
        "logistics",
        "order",
        &["handed-in", "reviewed", "produced", "loaded", "out-for-delivery", "delivered"],
    ),
    (14, "logistics", "complaint", &["recorded", "measured", "proposed", "approved"]),
    (14, "logistics", "feedback", &["collected", "passed-on", "followed-up"]),
    (15, "general", "order", &["handed-in", "negotiated"]),
    (15, "general", "order", &["reviewed", "planned", "dispatched", "delivered", "settled"]),
    (15, "general", "order", &["outsourcing-planned", "outsourcing-issued", "outsourcing-tracked"]),
    (15, "general", "order", &["outsourcing-issued", "outsourcing-received"]),
    (16, "general", "order", &["planned", "progress-reported"]),
    (16, "general", "order", &["delivered", "settled", "archived"]),
    (17, "general", "project", &["needs", "assessed", "applied", "approved", "contract-kept", "planned"]),
    (17, "general", "project", &["planned", "quality-checked", "delivered", "surveyed"]),
    (18, "general", "order", &["handed-in", "doubt-cleared"]),
    (18, "general", "order", &["handed-in", "reviewed", "placed"]),
    (
        19,
        "garment",
        "order",
        &[
            "broken-down",
            "scheduled",
            "sample-made",
            "sample-approved",
            "placed",
            "in-production",
            "produced",
            "inspected",
        ],
    ),
    (20, "foreign-trade", "custody", &["received", "stored", "return-asked", "returned"]),
    (20, "foreign-trade", "custody", &["stored", "kept"]),
    (20, "foreign-trade", "custody", &["received", "lost", "compensated"]),
    (20, "foreign-trade", "visit", &["arrived", "accompanied"]),
    (20, "foreign-trade", "visit", &["arrived", "departed"]),
    (20, "foreign-trade", "order", &["inspected", "gate-pass", "shipped"]),
    (20, "foreign-trade", "carry-out", &["requested", "gate-pass", "left"]),
    (
        21,
        "furniture",
        "order",
        &["handed-in", "reviewed", "notice", "placed", "stocked-in", "complete", "delivery-note"],
    ),
    (21, "furniture", "order", &["delivery-note", "fetched", "delivered", "installed"]),
    (21, "furniture", "order", &["reviewed", "reconfirmed"]),
    (21, "furniture", "return", &["requested", "recorded", "confirmed", "taken-back", "refunded"]),
];

#[test]
fn the_steps_of_every_section_can_be_recorded_in_its_order_only() {
    let policies: BTreeMap<&str, Policy> = SHIPPED.iter().map(|(name, _)| (*name, policy(name))).collect();
    for (section, profile, flow, steps) in ORDERS {
        let policy = &policies[profile];
        for pair in steps.windows(2) {
            let [first, next] = pair else { continue };
            let earlier = before(policy, flow, next);
            assert!(earlier.contains(first), "S{section}: {profile} {flow}: {next} does not need {first}");
        }
    }
    let told: BTreeSet<u8> = ORDERS.iter().map(|(section, ..)| *section).collect();
    assert_eq!(told, (1..=21).collect());
}

/// The sections that a clause names, such as 5 and 21 for `S5 第九条;S21 售后问题`.
fn sections(clause: &str) -> BTreeSet<u32> {
    let number = |after: &str| {
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    clause.split('S').skip(1).filter_map(number).collect()
}

/// Every clause of a profile's text.
fn clauses(value: &toml::Value, found: &mut Vec<String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                match value {
                    toml::Value::String(clause) if key == "clause" => found.push(clause.clone()),
                    _ => clauses(value, found),
                }
            }
        }
        toml::Value::Array(array) => array.iter().for_each(|value| clauses(value, found)),
        _ => {}
    }
}

#[test]
fn every_clause_names_a_section_and_every_section_is_named() {
    let mut named = BTreeSet::new();
    for (profile, toml) in SHIPPED {
        let mut found = Vec::new();
        clauses(&toml::from_str(toml).unwrap(), &mut found);
        assert!(found.len() > 50, "{profile}");
        for clause in found {
            let of = sections(&clause);
            assert!(!of.is_empty(), "{profile}: {clause} names no section");
            assert!(of.iter().all(|section| (1..=21).contains(section)), "{profile}: {clause}");
            named.extend(of);
        }
    }
    assert_eq!(named, (1..=21).collect());
}

#[test]
fn each_section_is_worked_by_the_profile_of_its_company() {
    let companies: &[(&str, &[u32])] = &[
        ("furniture", &[3, 5, 6, 8, 21]),
        ("foreign-trade", &[2, 7, 20]),
        ("dyeing", &[10]),
        ("garment", &[19]),
        ("logistics", &[14]),
        ("service-centre", &[1, 4, 5, 11, 12]),
        ("general", &[3, 6, 7, 8, 9, 13, 15, 16, 17, 18]),
    ];
    assert_eq!(companies.len(), SHIPPED.len());
    for (profile, expected) in companies {
        let mut found = Vec::new();
        clauses(&toml::from_str(shipped(profile).unwrap()).unwrap(), &mut found);
        let named: BTreeSet<u32> = found.iter().flat_map(|clause| sections(clause)).collect();
        assert!(expected.iter().all(|section| named.contains(section)), "{profile}: {named:?}");
    }
}

#[test]
fn s3_every_profile_takes_conduct_from_the_superior_over_hr_to_the_person_and_an_appeal_in_5_working_days() {
    for (profile, _) in SHIPPED {
        let policy = policy(profile);
        let flow = &policy.flows["conduct"];
        assert_eq!(flow.subject, Subject::Conduct);
        let ids = ["proposed", "reviewed", "notified", "published", "appealed", "decided", "closed"];
        assert_eq!(names(flow.steps.iter().map(|step| &step.id)), ids, "{profile}");
        for pair in [&ids[..4], &ids[3..4], &["notified", "appealed", "decided"], &["published", "closed"]] {
            for two in pair.windows(2) {
                assert!(before(&policy, "conduct", two[1]).contains(two[0]), "{profile}: {two:?}");
            }
        }
        let of = |id: &str| step(&policy, "conduct", id);
        assert_eq!(names(&of("reviewed").by), ["hr"]);
        assert_eq!(names(&of("appealed").by), ["concerned"]);
        let until = of("appealed").until.as_ref().unwrap();
        assert_eq!((until.after.as_str(), until.working_days), ("notified", 5));
        assert_eq!(of("notified").evidence, [EvidenceKind::TextMessage]);
        assert!(of("published").seal && of("appealed").optional && of("decided").optional);
        assert!(of("closed").closes && !of("closed").optional);
        let keeps =
            policy.roles.iter().filter(|(_, role)| role.may.contains(&crate::policy::model::Power::Conduct));
        assert_eq!(names(keeps.map(|(role, _)| role)), ["hr", "management"], "{profile}");
        let rewards = names(policy.rewards.iter().map(|reward| &reward.id));
        assert!(["best-of-the-month", "best-of-the-year"].iter().all(|id| rewards.contains(id)), "{profile}");
    }
}

#[test]
fn calendars_and_windows_say_the_hours_of_their_sections() {
    let week = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri, Weekday::Sat];
    for (profile, days) in [("service-centre", 5), ("general", 5), ("foreign-trade", 6)] {
        let calendar = policy(profile).calendar;
        assert_eq!(calendar.days, week[..days], "{profile}");
        let minutes: i64 = calendar.hours.iter().map(|period| (period.to - period.from).num_minutes()).sum();
        assert_eq!(minutes, 8 * 60, "{profile}");
    }
    let trade = policy("foreign-trade");
    assert_eq!(trade.windows["work"].to, time("22:30:00"));
    let RuleForm::OutsideWindow { step, window, .. } = form(&trade, "overtime-too-late") else { panic!() };
    assert_eq!((step.as_str(), window.as_str()), ("any", "work"));
    let furniture = policy("furniture");
    for (window, from, to, days) in [
        ("intake", "17:00:00", "18:00:00", None),
        ("placing", "17:00:00", "18:00:00", None),
        ("after-sales", "15:00:00", "17:00:00", None),
        ("returns", "00:00:00", "23:59:59.999", Some((15, 20))),
    ] {
        let window = &furniture.windows[window];
        assert_eq!((window.from, window.to, window.days_of_month), (time(from), time(to), days));
    }
}

#[test]
fn s21_every_amount_and_number_of_days_is_the_regulations_own() {
    let policy = policy("furniture");
    let fifty = || Some("50".to_owned());
    let outside =
        |step, window, amount| RuleForm::OutsideWindow { step: name(step), window: name(window), amount };
    for (id, expected) in [
        ("insertion", outside("handed-in", "intake", fifty())),
        ("placing-outside-hours", outside("notice", "placing", None)),
        ("after-sales-outside-hours", outside("recorded", "after-sales", None)),
        ("returns-outside-days", outside("confirmed", "returns", None)),
        ("placed-late", RuleForm::LeadTime { step: name("placed"), amount: None }),
        (
            "placing-due",
            RuleForm::Reminder { step: name("notice"), remind: name("reminded"), amount: fifty() },
        ),
        (
            "fetched-late",
            RuleForm::Within {
                from: name("delivery-note"),
                until: name("fetched"),
                days: 3,
                amount: Some("10".into()),
                doubling: true,
                excused_by: Some(name("overbooked")),
            },
        ),
        (
            "not-placed",
            RuleForm::Mistake { step: name("not-placed"), once: fifty(), each_item_after: [].into() },
        ),
        (
            "wrong-order",
            RuleForm::Mistake {
                step: name("wrong-order"),
                once: None,
                each_item_after: [
                    (name("delivery-note"), "30".to_owned()),
                    (name("fetched"), "50".to_owned()),
                ]
                .into(),
            },
        ),
    ] {
        assert_eq!(form(&policy, id), &expected, "{id}");
    }
    assert_eq!((policy.materials["panel"].lead_days, policy.materials["solid"].lead_days), (5, 10));
    let notice = step(&policy, "order", "notice");
    assert!(notice.paid && notice.evidence == [EvidenceKind::TextMessage]);
}

#[test]
fn documents_checks_and_signatures_are_those_that_a_section_names() {
    let (trade, general) = (policy("foreign-trade"), policy("general"));
    let documents = names(&step(&trade, "order", "documents-complete").documents);
    assert_eq!(documents, ["contract", "packing-list", "invoice"], "S2 第三章 3");
    let checks = names(&step(&general, "order", "reviewed").checks);
    assert_eq!(checks, ["quantity", "delivery-date", "quality", "capacity", "cost", "cycle"], "S15 三");
    assert_eq!(names(&step(&general, "opportunity", "contract").documents), ["contract"], "S9 1.2");
    assert_eq!(names(&step(&general, "project", "contract-kept").documents), ["contract"], "S17 2.1 (5)");
    assert_eq!(names(&step(&general, "order", "refused").values), ["amend"], "S13 第六条 3");
    assert_eq!(names(&step(&policy("dyeing"), "order", "placed").documents), ["task-sheet"], "S10 四.3");
    let report = step(&general, "weekly-report", "reported");
    assert_eq!(names(&report.values), ["amount", "feedback", "market"], "S9 1.6 (1)");
    for profile in ["service-centre", "furniture"] {
        let policy = policy(profile);
        let signed = |flow: &str| {
            let signed = policy.flows[flow].steps.iter().filter(|step| step.signature);
            signed.map(|step| step.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(signed("repair"), ["agreed", "accepted"], "S5 第七条 4、6");
        assert_eq!(signed("replacement"), ["accepted"], "S5 第九条 4");
    }
}

#[test]
fn what_must_be_told_in_time_is_told_to_whom_the_section_says() {
    for (profile, id, from, until, tell) in [
        ("general", "refusal-not-reported", "refused", "escalated", Some("management")),
        ("general", "refusal-not-told", "refused", "contact", Some("supervisor")),
        ("logistics", "exception-not-reported", "exception", "escalated", Some("management")),
        ("dyeing", "complaint-not-reported", "recorded", "reported", Some("management")),
        ("service-centre", "result-not-told", "solved", "answered", Some("supervisor")),
        ("service-centre", "not-followed-up", "performed", "followed-up", Some("supervisor")),
    ] {
        let policy = policy(profile);
        let RuleForm::WithinHours { from: a, until: b, escalate_to, .. } = form(&policy, id) else {
            panic!("{id}")
        };
        let told = (a.as_str(), b.as_str(), escalate_to.as_ref().map(Name::as_str));
        assert_eq!(told, (from, until, tell), "{profile} {id}");
    }
    for (profile, id, from, step, days, times) in [
        ("general", "weekly-report-due", "opened", "reported", 7, 52),
        ("general", "return-visit-due", "delivered", "contact", 30, 3),
        ("logistics", "return-visit-due", "delivered", "contact", 30, 3),
        ("general", "customer-visit-due", "opened", "visited", 30, 12),
    ] {
        let expected = RuleForm::Every { from: name(from), step: name(step), days, times };
        assert_eq!(form(&policy(profile), id), &expected, "{profile} {id}");
    }
}

#[test]
fn penalties_and_rewards_are_graded_as_the_sections_say() {
    let ids = |profile: &str| policy(profile).penalties.iter().map(|g| g.id.to_string()).collect::<Vec<_>>();
    let office = ["verbal-warning", "written-warning", "suspension", "demotion", "dismissal"];
    assert_eq!(ids("service-centre"), office, "S1 第十九条");
    assert_eq!(ids("dyeing"), ["education", "warning", "fine", "on-file", "demotion", "dismissal"], "S10 六");
    for profile in ["furniture", "general", "foreign-trade", "garment", "logistics"] {
        let found = ids(profile);
        for grade in ["written-warning", "demerit", "fine", "internal-training", "demotion"] {
            assert!(found.iter().any(|id| id == grade), "S3 三: {profile} has no {grade}");
        }
    }
    for profile in ["furniture", "general"] {
        let rewards = policy(profile).rewards;
        let first = names(rewards.iter().map(|reward| &reward.id).take(3));
        assert_eq!(first, ["best-of-the-month", "best-of-the-year", "adopted-proposal"], "S3 二");
        let RuleForm::LateDelivery { step, grades } = form(&policy(profile), "late-delivery").clone() else {
            panic!("another form")
        };
        assert_eq!(step, name("delivered"));
        // 罚款或降职: the later, the heavier.
        assert!(grades.windows(2).all(|pair| pair[0].days < pair[1].days));
        assert_eq!(grades.last().unwrap().penalty, Some(name("demotion")), "S3 三.3");
        assert!(grades[0].amount.is_some());
    }
}

#[test]
fn measures_are_those_of_the_section_and_what_a_superior_rates_stands_in_the_appraisal() {
    use MeasureForm::{
        Complaints, Completed, CompletionRate, ContractRate, OnTimeRate, Rated, ResponseHours, SalesAmount,
        Satisfaction, SolutionHours,
    };
    for (section, profile, forms) in [
        (
            "S16 5",
            "general",
            &[Completed, CompletionRate, OnTimeRate, SolutionHours, Satisfaction, Rated][..],
        ),
        ("S9 1.4", "general", &[SalesAmount, Satisfaction, ContractRate]),
        ("S3 四", "general", &[CompletionRate, Satisfaction, Complaints, Rated]),
        ("S3 四", "furniture", &[CompletionRate, Satisfaction, Complaints, Rated]),
        ("S7 第十条", "general", &[CompletionRate, Satisfaction, ResponseHours, Rated]),
        ("S7 第十条", "foreign-trade", &[CompletionRate, Satisfaction, ResponseHours, Rated]),
        ("S4 第二十条", "service-centre", &[Satisfaction, ResponseHours, SolutionHours]),
    ] {
        let policy = policy(profile);
        for form in forms {
            let of = policy.measures.values().filter(|measure| measure.form == *form);
            let named = of.clone().any(|measure| measure.clause.contains(section));
            assert!(named, "{profile}: {section} asks for {form:?}");
        }
    }
    for (profile, _) in SHIPPED {
        let policy = policy(profile);
        let rated = policy.measures.iter().filter(|(_, measure)| measure.form == Rated);
        let asked: BTreeSet<&Name> = step(&policy, "appraisal", "rated").values.iter().collect();
        assert_eq!(rated.map(|(name, _)| name).collect::<BTreeSet<_>>(), asked, "{profile}");
    }
}
