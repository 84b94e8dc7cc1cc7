//! Rankings (S3 二, S4 第二十条, S7 第十条, S16 5): within each role, everyone's place under each measure of the
//! policy in force. A month's or a year's is that of its days.
//!
//! Places say what was counted, and decide nothing: who is the best of the month is proposed, reviewed and
//! published as a reward (S3 五), by people. Equal figures share a place. Who has no figure under a measure
//! has no place in it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use sync_core::ids::PersonId;
use sync_core::policy::model::{Measure, MeasureForm};

use super::people::{self, Work};
use super::table::{Body, Cell, Kind, Mean, Share, Sum, column};
use super::{Report, View, both};

/// Everyone's place under each measure, within their role.
pub const RANKING: Report = Report {
    name: "ranking",
    title: ("考核排名表", "Ranking"),
    definition: (
        "同一岗位内,按现行制度的各项考核指标排名;并列者名次相同;没有数据的不排。只供参考,评优由人决定。无考核权限者只看到自己的名次。",
        "Places within a role under each measure of the policy in force; equal figures share a place, who has none has no place. For people to decide by. Who may not assess others sees their own places alone.",
    ),
    clause: "S3 二、四;S4 第二十条;S7 第十条;S16 5",
    columns: &[
        column("role", Kind::Text, "岗位", "role"),
        column("measure", Kind::Text, "指标", "measure"),
        column("clause", Kind::Text, "条款", "clause"),
        column("place", Kind::Number, "名次", "place"),
        column("number", Kind::Text, "工号", "staff number"),
        column("name", Kind::Text, "姓名", "name"),
        column("count", Kind::Number, "数量", "count").counts(
            "「完成订单」:期内走完流程的订单;「有效投诉」:期内受理、指向其订单、经查实的投诉,少者在前。",
            "Orders that became complete within the days; complaints opened within the days about their orders that were found justified, fewer first.",
            "S16 5.1;S3 四 2",
        ),
        column("rate", Kind::Rate, "比例", "rate").counts(
            "完成率与准时率同「考核表」;合同签订率:期内受理且已结束的商机中签订合同的比例。",
            "Completion and punctuality as in the report people; of opportunities taken in within the days that ended, those with a contract.",
            "S16 5.1;S9 1.4 (1)",
        ),
        column("average", Kind::Average, "平均分", "average").counts(
            "满意度同「考核表」;上级评分:期内由上级记录的1至5分的平均分。",
            "Satisfaction as in the report people; ratings: the average of what superiors recorded within the days, 1 to 5.",
            "S3 四;S7 第十条",
        ),
        column("hours", Kind::Hours, "平均工时", "hours").counts(
            "期内响应或解决的售后单的平均工作小时,暂停不计,少者在前。",
            "Average working hours until the response or solution within the days, pauses left out, fewer first.",
            "S4 第二十条;S7 第十条 3",
        ),
        column("money", Kind::Money, "金额", "money").counts(
            "期内接单、由其销售且未取消的订单总价之和。",
            "The totals of orders taken in within the days that they sold and that were not cancelled.",
            "S9 1.4 (1)",
        ),
    ],
    summary: &[],
    judges: false,
    make: ranking,
};

/// A figure as an exact fraction, more being better.
#[derive(Clone, Copy)]
struct Weight {
    sum: i128,
    of: i128,
}

impl Weight {
    fn order(self, other: Self) -> Ordering {
        (self.sum * other.of).cmp(&(other.sum * self.of))
    }
}

/// One person's figure under one measure.
enum Figure {
    Count(usize),
    Rate(Share),
    Average(Mean),
    Hours(Mean),
    Money(Sum),
}

impl Figure {
    /// What places are decided by; none where there is nothing to compare.
    fn weight(&self, form: MeasureForm) -> Option<Weight> {
        use MeasureForm::{Complaints, ResponseHours, SolutionHours};
        let (sum, of) = match self {
            Self::Count(count) => (i64::try_from(*count).ok()?, 1),
            Self::Rate(share) => (i64::from(share.part), share.of),
            Self::Average(mean) | Self::Hours(mean) => (mean.sum, mean.of),
            // Amounts in two currencies cannot be compared.
            Self::Money(sum) => (sum.only()?.minor, 1),
        };
        let less = matches!(form, Complaints | ResponseHours | SolutionHours);
        (of > 0).then_some(Weight { sum: i128::from(if less { -sum } else { sum }), of: i128::from(of) })
    }

