//! Words for people: Chinese first, English beside it. Nothing here is for programs.

use std::fmt::Write as _;

use client_ffi::views::{
    Case, Done, DraftLine, FindingLine, HeldLine, Line, Myself, NoticeLine, PersonLine, PhotoLine, Stock,
    StoreLine, SyncState,
};

/// A line of text; writing to memory cannot fail.
macro_rules! say {
    ($to:expr, $($arg:tt)*) => { writeln!($to, $($arg)*).expect("writing to memory cannot fail") };
}

/// A command that was carried out.
pub fn done(done: &Done) -> String {
    if done.docs.is_empty() {
        return "内容没有变化。 Nothing changed.".to_owned();
    }
    "已记录并保存在本机。 Recorded and kept on this device.".to_owned()
}

/// Who works with this device.
pub fn myself(me: &Myself) -> String {
    let company = if me.company.is_empty() { "(尚未同步 not synced yet)" } else { &me.company };
    let person = if me.person == "?" { &me.person_id } else { &me.person };
    format!(
        "公司 company: {company}\n人员 person: {person}\n设备 device: {}\n服务器 relay: {}",
        me.device, me.relay
    )
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "—" } else { text }
}

/// A list.
pub fn lines(lines: &[Line]) -> String {
    let mut out = format!("共{}单 {} in all\n", lines.len(), lines.len());
    for line in lines {
        let mut marks = String::new();
        for (on, mark) in [(line.cancelled, " [取消 cancelled]"), (line.closed, " [完结 closed]")] {
            marks.push_str(if on { mark } else { "" });
        }
        if line.proposed > 0 {
            marks.push_str(&format!(" [待批 {} proposed]", line.proposed));
        }
        if line.clashes > 0 {
            marks.push_str(&format!(" [冲突 {} clashes]", line.clashes));
        }
        let visits: Vec<String> =
            line.visits.iter().map(|v| format!("{} {}", v.on, v.people.join("、"))).collect();
        let visits = visits.join("; ");
        let parts = [&line.number, &line.customer, &line.store, &line.step, &line.due, &visits];
        let parts: Vec<&str> = parts.into_iter().map(|p| or_dash(p)).collect();
        say!(out, "{}{marks}", parts.join("  "));
    }
    out
}

/// What a person should hear.
pub fn notices(notices: &[NoticeLine]) -> String {
    let unread = notices.iter().filter(|n| !n.read).count();
    let mut out = format!("{unread}条未读 {unread} unread\n");
    for n in notices {
        let mark = if n.read { " " } else { "●" };
        say!(out, "{mark} {} {}  {}:{}", n.title, n.title_en, n.number, n.words);
        say!(out, "    {}  [{}]", n.words_en, n.id);
    }
    out
}

/// Stocks of parts.
pub fn stocks(stocks: &[Stock]) -> String {
    let mut out = String::new();
    for stock in stocks {
        say!(out, "{}", stock.number);
        for part in &stock.parts {
            say!(out, "    {}  {}", part.sku, part.count);
        }
    }
    out
}

/// What the rules find.
pub fn findings(findings: &[FindingLine]) -> String {
    let mut out = format!("{}项 {} found\n", findings.len(), findings.len());
    for f in findings {
        let proposed = or_dash(if f.amount.is_empty() { &f.penalty } else { &f.amount });
        say!(out, "{} {} ({}) [{}]  {}  {proposed}", f.title, f.title_en, f.rule, f.verdict, f.clause);
    }
    out
}

/// What there is to tell the customer.
pub fn drafts(drafts: &[DraftLine]) -> String {
    let mut out = String::new();
    for d in drafts {
        let told = if d.told { "已联系 told" } else { "未告知 not told" };
        say!(out, "{} [{told}]  {}", d.words, d.clause);
        say!(out, "    {}", d.words_en);
    }
    out
}

