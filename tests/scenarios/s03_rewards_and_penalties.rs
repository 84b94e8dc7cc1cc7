//! S3 跟单员规章制度奖罚: proposed by the superior, reviewed by HR, told in writing, published, appealed within
//! five working days, decided.

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::command::Command;
use sync_core::fact::kinds::Outcome;
use sync_core::ids::DocId;
use sync_core::notice::{Notice, NoticeKind};
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::policy::model::MeasureForm;
use sync_core::refusal::RefusalCode;

fn department() -> Company {
    let mut department = Company::under("general");
    department.people(&[
        ("G01", "merchandiser", None),
        ("G02", "merchandiser", None),
        ("U01", "supervisor", None),
        ("H01", "hr", None),
        ("L01", "management", None),
        ("S01", "sales", Some("一部")),
    ]);
    department
}

/// A penalty for G01, as far as HR's written notice, on Tuesday the 24th.
fn notified(department: &mut Company) -> DocId {
    let wish = Opening { about: Some("G01"), ..Opening::default() };
    let record = department.open("U01", "conduct", "J1", wish);
    department.step(
        "U01",
        record,
        did("proposed").value("kind", "written-warning").value("reason", "下错单"),
    );
    department.online();
    department.step("H01", record, did("reviewed"));
    department.at("2026-11-24 10:00");
    department.step("H01", record, did("notified").text("经核实,给予书面警告"));
    department.online();
    record
}

/// The same, told to all: in force.
fn published(department: &mut Company) -> DocId {
    let record = notified(department);
    department.step("H01", record, did("published"));
    department.online();
    record
}

#[test]
fn section_5_a_record_goes_from_the_superior_by_hr_to_its_publication_and_is_in_force_no_sooner() {
    let mut department = department();
    let record = notified(&mut department);
    assert!(!department.state(record).holds(), "what was told is not in force yet");
    department.step("H01", record, did("published"));
    department.all_agree();
    assert!(department.state(record).holds());
    let steps: Vec<String> = department.state(record).steps.iter().map(|s| s.what.step.to_string()).collect();
    assert_eq!(steps, ["proposed", "reviewed", "notified", "published"]);
}

#[test]
fn section_5_1_only_a_superior_proposes_and_only_hr_reviews() {
    let mut department = department();
    let about = Opening { about: Some("G01"), ..Opening::default() };
    let by_colleague = department.refused_open("G02", "conduct", "J9", about);
    assert_eq!(by_colleague, RefusalCode::RoleMissing, "a colleague is no superior");
    let of_nobody = department.refused_open("U01", "conduct", "J9", Opening::default());
    assert_eq!(of_nobody, RefusalCode::ValueMissing, "it is about somebody");
    let record = department.open("U01", "conduct", "J9", about);
    department.step("U01", record, did("proposed").value("kind", "fine").value("reason", "延误"));
    assert_eq!(department.refused_step("U01", record, did("reviewed")), RefusalCode::RoleMissing);
    department.online();
    assert_eq!(department.refused_step("H01", record, did("published")), RefusalCode::StepOrder);
    department.step("H01", record, did("reviewed"));
    assert_eq!(
        department.refused_step("H01", record, did("notified")),
        RefusalCode::EvidenceMissing,
        "in writing"
    );
}

#[test]
fn section_5_2_the_person_sees_it_from_the_notice_on_and_everybody_once_it_is_published() {
    let mut department = department();
    let wish = Opening { about: Some("G01"), ..Opening::default() };
    let record = department.open("U01", "conduct", "J1", wish);
    department.step("U01", record, did("proposed").value("kind", "fine").value("reason", "延误"));
    department.online();
    assert_eq!(department.told("H01", record), [NoticeKind::Task], "HR hears that a proposal waits");
    let see = |d: &Company| ["G01", "G02", "S01", "U01", "H01", "L01"].map(|who| d.holds(who, record));
    assert_eq!(see(&department), [false, false, false, true, true, true]);
    department.step("H01", record, did("reviewed"));
    department.step("H01", record, did("notified").text("书面通知"));
    department.online();
    assert_eq!(see(&department), [true, false, false, true, true, true]);
    assert_eq!(department.told("G01", record), [NoticeKind::Decision]);
    department.step("H01", record, did("published"));
    department.all_agree();
    assert_eq!(see(&department), [true; 6]);
}

