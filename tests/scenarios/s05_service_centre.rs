//! S5 售后服务中心规章制度: repair, training and replacement, each in its own order, with the customer's signature.

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::fact::kinds::Outcome;
use sync_core::ids::{DocId, DocKind};
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

fn centre() -> Company {
    let mut centre = Company::under("service-centre");
    centre.people(&[
        ("K01", "service-desk", None),
        ("E01", "engineer", None),
        ("R01", "trainer", None),
        ("U01", "supervisor", None),
    ]);
    centre
}

fn asked(centre: &mut Company, flow: &str, number: &str) -> DocId {
    let fields = &[("customer", "何女士"), ("phone", "13800000000"), ("fault", "不制冷")];
    let wish = Opening { urgency: Some("normal"), channel: Some("phone"), fields, ..Opening::default() };
    let doc = centre.open("K01", flow, number, wish);
    centre.step("K01", doc, did("requested"));
    doc
}

/// A repair whose engineer stands at the customer's, without a connection from here on.
fn on_site(centre: &mut Company, number: &str) -> DocId {
    let doc = asked(centre, "repair", number);
    centre.step("K01", doc, did("recorded"));
    centre.assign("K01", doc, &["E01"], "2026-11-24", "repaired");
    centre.online();
    doc
}

#[test]
fn article_7_a_repair_runs_in_its_seven_steps_and_two_of_them_are_signed() {
    let mut centre = centre();
    let doc = on_site(&mut centre, "R1");
    assert_eq!(centre.refused_step("E01", doc, did("agreed").signed("何女士")), RefusalCode::StepOrder);
    centre.step("E01", doc, did("diagnosed").value("plan", "更换压缩机"));
    assert_eq!(centre.refused_step("E01", doc, did("repaired")), RefusalCode::StepOrder);
    assert_eq!(centre.refused_step("E01", doc, did("agreed")), RefusalCode::SignatureMissing);
    centre.step("E01", doc, did("agreed").signed("何女士"));
    centre.step("E01", doc, did("repaired"));
    assert_eq!(centre.refused_step("E01", doc, did("accepted")), RefusalCode::SignatureMissing);
    centre.step("E01", doc, did("accepted").signed("何女士"));
    // All of this was said in the basement; the office hears of it now.
    assert!(!centre.state(doc).did("diagnosed"));
    centre.online();
    assert_eq!(centre.refused_step("K01", doc, did("surveyed")), RefusalCode::ValueMissing);
    centre.step("K01", doc, did("surveyed").value("csat", "5"));
    centre.all_agree();
    let state = centre.state(doc);
    let steps: Vec<&str> = state.steps.iter().map(|s| s.what.step.as_str()).collect();
    let order = ["requested", "recorded", "diagnosed", "agreed", "repaired", "accepted", "surveyed"];
    assert_eq!(steps, order);
    let signed = state.steps.iter().filter(|s| s.what.signature.is_some());
    assert_eq!(signed.map(|s| s.what.step.as_str()).collect::<Vec<_>>(), ["agreed", "accepted"]);
    assert!(state.is_closed(centre.policy.flows.get(&name("repair"))));
}

#[test]
fn article_7_4_the_agreement_holds_what_was_on_the_screen_and_later_words_are_only_proposed() {
    let mut centre = centre();
    let doc = on_site(&mut centre, "R1");
    centre.edit("E01", doc, "plan", "更换压缩机,免费");
    centre.step("E01", doc, did("diagnosed").value("plan", "更换压缩机"));
    centre.step("E01", doc, did("agreed").signed("何女士"));
    centre.edit("E01", doc, "plan", "更换压缩机,收费300元");
    centre.online();
    assert_eq!(centre.in_force(doc, "plan").as_deref(), Some("更换压缩机,免费"), "what the customer signed");
    assert_eq!(centre.state(doc).proposed.len(), 1);
    // Nobody but who may approve brings other words into force.
    let approve = sync_core::command::Command::Approve(doc, None);
    assert_eq!(centre.refused("E01", approve), RefusalCode::RoleMissing);
    let device = &centre.world.sites["E01"].device;
    assert!(device.verify(doc).unwrap() >= 4, "every fact holds with the company's key alone");
}

#[test]
fn article_7_2_only_the_engineer_who_was_sent_repairs() {
    let mut centre = centre();
    centre.world.join("E02", "engineer", None);
    let doc = on_site(&mut centre, "R1");
    assert!(!centre.holds("E02", doc));
    let refused = centre.refused_step("K01", doc, did("diagnosed").value("plan", "看不到"));
    assert_eq!(refused, RefusalCode::RoleMissing, "the desk does not diagnose");
}

