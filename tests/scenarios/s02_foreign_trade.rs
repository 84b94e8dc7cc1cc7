//! S2 外贸跟单部的规章制度: filing, production, complete documents, freight, quality, settlement; nobody changes
//! the delivery date or the content on their own.

use gendan_tests::scenario::{Company, Did, did};
use sync_core::command::Command;
use sync_core::ids::DocId;
use sync_core::refusal::RefusalCode;

/// Two groups, each with its supervisor, under the department's manager.
fn department() -> Company {
    let mut department = Company::under("foreign-trade");
    department.people(&[
        ("X01", "sales", Some("一组")),
        ("G01", "merchandiser", Some("一组")),
        ("U01", "supervisor", Some("一组")),
        ("G02", "merchandiser", Some("二组")),
        ("U02", "supervisor", Some("二组")),
        ("J01", "department-manager", None),
        ("P01", "planner", None),
        ("Q01", "inspector", None),
        ("W01", "warehouse", None),
        ("F01", "finance", None),
    ]);
    department
}

fn filed(department: &mut Company) -> DocId {
    let order = department.open_order("X01", "A1", Some("一组"), "2027-01-20", &[("衬衫", None)]);
    department.step("X01", order, did("handed-in"));
    department.online();
    let filed = did("filed").checked(&["content-correct", "content-complete"]);
    department.step("G01", order, filed);
    department.online();
    order
}

fn papers() -> Did {
    did("documents-complete").documents(&["contract", "packing-list", "invoice"])
}

#[test]
fn chapter_3_an_order_runs_from_filing_to_settlement_in_its_order() {
    let mut department = department();
    let order = filed(&mut department);
    for (who, step) in [("G01", "placed"), ("P01", "in-production"), ("P01", "produced")] {
        department.step(who, order, did(step));
        department.online();
    }
    assert_eq!(
        department.refused_step("G01", order, did("freight-arranged").value("way", "海运")),
        RefusalCode::StepOrder
    );
    department.step("G01", order, papers());
    department.step("G01", order, did("freight-arranged").value("way", "海运"));
    department.online();
    department.step("Q01", order, did("inspected").checked(&["quality"]));
    department.online();
    assert_eq!(
        department.refused_step("W01", order, did("shipped")),
        RefusalCode::StepOrder,
        "no gate pass yet"
    );
    department.step("U01", order, did("gate-pass"));
    department.online();
    department.step("W01", order, did("shipped"));
    department.online();
    department.step("G01", order, did("delivered").text("客户确认收货"));
    department.online();
    department.step("F01", order, did("settled"));
    department.all_agree();
    assert!(
        department
            .state(order)
            .is_closed(department.policy.flows.get(&gendan_tests::scenario::name("order")))
    );
}

#[test]
fn chapter_3_3_each_of_the_three_documents_must_be_there() {
    let mut department = department();
    let order = filed(&mut department);
    let all = ["contract", "packing-list", "invoice"];
    for missing in all {
        let rest: Vec<&str> = all.into_iter().filter(|name| *name != missing).collect();
        let refused = department.refused_step("G01", order, did("documents-complete").documents(&rest));
        assert_eq!(refused, RefusalCode::EvidenceMissing, "{missing}");
    }
    department.step("G01", order, papers());
    department.all_agree();
    assert_eq!(department.state(order).last("documents-complete").unwrap().what.evidence.len(), 3);
}

#[test]
fn chapter_6_2_nobody_changes_the_delivery_date_or_the_content_on_their_own() {
    let mut department = department();
    let order = filed(&mut department);
    // Two people edit it apart, without a connection.
    department.edit("G01", order, "delivery_date", "2027-02-10");
    department.edit("X01", order, "remark", "换面料");
    department.online();
    assert_eq!(department.in_force(order, "delivery_date").as_deref(), Some("2027-01-20"));
    assert_eq!(department.in_force(order, "remark"), None);
    assert_eq!(department.state(order).proposed.len(), 2, "visible, and not in force");
    for who in ["G01", "X01"] {
        assert_eq!(department.refused(who, Command::Approve(order, None)), RefusalCode::RoleMissing);
    }
    department.perform("U01", Command::Approve(order, None));
    department.all_agree();
    assert_eq!(department.in_force(order, "delivery_date").as_deref(), Some("2027-02-10"));
}

#[test]
fn chapters_2_and_6_3_a_group_sees_its_own_orders_only() {
    let mut department = department();
    let order = filed(&mut department);
    for (who, sees) in [("G01", true), ("U01", true), ("J01", true), ("G02", false), ("U02", false)] {
        assert_eq!(department.holds(who, order), sees, "{who}");
    }
}
