//! The report as a table for a terminal.

use super::{Report, Summary};

const HEAD: &str = "cars  policy   completed         wait s        p50   p90   pickup s  \
                    x nearest      empty  busy   gini  chained";

impl Report {
    /// A table, a row a policy and number of cars, with 95 % confidence intervals over the seeds.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!("{HEAD}\n");
        let mut cars = self.options.cars.clone();
        cars.dedup();
        for cars in cars {
            for summary in self.summaries.iter().filter(|summary| summary.cars == cars) {
                text += &row(summary);
                text.push('\n');
            }
        }
        text
    }
}

fn row(s: &Summary) -> String {
    let ratio = s
        .wait_ratio
        .map_or_else(String::new, |mean| format!("{:.3} ±{:.3}", mean.value, mean.half_width));
    format!(
        "{:>4}  {:<8}{:>6.2} ±{:>5.2} %  {:>6.1} ±{:>5.1}  {:>5.0} {:>5.0}  {:>8.1}  {:<13}  \
         {:>4.1} %  {:>4.1} %  {:.3}  {:>4.1} %",
        s.cars,
        s.policy,
        s.completion.value * 100.0,
        s.completion.half_width * 100.0,
        s.wait_mean_s.value,
        s.wait_mean_s.half_width,
        s.wait_p50_s.value,
        s.wait_p90_s.value,
        s.eta_mean_s.value,
        ratio,
        s.empty_share.value * 100.0,
        s.utilisation.value * 100.0,
        s.gini.value,
        s.chained_share.value * 100.0,
    )
}
