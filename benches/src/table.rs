//! Figures, as a table and as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Table {
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Figure {
    what: String,
    value: f64,
    unit: String,
    goal: Option<f64>,
}

impl Table {
    pub(crate) fn push(&mut self, what: impl Into<String>, value: f64, unit: &str, goal: Option<f64>) {
        let figure = Figure {
            what: what.into(),
            value,
            unit: unit.to_owned(),
            goal,
        };
        eprintln!("{figure}");
        self.figures.push(figure);
    }

    pub(crate) fn append(&mut self, mut other: Table) {
        self.figures.append(&mut other.figures);
    }

    pub(crate) fn json(&self) -> String {
        // Numbers and strings always serialize.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {:.3} {} | ", self.what, self.value, self.unit)?;
        match self.goal {
            Some(goal) => write!(f, "≤ {goal} {} |", self.unit),
            None => write!(f, "|"),
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| figure | measured | goal |\n| --- | --- | --- |")?;
        self.figures.iter().try_for_each(|figure| writeln!(f, "{figure}"))
    }
}

/// Processor time of this thread, in seconds (`/proc/thread-self/schedstat`): beside wall time it shows
/// what a machine that others use took away.
pub(crate) fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = stat.split_whitespace().next().and_then(|n| n.parse::<f64>().ok());
    nanos.unwrap_or(f64::NAN) / 1e9
}

/// Resident memory of this process, in MB (`/proc/self/status`, VmRSS).
pub(crate) fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kb = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}
