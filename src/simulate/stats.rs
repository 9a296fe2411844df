//! Small statistics: percentiles, Gini's coefficient, means with their confidence.

/// The value at this part of a sorted list, by the nearest rank; 0 of nothing.
pub(super) fn percentile(sorted: &[u32], part: f64) -> u32 {
    let rank = (part * super::measure::count(sorted.len())).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
    let at = (rank as usize).saturating_sub(1);
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0)
}

/// How unequal incomes are: 0 where all are equal, towards 1 where one has everything.
pub(super) fn gini(mut incomes: Vec<i64>) -> f64 {
    incomes.sort_unstable();
    let total: i64 = incomes.iter().sum();
    if total <= 0 {
        return 0.0;
    }
    let weighted: i128 =
        (1_i128..).zip(&incomes).map(|(rank, &value)| rank * i128::from(value)).sum();
    let (n, total) = (super::measure::count(incomes.len()), total as f64);
    #[expect(clippy::cast_precision_loss, reason = "a coefficient")]
    let weighted = weighted as f64;
    (2.0 * weighted) / (n * total) - (n + 1.0) / n
}

/// A mean over seeds, and how far the true one may lie from it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Mean {
    pub(super) value: f64,
    /// Half the width of the 95 % confidence interval; 0 of one seed, which says nothing.
    pub(super) half_width: f64,
}

/// Student's t, two-sided 95 %, by degrees of freedom from 1.
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

impl Mean {
    pub(super) fn of(values: &[f64]) -> Self {
        let n = super::measure::count(values.len());
        if values.is_empty() {
            return Self::default();
        }
        let value = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|each| (each - value).powi(2)).sum();
        let Some(degrees) = values.len().checked_sub(2) else {
            return Self { value, half_width: 0.0 };
        };
        let t = T_95.get(degrees).copied().unwrap_or(1.96);
        Self { value, half_width: t * (squares / (n - 1.0) / n).sqrt() }
    }
}
