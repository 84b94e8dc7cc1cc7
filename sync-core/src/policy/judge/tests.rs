//! Every number of S21 by its findings, at the moments where they begin and end; and what a doubtful
//! clock, an ended case and a pause do to them.

use super::*;
use crate::policy::check;
use proptest::prelude::*;

fn furniture() -> Policy {
    Policy::parse(check::shipped("furniture").unwrap()).unwrap()
}
fn name(text: &str) -> Name {
    text.parse().unwrap()
}
fn ms(text: &str) -> UnixMs {
    chrono::DateTime::parse_from_rfc3339(&format!("{text}+08:00")).unwrap().timestamp_millis()
}
fn trusted(at: UnixMs) -> Stamp {
    Stamp { wall_ms: at, offset_min: 480, trusted_ms: Some(at), known_since_ms: Some(at) }
}
fn event(n: u8, step: &str, at: &str) -> Event {
    Event {
        fact: FactId::from_bytes([n; 16]),
        step: name(step),
        at: trusted(ms(at)),
        by: PersonId::from_bytes([1; 16]),
        items: 2,
        whole: true,
        resolves: None,
    }
}
fn order(events: Vec<Event>) -> Case {
    Case {
        flow: name("order"),
        opened_ms: ms("2026-11-01T17:00:00"),
        delivery: Some("2026-12-05".parse().unwrap()),
        materials: vec![name("panel")],
        urgency: None,
        ended_ms: None,
        pauses: vec![],
        events,
    }
}
/// Verdict and amount of one rule.
fn found(case: &Case, rule: &str, now: &str) -> Vec<(Verdict, Option<String>)> {
    let findings = judge(case, &furniture(), ms(now));
    let of = findings.into_iter().filter(|f| f.rule == *rule);
    of.map(|f| (f.verdict, f.amount.map(|a| a.to_string()))).collect()
}
fn breach(amount: &str) -> Vec<(Verdict, Option<String>)> {
    vec![(Verdict::Breach, Some(format!("{amount} CNY")))]
}

