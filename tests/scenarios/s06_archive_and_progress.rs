//! S6 跟单部门的规章制度: progress verified for every order and told to the customer, an archive, summaries.

use gendan_tests::scenario::{Company, Opening, POINTS, did, name};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

fn department() -> Company {
    let mut department = Company::under("general");
    department.people(&[
        ("S01", "sales", Some("一部")),
        ("G01", "merchandiser", None),
        ("P01", "planner", None),
        ("U01", "supervisor", None),
        ("L01", "management", None),
    ]);
    department
}

fn planned(department: &mut Company) -> DocId {
    department.at("2026-11-24 09:00");
    let order = department.open_order("S01", "A1", Some("一部"), "2027-01-20", &[("机柜", None)]);
    department.step("S01", order, did("handed-in"));
    department.online();
    for step in [did("reviewed").checked(&POINTS), did("placed"), did("planned").value("plan", "12月1日开工")]
    {
        department.step("G01", order, step);
    }
    department.online();
    order
}

#[test]
fn article_11_an_order_that_is_complete_without_its_progress_verified_is_found() {
    for verified in [true, false] {
        let mut department = department();
        let order = planned(&mut department);
        assert_eq!(
            department.refused_step("P01", order, did("progress-verified")),
            RefusalCode::ValueMissing
        );
        if verified {
            department.step("P01", order, did("progress-verified").value("progress", "完成六成"));
        }
        department.step("P01", order, did("complete"));
        department.all_agree();
        let found = department.found(order, "progress-not-verified");
        assert_eq!(found, if verified { vec![] } else { vec![(Breach, None)] });
        let mut of = department.findings(order).into_iter().filter(|f| f.rule == *"progress-not-verified");
        assert!(of.all(|f| f.clause == "S6 第十一条"));
    }
}

#[test]
fn article_12_progress_is_told_to_the_customer_every_week() {
    let mut department = department();
    let order = planned(&mut department);
    assert_eq!(department.found(order, "progress-not-told")[0].0, Due);
    department.at("2026-12-01 23:59");
    assert_eq!(department.found(order, "progress-not-told")[0].0, Due);
    department.at("2026-12-02 00:00");
    assert_eq!(department.found(order, "progress-not-told")[0].0, Breach);
    department.sync(&["G01"]);
    department.step("G01", order, did("progress-told"));
    department.all_agree();
    // It came late: that stays, and the next is owed a week later.
    assert_eq!(department.found(order, "progress-not-told"), [(Breach, None), (Due, None)]);
}

#[test]
fn article_13_the_archive_is_whole_and_nothing_in_it_is_overwritten() {
    let mut department = department();
    let order = planned(&mut department);
    department.perform("G01", Command::Note(order, "客户要求防潮包装".into()));
    department.perform("S01", Command::Contact(order, "phone".into(), "确认防潮".into(), vec![]));
    department.edit("G01", order, "remark", "防潮包装");
    department.online();
    department.perform("U01", Command::Decline(order, "先报价".into()));
    department.all_agree();
    // What was declined, noted and said is still there, each signed by who said it.
    let (found, state) = department.world.sites["S01"].device.state(order).unwrap();
    assert!(state.log.iter().any(|entry| entry.fact.payload.name() == "Declined"));
    assert_eq!((state.contacts.len(), found.values(sync_core::domain::fields::Map::Notes).len()), (1, 1));
    assert_eq!(department.world.sites["S01"].device.verify(order).unwrap(), state.log.len());
    assert_eq!(
        department.refused_step("G01", order, did("archived")),
        RefusalCode::StepOrder,
        "not before its end"
    );
}

#[test]
fn article_15_summaries_are_written_and_shared() {
    let mut department = department();
    let summary = department.open("G01", "summary", "Z1", Opening::default());
    assert_eq!(department.refused_step("G01", summary, did("shared")), RefusalCode::StepOrder);
    department.step("G01", summary, did("written").value("summary", "十一月:三单改期,均因缺料"));
    department.step("G01", summary, did("shared"));
    department.all_agree();
    assert!(department.holds("U01", summary));
    assert!(department.state(summary).is_closed(department.policy.flows.get(&name("summary"))));
}

#[test]
fn article_12_who_asks_is_answered_and_what_is_late_is_managements() {
    let mut department = department();
    department.at("2026-11-24 08:30");
    let wish = Opening { urgency: Some("normal"), channel: Some("phone"), ..Opening::default() };
    let [asked, waiting] = ["C1", "C2"].map(|number| department.open("G01", "consultation", number, wish));
    assert_eq!(department.refused_step("G01", asked, did("answered")), RefusalCode::StepOrder);
    for doc in [asked, waiting] {
        department.step("G01", doc, did("recorded"));
    }
    department.step("G01", asked, did("answered"));
    department.online();
    // Three days of eight hours.
    department.at("2026-11-26 17:59");
    assert_eq!(department.found(waiting, "ticket-deadline"), [(Due, None)]);
    department.at("2026-11-26 18:01");
    assert_eq!(department.found(waiting, "ticket-deadline"), [(Breach, None)]);
    assert_eq!(department.told("L01", waiting), [NoticeKind::Escalation]);
    assert!(department.found(asked, "ticket-deadline").is_empty());
    department.all_agree();
}

#[test]
fn article_16_management_inspects_and_measures_for_improvement_end_it() {
    let mut department = department();
    let refused = department.refused_open("U01", "inspection", "J1", Opening::default());
    assert_eq!(refused, RefusalCode::RoleMissing);
    let inspection = department.open("L01", "inspection", "J1", Opening::default());
    let improved = did("improved").value("plan", "每周核对一次进度");
    assert_eq!(department.refused_step("L01", inspection, improved.clone()), RefusalCode::StepOrder);
    assert_eq!(department.refused_step("L01", inspection, did("inspected")), RefusalCode::ValueMissing);
    department.step("L01", inspection, did("inspected").value("result", "三单未核实进度"));
    department.online();
    department.step("U01", inspection, improved);
    department.all_agree();
    assert!(department.state(inspection).is_closed(department.policy.flows.get(&name("inspection"))));
}