#[test]
fn section_5_1_nobody_proposes_reviews_or_decides_about_themselves() {
    let mut department = department();
    let own = Opening { about: Some("U01"), ..Opening::default() };
    assert_eq!(department.refused_open("U01", "conduct", "J1", own), RefusalCode::OnBehalf);
    let wish = Opening { about: Some("H01"), ..Opening::default() };
    let record = department.open("U01", "conduct", "J2", wish);
    let proposed = did("proposed").value("kind", "written-warning").value("reason", "泄露考核");
    department.step("U01", record, proposed);
    department.online();
    assert_eq!(department.refused_step("H01", record, did("reviewed")), RefusalCode::RoleMissing);
}

#[test]
fn section_5_3_the_fifth_working_day_is_the_last_for_an_appeal() {
    for (when, expected) in [("2026-12-01 23:50", None), ("2026-12-02 00:10", Some(RefusalCode::TooLate))] {
        let mut department = department();
        let record = published(&mut department);
        // Two days of a weekend lie between: Tuesday the 24th to Tuesday the 1st.
        department.at(when);
        department.sync(&["G01"]);
        let appeal = || did("appealed").value("reason", "单据是对方改的");
        match expected {
            Some(code) => assert_eq!(department.refused_step("G01", record, appeal()), code, "{when}"),
            None => department.step("G01", record, appeal()),
        }
        department.online();
        assert_eq!(department.state(record).holds(), expected.is_some(), "an appeal suspends it");
    }
}

#[test]
fn section_5_3_an_appeal_made_offline_in_time_counts_and_the_decision_is_not_the_appellants() {
    for (decision, holds) in [("upheld", true), ("lifted", false)] {
        let mut department = department();
        let record = published(&mut department);
        department.at("2026-11-30 09:00");
        department.sync(&["G01"]);
        department.step("G01", record, did("appealed").value("reason", "有短信为证"));
        // The phone comes back a week later.
        department.at("2026-12-07 09:00");
        assert!(department.state(record).holds());
        assert_eq!(department.refused_step("H01", record, did("decided")), RefusalCode::StepOrder);
        department.online();
        assert!(!department.state(record).holds() && department.held(record).is_empty());
        let decide = || did("decided").value("decision", decision);
        assert_eq!(department.refused_step("G01", record, decide()), RefusalCode::RoleMissing);
        let vague = did("decided").value("decision", "维持原处罚");
        assert_eq!(department.refused_step("H01", record, vague), RefusalCode::ValueInvalid);
        assert!(
            department.told("H01", record).contains(&NoticeKind::Task),
            "an appeal waits for its decision"
        );
        department.step("H01", record, decide());
        department.online();
        let words = |notice: &Notice| notice.doc == record && notice.words.0.contains("申诉裁定");
        assert!(department.notices("G01").iter().any(|(notice, _)| words(notice)), "who appealed is told");
        department.step("H01", record, did("closed"));
        department.all_agree();
        assert_eq!(department.state(record).holds(), holds, "{decision}");
    }
}

#[test]
fn section_5_3_of_two_decisions_made_apart_one_counts_until_management_says_which() {
    let mut department = department();
    let record = published(&mut department);
    department.step("G01", record, did("appealed").value("reason", "有短信为证"));
    department.online();
    department.step("H01", record, did("decided").value("decision", "upheld"));
    department.step("L01", record, did("decided").value("decision", "lifted"));
    department.all_agree();
    let state = department.state(record);
    let [clash] = &state.clashes[..] else { panic!("{:?}", state.clashes) };
    let upholds = |fact| {
        let step = state.steps.iter().find(|step| step.said.fact == fact).unwrap();
        step.what.values.values().any(|said| said == "upheld")
    };
    assert_eq!(state.holds(), upholds(clash.left), "the first leads until it is settled");
    for keep in [clash.right, clash.left] {
        let (doc, left, right) = (record, clash.left, clash.right);
        department.perform("L01", Command::Settle { doc, left, right, keep, reason: "已查实".into() });
        department.all_agree();
        assert_eq!(department.state(record).holds(), upholds(keep), "who settles says which");
    }
}

#[test]
fn section_5_3_a_decision_that_could_not_be_made_upholds_nothing() {
    let mut department = department();
    let record = published(&mut department);
    department.step("G01", record, did("appealed").value("reason", "有短信为证"));
    department.online();
    let decided = || did("decided").value("decision", "upheld");
    department.step("H01", record, decided().ended(Outcome::Failed));
    department.all_agree();
    assert!(!department.state(record).holds());
    department.step("H01", record, decided());
    department.all_agree();
    assert!(department.state(record).holds());
}