#[test]
fn s21_an_order_handed_in_outside_17_to_18_is_an_insertion_of_50_yuan() {
    for (at, outside) in [("16:59:59", true), ("17:00:00", false), ("17:59:59", false), ("18:00:00", true)] {
        let case = order(vec![event(1, "handed-in", &format!("2026-11-23T{at}"))]);
        let expected = if outside { breach("50.00") } else { vec![] };
        assert_eq!(found(&case, "insertion", "2026-11-24T00:00:00"), expected, "{at}");
    }
}
#[test]
fn s21_panel_is_placed_5_days_and_solid_wood_10_days_before_delivery() {
    for (materials, at, late) in [
        (vec!["panel"], "2026-11-30T17:30:00", false),
        (vec!["panel"], "2026-12-01T17:30:00", true),
        (vec!["solid"], "2026-11-25T17:30:00", false),
        (vec!["solid"], "2026-11-26T17:30:00", true),
        (vec!["panel", "solid"], "2026-11-26T17:30:00", true),
    ] {
        let mut case = order(vec![event(1, "placed", at)]);
        case.materials = materials.iter().map(|m| name(m)).collect();
        assert_eq!(
            found(&case, "placed-late", "2026-12-31T00:00:00").len(),
            usize::from(late),
            "{materials:?} {at}"
        );
    }
}
#[test]
fn s21_when_the_day_for_placing_passes_with_neither_side_acting_both_are_proposed_50_yuan() {
    let silent = order(vec![]);
    assert_eq!(found(&silent, "placing-due", "2026-11-29T23:59:59"), vec![]);
    assert_eq!(found(&silent, "placing-due", "2026-11-30T12:00:00"), vec![(Verdict::Due, None)]);
    assert_eq!(found(&silent, "placing-due", "2026-12-01T00:00:00"), breach("50.00"));
    let reminded = order(vec![event(1, "reminded", "2026-11-30T17:10:00")]);
    assert_eq!(found(&reminded, "placing-due", "2026-12-01T00:00:00"), vec![(Verdict::Due, None)]);
    let findings = judge(&silent, &furniture(), ms("2026-12-01T00:00:00"));
    let about = findings.into_iter().find(|f| f.rule == *"placing-due").unwrap().about;
    assert_eq!(about, [name("sales"), name("merchandiser")]);
}
#[test]
fn s21_goods_leave_within_3_days_of_the_note_then_10_20_40_yuan_doubling() {
    for (fetched, amount) in [
        ("2026-12-04T23:59:59", None),
        ("2026-12-05T00:00:00", Some("10.00")),
        ("2026-12-06T12:00:00", Some("20.00")),
        ("2026-12-07T12:00:00", Some("40.00")),
        ("2026-12-08T12:00:00", Some("80.00")),
    ] {
        let case =
            order(vec![event(1, "delivery-note", "2026-12-01T17:00:00"), event(2, "fetched", fetched)]);
        let expected = amount.map_or(vec![], breach);
        assert_eq!(found(&case, "fetched-late", "2026-12-31T00:00:00"), expected, "{fetched}");
    }
    let open = order(vec![event(1, "delivery-note", "2026-12-01T17:00:00")]);
    for (now, expected) in [
        ("2026-12-04T23:59:59", vec![(Verdict::Due, None)]),
        ("2026-12-05T00:00:00", breach("10.00")),
        ("2026-12-06T09:00:00", breach("20.00")),
        ("2027-06-06T09:00:00", breach("5368709120.00")),
    ] {
        assert_eq!(found(&open, "fetched-late", now), expected, "{now}");
    }
    let events =
        vec![event(1, "delivery-note", "2026-12-01T17:00:00"), event(2, "overbooked", "2026-12-03T09:00:00")];
    assert_eq!(found(&order(events), "fetched-late", "2026-12-31T00:00:00"), vec![]);
}
#[test]
fn s21_a_wrong_order_costs_30_an_item_after_the_note_and_50_after_the_goods_were_fetched() {
    let note = event(1, "delivery-note", "2026-12-01T17:00:00");
    let fetched = event(2, "fetched", "2026-12-02T09:00:00");
    let wrong = event(3, "wrong-order", "2026-12-02T10:00:00");
    let at = "2026-12-03T00:00:00";
    assert_eq!(found(&order(vec![wrong.clone()]), "wrong-order", at), vec![(Verdict::Breach, None)]);
    assert_eq!(found(&order(vec![note.clone(), wrong.clone()]), "wrong-order", at), breach("60.00"));
    assert_eq!(found(&order(vec![note, fetched, wrong]), "wrong-order", at), breach("100.00"));
    let missed = event(4, "not-placed", "2026-12-02T10:00:00");
    assert_eq!(found(&order(vec![missed]), "not-placed", at), breach("50.00"));
}
/// The event as a device without a trusted time would record it.
fn doubted(mut event: Event, known_since: Option<&str>) -> Event {
    event.at.trusted_ms = None;
    event.at.known_since_ms = known_since.map(ms);
    event
}

