//! What comes out: lines of JSON for programs, an aligned table for people.

use std::io::{self, Write as _};

use serde::Serialize;

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    /// Dotted and stable: scripts find a figure by it.
    pub(crate) name: String,
    /// The figure.
    pub(crate) value: f64,
    /// What it counts.
    pub(crate) unit: &'static str,
    /// The same figure of what it is measured against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<f64>,
    /// `value` divided by `floor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
}

/// Where figures go. JSON is printed line by line, the table when all its widths are known.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    table: Vec<[String; 5]>,
}

/// Why the figures could not be handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// Stdout takes no more.
    #[error("can't write the figures: {0}; is whoever reads stdout still there?")]
    Write(#[from] io::Error),
}

impl Line {
    /// A figure that stands alone.
    pub(crate) fn new(name: String, value: f64, unit: &'static str) -> Self {
        Self { name, value, unit, floor: None, ratio: None }
    }

    /// A figure beside the one that it is measured against.
    pub(crate) fn with_floor(name: String, value: f64, unit: &'static str, floor: f64) -> Self {
        // A floor of nothing (a run too short for the clock) has no ratio, and JSON has no infinity.
        let ratio = (floor > 0.0).then(|| value / floor);
        Self { name, value, unit, floor: Some(floor), ratio }
    }
}

impl Report {
    /// A report on stdout.
    pub(crate) fn to_stdout(json: bool) -> Self {
        Self { json, table: vec![["name", "value", "unit", "floor", "ratio"].map(str::to_owned)] }
    }

    /// Adds a figure.
    pub(crate) fn add(&mut self, line: &Line) -> Result<(), ReportError> {
        if self.json {
            let json = serde_json::to_string(line).expect("a line has string keys and finite numbers");
            writeln!(io::stdout(), "{json}")?;
        } else {
            self.table.push(cells(line));
        }
        Ok(())
    }

    /// Prints what has been held back.
    pub(crate) fn finish(self) -> Result<(), ReportError> {
        if !self.json {
            io::stdout().write_all(aligned(&self.table).as_bytes())?;
        }
        Ok(())
    }
}

fn cells(line: &Line) -> [String; 5] {
    let optional = |value: Option<f64>| value.map(rounded).unwrap_or_default();
    [
        line.name.clone(),
        rounded(line.value),
        line.unit.to_owned(),
        optional(line.floor),
        line.ratio.map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
    ]
}

/// Three digits or more, and none that are noise.
fn rounded(value: f64) -> String {
    let decimals = if value >= 100.0 { 0 } else { 2 };
    format!("{value:.decimals$}")
}

/// Texts to the left, numbers to the right.
fn aligned(rows: &[[String; 5]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let [name, value, unit, floor, ratio] = std::array::from_fn(width);
    rows.iter()
        .map(|[n, v, u, f, r]| format!("{n:name$}  {v:>value$} {u:unit$}  {f:>floor$}  {r:>ratio$}"))
        .map(|row| format!("{}\n", row.trim_end()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_a_floor_has_neither_floor_nor_ratio_in_json() {
        let line = Line::new("codec.data.raw.encode".to_owned(), 12.5, "ns/message");
        let json = r#"{"name":"codec.data.raw.encode","value":12.5,"unit":"ns/message"}"#;
        assert_eq!(serde_json::to_string(&line).unwrap(), json);
    }

    #[test]
    fn a_ratio_is_the_figure_over_its_floor_and_absent_where_there_is_none() {
        let line = |floor| Line::with_floor(String::new(), 30.0, "replies/s", floor);
        assert_eq!(line(40.0).ratio, Some(0.75));
        assert_eq!(line(0.0).ratio, None);
    }

    #[test]
    fn the_table_is_aligned() {
        let mut report = Report::to_stdout(false);
        report.add(&Line::with_floor("index.search".to_owned(), 1234.5, "replies/s", 4938.0)).unwrap();
        report.add(&Line::new("b".to_owned(), 7.0, "s")).unwrap();
        let table = "name          value unit       floor  ratio\n\
                     index.search   1234 replies/s   4938   0.25\n\
                     b              7.00 s\n";
        assert_eq!(aligned(&report.table), table);
    }
}