#[test]
fn section_5_1_two_superiors_who_took_one_number_apart_both_go_on_seeing_their_record() {
    let mut department = department();
    department.people(&[("U02", "supervisor", None)]);
    let about = |who| Opening { about: Some(who), ..Opening::default() };
    let record = department.open("U01", "conduct", "J1", about("G01"));
    assert_eq!(department.open("U02", "conduct", "J1", about("G02")), record);
    department.all_agree();
    assert!(["U01", "U02"].iter().all(|who| department.holds(who, record)));
    assert!(["G01", "G02", "S01"].iter().all(|who| !department.holds(who, record)));
    for who in ["U01", "U02"] {
        department.perform(who, Command::Note(record, format!("{who}提出")));
    }
    department.all_agree();
    assert!(department.held(record).is_empty());
}

#[test]
fn section_5_3_nobody_else_appeals_and_hr_does_not_close_before_the_days_are_over() {
    let mut department = department();
    let record = published(&mut department);
    let appeal = did("appealed").value("reason", "不服");
    assert_eq!(department.refused_step("U01", record, appeal), RefusalCode::RoleMissing);
    department.at("2026-12-01 23:00");
    department.sync(&["H01"]);
    assert_eq!(department.refused_step("H01", record, did("closed")), RefusalCode::TooEarly);
    department.at("2026-12-02 09:00");
    department.step("H01", record, did("closed"));
    department.all_agree();
}

#[test]
fn section_2_the_rewards_are_of_the_month_of_the_year_and_for_a_proposal_that_is_adopted() {
    let mut department = department();
    let rewards: Vec<&str> = department.policy.rewards.iter().map(|r| r.id.as_str()).take(3).collect();
    assert_eq!(rewards, ["best-of-the-month", "best-of-the-year", "adopted-proposal"]);
    let idea = department.open("G02", "innovation", "C1", Opening::default());
    department.step("G02", idea, did("proposed").value("proposal", "下单前由系统核对尺寸"));
    let adopted = || did("adopted").value("reward", "adopted-proposal");
    assert_eq!(department.refused_step("G02", idea, adopted()), RefusalCode::RoleMissing);
    department.online();
    department.step("U01", idea, adopted());
    department.all_agree();
    assert_eq!(department.told("G02", idea), [NoticeKind::Decision], "who proposed it is told");
    assert!(department.state(idea).did("adopted") && department.holds("G02", idea));
}

#[test]
fn section_3_3_late_delivery_is_graded_by_its_days_and_only_proposed() {
    let mut department = department();
    let order = department.open_order("S01", "A1", Some("一部"), "2026-12-01", &[("机柜", None)]);
    department.online();
    for (when, amount, penalty) in [
        ("2026-12-01 23:00", None, None),
        ("2026-12-02 09:00", Some("50.00 CNY"), None),
        ("2026-12-05 09:00", Some("100.00 CNY"), None),
        ("2026-12-09 09:00", None, Some("demotion")),
    ] {
        department.at(when);
        let found = department.findings(order).into_iter().find(|f| f.rule == *"late-delivery");
        let told = found.as_ref().map(|f| (f.amount.map(|a| a.to_string()), f.penalty.as_ref().map(name_of)));
        let expected = (amount.is_some() || penalty.is_some())
            .then(|| (amount.map(str::to_owned), penalty.map(str::to_owned)));
        assert_eq!(told, expected, "{when}");
        assert!(found.is_none_or(|f| f.verdict == Breach && f.clause.starts_with("S3 三.3")));
    }
    let rows = department.world.sites["H01"].device.rows(sync_core::ids::DocKind::Conduct).unwrap();
    assert!(rows.is_empty(), "a finding proposes; nobody is punished by it");
    // A superior may propose it as it was found; it is in force no sooner than any other.
    department.online();
    let about = Opening { about: Some("G01"), order: Some(order), ..Opening::default() };
    let record = department.open("U01", "conduct", "J1", about);
    let found = |rule: &str, kind: Option<&str>| Command::ProposeFound(record, name(rule), kind.map(name));
    assert_eq!(department.refused("U01", found("processing-error", None)), RefusalCode::NotFound);
    assert_eq!(department.refused("U01", found("late-delivery", Some("exile"))), RefusalCode::ValueInvalid);
    department.perform("U01", found("late-delivery", None));
    department.all_agree();
    let state = department.state(record);
    let proposed = &state.last("proposed").unwrap().what;
    assert_eq!(proposed.values[&name("kind")], "demotion");
    assert!(proposed.values[&name("reason")].contains("S3 三.3"), "{:?}", proposed.values);
    assert!(proposed.evidence[0].text.as_ref().unwrap().contains("迟8天"), "{:?}", proposed.evidence);
    assert!(!state.holds() && !department.holds("G01", record));
}