/// An order or ticket, whole.
pub fn case(case: &Case) -> String {
    let mut out = String::new();
    let state = match (case.cancelled, case.closed, case.sealed) {
        (true, ..) => "已取消 cancelled",
        (_, true, _) => "已完结 closed",
        (.., true) => "已生效 in force",
        _ => "待评审 not in force yet",
    };
    say!(out, "{} {}  {}  门店 store: {}", case.title, case.number, state, or_dash(&case.store));
    for field in &case.fields {
        say!(out, "  {} ({}): {}", field.title, field.key, field.value);
    }
    for item in &case.items {
        let fields: Vec<String> = item.fields.iter().map(|f| format!("{}: {}", f.title, f.value)).collect();
        say!(out, "  明细 item {}  {}", item.item, fields.join("  "));
    }
    for note in &case.notes {
        say!(out, "  备注 note: {note}");
    }
    for p in &case.proposed {
        let (old, new) = (or_dash(&p.in_force), or_dash(&p.proposed));
        say!(out, "待批修改 proposed  {} ({}): {old} → {new}  {}", p.title, p.key, p.by);
    }
    for step in &case.steps {
        let signed = if step.signed { "  客户已签 signed" } else { "" };
        say!(
            out,
            "已办 done  {} ({}) {}  {}  证据 evidence {}{signed}",
            step.title,
            step.step,
            step.outcome,
            step.by,
            step.evidence.len()
        );
    }
    for visit in &case.visits {
        say!(
            out,
            "上门 visit  {} {} {} [{}]  {}",
            visit.on,
            visit.people.join("、"),
            visit.purpose,
            visit.status,
            visit.id
        );
    }
    tail(&mut out, case);
    out
}

fn tail(out: &mut String, case: &Case) {
    for next in &case.next {
        if next.possible {
            say!(
                out,
                "可办 next  {} ({})  需要 needs: {}",
                next.title,
                next.step,
                or_dash(&next.needs.join("、"))
            );
        } else {
            say!(
                out,
                "暂不可办 not yet  {} ({})  {} {}",
                next.title,
                next.step,
                next.why_not,
                next.why_not_en
            );
        }
    }
    for clash in &case.clashes {
        let settled = if clash.settled.is_empty() { "未裁决 open" } else { &clash.settled };
        say!(out, "冲突 clash  {} {}  [{settled}]", clash.words, clash.words_en);
    }
    for exception in &case.exceptions {
        say!(
            out,
            "异常 exception  {}  [{}]  {}",
            exception.what,
            or_dash(&exception.resolved),
            exception.fact
        );
    }
    for contact in &case.contacts {
        say!(out, "联系 contact  {}: {}  {}", contact.channel, contact.words, contact.by);
    }
    for passed in &case.escalations {
        say!(out, "上报 escalated  {}: {}  {}", passed.to, passed.reason, passed.by);
    }
    for part in &case.parts {
        let used = if part.used { "已用 used" } else { "需要 needed" };
        say!(out, "备件 part  {} × {} {used}  {}", part.sku, part.quantity, part.by);
    }
    for payment in &case.payments {
        say!(out, "收款 payment  {} {}  {}", payment.amount, payment.method, payment.by);
    }
    if !case.paused.is_empty() {
        say!(out, "计时暂停:{}。 The clock stands still: {}.", case.paused, case.paused);
    }
    if case.unknown > 0 {
        say!(out, "有{}条记录须新版应用才能显示。 {} facts need a newer app.", case.unknown, case.unknown);
    }
}

/// What is held back.
pub fn held(held: &[HeldLine]) -> String {
    let mut out = format!("被搁置{}条 {} held\n", held.len(), held.len());
    for h in held {
        say!(out, "{} {} [{}] {} {} {}", h.doc, h.what, h.standing, h.reason, h.reason_en, h.decided);
    }
    out
}

/// How far the device is in step.
pub fn state(state: &SyncState) -> String {
    let mut out = String::new();
    say!(
        out,
        "未同步 unsent: {}  搁置 held: {}  待传文件 files: {}",
        state.unsent,
        state.held,
        state.blobs_pending
    );
    say!(
        out,
        "单据 documents: {}  位置 position: {}  制度 policy: v{}",
        state.documents,
        state.cursor,
        state.policy
    );
    if state.last_seen_ms.is_none() {
        say!(out, "尚未联网 never connected yet");
    } else if state.unsent == 0 && state.blobs_pending == 0 {
        say!(out, "服务器已确认全部记录。 The relay has confirmed everything.");
    }
    out
}

/// Photos and files of a document.
pub fn photos(photos: &[PhotoLine]) -> String {
    let here = |p: &PhotoLine| if p.here { "在本机 here" } else { "未下载 not here" };
    photos.iter().map(|p| format!("{}  {}  {}\n", p.hash, or_dash(&p.media), here(p))).collect()
}

/// People.
pub fn people(people: &[PersonLine]) -> String {
    let line = |p: &PersonLine| format!("{}  {}  {}\n", p.number, p.name, or_dash(&p.roles.join("、")));
    people.iter().map(line).collect()
}

/// Stores.
pub fn stores(stores: &[StoreLine]) -> String {
    stores.iter().map(|s| format!("{}  {}\n", s.name, s.id)).collect()
}