#[test]
fn what_only_a_doubtful_clock_makes_late_is_undecidable_and_says_its_bounds() {
    let note = event(1, "delivery-note", "2026-12-01T17:00:00");
    let fetched = event(2, "fetched", "2026-12-09T12:00:00");
    for (known_since, verdict, amount) in [
        (None, Verdict::Undecidable, "160.00"),
        (Some("2026-12-04T23:59:59"), Verdict::Undecidable, "160.00"),
        (Some("2026-12-06T12:00:00"), Verdict::Breach, "20.00"),
        (Some("2026-12-09T09:00:00"), Verdict::Breach, "160.00"),
    ] {
        let case = order(vec![note.clone(), doubted(fetched.clone(), known_since)]);
        let expected = vec![(verdict, Some(format!("{amount} CNY")))];
        assert_eq!(found(&case, "fetched-late", "2026-12-31T00:00:00"), expected, "{known_since:?}");
        let findings = judge(&case, &furniture(), ms("2026-12-31T00:00:00"));
        let finding = findings.iter().find(|f| f.rule == *"fetched-late").unwrap();
        assert!(!finding.trusted_time);
        let doubt = Doubt { known_since_ms: known_since.map(ms), device_clock_ms: ms("2026-12-09T12:00:00") };
        assert_eq!(finding.doubt, (verdict == Verdict::Undecidable).then_some(doubt));
    }
}
#[test]
fn an_insertion_is_undecidable_while_the_hours_lie_within_what_the_device_knew() {
    for (known_since, at, verdict) in [
        (Some("2026-11-23T18:00:00"), "2026-11-23T19:05:00", Some(Verdict::Breach)),
        (Some("2026-11-23T17:59:00"), "2026-11-23T19:05:00", Some(Verdict::Undecidable)),
        (Some("2026-11-22T18:30:00"), "2026-11-23T16:30:00", Some(Verdict::Breach)),
        (Some("2026-05-01T18:30:00"), "2026-11-23T16:30:00", Some(Verdict::Undecidable)),
        (None, "2026-11-23T16:30:00", Some(Verdict::Undecidable)),
        (None, "2026-11-23T17:30:00", None),
    ] {
        let case = order(vec![doubted(event(1, "handed-in", at), known_since)]);
        let told: Vec<Verdict> =
            found(&case, "insertion", "2026-11-24T00:00:00").into_iter().map(|(v, _)| v).collect();
        assert_eq!(told, verdict.into_iter().collect::<Vec<_>>(), "{known_since:?} {at}");
    }
}
#[test]
fn a_late_notice_of_a_doubtful_clock_leaves_the_missed_day_undecidable() {
    let notice = event(1, "notice", "2026-12-02T17:30:00");
    let at = "2026-12-03T00:00:00";
    let told =
        |known: Option<&str>| found(&order(vec![doubted(notice.clone(), known)]), "placing-due", at)[0].0;
    assert_eq!(told(Some("2026-12-01T00:00:00")), Verdict::Breach);
    assert_eq!(told(Some("2026-11-30T23:59:59")), Verdict::Undecidable);
    assert_eq!(told(None), Verdict::Undecidable);
}
#[test]
fn sales_who_gave_notice_in_time_missed_nothing_though_the_order_was_not_placed() {
    let noticed = order(vec![event(1, "notice", "2026-11-30T23:59:59")]);
    assert_eq!(found(&noticed, "placing-due", "2026-12-05T00:00:00"), vec![]);
}
#[test]
fn placing_without_asking_the_customer_again_is_found() {
    let asked = event(1, "reconfirmed", "2026-11-28T10:00:00");
    let placed = event(2, "placed", "2026-11-28T17:30:00");
    let at = "2026-12-01T00:00:00";
    assert_eq!(found(&order(vec![placed.clone()]), "not-reconfirmed", at), vec![(Verdict::Breach, None)]);
    assert_eq!(found(&order(vec![asked.clone(), placed.clone()]), "not-reconfirmed", at), vec![]);
    assert_eq!(found(&order(vec![placed, asked]), "not-reconfirmed", at), vec![(Verdict::Breach, None)]);
}
#[test]
fn s21_returns_are_confirmed_from_the_15th_to_the_20th_and_after_sales_taken_15_to_17() {
    for (step, rule, at, outside) in [
        ("confirmed", "returns-outside-days", "2026-11-14T23:59:59", true),
        ("confirmed", "returns-outside-days", "2026-11-15T00:00:00", false),
        ("confirmed", "returns-outside-days", "2026-11-20T23:59:59", false),
        ("confirmed", "returns-outside-days", "2026-11-21T00:00:00", true),
        ("recorded", "after-sales-outside-hours", "2026-11-16T14:59:59", true),
        ("recorded", "after-sales-outside-hours", "2026-11-16T15:00:00", false),
        ("recorded", "after-sales-outside-hours", "2026-11-16T17:00:00", true),
    ] {
        let mut case = order(vec![event(1, step, at)]);
        case.flow = name("return");
        assert_eq!(found(&case, rule, "2026-11-30T00:00:00").len(), usize::from(outside), "{rule} {at}");
    }
}
#[test]
fn what_had_run_up_before_a_cancellation_stays_and_nothing_runs_up_after_it() {
    let mut case = order(vec![event(1, "delivery-note", "2026-12-01T17:00:00")]);
    for (ended, expected) in [
        ("2026-12-04T12:00:00", vec![]),
        ("2026-12-05T12:00:00", breach("10.00")),
        ("2026-12-06T12:00:00", breach("20.00")),
    ] {
        case.ended_ms = Some(ms(ended));
        assert_eq!(found(&case, "fetched-late", "2026-12-31T00:00:00"), expected, "{ended}");
    }
    let mut silent = order(vec![]);
    silent.ended_ms = Some(ms("2026-11-30T12:00:00"));
    assert_eq!(found(&silent, "placing-due", "2026-12-31T00:00:00"), vec![]);
    silent.ended_ms = Some(ms("2026-12-01T12:00:00"));
    assert_eq!(found(&silent, "placing-due", "2026-12-31T00:00:00"), breach("50.00"));
}
#[test]
fn each_note_has_its_own_three_days() {
    let events = vec![
        event(1, "delivery-note", "2026-12-01T17:00:00"),
        event(2, "fetched", "2026-12-02T09:00:00"),
        event(3, "delivery-note", "2026-12-03T17:00:00"),
        event(4, "fetched", "2026-12-08T09:00:00"),
    ];
    assert_eq!(found(&order(events), "fetched-late", "2026-12-31T00:00:00"), [breach("20.00")].concat());
    let apart =
        vec![event(1, "fetched", "2026-12-02T09:00:00"), event(2, "delivery-note", "2026-12-01T17:00:00")];
    assert_eq!(found(&order(apart), "fetched-late", "2026-12-31T00:00:00"), vec![]);
}
#[test]
fn a_wrong_order_is_proposed_for_the_one_who_erred_and_a_missed_day_for_both() {
    let case = order(vec![event(1, "wrong-order", "2026-11-28T10:00:00")]);
    let findings = judge(&case, &furniture(), ms("2026-12-01T00:00:00"));
    let one_of = |rule: &str| findings.iter().find(|f| f.rule == *rule).unwrap().one_of;
    assert!(one_of("wrong-order") && !one_of("placing-due"));
}
#[test]
fn a_return_is_confirmed_after_sales_were_told_that_intake_stops() {
    let told = event(1, "sales-told", "2026-11-16T10:00:00");
    let confirmed = event(2, "confirmed", "2026-11-17T10:00:00");
    let count = |events| {
        let case = Case { flow: name("return"), ..order(events) };
        found(&case, "sales-not-told", "2026-11-30T00:00:00").len()
    };
    assert_eq!((count(vec![told, confirmed.clone()]), count(vec![confirmed])), (0, 1));
}
#[test]
fn a_mistake_may_cost_once_and_by_the_item() {
    let mut policy = furniture();
    for rule in &mut policy.rules {
        if let RuleForm::Mistake { once, .. } = &mut rule.form {
            *once = Some("50".into());
        }
    }
    let events = vec![
        event(1, "delivery-note", "2026-12-01T17:00:00"),
        event(2, "wrong-order", "2026-12-02T10:00:00"),
    ];
    let findings = judge(&order(events), &policy, ms("2026-12-03T00:00:00"));
    let amount = findings.iter().find(|f| f.rule == *"wrong-order").unwrap().amount;
    assert_eq!(amount, Some(Money::new(11_000, Currency::CNY)));
}

