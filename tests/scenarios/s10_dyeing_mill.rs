//! S10 染厂跟单规章制度: plan, task sheets, production, figures, inspection, delivery; plan and sheets are changed by
//! who may, and complaints are never settled privately.

use gendan_tests::scenario::{Company, Opening, did, name};
use sync_core::command::Command;
use sync_core::fact::kinds::Outcome;
use sync_core::ids::DocId;
use sync_core::notice::NoticeKind;
use sync_core::policy::judge::Verdict::{Breach, Due};
use sync_core::refusal::RefusalCode;

fn mill() -> Company {
    let mut mill = Company::under("dyeing");
    mill.people(&[
        ("S01", "sales", Some("门市")),
        ("G01", "merchandiser", None),
        ("P01", "planner", None),
        ("R01", "worker", None),
        ("Q01", "inspector", None),
        ("C01", "warehouse", None),
        ("U01", "supervisor", None),
        ("L01", "management", None),
        ("F01", "finance", None),
    ]);
    mill
}

fn placed(mill: &mut Company) -> DocId {
    let order = mill.open_order("S01", "A1", Some("门市"), "2026-12-20", &[("府绸", None)]);
    mill.step("S01", order, did("handed-in"));
    mill.online();
    assert_eq!(mill.refused_step("G01", order, did("reviewed")), RefusalCode::CheckFailed);
    mill.step("G01", order, did("reviewed").checked(&["content"]));
    assert_eq!(mill.refused_step("G01", order, did("placed").value("task", "染3缸")), RefusalCode::StepOrder);
    mill.step("G01", order, did("planned").value("plan", "12月3日上缸"));
    assert_eq!(
        mill.refused_step("G01", order, did("placed").value("task", "染3缸")),
        RefusalCode::EvidenceMissing
    );
    mill.step("G01", order, did("placed").documents(&["task-sheet"]).value("task", "染3缸"));
    mill.assign("P01", order, &[], "2026-12-03", "in-production");
    mill.online();
    order
}

#[test]
fn section_4_an_order_runs_in_its_eight_steps() {
    let mut mill = mill();
    let order = placed(&mut mill);
    mill.assign("P01", order, &["R01"], "2026-12-03", "in-production");
    mill.online();
    // The dye house has no connection.
    mill.step("R01", order, did("in-production"));
    mill.step("R01", order, did("progress-verified").value("progress", "两缸完成"));
    mill.step("R01", order, did("produced").value("output", "1200米"));
    assert!(!mill.state(order).did("produced"));
    mill.online();
    let counted = did("counted").value("output", "1200米").value("analysis", "缩率正常");
    assert_eq!(
        mill.refused_step("Q01", order, did("inspected").checked(&["colour"])),
        RefusalCode::StepOrder
    );
    mill.step("G01", order, counted);
    mill.online();
    assert_eq!(
        mill.refused_step("Q01", order, did("inspected").checked(&["colour", "cloth"])),
        RefusalCode::CheckFailed
    );
    mill.step("Q01", order, did("inspected").ended(Outcome::Failed).note("色牢度不够"));
    assert_eq!(
        mill.refused_step(
            "G01",
            order,
            did("delivery-agreed").value("date", "2026-12-18").value("way", "自提")
        ),
        RefusalCode::StepOrder
    );
    mill.step("Q01", order, did("inspected").checked(&["colour", "fastness", "cloth"]));
    mill.online();
    mill.step("G01", order, did("delivery-agreed").value("date", "2026-12-18").value("way", "自提"));
    mill.online();
    mill.step("C01", order, did("delivered").signed("客户"));
    mill.online();
    mill.step("F01", order, did("settled"));
    mill.all_agree();
    assert!(mill.found(order, "progress-not-followed").is_empty());
}