/// A job that the desk arranged and sent somebody to.
fn on_its_way(centre: &mut Company, flow: &str, (who, purpose): (&str, &str), number: &str) -> DocId {
    let doc = asked(centre, flow, number);
    centre.step("K01", doc, did("arranged"));
    centre.assign("K01", doc, &[who], "2026-11-25", purpose);
    centre.online();
    doc
}

#[test]
fn article_8_training_runs_in_its_six_steps_with_material_and_feedback() {
    let mut centre = centre();
    let doc = on_its_way(&mut centre, "training", ("R01", "trained"), "X1");
    assert_eq!(centre.refused_step("R01", doc, did("trained")), RefusalCode::EvidenceMissing);
    assert_eq!(centre.refused_step("R01", doc, did("questioned")), RefusalCode::StepOrder);
    centre.step("R01", doc, did("trained").documents(&["material"]));
    centre.step("R01", doc, did("questioned"));
    assert_eq!(
        centre.refused_step("R01", doc, did("summarised").value("feedback", "好")),
        RefusalCode::StepOrder
    );
    centre.step("R01", doc, did("answered"));
    assert_eq!(centre.refused_step("R01", doc, did("summarised")), RefusalCode::ValueMissing);
    centre.step("R01", doc, did("summarised").value("feedback", "讲得清楚"));
    centre.all_agree();
    let steps: Vec<String> = centre.state(doc).steps.iter().map(|s| s.what.step.to_string()).collect();
    assert_eq!(steps, ["requested", "arranged", "trained", "questioned", "answered", "summarised"]);
    assert_eq!(doc.kind(), DocKind::Ticket);
}

#[test]
fn article_9_a_replacement_is_proved_signed_and_surveyed() {
    let mut centre = centre();
    let doc = on_its_way(&mut centre, "replacement", ("E01", "replaced"), "H1");
    assert_eq!(centre.refused_step("E01", doc, did("accepted").signed("何女士")), RefusalCode::StepOrder);
    centre.step("E01", doc, did("replaced"));
    centre.step("E01", doc, did("accepted").signed("何女士"));
    centre.online();
    // The survey is owed within 24 working hours, three days of eight.
    centre.at("2026-11-26 23:00");
    assert_eq!(centre.found(doc, "not-surveyed"), [(Breach, None)]);
    centre.step("K01", doc, did("surveyed").value("csat", "4"));
    centre.all_agree();
    assert!(centre.state(doc).is_closed(centre.policy.flows.get(&name("replacement"))));
}

#[test]
fn article_9_5_a_customer_who_answers_no_survey_keeps_no_ticket_open() {
    let mut centre = centre();
    let doc = on_its_way(&mut centre, "replacement", ("E01", "replaced"), "H1");
    centre.step("E01", doc, did("replaced"));
    centre.step("E01", doc, did("accepted").signed("何女士"));
    centre.online();
    centre.step("K01", doc, did("surveyed").ended(Outcome::Failed));
    let flow = centre.policy.flows[&name("replacement")].clone();
    assert!(!centre.state(doc).is_closed(Some(&flow)), "not reached: tried again");
    centre.step("K01", doc, did("surveyed").ended(Outcome::Refused));
    centre.all_agree();
    assert!(centre.state(doc).is_closed(Some(&flow)));
    centre.at("2026-12-07 12:00");
    assert_eq!(centre.found(doc, "not-surveyed"), []);
}

#[test]
fn articles_7_7_and_9_5_the_survey_is_owed_within_24_working_hours_of_the_acceptance() {
    let mut centre = centre();
    centre.at("2026-11-24 09:00");
    let repair = on_site(&mut centre, "R1");
    let replacement = asked(&mut centre, "replacement", "H1");
    centre.step("K01", replacement, did("arranged"));
    centre.assign("K01", replacement, &["E01"], "2026-11-24", "replaced");
    centre.online();
    centre.step("E01", repair, did("diagnosed").value("plan", "更换压缩机"));
    centre.step("E01", repair, did("agreed").signed("何女士"));
    centre.step("E01", repair, did("repaired"));
    centre.step("E01", replacement, did("replaced"));
    centre.next_at("2026-11-24 10:00");
    for doc in [repair, replacement] {
        centre.step("E01", doc, did("accepted").signed("何女士"));
    }
    // Seven hours are left of Tuesday, eight are Wednesday's and Thursday's, one is Friday's.
    centre.online();
    centre.at("2026-11-27 09:59");
    assert!([repair, replacement].iter().all(|doc| centre.finding(*doc, "not-surveyed").verdict == Due));
    centre.at("2026-11-27 10:01");
    for doc in [repair, replacement] {
        let found = centre.finding(doc, "not-surveyed");
        assert_eq!((found.verdict, found.about), (Breach, vec![name("service-desk")]));
        assert!(found.clause.starts_with("S5 第七条 7、第九条 5"), "{}", found.clause);
    }
    centre.all_agree();
}