/// An urgent repair, taken on a Monday half an hour before the office closes.
fn repair(events: Vec<Event>) -> Case {
    Case {
        flow: name("repair"),
        urgency: Some(name("urgent")),
        opened_ms: ms("2026-11-23T17:30:00"),
        ..order(events)
    }
}

#[test]
fn a_repair_is_late_by_its_urgency_on_the_working_calendar() {
    let case = repair(vec![]);
    let (due, late) = ((Verdict::Due, None), (Verdict::Breach, None));
    for (now, expected) in [
        ("2026-11-24T09:30:00", [due.clone(), due.clone()]),
        ("2026-11-24T09:30:01", [late.clone(), due.clone()]),
        ("2026-11-24T17:30:00", [late.clone(), due]),
        ("2026-11-24T17:30:01", [late.clone(), late]),
    ] {
        assert_eq!(found(&case, "ticket-late", now), expected, "{now}");
    }
    let findings = judge(&case, &furniture(), ms("2026-11-24T10:00:00"));
    let told: Vec<_> = findings.iter().map(|f| (f.step.as_str(), f.escalate_to.as_ref())).collect();
    assert_eq!(told, [("recorded", Some(&name("management"))), ("accepted", None)]);
    let recorded = repair(vec![event(1, "recorded", "2026-11-24T09:30:00")]);
    assert_eq!(found(&recorded, "ticket-late", "2026-11-24T09:40:00").len(), 1);
}
#[test]
fn a_pause_moves_a_repair_s_deadline_and_an_open_one_takes_it_away() {
    let mut case = repair(vec![event(1, "recorded", "2026-11-24T09:00:00")]);
    case.pauses = vec![(ms("2026-11-24T10:00:00"), Some(ms("2026-11-24T11:00:00")))];
    assert_eq!(found(&case, "ticket-late", "2026-11-25T09:30:00"), vec![(Verdict::Due, None)]);
    assert_eq!(found(&case, "ticket-late", "2026-11-25T09:30:01"), vec![(Verdict::Breach, None)]);
    case.pauses.push((ms("2026-11-24T15:00:00"), None));
    assert_eq!(found(&case, "ticket-late", "2026-12-25T09:30:00"), vec![]);
}
#[test]
fn a_rule_may_speak_of_the_opening_itself() {
    let mut policy = furniture();
    for rule in &mut policy.rules {
        if let RuleForm::OutsideWindow { step, .. } = &mut rule.form {
            *step = name("opened");
        }
    }
    assert_eq!(policy.faults(), vec![]);
    let case = order(vec![event(1, "opened", "2026-11-23T19:00:00")]);
    assert_eq!(judge(&case, &policy, ms("2026-11-24T00:00:00"))[0].step, name("opened"));
}
proptest! {
    #[test]
    fn judging_never_panics_and_gives_the_same_answer_twice(
        steps in prop::collection::vec((0usize..20, any::<i64>(), any::<Option<i64>>(), any::<u32>()), 0..12),
        delivery in any::<Option<u16>>(),
        (opened_ms, ended_ms, now) in any::<(i64, Option<i64>, i64)>(),
        pauses in prop::collection::vec(any::<(i64, Option<i64>)>(), 0..3),
    ) {
        let policy = furniture();
        let flow = &policy.flows["order"];
        let event = |(step, at, known_since_ms, items): &(usize, i64, Option<i64>, u32)| Event {
            fact: FactId::from_bytes([1; 16]),
            step: flow.steps.get(*step).map_or(name("opened"), |s| s.id.clone()),
            at: Stamp { wall_ms: *at, offset_min: 0, trusted_ms: None, known_since_ms: *known_since_ms },
            by: PersonId::from_bytes([1; 16]),
            items: *items,
            whole: true,
            resolves: None,
        };
        let date = |days: u16| NaiveDate::from_ymd_opt(2000, 1, 1).unwrap() + Days::new(days.into());
        let case = Case {
            opened_ms,
            ended_ms,
            pauses,
            delivery: delivery.map(date),
            urgency: Some(name("urgent")),
            ..order(steps.iter().map(event).collect())
        };
        let repair = Case { flow: name("repair"), ..case.clone() };
        for case in [case, repair] {
            prop_assert_eq!(judge(&case, &policy, now), judge(&case, &policy, now));
        }
    }
}
#[test]
fn a_case_kept_as_cbor_is_judged_as_before() {
    let mut case = order(vec![event(1, "handed-in", "2026-11-23T16:00:00")]);
    case.pauses = vec![(5, Some(6)), (7, None)];
    case.urgency = Some(name("urgent"));
    for case in [Case { delivery: None, ended_ms: Some(9), ..case.clone() }, case] {
        let bytes = minicbor::to_vec(&case).unwrap();
        assert_eq!(minicbor::decode::<Case>(&bytes).unwrap(), case);
    }
    assert_eq!(order(vec![]).place_by(&furniture()), Some("2026-11-30".parse().unwrap()));
}
#[test]
fn a_finding_stands_for_its_due_moment_or_its_newest_fact() {
    let late = event(2, "fetched", "2026-11-30T10:00:00");
    let case = order(vec![event(1, "delivery-note", "2026-11-23T10:00:00"), late]);
    let moment = |case: &Case, rule: &str| {
        let findings = judge(case, &furniture(), ms("2026-12-03T00:00:00"));
        findings.iter().find(|f| f.rule == *rule).and_then(|f| f.moment(case))
    };
    assert_eq!(moment(&case, "fetched-late"), Some(ms("2026-11-30T10:00:00")), "it ended late");
    let open = order(case.events.into_iter().take(1).collect());
    assert_eq!(moment(&open, "fetched-late"), Some(ms("2026-11-27T00:00:00")), "it was due");
}