#[test]
fn section_5_3_plan_and_task_sheets_are_not_changed_without_authority() {
    let mut mill = mill();
    let order = placed(&mut mill);
    let plan = || did("plan-changed").value("plan", "12月9日上缸").value("reason", "染料未到");
    let sheet =
        || did("task-changed").documents(&["task-sheet"]).value("task", "染4缸").value("reason", "加单");
    for who in ["G01", "P01"] {
        assert_eq!(mill.refused_step(who, order, plan()), RefusalCode::RoleMissing);
        assert_eq!(mill.refused_step(who, order, sheet()), RefusalCode::RoleMissing);
    }
    mill.step("U01", order, plan());
    mill.step("U01", order, sheet());
    // What the merchandiser writes into the order itself stays a proposal.
    mill.edit("G01", order, "delivery_date", "2027-01-10");
    mill.all_agree();
    assert_eq!(mill.in_force(order, "delivery_date").as_deref(), Some("2026-12-20"));
    assert!(mill.state(order).did("plan-changed") && mill.state(order).did("task-changed"));
}

#[test]
fn section_5_4_a_complaint_is_reported_and_never_settled_privately() {
    let mut mill = mill();
    mill.at("2026-11-24 09:00");
    let help = mill.open("G01", "help", "T1", Opening::default());
    mill.step("G01", help, did("recorded"));
    assert_eq!(mill.refused_step("G01", help, did("answered")), RefusalCode::StepOrder);
    assert_eq!(mill.refused_step("G01", help, did("approved").value("plan", "赔")), RefusalCode::RoleMissing);
    mill.online();
    // Four working hours, without the noon hour.
    mill.at("2026-11-24 13:59");
    assert_eq!(mill.finding(help, "complaint-not-reported").verdict, Due);
    mill.at("2026-11-24 14:01");
    let late = mill.finding(help, "complaint-not-reported");
    assert_eq!((late.verdict, late.clause.starts_with("S10 五.4")), (Breach, true));
    assert!(mill.told("L01", help).contains(&NoticeKind::Escalation));
    mill.sync(&["G01"]);
    mill.step("G01", help, did("reported").value("plan", "重染"));
    mill.online();
    mill.step("U01", help, did("approved").value("plan", "重染,运费公司付"));
    mill.online();
    mill.step("G01", help, did("answered"));
    mill.all_agree();
}

#[test]
fn section_3_3_problems_in_production_are_reported_upward() {
    let mut mill = mill();
    mill.at("2026-11-24 09:00");
    let order = placed(&mut mill);
    mill.perform("G01", Command::Report(order, "染缸漏水".into(), vec![]));
    mill.online();
    mill.at("2026-11-24 13:59");
    assert_eq!(mill.finding(order, "problem-not-reported").verdict, Due);
    mill.at("2026-11-24 14:02");
    let found = mill.finding(order, "problem-not-reported");
    assert_eq!((found.verdict, found.clause.starts_with("S10 三.3")), (Breach, true));
    mill.sync(&["G01"]);
    let upward = Command::Escalate(order, name("management"), "需停缸两天".into());
    mill.perform("G01", upward);
    mill.all_agree();
    assert!(mill.told("L01", order).contains(&NoticeKind::Escalation));
}

#[test]
fn section_4_4_cloth_that_is_produced_without_its_progress_followed_is_found() {
    let mut mill = mill();
    let order = placed(&mut mill);
    mill.assign("P01", order, &["R01"], "2026-12-03", "in-production");
    mill.online();
    mill.step("R01", order, did("in-production"));
    mill.step("R01", order, did("produced").value("output", "1200米"));
    mill.all_agree();
    let found = mill.finding(order, "progress-not-followed");
    assert_eq!((found.verdict, found.clause.as_str()), (Breach, "S10 四.4"));
}

#[test]
fn sections_2_2_and_3_6_production_is_counted_and_its_figures_go_to_production() {
    let mut mill = mill();
    let figures = mill.open("G01", "statistics", "T1", Opening::default());
    assert_eq!(mill.refused_step("G01", figures, did("told")), RefusalCode::StepOrder);
    let counted = did("counted").value("output", "11月 36缸");
    assert_eq!(mill.refused_step("G01", figures, counted.clone()), RefusalCode::ValueMissing, "分析");
    mill.step("G01", figures, counted.value("analysis", "回修率2%"));
    mill.step("G01", figures, did("told"));
    mill.all_agree();
    assert!(mill.holds("P01", figures) && !mill.holds("R01", figures));
    assert!(mill.state(figures).is_closed(mill.policy.flows.get(&name("statistics"))));
}
