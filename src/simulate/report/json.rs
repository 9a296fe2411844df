//! The report as one line of JSON.

use serde_json::{Value, json};

use super::super::stats::Mean;
use super::{Report, Summary};

impl Report {
    /// `{"bench":"simulate","policies":{POLICY:{"cars":{CARS:{...}}}},...}`.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut policies = serde_json::Map::new();
        for summary in &self.summaries {
            let policy = policies.entry(summary.policy.as_str()).or_insert_with(|| json!({}));
            policy["cars"][summary.cars.to_string()] = figures(summary);
        }
        let options = &self.options;
        json!({
            "bench": "simulate",
            "policies": policies,
            "streets": self.streets,
            "requests_recorded": self.requests,
            "rows_skipped": self.skipped,
            "fraction": options.fraction,
            "seeds": options.seeds,
            "first_seed": options.first_seed,
            "patience_s": options.times.patience.0 / 1000,
            "pickup_max_s": options.times.pickup_max.0 / 1000,
            "warm_up_s": options.times.warm_up.0 / 1000,
        })
    }
}

fn figures(s: &Summary) -> Value {
    let mut figures = json!({
        "completion": rounded(s.completion.value),
        "wait_mean_s": rounded(s.wait_mean_s.value),
        "wait_p50_s": rounded(s.wait_p50_s.value),
        "wait_p90_s": rounded(s.wait_p90_s.value),
        "eta_mean_s": rounded(s.eta_mean_s.value),
        "empty_km": rounded(s.empty_km.value),
        "empty_share": rounded(s.empty_share.value),
        "utilisation": rounded(s.utilisation.value),
        "gini": rounded(s.gini.value),
        "chained_share": rounded(s.chained_share.value),
        "ci95": {
            "completion": rounded(s.completion.half_width),
            "wait_mean_s": rounded(s.wait_mean_s.half_width),
            "wait_p90_s": rounded(s.wait_p90_s.half_width),
            "eta_mean_s": rounded(s.eta_mean_s.half_width),
        },
    });
    let mut against = |name: &str, mean: Option<Mean>| {
        if let Some(mean) = mean {
            figures[name] = json!(rounded(mean.value));
            figures["ci95"][name] = json!(rounded(mean.half_width));
        }
    };
    against("wait_vs_nearest", s.wait_ratio);
    against("completion_vs_nearest", s.completion_gain);
    figures
}

/// To a ten-thousandth: more says nothing, and differs between machines.
fn rounded(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}