/// The general profile with one more rule.
fn with_rule(rule: &str) -> Policy {
    let head = "[[rules]]\nid = \"x\"\ntitle = { zh = \"规\", en = \"rule\" }\nclause = \"t\"\n";
    let warning =
        "[[penalties]]\nid = \"grave\"\ntitle = { zh = \"记过\", en = \"demerit\" }\nclause = \"t\"\n";
    Policy::parse(&format!("{}\n{warning}{head}{rule}\n", check::shipped("general").unwrap())).unwrap()
}
fn of_x(case: &Case, policy: &Policy, now: &str) -> Vec<Finding> {
    judge(case, policy, ms(now)).into_iter().filter(|f| f.rule == *"x").collect()
}

#[test]
fn an_answer_is_owed_within_working_hours_and_each_question_has_its_own() {
    let rule = "form = \"within-hours\"\nfrom = \"exception\"\nuntil = \"escalated\"\nhours = 2\nescalate_to = \"management\"";
    let policy = with_rule(rule);
    // A Friday afternoon: the second working hour is Monday's first.
    let asked = event(1, "exception", "2026-11-27T17:00:00");
    for (answered, now, expected) in [
        (None, "2026-11-30T09:59:59", Some(Verdict::Due)),
        (None, "2026-11-30T10:00:00", Some(Verdict::Due)),
        (None, "2026-11-30T10:00:01", Some(Verdict::Breach)),
        (Some("2026-11-30T10:00:00"), "2026-12-31T00:00:00", None),
        (Some("2026-11-30T10:00:01"), "2026-12-31T00:00:00", Some(Verdict::Breach)),
    ] {
        let mut case = order(vec![asked.clone()]);
        case.events.extend(answered.map(|at| event(2, "escalated", at)));
        let found = of_x(&case, &policy, now);
        assert_eq!(found.first().map(|f| f.verdict), expected, "{answered:?} {now}");
        let told = found.first().and_then(|f| f.escalate_to.as_ref());
        assert_eq!(told.is_some(), expected == Some(Verdict::Breach));
    }
    let again = event(3, "exception", "2026-11-30T16:00:00");
    let case = order(vec![asked, event(2, "escalated", "2026-11-27T17:30:00"), again]);
    assert_eq!(of_x(&case, &policy, "2026-12-01T12:00:00").len(), 1, "the second was not answered");
}

