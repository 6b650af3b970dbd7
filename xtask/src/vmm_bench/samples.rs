//! Numbers of several runs, and the table of them.

use std::fmt::{self, Display};

use serde_json::{Value, json};

/// One number a run.
#[derive(Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Takes one more.
    pub fn add(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The one in the middle, the mean of two for an even count; not a number if there is none.
    pub fn median(&self) -> f64 {
        let middle = self.0.len() / 2;
        match (self.0.len() % 2, self.0.get(middle), self.0.get(middle.wrapping_sub(1))) {
            (0, Some(upper), Some(lower)) => f64::midpoint(*lower, *upper),
            (1, Some(value), _) => *value,
            _ => f64::NAN,
        }
    }

    fn spread(&self) -> String {
        match (self.0.first(), self.0.last()) {
            (Some(least), Some(most)) => format!("{}–{}", short(*least), short(*most)),
            _ => "none".into(),
        }
    }

    fn json(&self) -> Value {
        json!({ "runs": self.0, "median": self.median() })
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<T: IntoIterator<Item = f64>>(values: T) -> Self {
        let mut samples = Self::default();
        values.into_iter().for_each(|value| samples.add(value));
        samples
    }
}

/// Three digits that matter.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

struct Row {
    what: String,
    unit: &'static str,
    ours: Samples,
    theirs: Option<Samples>,
}

/// All that was measured.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    remarks: Vec<String>,
}

impl Table {
    /// A row with a peer.
    pub fn compare(&mut self, what: impl Into<String>, unit: &'static str, ours: Samples, theirs: Samples) {
        self.rows.push(Row { what: what.into(), unit, ours, theirs: Some(theirs) });
    }

    /// A row without one.
    pub fn alone(&mut self, what: impl Into<String>, unit: &'static str, ours: Samples) {
        self.rows.push(Row { what: what.into(), unit, ours, theirs: None });
    }

    /// A line below the table.
    pub fn remark(&mut self, line: impl Into<String>) {
        self.remarks.push(line.into());
    }

    /// The same for programs.
    pub fn json(&self) -> Value {
        let row = |row: &Row| {
            json!({ "what": row.what, "unit": row.unit, "ours": row.ours.json(),
                "theirs": row.theirs.as_ref().map(Samples::json) })
        };
        json!({ "rows": self.rows.iter().map(row).collect::<Vec<_>>(), "remarks": self.remarks })
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["", "unit", "ours", "theirs", "ratio", "runs", "ours min–max", "theirs min–max"];
        let line = |f: &mut fmt::Formatter<'_>, cells: [&str; 8]| {
            let [what, unit, ours, theirs, ratio, runs, spread, other] = cells;
            writeln!(f, "{what:<54}{unit:<7}{ours:>8}{theirs:>8}{ratio:>7}{runs:>6}  {spread:<16}{other}")
        };
        line(f, head)?;
        for row in &self.rows {
            let ours = row.ours.median();
            let (theirs, ratio, spread, runs) = match &row.theirs {
                Some(theirs) => (
                    short(theirs.median()),
                    format!("{:.2}", ours / theirs.median()),
                    theirs.spread(),
                    row.ours.count().min(theirs.count()),
                ),
                None => ("-".into(), "-".into(), String::new(), row.ours.count()),
            };
            let runs = runs.to_string();
            line(f, [&row.what, row.unit, &short(ours), &theirs, &ratio, &runs, &row.ours.spread(), &spread])?;
        }
        self.remarks.iter().try_for_each(|remark| writeln!(f, "- {remark}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let check = |values: &[f64], expected: &str| {
            assert_eq!(short(values.iter().copied().collect::<Samples>().median()), expected, "{values:?}");
        };
        check(&[3.0, 1.0, 2.0], "2.00");
        check(&[40.0, 1.0, 2.0, 20.0], "11.0");
        check(&[1234.4], "1234");
        check(&[], "NaN");
    }

    #[test]
    fn a_row_says_how_both_compare() {
        let mut table = Table::default();
        table.compare("boot", "ms", [10.0, 30.0, 20.0].into_iter().collect(), [40.0, 50.0].into_iter().collect());
        let text = table.to_string();
        let row = text.lines().nth(1).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(row, "boot ms 20.0 45.0 0.44 2 10.0–30.0 40.0–50.0");
    }
}