    /// The five cells of figures, of which one is its own.
    fn cells(self) -> [Cell; 5] {
        let mut cells = [const { Cell::Empty }; 5];
        match self {
            Self::Count(count) => cells[0] = Cell::count(count),
            Self::Rate(share) => cells[1] = Cell::Rate(share),
            Self::Average(mean) => cells[2] = Cell::Average(mean),
            Self::Hours(mean) => cells[3] = Cell::Hours(mean),
            Self::Money(sum) => cells[4] = sum.cell(),
        }
        cells
    }
}

/// What is known of everyone, by the person's id.
struct Known {
    work: BTreeMap<String, Work>,
    ratings: BTreeMap<(String, String), Mean>,
    contracts: BTreeMap<String, Share>,
}

impl Known {
    fn of(view: &View<'_>) -> Self {
        let mut known =
            Self { work: people::work(view), ratings: BTreeMap::new(), contracts: BTreeMap::new() };
        for row in &view.slice.ratings {
            known.ratings.entry((row.person.clone(), row.measure.clone())).or_default().take(row.score);
        }
        for row in &view.slice.opportunities {
            known.contracts.entry(row.opened_by.clone()).or_default().take(row.signed);
        }
        known
    }

    fn people(&self) -> BTreeSet<&String> {
        let rated = self.ratings.keys().map(|(person, _)| person);
        self.work.keys().chain(rated).chain(self.contracts.keys()).collect()
    }

    fn figure(&self, person: &String, measure: &str, form: MeasureForm) -> Option<Figure> {
        let work = self.work.get(person);
        Some(match form {
            MeasureForm::Completed => Figure::Count(work?.completed),
            MeasureForm::CompletionRate => Figure::Rate(work?.orders.complete),
            MeasureForm::OnTimeRate => Figure::Rate(work?.orders.punctual),
            MeasureForm::Satisfaction => Figure::Average(work?.answers.all),
            MeasureForm::Complaints => Figure::Count(work?.complaints),
            MeasureForm::ResponseHours => Figure::Hours(work?.response),
            MeasureForm::SolutionHours => Figure::Hours(work?.solution),
            MeasureForm::SalesAmount => Figure::Money(work?.sales.clone()),
            MeasureForm::ContractRate => Figure::Rate(*self.contracts.get(person)?),
            MeasureForm::Rated => Figure::Average(*self.ratings.get(&(person.clone(), measure.to_owned()))?),
        })
    }
}

fn ranking(view: &View<'_>) -> Body {
    let known = Known::of(view);
    let mut of_role: BTreeMap<&str, Vec<&String>> = BTreeMap::new();
    for id in known.people() {
        let person = id.parse::<PersonId>().ok().and_then(|id| view.footing.directory.people.get(&id));
        let spans = person.into_iter().flat_map(|p| &p.roles).filter(|span| span.holds_at(view.now_ms));
        for role in spans.map(|span| span.role.as_str()).collect::<BTreeSet<_>>() {
            of_role.entry(role).or_default().push(id);
        }
    }
    let mut rows = Vec::new();
    for (role, people) in of_role {
        for (name, measure) in &view.policy.measures {
            rows.extend(places(view, role, people.as_slice(), (name.as_str(), measure), &known));
        }
    }
    Body { rows, summary: Vec::new() }
}

/// The rows of one role under one measure, the first place first.
fn places(
    view: &View<'_>,
    role: &str,
    people: &[&String],
    (name, measure): (&str, &Measure),
    known: &Known,
) -> Vec<Vec<Cell>> {
    let placed = people.iter().filter_map(|person| {
        let figure = known.figure(person, name, measure.form)?;
        Some((figure.weight(measure.form)?, *person, figure))
    });
    let mut placed: Vec<_> = placed.collect();
    placed.sort_by(|a, b| b.0.order(a.0).then_with(|| a.1.cmp(b.1)));
    let title = view.policy.roles.iter().find(|(known, _)| known.as_str() == role);
    let title = title.map_or_else(|| role.to_owned(), |(_, role)| both(&role.title));
    let better = |weight: Weight| placed.iter().filter(|(other, ..)| other.order(weight).is_gt()).count();
    let places: Vec<usize> = placed.iter().map(|(weight, ..)| better(*weight) + 1).collect();
    let row = |((_, id, figure), place): ((Weight, &String, Figure), usize)| {
        let id = id.parse::<PersonId>().ok().filter(|id| view.shows(*id))?;
        let person = view.footing.directory.people.get(&id);
        let (number, name) = person.map(|p| (p.number.clone(), p.name.clone())).unwrap_or_default();
        let head = [
            Cell::text(&title),
            Cell::text(both(&measure.title)),
            Cell::text(&measure.clause),
            Cell::count(place),
            Cell::text(number),
            Cell::text(name),
        ];
        Some(head.into_iter().chain(figure.cells()).collect())
    };
    placed.into_iter().zip(places).filter_map(row).collect()
}