#[test]
fn a_resolution_answers_the_exception_that_it_names_and_no_other() {
    let rule = "form = \"within-hours\"\nfrom = \"exception\"\nuntil = \"resolved\"\nhours = 2";
    let policy = with_rule(rule);
    let [first, second] = [1, 2].map(|n| event(n, "exception", &format!("2026-11-27T10:0{n}:00")));
    let resolved = Event { resolves: Some(second.fact), ..event(3, "resolved", "2026-11-27T10:30:00") };
    let case = order(vec![first.clone(), second, resolved]);
    let found = of_x(&case, &policy, "2026-12-01T12:00:00");
    let facts: Vec<_> = found.iter().map(|f| (f.verdict, f.facts.clone())).collect();
    assert_eq!(facts, [(Verdict::Breach, vec![first.fact])]);
}

#[test]
fn return_visits_fall_due_one_after_the_other_also_when_the_case_is_closed() {
    let policy =
        with_rule("form = \"every\"\nfrom = \"delivered\"\nstep = \"contact\"\ndays = 30\ntimes = 2");
    let mut case = order(vec![event(1, "delivered", "2026-11-01T10:00:00")]);
    case.ended_ms = Some(ms("2026-11-02T10:00:00"));
    let verdict = |case: &Case, now: &str| of_x(case, &policy, now).first().map(|f| (f.verdict, f.due_ms));
    let due = |day: &str| Some(ms(&format!("{day}T23:59:59")) + 999);
    assert_eq!(verdict(&case, "2026-11-20T10:00:00"), Some((Verdict::Due, due("2026-12-01"))));
    assert_eq!(verdict(&case, "2026-12-02T00:00:00"), Some((Verdict::Breach, due("2026-12-01"))));
    case.events.push(event(2, "contact", "2026-12-01T23:00:00"));
    assert_eq!(verdict(&case, "2026-12-02T00:00:00"), Some((Verdict::Due, due("2026-12-31"))));
    case.events.push(event(3, "contact", "2027-01-01T09:00:00"));
    assert_eq!(verdict(&case, "2027-01-02T00:00:00"), Some((Verdict::Breach, due("2026-12-31"))));
}

