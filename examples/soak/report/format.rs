//! The format of numbers.

/// Formats a number with a comma every three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats the growth in percent, with a sign.
#[expect(clippy::cast_precision_loss, reason = "it is shown with two digits")]
pub(crate) fn growth(before: u64, after: u64) -> String {
    let ratio = after as f64 / before.max(1) as f64;
    format!("{:+.2} %", (ratio - 1.0) * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three_digits() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn growth_has_a_sign() {
        assert_eq!(growth(200, 201), "+0.50 %");
        assert_eq!(growth(200, 199), "-0.50 %");
    }
}
