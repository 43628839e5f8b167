//! Recommends a pay band, and refuses questions outside its competence.

use airlock_sdk::Refusal;

airlock_sdk::tool!(PayBand);

/// Yearly pay at the middle level, in US dollars. The figures are invented for this example; do not pay anyone by them.
const BASE_USD: [(Family, f64); 5] = [
    (Family::Engineering, 118_000.0),
    (Family::Data, 112_000.0),
    (Family::Product, 115_000.0),
    (Family::Operations, 78_000.0),
    (Family::Support, 56_000.0),
];

/// A country of the table.
struct Country {
    /// ISO 3166.
    code: &'static str,
    /// Usual spellings, in lower case and without punctuation.
    names: &'static [&'static str],
    currency: &'static str,
    /// Local pay for each dollar of the base.
    rate: f64,
}

const COUNTRIES: [Country; 3] = [
    Country {
        code: "US",
        names: &["us", "usa", "united states", "united states of america", "america"],
        currency: "USD",
        rate: 1.0,
    },
    Country {
        code: "DE",
        names: &["de", "deu", "ger", "germany", "deutschland", "federal republic of germany"],
        currency: "EUR",
        rate: 0.62,
    },
    Country {
        code: "GB",
        names: &[
            "gb",
            "gbr",
            "uk",
            "united kingdom",
            "united kingdom of great britain and northern ireland",
            "great britain",
            "britain",
            "england",
            "scotland",
            "wales",
            "northern ireland",
        ],
        currency: "GBP",
        rate: 0.58,
    },
];

/// Words that make a question one of law.
const LEGAL: [&str; 7] = ["legal", "lawful", "law", "sue", "lawsuit", "discrimination", "dismissal"];

const DESK: &str = "the compensation desk of your people team";

struct PayBand;

impl Guest for PayBand {
    fn pay_band(
        family: Family,
        level: Level,
        country: String,
        question: Option<String>,
    ) -> Result<Recommendation, Failure> {
        // Before any figure is looked up: a refused question must not get half an answer.
        refuse_law(question.as_deref().unwrap_or_default())?;
        let base = base(family)?;
        let Country { code, currency, rate, .. } = find_country(&country)?;
        let middle = base * *rate * step(level);
        let assessment = Assessment::new(format!(
            "yearly base pay before tax, {} in {}, {code}",
            name(level),
            name(family)
        ))
        .confidence(0.4)
        .uncertainty("a single made-up table: no market survey, no city, no company size")
        .assume("a band reaches 15 % below and above its middle")
        .assume("full time, without bonus or equity")
        .next_step("compare with a current survey before an offer is made");
        Ok(Recommendation {
            band: Band {
                low: thousands(middle * 0.85),
                middle: thousands(middle),
                high: thousands(middle * 1.15),
                currency: (*currency).to_owned(),
            },
            as_of: AsOf::new("2025-01-01").source("illustrative table of the example tool"),
            assessment,
        })
    }
}

/// Refuses questions of law.
fn refuse_law(question: &str) -> Result<(), Refusal> {
    let question = question.to_lowercase();
    let is_legal = question.split(|c: char| !c.is_alphanumeric()).any(|word| LEGAL.contains(&word));
    if !is_legal {
        return Ok(());
    }
    Err(Refusal::new("legal-question", "A pay band does not answer a question of law.")
        .need("an opinion of employment counsel")
        .contact("your legal department")
        .alternative("ask for the band alone, without the question of law"))
}

/// The base pay of a job family. Executive pay has no base and is refused.
fn base(family: Family) -> Result<f64, Refusal> {
    BASE_USD.iter().find(|(known, _)| *known == family).map(|(_, base)| *base).ok_or_else(|| {
        Refusal::new("executive-pay", "Executive pay is set by a board and not by a band.")
            .need("a decision of the compensation committee")
            .contact(DESK)
    })
}

/// The row of a country. Refuses countries that the table does not have.
fn find_country(country: &str) -> Result<&'static Country, Refusal> {
    let wanted = spelled(country);
    COUNTRIES.iter().find(|country| country.names.contains(&wanted.as_str())).ok_or_else(|| {
        let known = COUNTRIES.map(|country| country.code).join(", ");
        Refusal::new("country-unknown", "The table has no bands for this country.")
            .need(format!("one of the countries {known}"))
            .contact(DESK)
            .retry_after_change("country")
    })
}

/// A name in lower case, without an article or punctuation: `The U.S.` is `us`.
fn spelled(name: &str) -> String {
    let name: String =
        name.to_lowercase().replace('-', " ").chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let words: Vec<&str> = name.split_whitespace().collect();
    words.strip_prefix(&["the"]).unwrap_or(&words).join(" ")
}

/// Pay at a level as a multiple of the middle level.
fn step(level: Level) -> f64 {
    match level {
        Level::Junior => 0.72,
        Level::Middle => 1.0,
        Level::Senior => 1.32,
        Level::Lead => 1.61,
    }
}

/// The name of a case in lower case: `Level::Senior` is `senior`.
fn name(case: impl std::fmt::Debug) -> String {
    let case = format!("{case:?}");
    case.rsplit("::").next().unwrap_or_default().to_lowercase()
}

/// Pay rounded to thousands: the table has no more precision.
fn thousands(pay: f64) -> u32 {
    (pay / 1_000.0).round() as u32 * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(family: Family, country: &str, question: &str, expect: &str) {
        let answer = PayBand::pay_band(family, Level::Senior, country.to_owned(), Some(question.to_owned()));
        let code = match answer {
            Ok(recommendation) => recommendation.band.currency,
            Err(Failure::Refused(refusal)) => refusal.code,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(code, expect);
    }

    #[test]
    fn answers_within_its_competence_and_refuses_outside() {
        check(Family::Data, "de", "", "EUR");
        for country in ["UK", "uk", "U.K.", "GB", "GBR", "the United Kingdom", "Great Britain", "England"] {
            check(Family::Data, country, "", "GBP");
        }
        for country in ["USA", "U.S.", "The United States", "United States of America"] {
            check(Family::Data, country, "", "USD");
        }
        check(Family::Data, " Germany ", "", "EUR");
        check(Family::Executive, "US", "", "executive-pay");
        check(Family::Data, "FR", "", "country-unknown");
        check(Family::Data, "US", "is it lawful to pay less?", "legal-question");
    }
}