#[test]
fn s9_a_weekly_report_falls_due_each_week_until_the_matter_is_ended() {
    let policy = Policy::parse(check::shipped("general").unwrap()).unwrap();
    let opened = event(1, "opened", "2026-11-02T09:00:00");
    let mut case = Case { flow: name("weekly-report"), delivery: None, ..order(vec![opened]) };
    let verdict = |case: &Case, now: &str| {
        let found = judge(case, &policy, ms(now)).into_iter().find(|f| f.rule == *"weekly-report-due");
        found.map(|f| f.verdict)
    };
    assert_eq!(verdict(&case, "2026-11-09T23:59:59"), Some(Verdict::Due));
    assert_eq!(verdict(&case, "2026-11-10T00:00:00"), Some(Verdict::Breach));
    case.events.push(event(2, "reported", "2026-11-09T18:00:00"));
    assert_eq!(verdict(&case, "2026-11-10T00:00:00"), Some(Verdict::Due));
    case.ended_ms = Some(ms("2026-11-13T18:00:00"));
    assert_eq!(verdict(&case, "2027-02-01T00:00:00"), None, "nothing can be reported any more");
}

#[test]
fn s13_a_refused_order_is_told_upward_at_once_and_to_the_customer() {
    let policy = Policy::parse(check::shipped("general").unwrap()).unwrap();
    let late = |events: Vec<Event>| -> Vec<String> {
        let found = judge(&order(events), &policy, ms("2026-11-24T09:00:00"));
        let late = found.into_iter().filter(|f| f.verdict == Verdict::Breach);
        late.map(|f| f.rule.to_string()).filter(|rule| rule.starts_with("refusal")).collect()
    };
    let refused = event(1, "refused", "2026-11-23T10:00:00");
    assert_eq!(late(vec![refused.clone()]), ["refusal-not-reported", "refusal-not-told"]);
    let (told, called) =
        (event(2, "escalated", "2026-11-23T10:30:00"), event(3, "contact", "2026-11-23T14:00:00"));
    assert_eq!(late(vec![refused.clone(), told.clone()]), ["refusal-not-told"]);
    assert_eq!(late(vec![refused, told, called]), Vec::<String>::new());
}

#[test]
fn a_late_delivery_is_graded_by_its_days() {
    let grades = "[{ days = 1, amount = \"50\" }, { days = 4, amount = \"100\", penalty = \"grave\" }]";
    let policy = with_rule(&format!("form = \"late-delivery\"\nstep = \"delivered\"\ngrades = {grades}"));
    for (at, expected) in [
        ("2026-12-05T23:59:59", None),
        ("2026-12-06T00:00:00", Some((1, "50.00 CNY", false))),
        ("2026-12-08T12:00:00", Some((3, "50.00 CNY", false))),
        ("2026-12-09T00:00:00", Some((4, "100.00 CNY", true))),
    ] {
        let found = of_x(&order(vec![event(1, "delivered", at)]), &policy, "2027-01-01T00:00:00");
        let told =
            found.first().map(|f| (f.days_late.unwrap(), f.amount.unwrap().to_string(), f.penalty.is_some()));
        assert_eq!(told, expected.map(|(days, amount, grave)| (days, amount.to_owned(), grave)), "{at}");
        assert!(found.iter().all(|f| !f.open));
    }
    let open = of_x(&order(vec![]), &policy, "2026-12-07T00:00:00");
    assert_eq!((open[0].days_late, open[0].open), (Some(2), true));
    let doubtful = Stamp { trusted_ms: None, known_since_ms: None, ..trusted(ms("2026-12-20T00:00:00")) };
    let case = order(vec![Event { at: doubtful, ..event(1, "delivered", "2026-12-20T00:00:00") }]);
    assert_eq!(of_x(&case, &policy, "2027-01-01T00:00:00")[0].verdict, Verdict::Undecidable);
}

#[test]
fn any_step_may_be_outside_a_window() {
    let window = "[windows.day]\ntitle = { zh = \"工作日\", en = \"day\" }\nfrom = \"08:00:00\"\nto = \"22:30:00\"\nclause = \"t\"\n";
    let policy = with_rule(&format!("form = \"outside-window\"\nstep = \"any\"\nwindow = \"day\"\n{window}"));
    let case = order(vec![
        event(1, "reviewed", "2026-11-23T22:29:59"),
        event(2, "placed", "2026-11-23T22:30:00"),
        event(3, "contact", "2026-11-23T23:00:00"),
    ]);
    let facts: Vec<_> = of_x(&case, &policy, "2026-12-01T00:00:00").iter().map(|f| f.facts[0]).collect();
    assert_eq!(facts, [FactId::from_bytes([2; 16]), FactId::from_bytes([3; 16])]);
}