fn name_of(name: &sync_core::ids::Name) -> String {
    name.to_string()
}

#[test]
fn sections_3_1_and_3_2_an_error_and_a_justified_complaint_are_proposed_on_a_superiors_word_alone() {
    let mut department = department();
    let order = department.open_order("S01", "A1", Some("一部"), "2027-01-20", &[("机柜", None)]);
    department.step("S01", order, did("handed-in"));
    let complaint = department.open("G01", "complaint", "T1", Opening::default());
    department.step("G01", complaint, did("recorded"));
    department.step("G01", complaint, did("investigated").value("cause", "service"));
    department.online();
    let error = || did("processing-error").value("error", "尺寸录错");
    assert_eq!(department.refused_step("G01", order, error()), RefusalCode::RoleMissing);
    assert_eq!(department.refused_step("G01", complaint, did("justified")), RefusalCode::RoleMissing);
    assert!(department.found(complaint, "justified-complaint").is_empty(), "未经查实");
    department.step("U01", order, error());
    department.step("U01", complaint, did("justified"));
    department.all_agree();
    for (doc, rule, amount, clause) in [
        (order, "processing-error", None, "S3 三.1"),
        (complaint, "justified-complaint", Some("50.00 CNY"), "S3 三.2"),
    ] {
        let found = department.finding(doc, rule);
        assert_eq!(
            (found.verdict, found.amount.map(|a| a.to_string()).as_deref()),
            (Breach, amount),
            "{rule}"
        );
        assert!(found.clause.starts_with(clause) && found.about.contains(&name("merchandiser")), "{rule}");
    }
    let rows = department.world.sites["H01"].device.rows(sync_core::ids::DocKind::Conduct).unwrap();
    assert!(rows.is_empty(), "nobody is punished by a finding");
}

#[test]
fn section_3_each_penalty_has_the_grades_of_its_paragraph_and_no_other_is_proposed() {
    let mut department = department();
    let of = |department: &Company, clause: &str| -> Vec<String> {
        let grades = department.policy.penalties.iter().filter(|grade| grade.clause.contains(clause));
        grades.map(|grade| grade.id.to_string()).collect()
    };
    assert_eq!(of(&department, "三.1"), ["verbal-warning", "written-warning", "demerit"], "警告至记过");
    assert_eq!(of(&department, "三.2"), ["internal-training", "fine"], "经济处罚及内部培训");
    assert_eq!(of(&department, "三.3"), ["fine", "demotion"], "罚款或降职");
    let record =
        department.open("U01", "conduct", "J1", Opening { about: Some("G01"), ..Opening::default() });
    let graded = |grade| did("proposed").value("kind", grade).value("reason", "延误");
    assert_eq!(department.refused_step("U01", record, graded("罚站")), RefusalCode::ValueInvalid);
    department.step("U01", record, graded("demotion"));
    department.all_agree();
    assert!(!department.state(record).holds());
}

#[test]
fn section_4_work_is_assessed_by_completion_satisfaction_without_complaints_and_teamwork() {
    let department = department();
    let of = |clause: &str| -> Vec<MeasureForm> {
        let measures = department.policy.measures.values().filter(|m| m.clause.contains(clause));
        let mut forms: Vec<_> = measures.map(|m| m.form).collect();
        forms.sort();
        forms
    };
    assert_eq!(of("S3 四.1"), [MeasureForm::CompletionRate]);
    assert_eq!(of("S3 四.2"), [MeasureForm::Satisfaction, MeasureForm::Complaints]);
    assert_eq!(of("S3 四.3"), [MeasureForm::Rated]);
}

#[test]
fn section_5_3_an_appeal_that_nobody_decides_goes_to_management_after_ten_working_days() {
    let mut department = department();
    let record = published(&mut department);
    // Before the day begins: the hours run from nine.
    department.next_at("2026-11-30 08:30");
    department.step("G01", record, did("appealed").value("reason", "有短信为证"));
    department.online();
    // Eighty working hours of eight a day: the second Friday.
    department.at("2026-12-11 17:59");
    assert_eq!(department.finding(record, "appeal-undecided").verdict, Due);
    department.at("2026-12-11 18:01");
    let found = department.finding(record, "appeal-undecided");
    assert_eq!((found.verdict, found.escalate_to), (Breach, Some(name("management"))));
    assert!(found.clause.starts_with("S3 五.3"), "{}", found.clause);
    assert!(!department.state(record).holds(), "suspended all the while");
    department.all_agree();
}
